"""What every store that several processes share promises, as tests.

Derive a class from `SharedStoreContract`, give it an empty store as the fixture `store` and a
second handle on the same data as `other`, and run pytest. Knows nothing but the Protocols in
`accel_core.ports`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.ports import Changes, Located, Selector, SharedStore
from accel_core.testing.stores import StoreContract, digest, one_number

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALL = 1_000_000
"""A limit above the number of entries of any of these tests."""


class SharedStoreContract(StoreContract):
    """The promises of `accel_core.ports.SharedStore`."""

    @pytest.fixture
    def other(self) -> Any:
        """A second handle on the data of `store`, as another process has it; close it too."""
        raise NotImplementedError("override the fixture `other`")

    def told(self, changes: Changes) -> list[bytes]:
        """Return the keys of what was stored."""
        return [*(place.key for place in changes.located), *changes.stored]

    def test_is_a_shared_store(self, store: SharedStore) -> None:
        """It has every method of the Protocol."""
        assert isinstance(store, SharedStore)

    def test_other_sees_what_is_saved(self, store: SharedStore, other: SharedStore) -> None:
        """One handle fetches and selects what another saved."""
        entry = self.make_entry()
        store.save([entry])
        assert other.fetch(entry.key) == entry
        assert other.select(Selector(tag="faq")) == [entry.key]

    def test_other_misses_what_is_removed(self, store: SharedStore, other: SharedStore) -> None:
        """Removed means gone from every handle, also from one that had fetched it."""
        entry = self.make_entry()
        store.save([entry])
        assert other.fetch(entry.key) == entry
        assert store.remove([entry.key]) == 1
        assert other.fetch(entry.key) is None
        assert other.remove([entry.key]) == 0

    def test_quiet_is_not_stirred(self, store: SharedStore, other: SharedStore) -> None:
        """Once the changes were read, nothing is new until somebody writes."""
        store.save([self.make_entry()])
        other.changes(0, _ALL)
        assert not other.stirred()
        store.fetch(digest("one"))
        store.select(Selector())
        assert not other.stirred()

    def test_stirred_by_others(self, store: SharedStore, other: SharedStore) -> None:
        """A save, a replacement and a removal by another handle are noticed, until read."""
        entry = self.make_entry()
        revision = other.changes(0, _ALL).revision
        for change in (
            lambda: store.save([entry]),
            lambda: store.save([replace(entry, payload=b"[2]")]),
            lambda: store.remove([entry.key]),
        ):
            change()
            assert other.stirred()
            assert other.stirred()
            revision = other.changes(revision, _ALL).revision
            assert not other.stirred()

    def test_own_changes_hide_none(self, store: SharedStore, other: SharedStore) -> None:
        """What another handle wrote between a handle's own writes is noticed and told."""
        revision = store.changes(0, _ALL).revision
        store.save([self.make_entry("own")])
        other.save([self.make_entry("foreign")])
        store.save([self.make_entry("own too")])
        assert store.stirred()
        assert digest("foreign") in self.told(store.changes(revision, _ALL))
        assert not store.stirred()

    def test_changes_of_nothing(self, store: SharedStore) -> None:
        """An empty store has no changes and nothing to reset."""
        changes = store.changes(0, 10)
        assert (self.told(changes), changes.removed, changes.reset) == ([], [], False)

    def test_changes_locate_entries(self, store: SharedStore, other: SharedStore) -> None:
        """Each entry with a vector is located by key, scope, encoder and vector."""
        entry, plain = self.make_entry("placed"), self.make_entry("plain", vector=None, encoder="")
        store.save([entry, plain])
        assert entry.vector is not None
        place = Located(entry.key, entry.scope, entry.encoder, entry.vector)
        assert other.changes(0, _ALL).located == [place]

    def test_changes_since(self, store: SharedStore, other: SharedStore) -> None:
        """Only what came after the revision is told."""
        store.save([self.make_entry("before")])
        revision = other.changes(0, _ALL).revision
        store.save([self.make_entry("after")])
        changes = other.changes(revision, _ALL)
        assert self.told(changes) == [digest("after")]
        again = other.changes(changes.revision, _ALL)
        assert (self.told(again), again.removed, again.reset) == ([], [], False)

    def test_replaced_is_located_again(self, store: SharedStore, other: SharedStore) -> None:
        """An entry that was replaced is told with its new vector."""
        entry = self.make_entry()
        store.save([entry])
        revision = other.changes(0, _ALL).revision
        new = one_number(digest("another")[0] % 64)
        assert new != entry.vector
        store.save([replace(entry, vector=new)])
        assert [place.vector for place in other.changes(revision, _ALL).located] == [new]

    def test_replaced_without_vector(self, store: SharedStore, other: SharedStore) -> None:
        """An entry replaced by one without a vector is told as removed: drop what you hold."""
        entry = self.make_entry()
        store.save([entry])
        revision = other.changes(0, _ALL).revision
        store.save([replace(entry, vector=None)])
        changes = other.changes(revision, _ALL)
        assert changes.located == []
        assert changes.removed == [entry.key]

    def test_removed_is_told(self, store: SharedStore, other: SharedStore) -> None:
        """A removal is told once to who reads on, whether or not the entry had a vector."""
        entries = [self.make_entry("placed"), self.make_entry("plain", vector=None)]
        store.save(entries)
        revision = other.changes(0, _ALL).revision
        store.remove([entry.key for entry in entries])
        changes = other.changes(revision, _ALL)
        assert sorted(changes.removed) == sorted(entry.key for entry in entries)
        assert self.told(changes) == self.told(other.changes(0, _ALL)) == []
        assert other.changes(changes.revision, _ALL).removed == []

    def test_saved_again_is_not_removed(self, store: SharedStore, other: SharedStore) -> None:
        """A key removed and saved again is located, so the order of taking over is free."""
        entry = self.make_entry()
        store.save([entry])
        revision = other.changes(0, _ALL).revision
        store.remove([entry.key])
        store.save([entry])
        changes = other.changes(revision, _ALL)
        assert (self.told(changes), changes.removed) == ([entry.key], [])

    def test_changes_in_pages(self, store: SharedStore, other: SharedStore) -> None:
        """Pages of any size hold every entry once, and a short page is the last."""
        keys = [digest(number) for number in range(10)]
        store.save([self.make_entry(number) for number in range(10)])
        for limit in (1, 3, 5, 10, 11):
            pages = list(self._pages(other, limit))
            assert [key for page in pages for key in self.told(page)] == keys
            assert [len(self.told(page)) for page in pages[:-1]] == [limit] * (len(pages) - 1)
            revisions = [page.revision for page in pages]
            assert revisions == sorted(revisions)
            assert not other.stirred()

    def test_changes_between_pages(self, store: SharedStore, other: SharedStore) -> None:
        """Who takes over page by page ends with what is there, whatever happens in between."""
        store.save([self.make_entry(number) for number in range(8)])
        known: set[bytes] = set()
        for turn, page in enumerate(self._pages(other, 3)):
            assert not page.reset
            known -= set(page.removed)
            known |= set(self.told(page))
            if turn == 0:
                store.remove([digest(0), digest(7)])
                store.save([self.make_entry(1), self.make_entry("new")])
        assert known == set(store.select(Selector()))

    def _pages(self, store: SharedStore, limit: int) -> Iterator[Changes]:
        revision, located = 0, limit
        while located == limit:
            page = store.changes(revision, limit)
            yield page
            revision, located = page.revision, len(self.told(page))
