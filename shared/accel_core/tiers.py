"""Where entries are: memory, the index over their meanings, and a shared store behind both.

Memory answers first. The shared store (SQLite, say) holds more, outlives the process and is written
by others too; what they did is taken over before a lookup looks (`following`), so that an entry
removed by one process is not served by another. A store that searches by meaning itself is asked
once for all that a lookup needs; what is not there yet, this process still finds in its own index.

Invariants: a backend that fails is reported, rests for a while, and never fails the caller; memory
and index are written at once or in the background, never on the way of an answer to a slow backend;
what `remove` removed is gone from all three.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from accel_core import events
from accel_core.backends import Backends
from accel_core.background import Background
from accel_core.following import Following
from accel_core.looking import Looking
from accel_core.near import SPARE_NEIGHBOURS, Near
from accel_core.policy.known_keys import KnownKeys
from accel_core.ports import Entry, SharedStore
from accel_core.recording import timed
from accel_core.searching import Nearby, SearchingStore

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from accel_core.drive.flight import Claiming
    from accel_core.ports import Io, Observer, Selector, Sensor, Store, Vector, VectorIndex
    from accel_core.store.memory import MemoryStore

T = TypeVar("T")


class Around(NamedTuple):
    """What is stored around a question.

    Attributes:
        exact: entries under the keys that were asked for, too.
        near: the nearest entries of the scope with their cosines, nearest first.
        as_of: the last removal before they were read, where they are not kept near yet.
    """

    exact: list[Entry]
    near: list[tuple[Entry, float]]
    as_of: object = None


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
        self._encoder, self._far, self._emit = encoder, far, emit
        self._searcher = far if isinstance(far, SearchingStore) else None
        self._backends = Backends(emit, mono_now)
        self._near = Near(memory, index, self._backends, nearer)
        self._known = KnownKeys()
        self._background = Background(
            self._near,
            self._known,
            encoder,
            far,
            backends=self._backends,
            emit=emit,
            mono_now=mono_now,
        )
        self._remote, self._following = self._background.remote, None
        if isinstance(far, SharedStore) and self._remote is not None:
            self._following = Following(
                far,
                self._near,
                self._remote,
                self._known,
                encoder=None if encoder is None else encoder.name,
                later=self._background.carry_out,
            )
            self._background.try_by(self._following.try_again)
        self.follows = self._following is not None
        """Whether other processes write the shared store too."""
        self.near = memory.fetch
        """Returns the entry under a key in memory, and counts it as wanted."""
        self.looking = Looking(self._near, far, "" if encoder is None else encoder.name)
        """Looks at entries without anybody noticing."""

    @property
    def shared(self) -> bool:
        """Whether there is a store behind memory."""
        return self._far is not None

    @property
    def rests(self) -> bool:
        """Whether the store behind memory is left alone, since it failed."""
        return self._remote is not None and self._remote.rests

    def asks_at_once(self, keys: Sequence[bytes]) -> bool:
        """Whether `keys` are best asked for by `around`, together with what is near.

        So it is where the store answers both at once and probably has none of them: where it
        probably has one, asking for that first saves encoding the question.
        """
        return self._searcher is not None and not any(key in self._known for key in keys)

    async def find(self, io: Io, key: bytes) -> Entry | None:
        """Return the entry under `key` from memory or the shared store, and keep it near."""
        return self._near.peek(key) or await self.fetch(io, key)

    async def fetch(self, io: Io, key: bytes) -> Entry | None:
        """Return the entry under `key` from the shared store, whatever memory holds."""
        return (await self._read(io, [key]) or {}).get(key)

    async def find_many(
        self, io: Io, keys: Sequence[bytes], claiming: Claiming | None = None
    ) -> dict[bytes, Entry]:
        """Return the entries under `keys`, from memory or by one question to the shared store.

        Args:
            io: the caller's colour.
            keys: of the entries.
            claiming: claims a lease with that question, where there is none of them.
        """
        there = {key: entry for key in keys if (entry := self._near.peek(key)) is not None}
        absent = [key for key in keys if key not in there]
        if claiming is None or self._searcher is None or there or not absent:
            return there | (await self._read(io, absent) or {})
        as_of = self._near.removal
        found = await self._find(io, absent, b"", None, 0, claiming=claiming)
        read = [] if found is None else map(self._near.read, found.exact)
        return {entry.key: self._near.keep_read(entry, as_of) for entry in read}

    async def around(
        self,
        io: Io,
        scope: bytes,
        vector: Vector,
        limit: int,
        *,
        keys: Sequence[bytes] = (),
        claiming: Claiming | None = None,
        floor: float = -1.0,
    ) -> Around:
        """Return what is stored nearest to `vector` in `scope`, and under `keys`.

        A store that can is asked once, for all of it; what follows `limit` is for it alone.

        Args:
            io: the caller's colour.
            scope: of the question.
            vector: of the question.
            limit: how many of the nearest; spare ones may come with them.
            keys: of entries that are wanted whatever their vectors.
            claiming: claims a lease with it, where nothing is found that could be served.
            floor: cosine below which nothing is.
        """
        far = self._searcher
        if far is None:
            return Around([], await self._near_here(io, scope, vector, limit))
        as_of, here = self._near.removal, self._near.nearest(scope, vector, limit)
        if here and here[0].similarity >= floor:
            claiming = None
        searches = far.searches()
        beside = [] if searches else [key for key, _ in here if self._near.peek(key) is None]
        found = None
        if keys or searches or beside or claiming is not None:
            found = await self._find(
                io, keys, scope, vector, limit, beside=beside, claiming=claiming, floor=floor
            )
        near = {} if found is None else self._read_near(found.near)
        # Where a lease was had, the nearest alone was read.
        whole = found is not None and found.claimed is None
        for key, similarity in here:
            own = self._near.peek(key)
            if own is not None:
                near[key] = own, similarity
            elif searches or (whole and key not in near and key not in keys):
                self._near.forget_place(scope, key)
        nearest = sorted(near.values(), key=lambda pair: -pair[1])
        exact = [] if found is None else map(self._near.read, found.exact)
        return Around(list(exact), nearest, as_of)

    def _read_near(self, found: list[tuple[Entry, float]]) -> dict[bytes, tuple[Entry, float]]:
        """Return what the shared store said is near, with how near it is, by key."""
        # What this process keeps of it may be newer.
        return {
            entry.key: (self._near.peek(entry.key) or self._near.read(entry), similarity)
            for entry, similarity in found
        }

    async def _find(
        self,
        io: Io,
        keys: Sequence[bytes],
        scope: bytes,
        vector: Vector | None,
        limit: int,
        *,
        beside: Sequence[bytes] = (),
        claiming: Claiming | None,
        floor: float = 1.0,
    ) -> Nearby | None:
        """Ask the shared store once, and give the flight what was claimed; None where it fails."""
        assert self._searcher is not None
        find, encoder = self._searcher.find, "" if self._encoder is None else self._encoder.name

        def asked() -> Nearby:
            wanted = None if claiming is None else claiming.wanted(floor)
            spare = SPARE_NEIGHBOURS
            found = find(
                keys, scope, encoder, vector, limit, spare=spare, beside=beside, wanted=wanted
            )
            if claiming is not None and found.claimed is not None:
                claiming.took(found.claimed)
            return found

        return await self.ask(io, "find", asked)

    def want(self, entry: Entry, around: Around) -> None:
        """Count `entry` as wanted, and keep it near if it is of `around` and was only read."""
        if self.near(entry.key) is None and around.as_of is not None:
            self._near.keep_read(entry, around.as_of)

    async def sense(self, io: Io, text: str) -> Vector | str:
        """Return the vector of `text`, or the reason why there is none to compare by."""
        encoder = self._encoder
        if encoder is None or not self._backends.allows("encoder"):
            return "backend"
        try:
            with timed("encode_s"):
                sensed = await io.sense(encoder, text)
        except Exception as error:
            self._backends.failed("encoder", "encode", error)
            return "backend"
        self._backends.succeeded("encoder")
        return sensed

    def keep(self, entry: Entry, vector: Vector | None) -> None:
        """Keep `entry` in memory now, and elsewhere in the background.

        Args:
            entry: to keep.
            vector: of its text, where it is known.
        """
        self._near.keep(entry)
        self._background.write(entry, vector)

    def drop(self, entry: Entry) -> None:
        """Remove `entry` from memory and index now, from the shared store in the background.

        There another process may have replaced it since: what it stored stays.
        """
        self._near.remove([entry.key])
        self._near.forget_place(entry.scope, entry.key)
        self._background.discard(entry)

    def forget_place(self, scope: bytes, key: bytes) -> None:
        """Remove `key` from the index."""
        self._near.forget_place(scope, key)

    def evicted(self, entry: Entry) -> None:
        """Take note that memory let `entry` go for space."""
        self._emit(events.CacheEvicted(entry.id, "space"))
        if not self._background.placed_alone(entry):
            self._near.forget_place(entry.scope, entry.key)

    async def select(self, io: Io, selector: Selector) -> set[bytes]:
        """Return the keys `selector` means, wherever they are; what is queued is written first."""
        await io.call(self._background.flush)
        keys = set(self._near.select(selector))
        return keys if self._remote is None else keys | await self._remote.select(io, selector)

    async def remove(self, io: Io, keys: Collection[bytes]) -> None:
        """Remove `keys` everywhere; a shared store's failure is raised: they are still there."""
        if self._remote is not None:
            await self._remote.remove(io, keys)
        self._near.remove(keys)

    async def catch_up(self, io: Io) -> None:
        """Take over what other processes did to the shared store since the last look."""
        if self._following is not None:
            await self._following.catch_up(io)

    async def _near_here(
        self, io: Io, scope: bytes, vector: Vector, limit: int
    ) -> list[tuple[Entry, float]]:
        """Return the nearest entries by this process's own index."""
        places = self._near.nearest(scope, vector, limit)
        there = {key: entry for key, _ in places if (entry := self._near.peek(key)) is not None}
        absent = [key for key, _ in places if key not in there]
        read = await self._read(io, absent)
        if read is not None:
            there |= read
            for key in absent:
                if key not in read:
                    self._near.forget_place(scope, key)
        return [(there[key], similarity) for key, similarity in places if key in there]

    async def _read(self, io: Io, keys: Sequence[bytes]) -> dict[bytes, Entry] | None:
        """Read `keys` in the shared store and keep them near; None where it fails or rests."""
        if self._far is None or not keys:
            return {}
        last = self._near.removal
        found = await self.ask(io, "fetch", self._far.fetch_many, keys)
        if found is None:
            return None
        read = ((key, self._near.read(entry)) for key, entry in found.items())
        return {key: self._near.keep_read(entry, last) for key, entry in read}

    async def claim(self, io: Io, function: Callable[..., T], *args: Any) -> T | Entry | None:
        """Ask the shared store for a lease; an entry that is there instead is kept near."""
        last = self._near.removal
        claimed = await self.ask(io, "claim", function, *args)
        if not isinstance(claimed, Entry):
            return claimed
        entry = self._near.read(claimed)
        self._near.keep_read(entry, last)
        return entry  # as it is there, for the next claim may have to name it

    async def ask(self, io: Io, operation: str, function: Callable[..., T], *args: Any) -> T | None:
        """Ask the shared store; None where it fails or rests."""
        return (
            None if self._remote is None else await self._remote.ask(io, operation, function, *args)
        )

    def later(self, work: Callable[[], None]) -> None:
        """Carry out `work` in the background, after what was queued before it."""
        self._background.carry_out(work)

    def cosine(self, one: str, other: str) -> float | None:
        """Return how near two texts are; 0 where the encoder distrusts one. Blocks.

        None where it fails or rests, which says nothing about the texts.
        """
        encoder = self._encoder
        if encoder is None or not self._backends.allows("encoder"):
            return None
        try:
            trusted = encoder.distrust(one) is None and encoder.distrust(other) is None
            nearness = (
                float(encoder.encode_one(one) @ encoder.encode_one(other)) if trusted else 0.0
            )
        except Exception as error:
            self._backends.failed("encoder", "encode", error)
            return None
        self._backends.succeeded("encoder")
        return nearness

    def flush(self) -> bool:
        """Return when everything kept so far is where it belongs, durably.

        Returns:
            Whether it is: what a shared store does not take now is kept, for when it does.
        """
        delivered = self._background.deliver()
        if self._remote is not None:
            self._remote.flush()
        return delivered

    def close(self, timeout_s: float | None = None) -> None:
        """Write what is queued, for `timeout_s` at most, and release encoder and shared store."""
        self._background.close(timeout_s)
        if self._encoder is not None:
            self._encoder.close()
        if self._remote is not None:
            self._remote.close()

    def after_fork(self) -> None:
        """Start anew in a child process: no thread and no lock of the parent's is usable here."""
        if self._following is not None:
            self._following.after_fork()
        self._background.after_fork()
        self._near.after_fork()
        if self._encoder is not None:
            self._encoder.after_fork()
