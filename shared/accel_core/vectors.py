"""Vectors as stores keep them, and how near they are: float16, of unit length."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accel_core.ports import Vector

# How far a squared length may be from 1. Rounding to float16 leaves it within 0.001.
_UNIT_TOLERANCE = 0.01


def pack(vector: Vector) -> bytes:
    """Spell a vector as little-endian float16."""
    return vector.astype("<f2").tobytes()


def unpack(packed: bytes) -> Vector:
    """Read what `pack` wrote."""
    import numpy as np

    return np.frombuffer(packed, dtype="<f2").astype(np.float32)


def cosine(packed: bytes, vector: Vector) -> float | None:
    """Return the cosine of a stored vector and another; None where it is not a unit vector of it.

    A product with anything else would be no cosine, and might serve a wrong answer.
    """
    if len(packed) != 2 * len(vector):
        return None
    stored = unpack(packed)
    # So written, NaN is refused too.
    if not abs(float(stored @ stored) - 1.0) <= _UNIT_TOLERANCE:
        return None
    return max(-1.0, min(1.0, float(stored @ vector)))
