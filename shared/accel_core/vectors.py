"""Vectors as stores keep them, of unit length: float16, or a byte a number; how near they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accel_core.ports import Vector

# How far a squared length may be from 1. Rounding leaves it within 0.001.
_UNIT_TOLERANCE = 0.01

_MOST, _FACTOR_BYTES = 127, 4


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
    factor = 1.0 / np.linalg.norm(numbers.astype(np.float32))
    small = factor.astype("<f4").tobytes() + numbers.tobytes()
    return small, fine(small)


def fine(small: bytes) -> bytes:
    """Return the float16 vector that `coarse` rounded to these bytes; they may be any."""
    import numpy as np

    factor = np.frombuffer(small[:_FACTOR_BYTES].ljust(_FACTOR_BYTES, b"\0"), "<f4")[0]
    numbers = np.frombuffer(small[_FACTOR_BYTES:], np.int8)
    with np.errstate(all="ignore"):
        return pack(numbers.astype(np.float32) * factor)


def coarse_bytes(packed_bytes: int) -> int:
    """Return how many bytes `coarse` makes of a float16 vector of so many."""
    return _FACTOR_BYTES + packed_bytes // 2


def cosine(packed: bytes, vector: Vector) -> float | None:
    """Return the cosine of a stored vector and another; None where it is not a unit vector of it.

    A product with anything else would be no cosine, and might serve a wrong answer.
    """
    if len(packed) != 2 * len(vector):
        return None
    stored = unpack(packed)
    if not _is_unit(stored):
        return None
    return max(-1.0, min(1.0, float(stored @ vector)))


def _is_unit(vector: Vector) -> bool:
    import numpy as np

    with np.errstate(all="ignore"):
        # So written, NaN is refused too.
        return bool(abs(float(vector @ vector) - 1.0) <= _UNIT_TOLERANCE)
