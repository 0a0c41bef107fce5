"""An observer in a thread of its own: whatever it does, no request waits for it.

Events wait in a bounded queue. What finds it full is dropped and counted; an observer that raises
is given the next event all the same. Either is a warning, once.

Each observer has its own thread, so that one that blocks holds up none of the others.

Invariant: events reach the observer in the order in which they were queued, one at a time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from accel_core.forking import renewed_in_children
from accel_core.observer.behind import Behind

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from accel_core.events import Event
    from accel_core.policy.looked import Looked
    from accel_core.ports import Observer

_log = logging.getLogger("accel")

_AT_ONCE = 32
"""Events handed over before other threads may run: a Python thread gives way by itself after 5 ms
only, for which a request would wait."""


class Queued:
    """Hands events to `observer` in the background.

    Args:
        observer: is called in this object's thread. Where it has a method ``capture``, that is
            called soon, in the context (of `contextvars`) in which the event happened, must be
            quick, and its result is handed over as a second argument. Where it has a method
            ``settle``, that is called whenever nothing waits any more, and before `flush` returns.
        max_queued: events that may wait.

    Attributes:
        name: the observer's class, or its own name where it is a function.
        dropped: events that found no room.
        failed: events for which the observer raised, or as many as its error says (``lost``).
        captures: whether `put` needs the context.
    """

    def __init__(self, observer: Observer, *, max_queued: int = 10_000) -> None:
        self.name = getattr(observer, "__name__", type(observer).__name__)
        self.dropped = self.failed = 0
        self._observer, self._room = observer, max_queued
        self._capture: Callable[[], Any] | None = getattr(observer, "capture", None)
        self.captures = self._capture is not None
        self._settle: Callable[[], None] | None = getattr(observer, "settle", None)
        if hasattr(observer, "kinds"):
            self.kinds = observer.kinds
        self.after_fork()
        renewed_in_children(self)

    def __call__(self, event: Event, /) -> None:
        """Queue `event`, which happens here."""
        self.put(event, copy_context() if self.captures else None)

    def put(self, event: Event | Looked, context: Context | None = None) -> None:
        """Queue an event that happened in `context`."""
        if len(self._waiting) >= self._room:
            self._drop()
            return
        told: tuple[Any, ...] = (event,)
        if context is not None and self._capture is not None:
            told = (event, self._tell(context.run, self._capture))
        self._waiting.append(told)
        if not self._behind.stirred:
            self._behind.stir()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything queued so far was handed over; return whether it was in time."""
        if self._behind.is_mine() or (not self._waiting and not self._busy):
            return not self._waiting
        reached = threading.Event()
        self._waiting.append(reached)
        self._behind.hurry()
        return reached.wait(timeout_s)

    def close(self, timeout_s: float) -> None:
        """Hand over what is queued, for `timeout_s` at most, and end; later events are dropped."""
        self.flush(timeout_s)
        self._room = 0
        self._behind.close()

    def after_fork(self) -> None:
        """Start anew in a child process, without what its parent had queued."""
        self._waiting: deque[Any] = deque()
        self._lock = threading.Lock()
        self._behind = Behind(f"accel-{self.name}", self._hand_over)
        self._busy = False

    def _hand_over(self) -> None:
        handed, self._busy = 0, True
        while self._waiting:
            item = self._waiting.popleft()
            if isinstance(item, threading.Event):
                self._end_batch()
                item.set()
                continue
            self._tell(self._observer, *item)
            handed += 1
            if handed % _AT_ONCE == 0:
                time.sleep(0)
        self._end_batch()
        self._busy = False

    def _end_batch(self) -> None:
        if self._settle is not None:
            self._tell(self._settle)

    def _tell(self, told: Callable[..., Any], *arguments: Any) -> Any:
        """Call the observer's own; None where it raises."""
        try:
            return told(*arguments)
        except Exception as error:
            first = self.failed == 0
            self.failed += getattr(error, "lost", 1)
            if first:
                _log.warning(
                    "observer %s failed, and will be told of what comes; "
                    "further failures are counted in stats().observers",
                    self.name,
                    exc_info=True,
                )
            return None

    def _drop(self) -> None:
        with self._lock:
            self.dropped += 1
            first = self.dropped == 1 and self._room > 0
        if first:
            _log.warning(
                "observer %s is too slow: %d events wait for it, and further ones are dropped; "
                "they are counted in stats().observers",
                self.name,
                self._room,
            )
