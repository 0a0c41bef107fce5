"""Levels on a server, as several processes would share them: what tests share a limit by.

A round trip is one call of `Server.script`: it takes the limits, what came back since, and a
charge, all at once, by the server's own clock. What a network does to it, delay and failure, is
done by who calls (`DistantIo`, `SteppedIo`) and by `Server.away`.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.policy.limits.layers import Bucket
from accel_core.policy.limits.limit_store import Reserved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from accel_core.policy.limits.charge import Charge
    from accel_core.policy.limits.limit_store import Limit
    from accel_core.testing.doubles import ManualClock

T = TypeVar("T")

_AHEAD_S = 5_000.0
"""How far the server's clock is ahead of its clients'."""


class Server:
    """Keeps the levels.

    Attributes:
        asked: round trips so far.
        away: what every round trip raises; None: it is there.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = lambda: now() + _AHEAD_S
        self._lock = threading.Lock()
        self._buckets: dict[tuple[int, float], Bucket] = {}
        self._closed_until_s = float("-inf")
        self.asked = 0
        self.away: Exception | None = None

    def script(
        self,
        limits: Sequence[Limit],
        given: Sequence[float],
        charge: Charge,
        max_wait_s: float,
        closed_s: float = 0.0,
    ) -> Reserved:
        with self._lock:
            self.asked += 1
            if self.away is not None:
                raise self.away
            now_s = self._now()
            buckets = [self._bucket(limit, now_s) for limit in limits]
            for bucket in buckets:
                bucket.give(given[bucket.unit])
            self._closed_until_s = max(self._closed_until_s, now_s + closed_s)
            closed_s = self._closed_until_s - now_s
            wait_s = max([closed_s, *(bucket.wait_s(charge, now_s) for bucket in buckets)])
            if wait_s <= max_wait_s:
                for bucket in buckets:
                    bucket.take(charge)
            return Reserved(wait_s, tuple(bucket.level for bucket in buckets))

    def _bucket(self, limit: Limit, now_s: float) -> Bucket:
        name = limit.unit, limit.per_s
        if name not in self._buckets:
            self._buckets[name] = Bucket(limit.unit, limit.rate_per_s, limit.amount, now_s)
        bucket = self._buckets[name]
        bucket.reshape(limit.rate_per_s, limit.amount, now_s)
        bucket.lower_to(limit.at_most)
        return bucket


class RemoteLevels:
    """One process's handle on them."""

    def __init__(self, server: Server) -> None:
        self._server, self._lock = server, threading.Lock()
        self._limits: list[Limit] = []
        self._given = [0.0] * 4
        self._closed_s = 0.0

    def shape(self, limits: Sequence[Limit], now_s: float) -> None:
        with self._lock:
            self._limits = list(limits)

    def reserve(self, charge: Charge, now_s: float, max_wait_s: float) -> Reserved:
        with self._lock:
            limits, given, self._given = self._limits, self._given, [0.0] * 4
            closed_s, self._closed_s = self._closed_s, 0.0
            self._limits = [limit._replace(at_most=float("inf")) for limit in limits]
        try:
            return self._server.script(limits, given, charge, max_wait_s, closed_s)
        except Exception:
            self._give(given)
            raise

    def hold_off(self, until_s: float, now_s: float) -> None:
        self._closed_s = until_s - now_s

    def close(self) -> None: ...

    def settle(self, held: Charge, charged: Charge) -> None:
        self._give([was - used for was, used in zip(held, charged, strict=True)])

    def _give(self, given: Sequence[float]) -> None:
        with self._lock:
            self._given = [one + more for one, more in zip(self._given, given, strict=True)]


class DistantIo(AsyncIo):
    """Carries calls out over a wire, in virtual time."""

    def __init__(self, round_trip_s: float) -> None:
        self._way_s = round_trip_s / 2

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        await asyncio.sleep(self._way_s)
        result = function(*args)
        await asyncio.sleep(self._way_s)
        return result


class SteppedIo(BlockingIo):
    """Carries calls out over a wire, and waits, by moving a clock on; of either colour."""

    def __init__(self, clock: ManualClock, round_trip_s: float = 0.0) -> None:
        self._clock, self._way_s = clock, round_trip_s / 2

    def may_wait(self) -> bool:
        return True

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        self._clock.advance(self._way_s)
        result = function(*args)
        self._clock.advance(self._way_s)
        return result

    def signal(self) -> Any:
        return _SteppedSignal(self._clock)


class _SteppedSignal:
    def __init__(self, clock: ManualClock) -> None:
        self._clock, self._is_set = clock, False

    def set(self) -> None:
        self._is_set = True

    async def wait(self, timeout_s: float) -> None:
        if not self._is_set:
            self._clock.advance(timeout_s)
        self._is_set = False
