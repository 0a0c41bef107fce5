"""Learn a `CallModel` from traces: counts of all, and forests grown on runs not counted.

Runs are parted into blocks in their order, which keeps runs of one customer together where traces
are in the order of time or of customers; groups are kept together where they are known. Each block
is judged by the counts of all others, so that a forest sees the numbers that it will see of people
whom nobody has met.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accel_core.policy.prediction import habits
from accel_core.policy.prediction.calls import FEATURES, candidates
from accel_core.policy.prediction.known import Known, canonical
from accel_core.policy.prediction.model import SOON, CallModel, Firsts, Forests
from accel_core.policy.prediction.tally import Tally
from accel_core.prediction import boosting

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Sequence

    from numpy.typing import NDArray

    from accel_core.policy.prediction.known import Readers
    from accel_core.policy.trajectory import Trajectory

BLOCKS = 5
LEAST_RUNS = 20
"""With fewer, the shipped forest judges better than one grown on them."""
_FOLDS = 3


class Run(NamedTuple):
    """A run, and who it is kept together with; None: with its neighbours."""

    events: Trajectory
    group: Hashable = None


class Samples(NamedTuple):
    """Candidates as a forest sees them.

    Attributes:
        numbers: shape (samples, `FEATURES`).
        hits: whether each was called before the next change; shape (samples,).
        nexts: whether in the very next answer; shape (samples,).
        tools: of each.
        names: of each, its run, its epoch and what is equal for equal calls.
        blocks: in which block of runs each was; shape (samples,).
    """

    numbers: NDArray[np.float64]
    hits: NDArray[np.bool_]
    nexts: NDArray[np.bool_]
    tools: list[str]
    names: list[Hashable]
    blocks: NDArray[np.int64]

    def where(self, chosen: NDArray[np.bool_]) -> Samples:
        """Return the `chosen` ones; shape (samples,)."""
        at = np.flatnonzero(chosen)
        return Samples(
            self.numbers[at], self.hits[at], self.nexts[at], [self.tools[i] for i in at],
            [self.names[i] for i in at], self.blocks[at],
        )  # fmt: skip


def fit(
    runs: Sequence[Run],
    free: Collection[str],
    shipped: Forests,
    readers: Readers,
    *,
    report: Callable[[float], None] = lambda _: None,
) -> CallModel:
    """Learn from `runs`, of which calls of `free` tools change nothing."""
    parts = blocks(runs)
    tally, counted = count(parts, free, readers, report=lambda share: report(share * 0.4))
    if len(runs) < LEAST_RUNS:
        return CallModel(shipped, tally)
    samples = gather(
        parts, tally, counted, free, readers, report=lambda share: report(0.4 + share * 0.3)
    )
    model = CallModel(grown(samples), tally)
    report(0.8)
    seen = _unseen(samples, report=lambda share: report(0.8 + 0.2 * share))
    tally.update(max((_judged(model.forests, samples, seen, soon) for soon in SOON), key=_kept)[1])
    return model


def _kept(judged: tuple[int, Tally]) -> int:
    return judged[0]


def _unseen(samples: Samples, *, report: Callable[[float], None]) -> list[tuple[float, float]]:
    """Return of each sample the log-odds to be used, and the probability to be next.

    Both are of forests that have not seen the sample; of folds that cannot be held back, there is
    nothing to be told: they are (-inf, 0).
    """
    seen = [(-math.inf, 0.0)] * len(samples.hits)
    for fold in range(_FOLDS):
        held = samples.blocks % _FOLDS == fold
        if not held.all() and held.any():
            others = grown(samples.where(~held))
            for index in np.flatnonzero(held):
                numbers = samples.numbers[index].tolist()
                seen[index] = others.used.log_odds(numbers), others.soon(numbers)
        report((fold + 1) / _FOLDS)
    return seen


def _judged(
    forests: Forests, samples: Samples, seen: Sequence[tuple[float, float]], soon: float
) -> tuple[int, Tally]:
    """Return how many guesses come true if those wait that are next less probably than `soon`.

    With them comes what a model has to know for it: how far its forests are to be believed. A guess
    once begun stays until something changes, so of each call the highest odds count.
    """
    model, first = CallModel(forests), Firsts()
    begun: dict[str, dict[Hashable, tuple[float, bool]]] = {}
    for index, (odds, chance) in enumerate(seen):
        if chance >= soon and first(samples.names[index], odds):
            tool, used = samples.tools[index], bool(samples.hits[index])
            model.judge(tool, odds, used=used)
            begun.setdefault(tool, {})[samples.names[index]] = odds, used
    events = {tool: list(calls.values()) for tool, calls in begun.items()}
    for tool, calls in events.items():
        model.demand(tool, calls)
    kept = model.promise(events)
    model.tally.add(("soon",), "", soon)
    return kept, model.tally


def grown(samples: Samples) -> Forests:
    """Return forests grown on `samples`."""
    return Forests(
        boosting.grow(FEATURES, samples.numbers, samples.hits),
        boosting.grow(FEATURES, samples.numbers, samples.nexts),
    )


def blocks(runs: Sequence[Run]) -> list[list[Trajectory]]:
    """Part runs into at most `BLOCKS` of about one size, groups together."""
    groups: dict[Hashable, list[Trajectory]] = {}
    for number, run in enumerate(runs):
        groups.setdefault(("run", number) if run.group is None else run.group, []).append(
            run.events
        )
    parts: list[list[Trajectory]] = [[]]
    for group in groups.values():
        if len(parts[-1]) >= len(runs) / BLOCKS and len(parts) < BLOCKS:
            parts.append([])
        parts[-1] += group
    return parts


def count(
    parts: Sequence[Sequence[Trajectory]],
    free: Collection[str],
    readers: Readers,
    *,
    report: Callable[[float], None] = lambda _: None,
) -> tuple[Tally, list[Tally]]:
    """Return the counts of all runs, and of each block alone."""
    total, counted = Tally(), []
    for part in parts:
        tally = Tally()
        for run in part:
            habits.learn_origins(tally, run, free, readers)
        counted.append(tally)
        total.update(tally)
        report(0.3 * len(counted) / len(parts))
    standings = []
    for part in parts:
        tally = Tally()
        for run in part:
            habits.learn_standings(tally, total, run, free, readers)
        standings.append(tally)
        report(0.3 + 0.7 * len(standings) / len(parts))
    for alone, standing in zip(counted, standings, strict=True):
        alone.update(standing)
        total.update(standing)
    return total, counted


def gather(
    parts: Sequence[Sequence[Trajectory]],
    total: Tally,
    counted: Sequence[Tally],
    free: Collection[str],
    readers: Readers,
    *,
    report: Callable[[float], None] = lambda _: None,
) -> Samples:
    """Return the candidates of every decision, by the counts of the other blocks."""
    numbers: list[list[float]] = []
    hits: list[bool] = []
    nexts: list[bool] = []
    tools: list[str] = []
    names: list[Hashable] = []
    where: list[int] = []
    for block, (part, alone) in enumerate(zip(parts, counted, strict=True)):
        total.update(alone, -1.0)
        for run in part:
            known, asked = Known(free, readers), set(habits.decisions(run))
            for number, event in enumerate(run):
                if number in asked:
                    later = habits.upcoming(run, number, free)
                    asked_for = {
                        canonical(call.tool, call.arguments)
                        for call in habits.answered(run, number)
                    }
                    for candidate in candidates(total, known, free):
                        numbers.append(candidate.numbers)
                        hits.append(candidate.key in later)
                        nexts.append(candidate.key in asked_for)
                        tools.append(candidate.call.tool)
                        names.append((id(run), known.epochs, candidate.key))
                        where.append(block)
                known.add(event)
        total.update(alone)
        report((block + 1) / len(parts))
    return Samples(
        np.array(numbers, float).reshape(-1, len(FEATURES)), np.array(hits, bool),
        np.array(nexts, bool), tools, names,
        np.array(where, int),
    )  # fmt: skip
