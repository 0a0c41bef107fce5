"""Which keys are probably stored somewhere else, in a few hundred kilobytes whatever their number.

Two Bloom filters (Bloom, CACM 1970): when the newer one has taken its keys, the older one is
forgotten, so that old keys fade and the share of wrong answers stays bounded (Dharmapurikar et
al. call this a double buffer). A key is its own hash: it is a digest already.

Never wrong about a key among the last `capacity` noted; a key never noted is taken for a known one
in less than 2 % of cases.
"""

from __future__ import annotations

from struct import Struct

_PROBES = 6
_BITS_PER_KEY = 10
"""With six probes, 0.9 % of unknown keys hit only set bits of a full filter; there are two."""

_TWO_NUMBERS = Struct("<2Q")
_SHORTEST_BYTES = _TWO_NUMBERS.size


class KnownKeys:
    """Keys that were noted.

    Args:
        capacity: keys after which the older half is forgotten, at least 1.
    """

    def __init__(self, capacity: int = 1 << 17) -> None:
        self._capacity = capacity
        self._bits = capacity * _BITS_PER_KEY
        self._older, self._newer, self._noted = self._blank(), self._blank(), 0

    def note(self, key: bytes) -> None:
        """Remember `key`; what is shorter than 16 bytes is no digest, and is passed over."""
        if len(key) < _SHORTEST_BYTES or self._has(self._newer, key):
            return
        if self._noted >= self._capacity:
            self._older, self._newer, self._noted = self._newer, self._blank(), 0
        newer = self._newer
        for place in self._places(key):
            newer[place >> 3] |= 1 << (place & 7)
        self._noted += 1

    def clear(self) -> None:
        """Forget all."""
        self._older, self._newer, self._noted = self._blank(), self._blank(), 0

    def __contains__(self, key: bytes) -> bool:
        if len(key) < _SHORTEST_BYTES:
            return False
        return self._has(self._newer, key) or self._has(self._older, key)

    def _has(self, filled: bytearray, key: bytes) -> bool:
        return all(filled[place >> 3] >> (place & 7) & 1 for place in self._places(key))

    def _places(self, key: bytes) -> list[int]:
        # Two hashes make as many as are wanted (Kirsch, Mitzenmacher, ESA 2006).
        first, step = _TWO_NUMBERS.unpack_from(key)
        return [(first + number * (step | 1)) % self._bits for number in range(_PROBES)]

    def _blank(self) -> bytearray:
        return bytearray((self._bits + 7) // 8)
