"""`batched`: concurrent calls of a function that takes a list become one call.

Only who finds a call under way waits, for a batch to fill or for `max_wait_s` at most; a lone call
goes at once, in the caller's own thread or task. Callers share a call within one tenant and, where
the function is a coroutine function, within one event loop: clients belong to a loop, and what
closes one must not reach another. The call runs in the context of the first caller.

What the function raises reaches every caller of that call and is not tried again item by item,
since a call may have had its effect. Who waits for whom is said in `drive.gathering`.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, TypeVar, overload

from accel_core import tenancy
from accel_core.drive import aio, blocking
from accel_core.drive.colour import is_async
from accel_core.drive.gathering import Gathering
from accel_core.errors import BatchError, ConfigError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Hashable, Sequence

F = TypeVar("F", bound="Callable[..., Any]")


@overload
def batched(function: F, /, *, max_items: int = 20, max_wait_s: float = 0.05) -> F: ...
@overload
def batched(*, max_items: int = 20, max_wait_s: float = 0.05) -> Callable[[F], F]: ...
def batched(function: Any = None, /, *, max_items: int = 20, max_wait_s: float = 0.05) -> Any:
    """Return `function` so that concurrent calls of it share a call.

    Args:
        function: takes a list and returns a list (or tuple, or array) of as many results, in order;
            sync, called from threads, or async, called from tasks. A method is batched for each
            object.
        max_items: items in one shared call, at least 1. Who brings as many goes alone.
        max_wait_s: how long an item waits for others while a call is under way, seconds, >= 0.

    Raises:
        ConfigError: a limit is out of range.
        TypeError: `function` cannot be called; later, what it is given is not a list or tuple.
        BatchError: later, it did not return one result for each item.

    Example:
        >>> @batched(max_items=20, max_wait_s=0.05)
        ... def lengths(texts):
        ...     return [len(text) for text in texts]
        >>> lengths(["one", "three"])
        [3, 5]
    """
    if max_items < 1:
        raise ConfigError("batched.max_items", max_items, "must be at least 1")
    if not max_wait_s >= 0:
        raise ConfigError("batched.max_wait_s", max_wait_s, "must be a number of seconds from 0")
    if function is None:
        return functools.partial(batched, max_items=max_items, max_wait_s=max_wait_s)
    if not callable(function):
        raise TypeError(f"batched() takes a function, got {type(function).__name__}")
    shared = _Shared(function, max_items, max_wait_s)
    if is_async(function):

        async def acall(*args: Any, **kwargs: Any) -> Sequence[Any]:
            return await shared.acall(args, kwargs)

        return functools.update_wrapper(acall, function)

    def call(*args: Any, **kwargs: Any) -> Sequence[Any]:
        return shared.call(args, kwargs)

    return functools.update_wrapper(call, function)


class _Shared:
    """The calls of one function: one gathering for threads, one for each event loop."""

    def __init__(self, function: Callable[..., Any], max_items: int, max_wait_s: float) -> None:
        self._function = function
        self._new = functools.partial(Gathering, max_items, max_wait_s, self._failed)
        self._threads = self._new()
        self._loops: weakref.WeakKeyDictionary[AbstractEventLoop, Gathering] = (
            weakref.WeakKeyDictionary()
        )
        self._lock = threading.Lock()
        _alive.add(self)

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sequence[Any]:
        """Call from a thread."""
        own, bound, items = self._split(args, kwargs)

        async def send(batch: list[Any]) -> Sequence[Any]:
            found: Sequence[Any] = own(batch)
            return found

        key = self._key(bound)
        return blocking.run(self._threads.ask(_BLOCKING, key, items, send, blocking.start))

    async def acall(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sequence[Any]:
        """Call from a task."""
        own, bound, items = self._split(args, kwargs)
        return await self._gathering().ask(_AIO, self._key(bound), items, own, aio.start)

    def after_fork(self) -> None:
        """Start anew in a child process."""
        self._lock = threading.Lock()
        for gathering in (self._threads, *self._loops.values()):
            gathering.after_fork()

    def _split(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Callable[[list[Any]], Any], tuple[Any, ...], list[Any]]:
        """Return the function of a batch, the objects it is bound to, and the items."""
        own: Callable[[list[Any]], Any]
        if kwargs:  # as tools are called
            (name, items), *more = kwargs.items()
            bound = args
            own = lambda batch: self._function(*bound, **{name: batch})  # noqa: E731
        else:
            *first, items = args or (None,)
            bound, more = tuple(first), []
            own = functools.partial(self._function, *bound)
        if more or not isinstance(items, (list, tuple)):
            raise TypeError(
                f"{self._name}, called through batched(), takes a list or tuple of items and "
                f"nothing else, got {type(items).__name__}{' and more' if more else ''}"
            )
        return own, bound, list(items)

    def _key(self, bound: tuple[Any, ...]) -> Hashable:
        # By identity: who calls holds the objects, for as long as anybody may share with them.
        return (tenancy.current(), *map(id, bound))

    def _gathering(self) -> Gathering:
        loop = asyncio.get_running_loop()
        with self._lock:
            found = self._loops.get(loop)
            if found is None:
                # One that was closed with calls under way is held by them.
                for other in [one for one in self._loops if one.is_closed()]:
                    del self._loops[other]
                found = self._loops[loop] = self._new()
        return found

    @property
    def _name(self) -> str:
        return getattr(self._function, "__qualname__", type(self._function).__qualname__)

    def _failed(self, problem: str) -> BatchError:
        return BatchError(self._name, problem)


_BLOCKING, _AIO = blocking.BlockingIo(), aio.AsyncIo()
_alive: weakref.WeakSet[_Shared] = weakref.WeakSet()


def _after_fork() -> None:
    for shared in _alive:
        shared.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
