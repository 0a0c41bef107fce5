"""A limit as a provider's headers show it, which is how others' use of the same key is seen.

A response says what remained when its request was admitted. Since then the limit refilled, our
later requests took from it, and so did others; what others take is the part of the refill that does
not arrive from one response to the next. The view is a layer beside our own ledger, and both must
have room: a header can therefore hold us back, never let us exceed what we know of ourselves.
Absurd headers are bounded the same way.

Refill rates are not estimated from headers: that was tried and collapsed to half the throughput on
providers that refill in steps. Others' share only lowers the level between two responses, and every
response sets the level anew.
"""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING

from accel_core.policy.limits.layers import Bucket

if TYPE_CHECKING:
    from accel_core.policy.limits.charge import Amounts, Charge

_MEMORY_S = 8.0
"""How long others' use is remembered: within that, one who starts or stops is noticed."""
_NEVER_BELOW = 0.05
"""Share of the rate that is left to us whatever others seem to use."""
_FLOOR = 0.01
_HIGHEST_FLOOR = 0.10
_FLOOR_MEMORY_S = 120.0
_MISCOUNTED = 0.1
"""How far below nothing others' share may seem: counts differ, and a new window refills at once."""
_COUNTABLE = 5.0
"""Units that must have been refilled since, for a header that rounds to say anything."""
_BRIEF_S = 0.25
"""Two responses nearer than this are too near to tell use from miscounting."""


class HeaderView(Bucket):
    """The level of one limit, as the last headers and what happened since make it.

    Args:
        unit: position in a `Charge`.
        rate_per_s: how fast the provider refills it.
        capacity: the limit itself.
        now_s: when the first header was read.
    """

    __slots__ = ("_floor", "_floor_s", "_full_rate_per_s", "_of_others", "_seen", "_seen_s")

    def __init__(self, unit: int, rate_per_s: float, capacity: float, now_s: float) -> None:
        super().__init__(unit, rate_per_s, capacity, now_s)
        self._full_rate_per_s = rate_per_s
        self._of_others = 0.0
        self._floor, self._floor_s = _FLOOR * capacity, now_s
        self._seen: tuple[float, float] | None = None
        self._seen_s = float("-inf")

    @property
    def share_of_others(self) -> float:
        """The share of the rate that others seem to use, in [0, 1]."""
        return max(0.0, self._of_others)

    def see(
        self, sent_s: float, sent_total: Amounts, remaining: float, total: Amounts, now_s: float
    ) -> None:
        """Take the level from a response, unless that to a later request was seen before.

        Args:
            sent_s: when its request was sent.
            sent_total: all that was granted up to and including it.
            remaining: what its provider says was left.
            total: all that has been granted by now.
            now_s: when it was received.
        """
        if sent_s <= self._seen_s:
            return
        remaining = max(0.0, min(remaining, self.capacity))
        used = sent_total[self.unit]
        self._note_others(sent_s, used, remaining)
        self.refill(now_s)
        refilled = self.rate_per_s * max(0.0, now_s - sent_s)
        ours = total[self.unit] - used
        self.level = min(self.capacity, remaining + refilled - ours - self._floor_at(now_s))

    def refused(self, charge: Charge, now_s: float) -> None:
        """Learn from a refusal that there was less than this view said."""
        self.refill(now_s)
        floor = self._floor_at(now_s) + charge[self.unit] / 2
        self._floor = min(_HIGHEST_FLOOR * self.capacity, floor)
        self.level = min(self.level, charge[self.unit] / 2)

    def _floor_at(self, now_s: float) -> float:
        """Return what is kept back for what cannot be known; a refusal raises it for a while."""
        least = _FLOOR * self.capacity
        fading = exp(min(0.0, self._floor_s - now_s) / _FLOOR_MEMORY_S)
        self._floor, self._floor_s = least + (self._floor - least) * fading, now_s
        return self._floor

    def _note_others(self, sent_s: float, used: float, remaining: float) -> None:
        """Compare with the last response what should have remained with what did."""
        if self._seen is not None:
            passed_s = sent_s - self._seen_s
            if passed_s < _BRIEF_S or passed_s * self._full_rate_per_s < _COUNTABLE:
                return
            last_remaining, last_used = self._seen
            refilled = min(self.capacity, last_remaining + passed_s * self._full_rate_per_s)
            theirs = refilled - (used - last_used) - remaining
            share = max(-_MISCOUNTED, min(1.0, theirs / (passed_s * self._full_rate_per_s)))
            weight = 1.0 - exp(-passed_s / _MEMORY_S)
            self._of_others += weight * (share - self._of_others)
            left = max(_NEVER_BELOW, 1.0 - max(0.0, self._of_others))
            self.rate_per_s = self._full_rate_per_s * left
        self._seen, self._seen_s = (remaining, used), sent_s
