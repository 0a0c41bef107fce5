"""A race of several ways to an answer: who starts when, whose answer is returned, who is stopped.

The last path is the standard one: what would be asked without a race, and so acceptable by
definition. Invariants: who wins is the standard path, or was accepted; the standard path is never
stopped for time; while nobody has won, a path is running or there is none left to start.

Moments are seconds since the race began. Whoever starts later starts at once where nobody runs any
more, as the next address is tried in RFC 8305 ("Happy Eyeballs"), section 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.events.races import PathOutcome


class Step(NamedTuple):
    """What is to be done now: paths to start and to stop, by their places, and when to look again.

    Attributes:
        start: start these.
        stop: stop these; they have ended as far as the race goes.
        next_s: the moment of the next step where no path ends before; None: when one ends.
    """

    start: list[int]
    stop: list[int]
    next_s: float | None


class Race:
    """One race in progress.

    Args:
        after_s: when each path starts, in [0, timeout_s); the last is the standard path.
        timeout_s: when all but the standard path are stopped.

    Attributes:
        standard: the standard path's place.
        outcomes: of each path, by its place; None while it runs.
        winner: the place of the path whose answer is returned; None while there is none.
    """

    def __init__(self, after_s: Sequence[float], timeout_s: float) -> None:
        self._after_s, self._timeout_s = after_s, timeout_s
        self._waiting = list(range(len(after_s)))
        self._running: list[int] = []
        self.standard = len(after_s) - 1
        self.outcomes: list[PathOutcome | None] = ["unstarted"] * len(after_s)
        self.winner: int | None = None

    @property
    def over(self) -> bool:
        """Whether there is a winner, or nobody left who could become one."""
        return self.winner is not None or not (self._running or self._waiting)

    def step(self, now_s: float) -> Step:
        """Return what is to be done at the moment `now_s`, and take it as done."""
        stop = self._give_up() if now_s >= self._timeout_s else []
        start = [] if self.over else self._due(now_s)
        for path in start:
            self._waiting.remove(path)
            self._running.append(path)
            self.outcomes[path] = None
        moments = [self._after_s[path] for path in self._waiting]
        if any(path != self.standard for path in self._running):
            moments.append(self._timeout_s)
        return Step(start, stop, min(moments, default=None))

    def ended(self, path: int, outcome: PathOutcome) -> None:
        """Take note that `path` has ended by itself; once it was stopped that is nothing new."""
        if path not in self._running:
            return
        self._end(path, outcome)
        if outcome == "won" and self.winner is None:
            self.winner = path

    def finish(self) -> list[int]:
        """End the race; return the paths that still run, and are to be stopped."""
        running = list(self._running)
        for path in running:
            self._end(path, "cancelled")
        return running

    def _due(self, now_s: float) -> list[int]:
        nobody = not self._running
        earliest_s = min((self._after_s[path] for path in self._waiting), default=now_s)
        until_s = max(now_s, earliest_s) if nobody else now_s
        return [path for path in self._waiting if self._after_s[path] <= until_s]

    def _give_up(self) -> list[int]:
        late = [path for path in self._running if path != self.standard]
        for path in late:
            self._end(path, "timed_out")
        self._waiting = [path for path in self._waiting if path == self.standard]
        return late

    def _end(self, path: int, outcome: PathOutcome) -> None:
        self._running.remove(path)
        self.outcomes[path] = outcome
