"""The loop in virtual time: its clock, its order, threads that wake it, and deadlocks."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from accel_core.drive import virtual_time
from accel_core.drive.virtual_time import DeadlockError


def test_time_jumps_to_the_next_timer() -> None:
    """An hour of sleep takes no time, and the clock says when each timer was due."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        seen = [loop.time()]
        loop.call_at(7.25, lambda: seen.append(loop.time()))
        await asyncio.sleep(3_600)
        return [*seen, loop.time()]

    began = time.monotonic()
    assert virtual_time.run(main(), start_s=5.0) == [5.0, 7.25, 3_605.0]
    assert time.monotonic() - began < 5


def test_longest_wait() -> None:
    """A timer farther away than a loop sleeps at once is met all the same."""

    async def main() -> float:
        await asyncio.sleep(300_000)
        return asyncio.get_running_loop().time()

    assert virtual_time.run(main()) == 300_000


@pytest.mark.parametrize("far_s", [2e7, 1e9, 9.9e10])
def test_timer_of_another_century_is_due(far_s: float) -> None:
    """Where a clock's numbers are too coarse for nanoseconds, waiting ends all the same."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        woken = threading.Timer(10.0, loop.call_soon_threadsafe, [loop.stop])
        woken.start()  # for the case that it does not
        for wait_s in (far_s, 0.1, 1e-9):
            await asyncio.sleep(wait_s)
        woken.cancel()
        return loop.time()

    assert virtual_time.run(main()) == pytest.approx(far_s + 0.1, abs=1e-3)


def test_order_is_that_of_the_timers() -> None:
    """Timers run in the order of their moments; what is ready runs before the clock moves."""

    async def main() -> list[str]:
        seen: list[str] = []

        async def note(name: str, delay_s: float) -> None:
            await asyncio.sleep(delay_s)
            seen.append(f"{name}@{asyncio.get_running_loop().time():g}")

        await asyncio.gather(note("c", 3), note("a", 1), note("b", 2), note("now", 0))
        return seen

    assert virtual_time.run(main()) == ["now@0", "a@1", "b@2", "c@3"]


def test_timeouts() -> None:
    """A timeout ends what takes longer, at its moment."""

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert virtual_time.run(main()) == 2.5


def test_executors_stop_the_clock() -> None:
    """Work in a thread is waited for, and takes no virtual time, whatever timers are set."""

    async def main() -> tuple[float, str]:
        loop = asyncio.get_running_loop()
        loop.call_later(0.001, lambda: None)
        gate = threading.Event()
        threading.Timer(0.05, gate.set).start()
        await asyncio.to_thread(gate.wait)
        return loop.time(), "done"

    assert virtual_time.run(main()) == (0.0, "done")


def test_called_from_a_thread() -> None:
    """A thread that calls the loop is heard although the loop has nothing else to wait for."""

    async def main() -> str:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        timer = threading.Timer(0.05, lambda: loop.call_soon_threadsafe(future.set_result, "heard"))
        timer.start()
        return await future

    assert virtual_time.run(main()) == "heard"


def test_deadlock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that nobody can wake says so instead of hanging."""

    async def main() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(virtual_time, "_PATIENCE_S", 0.01)
    with pytest.raises(DeadlockError, match="no timer is set"):
        virtual_time.run(main())


def test_what_threads_would_do_is_done_at_once_where_none_are_wanted() -> None:
    """In the loop's own thread, errors included."""

    async def scenario() -> tuple[int, str]:
        loop = asyncio.get_running_loop()
        ran_in = await loop.run_in_executor(None, threading.get_ident)
        try:
            await loop.run_in_executor(None, int, "x")
        except ValueError as error:
            return ran_in, type(error).__name__
        return ran_in, ""

    assert virtual_time.run(scenario(), threads=False) == (threading.get_ident(), "ValueError")
