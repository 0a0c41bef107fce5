"""What is carried out beside its caller, and what becomes of it when it is stopped."""

from __future__ import annotations

import asyncio
import threading

from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.tenancy import current, tenant

WAIT_S = 20.0  # never reached by a test that passes


async def test_a_task_that_is_stopped_from_another_thread_ends_where_it_waits() -> None:
    """Whoever holds what stops a flow need not be on its loop."""
    began, ended = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def flow() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    stop = AsyncIo().spawn(flow(), ended.set)
    await began.wait()
    stoppable = await asyncio.to_thread(stop)
    await asyncio.wait_for(ended.wait(), WAIT_S)
    assert stoppable
    assert seen == ["cancelled"]


async def test_a_task_that_is_stopped_before_it_begins_has_ended() -> None:
    """What waits for its end is told, though nothing of the flow ran; stopping again is nothing."""
    ended = asyncio.Event()
    ran: list[str] = []

    async def flow() -> None:
        ran.append("ran")

    stop = AsyncIo().spawn(flow(), ended.set)
    task = next(one for one in asyncio.all_tasks() if one is not asyncio.current_task())
    task.cancel()
    await asyncio.wait_for(ended.wait(), WAIT_S)
    assert stop()
    assert ran == []


def test_stopping_a_task_of_a_loop_that_is_closed_is_nothing() -> None:
    """What stopped a flow may outlive the loop that carried it out."""

    async def begin() -> object:
        async def flow() -> None:
            pass

        return AsyncIo().spawn(flow(), lambda: None)

    stop = asyncio.run(begin())
    assert callable(stop)
    assert stop()


def test_a_thread_that_is_stopped_says_no_and_goes_on_to_its_end() -> None:
    """In the blocking colour nothing is cut off, and its caller knows; context is the caller's."""
    let_go, ended = threading.Event(), threading.Event()
    seen: list[object] = []

    async def flow() -> None:
        assert let_go.wait(WAIT_S)
        asking = current()
        seen.append(asking and asking.id)

    with tenant("acme"):
        stop = BlockingIo().spawn(flow(), ended.set)
    assert not stop()
    assert not ended.is_set()
    let_go.set()
    assert ended.wait(WAIT_S)
    assert seen == ["acme"]
