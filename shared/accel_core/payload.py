"""What adapters' payloads have in common: their spelling, their provenance, their cost of nothing.

A payload is UTF-8 JSON and nothing else: reading one never makes an object that JSON does not have.
What JSON cannot say exactly (a NaN, a lone surrogate, a foreign object) is refused at storing.
"""

from __future__ import annotations

import json
import secrets
import string
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from accel_core.semantic_cache import Hit


_HEX = "0123456789abcdef"
_SHORTEST_RANDOM = 8
"""Signs of the shortest id that a provider draws at random."""

_SLOWLY = b" "
"""Precedes JSON that only the standard library reads exactly."""


def spell_payload(value: Any) -> bytes:
    """Spell `value`; Pydantic models by their JSON dump.

    Raises:
        TypeError, ValueError: it holds something that JSON cannot say.
    """
    _require_texts_as_keys(value)
    spelled = json.dumps(
        value, default=_spell, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    ).encode()
    # orjson reads an integer beyond 64 bits as a float.
    exact = orjson.loads(spelled) == json.loads(spelled)
    return spelled if exact else _SLOWLY + spelled


def read_payload(payload: bytes) -> Any:
    """Read what `spell_payload` wrote, as fresh objects.

    Raises:
        ValueError: the bytes are not JSON.
    """
    return json.loads(payload) if payload.startswith(_SLOWLY) else orjson.loads(payload)


def key_of(response: object) -> bytes | None:
    """Return the key of the entry that a replay was made from; None where it is no replay.

    Args:
        response: an id, or any object that carries what `describe` says, itself or in its message.

    Raises:
        ValueError: the id is not one.
    """
    told = told_by(response) or {}
    return bytes.fromhex(told["id"]) if "id" in told else None


def told_by(response: object) -> dict[str, Any] | None:
    """Return what an answer says of itself; None: nothing.

    Args:
        response: as of `key_of`; an id says that it is one.
    """
    if isinstance(response, str):
        return {"id": response}
    for holder in (response, getattr(response, "message", None)):
        for name in ("response_metadata", "additional_kwargs"):
            metadata = getattr(holder, name, None)
            told = metadata.get("accel") if isinstance(metadata, dict) else None
            if isinstance(told, dict):
                return told
    return None


def text_of(payload: bytes) -> str:
    """Return what an answer says, to be compared with another: its texts, in order.

    Knows what both adapters write; tool calls, thinking and metadata are no text. ``""`` where
    there is none.

    Raises:
        ValueError: the bytes are not JSON.
    """
    document = read_payload(payload)
    choices = document if isinstance(document, list) else [document]
    return "\n".join(filter(None, map(_said, choices)))


def _said(choice: Any) -> str:
    """Return the text of one choice: LangChain's generation, or LlamaIndex's response."""
    if not isinstance(choice, dict):
        return choice if isinstance(choice, str) else ""
    if isinstance(choice.get("text"), str):
        return str(choice["text"])
    message = choice.get("message")
    content = message.get("content") if isinstance(message, dict) else choice.get("blocks")
    if isinstance(content, str):
        return content
    return "".join(_said(block) for block in content) if isinstance(content, list) else ""


def _require_texts_as_keys(value: Any) -> None:
    """Refuse mappings that JSON would read back with other keys."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError("JSON has no keys but texts")
            _require_texts_as_keys(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _require_texts_as_keys(item)


def _spell(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        # By alias, which is what a model is made from.
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(f"{type(value).__name__} cannot be stored")


def fresh_id(old: str) -> str:
    """Return a new id of the form of `old`: its prefix, then letters and digits in its places.

    Providers check the form of ids that come back to them; one too short to be random stays.
    """
    prefix, mark, tail = old.rpartition("_")
    signs = [sign for sign in tail if sign.isalnum()]
    if len(signs) < _SHORTEST_RANDOM:
        return old
    letters = _HEX if set(signs) <= set(_HEX) else string.ascii_letters + string.digits
    drawn = zip(tail, secrets.token_bytes(len(tail)), strict=True)
    fresh = (letters[byte % len(letters)] if sign.isalnum() else sign for sign, byte in drawn)
    return prefix + mark + "".join(fresh)


def zeroed(usage: Any) -> Any:
    """Return a usage with every number 0, keys and shape as they were: a hit costs nothing."""
    if isinstance(usage, dict):
        return {key: zeroed(value) for key, value in usage.items()}
    return 0 if isinstance(usage, (int, float)) else usage


def describe(hit: Hit) -> dict[str, Any]:
    """Say where an answer came from, for the metadata of its replay."""
    entry = hit.entry
    return {
        "cache": hit.tier,
        "id": entry.key.hex(),
        "scope": entry.scope.hex(),
        "similarity": hit.similarity,
        "age_s": hit.age_s,
        "shared": hit.shared,
        "reason": hit.reason,
        "saved_s": entry.cost_s or None,
    }
