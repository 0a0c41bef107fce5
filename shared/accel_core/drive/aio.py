"""The asyncio colour: flows carried out on the running loop, which is never blocked.

What blocks goes to a worker thread of this module's own pool (the loop's default pool may be full
of the application's work). Cancelling a caller abandons its wait, never the work of another.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from accel_core.drive.flight import DECLINED
from accel_core.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

    from accel_core.drive.flight import Flight
    from accel_core.ports import Sensor, Vector

T = TypeVar("T")

_WORKERS = 8


@functools.cache
def _pool(pid: int) -> ThreadPoolExecutor:  # noqa: ARG001 - one pool per process: forks get their own
    return ThreadPoolExecutor(_WORKERS, thread_name_prefix="accel-io")


def needs_asyncio(what: str) -> None:
    """Raise where no loop of asyncio runs, such as under trio.

    Raises:
        UnsupportedError: none does; it names `what` needs one.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise UnsupportedError(
            f"{what} waits on asyncio's event loop, and none runs here (trio?): make the call "
            "under asyncio, or with a sync client in a worker thread"
        ) from None


_spawned: set[asyncio.Task[None]] = set()


def start(flow: Coroutine[Any, Any, None]) -> Callable[[], object]:
    """Run `flow` as a task that outlives its caller, and return what stops it.

    Keep what is returned for as long as the flow is wanted: a loop alone does not keep its tasks.
    """
    task = asyncio.get_running_loop().create_task(flow)

    def stop() -> None:
        # A loop that was closed carries nothing out any more.
        with contextlib.suppress(RuntimeError):
            task.cancel()

    return stop


async def in_own_thread(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call a blocking `function` in a thread of its own, in the caller's context.

    Cancelled, the thread is left to end. Neither the loop's end nor the process's waits for it, as
    they would for a thread of a pool, and it takes none from work that somebody waits for.
    """
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()
    in_context = functools.partial(contextvars.copy_context().run, function, *args, **kwargs)

    def job() -> None:
        try:
            done.set_result(in_context())
        except BaseException as error:  # told where it is awaited
            done.set_exception(error)

    threading.Thread(target=job, name="accel-spawned", daemon=True).start()
    return await asyncio.wrap_future(done)


class AsyncIo:
    """Waits on the running loop."""

    def owner(self) -> Hashable:
        """Return who is calling, for single flight: this task."""
        return id(asyncio.current_task())

    def may_wait(self) -> bool:
        """Whether the caller may wait: a task always may."""
        return True

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call a blocking `function` in a worker thread, in the caller's context."""
        job = functools.partial(contextvars.copy_context().run, function, *args)
        return await asyncio.get_running_loop().run_in_executor(_pool(os.getpid()), job)

    async def wait(self, future: Future[T], timeout_s: float) -> T:
        """Await the result of `future`; cancel it and raise TimeoutError after `timeout_s`."""
        # Not `asyncio.wait_for`: before Python 3.12 it swallows a cancellation that comes just as
        # the result does.
        async with asyncio.timeout(timeout_s):
            return await asyncio.wrap_future(future)

    async def join(self, flight: Flight, timeout_s: float) -> Any:
        """Wait until `flight` lands; `DECLINED` when `timeout_s` passed first."""
        try:
            return await self.wait(flight.follow(), timeout_s)
        except TimeoutError:
            return DECLINED

    async def sense(self, sensor: Sensor, text: str) -> Vector | str:
        """Judge and encode `text` off the loop."""
        return await self.call(sensor.distrust, text) or await sensor.aencode_one(text)

    def signal(self) -> AsyncSignal:
        """Return a signal that the running task can wait for."""
        return AsyncSignal()

    def spawn(
        self, flow: Coroutine[Any, Any, None], ended: Callable[[], None]
    ) -> Callable[[], bool]:
        """Carry out `flow` in a task of the running loop, and end with it at the latest."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(flow)
        # A loop holds its tasks weakly.
        _spawned.add(task)
        task.add_done_callback(_spawned.discard)
        # Not in the flow: a task that is cancelled before it begins runs nothing of it.
        task.add_done_callback(lambda _: ended())

        def stop() -> bool:
            # A loop that was closed carries nothing out any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)
            return True

        return stop

    def carrier(self) -> Callable[[], bool]:
        """Return what says whether the loop that runs now still does."""
        loop = asyncio.events._get_running_loop()  # noqa: SLF001 - None, not raised
        return loop.is_running if loop is not None else lambda: True

    def later(self, delay_s: float, call: Callable[[], object]) -> Callable[[], object]:
        """Call `call` on the running loop in `delay_s` seconds, unless prevented."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(delay_s, call)

        def prevent() -> None:
            # A loop that was closed calls nothing any more.
            with contextlib.suppress(RuntimeError):
                mine = asyncio.events._get_running_loop() is loop  # noqa: SLF001 - None, not raised
                if mine:
                    timer.cancel()
                else:
                    loop.call_soon_threadsafe(timer.cancel)

        return prevent


class AsyncSignal:
    """Wakes a task of the loop it was made on, from any thread."""

    __slots__ = ("_event", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def set(self) -> None:
        """Wake the task, now or when it next waits."""
        # A loop that was closed has nobody left to wake.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, timeout_s: float) -> None:
        """Wait until it is set, for `timeout_s` at most, and clear it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        self._event.clear()
