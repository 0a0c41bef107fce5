"""What `SqliteStore` promises beyond the contract: its file, its bounds, and bytes gone bad."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.errors import StoreError
from accel_core.events import BackendFailed
from accel_core.policy.seal import Seal
from accel_core.ports import Entry, Selector
from accel_core.store import sqlite_file, sqlite_rows
from accel_core.store.sqlite import SqliteStore
from accel_core.testing.stores import StoreContract, digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.events import Event

OLD, NEW = b"o" * 32, b"n" * 32

entry = StoreContract().make_entry


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "accel.db"


@contextmanager
def raw(path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody else's hand in the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- a file that is only read


def test_a_read_only_store_makes_and_changes_nothing(path: Path) -> None:
    """Not the file, not its tables, not an entry; and it says so."""
    with pytest.raises(StoreError, match="does not exist; check the path"):
        SqliteStore(path, read_only=True)
    assert not path.exists()
    with closing(SqliteStore(path)) as store:
        store.save([entry()])
    with raw(path) as other:
        other.execute("DROP TABLE corpora")
    before = path.read_bytes()
    with closing(SqliteStore(path, read_only=True)) as store:
        assert store.fetch_many(store.select(Selector())) == {entry().key: entry()}
        with pytest.raises(StoreError, match="readonly"):
            store.save([entry("two")])
        with pytest.raises(StoreError, match="readonly"):
            store.remove([entry().key])
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("logged", [False, True], ids=["alone", "in use"])
def test_a_write_protected_file_is_read(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, logged: bool
) -> None:
    """Also where no file can be made beside it; what another process has yet to move in, too."""
    with closing(SqliteStore(path)) as store:
        store.save([entry()])
        if not logged:
            store.close()
        # Root may write everything: what the system says is replaced, and what is made is seen.
        monkeypatch.setattr(sqlite_file.os, "access", lambda *_: False)
        there = set(path.parent.iterdir())
        with closing(SqliteStore(path, read_only=True)) as reader:
            assert reader.fetch(entry().key) == entry()
            assert reader.select(Selector(tag="faq")) == [entry().key]
            assert set(path.parent.iterdir()) == there


# --- the file


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_files_are_private(tmp_path: Path) -> None:
    """The database and its companions are 0600, in a folder made 0700."""
    path = tmp_path / "new" / "accel.db"
    with closing(SqliteStore(path)) as store:
        store.save([entry()])
        assert mode(path.parent) == 0o700
        files = list(path.parent.iterdir())
        assert {file.name for file in files} == {"accel.db", "accel.db-wal", "accel.db-shm"}
        assert {mode(file) for file in files} == {0o600}


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_folder_of_the_user_is_left_alone(tmp_path: Path) -> None:
    """A folder that was there keeps its mode, and nothing temporary stays in it."""
    tmp_path.chmod(0o755)
    SqliteStore(tmp_path / "accel.db").close()
    assert mode(tmp_path) == 0o755
    assert [file.name for file in tmp_path.iterdir()] == ["accel.db"]


def test_entries_survive_reopening(path: Path) -> None:
    """What was saved is there after closing and opening again."""
    with closing(SqliteStore(path)) as store:
        store.save([entry()])
    with closing(SqliteStore(path)) as store:
        assert store.fetch(digest("one")) == entry()


def test_path_is_fixed_when_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path, with characters that mean something in a URI, stays where it was."""
    monkeypatch.chdir(tmp_path)
    with closing(SqliteStore("a?b#c %41.db")) as store:
        monkeypatch.chdir("/")
        store._file.after_fork()
        store.save([entry()])
    assert (tmp_path / "a?b#c %41.db").exists()


def test_a_file_that_vanished_is_not_made_anew(path: Path) -> None:
    """Where the file is gone when it must be opened again, that is an error, not an empty store."""
    with closing(SqliteStore(path)) as store:
        store._file.after_fork()
        path.unlink()
        with pytest.raises(StoreError):
            store.fetch(b"k")
        assert not path.exists()


def newer(path: Path) -> None:
    SqliteStore(path).close()
    with raw(path) as connection:
        connection.execute("PRAGMA user_version = 999")


def foreign(path: Path) -> None:
    with raw(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")


@pytest.mark.parametrize(
    ("prepare", "remedy"),
    [
        (lambda path: path.write_text("Dear diary, " * 1000), "not an SQLite database; move"),
        (lambda path: path.write_bytes(b""), "belongs to another program; choose"),
        (foreign, "belongs to another program; choose"),
        (newer, "upgrade llm-accel or choose"),
    ],
    ids=["text", "empty", "another program's", "newer"],
)
def test_other_files_are_refused(path: Path, prepare: Callable[[Path], Any], remedy: str) -> None:
    """What is not our database is named, with the remedy, and not touched."""
    prepare(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=remedy) as caught:
        SqliteStore(path)
    assert str(path) in str(caught.value)
    assert (caught.value.backend, caught.value.operation) == ("sqlite", "open")
    assert path.read_bytes() == before


def test_impossible_places_are_refused(tmp_path: Path) -> None:
    """A folder in the place of the file, or a file in the place of the folder, is a StoreError."""
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path, tmp_path / "file" / "accel.db"):
        with pytest.raises(StoreError, match=str(path)):
            SqliteStore(path)


def test_whoever_is_first_makes_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that appears while ours is being made is used, and ours thrown away."""
    with closing(SqliteStore(path)) as first:
        first.save([entry()])
        monkeypatch.setattr(Path, "exists", lambda self: self != path)
        with closing(SqliteStore(path)) as second:
            assert second.fetch(digest("one")) == entry()
    assert [file.name for file in path.parent.iterdir()] == ["accel.db"]


def test_no_hard_links(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that cannot put the file in place at once is named, and left clean."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "rename" if os.name == "nt" else "link", refuse)
    with pytest.raises(StoreError, match="choose a path on a local disk"):
        SqliteStore(path)
    assert list(path.parent.iterdir()) == []


def test_closed(path: Path) -> None:
    """Every operation on a closed store is a StoreError; closing again is nothing."""
    store = SqliteStore(path)
    store.close()
    store.close()
    for operation in (
        lambda: store.fetch(b"k"),
        lambda: store.save([entry()]),
        lambda: store.select(Selector()),
        lambda: store.remove([b"k"]),
        lambda: store.changes(0, 1),
        store.stirred,
    ):
        with pytest.raises(StoreError, match="closed"):
            operation()


def test_repr_names_the_file_and_no_key(path: Path) -> None:
    """The repr says where and whether sealed, never with what."""
    with closing(SqliteStore(path, seal=Seal(NEW, OLD))) as store:
        assert repr(store) == f"SqliteStore({str(path)!r}, seal=Seal(current=set, previous=set))"


# --- failures


def test_corrupted_while_open(path: Path) -> None:
    """A file that goes bad under an open store is a StoreError with SQLite's own as its cause."""
    with closing(SqliteStore(path)) as store:
        store.save([entry(number) for number in range(200)])
    with closing(SqliteStore(path)) as store:
        size_bytes = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(8192)
            file.write(b"\xa5" * (size_bytes - 8192))
        for operation in (
            lambda: store.fetch(digest(7)),
            lambda: store.save([entry("new")]),
            lambda: store.changes(0, 10),
        ):
            with pytest.raises(StoreError) as caught:
                operation()
            assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)
            assert str(path) in str(caught.value)


def test_save_is_whole_or_nothing(path: Path) -> None:
    """Where one entry cannot be stored, none of the call is, and the store goes on."""
    with closing(SqliteStore(path)) as store:
        with pytest.raises(StoreError):
            store.save([entry("good"), entry("bad", expires_s=float("nan"))])
        assert store.select(Selector()) == []
        store.save([entry("good")])
        assert store.select(Selector()) == [digest("good")]


def test_a_writer_that_holds_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process holds the write lock, reads go on, and a write fails in the end."""
    monkeypatch.setattr(sqlite_file, "_BUSY_S", 0.05)
    with closing(SqliteStore(path)) as store, raw(path) as other:
        store.save([entry()])
        other.execute("BEGIN IMMEDIATE")
        assert store.fetch(digest("one")) == entry()
        with pytest.raises(StoreError, match="locked"):
            store.save([entry("two")])
        other.execute("ROLLBACK")
        store.save([entry("two")])
        assert store.fetch(digest("two")) is not None


def test_fetch_waits_for_nobody(path: Path) -> None:
    """A fetch and a look for changes need neither the writer nor the scanner of this process."""
    with closing(SqliteStore(path)) as store:
        store.save([entry()])
        with store._file.writing("test"), store._file.scanning("test"):
            assert store.fetch(digest("one")) == entry()
            assert not store.stirred()


# --- bytes gone bad


@pytest.mark.parametrize(
    ("assignment", "reason"),
    [
        ("x'00112233'", "version"),
        ("'a string'", "format"),
        ("x''", "format"),
        ("x'01'", "format"),
        ("CAST(substr(body, 1, length(body) - 1) AS BLOB)", "format"),
        ("CAST(body || x'00' AS BLOB)", "format"),
        ("CAST(x'02' || substr(body, 2) AS BLOB)", "version"),
        ("(SELECT body FROM entries AS e WHERE e.key <> entries.key)", "key"),
    ],
    ids=["junk", "string", "empty", "head", "cut", "longer", "version", "another's"],
)
def test_bad_bytes_are_a_miss_and_an_event(path: Path, assignment: str, reason: str) -> None:
    """Stored bytes that are not the entry asked for are None, with one event for each fetch."""
    events: list[Event] = []
    with closing(SqliteStore(path, on_event=events.append)) as store:
        store.save([entry("bad"), entry("good")])
        with raw(path) as other:
            other.execute(f"UPDATE entries SET body = {assignment} WHERE key = ?", (digest("bad"),))
        assert store.fetch(digest("bad")) is None
        assert [type(event) for event in events] == [BackendFailed]
        assert isinstance(events[0], BackendFailed)
        assert (events[0].backend, events[0].operation) == ("sqlite", "read")
        assert events[0].error.endswith(f"refused: {reason}")
        assert store.fetch(digest("good")) == entry("good")
        assert [place.key for place in store.changes(0, 10).located] == [digest("good")]
        assert len(events) == 2
        store.save([entry("bad")])
        assert store.fetch(digest("bad")) == entry("bad")


def test_columns_are_not_believed(path: Path) -> None:
    """Who rewrites the columns that find an entry does not move it to another tenant or scope."""
    with closing(SqliteStore(path, seal=Seal(NEW))) as store:
        store.save([entry()])
        with raw(path) as other:
            other.execute("UPDATE entries SET scope = x'00', tenant = x'00'")
        assert store.fetch(digest("one")) == entry()
        assert [place.scope for place in store.changes(0, 10).located] == [entry().scope]


def test_planted_entries_are_misses(path: Path) -> None:
    """With a key, entries without a code, or with another key's, are not there."""
    events: list[Event] = []
    for name, seal in (("plain", Seal()), ("theirs", Seal(OLD)), ("ours", Seal(NEW))):
        with closing(SqliteStore(path, seal=seal)) as store:
            store.save([entry(name)])
    with closing(SqliteStore(path, seal=Seal(NEW), on_event=events.append)) as store:
        assert store.fetch(digest("plain")) is None
        assert store.fetch(digest("theirs")) is None
        assert [getattr(event, "error", "")[-4:] for event in events] == ["seal", "seal"]
        assert store.fetch(digest("ours")) == entry("ours")
        keys = [digest(name) for name in ("plain", "theirs", "ours")]
        assert store.fetch_many(keys) == {digest("ours"): entry("ours")}
        assert len(events) == 4
        assert [place.key for place in store.changes(0, 10).located] == [digest("ours")]
    with closing(SqliteStore(path)) as store:
        assert all(store.fetch(digest(name)) for name in ("plain", "theirs", "ours"))


def test_keys_rotate(path: Path) -> None:
    """During a rotation both keys' entries are served; after it, the new key's alone."""
    with closing(SqliteStore(path, seal=Seal(OLD))) as store:
        store.save([entry("before")])
    with closing(SqliteStore(path, seal=Seal(NEW, OLD))) as store:
        assert store.fetch(digest("before")) is not None
        store.save([entry("during")])
    with closing(SqliteStore(path, seal=Seal(NEW))) as store:
        assert store.fetch(digest("before")) is None
        assert store.fetch(digest("during")) is not None


def test_removed_bytes_are_overwritten(path: Path) -> None:
    """Once the log is in the file, nothing of a removed answer is left on disk."""
    secret = b"the patient's name" * 40
    with closing(SqliteStore(path)) as store:
        store.save([entry(payload=secret * 1000), entry("small", payload=secret)])
        assert store.remove([digest("one"), digest("small")]) == 2
    assert all(secret[:18] not in file.read_bytes() for file in path.parent.iterdir())


# --- bounds


def clock(now_s: float) -> Callable[[], float]:
    return lambda: now_s


def named(count: int, **fields: Any) -> list[Entry]:
    return [entry(number, **fields) for number in range(count)]


def test_expired_leave_first_then_the_oldest(path: Path) -> None:
    """Beyond the bound what has expired is dropped, then what was stored longest ago."""
    with closing(SqliteStore(path, max_entries=4, wall_now=clock(100.0))) as store:
        store.save(named(4))
        store.save([entry(3, expires_s=100.0)])
        store.save([entry("a")])
        assert set(store.select(Selector())) == {digest(n) for n in (0, 1, 2, "a")}
        store.save([entry("b"), entry("c")])
        assert set(store.select(Selector())) == {digest(n) for n in (2, "a", "b", "c")}
        assert set(store.select(Selector(tag="faq"))) == set(store.select(Selector()))
    with raw(path) as other:
        assert other.execute("SELECT count(*) FROM tags").fetchone() == (8,)
        assert other.execute("SELECT entries FROM counter").fetchone() == (4,)


def test_expired_stay_while_there_is_room(path: Path) -> None:
    """Expiry is the caller's business: within the bound nothing leaves."""
    with closing(SqliteStore(path, max_entries=4, wall_now=clock(100.0))) as store:
        store.save(named(4, expires_s=1.0))
        assert store.fetch(digest(0)) is not None


def test_a_save_beyond_the_bound_keeps_the_bound(path: Path) -> None:
    """One call with more entries than fit leaves the last of them."""
    with closing(SqliteStore(path, max_entries=3)) as store:
        store.save(named(10))
        assert set(store.select(Selector())) == {digest(n) for n in (7, 8, 9)}


def test_evictions_are_told(path: Path) -> None:
    """What leaves for space is told to every reader, also to the one that caused it."""
    with closing(SqliteStore(path, max_entries=2)) as store, closing(SqliteStore(path)) as other:
        store.save(named(2))
        revisions = [handle.changes(0, 10).revision for handle in (store, other)]
        store.save([entry("new")])
        for handle, revision in zip((store, other), revisions, strict=True):
            assert handle.stirred()
            assert handle.changes(revision, 10).removed == [digest(0)]
            assert not handle.stirred()


# --- changes


def test_own_changes_are_no_news(path: Path) -> None:
    """A handle that alone writes is never stirred, neither at first nor after any change."""
    with closing(SqliteStore(path)) as store:
        assert not store.stirred()
        for change in (
            lambda: store.save([entry()]),
            lambda: store.save([entry(payload=b"[2]")]),
            lambda: store.remove([digest("one")]),
        ):
            change()
            assert not store.stirred()


def test_what_was_there_is_news(path: Path) -> None:
    """A store opened on an existing file is stirred until its changes were read."""
    with closing(SqliteStore(path)) as store:
        store.save([entry()])
    with closing(SqliteStore(path)) as store:
        assert store.stirred()
        store.save([entry("own")])
        assert store.stirred()
        assert len(store.changes(0, 10).located) == 2
        assert not store.stirred()


def test_history_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is too far behind is told to reset, with the first entries; who starts is not."""
    monkeypatch.setattr(sqlite_rows, "HISTORY_REVISIONS", 10)
    with closing(SqliteStore(path)) as store, closing(SqliteStore(path)) as other:
        store.save(named(3))
        behind = other.changes(0, 10).revision
        store.save(named(20))
        store.remove([digest(number) for number in range(12)])
        reset = other.changes(behind, 5)
        assert reset.reset
        assert [place.key for place in reset.located] == [digest(n) for n in range(12, 17)]
        rest = other.changes(reset.revision, 5)
        assert not rest.reset
        assert [place.key for place in rest.located] == [digest(n) for n in range(17, 20)]
        assert not other.changes(0, 1).reset
    with raw(path) as connection:
        assert connection.execute("SELECT count(*) FROM removals").fetchone() == (10,)


def test_a_slow_start_is_not_a_reset(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who pages from the start is not reset for removals from before its first page."""
    monkeypatch.setattr(sqlite_rows, "HISTORY_REVISIONS", 3)
    with closing(SqliteStore(path)) as store:
        store.save(named(10))
        store.remove([digest(number) for number in range(5)])
        store.save([entry(number) for number in range(10, 13)])
        revision, found = 0, []
        while len((page := store.changes(revision, 2)).located) == 2:
            assert not page.reset
            found += page.located
            revision = page.revision
        assert len(found) + len(page.located) == 8


def test_another_file_is_a_reset(path: Path, tmp_path: Path) -> None:
    """A revision of a longer history than the file has is answered by a reset."""
    with closing(SqliteStore(tmp_path / "longer.db")) as longer:
        longer.save(named(20))
        revision = longer.changes(0, 100).revision
    with closing(SqliteStore(path)) as store:
        store.save([entry()])
        changes = store.changes(revision, 10)
        assert changes.reset
        assert [place.key for place in changes.located] == [digest("one")]


def test_a_file_that_somebody_writes_can_be_opened(path: Path) -> None:
    """Opening waits for no writer where all the tables are there."""
    SqliteStore(path).close()
    with raw(path) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with closing(SqliteStore(path)) as store:
            assert store.read_changes(b"corpus", 0).revision == 0
        writer.execute("ROLLBACK")
