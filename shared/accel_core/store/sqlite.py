"""Entries in one SQLite file: they survive the process, and several processes may share them.

Every change happens in a transaction that numbers it: one counter, in the same file, gives each
stored entry and each removal its revision, so a reader asks for what came after the last revision
it knows. What a save has acknowledged survives ``kill -9`` (write-ahead log; a power cut may cost
the last moments, never the file).

An entry is kept as `codec` bytes; the columns beside it only find it, and are never believed: what
is served is what the bytes, and their seal, say. Bytes that are not the entry asked for are a miss
and an event. Every other failure is a `StoreError`, and the caller goes on without the store.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from accel_core.events import BackendFailed
from accel_core.policy.seal import Seal
from accel_core.ports import Changes, Located
from accel_core.store import codec
from accel_core.store.sqlite_changes import add_change, has_tables, make_tables, read_changes
from accel_core.store.sqlite_file import SqliteFile
from accel_core.store.sqlite_rows import SCHEMA, Ledger, query

if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence

    from accel_core.inspection import Stored
    from accel_core.ports import CorpusChanges, Entry, Observer, Selector

# A revision handed out holds two: how far removals were told, and how far entries were. They
# differ while a reader pages through the entries of a state whose removals it already has.
_HALF = 1 << 62


class SqliteStore:
    """A bounded `SharedStore` in the file `path`, created with its folder where absent.

    Args:
        path: the database file, on a local disk.
        seal: signs what is stored and refuses what was not signed; None: neither.
        max_entries: the most entries held; expired ones leave first, then the oldest.
        read_only: neither makes nor changes the file, which may be write-protected.
        on_event: told of bytes that were refused.
        wall_now: the clock that decides what has expired, seconds since the epoch.

    Raises:
        StoreError: the file is not an SQLite database, not ours, or of a newer format.
    """

    blocking = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        seal: Seal | None = None,
        max_entries: int = 100_000,
        read_only: bool = False,
        on_event: Observer | None = None,
        wall_now: Callable[[], float] = time.time,
    ) -> None:
        self._seal = seal if seal is not None else Seal()
        self._max_entries = max_entries
        self._on_event = on_event
        self._wall_now = wall_now
        self._file = SqliteFile(path, SCHEMA, read_only=read_only)
        if not read_only:
            self._complete()
        # Everything up to this revision was told by `changes` or written here.
        self._known = 0
        # The last look at the counter: by which connection, at which version of the data.
        self._look: tuple[sqlite3.Connection, int] | None = None
        self._latest = 0

    def fetch(self, key: bytes) -> Entry | None:
        """Return the entry under `key`, or None; bytes that are not that entry are None."""
        with self._file.asking("fetch") as connection:
            body = _body(connection, key)
        return None if body is None else self._entries([(key, body)]).get(key)

    def fetch_many(self, keys: Collection[bytes]) -> dict[bytes, Entry]:
        """Return the entries under `keys` by their key; bytes that are not that entry are left out.

        One state of the file is read.
        """
        return self._entries(self._bodies(keys))

    def inspect(self, keys: Collection[bytes]) -> dict[bytes, Stored]:
        """Return what is kept under `keys` by their key, readable or not, and no event."""
        return {key: codec.inspected(body, key, self._seal) for key, body in self._bodies(keys)}

    def save(self, entries: Sequence[Entry]) -> None:
        """Store all of `entries` or none, replacing those with the same key."""
        if not entries:
            return
        rows = [(entry, codec.encode(entry, self._seal)) for entry in entries]
        with self._file.writing("save") as connection:
            ledger = Ledger(connection)
            for entry, body in rows:
                ledger.put(entry, body)
            evicted = ledger.shrink(self._max_entries, self._wall_now())
            ledger.write()
        if not evicted:
            self._note(ledger)

    def select(self, selector: Selector) -> list[bytes]:
        """Return the keys of the entries that `selector` means, changing nothing."""
        statement, values = query(selector)
        with self._file.scanning("select") as connection:
            return [key for (key,) in connection.execute(statement, values)]

    def remove(self, keys: Collection[bytes]) -> int:
        """Remove `keys` and return how many were there."""
        return self._remove(dict.fromkeys(keys)) if keys else 0

    def discard(self, entries: Sequence[Entry]) -> None:
        """Remove `entries`, and leave what was stored under a key of theirs later."""
        if entries:
            self._remove({entry.key: entry.created_s for entry in entries})

    def stirred(self) -> bool:
        """Whether there are changes that `changes` has not told and that are not this store's own.

        Its own evictions count: whoever saved does not know what left for it.
        """
        with self._file.asking("look") as connection:
            look = (connection, connection.execute("PRAGMA data_version").fetchone()[0])
            if look != self._look:
                self._latest = Ledger(connection).revision
                self._look = look
            return self._latest != self._known

    def changes(self, since: int, limit: int) -> Changes:
        """Return up to `limit` entries located after revision `since`, and all removals after it.

        What a reader holds under a located key, too, is out of date. `removed` also names entries
        that were replaced by one that cannot be located. A reset starts again from the beginning
        and includes its first entries.
        """
        told, after = divmod(since, _HALF)
        located: list[Located] = []
        refused = 0
        with self._file.scanning("read changes of") as connection:
            ledger = Ledger(connection)
            reset = since > 0 and not ledger.horizon <= told <= ledger.revision
            if reset:
                told = after = 0
            removed = ledger.removed_since(told)
            rows = ledger.located_after(after)
            while len(located) < limit and (row := rows.fetchone()) is not None:
                after, key, body = row
                entry = self._readable(body, key)
                if isinstance(entry, str) or entry.vector is None:
                    refused += 1
                else:
                    located.append(Located(key, entry.scope, entry.encoder, entry.vector))
            rows.close()
        if len(located) < limit:
            after = self._known = ledger.revision
        if refused:
            self._tell(f"the stored bytes of {refused} entries are refused")
        return Changes(located, removed, ledger.revision * _HALF + after, reset)

    def glance(self) -> Hashable:
        """Return a value that differs when another connection may have changed something."""
        with self._file.asking("look") as connection:
            # By which connection: a forked child opens its own, whose versions begin anew.
            return id(connection), connection.execute("PRAGMA data_version").fetchone()[0]

    def read_changes(self, corpus: bytes, since: int) -> CorpusChanges:
        """Return what happened to `corpus` after revision `since`; all 0 where nothing ever did."""
        with self._file.asking("read changes of") as connection:
            return read_changes(connection, corpus, since)

    def add_change(self, corpus: bytes, documents: Collection[bytes] | None) -> None:
        """Number a change of `corpus`; None for `documents`: it may concern everything."""
        with self._file.writing("change") as connection:
            add_change(connection, corpus, documents)

    def flush(self) -> None:
        """Do nothing: a save returns when it is committed."""

    def close(self) -> None:
        """Close the file. Calling it again does nothing."""
        self._file.close()

    def __repr__(self) -> str:
        return f"SqliteStore({str(self._file.path)!r}, seal={self._seal!r})"

    def _complete(self) -> None:
        """Add tables that a file of an earlier version has not."""
        with self._file.asking("open") as connection:
            complete = has_tables(connection)
        if not complete:
            with self._file.writing("open") as connection:
                make_tables(connection)

    def _bodies(self, keys: Collection[bytes]) -> list[tuple[bytes, bytes]]:
        """Return each of `keys` that is there, and its bytes."""
        with self._file.scanning("fetch") as connection:
            bodies = [(key, _body(connection, key)) for key in keys]
        return [(key, body) for key, body in bodies if body is not None]

    def _entries(self, bodies: Iterable[tuple[bytes, bytes]]) -> dict[bytes, Entry]:
        """Return what is readable of keys and bytes."""
        entries: dict[bytes, Entry] = {}
        for key, body in bodies:
            entry = self._readable(body, key)
            if isinstance(entry, str):
                self._tell(f"the stored bytes of {key.hex()} are refused: {entry}")
            else:
                entries[key] = entry
        return entries

    def _readable(self, body: object, key: bytes) -> Entry | str:
        entry = codec.decode(body, self._seal)
        # A sealed entry copied under another key would verify.
        return entry if isinstance(entry, str) or entry.key == key else "key"

    def _tell(self, what: str) -> None:
        if self._on_event is not None:
            self._on_event(BackendFailed("sqlite", "read", what))

    def _remove(self, meant: Mapping[bytes, float | None]) -> int:
        """Remove entries by key, unless they were stored after the moment given for it."""
        with self._file.writing("remove") as connection:
            ledger = Ledger(connection)
            before = ledger.entries
            for key, until_s in meant.items():
                body = None if until_s is None else _body(connection, key)
                stored_s = None if body is None else codec.created_s(body)
                if until_s is None or stored_s is None or stored_s <= until_s:
                    ledger.remove(key)
            ledger.write()
        self._note(ledger)
        return before - ledger.entries

    def _note(self, ledger: Ledger) -> None:
        # Only if nobody else wrote in between: their changes are still to be told.
        if self._known == ledger.start:
            self._known = ledger.revision


def _body(connection: sqlite3.Connection, key: bytes) -> bytes | None:
    row = connection.execute("SELECT body FROM entries WHERE key = ?", (key,)).fetchone()
    return None if row is None else row[0]
