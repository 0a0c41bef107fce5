"""A vector as bytes that give back the very same floats.

Models answer in single precision, which Python widens: where every number survives the way back,
four bytes hold it, else eight. A vector that is not a list of finite floats has no spelling.
"""

from __future__ import annotations

import math
import struct

_SINGLE, _DOUBLE = b"f", b"d"


def spell_vector(vector: object) -> bytes | None:
    """Return `vector` as bytes, little-endian; None where it is not a list of finite floats."""
    if type(vector) is not list or not vector:
        return None
    # By `map`, which is what a vector of thousands of numbers needs.
    if set(map(type, vector)) != {float} or not all(map(math.isfinite, vector)):
        return None
    count = len(vector)
    try:
        single = struct.pack(f"<{count}f", *vector)
    except OverflowError:  # beyond what single precision reaches
        single = b""
    if single and list(struct.unpack(f"<{count}f", single)) == vector:
        return _SINGLE + single
    return _DOUBLE + struct.pack(f"<{count}d", *vector)


def read_vector(spelled: bytes) -> list[float]:
    """Return what `spell_vector` spelled.

    Raises:
        ValueError: the bytes are no vector.
    """
    kind, size = spelled[:1], 4 if spelled[:1] == _SINGLE else 8
    count, rest = divmod(len(spelled) - 1, size)
    if kind not in (_SINGLE, _DOUBLE) or rest or not count:
        raise ValueError(f"{len(spelled)} bytes are no vector")
    return list(struct.unpack(f"<{count}{kind.decode()}", spelled[1:]))
