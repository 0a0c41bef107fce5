"""The tables of `SqliteStore`, and what one transaction does to them.

One counter row gives every stored entry and every removal its revision. It is read and written
within the transaction that uses it, so revisions are in the order of commits and none is given
twice. An entry that is replaced leaves its row and gets a new one, hence a new revision.

Removals are kept for a bounded stretch of revisions; the horizon says where their record begins.
Nothing here begins, commits, locks or reads a clock.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from accel_core.store.codec import utf8

if TYPE_CHECKING:
    import sqlite3

    from accel_core.ports import Entry, Selector

HISTORY_REVISIONS = 20_000
"""How far back removals can be asked for; who is further behind is told to start again."""

# `found` answers every selection without touching the entries themselves.
SCHEMA = """
BEGIN;
CREATE TABLE counter (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    horizon INTEGER NOT NULL
);
INSERT INTO counter VALUES (1, 0, 0, 0);
CREATE TABLE entries (
    revision INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    tenant BLOB NOT NULL,
    namespace BLOB NOT NULL,
    scope BLOB NOT NULL,
    text_digest BLOB NOT NULL,
    located INTEGER NOT NULL,
    expires_s REAL NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX found ON entries (tenant, namespace, scope, text_digest, key, expires_s);
CREATE TABLE tags (
    tag BLOB NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (tag, revision)
) WITHOUT ROWID;
CREATE INDEX tagged ON tags (revision);
CREATE TABLE removals (revision INTEGER PRIMARY KEY, key BLOB NOT NULL);
CREATE TRIGGER untag AFTER DELETE ON entries BEGIN
    DELETE FROM tags WHERE revision = OLD.revision;
END;
COMMIT;
"""

_EXPIRED = "SELECT key FROM entries WHERE expires_s <= ? LIMIT ?"
_OLDEST = "SELECT key FROM entries ORDER BY revision LIMIT ?"
_LOCATED = """
SELECT revision, key, body FROM entries WHERE revision > ? AND located ORDER BY revision
"""
# A removal is old news to whoever is told of the newer entry.
_REMOVED = """
SELECT key FROM removals WHERE revision > ? AND NOT EXISTS (
    SELECT 1 FROM entries
    WHERE entries.key = removals.key AND entries.revision > removals.revision AND located
)
"""


class Ledger:
    """The tables as one transaction finds and leaves them.

    Attributes:
        start: the last revision given before this transaction.
        revision: the last revision given.
        entries: how many entries there are.
        horizon: removals up to this revision are no longer on record.
    """

    __slots__ = ("_connection", "entries", "horizon", "revision", "start")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        row = connection.execute("SELECT revision, entries, horizon FROM counter").fetchone()
        self.revision: int = row[0]
        self.entries: int = row[1]
        self.horizon: int = row[2]
        self.start = self.revision

    def put(self, entry: Entry, body: bytes) -> None:
        """Store `entry`, whose bytes are `body`, in the place of any with its key."""
        execute = self._connection.execute
        replaced = execute("DELETE FROM entries WHERE key = ?", (entry.key,)).rowcount
        self.entries += 1 - replaced
        if replaced and entry.vector is None:
            # No reader will be told of the new entry, so each is told to drop the old one.
            self._log_removal(entry.key)
        self.revision += 1
        row = (
            self.revision,
            entry.key,
            entry.tenant,
            utf8(entry.namespace),
            entry.scope,
            _digest(entry.text),
            entry.vector is not None,
            entry.expires_s,
            body,
        )
        execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        for tag in set(entry.tags):
            execute("INSERT INTO tags VALUES (?, ?)", (utf8(tag), self.revision))

    def remove(self, key: bytes) -> None:
        """Remove `key`; nothing happens where it is unknown."""
        if self._connection.execute("DELETE FROM entries WHERE key = ?", (key,)).rowcount:
            self.entries -= 1
            self._log_removal(key)

    def shrink(self, max_entries: int, now_s: float) -> bool:
        """Keep to `max_entries`, and return whether any had to leave.

        What has expired at `now_s` leaves first, then the oldest.
        """
        if self.entries <= max_entries:
            return False
        # Some room at once: looking for what has expired reads a whole index.
        goal = max_entries - max_entries // 64
        for statement, values in ((_EXPIRED, (now_s,)), (_OLDEST, ())):
            leaving = self._connection.execute(statement, (*values, self.entries - goal))
            for (key,) in leaving.fetchall():
                self.remove(key)
        return True

    def write(self) -> None:
        """Put the counter back, as the last act of a transaction that changed something."""
        self._connection.execute(
            "UPDATE counter SET revision = ?, entries = ?, horizon = ?",
            (self.revision, self.entries, self.horizon),
        )

    def removed_since(self, revision: int) -> list[bytes]:
        """Return the keys removed after `revision`, without those that can be located again."""
        return [key for (key,) in self._connection.execute(_REMOVED, (revision,))]

    def located_after(self, revision: int) -> sqlite3.Cursor:
        """Find revision, key and bytes of the entries that can be located, in order."""
        return self._connection.execute(_LOCATED, (revision,))

    def _log_removal(self, key: bytes) -> None:
        self.revision += 1
        self._connection.execute("INSERT INTO removals VALUES (?, ?)", (self.revision, key))
        oldest = self.revision - HISTORY_REVISIONS
        forgotten = self._connection.execute("DELETE FROM removals WHERE revision <= ?", (oldest,))
        if forgotten.rowcount:
            self.horizon = oldest


def query(selector: Selector) -> tuple[str, list[bytes]]:
    """Return the statement that finds the keys `selector` means, and its values."""
    wanted = {
        "tag = ?": None if selector.tag is None else utf8(selector.tag),
        "key = ?": selector.key,
        "scope = ?": selector.scope,
        "tenant = ?": selector.tenant,
        "namespace = ?": None if selector.namespace is None else utf8(selector.namespace),
        "text_digest = ?": None if selector.text is None else _digest(selector.text),
    }
    given = {condition: value for condition, value in wanted.items() if value is not None}
    where = " AND ".join(given) or "1"
    # CROSS JOIN: a tag names few entries, so it is looked up first.
    source = "entries" if selector.tag is None else "tags CROSS JOIN entries USING (revision)"
    return f"SELECT key FROM {source} WHERE {where}", list(given.values())  # noqa: S608  # constants


def _digest(text: str) -> bytes:
    return blake2b(utf8(text), digest_size=16).digest()
