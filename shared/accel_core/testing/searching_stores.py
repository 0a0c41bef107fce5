"""What every shared store that searches by meaning itself promises, as tests.

Derive a class from `SearchingStoreContract`, give it an empty store that searches as the fixture
`store` and a second handle on the same data as `other`, and run pytest. A store that searches
approximately passes as well: the vectors are few and far apart.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.searching import Nearby, SearchingStore
from accel_core.testing.indexes import unit_vectors
from accel_core.testing.shared_stores import SharedStoreContract
from accel_core.testing.stores import digest
from accel_core.vectors import coarse, cosine, pack, unpack

if TYPE_CHECKING:
    from accel_core.ports import Entry, SharedStore

_ALL = 1_000_000
_ENCODER = "an-encoder"
_SCOPE = digest("scope")
_COUNT = 40
# Rounded as a store may, to a byte a number: so they come back as they are.
_VECTORS = [coarse(pack(row))[1] for row in unit_vectors(2 * _COUNT, 64)]


def bare(entry: Entry) -> Entry:
    """Return `entry` as a search gives it: without its vector."""
    return replace(entry, vector=None)


class SearchingStoreContract(SharedStoreContract):
    """The promises of `accel_core.searching.SearchingStore`."""

    def make_entry(self, name: object = "one", **fields: Any) -> Entry:
        """Return an entry with some vector, since what is none need not be kept."""
        some = _VECTORS[digest(name)[0] % len(_VECTORS)]
        return super().make_entry(name, **{"vector": some, **fields})

    def placed(self, number: int, **fields: Any) -> Entry:
        """Return an entry with the vector of that number."""
        return self.make_entry(number, **{"vector": _VECTORS[number], **fields})

    def near(self, store: SearchingStore, number: int, limit: int = 3, **asked: Any) -> list[Entry]:
        """Return the nearest entries to the vector of that number, without theirs."""
        return [entry for entry, _ in self.asked(store, number, limit, **asked).near]

    def asked(
        self,
        store: SearchingStore,
        number: int,
        limit: int = 3,
        *,
        keys: tuple[bytes, ...] = (),
        scope: bytes = _SCOPE,
        encoder: str = _ENCODER,
    ) -> Nearby:
        """Ask one question."""
        return store.find(keys, scope, encoder, unpack(_VECTORS[number]), limit)

    def test_is_a_searching_store(self, store: SearchingStore) -> None:
        """It has every method of the Protocol, and searches."""
        assert isinstance(store, SearchingStore)
        assert store.searches()

    def test_changes_locate_entries(self, store: SharedStore, other: SharedStore) -> None:
        """Every entry is told by its key, and no vector is."""
        store.save([self.make_entry("placed"), self.make_entry("plain", vector=None, encoder="")])
        changes = other.changes(0, _ALL)
        assert changes.located == []
        assert changes.stored == [digest("placed"), digest("plain")]

    def test_replaced_is_located_again(self, store: SharedStore, other: SharedStore) -> None:
        """The key of an entry that was replaced is told again."""
        store.save([self.make_entry()])
        revision = other.changes(0, _ALL).revision
        store.save([self.make_entry(payload=b"[2]")])
        assert other.changes(revision, _ALL).stored == [digest("one")]

    def test_finds_in_nothing(self, store: SearchingStore) -> None:
        """An empty store has nothing near and nothing under any key."""
        assert self.asked(store, 0, keys=(digest(0),)) == Nearby([], [])

    def test_finds_the_only_one(self, store: SearchingStore, other: SearchingStore) -> None:
        """One entry alone is found by every handle, whole, however far it is."""
        store.save([self.placed(0)])
        for handle in (store, other):
            assert self.near(handle, 0) == self.near(handle, 1) == [bare(self.placed(0))]

    def test_finds_the_nearest(self, store: SearchingStore, other: SearchingStore) -> None:
        """Of many entries the nearest is among so many as were asked for, and one more at most."""
        entries = [self.placed(number) for number in range(_COUNT)]
        store.save(entries)
        for number, entry in enumerate(entries):
            found = self.near(other, number)
            assert bare(entry) in found
            assert len(found) in {3, 4}

    def test_finds_spare_ones(self, store: SearchingStore) -> None:
        """Spare neighbours come with those that are wanted."""
        store.save([self.placed(number) for number in range(_COUNT)])
        found = store.find((), _SCOPE, _ENCODER, unpack(_VECTORS[7]), 3, spare=2)
        assert bare(self.placed(7)) in [entry for entry, _ in found.near]
        assert len(found.near) in {5, 6}

    def test_says_how_near(self, store: SearchingStore, other: SearchingStore) -> None:
        """Each comes with the cosine of its vector and the one that was asked for."""
        entries = {digest(number): self.placed(number) for number in range(9)}
        store.save(list(entries.values()))
        asked = unpack(_VECTORS[20])
        found = other.find((), _SCOPE, _ENCODER, asked, 9)
        assert len(found.near) == 9
        for entry, near in found.near:
            exactly = cosine(entries[entry.key].vector or b"", asked)
            assert near == pytest.approx(exactly, abs=1e-3)

    def test_finds_keys_too(self, store: SearchingStore, other: SearchingStore) -> None:
        """What is stored under the keys comes with it, also without a vector or of other scopes."""
        plain = self.make_entry("plain", vector=None, encoder="", scope=digest("elsewhere"))
        store.save([self.placed(0), plain])
        found = self.asked(other, 0, keys=(digest("unknown"), plain.key))
        assert found.exact == [plain]
        assert [entry for entry, _ in found.near] == [bare(self.placed(0))]

    def test_reads_what_the_process_found(self, store: SearchingStore) -> None:
        """Where the process has searched, what it found is read with what is wanted by its key."""
        elsewhere = self.placed(2, scope=digest("elsewhere"))
        store.save([self.placed(0), self.placed(1), elsewhere])
        beside = (digest(1), digest("unknown"), elsewhere.key)
        vector = unpack(_VECTORS[1])
        found = store.find((digest(0),), _SCOPE, _ENCODER, vector, 3, beside=beside)
        assert found.exact == [bare(self.placed(0))]
        near = {entry.key: entry for entry, _ in found.near}
        assert near[digest(1)] == bare(self.placed(1))
        assert elsewhere.key not in near

    def test_scopes_and_encoders_never_meet(self, store: SearchingStore) -> None:
        """The same vector in another scope, or of another encoder, is never found."""
        elsewhere, otherwise = digest("elsewhere"), "another-encoder"
        for spread in (0, 10):  # one in each place, then some
            here = [self.placed(n) for n in range(1 + spread)]
            there = [
                self.placed(n, key=digest(f"there {n}"), scope=elsewhere) for n in range(1 + spread)
            ]
            different = [
                self.placed(n, key=digest(f"different {n}"), encoder=otherwise)
                for n in range(1 + spread)
            ]
            store.save([*here, *there, *different])
            limit = 3 * len(here)
            for asked, expected in (
                ({}, here),
                ({"scope": elsewhere}, there),
                ({"encoder": otherwise}, different),
                ({"scope": elsewhere, "encoder": otherwise}, []),
            ):
                found = self.near(store, 0, limit, **asked)
                assert sorted(e.key for e in found) == sorted(e.key for e in expected)

    def test_removed_is_not_found(self, store: SearchingStore, other: SearchingStore) -> None:
        """What was removed is found by no handle, and what remains is."""
        store.save([self.placed(number) for number in range(6)])
        other.remove([digest(number) for number in range(5)])
        for handle in (store, other):
            found = self.asked(handle, 0, 9, keys=(digest(0),))
            assert found.exact == []
            assert [entry for entry, _ in found.near] == [bare(self.placed(5))]
        other.remove([digest(5)])
        assert self.near(store, 5) == []
        store.save([self.placed(1)])
        assert self.near(other, 1) == [bare(self.placed(1))]

    def test_replaced_is_found_anew(self, store: SearchingStore, other: SearchingStore) -> None:
        """A replaced entry is found as it is now, by its new vector."""
        store.save([self.placed(number) for number in range(_COUNT)])
        for number in (0, 7):
            moved = replace(self.placed(number), vector=_VECTORS[_COUNT + number], payload=b"[2]")
            other.save([moved])
            assert bare(moved) in self.near(store, _COUNT + number)

    def test_without_vector_is_not_found(self, store: SearchingStore) -> None:
        """An entry replaced by one without a vector is found by its key alone."""
        store.save([self.placed(number) for number in range(3)])
        for number in range(3):
            store.save([self.placed(number, vector=None, encoder="")])
        assert self.near(store, 0) == []
        assert self.asked(store, 0, keys=(digest(1),)).exact == [
            self.placed(1, vector=None, encoder="")
        ]

    def test_other_dimensions(self, store: SearchingStore) -> None:
        """Encoders of other dimensions share the store."""
        short = coarse(pack(unit_vectors(1, 16)[0]))[1]
        store.save([self.placed(0), self.placed(1, vector=short, encoder="short")])
        store.save([self.placed(2), self.placed(3, vector=short, encoder="short")])
        near = store.find((), _SCOPE, "short", unpack(short), 5).near
        keys = {entry.key for entry, _ in near}
        assert keys == {digest(1), digest(3)}
        assert {entry.key for entry in self.near(store, 0, 5)} == {digest(0), digest(2)}

    def test_found_while_others_write(self, store: SearchingStore, other: SearchingStore) -> None:
        """Searches and changes at once fail nobody, and every entry found is whole."""
        stays = self.placed(_COUNT)
        store.save([stays])

        def write(turn: int) -> None:
            entries = [self.placed(number) for number in range(turn, _COUNT, 2)]
            for entry in entries:
                other.save([entry])
                other.remove([entry.key])

        def read(_: int) -> bool:
            found = [self.near(store, _COUNT) for _ in range(50)]
            return all(bare(stays) in near for near in found)

        with ThreadPoolExecutor(4) as threads:
            written = threads.map(write, range(2))
            assert all(threads.map(read, range(2)))
            list(written)
