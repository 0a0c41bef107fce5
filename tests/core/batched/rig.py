"""What tests of `batched` share: a function of lists that can be held, and its callers."""

from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from accel_core.batched import batched

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.drive.gathering import Gathering

WAIT_S = 20.0  # never reached by a test that passes
LONG_S = 1000.0  # how long a line waits in tests in which nothing may hang on it


class Backend:
    """A function of a list that stays inside until it is let go; says with what it was entered."""

    def __init__(self) -> None:
        self.entered: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
        self._gate = threading.Semaphore(0)
        self.answer: Callable[[list[Any]], Any] = lambda items: [f"<{item}>" for item in items]

    def call(self, items: list[Any]) -> Any:
        self.entered.put(list(items))
        assert self._gate.acquire(timeout=WAIT_S)
        return self.answer(items)

    async def acall(self, items: list[Any]) -> Any:
        self.entered.put(list(items))
        while not self._gate.acquire(blocking=False):
            await asyncio.sleep(0.001)
        return self.answer(items)

    def let_go(self, calls: int = 1) -> None:
        self._gate.release(calls)

    def batch(self) -> list[Any]:
        return self.entered.get(timeout=WAIT_S)

    @property
    def idle(self) -> bool:
        return self.entered.empty()


class Threads:
    """Callers that are threads."""

    def __init__(self, threads: int = 10) -> None:
        self._pool = ThreadPoolExecutor(threads)

    def wrap(self, backend: Backend, **limits: Any) -> Any:
        return batched(backend.call, **limits)

    def ask(self, function: Any, items: Any) -> Future[Any]:
        return self._pool.submit(function, items)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class Tasks:
    """Callers that are tasks of one loop, in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def wrap(self, backend: Backend, **limits: Any) -> Any:
        return batched(backend.acall, **limits)

    def ask(self, function: Any, items: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(function(items), self.loop)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(WAIT_S)
        self.loop.close()


def lined_up(function: Any, count: int) -> None:
    """Return once `count` items stand in line."""
    shared = _shared(function)
    for _ in range(int(WAIT_S * 1000)):
        gatherings = [shared._threads, *shared._loops.values()]
        groups = [group for one in gatherings for group in list(one._groups.values())]
        if sum(group.line.size for group in groups if group.line) >= count:
            return
        threading.Event().wait(0.001)
    raise AssertionError(f"{count} items never lined up")


def _shared(function: Any) -> Any:
    cells = function.__closure__ or ()
    return next(cell.cell_contents for cell in cells if hasattr(cell.cell_contents, "acall"))


def forgotten(function: Any) -> bool:
    """Whether nothing is kept of any call."""
    shared = _shared(function)
    gatherings: list[Gathering] = [shared._threads, *shared._loops.values()]
    return not any(one._groups or one._inside for one in gatherings)


def result(future: Future[Any]) -> Any:
    return future.result(timeout=WAIT_S)
