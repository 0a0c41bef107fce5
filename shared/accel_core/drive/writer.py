"""The background writer: what a caller need not wait for, done in order by one daemon thread.

The queue is bounded: when it is full the oldest items are dropped, counted and reported, because a
cache that falls behind must cost entries, never latency or memory. The thread starts with the first
item and sleeps on a condition, at most until its work wants to be called again; nothing polls.
After a fork the child starts with an empty queue, since the parent writes what it queued.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Item = TypeVar("Item")

_BATCH = 64


class Writer(Generic[Item]):
    """Feeds queued items to `work`, in batches and in order.

    Args:
        work: called in the writer's thread with 1 to 64 items; returns in how many seconds it is to
            be called again though there are none, None: not before. What it raises goes to
            `on_error`.
        capacity: items that may wait.
        on_drop: told how many were dropped.
        on_error: told what `work` raised.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], float | None],
        *,
        capacity: int,
        on_drop: Callable[[int], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._work, self._on_drop, self._on_error = work, on_drop, on_error
        self._capacity = capacity
        self._reset()

    def _reset(self) -> None:
        self._wake = threading.Condition()
        self._queue: deque[Item] = deque()
        self._queued = 0
        self._done = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    def submit(self, item: Item) -> bool:
        """Queue `item`, and return at once whether: after `close`, or without a thread, not."""
        dropped = False
        with self._wake:
            taken = not self._closed and self._started()
            if taken:
                dropped = len(self._queue) >= self._capacity
                if dropped:
                    self._queue.popleft()
                    self._done += 1
                self._queue.append(item)
                self._queued += 1
                self._wake.notify_all()
        if dropped or not taken:
            self._on_drop(1)
        return taken

    def flush(self, timeout_s: float | None = None) -> bool:
        """Return once everything queued so far is done; False when `timeout_s` passed first."""
        if self._thread is threading.current_thread():
            return False
        with self._wake:
            target = self._queued
            return self._wake.wait_for(lambda: self._done >= target, timeout_s)

    def close(self, timeout_s: float | None = None) -> bool:
        """Finish what is queued and end the thread; False when `timeout_s` passed first."""
        flushed = self.flush(timeout_s)
        with self._wake:
            self._closed = True
            self._wake.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)
        return flushed

    def _started(self) -> bool:
        """Whether there is a thread; begins it, unless none is to be had."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="accel-writer", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
        return True

    def _run(self) -> None:
        batch: list[Item] = []
        again_in_s: float | None = None
        while True:
            with self._wake:
                self._done += len(batch)
                self._wake.notify_all()
                self._wake.wait_for(lambda: self._queue or self._closed, again_in_s)
                if self._closed and not self._queue:
                    return
                batch = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
            again_in_s = None
            try:
                again_in_s = self._work(batch)
            except Exception as error:  # reported: the thread must live on
                self._on_error(error)

    def after_fork(self) -> None:
        """Start anew in a child process."""
        self._reset()

    def __repr__(self) -> str:
        return f"Writer(waiting={len(self._queue)}, capacity={self._capacity})"
