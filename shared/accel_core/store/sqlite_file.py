"""The database file under `SqliteStore`: created whole, checked, opened, and its errors named.

A new database is made complete under a private name beside its place and put there by an
operation that fails if somebody was first, so no process ever switches the journal mode of a file
that another one opens (measured: 3 of 60 first opens were "database is locked" otherwise).
A user's file is never deleted, renamed or converted.

Each process has three connections, each behind its own lock: one answers quick questions, one
reads at length, one writes; so a fetch waits neither for a scan nor for a write. A forked child
opens its own and leaves the parent's alone. Every failure leaves here as a `StoreError` that names
the file.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakSet

from accel_core.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

APPLICATION_ID = 0x4C4C4D61  # "LLMa", in the file's header
FORMAT = 1

_BUSY_S = 5.0
_PAGE_BYTES = 8192

_FILES: WeakSet[SqliteFile] = WeakSet()

# Keeps a parent's connections alive in the child: collecting one would close it.
_INHERITED: list[_Lines] = []


class SqliteFile:
    """One database file, open for the calling process.

    Args:
        path: where it is.
        schema: what a new one is made with.
        read_only: neither makes nor changes it.
    """

    def __init__(
        self, path: str | os.PathLike[str], schema: str, *, read_only: bool = False
    ) -> None:
        self.path = Path(path).absolute()
        self._read_only = read_only
        self._closed = False
        self._lines: _Lines | None = None
        self._opening = threading.Lock()
        with _Reported(self.path, "open"):
            if not self.path.exists() and read_only:
                raise _refused(self.path, "does not exist; check the path")
            if not self.path.exists():
                _create(self.path, schema)
            self._open()
        _FILES.add(self)

    @contextmanager
    def asking(self, operation: str) -> Iterator[sqlite3.Connection]:
        """Give the connection for what takes microseconds; each statement sees the latest."""
        with _Reported(self.path, operation):
            line = (self._lines or self._open()).quick
            with line.lock:
                yield line.connection

    @contextmanager
    def scanning(self, operation: str) -> Iterator[sqlite3.Connection]:
        """Give the connection for what takes longer; all statements see the same state."""
        with _Reported(self.path, operation):
            line = (self._lines or self._open()).slow
            with line.lock, _transaction(line.connection, "BEGIN"):
                yield line.connection

    @contextmanager
    def writing(self, operation: str) -> Iterator[sqlite3.Connection]:
        """Give the connection that writes, in a transaction: committed at the end, or nothing."""
        with _Reported(self.path, operation):
            line = (self._lines or self._open()).writer
            # At once: a transaction that begins by reading cannot wait for its turn to write
            # (measured: busy in 4,009 of 6,000).
            with line.lock, _transaction(line.connection, "BEGIN IMMEDIATE"):
                yield line.connection

    def close(self) -> None:
        """Close this process's connections. Calling it again does nothing."""
        with self._opening:
            self._closed = True
            lines, self._lines = self._lines, None
        if lines is not None:
            with _Reported(self.path, "close"):
                lines.close()

    def open_lines(self) -> tuple[_Line, ...]:
        """Return the connections open now."""
        return tuple(self._lines or ())

    def after_fork(self) -> None:
        """Leave the parent's connections to the parent; a child's next use opens new ones."""
        self._opening = threading.Lock()
        if self._lines is not None:
            _INHERITED.append(self._lines)
            self._lines = None

    def _open(self) -> _Lines:
        with self._opening:
            if self._closed:
                raise StoreError("sqlite", "answer", f"{self.path}: the store is closed")
            if self._lines is None:
                self._lines = _Lines.to(self.path, read_only=self._read_only)
            return self._lines


class _Line(NamedTuple):
    """A connection, and the lock to hold while using it."""

    connection: sqlite3.Connection
    lock: threading.Lock


class _Lines(NamedTuple):
    """What one process has open."""

    quick: _Line
    slow: _Line
    writer: _Line

    @classmethod
    def to(cls, path: Path, *, read_only: bool) -> _Lines:
        with ExitStack() as opened:
            lines = []
            for _ in cls._fields:
                connection = _connected(path, read_only=read_only)
                opened.callback(connection.close)
                lines.append(_Line(connection, threading.Lock()))
            opened.pop_all()
        return cls(*lines)

    def close(self) -> None:
        for line in self:
            with line.lock:
                line.connection.close()


class _Reported:
    """Turns what SQLite and the file system raise into a `StoreError`: the one place that does."""

    __slots__ = ("_operation", "_path")

    def __init__(self, path: Path, operation: str) -> None:
        self._path, self._operation = path, operation

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, (sqlite3.Error, OSError)):
            raise StoreError("sqlite", self._operation, f"{self._path}: {error}") from error


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _connected(path: Path, *, read_only: bool) -> sqlite3.Connection:
    # mode=rw: a file deleted meanwhile is an error, not a new database without tables.
    connection = sqlite3.connect(
        f"{path.as_uri()}?{_reading_mode(path) if read_only else 'mode=rw'}",
        uri=True,
        timeout=_BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _check(connection, path)
        connection.execute("PRAGMA synchronous = NORMAL")
        # What was removed is overwritten: somebody may have asked to be forgotten.
        connection.execute("PRAGMA secure_delete = ON")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _reading_mode(path: Path) -> str:
    """Return how to open a file that is only read.

    A reader takes part in the log, and makes files for that beside the database, which only
    writers remove. Where this process may not, and no log is there, nobody has the file open.
    """
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return "mode=rw"
    logged = path.with_name(f"{path.name}-wal").exists()
    return "mode=ro" if logged else "mode=ro&immutable=1"


def _check(connection: sqlite3.Connection, path: Path) -> None:
    try:
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise _refused(
            path, "is not an SQLite database; move it away or choose another path"
        ) from error
    if owner != APPLICATION_ID:
        raise _refused(path, "belongs to another program; choose another path")
    if version > FORMAT:
        raise _refused(
            path,
            f"has format {version} and this llm-accel reads {FORMAT}; upgrade llm-accel or choose"
            " another path",
        )


def _refused(path: Path, why: str) -> StoreError:
    return StoreError("sqlite", "open", f"{path} {why}")


def _create(path: Path, schema: str) -> None:
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    private = path.with_name(f".{path.name}.{token_hex(8)}.new")
    os.close(os.open(private, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        _fill(private, schema)
        _place(private, path)
    finally:
        private.unlink(missing_ok=True)


def _fill(private: Path, schema: str) -> None:
    connection = sqlite3.connect(private, isolation_level=None)
    try:
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.executescript(schema)
    finally:
        # The last to close moves everything from the log into the file.
        connection.close()


def _place(private: Path, path: Path) -> None:
    # Neither replaces a file that is there already: then another process was first, and its
    # database is as complete as this one.
    put = os.rename if os.name == "nt" else os.link
    try:
        put(private, path)
    except FileExistsError:
        return
    except OSError as error:
        why = f"cannot be put in place ({error.strerror}); choose a path on a local disk"
        raise _refused(path, why) from error


_FORK_WAIT_S = 1.0
_held: list[threading.Lock] = []


def _before_fork() -> None:
    """Let no thread be inside SQLite: the child would inherit a mutex that nobody releases."""
    for file in list(_FILES):
        locks = (line.lock for line in file.open_lines())
        _held.extend(lock for lock in locks if lock.acquire(timeout=_FORK_WAIT_S))


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().release()


def _after_fork_in_child() -> None:
    _held.clear()
    for file in list(_FILES):
        file.after_fork()


# The child's runs before any other code there, so it races with nothing.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
