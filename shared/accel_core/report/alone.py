"""Processes that could not ask for the limits they share, and went on with a share of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accel_core.report.values import Alone

if TYPE_CHECKING:
    from accel_core.report.values import History

_MOST_SPANS = 10_000


class AloneTally:
    """Notes from when until when each process was alone; one owner at a time."""

    def __init__(self) -> None:
        self._since_s: dict[str, float] = {}
        self._last_s: dict[str, float] = {}
        self._spans: list[tuple[float, float]] = []
        self._times = 0
        self._least = 1.0

    def heard(self, run: str, at_s: float) -> None:
        """Note that a process lives."""
        if run in self._since_s:
            self._last_s[run] = at_s

    def alone(self, told: dict[str, Any], run: str, at_s: float) -> None:
        """Note that a process can no longer ask."""
        self._least = min(self._least, told["share"])
        self._times += 1
        if len(self._since_s) < _MOST_SPANS:
            self._since_s.setdefault(run, at_s)

    def shared(self, run: str, at_s: float) -> None:
        """Note that it can again."""
        since_s = self._since_s.pop(run, None)
        if since_s is not None and len(self._spans) < _MOST_SPANS:
            self._spans.append((since_s, max(since_s, at_s)))

    def found(self, history: History | None) -> Alone:
        """Return how often and how long that was, and how many were in each slot of `history`."""
        # One that ended meanwhile was alone until it was last heard of.
        open_ = [
            (at_s, max(at_s, self._last_s.get(run, at_s))) for run, at_s in self._since_s.items()
        ]
        spans = [*self._spans, *open_]
        return Alone(
            times=self._times,
            least_share=self._least if self._times else None,
            longest_s=max((until_s - from_s for from_s, until_s in spans), default=0.0),
            processes=() if history is None or not spans else _over_time(spans, history),
        )


def _over_time(spans: list[tuple[float, float]], history: History) -> tuple[float, ...]:
    """Return for each slot how many processes were alone in it, or in a part of it."""
    slots = len(next(iter(history.counts.values())))
    # Beginnings and ends, added up from the left: spans may be many, and long.
    steps = [0] * (slots + 1)
    for from_s, until_s in spans:
        first, last = (
            min(slots - 1, max(0, int((moment_s - history.start_s) // history.step_s)))
            for moment_s in (from_s, until_s)
        )
        steps[first] += 1
        steps[last + 1] -= 1
    counts, now = [], 0
    for step in steps[:slots]:
        now += step
        counts.append(float(now))
    return tuple(counts)
