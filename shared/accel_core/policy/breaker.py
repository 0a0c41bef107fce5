"""When to leave a failing backend alone.

After some failures in a row it rests, so that no call pays for asking it; the first call after the
rest tries again, and one success closes the circuit (Nygard, *Release It!*, "Circuit Breaker").
"""

from __future__ import annotations

STORE_REST_S = 4.0
"""How long a store rests, seconds: asking one costs little, and invalidations wait for it."""


class Breaker:
    """Counts failures in a row.

    Args:
        threshold: failures in a row after which the backend rests.
        rest_s: how long it rests, seconds.
    """

    __slots__ = ("_failures", "_rest_s", "_resting_until_s", "_threshold")

    def __init__(self, threshold: int = 3, rest_s: float = 30.0) -> None:
        self._threshold, self._rest_s = threshold, rest_s
        self._failures = 0
        self._resting_until_s = float("-inf")

    def allows(self, now_s: float) -> bool:
        """Whether the backend should be asked."""
        return now_s >= self._resting_until_s

    def failed(self, now_s: float) -> None:
        """Note a failure."""
        self._failures += 1
        if self._failures >= self._threshold:
            self._resting_until_s = now_s + self._rest_s

    def succeeded(self) -> None:
        """Note a success."""
        if self._failures:
            self._failures = 0
            self._resting_until_s = float("-inf")
