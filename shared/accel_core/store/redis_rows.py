"""Entries as they lie on a Redis server: `codec` bytes whose vector has a byte a number.

Invariant: whatever lies there, what comes of it is the entry that was stored under that key, or
none. What is signed is what lies there.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import starmap
from typing import TYPE_CHECKING, NamedTuple

from accel_core.store import codec
from accel_core.vectors import coarse, fine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from accel_core.inspection import Stored
    from accel_core.policy.seal import Seal
    from accel_core.ports import Entry


class Row(NamedTuple):
    """An entry as it is kept: its key, its bytes."""

    key: bytes
    body: bytes


class RedisRows:
    """Writes and reads them.

    Args:
        seal: signs what is stored, and refuses what was not signed.
        refused: told of bytes that are not the entry they lie under, and why.
    """

    def __init__(self, seal: Seal, refused: Callable[[str], None]) -> None:
        self._seal, self._refused = seal, refused

    def spelled(self, entry: Entry) -> tuple[bytes, bytes]:
        """Return the bytes of `entry`, and its vector as these say it, float16; nothing for none.

        What is no unit vector is left out.
        """
        small, vector = coarse(entry.vector or b"")
        body = codec.encode(replace(entry, vector=small or None), self._seal)
        return body, vector if small else b""

    def bare(self, rows: Iterable[Row]) -> list[tuple[Entry, bytes]]:
        """Return the entries without their vectors, and these as `vectors.coarse` made them."""
        read = []
        for row in rows:
            entry, small = codec.parted(row.body, self._seal)
            # A sealed entry copied under another key would verify.
            why = entry if isinstance(entry, str) else "" if entry.key == row.key else "key"
            if isinstance(entry, str) or why:
                self._refused(f"the stored bytes of {row.key.hex()} are refused: {why}")
            else:
                read.append((entry, small))
        return read

    def entries(self, rows: Iterable[Row]) -> list[Entry]:
        """Return the entries, their vectors as float16."""
        return list(starmap(_whole, self.bare(rows)))

    def inspected(self, row: Row) -> Stored:
        """Return what lies under a key, readable or not; nobody is told."""
        kept = codec.inspected(row.body, row.key, self._seal)
        if isinstance(kept.found, str):
            return kept
        return kept._replace(found=_whole(kept.found, kept.found.vector or b""))


def _whole(entry: Entry, small: bytes) -> Entry:
    return replace(entry, vector=fine(small)) if small else entry
