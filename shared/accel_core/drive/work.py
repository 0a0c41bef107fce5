"""What somebody waits for: work that cannot be cut off looks for itself whether anybody still does.

A task is cancelled; a thread goes on. So where a step would begin that costs something (a call is
sent, a run starts) it asks here, and ends; where it sleeps, it is woken.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


class Unwanted(BaseException):
    """Ends work that nobody waits for.

    Not an `Exception`, as ``asyncio.CancelledError`` is none: retries and fallbacks let it pass.
    """


class Work:
    """Something done for a caller, from any thread, and for as long as the caller's own is wanted.

    Args:
        part_of: what it is done for.
    """

    def __init__(self, part_of: Work | None = None) -> None:
        self._part_of = part_of
        self._wanted = True
        self._sleepers: list[Callable[[], None]] = []

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for it."""
        return self._wanted and (self._part_of is None or self._part_of.wanted)

    def end(self) -> None:
        """Nobody waits for it any more."""
        self._wanted = False
        for wake in tuple(self._sleepers):
            wake()

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call `wake` inside, when nobody waits any more; look at `wanted` before sleeping."""
        with nullcontext() if self._part_of is None else self._part_of.waking(wake):
            self._sleepers.append(wake)
            try:
                yield
            finally:
                self._sleepers.remove(wake)


_current: ContextVar[Work | None] = ContextVar("accel_work", default=None)


def current() -> Work | None:
    """Return what this context works on; None: somebody waits for it to its end."""
    return _current.get()


def check() -> None:
    """Begin a step.

    Raises:
        Unwanted: nobody waits for it.
    """
    work = _current.get()
    if work is not None and not work.wanted:
        raise Unwanted


def waking(wake: Callable[[], None]) -> AbstractContextManager[None]:
    """Call `wake` inside, when nobody waits any more; `check` before sleeping."""
    work = _current.get()
    return nullcontext() if work is None else work.waking(wake)


def work_on(work: Work | None) -> None:
    """Let this context work on `work`; None: to its end, for it serves others than its caller."""
    _current.set(work)
