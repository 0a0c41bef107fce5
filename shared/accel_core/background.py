"""What is written behind the caller's back, in order: places in the index, and the shared store.

Invariant: nobody waits for it but who flushes; what fails is reported and costs an entry its place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from accel_core import events
from accel_core.drive.writer import Writer
from accel_core.ports import SearchingStore
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


class _Removal(NamedTuple):
    """A key on its way out of the shared store."""

    key: bytes


class _Job(NamedTuple):
    """Work of this cache's owner."""

    work: Callable[[], None]


_Item = _Write | _Removal | _Job


class Background:
    """Writes in one thread.

    Args:
        near: what this process holds.
        known: told the keys of what the shared store has taken.
        encoder: of the semantic tier, or None.
        far: the shared store, or None.
        backends: tell which backends rest, and are told which fail.
        emit: receives events.
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
    ) -> None:
        self._near, self._known = near, known
        self._encoder, self._far, self._backends = encoder, far, backends
        self._writer: Writer[_Item] = Writer(
            self._work,
            capacity=_QUEUE,
            on_drop=lambda count: emit(events.WriteDropped(count)),
            on_error=lambda error: backends.failed("store", "write", error),
        )

    def write(self, entry: Entry, vector: Vector | None) -> None:
        """Write `entry` where it belongs; `vector` is its text's, where it is known."""
        shared = entry.shared and self._far is not None
        if entry.semantic or shared:
            self._writer.submit(_Write(entry, vector, shared))

    def remove(self, key: bytes) -> None:
        """Remove `key` from the shared store."""
        if self._far is not None:
            self._writer.submit(_Removal(key))

    def carry_out(self, work: Callable[[], None]) -> None:
        """Carry out `work`."""
        self._writer.submit(_Job(work))

    def placed_alone(self, entry: Entry) -> bool:
        """Whether `entry` needs its place in this process's index though memory lets it go."""
        return entry.shared and self._far is not None and searching(self._far) is None

    def flush(self) -> None:
        """Return when all that was queued is done."""
        self._writer.flush()

    def close(self, timeout_s: float | None = None) -> None:
        """Finish what is queued, for `timeout_s` at most, and take nothing more."""
        self._writer.close(timeout_s)

    def after_fork(self) -> None:
        """Start anew in a child process."""
        self._writer.after_fork()

    def _work(self, batch: list[_Item]) -> None:
        """Carry out queued work, in order; runs in the writer's thread."""
        writes: list[_Write] = []
        for item in batch:
            if isinstance(item, _Write):
                writes.append(item)
                continue
            self._write(writes)
            writes = []
            if isinstance(item, _Removal):
                self._remove(item.key)
            else:
                self._carry_out(item.work)
        self._write(writes)

    def _carry_out(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # the application's code may run in it
            self._backends.failed("comparer", "compare", error)

    def _write(self, writes: list[_Write]) -> None:
        """Place new entries in the index and in the shared store."""
        located = [(self._place(write), write.shared) for write in writes]
        placed = [entry for entry, shared in located if shared]
        if self._far is None or not placed:
            return
        try:
            self._far.save(placed)
        except Exception as error:
            self._backends.failed("store", "save", error)
            return
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
            return encoder.encode_one(text) if encoder.distrust(text) is None else None
        except Exception as error:
            self._backends.failed("encoder", "encode", error)
            return None

    def _remove(self, key: bytes) -> None:
        if self._far is not None:
            try:
                self._far.remove([key])
            except Exception as error:
                self._backends.failed("store", "remove", error)


def searching(store: Store | None) -> SearchingStore | None:
    """Return `store` where it searches by meaning itself."""
    return store if isinstance(store, SearchingStore) and store.searches() else None
