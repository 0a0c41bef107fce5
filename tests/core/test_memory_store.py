"""What `MemoryStore` promises beyond the contract: its bounds, and who is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.policy.corpus import Basis
from accel_core.ports import Selector
from accel_core.store.memory import ENTRY_OVERHEAD_BYTES, MemoryStore
from accel_core.testing.stores import StoreContract, digest

if TYPE_CHECKING:
    from accel_core.ports import Entry

entry = StoreContract().make_entry


def test_entries_are_bounded() -> None:
    """Beyond `max_entries` one leaves for each that comes; what was asked for stays."""
    store = MemoryStore(max_entries=3)
    store.save([entry(number) for number in range(3)])
    assert store.fetch(digest(0)) is not None
    store.save([entry("new")])
    assert len(store) == 3
    assert store.fetch(digest(1)) is None
    assert store.fetch(digest(0)) is not None
    assert store.fetch(digest("new")) is not None


def test_bytes_are_bounded() -> None:
    """Payloads, texts and vectors count, with a constant for the rest."""
    store = MemoryStore(max_bytes=10 * (1000 + ENTRY_OVERHEAD_BYTES))
    for number in range(50):
        store.save([entry(number, payload=b"p" * 500, text="t" * 300, vector=b"v" * 200)])
    assert len(store) == 10
    store.save([entry("big", payload=b"p" * 5000, text="", vector=None)])
    assert len(store) == 7
    assert store.fetch(digest("big")) is not None


def test_too_large_is_not_stored() -> None:
    """An entry above `max_bytes` evicts nobody and does not leave its old answer behind."""
    evicted: list[Entry] = []
    store = MemoryStore(max_bytes=10_000, on_evict=evicted.append)
    store.save([entry("kept"), entry("grown")])
    store.save([entry("grown", payload=b"p" * 10_000)])
    assert store.fetch(digest("grown")) is None
    assert store.fetch(digest("kept")) is not None
    assert evicted == []


def test_evicted_are_told_outside_the_lock() -> None:
    """Each entry that left for space is told once, when the store can be used again."""
    told: list[Entry] = []

    def on_evict(left: Entry) -> None:
        assert store.fetch(left.key) is None
        assert store.remove([left.key]) == 0
        told.append(left)

    store = MemoryStore(max_entries=2, on_evict=on_evict)
    store.save([entry(number) for number in range(4)])
    assert told == [entry(0), entry(1)]


def test_removal_and_replacement_are_not_evictions() -> None:
    """What was removed or replaced on purpose is not told, and its bytes are free again."""
    told: list[Entry] = []
    store = MemoryStore(max_entries=2, max_bytes=5_000, on_evict=told.append)
    for number in range(50):
        store.save([entry("same", payload=b"p" * number)])
        store.save([entry("gone")])
        store.remove([digest("gone")])
    assert told == []
    store.remove(store.select(Selector()))
    assert repr(store) == "MemoryStore(0 of 2 entries, 0 of 5000 bytes)"


def test_fork_keeps_whole_entries() -> None:
    """A child goes on with the entries, but starts empty if a change was under way."""
    store = MemoryStore()
    store.save([entry()])
    store.after_fork()
    assert store.fetch(digest("one")) == entry()
    store._lock.acquire()
    store.after_fork()
    assert store.fetch(digest("one")) is None
    store.save([entry()])
    assert len(store) == 1


def test_what_an_entry_rests_on_counts() -> None:
    """Names of documents take room: a short answer made of a thousand of them is not small."""
    documents = frozenset(number.to_bytes(8, "big") for number in range(1000))
    store = MemoryStore(max_bytes=150_000)
    for number in range(5):
        rests = (Basis(b"c" * 24, 1, documents),)
        store.save([entry(number, bases=rests)])
    assert len(store) == 1
