"""The guaranteed mode on the package's own probability, as an application meets it.

The streams are those of `decision_guarantee`, which scores by cosine to be comparable with others.
Here the shipped decision scores them, gates refuse, nothing calibrates to these questions, and the
guarantee starts cold. The oracle is a `serve_from`, best in hindsight of its own run.
"""

from __future__ import annotations

import random
from functools import cache
from statistics import mean, median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import decision_data as data
from benchmarks.decision_guarantee import BOUNDS, fixed, guaranteed, made, streams, told
from benchmarks.harness import Context, Measured, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.policy.similarity import Candidate
    from benchmarks.decision_guarantee import Score, Tally

_RUNS = 20
_TRIED = [1 - 0.5 * 10 ** (-step / 4) for step in range(13)]  # oracle's thresholds, 0.5 to 0.9995


class _Run(NamedTuple):
    pooled: dict[float, Tally]
    earned: dict[float, Tally]
    oracle: dict[float, Tally]


def probability(context: Context) -> Score:
    """Return the decision's probability, 0 where it refuses; to be had by ``context.once``."""
    policy = data.opened(data.decision(context))

    @cache
    def decided(question: str, candidates: tuple[Candidate, ...]) -> float:
        verdict = policy.decide(question, candidates)
        return 0.0 if verdict.chosen is None else verdict.probability or 0.0

    def score(question: str, candidates: Sequence[Candidate]) -> float:
        return decided(question, tuple(candidates))

    return score


def runs(context: Context) -> list[_Run]:
    """Run all streams; to be had by ``context.once``."""
    world, found = context.once(made), []
    count = context.pick(_RUNS, 3)
    for number in range(count):
        seed = context.seed * 1_000 + number
        _, stream = streams(world, seed)
        score = probability(context)
        tried = [fixed(stream, score, least) for least in _TRIED]
        dice = [random.Random(seed) for _ in range(2 * len(BOUNDS))]
        found.append(
            _Run(
                {b: guaranteed(stream, score, (), b, dice.pop()) for b in BOUNDS},
                {b: guaranteed(stream, score, (), b, dice.pop(), trust="earned") for b in BOUNDS},
                {b: max((t for t in tried if t.share <= b), key=lambda t: t.hits) for b in BOUNDS},
            )
        )
        context.report(number / count)
    return found


def under(context: Context) -> Measured:
    """Share of runs under the bound, the worst of the bounds and trusts."""
    done = context.once(runs)
    kept, note = told([run.pooled for run in done])
    earned, beside = told([run.earned for run in done])
    return Measured(min(kept, earned), f"{note}; earned: {beside}")


def of_oracle(context: Context) -> Measured:
    """Hits over the oracle's, the worst of the bounds."""
    done, ratios, notes = context.once(runs), [], []
    for bound in BOUNDS:
        ratios.append(median(r.pooled[bound].hits / max(1, r.oracle[bound].hits) for r in done))
        ours, best = (
            mean(tally.hits / tally.asked for tally in tallies)
            for tallies in ([r.pooled[bound] for r in done], [r.oracle[bound] for r in done])
        )
        notes.append(f"{ratios[-1]:.0%} at {bound:.0%} (hits {ours:.1%}, oracle {best:.1%})")
    return Measured(min(ratios), "; ".join(notes))


ROWS = [
    Row(
        name="guarantee-own-kept",
        what="share of runs under their bound on the shipped probability, started cold, worst case",
        op=">=",
        bound=0.95,
        measure=under,
        quick=False,
    ),
    Row(
        name="guarantee-own-hits",
        what="its hits ÷ the best fixed serve_from's in hindsight, worst of 1, 2, 5 %",
        op=">=",
        bound=0.5,
        aim=0.75,
        measure=of_oracle,
        quick=False,
    ),
]
