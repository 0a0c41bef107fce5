"""Asks a verifier in a thread of its own: batches where there is a crowd, nothing otherwise.

What waits while the verifier is at work is its next batch, so nobody waits for one to fill. The
thread starts with the first case and ends when it has had nothing to do for a while.

Invariants: the verifier is called by one thread at a time; the same pair is in the queue, or being
judged, once; every future handed out ends, whatever the verifier does, unless it never returns. A
verdict is True, False or None and nothing that merely looks like one. Knows nothing of what
verdicts are for, and touches no event loop.

While a verifier works, `verifying` is set in its context: caches then stand aside, since a judge
that is answered from a cache judges something else, and one whose model asked this very cache would
wait for itself.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, NamedTuple

from accel_core.errors import VerifierError
from accel_core.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from accel_core.ports import Case, Entry, Verifier

verifying: ContextVar[bool] = ContextVar("accel_verifying", default=False)
"""Whether the caller works for a verifier."""

_IDLE_S: Final = 10.0  # a thread without work for so long ends
_CAPACITY: Final = 256  # cases that may wait: a judge that far behind will not catch up in time


class Pair(NamedTuple):
    """A request and the answer that might serve it: their keys, and when the answer was stored.

    Under its key an entry may be stored anew with another answer, which is another pair.
    """

    asked: bytes
    stored: bytes
    stored_s: float


class Asked(NamedTuple):
    """A case to be judged.

    Attributes:
        pair: whose case it is.
        case: what the verifier sees.
        entry: the entry that might be served.
        mark: the invalidation count when it was asked.
    """

    pair: Pair
    case: Case
    entry: Entry
    mark: int


class _Case(Job[Asked, "bool | None"]):
    """One queued case and everybody who waits for it; `lasting`: it is judged for nobody too."""

    __slots__ = ("lasting",)

    def __init__(self, item: Asked) -> None:
        super().__init__(item)
        self.lasting = False

    def begin(self) -> bool:
        """Whether it is still to be judged; from then on nobody can cancel."""
        return super().begin() or self.lasting


class Desk:
    """One lock, held for bookkeeping only.

    Args:
        verifier: what is asked.
        max_batch: cases in one call of it.
        known: the verdict that was given before, if any. Quick.
        judged: told every verdict, in the desk's thread, before anybody who waits is.
        failed: told every failed call of the verifier.
    """

    def __init__(
        self,
        verifier: Verifier,
        max_batch: int,
        *,
        known: Callable[[Asked], bool | None],
        judged: Callable[[Asked, bool | None], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.name = verifier.name
        self._verifier, self._max_batch = verifier, max_batch
        self._known, self._judged, self._failed = known, judged, failed
        self._reset()

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._queued: dict[Pair, _Case] = {}  # oldest first
        self._begun: dict[Pair, _Case] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, asked: Asked, *, lasting: bool) -> Future[bool | None]:
        """Queue a case and return the future of its verdict. Never waits.

        Cancelling the future takes the case out again, unless it has begun or is `lasting`.

        Raises:
            VerifierError: it cannot be queued.
        """
        with self._changed:
            begun = self._begun.get(asked.pair)
            if begun is None:
                # Under the lock, so that what was being judged a moment ago is known by now.
                verdict = self._known(asked)
                if verdict is not None:
                    known: Future[bool | None] = Future()
                    known.set_result(verdict)
                    return known
                self._make_room(asked.pair)
            job = begun or self._queued.setdefault(asked.pair, _Case(asked))
            future = job.follow()
            if begun is not None:
                future.set_running_or_notify_cancel()
            job.lasting |= lasting
            self._changed.notify()
        return future

    def drop(self) -> None:
        """Take out all that has not begun; who waits for it is told so."""
        with self._changed:
            jobs, self._queued = list(self._queued.values()), {}
        self._end(jobs, VerifierError(self.name, "queue", "dropped"))

    def close(self, timeout_s: float = 2.0) -> None:
        """Refuse what comes, end what waits, and give the case under way `timeout_s`.

        To be called before the interpreter ends: a thread inside native code while Python is taken
        down can abort the process. The verifier stays its owner's, open.
        """
        with self._changed:
            self._closed = True
            thread = self._thread
            self._changed.notify()
        self.drop()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def after_fork(self) -> None:
        """Start anew in a forked child: the parent's lock, queue and thread mean nothing here."""
        self._reset()
        inner = getattr(self._verifier, "after_fork", None)  # not in the port: few hold any lock
        if inner is not None:
            inner()

    def __repr__(self) -> str:
        return f"Desk({self._verifier!r}, waiting={len(self._queued)})"

    def _make_room(self, pair: Pair) -> None:
        """See to it that there is a place and a thread for `pair`, or raise."""
        if self._closed:
            raise VerifierError(self.name, "queue", "closed")
        if pair in self._queued:
            return
        if len(self._queued) >= _CAPACITY:
            raise VerifierError(self.name, "queue", "too many cases wait")
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="accel-verifier", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # out of threads, or the interpreter is ending
                raise VerifierError(self.name, "queue", "no thread can be started") from error
            self._thread = thread

    def _work(self) -> None:
        verifying.set(True)
        while batch := self._next_batch():
            self._judge(batch)

    def _next_batch(self) -> list[_Case]:
        """Return the oldest cases that somebody wants; none after idling or closing."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._queued or self._closed, _IDLE_S)
                if not self._queued:
                    self._thread = None
                    return []
                pairs = list(self._queued)[: self._max_batch]
                jobs = [self._queued.pop(pair) for pair in pairs]
                wanted = {job.item.pair: job for job in jobs if job.begin()}
                if wanted:
                    self._begun = wanted
                    return list(wanted.values())

    def _judge(self, jobs: list[_Case]) -> None:
        """Ask about `jobs` together, and settle their futures, whatever happens."""
        outcome: list[bool | None] | Exception
        try:
            outcome = self._checked(self._verifier.verify([job.item.case for job in jobs]), jobs)
            for job, verdict in zip(jobs, outcome, strict=True):
                self._judged(job.item, verdict)
        except BaseException as error:  # even SystemExit must not leave a caller waiting
            # Its type alone: a message may quote the texts. The cause is chained for debuggers.
            outcome = told = self._error(type(error).__name__)
            told.__cause__ = error
            if isinstance(error, VerifierError):
                outcome = told = error
            self._failed(told)
        with self._changed:
            self._begun = {}
        self._end(jobs, outcome)

    def _checked(self, verdicts: Sequence[object], jobs: list[_Case]) -> list[bool | None]:
        found = list(verdicts)
        if len(found) != len(jobs):
            raise self._error(f"returned {len(found)} verdicts on {len(jobs)} cases")
        for verdict in found:
            if not (verdict is None or verdict is True or verdict is False):
                raise self._error(f"returned {type(verdict).__name__}, not bool or None")
        return found  # type: ignore[return-value]  # just seen to be

    def _end(self, jobs: list[_Case], outcome: Sequence[bool | None] | Exception) -> None:
        for place, job in enumerate(jobs):
            if isinstance(outcome, Exception):
                job.fail(outcome)
            else:
                job.succeed(outcome[place])

    def _error(self, detail: str) -> VerifierError:
        return VerifierError(self.name, "verify", detail)
