"""Vectors as bytes, as stores keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accel_core.ports import Vector


def pack(vector: Vector) -> bytes:
    """Spell a vector as little-endian float16."""
    return vector.astype("<f2").tobytes()


def unpack(packed: bytes) -> Vector:
    """Read what `pack` wrote."""
    import numpy as np

    return np.frombuffer(packed, dtype="<f2").astype(np.float32)
