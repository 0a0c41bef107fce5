"""Outcomes of the scenarios, each run once and kept for all the rows that read them."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

from benchmarks.limits_ours import OURS
from benchmarks.limits_run import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.harness import Context
    from benchmarks.limits_protocol import Contender
    from benchmarks.limits_run import Outcome, Scenario

SEEDS = 3


class Results:
    """Outcomes of one run of the benchmarks; to be had by ``context.once(Results)``."""

    def __init__(self, context: Context) -> None:
        self._seeds = range(context.seed, context.seed + context.pick(SEEDS, 1))
        self._quick = context.quick
        self._kept: dict[tuple[str, str], list[Outcome]] = {}

    def outcomes(self, scenario: Scenario, contender: Contender = OURS) -> list[Outcome]:
        """Return the outcome of each seed."""
        key = scenario.name, contender.name
        if key not in self._kept:
            seeds = self._seeds[:1] if contender.slow else self._seeds
            self._kept[key] = [run(scenario, contender, seed) for seed in seeds]
        return self._kept[key]

    def figure(
        self,
        scenario: Scenario,
        of: Callable[[Outcome], float],
        contender: Contender = OURS,
    ) -> float:
        """Return the mean over the seeds of what `of` reads."""
        return mean(of(outcome) for outcome in self.outcomes(scenario, contender))

    def beside(
        self,
        scenario: Scenario,
        peers: Sequence[Contender],
        tell: Callable[[list[Outcome]], str],
    ) -> str:
        """Return what `tell` says of each peer; a quick run leaves out the slow ones."""
        told = [
            f"{peer.name} {tell(self.outcomes(scenario, peer))}"
            for peer in peers
            if not (peer.slow and self._quick)
        ]
        return "; ".join(told)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the sorted `values` lie, 0 of none."""
    return values[round(share * (len(values) - 1))] if values else 0.0
