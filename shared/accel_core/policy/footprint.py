"""About how much memory a value holds, whatever it is."""

from __future__ import annotations

import sys
from collections import deque
from typing import Any

_LEAVES = (str, bytes, bytearray, int, float, complex, bool, type(None), type)
_UNKNOWN_BYTES = 1 << 60
"""Of what cannot be looked at: more than anybody keeps."""
_OPAQUE_BYTES = 64


def footprint_bytes(value: object) -> int:
    """Return about how many bytes `value` holds, with all that it refers to, each once.

    Takes a fraction of what copying it takes. What raises when it is looked at counts as more than
    can be kept.

    >>> footprint_bytes("x" * 1000) // 1000, footprint_bytes([["x" * 1000]] * 9) // 1000
    (1, 1)
    """
    try:
        return _walked(value)
    except Exception:  # somebody's class
        return _UNKNOWN_BYTES


def _walked(value: object) -> int:
    total_bytes, seen = 0, set()
    ahead: list[Any] = [value]
    while ahead:
        one = ahead.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        total_bytes += sys.getsizeof(one, _OPAQUE_BYTES)
        if isinstance(one, dict):
            ahead.extend(one)
            ahead.extend(one.values())
        elif isinstance(one, (list, tuple, set, frozenset, deque)):
            ahead.extend(one)
        elif not isinstance(one, _LEAVES):
            ahead.extend(_held(one))
    return total_bytes


def _held(one: object) -> list[Any]:
    """Return what an object's attributes hold."""
    found = [getattr(one, "__dict__", None)]
    for kind in type(one).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names = (slots,) if isinstance(slots, str) else slots
        found += [getattr(one, name, None) for name in names if name != "__weakref__"]
    return found
