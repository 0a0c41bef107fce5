"""When to leave a failing backend alone, and when to try it again.

After some failures in a row it rests, so that no call pays for asking it. When the rest is over one
caller tries, and all others go on without it until that one has told how it went: a backend that is
still away costs one wait a rest, however many calls there are. A success ends it (Nygard, *Release
It!*, "Circuit Breaker").

The first rest may be short, for most failures are hiccups. Each that follows is twice as long as
the last, up to the longest; when nothing has failed for four times the last one, it is short again.
"""

from __future__ import annotations

_CALM = 4.0


class Breaker:
    """Counts failures in a row.

    Args:
        threshold: failures in a row after which the backend rests.
        rest_s: its longest rest, seconds.
        first_rest_s: its first one; None: each is the longest.
    """

    __slots__ = (
        "_failures",
        "_first_rest_s",
        "_open",
        "_rest_s",
        "_rested_s",
        "_resting_until_s",
        "_threshold",
        "_trying",
        "_was_s",
    )

    def __init__(
        self, threshold: int = 3, rest_s: float = 30.0, first_rest_s: float | None = None
    ) -> None:
        self._threshold, self._rest_s = threshold, rest_s
        self._first_rest_s = rest_s if first_rest_s is None else first_rest_s
        self._failures, self._open, self._trying = 0, False, False
        self._resting_until_s = self._rested_s = float("-inf")
        self._was_s = 0.0

    @property
    def closed(self) -> bool:
        """Whether the backend works, for all that is known."""
        return not self._open

    def allows(self, now_s: float) -> bool:
        """Whether this caller should ask the backend, and tell how it went.

        Who tries after a rest and never tells is forgotten after another, the longest.
        """
        if not self._open:
            return True
        if now_s < self._resting_until_s:
            return False
        self._trying, self._resting_until_s = True, now_s + self._rest_s
        return True

    def due_in_s(self, now_s: float) -> float:
        """Return the seconds until it should be tried again; 0 where it need not wait."""
        return max(0.0, self._resting_until_s - now_s) if self._open else 0.0

    def failed(self, now_s: float) -> bool:
        """Note a failure, and return whether a rest begins with it."""
        self._failures += 1
        if self._failures < self._threshold or (self._open and not self._trying):
            return False
        calm = now_s - self._rested_s > _CALM * self._was_s
        self._was_s = self._first_rest_s if calm else min(2 * self._was_s, self._rest_s)
        self._open, self._trying = True, False
        self._resting_until_s = self._rested_s = now_s + self._was_s
        return True

    def succeeded(self) -> None:
        """Note a success."""
        if self._failures:
            self._failures, self._open, self._trying = 0, False, False


def store_breaker() -> Breaker:
    """Return the breaker of a shared store.

    It opens at once: whoever asks next would wait as long for nothing. A hiccup costs a twentieth
    of a second without it, and one that is back is used again within a second or so.
    """
    return Breaker(threshold=1, rest_s=1.0, first_rest_s=0.05)
