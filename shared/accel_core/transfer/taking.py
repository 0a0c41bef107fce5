"""Entries put into a store: none twice, none in the place of another unasked, each page whole.

Where an encoder is named, their vectors are made anew by it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from accel_core.vectors import coarse, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from accel_core.ports import Encoder, Entry, Store
    from accel_core.transfer.tally import Tally


class Taking:
    """Puts entries into a store.

    Args:
        store: takes them.
        tally: counts them.
        wall_now: decides what has expired, seconds since the epoch.
        replaces: whether they take the place of what it has under their names; else that stays.
        encoder: makes their vectors anew; None: they keep theirs.
        dry_run: whether nothing is stored, and no vector made.
    """

    def __init__(
        self,
        store: Store,
        tally: Tally,
        *,
        wall_now: Callable[[], float],
        replaces: bool = False,
        encoder: Encoder | None = None,
        dry_run: bool = False,
    ) -> None:
        self._store, self._tally, self._wall_now = store, tally, wall_now
        self._replaces, self._encoder, self._dry_run = replaces, encoder, dry_run

    def take(self, entries: Sequence[Entry]) -> None:
        """Store a page of entries, as far as they are to be stored.

        Raises:
            EncoderError, StoreError: none of them was stored, as far as can be known.
        """
        there, now_s = self._store.fetch_many([entry.key for entry in entries]), self._wall_now()
        new = [entry for entry in entries if self._wants(entry, there.get(entry.key), now_s)]
        if new and not self._dry_run:
            encoded = self._encoded(new)
            # A store may keep what is newer than what is saved over it.
            self._store.remove([entry.key for entry in new if entry.key in there])
            self._store.save(encoded)
        self._tally.written += len(new)

    def _wants(self, entry: Entry, old: Entry | None, now_s: float) -> bool:
        if old is None or old.expires_s <= now_s:
            return True
        if self._is(entry, old):
            self._tally.same += 1
            return False
        if not self._replaces:
            self._tally.left["there"] += 1
        return self._replaces

    def _is(self, entry: Entry, old: Entry) -> bool:
        """Whether `old` is what would be stored for `entry`."""
        if self._encoder is None:
            # Without a vector it is the same entry, whatever vector the store has for it.
            same = entry.vector is None or old.encoder == entry.encoder
            return same and _vector_of(entry, old) and _bare(old) == _bare(entry)
        if old.vector is None:
            placed = not _comparable(self._encoder, entry)
        else:
            placed = old.encoder == self._encoder.name
        return placed and _bare(old) == _bare(entry)

    def _encoded(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return `entries` with the vectors they are to be stored with."""
        encoder = self._encoder
        if encoder is None:
            return list(entries)
        texts = [entry.text for entry in entries if _comparable(encoder, entry)]
        vectors = iter(encoder.encode(texts) if texts else ())
        self._tally.encoded += len(texts)
        self._tally.plain += sum(entry.semantic for entry in entries) - len(texts)
        return [
            replace(entry, encoder=encoder.name, vector=pack(next(vectors)))
            if _comparable(encoder, entry)
            else _bare(entry)
            for entry in entries
        ]


def _vector_of(entry: Entry, old: Entry) -> bool:
    """Whether `old` has the vector of `entry`, as it is or as a store may round it."""
    return entry.vector is None or old.vector in {entry.vector, coarse(entry.vector)[1]}


def _bare(entry: Entry) -> Entry:
    return replace(entry, encoder="", vector=None)


def _comparable(encoder: Encoder, entry: Entry) -> bool:
    return entry.semantic and bool(entry.text) and encoder.distrust(entry.text) is None
