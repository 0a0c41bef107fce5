"""Entries carried between real stores, and by way of files: whole, once, and counted."""

from __future__ import annotations

import stat
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accel_core.errors import EncoderError, TransferFileError
from accel_core.policy.corpus import Basis
from accel_core.policy.seal import Seal
from accel_core.ports import Entry, Selector
from accel_core.store.memory import MemoryStore
from accel_core.store.sqlite import SqliteStore
from accel_core.testing.stores import StoreContract, digest
from accel_core.transfer import files, lines
from accel_core.transfer.leaving import arriving, export, leaving
from accel_core.transfer.looking import PAGE, Filter, counted, matching, other_key, pages
from accel_core.transfer.taking import Taking
from accel_core.transfer.tally import Tally, stays
from accel_core.vectors import unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

NOW_S = 2_000_000_000.0
OLD, NEW = b"o" * 32, b"n" * 32
PLAIN = Seal()

make = StoreContract().make_entry


def now() -> float:
    return NOW_S


def unseen(share: float) -> None:
    assert 0 <= share <= 1


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Callable[..., SqliteStore]]:
    """Opens the file of a name, once for each call."""
    with ExitStack() as opened:

        def open_(name: str, seal: Seal = PLAIN) -> SqliteStore:
            return opened.enter_context(closing(SqliteStore(tmp_path / name, seal=seal)))

        yield open_


def kept(store: SqliteStore) -> dict[bytes, Entry]:
    return store.fetch_many(store.select(Selector()))


def left(store: SqliteStore, tally: Tally) -> Iterator[list[Entry]]:
    return leaving(store, [Selector()], tally, wall_now=now, report=unseen)


def written(path: Path, store: SqliteStore, seal: Seal = PLAIN, **options: Any) -> Tally:
    tally = Tally()
    with files.writing(path, replace=True) as out:
        export(left(store, tally), out, seal, tally, **{"vectors": True, **options})
    return tally


def read(path: Path, store: SqliteStore, seal: Seal = PLAIN, **options: Any) -> Tally:
    tally = Tally()
    taking = Taking(store, tally, wall_now=now, **options)
    with files.reading(path) as found:
        for page in arriving(path, found, seal, tally, wall_now=now, report=unseen):
            taking.take(page)
    return tally


# --- what leaves, and what stays


def test_what_cannot_be_carried_stays(store: Callable[..., SqliteStore]) -> None:
    """What is over, what rests on documents, and what is not sealed with the key; each counted."""
    old = store("old.db", Seal(NEW))
    basis = Basis(b"corpus", 1, None)
    old.save([make("kept"), make("over", expires_s=NOW_S), make("resting", bases=(basis,))])
    store("old.db").save([make("planted")])
    tally = Tally()
    assert [entry.key for page in left(old, tally) for entry in page] == [digest("kept")]
    assert tally.left == {"expired": 1, "resting": 1, "seal": 1}
    assert tally.read == 4
    assert tally.damaged


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_no_line_can_spell_stays(number: float) -> None:
    """Numbers that are none, which somebody may have stored; one that never expires is spelled."""
    for field in ("created_s", "cost_s", "fresh_until_s"):
        assert stays(make(**{field: number}), NOW_S) == "format"
    assert stays(make(expires_s=number), NOW_S) == ("" if number > 0 else "format")


@pytest.mark.parametrize("name", ["entries.jsonl", "entries.jsonl.zst"])
def test_a_file_holds_everything(
    store: Callable[..., SqliteStore], tmp_path: Path, name: str
) -> None:
    """It is private, and from it another store becomes equal, sealed with a key of its own."""
    old, new, path = store("old.db", Seal(OLD)), store("new.db", Seal(NEW, OLD)), tmp_path / name
    old.save([make(number, tenant=digest(number % 3)) for number in range(3 * PAGE)])
    assert written(path, old, Seal(OLD)).written == 3 * PAGE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    tally = read(path, new, Seal(NEW, OLD))
    assert (tally.read, tally.written, tally.left, tally.damaged) == (3 * PAGE,) * 2 + ({}, False)
    assert kept(new) == kept(old)
    assert kept(store("new.db", Seal(NEW))) == kept(old)


def test_a_file_of_another_key_is_not_believed(
    store: Callable[..., SqliteStore], tmp_path: Path
) -> None:
    """Nor one without a key, where one is set."""
    old, path = store("old.db"), tmp_path / "entries.jsonl"
    old.save([make()])
    for seal in (PLAIN, Seal(OLD)):
        written(path, old, seal)
        tally = read(path, store("new.db", Seal(NEW)), Seal(NEW))
        assert (tally.written, tally.left, tally.damaged) == (0, {"seal": 1}, True)


# --- damaged files


def test_damaged_lines_are_counted_with_their_number(
    store: Callable[..., SqliteStore], tmp_path: Path
) -> None:
    """The others are stored; a file that was cut is said to be."""
    old, new, path = store("old.db"), store("new.db"), tmp_path / "entries.jsonl"
    old.save([make(number) for number in range(9)])
    written(path, old)
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*whole[:4], b"\xff{\n", b"\n", *whole[4:]]))
    tally = read(path, new)
    assert [refusal.line for refusal in tally.refusals] == [5, 6]
    assert (tally.written, tally.left, tally.cut) == (9, {"malformed": 2}, True)
    assert kept(new) == kept(old)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a file of six sealed entries holds."""
    folder = tmp_path_factory.mktemp("exported")
    with closing(SqliteStore(folder / "old.db", seal=Seal(NEW))) as old:
        old.save([make(number) for number in range(6)])
        written(folder / "entries.jsonl", old, Seal(NEW))
    return (folder / "entries.jsonl").read_bytes()


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_counted(tmp_path: Path, exported: bytes, data: st.DataObject) -> None:
    """Whatever was written over a file: nothing raised, no wrong entry, each line counted."""
    head = exported.index(b"\n") + 1
    start = data.draw(st.integers(head, len(exported)))
    end = data.draw(st.integers(start, len(exported)))
    damaged = exported[:start] + data.draw(st.binary(max_size=30)) + exported[end:]
    path, store, tally = tmp_path / "entries.jsonl", MemoryStore(), Tally()
    path.write_bytes(damaged)
    with files.reading(path) as found:
        for page in arriving(path, found, Seal(NEW), tally, wall_now=now, report=unseen):
            store.save(page)
    known = {digest(number): make(number) for number in range(6)}
    taken = store.fetch_many(list(known))
    assert len(store) == len(taken)
    assert taken.items() <= known.items()
    assert tally.read == len(taken) + sum(tally.left.values())
    assert len(tally.refusals) == sum(tally.left.values())
    assert all(1 < refusal.line <= damaged.count(b"\n") + 1 for refusal in tally.refusals)
    assert len(taken) == 6 or tally.damaged


@pytest.mark.parametrize("name", ["entries.jsonl", "entries.jsonl.zst"])
def test_a_file_cut_anywhere_is_noticed(
    store: Callable[..., SqliteStore], tmp_path: Path, name: str
) -> None:
    """What is there of it is taken, and nothing is raised."""
    old, new, path = store("old.db"), store("new.db"), tmp_path / name
    # Several blocks, compressed.
    noise = np.random.default_rng(1).integers(0, 255, (40, 8_192), np.uint8)
    entries = [make(number, payload=row.tobytes()) for number, row in enumerate(noise)]
    old.save(entries)
    written(path, old)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1 if name.endswith("l") else len(whole) // 2
    for end in np.linspace(first, len(whole) - 2, 12).astype(int):
        path.write_bytes(whole[:end])
        tally = read(path, new)
        assert tally.cut
        assert tally.read == tally.written + tally.same + tally.left["malformed"]
        assert kept(new).items() <= {entry.key: entry for entry in entries}.items()


def test_an_empty_file_is_refused(store: Callable[..., SqliteStore], tmp_path: Path) -> None:
    """Also one of which compression has left nothing."""
    path = tmp_path / "entries.jsonl"
    for content in (b"", b"\x28\xb5\x2f\xfd\0\0"):
        path.write_bytes(content)
        with pytest.raises(TransferFileError, match="holds no line; export it again"):
            read(path, store("new.db"))


@pytest.mark.parametrize("content", [b"{}\n", b"\n", b"\0" * 99])
def test_another_file_is_refused(
    store: Callable[..., SqliteStore], tmp_path: Path, content: bytes
) -> None:
    """With its name, its first line and the remedy."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(TransferFileError, match=r"notes.txt, line 1 was not written by .*; name a"):
        read(path, store("new.db"))
    with pytest.raises(TransferFileError, match="cannot be read"):
        read(tmp_path, store("new.db"))


def test_a_line_too_long_is_one_line(
    store: Callable[..., SqliteStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused without being held, and the lines after it keep their numbers."""
    old, new, path = store("old.db"), store("new.db"), tmp_path / "entries.jsonl"
    old.save([make(payload=b"x" * 5_000)])
    written(path, old)
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 1_024)
    tally = read(path, new)
    assert ([refusal.line for refusal in tally.refusals], tally.cut) == ([2], False)


# --- files


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    """What ends in the midst of writing leaves what was there, and nothing beside it."""
    path = tmp_path / "entries.jsonl"
    path.write_text("before")
    with pytest.raises(TransferFileError, match="exists; choose another name, or pass --force"):
        files.writing(path, replace=False).__enter__()
    with suppress(ZeroDivisionError), files.writing(path, replace=True) as out:
        out.write("half")
        raise ZeroDivisionError
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_named() -> None:
    """With the file and what to do."""
    full = Path("/dev/full")
    with full.open("wb", 0) as stream:
        out = files.LinesOut(full, stream)
        with pytest.raises(
            TransferFileError, match=r"cannot be written \(No space.*; choose a place"
        ):
            out.write("x")


# --- what is taken


def test_what_is_there_stays_unless_replaced(store: Callable[..., SqliteStore]) -> None:
    """What is there as it is counts as the same; what is over there is as if it were not."""
    new, tally = store("new.db"), Tally()
    ours = [make("same"), make("other"), make("over", payload=b"[2]")]
    new.save([ours[0], make("other", payload=b"[3]"), make("over", expires_s=NOW_S)])
    taking = Taking(new, tally, wall_now=now)
    taking.take(ours)
    assert (tally.same, tally.left, tally.written) == (1, {"there": 1}, 1)
    assert new.fetch(digest("other")) == make("other", payload=b"[3]")
    Taking(new, tally, wall_now=now, replaces=True).take(ours)
    assert (tally.same, tally.left, tally.written) == (3, {"there": 1}, 2)
    assert kept(new) == {entry.key: entry for entry in ours}


def test_without_its_vector_an_entry_is_the_same(store: Callable[..., SqliteStore]) -> None:
    """So a file without vectors takes none away from a store that has them."""
    new, tally = store("new.db"), Tally()
    new.save([make()])
    bare = replace(make(), encoder="", vector=None)
    Taking(new, tally, wall_now=now, replaces=True).take([bare])
    assert (tally.same, tally.written) == (1, 0)
    assert new.fetch(digest("one")) == make()


def test_a_dry_run_changes_nothing(store: Callable[..., SqliteStore]) -> None:
    """It counts the same, and asks no encoder."""
    new, tally = store("new.db"), Tally()
    taking = Taking(new, tally, wall_now=now, encoder=Letters(fails=True), dry_run=True)
    taking.take([make(number) for number in range(5)])
    assert tally.written == 5
    assert kept(new) == {}


class Letters:
    """An encoder that sees four letters, and trusts itself with texts that hold one."""

    name, min_similarity = "letters", None

    def __init__(self, *, fails: bool = False) -> None:
        self.fails, self.calls = fails, 0

    def encode(self, texts: Sequence[str]) -> Any:
        if self.fails:
            raise EncoderError("letters", "encode", "broken")
        self.calls += 1
        rows = np.array([[text.count(letter) for letter in "abcd"] for text in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def distrust(self, text: str) -> str | None:
        return None if set(text) & set("abcd") else "unknown_tokens"


def test_vectors_are_made_anew(store: Callable[..., SqliteStore]) -> None:
    """By the new encoder, in one call for a page, where it may be trusted; else there are none."""
    new, tally, encoder = store("new.db"), Tally(), Letters()
    given = [
        make("trusted", text="abba", encoder="", vector=None),
        make("distrusted", text="xyz"),
        make("exact", text="abba", semantic=False, encoder="", vector=None),
    ]
    taking = Taking(new, tally, wall_now=now, encoder=encoder)
    taking.take(given)
    found = new.fetch(digest("trusted"))
    assert found is not None
    assert found.encoder == "letters"
    assert found.vector is not None
    assert unpack(found.vector).tolist() == pytest.approx([0.5**0.5, 0.5**0.5, 0, 0], abs=1e-3)
    for name in ("distrusted", "exact"):
        plain = new.fetch(digest(name))
        assert plain is not None
        assert (plain.encoder, plain.vector) == ("", None)
    assert (tally.encoded, tally.plain, encoder.calls) == (1, 1, 1)
    taking.take(given)
    assert (tally.same, encoder.calls) == (3, 1)


def test_an_encoder_takes_the_place_of_another(store: Callable[..., SqliteStore]) -> None:
    """What is there with another's vector is replaced, where that is asked for."""
    new, tally, entry = store("new.db"), Tally(), make(text="abba")
    new.save([entry])
    Taking(new, tally, wall_now=now, encoder=Letters()).take([entry])
    assert (tally.left, tally.encoded) == ({"there": 1}, 0)
    Taking(new, tally, wall_now=now, encoder=Letters(), replaces=True).take([entry])
    found = new.fetch(entry.key)
    assert found is not None
    assert found.encoder == "letters"
    assert replace(found, encoder=entry.encoder, vector=entry.vector) == entry


def test_what_fails_stores_nothing_and_goes_on(store: Callable[..., SqliteStore]) -> None:
    """A page is stored whole or not at all; the next run stores what is missing."""
    old, new, tally, encoder = store("old.db"), store("new.db"), Tally(), Letters()
    old.save([make(number) for number in range(3 * PAGE)])
    taking = Taking(new, tally, wall_now=now, encoder=encoder)
    pages = left(old, Tally())
    taking.take(next(pages))
    encoder.fails = True
    with pytest.raises(EncoderError):
        taking.take(next(pages))
    assert (tally.written, len(kept(new))) == (PAGE, PAGE)
    encoder.fails = False
    for page in left(old, Tally()):
        taking.take(page)
    assert (tally.written, tally.same, len(kept(new))) == (3 * PAGE, PAGE, 3 * PAGE)


# --- what is looked at


def test_each_is_looked_at_once(store: Callable[..., SqliteStore]) -> None:
    """However many conditions mean it, and however many pages there are."""
    one = store("one.db")
    one.save([make(number) for number in range(PAGE + 1)])
    looked = list(pages(one, [Selector(), Selector(tag="faq")], unseen))
    assert [len(page) for page in looked] == [PAGE, 1]


def test_a_census(store: Callable[..., SqliteStore]) -> None:
    """Everything is counted once, the unreadable by reason."""
    basis = Basis(b"corpus", 1, None)
    store("one.db").save([make("planted")])
    one = store("one.db", Seal(NEW))
    one.save([make("over", expires_s=NOW_S, created_s=1.0), make("rests", bases=(basis,))])
    one.save([make("exact", semantic=False, namespace="n", tenant=b"", encoder="", vector=None)])
    found = counted(one, now_s=NOW_S, report=unseen)
    assert (found.entries, found.sealed, found.unreadable) == (4, 3, {"seal": 1})
    assert (found.expired, found.resting, found.semantic) == (1, 1, 2)
    assert (found.oldest_s, found.newest_s) == (1.0, make().created_s)
    assert found.by["namespace"] == {"support": 2, "n": 1}
    assert found.by["encoder"] == {"an-encoder": 2, "": 1}
    assert found.bytes == sum(
        each.size_bytes for each in one.inspect(one.select(Selector())).values()
    )


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Filter(), {"a", "b", "over"}),
        (Filter(source="gpt"), {"b"}),
        (Filter(contains="PASSWORD, A"), {"a"}),
        (Filter(expired=True), {"over"}),
        (Filter(expired=False, source="a-model"), {"a"}),
    ],
)
def test_filters(store: Callable[..., SqliteStore], wanted: Filter, names: set[str]) -> None:
    """Each means exactly what fulfils it."""
    one = store("one.db")
    one.save([make("a"), make("b", source="gpt"), make("over", expires_s=NOW_S)])
    found = matching(one, [Selector(), Selector(tag="faq")], wanted, now_s=NOW_S, report=unseen)
    keys = [entry.key for entry, _ in found]
    assert sorted(keys) == sorted(digest(name) for name in names)


def test_another_key_is_noticed(store: Callable[..., SqliteStore]) -> None:
    """Before anything is written under it, or without one."""
    assert other_key(store("one.db"), keyed=False) is None
    assert other_key(store("one.db", Seal(NEW)), keyed=True) is None
    store("one.db", Seal(OLD)).save([make()])
    assert "no key is set" in (other_key(store("one.db"), keyed=False) or "")
    assert "not sealed with the key" in (other_key(store("one.db", Seal(NEW)), keyed=True) or "")
    assert other_key(store("one.db", Seal(NEW, OLD)), keyed=True) is None


def test_lines_tell_as_much_as_entries() -> None:
    """Every field of an entry is spelled, or is one that stays behind: a new field is noticed."""
    fields = set(Entry.__dataclass_fields__) - {"bases", "shared"}
    assert {field for field, _ in lines._MEMBERS.values()} == fields
