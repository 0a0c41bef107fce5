"""What a provider counts against: a bucket that refills, and a window that begins anew.

Both know how long an amount must wait and take it whether it fits or not: refusing is the
provider's part. What was taken beyond the capacity is a debt that later refills pay first. Time
is an argument, in seconds of any clock that does not run backwards.
"""

from __future__ import annotations

import math
from typing import Protocol

_ROUNDING = 1e-9


class Layer(Protocol):
    """One allowance that refills with time."""

    capacity: float

    def room(self, now: float) -> float:
        """Return what is left; below zero it is a debt."""

    def wait_s(self, amount: float, now: float) -> float:
        """Return how long `amount` must wait until it fits, 0 where it does."""

    def reset_s(self, now: float) -> float:
        """Return how long it takes until nothing counts as used."""

    def take(self, amount: float, now: float) -> None:
        """Use `amount`, whether it fits or not; a negative amount is given back."""


class Bucket:
    """Refills continuously, up to what `length_s` seconds bring.

    Args:
        per_s: what one second brings.
        length_s: how many seconds' worth it holds.
    """

    def __init__(self, per_s: float, length_s: float) -> None:
        self.capacity, self._per_s = per_s * length_s, per_s
        self._room, self._last = self.capacity, -math.inf

    def room(self, now: float) -> float:
        """Return what is left; below zero it is a debt."""
        if now > self._last:
            brought = self._per_s * (now - self._last)
            self._room, self._last = min(self.capacity, self._room + brought), now
        return self._room

    def wait_s(self, amount: float, now: float) -> float:
        """Return how long `amount` must wait: (used + amount - capacity) ÷ rate.

        More than the capacity gets a figure, too, as real services give one.
        """
        lacking = amount - self.room(now)
        return lacking / self._per_s if lacking > _ROUNDING * self.capacity else 0.0

    def reset_s(self, now: float) -> float:
        """Return how long it takes until the bucket is full."""
        return (self.capacity - self.room(now)) / self._per_s

    def take(self, amount: float, now: float) -> None:
        """Use `amount`, whether it fits or not; a negative amount is given back."""
        self._room = min(self.capacity, self.room(now) - amount)


class Window:
    """Has its whole capacity back each time a window begins, but for a debt.

    Args:
        per_s: capacity of a window ÷ its length.
        length_s: of a window.
        phase_s: a moment at which a window begins.
    """

    def __init__(self, per_s: float, length_s: float, phase_s: float = 0.0) -> None:
        self.capacity, self._length_s, self._phase_s = per_s * length_s, length_s, phase_s
        self._used, self._number = 0.0, -math.inf

    def room(self, now: float) -> float:
        """Return what is left in the window that `now` is in."""
        number = (now - self._phase_s) // self._length_s
        if number > self._number:
            passed = (number - self._number) * self.capacity
            self._used, self._number = max(0.0, self._used - passed), number
        return self.capacity - self._used

    def wait_s(self, amount: float, now: float) -> float:
        """Return how long it takes until a window begins in which `amount` fits."""
        lacking = amount - self.room(now)
        if lacking <= _ROUNDING * self.capacity:
            return 0.0
        windows = math.ceil(lacking / self.capacity)
        return self._ends_s(now) + (windows - 1) * self._length_s

    def reset_s(self, now: float) -> float:
        """Return how long it takes until a window begins in which nothing is used."""
        return self.wait_s(self.capacity, now)

    def take(self, amount: float, now: float) -> None:
        """Use `amount`, whether it fits or not; a negative amount is given back."""
        self._used = max(0.0, self.capacity - self.room(now) + amount)

    def _ends_s(self, now: float) -> float:
        return self._length_s - (now - self._phase_s) % self._length_s
