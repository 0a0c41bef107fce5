"""Races of a statistics file: how often each path won, and what became of it otherwise.

Invariant: memory is bounded whatever paths are named, and a race that is told wrongly counts
nowhere.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, get_args

from accel_core.events.races import PathOutcome
from accel_core.policy.labels import Labels
from accel_core.report.spread import Spread
from accel_core.report.values import RacePath, Races

if TYPE_CHECKING:
    from accel_core.report.values import Durations

_OUTCOMES = frozenset(get_args(PathOutcome))
_MOST_PATHS = 100
_LONGEST_S = 1e11


class RaceTally:
    """Adds races up; one owner at a time."""

    def __init__(self) -> None:
        self._count = self._unanswered = 0
        self._labels = Labels(_MOST_PATHS)
        self._took = Spread()
        self._outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._ran: defaultdict[str, Spread] = defaultdict(Spread)

    def add(self, told: dict[str, Any]) -> None:
        """Add a race.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: it is told wrongly.
        """
        took_s, winner = _duration(told["took_s"]), str(told["winner"])
        paths = [_path(one) for one in told["paths"]]
        self._count += 1
        self._unanswered += not winner
        self._took.add(took_s)
        for name, outcome, path_s in paths:
            label = self._labels.of(name)
            self._outcomes[label][outcome] += 1
            if outcome != "unstarted":
                self._ran[label].add(path_s)

    def fold(self) -> None:
        """Count durations that were added, so that they take no room."""
        for spread in (self._took, *self._ran.values()):
            spread.fold()

    def found(self) -> Races:
        """Return what races came to."""
        return Races(
            count=self._count,
            unanswered=self._unanswered,
            took=self._took.durations(),
            paths={
                name: RacePath(outcomes=dict(outcomes), took=self._ran_of(name))
                for name, outcomes in self._outcomes.items()
            },
        )

    def _ran_of(self, name: str) -> Durations | None:
        return self._ran[name].durations() if name in self._ran else None


def _path(told: dict[str, Any]) -> tuple[str, str, float]:
    name, outcome = told["name"], told["outcome"]
    if type(name) is not str or outcome not in _OUTCOMES:
        raise ValueError(outcome)
    return name, outcome, _duration(told.get("took_s", 0.0))


def _duration(value: object) -> float:
    if not isinstance(value, int | float) or not 0 <= value <= _LONGEST_S:
        raise ValueError(value)
    return float(value)
