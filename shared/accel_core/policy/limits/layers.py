"""The forms that limits take: continuously refilled buckets, and windows that start anew.

A layer looks at one unit of a charge. What does not fit even a full layer is let through when the
layer is full, and leaves a debt that later calls wait for; whether a request can ever be taken is
not decided here. A clock that jumps back starts over from where it is: nothing is refilled for the
jump, and nothing waits for it to catch up.

Over any time t a bucket admits at most its capacity plus rate times t, where no single amount
exceeds the capacity (https://en.wikipedia.org/wiki/Token_bucket).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from accel_core.policy.limits.charge import Charge

_ROUNDING = 1e-9
"""Share of a capacity or window that may be missing: a timer set for it must find it there."""


class Layer(Protocol):
    """A limit on one unit."""

    unit: int
    """Position of the unit in a `Charge`."""

    def wait_s(self, charge: Charge, now_s: float) -> float:
        """Return the seconds until `charge` may be taken; 0 where it may be now."""

    def backlog_s(self, amount: float, now_s: float) -> float:
        """Return the seconds until `amount`, however large, will have been taken in portions."""

    def take(self, charge: Charge) -> None:
        """Take `charge` for which there is nothing to wait."""

    def give(self, amount: float) -> None:
        """Return an amount that was taken; take more where it is negative."""


class Bucket:
    """A level that rises steadily up to a capacity.

    Args:
        unit: position in a `Charge`.
        rate_per_s: how fast it rises.
        capacity: how high.
        now_s: when it starts, full.
    """

    __slots__ = ("_at_s", "capacity", "level", "rate_per_s", "unit")

    def __init__(self, unit: int, rate_per_s: float, capacity: float, now_s: float) -> None:
        self.unit, self.rate_per_s, self.capacity = unit, rate_per_s, capacity
        self.level, self._at_s = capacity, now_s

    def refill(self, now_s: float) -> None:
        """Let the level rise until `now_s`."""
        elapsed_s = now_s - self._at_s
        if elapsed_s:
            self._at_s = now_s
        if elapsed_s > 0.0:
            level = self.level + elapsed_s * self.rate_per_s
            self.level = level if level < self.capacity else self.capacity

    def wait_s(self, charge: Charge, now_s: float) -> float:
        """Return the seconds until `charge` may be taken; 0 where it may be now."""
        # As `refill` does: a call saved on the way of every reservation.
        elapsed_s = now_s - self._at_s
        if elapsed_s:
            self._at_s = now_s
            if elapsed_s > 0.0:
                level = self.level + elapsed_s * self.rate_per_s
                self.level = level if level < self.capacity else self.capacity
        missing = charge[self.unit] - self.level
        if missing <= 0.0:
            return 0.0
        missing = min(missing, self.capacity - self.level)
        return missing / self.rate_per_s if missing > _ROUNDING * self.capacity else 0.0

    def backlog_s(self, amount: float, now_s: float) -> float:
        """Return the seconds until `amount`, however large, will have been taken in portions."""
        self.refill(now_s)
        return max(0.0, amount - self.level) / self.rate_per_s

    def take(self, charge: Charge) -> None:
        """Take `charge` for which there is nothing to wait."""
        self.level -= charge[self.unit]

    def give(self, amount: float) -> None:
        """Return an amount that was taken; take more where it is negative."""
        level = self.level + amount
        self.level = level if level < self.capacity else self.capacity

    def lower_to(self, level: float) -> None:
        """Let there be no more than `level`."""
        self.level = min(self.level, level)

    def reshape(self, rate_per_s: float, capacity: float, now_s: float) -> None:
        """Take another rate and capacity from now on; a debt stays one."""
        self.refill(now_s)
        self.rate_per_s, self.capacity = rate_per_s, capacity
        self.level = min(self.level, capacity)

    def __repr__(self) -> str:
        return f"Bucket({self.level:.0f} of {self.capacity:.0f}, {self.rate_per_s:.1f}/s)"


class UnseenBucket(Bucket):
    """A bucket of somebody else's, of which only refusals tell; it starts empty.

    What was charged is known only nearly, so ours lags behind theirs: something must be left beside
    a charge, and a debt costs a little more than it is. Where both are full they agree again.

    Args:
        unit: position in a `Charge`.
        rate_per_s: how fast it rises.
        capacity: how high theirs rises.
        now_s: when it starts.
        doubt: how far a charge may be from what is known of it, as a share.
    """

    __slots__ = ("_doubt", "_slack")

    def __init__(
        self, unit: int, rate_per_s: float, capacity: float, now_s: float, doubt: float
    ) -> None:
        lag = doubt * capacity
        super().__init__(unit, rate_per_s, capacity + lag, now_s)
        self._doubt, self._slack, self.level = doubt, 2.0 * lag, 0.0

    def wait_s(self, charge: Charge, now_s: float) -> float:
        """Return the seconds until `charge` may be taken; 0 where it may be now."""
        self.refill(now_s)
        needed = min(charge[self.unit] + self._slack, self.capacity)
        missing = needed - self.level
        return missing / self.rate_per_s if missing > _ROUNDING * self.capacity else 0.0

    def take(self, charge: Charge) -> None:
        """Take `charge` for which there is nothing to wait."""
        super().take(charge)
        if self.level < 0.0:
            self.level *= 1.0 + self._doubt


class Window:
    """An amount that may be used up in every window of a fixed length.

    What a window does not use is lost when it ends, so calls behind one that does not fit may go
    first without delaying it.

    Args:
        unit: position in a `Charge`.
        length_s: from one start to the next.
        start_s: when any one of the windows starts.
        amount: what fits one window.
        guard_s: how long after a start and before an end nothing is sent, since neither a start
            nor the way to the provider is known exactly.
    """

    __slots__ = ("_number", "amount", "guard_s", "length_s", "start_s", "unit", "used")

    def __init__(
        self, unit: int, *, length_s: float, start_s: float, amount: float, guard_s: float
    ) -> None:
        self.unit, self.length_s, self.start_s = unit, length_s, start_s
        self.amount, self.guard_s = amount, guard_s
        self.used, self._number = 0.0, -1.0

    def wait_s(self, charge: Charge, now_s: float) -> float:
        """Return the seconds until `charge` may be taken; 0 where it may be now."""
        into_s = self._enter(now_s)
        fits = self.used <= 0.0 or self.used + charge[self.unit] <= self.amount
        if not fits or into_s > self.length_s - self.guard_s:
            return self.length_s - into_s + self.guard_s
        early_s = self.guard_s - into_s
        return early_s if early_s > _ROUNDING * self.length_s else 0.0

    def backlog_s(self, amount: float, now_s: float) -> float:
        """Return the seconds until `amount`, however large, will have been taken in portions."""
        self._enter(now_s)
        return max(0.0, self.used + amount - self.amount) / self.amount * self.length_s

    def take(self, charge: Charge) -> None:
        """Take `charge` for which there is nothing to wait."""
        self.used += charge[self.unit]

    def give(self, amount: float) -> None:
        """Return an amount that was taken; take more where it is negative."""
        self.used -= amount

    def room(self, now_s: float) -> float:
        """Return how much may be taken now."""
        into_s = self._enter(now_s)
        early = self.guard_s - into_s > _ROUNDING * self.length_s
        return 0.0 if early or into_s > self.length_s - self.guard_s else self.amount - self.used

    def fill(self, now_s: float) -> None:
        """Let nothing be left of the window of `now_s`."""
        self._enter(now_s)
        self.used = max(self.used, self.amount)

    def _enter(self, now_s: float) -> float:
        """Start the window of `now_s` unless it has been; return how far into it that is."""
        number, into_s = divmod(now_s - self.start_s, self.length_s)
        if number != self._number:
            # What one window took too much of is a debt of the next.
            passed = max(0.0, number - self._number)
            self.used = max(0.0, self.used - passed * self.amount)
            self._number = number
        return into_s

    def __repr__(self) -> str:
        return f"Window({self.used:.0f} of {self.amount:.0f} in {self.length_s:g} s)"
