"""The blocking colour: flows carried out in the calling thread.

A flow is an ``async def`` over an `Io`. Here no method of `Io` ever suspends, so one step runs the
flow to its end; a port that does suspend is a bug and is reported as one, loudly.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from accel_core.drive.flight import DECLINED

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable
    from concurrent.futures import Future

    from accel_core.drive.flight import Flight
    from accel_core.ports import Sensor, Vector

T = TypeVar("T")


def run(flow: Coroutine[Any, Any, T]) -> T:
    """Carry out `flow` without an event loop and return its result."""
    try:
        flow.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    flow.close()
    raise RuntimeError(f"{flow!r} awaited something that suspends, in blocking code")


def start(flow: Coroutine[Any, Any, None]) -> Callable[[], object]:
    """Carry out `flow` in the calling thread, to its end; there is nothing left to stop."""
    run(flow)
    return lambda: None


def is_mine(lock: Any) -> bool:
    """Whether the calling thread holds `lock`, an RLock.

    Garbage is collected in the midst of anything: what it ends must not take a lock that is held
    around it.
    """
    mine: bool = lock._is_owned()  # noqa: SLF001 - what threading.Condition asks
    return mine


class BlockingIo:
    """Waits in the calling thread."""

    def owner(self) -> Hashable:
        """Return who is calling, for single flight: this thread."""
        return threading.get_ident()

    def may_wait(self) -> bool:
        """Whether this thread may block: not while it runs an event loop."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return True
        return False

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call a blocking `function`."""
        return function(*args)

    async def wait(self, future: Future[T], timeout_s: float) -> T:
        """Return the result of `future`; cancel it and raise TimeoutError after `timeout_s`."""
        try:
            return future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise

    async def join(self, flight: Flight, timeout_s: float) -> Any:
        """Wait until `flight` lands; `DECLINED` when `timeout_s` passed first."""
        try:
            return await self.wait(flight.follow(), timeout_s)
        except TimeoutError:
            return DECLINED

    async def sense(self, sensor: Sensor, text: str) -> Vector | str:
        """Judge and encode `text` in this thread."""
        return sensor.distrust(text) or sensor.encode_one(text)

    def signal(self) -> BlockingSignal:
        """Return a signal that this thread can wait for."""
        return BlockingSignal()

    def spawn(
        self, flow: Coroutine[Any, Any, None], ended: Callable[[], None]
    ) -> Callable[[], bool]:
        """Carry out `flow` in a thread of its own, which no exit of the process waits for."""

        def job() -> None:
            try:
                run(flow)
            finally:
                ended()

        in_context = functools.partial(contextvars.copy_context().run, job)
        threading.Thread(target=in_context, name="accel-spawned", daemon=True).start()
        return lambda: False

    def carrier(self) -> Callable[[], bool]:
        """Return what says that a thread goes on."""
        return lambda: True

    def later(self, delay_s: float, call: Callable[[], object]) -> Callable[[], object]:  # noqa: ARG002
        """Do nothing: no thread can be stopped, so there is nothing to do later."""
        return lambda: None


class BlockingSignal:
    """Wakes a thread."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Wake the thread, now or when it next waits."""
        self._event.set()

    async def wait(self, timeout_s: float) -> None:
        """Wait until it is set, for `timeout_s` at most, and clear it."""
        self._event.wait(min(timeout_s, threading.TIMEOUT_MAX))
        self._event.clear()
