"""Callers at the same time share a call: batches where there is a crowd, nothing otherwise.

Who finds nothing under way calls at once. While a call is under way, who comes lines up, and the
line goes when it is full, when nothing is under way any more, or when its first has waited long
enough. The first in line carries it: no thread and no timer beside the callers' own.

Invariants: items of one caller stay together, in order; whoever is inside a call never waits for
another; what was sent is never sent again; who leaves takes nothing from the others, and a call
that nobody waits for any more is stopped; a group is forgotten with its last call.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from accel_core.job import Job

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterator, Sequence

    from accel_core.ports import Io, Signal

    Send = Callable[[list[Any]], Awaitable[Sequence[Any]]]
    """Makes the call: items in, one result for each."""
    Start = Callable[[Coroutine[Any, Any, None]], Callable[[], object]]
    """Begins a flow that its caller's end does not end, and returns what stops it."""

_FOREVER_S: Final = threading.TIMEOUT_MAX
_AGAIN: Final[Any] = object()
"""Outcome of a line whose first left before it went: its others ask once more."""


class _Line:
    """Callers who will share a call."""

    __slots__ = ("jobs", "open", "signal", "size", "stop", "waiting")

    def __init__(self, signal: Signal) -> None:
        self.jobs: list[Job[list[Any], Any]] = []
        self.size = self.waiting = 0
        self.open = True
        self.signal = signal
        self.stop: Callable[[], object] = lambda: None


class _Group:
    """Those who may share: how many calls are under way, and who lines up."""

    __slots__ = ("line", "under_way")

    def __init__(self) -> None:
        self.under_way = 0
        self.line: _Line | None = None


class Gathering:
    """Shares calls among callers of one colour; one lock, held for bookkeeping only.

    Args:
        max_items: items in one shared call.
        max_wait_s: how long the first in line waits, seconds.
        failed: makes the error of a call that gave no usable results.
    """

    def __init__(
        self, max_items: int, max_wait_s: float, failed: Callable[[str], Exception]
    ) -> None:
        self._max_items, self._max_wait_s, self._failed = max_items, max_wait_s, failed
        self.after_fork()

    def after_fork(self) -> None:
        """Start anew in a child process: whom the parent waits for does not exist here."""
        self._lock = threading.Lock()
        self._groups: dict[Hashable, _Group] = {}
        self._inside: set[Hashable] = set()

    async def ask(
        self, io: Io, key: Hashable, items: list[Any], send: Send, start: Start
    ) -> Sequence[Any]:
        """Return the results of `items`, in order.

        Args:
            io: the caller's colour.
            key: callers of equal keys may share.
            items: what is asked; none, or as many as a line holds, go alone.
            send: makes the call.
            start: begins a line's call.

        Raises:
            Exception: what `send` raised, in every caller of that call; or what `failed` made.
        """
        while True:
            group, line, job = self._enter(io, key, items)
            if group is None:
                return self._checked(await send(items), len(items))
            if line is None or job is None:
                with self._calling(io.owner(), key, group):
                    return self._checked(await send(items), len(items))
            future = job.futures[0]
            try:
                if line.jobs[0] is job:
                    line.stop = start(self._carry(io, key, group, line, send))
                outcome: Sequence[Any] = await io.wait(future, _FOREVER_S)
            finally:
                future.cancel()  # where the wait was interrupted; else it is done
                self._gone(line)
            if outcome is not _AGAIN:
                return outcome

    def _enter(
        self, io: Io, key: Hashable, items: list[Any]
    ) -> tuple[_Group | None, _Line | None, Job[list[Any], Any] | None]:
        """Say how the caller goes: lined up with a job, alone, or (no group) inside a call."""
        waits = 0 < len(items) < self._max_items and io.may_wait()
        with self._lock:
            if io.owner() in self._inside:
                return None, None, None
            group = self._groups.setdefault(key, _Group())
            if not waits or not (group.under_way or group.line):
                group.under_way += 1
                return group, None, None
            line = group.line
            if line is not None and line.size + len(items) > self._max_items:
                self._close(group, line)
                line = None
            if line is None:
                line = group.line = _Line(io.signal())
            job: Job[list[Any], Any] = Job(items)
            job.follow()
            line.jobs.append(job)
            line.waiting += 1
            line.size += len(items)
            if line.size == self._max_items:
                self._close(group, line)
            return group, line, job

    def _close(self, group: _Group, line: _Line) -> None:
        """Let `line` go; it counts as under way from now on."""
        if line.open:
            line.open = False
            group.line = None
            group.under_way += 1
            line.signal.set()

    async def _carry(self, io: Io, key: Hashable, group: _Group, line: _Line, send: Send) -> None:
        """Wait until `line` goes, make its call, and give everybody their results."""
        sent = False
        try:
            with self._calling(io.owner(), key, group, line):
                await line.signal.wait(self._max_wait_s)
                with self._lock:
                    self._close(group, line)
                jobs = [job for job in line.jobs if job.begin()]
                items = [item for job in jobs for item in job.item]
                sent = True
                results = self._checked(await send(items), len(items)) if jobs else []
        except BaseException as error:
            self._fail(line, error, sent=sent)
            if not isinstance(error, Exception):
                raise
            return
        first = 0
        for job in jobs:
            job.succeed(results[first : first + len(job.item)])
            first += len(job.item)

    def _fail(self, line: _Line, error: BaseException, *, sent: bool) -> None:
        """Tell everybody in `line` that its call failed, or that it was never made."""
        if sent and not isinstance(error, Exception):
            # Not the interrupt itself, which is meant for one thread or task.
            told = self._failed(f"was ended by {type(error).__name__} in the caller who made it")
            told.__cause__, error = error, told
        for job in line.jobs:
            if sent:
                job.fail(error)
            else:
                job.succeed(_AGAIN)

    @contextmanager
    def _calling(
        self, owner: Hashable, key: Hashable, group: _Group, line: _Line | None = None
    ) -> Iterator[None]:
        """Be inside a call that is, or with `line` will be, counted as under way."""
        self._inside.add(owner)
        try:
            yield
        finally:
            with self._lock:
                if line is not None:
                    self._close(group, line)  # even one that never went leaves as if it had
                self._inside.discard(owner)
                group.under_way -= 1
                self._tidy(key, group)

    def _tidy(self, key: Hashable, group: _Group) -> None:
        """Where nothing is under way any more, let the line go, or forget the group."""
        if group.under_way:
            return
        if group.line is not None:
            self._close(group, group.line)
        elif self._groups.get(key) is group:
            del self._groups[key]

    def _gone(self, line: _Line) -> None:
        """Take note that one who waited has left; the last one stops a call still under way."""
        with self._lock:
            line.waiting -= 1
            last = not line.waiting
        if last:
            line.stop()

    def _checked(self, results: Any, count: int) -> Sequence[Any]:
        """Return `results` if they are one for each of `count` items."""
        try:
            found, _ = len(results), results[0:0]
        except (TypeError, KeyError, ValueError, IndexError) as error:
            kind = type(results).__name__
            raise self._failed(f"returned {kind}, not a list of results") from error
        if found != count:
            raise self._failed(f"returned {found} results for {count} items")
        checked: Sequence[Any] = results
        return checked

    def __repr__(self) -> str:
        return f"Gathering(groups={len(self._groups)})"
