"""Where entries are: memory, the index over their meanings, and a shared store behind both.

Memory answers first. The shared store (SQLite, say) holds more, outlives the process and is written
by others too; what they did is taken over before a lookup looks (`catch_up`), so that an entry
removed by one process is not served by another.

Invariants: a backend that fails is reported, rests for a while, and never fails the caller; memory
and index are written at once or in the background, never on the way of an answer to a slow backend;
what `remove` removed is gone from all three.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from accel_core import events
from accel_core.drive.remote import Remote
from accel_core.drive.writer import Writer
from accel_core.policy.breaker import Breaker
from accel_core.ports import Changes, Selector, SharedStore
from accel_core.vectors import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from accel_core.ports import (
        Entry,
        Io,
        Located,
        Neighbour,
        Observer,
        Sensor,
        Store,
        Vector,
        VectorIndex,
    )
    from accel_core.store.memory import MemoryStore

_CATCH_UP = 256
"""Changes taken over on the way of a lookup; more come in the background."""
_LOAD = 2_000
"""Changes taken over at a time in the background."""
_QUEUE = 10_000


class _Write(NamedTuple):
    """A new entry on its way to index and shared store."""

    entry: Entry
    vector: Vector | None
    shared: bool


class _Job(NamedTuple):
    """Work of this cache's owner."""

    work: Callable[[], object]


_Item = _Write | _Job


def _as_it_is(entry: Entry) -> Entry:
    return entry


class Tiers:
    """Entries in memory, by meaning, and in a shared store.

    Args:
        memory: the tier every lookup sees first.
        index: nearest entries by scope.
        encoder: None where there is no semantic tier.
        far: the shared store, or None.
        emit: receives events.
        mono_now: monotonic clock, seconds, for resting backends.
        nearer: returns an entry as memory keeps it, where that differs from the shared store.
    """

    def __init__(
        self,
        memory: MemoryStore,
        index: VectorIndex,
        encoder: Sensor | None,
        far: Store | None,
        *,
        emit: Observer,
        mono_now: Callable[[], float],
        nearer: Callable[[Entry], Entry] = _as_it_is,
    ) -> None:
        self._memory, self._index, self._encoder, self._far = memory, index, encoder, far
        self._nearer = nearer
        self._emit, self._mono_now = emit, mono_now
        self._breakers = {"encoder": Breaker()}
        self._writer: Writer[_Item] = Writer(
            self._work,
            capacity=_QUEUE,
            on_drop=lambda count: emit(events.WriteDropped(count)),
            on_error=lambda error: self._failed("store", "write", error),
        )
        # Nothing was taken over from the shared store yet.
        self._revision, self._behind = 0, True
        self._following = threading.Lock()
        self._followed = far if isinstance(far, SharedStore) else None
        self._remote = None if far is None else self._remote_of(far)
        self.follows = self._followed is not None
        """Whether other processes write the shared store too."""
        self.near = memory.fetch
        """Returns the entry under a key in memory, and counts it as wanted."""
        # Stands for the last removal, others' or ours; set before memory is cleared of it.
        self._removal = object()

    @property
    def shared(self) -> bool:
        """Whether there is a store behind memory."""
        return self._far is not None

    async def find(self, io: Io, key: bytes) -> Entry | None:
        """Return the entry under `key` from memory or the shared store, and keep it near."""
        return self._memory.peek(key) or await self.fetch(io, key)

    async def fetch(self, io: Io, key: bytes) -> Entry | None:
        """Return the entry under `key` from the shared store, whatever memory holds."""
        if self._far is None or self._remote is None:
            return None
        last = self._removal
        entry = await self._remote.ask(io, "fetch", self._far.fetch, key)
        if entry is not None:
            entry = self._nearer(replace(entry, vector=None))
            self._memory.save([entry])
            if self._removal is not last:
                self._memory.remove([key])  # perhaps it was this one, after it was read
        return entry

    async def sense(self, io: Io, text: str) -> Vector | str:
        """Return the vector of `text`, or the reason why there is none to compare by."""
        encoder, breaker = self._encoder, self._breakers["encoder"]
        if encoder is None or not breaker.allows(self._mono_now()):
            return "backend"
        try:
            sensed = await io.sense(encoder, text)
        except Exception as error:
            self._failed("encoder", "encode", error)
            return "backend"
        breaker.succeeded()
        return sensed

    def nearest(self, scope: bytes, vector: Vector, limit: int) -> list[Neighbour]:
        """Return the nearest entries in `scope`, nearest first."""
        try:
            return self._index.nearest(scope, vector, limit)
        except Exception as error:
            self._failed("index", "search", error)
            return []

    def keep(self, entry: Entry, vector: Vector | None) -> None:
        """Keep `entry` in memory now, and elsewhere in the background.

        Args:
            entry: to keep.
            vector: of its text, where it is known.
        """
        self._memory.save([self._nearer(entry)])
        shared = entry.shared and self._far is not None
        if entry.semantic or shared:
            self._writer.submit(_Write(entry, vector, shared))

    def drop(self, entry: Entry) -> None:
        """Remove `entry` from memory and index now, from the shared store in the background."""
        self._memory.remove([entry.key])
        self.forget_place(entry.scope, entry.key)
        remote = self._remote
        if remote is not None:
            self._writer.submit(_Job(lambda: remote.outbox.remove((entry.key,))))

    def forget_place(self, scope: bytes, key: bytes) -> None:
        """Remove `key` from the index."""
        try:
            self._index.remove(scope, key)
        except Exception as error:
            self._failed("index", "remove", error)

    def evicted(self, entry: Entry) -> None:
        """Take note that memory let `entry` go for space."""
        self._emit(events.CacheEvicted(entry.id, "space"))
        if self._far is None or not entry.shared:
            self.forget_place(entry.scope, entry.key)

    async def select(self, io: Io, selector: Selector) -> set[bytes]:
        """Return the keys `selector` means, wherever they are; what is queued is written first."""
        await io.call(self._writer.flush)
        keys = set(self._memory.select(selector))
        return keys if self._remote is None else keys | await self._remote.select(io, selector)

    async def remove(self, io: Io, keys: Collection[bytes]) -> None:
        """Remove `keys` everywhere; a shared store's failure is raised: they are still there."""
        if self._remote is not None:
            await self._remote.remove(io, keys)
        self._removal = object()
        for key in keys:
            entry = self._memory.peek(key)
            if entry is not None:
                self.forget_place(entry.scope, key)
        self._memory.remove(keys)

    async def catch_up(self, io: Io) -> None:
        """Take over what other processes did to the shared store since the last look."""
        far, remote = self._followed, self._remote
        if far is not None and remote is not None and not remote.rests:
            try:
                # Inline in both colours: it reads a counter, and a thread hop costs more. Then, in
                # this order: what another caller has read, memory may not be cleared of yet.
                if self._behind or far.stirred() or self._following.locked():
                    await io.call(self._follow, far, remote, _CATCH_UP)
                    self._behind = False
            except Exception as error:
                remote.failed("follow", error)

    def _follow(
        self, far: SharedStore, remote: Remote, limit: int, *, trying: bool = False
    ) -> None:
        """Take over one batch of changes; none while the store rests, unless `trying` it."""
        with self._following:
            rests, since = remote.rests and not trying, self._revision
            changes = Changes([], [], since) if rests else far.changes(since, limit)
            self._revision = changes.revision
            self._removal = object()
            if changes.reset:
                self._memory.remove(self._memory.select(Selector()))
                self._index.clear()
            # All that is out of date leaves before anything else can fail.
            self._memory.remove([*changes.removed, *(found.key for found in changes.located)])
            for found in changes.located:
                self._locate(found)
        if len(changes.located) >= limit:
            self._writer.submit(_Job(lambda: self._load(far, remote)))

    def _load(self, far: SharedStore, remote: Remote) -> None:
        """Take over more changes, in the background."""
        try:
            self._follow(far, remote, _LOAD)
        except Exception as error:
            remote.failed("follow", error)

    def _failed(self, backend: str, operation: str, error: Exception) -> None:
        if backend in self._breakers:
            self._breakers[backend].failed(self._mono_now())
        self._emit(events.BackendFailed(backend, operation, f"{type(error).__name__}: {error}"))

    def _locate(self, found: Located) -> None:
        """Add an entry that another process stored to the index."""
        if self._encoder is None or found.encoder != self._encoder.name:
            return
        try:
            self._index.add(found.scope, found.key, unpack(found.vector))
        except Exception as error:
            self._failed("index", "add", error)

    def later(self, work: Callable[[], None]) -> None:
        """Carry out `work` in the background, after what was queued before it."""
        self._writer.submit(_Job(work))

    def cosine(self, one: str, other: str) -> float | None:
        """Return how near two texts are; 0 where the encoder distrusts one. Blocks.

        None where it fails or rests, which says nothing about the texts.
        """
        encoder = self._encoder
        if encoder is None or not self._breakers["encoder"].allows(self._mono_now()):
            return None
        try:
            if encoder.distrust(one) is not None or encoder.distrust(other) is not None:
                return 0.0
            return float(encoder.encode_one(one) @ encoder.encode_one(other))
        except Exception as error:
            self._failed("encoder", "encode", error)
            return None

    def flush(self) -> bool:
        """Return when everything kept so far is where it belongs, durably.

        Returns:
            Whether it is: what a shared store does not take now is kept, for when it does.
        """
        delivered = self._deliver()
        if self._remote is not None:
            self._remote.flush()
        return delivered

    def close(self, timeout_s: float | None = None) -> None:
        """Write what is queued, for `timeout_s` at most, and release encoder and shared store."""
        done = self._deliver(timeout_s)
        self._writer.close(timeout_s if done else 0.0)
        if self._encoder is not None:
            self._encoder.close()
        if self._remote is not None:
            self._remote.close()

    def after_fork(self) -> None:
        """Start anew in a child process: no thread and no lock of the parent's is usable here."""
        self._following = threading.Lock()
        self._revision, self._behind = 0, True
        self._writer.after_fork()
        if self._remote is not None:
            self._remote.after_fork()
        self._memory.after_fork()
        self._index.after_fork()
        if self._encoder is not None:
            self._encoder.after_fork()

    def _remote_of(self, far: Store) -> Remote:
        return Remote(
            far,
            wake=lambda: self._writer.submit(_Job(lambda: None)),
            capacity=_QUEUE,
            on_drop=lambda count: self._emit(events.WriteDropped(count)),
            on_error=lambda operation, error: self._failed("store", operation, error),
            mono_now=self._mono_now,
        )

    def _deliver(self, timeout_s: float | None = None) -> bool:
        """Return when what is queued is done, and whether the shared store has what it is owed."""
        done, remote = self._writer.flush(timeout_s), self._remote
        if not done or remote is None or not remote.outbox:
            return done
        self._writer.submit(_Job(lambda: remote.outbox.deliver(at_once=True)))
        return self._writer.flush(timeout_s) and not remote.outbox

    def _work(self, batch: list[_Item]) -> float | None:
        """Carry out queued work, in order; runs in the writer's thread.

        Returns:
            In how many seconds the shared store is to be tried, or told what it is owed.
        """
        writes: list[_Write] = []
        for item in batch:
            if isinstance(item, _Write):
                writes.append(item)
                continue
            self._write(writes)
            writes = []
            self._carry_out(item.work)
        self._write(writes)
        return None if self._remote is None else self._remote.reach(self._try_far)

    def _try_far(self) -> None:
        """Ask a shared store that rests something of which nothing is lost when it fails."""
        if self._followed is not None and self._remote is not None:
            self._follow(self._followed, self._remote, _LOAD, trying=True)
        elif self._far is not None:
            self._far.fetch(bytes(32))

    def _carry_out(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # the application's code may run in it
            self._failed("comparer", "compare", error)

    def _write(self, writes: list[_Write]) -> None:
        """Place new entries in the index and in the shared store."""
        located = [(self._place(write), write.shared) for write in writes]
        placed = [entry for entry, shared in located if shared]
        if self._remote is not None:
            self._remote.save(placed)

    def _place(self, write: _Write) -> Entry:
        """Add an entry to the index and return it with its vector."""
        entry, encoder = write.entry, self._encoder
        if not entry.semantic or encoder is None:
            return entry
        vector = write.vector if write.vector is not None else self._sensed(encoder, entry.text)
        if vector is None:
            return entry
        try:
            # Alone, memory may have let the entry go while it waited here.
            if write.shared or self._memory.peek(entry.key) is not None:
                self._index.add(entry.scope, entry.key, vector)
        except Exception as error:
            self._failed("index", "add", error)
            return entry
        return replace(entry, encoder=encoder.name, vector=pack(vector))

    def _sensed(self, encoder: Sensor, text: str) -> Vector | None:
        """Return the vector of `text`; None where it is distrusted or the encoder fails."""
        if not self._breakers["encoder"].allows(self._mono_now()):
            return None
        try:
            return encoder.encode_one(text) if encoder.distrust(text) is None else None
        except Exception as error:
            self._failed("encoder", "encode", error)
            return None
