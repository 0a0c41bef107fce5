"""Entries looked at, for whoever explains what a lookup would say.

Invariant: nobody notices. Nothing that is looked at is kept nearer, counted as wanted, promoted or
removed, and a shared store that fails is the caller's matter alone.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from accel_core.near import SPARE_NEIGHBOURS
from accel_core.searching import SearchingStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.near import Near
    from accel_core.ports import Entry, Io, Selector, Store, Vector


class Looking:
    """Looks at what this process and the shared store hold.

    Args:
        near: what this process holds.
        far: the shared store, or None.
        encoder: name of the encoder of its vectors; empty where there is none.
    """

    def __init__(self, near: Near, far: Store | None, encoder: str) -> None:
        self._near, self._far, self._encoder = near, far, encoder
        self._searcher = far if isinstance(far, SearchingStore) else None

    async def under(self, io: Io, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        """Return the entries under `keys`.

        Raises:
            Exception: the shared store's failure.
        """
        there = {key: entry for key in keys if (entry := self._near.peek(key)) is not None}
        absent = [key for key in keys if key not in there]
        if self._far is None or not absent:
            return there
        return {**await io.call(self._far.fetch_many, absent), **there}

    async def around(
        self, io: Io, scope: bytes, vector: Vector, limit: int
    ) -> list[tuple[Entry, float]]:
        """Return the `limit` nearest entries of `scope` and spare ones, with their cosines.

        The nearest is the first.

        Raises:
            Exception: the shared store's failure.
        """
        places = dict(self._near.nearest(scope, vector, limit))
        found = await self.under(io, list(places))
        near = {key: (entry, places[key]) for key, entry in found.items()}
        if self._searcher is not None and self._searcher.searches():
            asked = partial(
                self._searcher.find, (), scope, self._encoder, vector, limit, spare=SPARE_NEIGHBOURS
            )
            for entry, similarity in (await io.call(asked)).near:
                near.setdefault(entry.key, (entry, similarity))
        return sorted(near.values(), key=lambda pair: -pair[1])

    def held(self, selector: Selector) -> list[Entry]:
        """Return the entries in this process that `selector` means."""
        found = (self._near.peek(key) for key in self._near.select(selector))
        return [entry for entry in found if entry is not None]
