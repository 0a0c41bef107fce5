"""How often something was asked for lately, in a few kilobytes whatever the number of keys.

A count-min sketch with four rows, halved after a while so that old fame fades (Einziger, Friedman,
Manes: TinyLFU, ACM ToS 2017). It may count too much where keys share all their places, never too
little within one period.
"""

from __future__ import annotations

from array import array
from struct import Struct

_ROWS = 4
_PERIOD = 10
"""Counts per place of a row after which all are halved."""
_MOST = 255
_FOUR_NUMBERS = Struct("<4I")


class Popularity:
    """Counts of keys.

    Args:
        width: places in a row, a power of two; some four times the keys that matter.
    """

    def __init__(self, width: int = 4096) -> None:
        self._mask = width - 1
        self._rows = [array("B", bytes(width)) for _ in range(_ROWS)]
        self._left = width * _PERIOD

    def note(self, key: bytes) -> None:
        """Count one request for `key`, a digest of at least 16 bytes."""
        for row, place in zip(self._rows, self._places(key), strict=True):
            # Looked at once: another thread may count between two looks.
            count = row[place]
            if count < _MOST:
                row[place] = count + 1
        self._left -= 1
        if self._left <= 0:
            self._halve()

    def count(self, key: bytes) -> int:
        """Return how often `key` was asked for lately."""
        return min(row[place] for row, place in zip(self._rows, self._places(key), strict=True))

    def _places(self, key: bytes) -> tuple[int, int, int, int]:
        # The key is a digest already: each row takes four bytes of it.
        one, two, three, four = _FOUR_NUMBERS.unpack_from(key)
        mask = self._mask
        return one & mask, two & mask, three & mask, four & mask

    def _halve(self) -> None:
        for row in self._rows:
            for place, count in enumerate(row):
                row[place] = count >> 1
        self._left = len(self._rows[0]) * _PERIOD
