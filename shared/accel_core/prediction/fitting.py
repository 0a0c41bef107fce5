"""Learn a `CallModel` from traces: counts of all, and forests grown on runs not counted.

Runs are parted into blocks in their order, which keeps runs of one customer together where traces
are in the order of time or of customers; groups are kept together where they are known. Each block
is judged by the counts of all others, so that a forest sees the numbers that it will see of people
whom nobody has met.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accel_core.policy.prediction import habits
from accel_core.policy.prediction.calls import FEATURES, candidates
from accel_core.policy.prediction.known import Known, canonical
from accel_core.policy.prediction.model import SOON, CallModel, Forests, least_worth, worth
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
        names: of each, its run, its epoch and what is equal for equal calls.
        blocks: in which block of runs each was; shape (samples,).
        calls: how many calls were made, each once before the next change.
    """

    numbers: NDArray[np.float64]
    hits: NDArray[np.bool_]
    nexts: NDArray[np.bool_]
    names: list[Hashable]
    blocks: NDArray[np.int64]
    calls: int


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
    forests = grown(samples, shipped.least, report=lambda share: report(0.7 + share * 0.3))
    return CallModel(forests, tally)


def grown(
    samples: Samples, least: float, *, report: Callable[[float], None] = lambda _: None
) -> Forests:
    """Return forests grown on `samples`, and the worth that they promise something from.

    Args:
        samples: of several blocks.
        least: that worth, where too little was held back to tell.
        report: told the share that is done.
    """
    everywhere = np.ones(len(samples.hits), bool)
    soon = _unseen(samples, samples.nexts, everywhere)
    report(0.5)
    near = ~(soon < SOON)
    used = _unseen(samples, samples.hits, near)
    best: dict[Hashable, tuple[float, bool]] = {}
    for index in np.flatnonzero(~np.isnan(used)):
        found = worth(float(used[index]), float(soon[index])), bool(samples.hits[index])
        name = samples.names[index]
        best[name] = max(found, best.get(name, found))
    told = least_worth(best.values(), samples.calls)
    report(0.9)
    return Forests(
        boosting.grow(FEATURES, samples.numbers[near], samples.hits[near]),
        boosting.grow(FEATURES, samples.numbers, samples.nexts),
        least if told is None else told,
    )


def _unseen(
    samples: Samples, hits: NDArray[np.bool_], looked_at: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the log-odds of `hits` by forests that have not seen the block; NaN: there is none.

    Args:
        samples: what is judged.
        hits: what is to be told; shape (samples,).
        looked_at: the samples that forests are grown on and judge; shape (samples,).
    """
    odds = np.full(len(hits), np.nan)
    for block in np.unique(samples.blocks):
        held, others = looked_at & (samples.blocks == block), looked_at & (samples.blocks != block)
        if others.any():
            forest = boosting.grow(FEATURES, samples.numbers[others], hits[others])
            odds[held] = [forest.log_odds(row) for row in samples.numbers[held].tolist()]
    return odds


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
    names: list[Hashable] = []
    where: list[int] = []
    calls = 0
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
                    calls += len((asked_for & later.keys()) - known.called)
                    for candidate in candidates(total, known, free):
                        numbers.append(candidate.numbers)
                        hits.append(candidate.key in later)
                        nexts.append(candidate.key in asked_for)
                        names.append((id(run), known.epochs, candidate.key))
                        where.append(block)
                known.add(event)
        total.update(alone)
        report((block + 1) / len(parts))
    return Samples(
        np.array(numbers, float).reshape(-1, len(FEATURES)), np.array(hits, bool),
        np.array(nexts, bool), names,
        np.array(where, int), calls,
    )  # fmt: skip
