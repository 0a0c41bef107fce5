"""What this process holds itself: entries in memory, and their places in an index.

Invariants: an index that fails is reported and never fails the caller; what was read from a shared
store is not kept where something was removed in the meantime, for it may have been that.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from accel_core.ports import Selector
from accel_core.vectors import unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from accel_core.backends import Backends
    from accel_core.ports import Entry, Located, Neighbour, Vector, VectorIndex
    from accel_core.store.memory import MemoryStore

SPARE_NEIGHBOURS = 2
"""Neighbours looked at beyond those that are wanted, since some may have expired."""


class Near:
    """Memory and index of one process.

    Args:
        memory: the tier every lookup sees first.
        index: nearest entries by scope.
        backends: told where the index fails.
        nearer: returns an entry as memory keeps it, where that differs from the shared store.

    Attributes:
        fetch: returns the entry under a key, and counts it as wanted.
        peek: returns the entry under a key, and does not.
        select: returns the keys that a selector means.
        removal: stands for the last removal, others' or ours; another object after each.
    """

    def __init__(
        self,
        memory: MemoryStore,
        index: VectorIndex,
        backends: Backends,
        nearer: Callable[[Entry], Entry],
    ) -> None:
        self._memory, self._index = memory, index
        self._backends, self._nearer = backends, nearer
        self.fetch, self.peek, self.select = memory.fetch, memory.peek, memory.select
        self.removal = object()

    def keep(self, entry: Entry) -> None:
        """Keep `entry` in memory."""
        self._memory.save([self._nearer(entry)])

    def read(self, entry: Entry) -> Entry:
        """Return `entry`, read from the shared store, as memory would keep it."""
        return self._nearer(entry if entry.vector is None else replace(entry, vector=None))

    def keep_read(self, entry: Entry, last: object) -> Entry:
        """Keep what `read` returned, asked for when `last` was the last removal; return it.

        Where this process stored a newer one meanwhile, that is kept and returned.
        """
        held = self.peek(entry.key)
        if held is not None and held.created_s > entry.created_s:
            return held
        self._memory.save([entry])
        if self.removal is not last:
            self._memory.remove([entry.key])  # perhaps it was this one, after it was read
        return entry

    def locate(self, scope: bytes, key: bytes, vector: Vector) -> bool:
        """Add the place of an entry to the index; return whether that succeeded."""
        try:
            self._index.add(scope, key, vector)
        except Exception as error:
            self._backends.failed("index", "add", error)
            return False
        return True

    def locate_read(self, found: Located) -> None:
        """Add the place of an entry that another process stored, whose vector may be anything."""
        try:
            self._index.add(found.scope, found.key, unpack(found.vector))
        except Exception as error:
            self._backends.failed("index", "add", error)

    def nearest(self, scope: bytes, vector: Vector, limit: int) -> list[Neighbour]:
        """Return the `limit` nearest places in `scope`, and spare ones, nearest first."""
        try:
            return self._index.nearest(scope, vector, limit + SPARE_NEIGHBOURS)
        except Exception as error:
            self._backends.failed("index", "search", error)
            return []

    def forget_place(self, scope: bytes, key: bytes) -> None:
        """Remove `key` from the index."""
        try:
            self._index.remove(scope, key)
        except Exception as error:
            self._backends.failed("index", "remove", error)

    def remove(self, keys: Collection[bytes]) -> None:
        """Remove `keys` from memory, and the places of those that were in it."""
        # Before memory is cleared: who reads meanwhile must notice.
        self.removal = object()
        for key in keys:
            entry = self._memory.peek(key)
            if entry is not None:
                self.forget_place(entry.scope, key)
        self._memory.remove(keys)

    def clear(self) -> None:
        """Remove everything."""
        self.removal = object()
        self._memory.remove(self._memory.select(Selector()))
        self._index.clear()

    def after_fork(self) -> None:
        """Start anew in a child process."""
        self._memory.after_fork()
        self._index.after_fork()
