"""Metadata of documents as JSON, with the types that JSON does not have: an allow-list of values.

JSON's own values are spelled as they are, so that most payloads are read by a JSON parser alone.
Others are tagged, ``{"$": [tag, ...]}``, and a payload that holds a tag begins with a blank.

Invariant: what is read equals what was spelled, type for type; what cannot be promised that
(subclasses, foreign objects) is refused. Reading makes no object but those of the allow-list.
"""

from __future__ import annotations

import datetime as dt
import math
from base64 import b64decode, b64encode
from decimal import Decimal
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable

_TAG = "$"
_TAGGED = b" "
"""Precedes a payload that holds tags."""

_INT64 = range(-(1 << 63), 1 << 63)
_NUMPY_KINDS = "biufcmM"
"""Kinds of NumPy scalars that are their bytes: booleans, numbers, times and durations."""


def spell_typed(value: Any) -> bytes:
    """Spell `value` as UTF-8 JSON.

    Args:
        value: None, bool, int, float, str, list, dict with any keys; bytes, tuple, set, frozenset,
            date, datetime (naive, of a fixed offset or of a `ZoneInfo`), UUID, Decimal, a path, or
            a NumPy scalar; in any nesting.

    Raises:
        TypeError, ValueError, RecursionError: it holds something else.

    >>> spell_typed({"k": [1, "a"]}), spell_typed((1,))
    (b'{"k":[1,"a"]}', b' {"$":["tuple",[1]]}')
    """
    speller = _Speller()
    spelled = orjson.dumps(speller.spell(value))
    return _TAGGED + spelled if speller.tagged else spelled


def read_typed(payload: bytes) -> Any:
    """Read what `spell_typed` wrote, as fresh objects.

    Raises:
        ValueError, TypeError, KeyError, ArithmeticError: the bytes are not that.
    """
    value = orjson.loads(payload)
    return _revived(value) if payload.startswith(_TAGGED) else value


class _Speller:
    """One payload being spelled."""

    tagged = False

    def spell(self, value: Any) -> Any:
        """Return `value` as JSON has it."""
        kind = type(value)
        if value is None or kind is str or kind is bool:
            return value
        if kind is list:
            return [self.spell(item) for item in value]
        if kind is dict:
            return self._mapping(value)
        if (kind is int and value in _INT64) or (kind is float and math.isfinite(value)):
            return value
        self.tagged = True
        if kind in _SPELL:
            return {_TAG: [kind.__name__, *_SPELL[kind](value)]}
        if kind in _COLLECTIONS:
            return {_TAG: [kind.__name__, [self.spell(item) for item in value]]}
        if kind.__module__ == "numpy" and getattr(value, "dtype", None) is not None:
            return {_TAG: ["numpy", *_spell_numpy(value)]}
        raise TypeError(f"{kind.__name__} cannot be stored")

    def _mapping(self, value: dict[Any, Any]) -> Any:
        if _TAG not in value and all(type(key) is str for key in value):
            return {key: self.spell(item) for key, item in value.items()}
        self.tagged = True
        pairs = [[self.spell(key), self.spell(item)] for key, item in value.items()]
        return {_TAG: ["dict", pairs]}


def _revived(value: Any) -> Any:
    """Return `value` with the tagged values as what they were."""
    if isinstance(value, list):
        return [_revived(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _TAG not in value:
        return {key: _revived(item) for key, item in value.items()}
    tag, *rest = value[_TAG]
    return _READ[tag](*(_revived(part) for part in rest))


def _spell_datetime(value: dt.datetime) -> tuple[str, ...]:
    """Spell a time, the name of its zone, and which of two equal hours it is."""
    zone = value.tzinfo
    if type(zone) is ZoneInfo and zone.key is not None:
        return value.replace(tzinfo=None).isoformat(), zone.key, str(value.fold)
    text = value.isoformat()
    back = dt.datetime.fromisoformat(text)
    if type(back.tzinfo) is not type(zone) or back.tzname() != value.tzname():
        raise TypeError(f"a time of zone {value.tzname()!r} cannot be stored")
    return text, "", str(value.fold)


def _read_datetime(text: str, zone: str, fold: str) -> dt.datetime:
    value = dt.datetime.fromisoformat(text).replace(fold=int(fold))
    return value.replace(tzinfo=ZoneInfo(zone)) if zone else value


def _spell_numpy(value: Any) -> tuple[str, str]:
    import numpy as np

    kind: str = value.dtype.str
    if value.dtype.kind not in _NUMPY_KINDS or np.dtype(kind).type is not type(value):
        raise TypeError(f"{type(value).__name__} cannot be stored")
    return kind, b64encode(value.tobytes()).decode()


def _read_numpy(kind: str, data: str) -> Any:
    import numpy as np

    return np.frombuffer(b64decode(data), np.dtype(kind))[0]


def _text(value: Any) -> tuple[str]:
    return (str(value),)


_COLLECTIONS = frozenset({tuple, set, frozenset})
_PATHS = (PosixPath, PurePosixPath, PureWindowsPath, WindowsPath)
_SPELL: dict[type, Callable[[Any], tuple[str, ...]]] = {
    int: _text,
    float: _text,
    bytes: lambda value: (b64encode(value).decode(),),
    dt.datetime: _spell_datetime,
    dt.date: lambda value: (value.isoformat(),),
    UUID: _text,
    Decimal: _text,
    **dict.fromkeys(_PATHS, _text),
}
_READ: dict[str, Callable[..., Any]] = {
    "int": int,
    "float": float,
    "bytes": b64decode,
    "datetime": _read_datetime,
    "date": dt.date.fromisoformat,
    "UUID": UUID,
    "Decimal": Decimal,
    "numpy": _read_numpy,
    "dict": dict,
    **{kind.__name__: kind for kind in (*_COLLECTIONS, *_PATHS)},
}
