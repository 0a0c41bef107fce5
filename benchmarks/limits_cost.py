"""What reserving and settling cost a caller where there is room: microseconds of real time."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.harness import Measured, Row
from benchmarks.limits_ours import reserve_and_settle
from benchmarks.timing import ratio, timed

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.harness import Context


def _aiolimiter(calls: int) -> float:
    from aiolimiter import AsyncLimiter

    async def run() -> float:
        limiter = AsyncLimiter(1e12, 60)
        began = perf_counter()
        for _ in range(calls):
            await limiter.acquire(1)
        return perf_counter() - began

    return asyncio.run(run())


def cost(context: Context) -> Measured:
    call: Callable[[], object] = reserve_and_settle()
    found = ratio(timed(call), _aiolimiter, rounds=context.pick(21, 5), calls=10_000)
    peer = f"aiolimiter (one dimension, no settling) {1e6 * found.peer_s:.2f} µs"
    return Measured(1e6 * found.ours_s, f"{peer}; ratio {found.value:.2f}")


ROWS = [
    Row(
        name="reserve-cost",
        what="reserve + settle of three dimensions with room, µs",
        op="<=",
        bound=3,
        measure=cost,
    ),
]
