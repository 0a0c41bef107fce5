"""Names for values that have no spelling of their own, so that a model holding one can be named.

A model's fields may hold formatters, callables and wrapped models. What `canonical` can spell is
spelled; anything else is only ever itself, and gets a token that no other object, thread or process
will ever have: its entries are then found by that very object and by nothing else. Never an
address, which the next object may take; never a name alone, which two bound methods share.

Containers are walked, so that a change beside such a value is still a change.
"""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from types import FunctionType, ModuleType
from typing import Any

from accel_core.policy.canonical import canonical_json

_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})
_EXACT: dict[type, Callable[[Any], Any]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    bytes: bytes.__bytes__,
}
"""What a value of a subclass is without it, such as a member of an enum of texts."""

_tokens: dict[int, tuple[Callable[[], object], str]] = {}
"""By address: how to get at the object that the token belongs to, and the token."""


def named(value: Any) -> Any:
    """Return `value`, JSON-like, with every object spelled by its meaning or by a token.

    >>> named({"stop": ["END"], "limit": 3})
    {'stop': ['END'], 'limit': 3}
    """
    if type(value) in _PLAIN:
        return value
    try:
        return _walked(value)
    except Exception:  # foreign objects raise what they like, and some hold themselves
        return {"class": class_name(type(value)), "is": token(value)}


def _walked(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    for kind, exact in _EXACT.items():
        if isinstance(value, kind):
            return exact(value)
    if isinstance(value, Mapping):
        return {str(key): _walked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_walked(item) for item in value]
    if isinstance(value, AbstractSet):
        return {"set": sorted(canonical_json(_walked(item)) for item in value)}
    return {"class": class_name(type(value)), "is": _spelled(value)}


def class_name(kind: type | FunctionType) -> str:
    """Return the full name of a class or function; a local one's has a token."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    return f"{name} {token(kind)}" if "<" in name else name


def token(value: object) -> str:
    """Return what names `value` and nothing else, for as long as it lives."""
    known = _tokens.get(id(value))
    if known is not None and known[0]() is not value:
        _tokens.pop(id(value), None)
        known = None
    if known is None:
        # Several threads may meet a value at once, and must call it the same.
        known = _tokens.setdefault(id(value), (_holder(value), uuid.uuid4().hex))
    return known[1]


def _spelled(value: Any) -> str:
    """Spell an object by what its class says of it."""
    owner = getattr(value, "__self__", None)
    if owner is not None and not isinstance(owner, (type, ModuleType)):
        return f"{getattr(value, '__name__', '')} {token(owner)}"
    if isinstance(value, FunctionType):
        # A decorator gives each of its wrappers the name of what it wraps.
        return class_name(value) if value.__closure__ is None else token(value)
    if isinstance(value, Enum):
        return value.name
    try:
        return canonical_json(value)
    except Exception:  # foreign objects raise what they like when they are spelled
        return token(value)


def _holder(value: object) -> Callable[[], object]:
    """Return how to get at `value`, not keeping it alive where that can be."""
    address = id(value)

    def gone(reference: weakref.ref[object]) -> None:
        known = _tokens.get(address)
        if known is not None and known[0] is reference:
            del _tokens[address]

    try:
        return weakref.ref(value, gone)
    except TypeError:
        return lambda: value  # held, so that no later object takes its address
