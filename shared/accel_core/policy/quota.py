"""So many a minute and no more, for each who asks."""

from __future__ import annotations

from collections import deque

_HOLDERS = 1_000


class Quota:
    """Counts what each holder did within the last `per_s` seconds.

    Threads that ask at the same moment may together get one more than `most`.

    Args:
        most: how often within `per_s`.
        per_s: seconds.
    """

    def __init__(self, most: int, per_s: float) -> None:
        self._most, self._per_s = most, per_s
        self._done: dict[bytes, deque[float]] = {}

    def allows(self, holder: bytes, now_s: float) -> bool:
        """Count one of `holder` and return True, or return False where there were enough."""
        done = self._done.pop(holder, None)
        if done is None:
            done = deque(maxlen=self._most)
        self._done[holder] = done
        if len(self._done) > _HOLDERS:
            del self._done[next(iter(self._done))]
        if len(done) == self._most and now_s - done[0] < self._per_s:
            return False
        done.append(now_s)
        return True
