"""Vectors as stores keep them, of unit length: float16, or a byte a number; how near they are.

And shortened, for an index that finds what is compared by the whole vectors afterwards.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import shake_256
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accel_core.ports import Vector

# How far a squared length may be from 1. Rounding leaves it within 0.001.
_UNIT_TOLERANCE = 0.01

_MOST, _FACTOR = 127, Struct("<f")

SHORT_DIMENSIONS = 96
"""Of a shortened vector. The index of Redis' query engine takes two bytes for each, twice."""


def pack(vector: Vector) -> bytes:
    """Spell a vector as little-endian float16."""
    return vector.astype("<f2").tobytes()


def unpack(packed: bytes) -> Vector:
    """Read what `pack` wrote."""
    import numpy as np

    return np.frombuffer(packed, dtype="<f2").astype(np.float32)


def coarse(packed: bytes) -> tuple[bytes, bytes]:
    """Round a float16 vector to a byte a number; return it so, and as float16 that says the same.

    The bytes are a factor, little-endian float32, and the numbers, int8, of which the largest is
    127; `fine` makes the same float16 of them again, to the bit. A cosine moves by some 0.002. What
    is no unit vector is returned as it is, with nothing for its bytes.
    """
    import numpy as np

    try:
        vector = unpack(packed)
    except ValueError:
        return b"", packed
    if not _is_unit(vector):
        return b"", packed
    numbers = np.rint(vector * (_MOST / np.abs(vector).max())).astype(np.int8)
    factor = 1.0 / float(np.linalg.norm(numbers.astype(np.float32)))
    small = _FACTOR.pack(factor) + numbers.tobytes()
    return small, fine(small)


def fine(small: bytes) -> bytes:
    """Return the float16 vector that `coarse` rounded to these bytes; they may be any."""
    import numpy as np

    (factor,) = _FACTOR.unpack(small[: _FACTOR.size].ljust(_FACTOR.size, b"\0"))
    numbers = np.frombuffer(small[_FACTOR.size :], np.int8)
    with np.errstate(all="ignore"):
        return pack(numbers.astype(np.float32) * factor)


def coarse_cosine(small: bytes, vector: Vector) -> float | None:
    """Return what `cosine` does of a vector that `coarse` rounded; the bytes may be any."""
    import numpy as np

    if len(small) != _FACTOR.size + len(vector):
        return None
    factor: float = _FACTOR.unpack_from(small)[0]
    numbers = np.frombuffer(small, np.int8, offset=_FACTOR.size).astype(np.float32)
    if not _is_one(float(numbers.dot(numbers)) * factor * factor):
        return None
    return max(-1.0, min(1.0, float(numbers.dot(vector)) * factor))


def shortened(vector: Vector) -> Vector:
    """Return `vector` in `SHORT_DIMENSIONS` numbers, of about its length, whatever it had.

    Each number is the sum of every 96th with random signs, as in feature hashing (Weinberger et al.
    2009). A cosine c becomes c, give or take (1 - c²) / √96: what is near stays near. Up to 96
    numbers are kept as they are, but for their signs.
    """
    import numpy as np

    missing = -len(vector) % SHORT_DIMENSIONS
    with np.errstate(all="ignore"):  # somebody else may have written the numbers
        signed = vector * _signs(len(vector))
        if missing:
            signed = np.concatenate((signed, np.zeros(missing, np.float32)))
        short: Vector = signed.reshape(-1, SHORT_DIMENSIONS).sum(axis=0)
    return short


@lru_cache(maxsize=8)
def _signs(dimensions: int) -> Vector:
    """Return 1 or -1 for each number; the same for all processes, for ever."""
    import numpy as np

    drawn = np.frombuffer(shake_256(b"accel").digest(-(-dimensions // 8)), np.uint8)
    signs: Vector = 2.0 * np.unpackbits(drawn)[:dimensions].astype(np.float32) - 1.0
    return signs


def cosine(packed: bytes, vector: Vector) -> float | None:
    """Return the cosine of a stored vector and another; None where it is not a unit vector of it.

    A product with anything else would be no cosine, and might serve a wrong answer.
    """
    if len(packed) != 2 * len(vector):
        return None
    stored = unpack(packed)
    if not _is_unit(stored):
        return None
    return max(-1.0, min(1.0, float(stored.dot(vector))))


def _is_unit(vector: Vector) -> bool:
    return _is_one(float(vector.dot(vector)))


def _is_one(squared: float) -> bool:
    # So written, NaN is refused too.
    return abs(squared - 1.0) <= _UNIT_TOLERANCE
