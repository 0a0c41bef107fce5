"""Waiting, in a task, for what another task or thread computes."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

import pytest

from accel_core.drive.aio import AsyncIo
from accel_core.drive.flight import DECLINED, Flight

LONG_S = 20.0


async def test_who_is_cancelled_just_as_the_flight_lands_is_cancelled() -> None:
    """Else a caller that gave up, or ran out of time, would go on with what came of it."""
    flight = Flight(b"key", "leader", 0.0, 0)
    follower = asyncio.create_task(AsyncIo().join(flight, LONG_S))
    for _ in range(3):
        await asyncio.sleep(0)
    flight.land("answer")
    await asyncio.sleep(0)  # the follower's future has the answer, the follower has not run
    follower.cancel()
    with pytest.raises(asyncio.CancelledError):
        await follower


async def test_a_flight_is_waited_for_no_longer_than_said() -> None:
    """Who waits is told what landed, before or meanwhile, and leaves when the time is over."""
    flight, io = Flight(b"key", "leader", 0.0, 0), AsyncIo()
    assert await io.join(flight, 0.0) is DECLINED
    assert await io.join(flight, 0.001) is DECLINED
    follower = asyncio.create_task(io.join(flight, LONG_S))
    await asyncio.sleep(0)
    flight.land("answer")
    assert await follower == "answer"
    assert await io.join(flight, LONG_S) == "answer"


async def test_a_future_that_took_too_long_is_cancelled() -> None:
    """Whoever works for it can see that nobody waits."""
    future: Future[None] = Future()
    with pytest.raises(TimeoutError):
        await AsyncIo().wait(future, 0.001)
    assert future.cancelled()
