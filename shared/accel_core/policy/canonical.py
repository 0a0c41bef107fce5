"""One spelling for what a request consists of, so that equal requests have equal bytes.

Framework values arrive as JSON-like trees with foreign objects in them: Pydantic classes as
response formats, callables as tools, bytes as images. Each is spelled by what it *means* (a class
by its schema, never by its name or its address), and a value that has no stable meaning makes the
request unidentifiable: it is then not cached, rather than cached under a name that another value
could share.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from types import ModuleType
from typing import Any


class Unidentifiable(Exception):  # noqa: N818 - a value inside the package, never raised out of it
    """A request holds something without a stable spelling; the message names its type."""


def canonical_json(value: Any) -> str:
    """Spell `value` as JSON that is independent of dict order and of the process.

    Raises:
        Unidentifiable: `value` holds an object without a stable meaning.
    """
    try:
        return _encode(value)
    except Exception as error:  # foreign objects raise what they like when they are spelled
        raise Unidentifiable(type(error).__name__) from error


def _spell(value: Any) -> Any:
    """Spell an object that JSON does not know."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"bytes": hashlib.blake2b(value, digest_size=24).hexdigest()}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, AbstractSet):
        return sorted(canonical_json(item) for item in value)
    if isinstance(value, type):
        schema = getattr(value, "model_json_schema", None)
        return {"schema": schema()} if schema is not None else _spell_name(value)
    if hasattr(value, "get_secret_value"):
        secret = canonical_json(value.get_secret_value())
        return {"secret": hashlib.blake2b(secret.encode(), digest_size=24).hexdigest()}
    if hasattr(value, "model_dump"):
        return {"model": type(value).__qualname__, "fields": value.model_dump(mode="json")}
    if isinstance(value, Enum):
        return {"enum": type(value).__qualname__, "name": value.name}
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    return value.isoformat() if hasattr(value, "isoformat") else _spell_name(value)


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_spell).encode


def _spell_name(value: Any) -> Any:
    """Spell a function or class by its full name, where nothing else can have it.

    Lambdas and local ones share theirs, and so do the methods of two objects and the wrappers
    that a decorator makes.
    """
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    shared = hasattr(value, "__wrapped__") or getattr(value, "__closure__", None) is not None
    owner = getattr(value, "__self__", None)
    bound = owner is not None and not isinstance(owner, ModuleType)
    if module is None or name is None or "<" in name or shared or bound:
        raise TypeError(f"{name or type(value).__name__} has no stable spelling")
    return {"callable": f"{module}.{name}"}


_MARK = "call id "


def mark_id(call_id: Any) -> str:
    """Spell a tool call's id as nothing else is spelled, wherever it stands."""
    return f"{_MARK}{call_id}"


_IDS = frozenset({"id", "tool_call_id", "call_id", "tool_use_id"})
_OPAQUE = frozenset({"args", "arguments", "input", "tool_kwargs", "text"})
"""What a call is about; an id that happens to stand there is data."""


def renamed(value: Any, names: dict[str, str]) -> Any:
    """Return `value` with the ids of tool calls replaced, where ids stand or are marked."""
    if isinstance(value, str):
        return names.get(value, value) if value.startswith(_MARK) else value
    if isinstance(value, dict):
        return {
            key: names.get(item, item)
            if key in _IDS and isinstance(item, str)
            else item
            if key in _OPAQUE
            else renamed(item, names)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [renamed(item, names) for item in value]
    return value
