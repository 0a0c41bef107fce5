"""The levels of a key's limits in this process: the `LimitStore` of a limiter that shares none.

It answers at once. Where levels are shared it is the limiter's copy of them, by which it knows how
long calls will wait without asking.

One owner at a time; stamps are the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.policy.limits.layers import Bucket
from accel_core.policy.limits.limit_store import Reserved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.policy.limits.charge import Charge
    from accel_core.policy.limits.limit_store import Limit

_AT_ONCE = Reserved(0.0)


class Levels:
    """A bucket for each limit.

    Attributes:
        buckets: in the order in which their limits were told.
        closed_until_s: nothing is taken before.
    """

    def __init__(self) -> None:
        self.buckets: tuple[Bucket, ...] = ()
        self.closed_until_s = float("-inf")
        self._named: dict[tuple[int, float], Bucket] = {}
        self._limits: tuple[Limit, ...] = ()
        self._share = 1.0

    def shape(self, limits: Sequence[Limit], now_s: float) -> None:
        """See `LimitStore.shape`."""
        self._limits = tuple(limits)
        self._reshape(now_s)
        for limit, bucket in zip(limits, self.buckets, strict=True):
            bucket.lower_to(limit.at_most * self._share)

    def reserve(self, charge: Charge, now_s: float, max_wait_s: float) -> Reserved:
        """See `LimitStore.reserve`."""
        wait_s = 0.0
        for bucket in self.buckets:
            if (bucket_s := bucket.wait_s(charge, now_s)) > wait_s:
                wait_s = bucket_s
        if self.closed_until_s > now_s + wait_s:
            wait_s = self.closed_until_s - now_s
        if wait_s <= max_wait_s:
            for bucket in self.buckets:
                bucket.level -= charge[bucket.unit]
        return Reserved(wait_s) if wait_s else _AT_ONCE

    def settle(self, held: Charge, charged: Charge) -> None:
        """See `LimitStore.settle`."""
        for bucket in self.buckets:
            given = held[bucket.unit] - charged[bucket.unit]
            if given:
                bucket.give(given)

    def hold_off(self, until_s: float, now_s: float) -> None:  # noqa: ARG002  # the port's
        """See `LimitStore.hold_off`."""
        self.closed_until_s = max(self.closed_until_s, until_s)

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def assume(self, levels: Sequence[float], now_s: float, share: float = 1.0) -> None:
        """Take over the `levels` that a shared store told, of this `share` of each limit."""
        if share != self._share:
            self._share = share
            self._reshape(now_s)
        for bucket, level in zip(self.buckets, levels, strict=False):
            bucket.refill(now_s)
            bucket.level = min(level, bucket.capacity)

    def _reshape(self, now_s: float) -> None:
        known, self._named = self._named, {}
        for limit in self._limits:
            name = limit.unit, limit.per_s
            rate_per_s, amount = limit.rate_per_s * self._share, limit.amount * self._share
            bucket = known.get(name)
            if bucket is None:
                bucket = Bucket(limit.unit, rate_per_s, amount, now_s)
            else:
                bucket.reshape(rate_per_s, amount, now_s)
            self._named[name] = bucket
        self.buckets = tuple(self._named.values())
