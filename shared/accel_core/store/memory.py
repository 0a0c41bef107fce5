"""Entries in this process: the store that answers in well under a microsecond.

Bounded twice, by entries and by an estimate of their bytes; what leaves for space is chosen by
SIEVE (`policy.eviction`). A fetch takes no lock: it is one dict lookup and one flag, each atomic.
Every mutation holds the lock, and nothing is called back under it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from accel_core.policy.eviction import Node, Sieve

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from accel_core.ports import Entry, Selector

ENTRY_OVERHEAD_BYTES = 700
"""What an entry costs beside its payload, text and vector: objects, digests, two table places."""

_DOCUMENT_BYTES = 100
"""What the digest of a document that an entry rests on costs, with its place in a set."""


class _Slot(Node):
    __slots__ = ("bytes", "entry")

    def __init__(self, entry: Entry, size_bytes: int) -> None:
        super().__init__()
        self.entry = entry
        self.bytes = size_bytes


class MemoryStore:
    """A bounded in-process `Store`.

    Args:
        max_entries: the most entries held.
        max_bytes: the most estimated bytes held; an entry larger than that is not stored.
        on_evict: told each entry that left for space, after the fact and outside the lock.
    """

    blocking = False

    def __init__(
        self,
        max_entries: int = 10_000,
        max_bytes: int = 256 * 1024 * 1024,
        on_evict: Callable[[Entry], None] | None = None,
    ) -> None:
        self._max_entries, self._max_bytes = max_entries, max_bytes
        self._on_evict = on_evict
        self._lock = threading.Lock()
        self._reset()

    def fetch(self, key: bytes) -> Entry | None:
        """Return the entry under `key`, or None."""
        slot = self._slots.get(key)
        if slot is None:
            return None
        slot.visited = True
        return slot.entry

    def fetch_many(self, keys: Collection[bytes]) -> dict[bytes, Entry]:
        """Return the entries under `keys` by their key."""
        found = ((key, self.fetch(key)) for key in keys)
        return {key: entry for key, entry in found if entry is not None}

    def peek(self, key: bytes) -> Entry | None:
        """Return the entry under `key`, or None, without counting it as wanted."""
        slot = self._slots.get(key)
        return None if slot is None else slot.entry

    def save(self, entries: Sequence[Entry]) -> None:
        """Store all of `entries`, replacing those with the same key, and make room for them."""
        evicted: list[Entry] = []
        with self._lock:
            for entry in entries:
                # Also where the new one is too large: the old one is no longer the answer.
                self._discard(entry.key)
                slot = _Slot(entry, _size_bytes(entry))
                if slot.bytes <= self._max_bytes:
                    self._make_room(slot.bytes, evicted)
                    self._slots[entry.key] = slot
                    self._sieve.add(slot)
                    self._bytes += slot.bytes
        if self._on_evict is not None:
            for entry in evicted:
                self._on_evict(entry)

    def select(self, selector: Selector) -> list[bytes]:
        """Return the keys of the entries that `selector` means, changing nothing."""
        with self._lock:
            slots = list(self._slots.values())
        return [slot.entry.key for slot in slots if selector.matches(slot.entry)]

    def remove(self, keys: Collection[bytes]) -> int:
        """Remove `keys` and return how many were there."""
        with self._lock:
            return sum(self._discard(key) for key in keys)

    def discard(self, entries: Sequence[Entry]) -> None:
        """Remove `entries`, and leave what was stored under a key of theirs later."""
        with self._lock:
            for entry in entries:
                slot = self._slots.get(entry.key)
                if slot is not None and slot.entry.created_s <= entry.created_s:
                    self._discard(entry.key)

    def flush(self) -> None:
        """Do nothing: what lives in this process does not survive it."""

    def close(self) -> None:
        """Drop every entry."""
        with self._lock:
            self._reset()

    def after_fork(self) -> None:
        """Go on in a forked child: with a free lock, and empty if a change was under way."""
        half_changed = self._lock.locked()
        self._lock = threading.Lock()
        if half_changed:
            self._reset()

    def __len__(self) -> int:
        return len(self._slots)

    def __repr__(self) -> str:
        return (
            f"MemoryStore({len(self._slots)} of {self._max_entries} entries,"
            f" {self._bytes} of {self._max_bytes} bytes)"
        )

    def _reset(self) -> None:
        self._slots: dict[bytes, _Slot] = {}
        self._sieve: Sieve[_Slot] = Sieve()
        self._bytes = 0

    def _discard(self, key: bytes) -> bool:
        slot = self._slots.pop(key, None)
        if slot is None:
            return False
        self._sieve.remove(slot)
        self._bytes -= slot.bytes
        return True

    def _make_room(self, size_bytes: int, evicted: list[Entry]) -> None:
        while self._slots and (
            len(self._slots) >= self._max_entries or self._bytes + size_bytes > self._max_bytes
        ):
            victim = self._sieve.victim()
            del self._slots[victim.entry.key]
            self._bytes -= victim.bytes
            evicted.append(victim.entry)


def _size_bytes(entry: Entry) -> int:
    vector_bytes = len(entry.vector) if entry.vector is not None else 0
    documents = sum(len(basis.documents or ()) for basis in entry.bases)
    texts_bytes = len(entry.payload) + len(entry.text)
    return texts_bytes + vector_bytes + documents * _DOCUMENT_BYTES + ENTRY_OVERHEAD_BYTES
