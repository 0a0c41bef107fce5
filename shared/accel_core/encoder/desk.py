"""Slots, queue and workers of `batching`: who may be inside the encoder, and who is next.

A slot is the right to be inside. One that falls free while texts are queued goes to a worker, which
takes batch after batch until the queue is empty. Workers are started when first needed, and end
when they have had nothing to do for a while.

Invariants: texts are queued only while no slot is free; a slot taken is given back whatever
happens; there are never more workers than slots. Knows nothing of vectors or errors, and touches no
event loop: asyncio callers hold a `concurrent.futures.Future`.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

from accel_core.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.ports import Vector

_IDLE_S: Final = 10.0  # a worker without work for so long ends


class TextJob(Job[str, "Vector"]):
    """One queued text and everybody who waits for its vector."""

    __slots__ = ()

    def succeed(self, result: Vector) -> None:
        """Give everybody who waits a vector of their own."""
        for one in self.futures:
            one.set_result(result.copy())  # a view would keep the whole batch, and be shared


class Desk:
    """One lock, held for bookkeeping only.

    Args:
        slots: how many may be inside at once.
        max_batch: texts in one batch.
        encode: encodes a batch and settles its futures, whatever happens; never raises.
        failed: makes the error of texts that will not be encoded.
    """

    def __init__(
        self,
        slots: int,
        max_batch: int,
        encode: Callable[[list[TextJob]], None],
        failed: Callable[[str], Exception],
    ) -> None:
        self._slots, self._max_batch = slots, max_batch
        self._encode, self._failed = encode, failed
        self._changed = threading.Condition()
        self._jobs: dict[str, TextJob] = {}  # oldest first
        self._free = slots
        self._handed = 0  # slots given to workers that have not picked them up
        self._idle = 0  # workers waiting for a slot
        self._workers: set[threading.Thread] = set()
        self._closed = False

    def enter(self, text: str) -> Future[Vector] | None:
        """Take a slot and return None, or queue `text` and return its future."""
        with self._changed:
            if self._free and not self._closed:
                self._free -= 1
                return None
            return self._enqueue(text)

    def leave(self) -> None:
        """Give a slot back, to a worker if texts are queued."""
        with self._changed:
            self._free += 1
            self._dispatch()

    def queue(self, text: str) -> Future[Vector]:
        """Queue `text` and return its future."""
        with self._changed:
            future = self._enqueue(text)
            self._dispatch()
            return future

    def close(self, timeout_s: float) -> None:
        """Fail what is queued and what comes; wait for the workers."""
        with self._changed:
            self._closed = True
            self._fail_all("closed")
            workers = list(self._workers)
            self._changed.notify_all()
        for worker in workers:
            worker.join(timeout_s / len(workers))

    def _enqueue(self, text: str) -> Future[Vector]:
        if self._closed:
            future: Future[Vector] = Future()
            future.set_exception(self._failed("closed"))
            return future
        job = self._jobs.get(text)
        if job is None:
            job = self._jobs[text] = TextJob(text)
        return job.follow()

    def _dispatch(self) -> None:
        """Hand a free slot to a worker, if there is one and work for it."""
        if not (self._free and self._jobs):
            return
        self._free -= 1
        self._handed += 1
        if self._idle >= self._handed:
            self._changed.notify()
        elif len(self._workers) < self._slots:
            self._hire()
        # Else a worker is between two waits and looks before it waits again.

    def _hire(self) -> None:
        worker = threading.Thread(target=self._work, name="accel-encoder", daemon=True)
        try:
            worker.start()
        except RuntimeError:  # out of threads, or the interpreter is ending
            self._handed -= 1
            self._free += 1
            self._fail_all("no thread can be started")
        else:
            self._workers.add(worker)

    def _fail_all(self, detail: str) -> None:
        jobs, self._jobs = self._jobs, {}
        for job in jobs.values():
            job.fail(self._failed(detail))

    def _work(self) -> None:
        while self._picked_up():
            while jobs := self._next_batch():
                live = [job for job in jobs if job.begin()]
                if live:
                    self._encode(live)

    def _picked_up(self) -> bool:
        """Wait for a slot; False after idling, and this worker is then no longer counted."""
        with self._changed:
            if not self._handed:
                self._idle += 1
                self._changed.wait_for(lambda: self._handed or self._closed, _IDLE_S)
                self._idle -= 1
            if self._handed:
                self._handed -= 1
                return True
            self._workers.discard(threading.current_thread())
            return False

    def _next_batch(self) -> list[TextJob]:
        """Take the oldest text and those nearest to it in length; give the slot back if none."""
        with self._changed:
            if not self._jobs:
                self._free += 1
                return []
            oldest, *others = self._jobs.values()
            # Workers about to begin get their share, so that a small crowd uses every core.
            share = -(-len(self._jobs) // (1 + self._handed))
            length = len(oldest.item)
            nearest = nsmallest(
                min(share, self._max_batch) - 1,
                others,
                key=lambda job: abs(len(job.item) - length),
            )
            for job in (oldest, *nearest):
                del self._jobs[job.item]
            return [oldest, *nearest]
