"""The statistics file: what happened, line by line, for ``accel report``.

Several processes may write one file on a local disk: lines are appended in batches, each by one
write, and no process keeps the file open. A batch begins with a new line, so that whatever a
process left unfinished when it ended is that line alone. From half of `max_bytes` on the file
becomes the older one of two, and what the older one held is gone; of several processes that see
this at once, the one that makes the lock file moves it, and the others go on writing where they
are. So nothing but the oldest is lost.

Lines hold no question unless `texts` says so. Either way the file is readable for its owner only,
and covered by `Accel.forget`.

Invariant: called by one thread at a time; an error of the disk is raised for whoever calls, with
the lines that it costs, which are those of one batch.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import orjson

from accel_core.errors import StoreError
from accel_core.files import private
from accel_core.files.statistics_lines import ID_DIGITS, KINDS, event_line, head, looked_line
from accel_core.forking import renewed_in_children
from accel_core.policy.looked import Looked

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Mapping, Sequence

    from accel_core.events import Event
    from accel_core.ports import Selector

_BATCH_BYTES = 1 << 16
_MOST_NAMED = 50_000
_STALE_S = 60.0
"""After which a lock is that of a process which ended while it moved the file."""


class BatchLostError(OSError):
    """A batch could not be written.

    Attributes:
        lost: its lines.
    """

    lost = 0


class StatisticsFile:
    """Appends events to a file.

    Args:
        path: the file; the older one has ``.1`` before its suffix.
        max_bytes: of both files together.
        texts: whether questions are written.
        wall_now: seconds since the epoch.
        lost: returns the events that never reached an observer so far, by observer.
    """

    kinds = KINDS

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int,
        texts: bool,
        wall_now: Callable[[], float],
        lost: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self.path = Path(path).absolute()
        self.older = older_of(self.path)
        self.lost = lost
        self._lock_file = self.path.with_name(f"{self.path.name}.lock")
        self._max_bytes, self._texts, self._wall_now = max_bytes // 2, texts, wall_now
        self._lines: list[bytes] = []
        self._named: set[bytes] = set()
        self._start()
        renewed_in_children(self)

    def __call__(self, event: Event | Looked, /) -> None:
        """Take an event; it is written at the end of its batch."""
        if isinstance(event, Looked):
            if not self._tells(event):
                return
            line = looked_line(event, texts=self._texts)
        else:
            line = event_line(event)
        self._lines.append(line)
        self._size += len(line)
        if self._size > _BATCH_BYTES:
            self.settle()

    def settle(self) -> None:
        """Write what there is.

        Raises:
            BatchLostError: the file cannot be written.
        """
        if not self._lines:
            return
        count = len(self._lines)
        batch = head(self._run, self._wall_now(), self.lost()) + b"".join(self._lines)
        self._lines.clear()
        self._size = 0
        try:
            with self._lock:
                if self._size_of(self.path) + len(batch) > self._max_bytes:
                    self._move()
                private.append(self.path, batch)
        except OSError as error:
            lost = BatchLostError(error.errno, error.strerror, error.filename)
            lost.lost = count
            raise lost from error

    def forget(self, meant: Sequence[Selector], removed: Collection[str]) -> None:
        """Remove what is told of questions, and whose requests were.

        Lines about questions do not say everything that a selector may: in doubt they are meant.
        Requests stay, as counts, without their tenant and their entry.

        Args:
            meant: which questions.
            removed: ids of the entries that were found and removed.

        Raises:
            StoreError: a file could not be read or replaced, so lines may still be there.
        """
        ids = {id_[:ID_DIGITS] for id_ in removed}
        try:
            with self._lock:
                for path in (self.older, self.path):
                    _forget(path, meant, ids)
                self._named.clear()
        except OSError as error:
            raise StoreError("statistics", "forget", f"{self.path}: {error}") from error

    def after_fork(self) -> None:
        """Start anew in a child process; its parent writes what it had taken."""
        self._lines, self._named = [], set()
        self._start()

    def _start(self) -> None:
        self._size = 0
        self._run: str = token_hex(4)
        self._lock: threading.Lock = threading.Lock()

    def _tells(self, looked: Looked) -> bool:
        """Whether a lookup is worth a line: one that was near, or whose question is new here."""
        near = looked.near_key is not None and not looked.served
        if not self._texts:
            return near
        if len(self._named) >= _MOST_NAMED:
            self._named.clear()
        keys = {key for key in (looked.key, looked.near_key) if key is not None}
        new = not keys <= self._named
        self._named |= keys
        return near or new

    def _move(self) -> None:
        """Let the file become the older one, unless somebody is at it, or was."""
        try:
            self._lock_file.touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            with suppress(FileNotFoundError):  # who had it has just finished
                # The clock may have been set back since: a lock of tomorrow is as old as any.
                if abs(self._wall_now() - self._lock_file.stat().st_mtime) > _STALE_S:
                    self._lock_file.unlink()
            return
        try:
            if self._size_of(self.path) + _BATCH_BYTES > self._max_bytes:
                with suppress(FileNotFoundError):  # somebody has taken it away
                    self.path.replace(self.older)
                self._named.clear()
        finally:
            self._lock_file.unlink(missing_ok=True)

    @staticmethod
    def _size_of(path: Path) -> int:
        # Looked at each time: another process may have appended, or moved the file away.
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return 0


def older_of(path: Path) -> Path:
    """Return where the older part of the file at `path` is."""
    return path.with_name(f"{path.stem}.1{path.suffix}")


def _forget(path: Path, meant: Sequence[Selector], ids: Collection[str]) -> None:
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return
    kept = [left for line in lines if (left := _without(line, meant, ids)) is not None]
    if kept != lines:
        private.replace(path, b"".join(kept))


def _without(line: bytes, meant: Sequence[Selector], ids: Collection[str]) -> bytes | None:
    """Return `line` without what is meant, None where nothing of it may stay."""
    try:
        told = orjson.loads(line)
    except orjson.JSONDecodeError:
        return line if not line.strip() else None
    if not isinstance(told, dict):
        return None
    if told.get("is") == Looked.__name__:
        named = {told.get("id"), told.get("near_id")} & set(ids)
        return None if named or any(_asked(one, told) for one in meant) else line
    if _whose(told, meant, ids):
        told.pop("tenant", None)
        told.pop("entry_id", None)
        return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)
    return line


def _asked(selector: Selector, told: dict[str, Any]) -> bool:
    tenant, texts = selector.tenant, (told.get("text"), told.get("near_text"))
    return (tenant is None or told.get("tenant", "") == tenant.hex()) and (
        selector.text is None or texts == (None, None) or selector.text in texts
    )


def _whose(told: dict[str, Any], meant: Sequence[Selector], ids: Collection[str]) -> bool:
    tenant = told.get("tenant")
    return told.get("entry_id") in ids or (
        tenant is not None
        and any(
            one.tenant is not None and one.tenant.hex() == tenant and one.text is one.tag is None
            for one in meant
        )
    )
