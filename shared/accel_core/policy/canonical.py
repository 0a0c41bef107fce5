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
from typing import Any


class Unidentifiable(Exception):  # noqa: N818 - a value inside the package, never raised out of it
    """A request holds something without a stable spelling; the message names its type."""


def canonical_json(value: Any) -> str:
    """Spell `value` as JSON that is independent of dict order and of the process.

    Raises:
        Unidentifiable: `value` holds an object without a stable meaning.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_spell)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unidentifiable(str(error)) from error


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
        return {"secret": True}
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return value.isoformat() if hasattr(value, "isoformat") else _spell_name(value)


def _spell_name(value: Any) -> Any:
    """Spell a function or class by its full name; lambdas and local ones share theirs."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if module is None or name is None or "<" in name:
        raise TypeError(f"{name or type(value).__name__} has no stable spelling")
    return {"callable": f"{module}.{name}"}


def renamed(value: Any, names: dict[str, str]) -> Any:
    """Return `value` with every string that is one of `names` replaced."""
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, dict):
        return {key: renamed(item, names) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [renamed(item, names) for item in value]
    return value
