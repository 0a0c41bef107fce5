"""An event loop in virtual time: nothing sleeps, the clock jumps to the next timer.

::

    outcome = virtual_time.run(scenario())    # 450 s of asyncio.sleep take as long as their work

The clock stands still while anything is ready to run, so the same coroutines always run in the
same order. A loop with nothing ready, no timer and no thread at work can never go on: it raises.
Work given to `run_in_executor` is waited for in real time, and the clock stands still meanwhile;
a thread of any other origin is waited for only where no timer is left.
"""

from __future__ import annotations

import asyncio
import math
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

_TICK_S = 1e-6
"""The shortest timer, as every real clock has one: code whose wait is too short by a rounding error
would otherwise be woken at the same moment for ever."""
_PATIENCE_S = 5.0
"""How long a silent loop waits, in real time, for threads that might still call it."""


class DeadlockError(RuntimeError):
    """Nothing is ready, no timer is set, and nobody is left who could wake the loop."""


def run(main: Coroutine[Any, Any, T], *, start_s: float = 0.0, threads: bool = True) -> T:
    """Run `main` in a loop of its own, and return its result.

    Args:
        main: what is run.
        start_s: where its clock begins.
        threads: whether work given to `run_in_executor` is done by threads; else the loop does it
            at once, which spares two changes of thread.
    """
    kind = VirtualLoop if threads else ThreadlessLoop
    with asyncio.Runner(loop_factory=lambda: kind(start_s)) as runner:
        return runner.run(main)


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop whose clock moves only when it would have slept.

    Args:
        start_s: what its clock says first.
    """

    _ready: Any
    _scheduled: Any

    def __init__(self, start_s: float = 0.0) -> None:
        super().__init__()
        self._jump(start_s)
        self._woken = threading.Event()
        self._at_work = 0
        self._selector = self  # what the base class asks how long it may sleep

    def time(self) -> float:
        """Return the virtual time, seconds."""
        return self._now_s

    def _jump(self, to_s: float) -> None:
        self._now_s = to_s
        # What is due is what comes before now and this: after half a year a nanosecond more is the
        # same number, and nothing would ever be due.
        self._clock_resolution = max(1e-9, 2 * math.ulp(to_s))

    def call_at(  # type: ignore[override]  # its variadic types need Python 3.12
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call back at the moment `when`, a tick from now at the earliest."""
        tick_s = max(_TICK_S, self._clock_resolution)
        return super().call_at(max(when, self._now_s + tick_s), callback, *args, context=context)

    def select(self, timeout_s: float | None) -> list[Any]:
        """Let `timeout_s` pass, at once; None: until somebody wakes the loop.

        Raises:
            DeadlockError: nobody can wake it.
        """
        self._woken.clear()
        if self._ready or timeout_s == 0:
            return []
        if self._at_work:
            self._woken.wait()
        elif timeout_s is not None:
            self._jump(max(self._now_s + timeout_s, self._scheduled[0].when()))
        elif threading.active_count() == 1 or not self._woken.wait(_PATIENCE_S):
            msg = f"at {self._now_s:g} s nothing is ready, no timer is set, and no thread is left"
            raise DeadlockError(msg)
        return []

    def run_in_executor(  # type: ignore[override]  # its variadic types need Python 3.12
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run `func` in a thread; the clock stands still until it has ended."""
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        self._at_work += 1
        future.add_done_callback(self._ended)
        return future

    def _ended(self, _: object) -> None:
        self._at_work -= 1

    def _process_events(self, event_list: list[Any]) -> None:
        assert not event_list

    def _write_to_self(self) -> None:
        self._woken.set()


class ThreadlessLoop(VirtualLoop):
    """Does itself what others would give to threads: its clock stands still either way."""

    def run_in_executor(  # type: ignore[override]  # as in the base class
        self,
        executor: Any,  # noqa: ARG002 - none is asked
        func: Callable[..., T],
        *args: Any,
    ) -> asyncio.Future[T]:
        """Run `func` now."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future
