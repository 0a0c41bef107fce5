"""The changes of corpora in the same SQLite file: which revision, and which documents since when.

One row per corpus numbers its changes; one per document names its last. A change is read, numbered
and written in one transaction, so no two processes give the same number. The record of documents is
bounded: what exceeds it becomes one change that concerns everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.policy.corpus import MAX_NAMED
from accel_core.ports import CorpusChanges

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

_TABLES = (
    """
CREATE TABLE IF NOT EXISTS corpora (
    corpus BLOB PRIMARY KEY,
    revision INTEGER NOT NULL,
    everything INTEGER NOT NULL
) WITHOUT ROWID
""",
    """
CREATE TABLE IF NOT EXISTS changed (
    corpus BLOB NOT NULL,
    document BLOB NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (corpus, document)
) WITHOUT ROWID
""",
)

# One statement, so that revision and documents are of the same moment.
_READ = """
SELECT corpora.revision, everything, document, changed.revision
FROM corpora LEFT JOIN changed ON changed.corpus = corpora.corpus AND changed.revision > ?
WHERE corpora.corpus = ?
"""
_NUMBERED = """
INSERT INTO corpora VALUES (?1, 1, 0)
ON CONFLICT (corpus) DO UPDATE SET revision = revision + 1 RETURNING revision
"""
_NAMED = """
INSERT INTO changed VALUES (?, ?, ?)
ON CONFLICT (corpus, document) DO UPDATE SET revision = excluded.revision
"""


def has_tables(connection: sqlite3.Connection) -> bool:
    """Whether the file has the tables: looking waits for no writer, unlike making them."""
    found = connection.execute(
        "SELECT count(*) FROM sqlite_master WHERE name IN ('corpora', 'changed')"
    )
    (count,) = found.fetchone()
    return bool(count == len(_TABLES))


def make_tables(connection: sqlite3.Connection) -> None:
    """Add the tables to a file that has none yet."""
    for table in _TABLES:
        connection.execute(table)


def read_changes(connection: sqlite3.Connection, corpus: bytes, since: int) -> CorpusChanges:
    """Return what happened to `corpus` after revision `since`."""
    rows = connection.execute(_READ, (since, corpus)).fetchall()
    if not rows:
        return CorpusChanges(0, 0, {})
    revision, everything = rows[0][:2]
    documents = {document: last for _, _, document, last in rows if document is not None}
    return CorpusChanges(revision, everything, documents)


def add_change(
    connection: sqlite3.Connection, corpus: bytes, documents: Collection[bytes] | None
) -> None:
    """Number a change of `corpus`; None for `documents`: it may concern everything."""
    (revision,) = connection.execute(_NUMBERED, (corpus,)).fetchone()
    if documents is not None:
        (known,) = connection.execute(
            "SELECT count(*) FROM changed WHERE corpus = ?", (corpus,)
        ).fetchone()
        if known + len(documents) <= MAX_NAMED:
            rows = [(corpus, document, revision) for document in documents]
            connection.executemany(_NAMED, rows)
            return
    connection.execute("UPDATE corpora SET everything = revision WHERE corpus = ?", (corpus,))
    connection.execute("DELETE FROM changed WHERE corpus = ?", (corpus,))
