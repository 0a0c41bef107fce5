"""Requests that have ended, entered behind their callers' backs: added up, and told to observers.

A hit takes microseconds, of which working out what there is to tell of it would be a tenth. So its
caller only puts it down; a thread, or whoever looks at the totals, enters it.

Invariant: every request is entered once, and what was put down before somebody looks is in what he
sees. Nothing is dropped here: where the thread is behind, a caller enters what there is.
"""

from __future__ import annotations

import threading
from collections import deque
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from accel_core.forking import renewed_in_children
from accel_core.observer.behind import Behind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextvars import Context

    from accel_core.observer.queued import Queued
    from accel_core.observer.requests import Requests, RequestTotals
    from accel_core.ports import Observer
    from accel_core.recording import Ended

    _Pending = tuple[Ended, tuple[Any, ...], float, Context | None]

_MOST_PENDING = 1_000


class Ledger:
    """Enters requests.

    Args:
        totals: adds them up.
        emit: tells observers in the foreground; None: there is none, so nothing is urgent.
        queued: those in the background that want requests.
        wall_now: seconds since the epoch.
        mono_now: the clock that requests are timed by, seconds.
    """

    def __init__(
        self,
        totals: RequestTotals,
        emit: Observer | None,
        queued: Sequence[Queued],
        *,
        wall_now: Callable[[], float],
        mono_now: Callable[[], float],
    ) -> None:
        self._totals, self._emit, self._queued = totals, emit, queued
        self._wall_now, self._mono_now = wall_now, mono_now
        self._captures = any(one.captures for one in queued)
        self.after_fork()
        renewed_in_children(self)

    def put(self, ended: Ended, *facts: Any) -> None:
        """Put down a request that ends now; ``ended(*facts, …)`` makes its event."""
        context = copy_context() if self._captures else None
        self._pending.append((ended, facts, self._mono_now(), context))
        if self._emit is not None or len(self._pending) > _MOST_PENDING:
            self.enter()
        elif not self._behind.stirred:
            self._behind.stir()

    def enter(self) -> None:
        """Enter what was put down."""
        with self._lock:
            since_s = self._wall_now() - self._mono_now()
            while self._pending:
                ended, facts, ended_s, context = self._pending.popleft()
                event = ended(*facts, ended_s, since_s + ended_s)
                self._totals.add(event)
                if self._emit is not None:
                    self._emit(event)
                for one in self._queued:
                    one.put(event, context)

    def snapshot(self) -> Requests:
        """Return what all requests so far came to."""
        self.enter()
        with self._lock:
            return self._totals.snapshot()

    def close(self) -> None:
        """Enter what there is, and end the thread; what comes later is entered by its caller."""
        self.enter()
        self._behind.close()

    def after_fork(self) -> None:
        """Start anew in a child process; its parent enters what it had put down."""
        self._pending: deque[_Pending] = deque()
        self._lock = threading.RLock()
        self._behind = Behind("accel-requests", self.enter)
