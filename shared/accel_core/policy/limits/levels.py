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
    """

    def __init__(self) -> None:
        self.buckets: tuple[Bucket, ...] = ()
        self._named: dict[tuple[int, float], Bucket] = {}

    def shape(self, limits: Sequence[Limit], now_s: float) -> None:
        """See `LimitStore.shape`."""
        known, self._named = self._named, {}
        for limit in limits:
            name = limit.unit, limit.per_s
            bucket = known.get(name)
            if bucket is None:
                bucket = Bucket(limit.unit, limit.rate_per_s, limit.amount, now_s)
            else:
                bucket.reshape(limit.rate_per_s, limit.amount, now_s)
            bucket.lower_to(limit.at_most)
            self._named[name] = bucket
        self.buckets = tuple(self._named.values())

    def reserve(self, charge: Charge, now_s: float, max_wait_s: float) -> Reserved:
        """See `LimitStore.reserve`."""
        wait_s = 0.0
        for bucket in self.buckets:
            if (bucket_s := bucket.wait_s(charge, now_s)) > wait_s:
                wait_s = bucket_s
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

    def assume(self, levels: Sequence[float], now_s: float) -> None:
        """Take over the `levels` that a shared store told."""
        for bucket, level in zip(self.buckets, levels, strict=False):
            bucket.refill(now_s)
            bucket.level = min(level, bucket.capacity)
