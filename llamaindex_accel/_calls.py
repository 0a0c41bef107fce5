"""Tool calls as providers' own objects in ``additional_kwargs``, there and back.

LlamaIndex's blocks carry tool calls, and integrations repeat them as the objects of their SDK, on
which older code reads attributes. Known are OpenAI's, which very many integrations use, and
LlamaIndex's own `ToolSelection`; others are not stored. A streamed call comes back as a whole one.

An id is replaced by a new one of the same form, because some providers check its form. One that is
the tool's name is a name, and one too short to be random is a number: both stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.llms.llm import ToolSelection

from accel_core.payload import fresh_id

if TYPE_CHECKING:
    from collections.abc import Mapping

_CALLS = "tool_calls"


def spell_calls(kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return `kwargs` without their tool calls, and these as plain data; None where there are none.

    Raises:
        TypeError: a call is an object of an unknown kind.
    """
    rest = dict(kwargs)
    calls = rest.pop(_CALLS, None)
    if not calls:
        return dict(kwargs), None
    return rest, {
        "kinds": [_kind(call) for call in calls],
        "calls": [_dump(call) for call in calls],
    }


def read_calls(spelled: dict[str, Any] | None) -> dict[str, Any]:
    """Return what `spell_calls` took out, as fresh objects, to be put back."""
    if spelled is None:
        return {}
    pairs = zip(spelled["kinds"], spelled["calls"], strict=True)
    return {_CALLS: [_read(kind, call) for kind, call in pairs]}


def _kind(call: Any) -> str:
    """Return which objects `call` is one of."""
    if isinstance(call, dict):
        return "dict"
    if isinstance(call, ToolSelection):
        return "selection"
    if type(call).__module__.startswith("openai.types.chat"):
        return "openai"
    raise TypeError(f"a tool call of {type(call).__name__} cannot be stored")


def _dump(call: Any) -> Any:
    if isinstance(call, dict):
        return call
    dumped = call.model_dump(mode="json", exclude_none=True)
    return {key: value for key, value in dumped.items() if key != "index"}


def _read(kind: str, call: dict[str, Any]) -> Any:
    if kind == "dict":
        return call
    if kind == "selection":
        return ToolSelection(**call)
    from openai.types.chat import ChatCompletionMessageToolCall

    # Some compatible servers leave the type out of a stream; it is a function nonetheless.
    return ChatCompletionMessageToolCall(**{"type": "function", **call})


def renew(document: dict[str, Any]) -> dict[str, Any]:
    """Give every tool call in a stored answer a new id, the same one wherever it stands."""
    places = [
        (block, "tool_call_id", block.get("tool_name"))
        for block in document.get("blocks", ())
        if block.get("block_type") == "tool_call"
    ]
    for spelled in (document.get("calls"), document.get("told_calls")):
        for call in (spelled or {}).get("calls", ()):
            function = call.get("function") or {}
            name = call.get("tool_name") or call.get("name") or function.get("name")
            places += [(call, key, name) for key in ("id", "tool_id") if key in call]
    renewed: dict[str, str] = {}
    for holder, key, name in places:
        old = holder.get(key)
        if isinstance(old, str) and old != name:
            holder[key] = renewed.setdefault(old, fresh_id(old))
    return document
