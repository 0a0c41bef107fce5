"""Learning from runs behind their backs: nobody's answer waits for it.

What a run has shown takes some ten milliseconds to learn. One thread learns from one run after
another and ends when there is none; where more end than it can follow, some are not learned from.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accel_core.policy.trajectory import Trajectory
    from accel_core.tool_speculator import Session

_MOST_WAITING = 64


class Learner:
    """Of one speculator. Safe to share between threads, and after a fork."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Session, Trajectory]] = deque(maxlen=_MOST_WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def learn(self, session: Session, trajectory: Trajectory) -> None:
        """Learn from a run that has ended, soon."""
        self._waiting.append((session, trajectory))
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            self._thread = threading.Thread(target=self._work, name="accel-learning", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # no thread is to be had: with the next run, perhaps
                self._thread = None

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                session, trajectory = self._waiting.popleft()
            session.learn(trajectory)
