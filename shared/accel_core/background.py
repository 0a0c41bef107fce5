"""What is written behind the caller's back, in order: places in the index, and the shared store.

Invariant: nobody waits for it but who flushes; what fails is reported and costs an entry its place;
what a shared store does not take now, it is owed (`drive.remote`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from accel_core import events
from accel_core.drive.remote import Remote
from accel_core.drive.writer import Writer
from accel_core.searching import SearchingStore
from accel_core.vectors import pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.backends import Backends
    from accel_core.near import Near
    from accel_core.policy.known_keys import KnownKeys
    from accel_core.ports import Entry, Observer, Sensor, Store, Vector

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


class Background:
    """Writes in one thread.

    Args:
        near: what this process holds.
        known: told the keys of what the shared store has taken.
        encoder: of the semantic tier, or None.
        far: the shared store, or None.
        backends: tell which backends rest, and are told which fail.
        emit: receives events.
        mono_now: monotonic clock, seconds.

    Attributes:
        remote: the way to the shared store; None where there is none.
    """

    def __init__(
        self,
        near: Near,
        known: KnownKeys,
        encoder: Sensor | None,
        far: Store | None,
        *,
        backends: Backends,
        emit: Observer,
        mono_now: Callable[[], float],
    ) -> None:
        self._near, self._known = near, known
        self._encoder, self._far, self._backends = encoder, far, backends
        self._mono_now = mono_now
        self._searcher = far if isinstance(far, SearchingStore) else None

        self._lost = False

        def dropped(count: int) -> None:
            self._lost = True
            emit(events.WriteDropped(count))

        self._writer: Writer[_Item] = Writer(
            self._work,
            capacity=_QUEUE,
            on_drop=dropped,
            on_error=lambda error: backends.failed("store", "write", error),
        )
        self.remote = None
        if far is not None:
            self.remote = Remote(
                far,
                wake=lambda: self._writer.submit(_Job(lambda: None)),
                capacity=_QUEUE,
                on_drop=dropped,
                on_error=lambda operation, error: backends.failed("store", operation, error),
                mono_now=mono_now,
            )
        self._try_far: Callable[[], object] = self._fetch_nothing

    def try_by(self, function: Callable[[], object]) -> None:
        """Try a store that rests by `function`, of which nothing is lost when it fails."""
        self._try_far = function

    def write(self, entry: Entry, vector: Vector | None) -> None:
        """Write `entry` where it belongs; `vector` is its text's, where it is known."""
        shared = entry.shared and self._far is not None
        if entry.semantic or shared:
            self._writer.submit(_Write(entry, vector, shared))

    def discard(self, entry: Entry) -> None:
        """Remove `entry` from the shared store, where it is still that."""
        remote = self.remote
        if remote is not None:
            self._writer.submit(_Job(lambda: remote.outbox.discard((entry,))))

    def carry_out(self, work: Callable[[], object]) -> None:
        """Carry out `work`."""
        self._writer.submit(_Job(work))

    def placed_alone(self, entry: Entry) -> bool:
        """Whether `entry` needs its place in this process's index though memory lets it go."""
        searches = self._searcher is not None and self._searcher.searches()
        return entry.shared and self._far is not None and not searches

    def flush(self) -> None:
        """Return when what is queued is done; a shared store may still be owed some of it."""
        self._writer.flush()

    def deliver(self, timeout_s: float | None = None) -> bool:
        """Return when what is queued is done, and whether nothing is owed, or lost meanwhile."""
        delivered = self._delivered(self._deadline(timeout_s))
        lost, self._lost = self._lost, False
        return delivered and not lost

    def close(self, timeout_s: float | None = None) -> None:
        """Finish what is queued, for `timeout_s` at most, and take nothing more."""
        left = self._deadline(timeout_s)
        done = self._delivered(left)
        self._writer.close(left() if done else 0.0)

    def after_fork(self) -> None:
        """Start anew in a child process."""
        self._writer.after_fork()
        self._lost = False
        if self.remote is not None:
            self.remote.after_fork()

    def _deadline(self, timeout_s: float | None) -> Callable[[], float | None]:
        """Return what tells how many of `timeout_s` seconds are left; None: as many as it takes."""
        if timeout_s is None:
            return lambda: None
        until_s = self._mono_now() + timeout_s
        return lambda: max(0.0, until_s - self._mono_now())

    def _delivered(self, left: Callable[[], float | None]) -> bool:
        done, remote = self._writer.flush(left()), self.remote
        if not done or remote is None or not remote.outbox:
            return done
        self._writer.submit(_Job(lambda: remote.outbox.deliver(at_once=True)))
        return self._writer.flush(left()) and not remote.outbox

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
        return None if self.remote is None else self.remote.reach(self._try_far)

    def _fetch_nothing(self) -> None:
        if self._far is not None:
            self._far.fetch(bytes(32))

    def _carry_out(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # the application's code may run in it
            self._backends.failed("comparer", "compare", error)

    def _write(self, writes: list[_Write]) -> None:
        """Place new entries in the index and in the shared store."""
        located = [(self._place(write), write.shared) for write in writes]
        placed = [entry for entry, shared in located if shared]
        if self.remote is not None:
            self.remote.save(placed)
        for entry in placed:
            self._known.note(entry.key)

    def _place(self, write: _Write) -> Entry:
        """Add an entry to the index and return it with its vector."""
        entry, encoder = write.entry, self._encoder
        if not entry.semantic or encoder is None:
            return entry
        vector = write.vector if write.vector is not None else self._sensed(encoder, entry.text)
        if vector is None:
            return entry
        # Memory may have let the entry go while it waited here.
        here = self._near.peek(entry.key) is not None or self.placed_alone(entry)
        if here and not self._near.locate(entry.scope, entry.key, vector):
            return entry
        return replace(entry, encoder=encoder.name, vector=pack(vector))

    def _sensed(self, encoder: Sensor, text: str) -> Vector | None:
        """Return the vector of `text`; None where it is distrusted or the encoder fails."""
        if not self._backends.allows("encoder"):
            return None
        try:
            vector = encoder.encode_one(text) if encoder.distrust(text) is None else None
        except Exception as error:
            self._backends.failed("encoder", "encode", error)
            return None
        self._backends.succeeded("encoder")
        return vector
