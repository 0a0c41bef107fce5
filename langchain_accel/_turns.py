"""LangChain messages as the core's turns.

A message is read from its fields, which are the same in a live object (``vars(message)``) and in
the JSON that LangChain hands to a cache. Left out is what the model does not see or what changes
from run to run: ids, usage, response metadata, artifacts, parsed objects.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from accel_core.policy.canonical import Unidentifiable, mark_id
from accel_core.policy.identity import Turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from langchain_core.messages import BaseMessage

_ROLES = {
    "human": "user",
    "HumanMessageChunk": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "system": "system",
    "SystemMessageChunk": "system",
    "tool": "tool",
    "ToolMessageChunk": "tool",
    "function": "function",
}

_UNSPELLED = '"type": "not_implemented"'
"""Stands for an object in a dump, with how it prints, which others may share."""

_OWN_IDS = frozenset({"text", "reasoning", "thinking", "refusal"})
"""Blocks whose ``id`` only numbers the provider's output."""

_CALL_IDS = frozenset({"id", "call_id", "tool_call_id", "tool_use_id"})
"""Where blocks name a tool call."""

_UNSEEN_KWARGS = frozenset({"parsed", "refusal"})


def from_messages(messages: Iterable[BaseMessage]) -> tuple[Turn, ...]:
    """Return the turns of live messages."""
    return tuple(_turn(vars(message)) for message in messages)


def from_dump(prompt: str) -> tuple[Turn, ...] | None:
    """Return the turns of a dumped message list, or None where `prompt` is not one.

    Raises:
        Unidentifiable: it holds an object without a stable spelling.
    """
    if not is_dump(prompt):
        return None
    try:
        dumped = json.loads(prompt)
        turns = tuple(_turn(message["kwargs"]) for message in dumped if _is_message(message))
    except (ValueError, KeyError, TypeError):
        return None
    if _UNSPELLED in prompt and any(_holds_unspelled(turn.rest) for turn in turns):
        raise Unidentifiable("a message holds an object that LangChain cannot spell")
    return turns


def is_dump(prompt: str) -> bool:
    """Whether `prompt` looks like a dumped message list."""
    return prompt.startswith('[{"lc"')


def _is_message(dumped: Any) -> bool:
    if dumped["lc"] != 1 or dumped["type"] != "constructor":
        raise ValueError("not a message")
    return True


def _holds_unspelled(value: Any) -> bool:
    """Whether an object that was only printed stands where the model would see it."""
    if isinstance(value, dict):
        printed = value.get("type") == "not_implemented" and "lc" in value
        return printed or any(_holds_unspelled(item) for item in value.values())
    return isinstance(value, (list, tuple)) and any(_holds_unspelled(item) for item in value)


def _turn(fields: Mapping[str, Any]) -> Turn:
    """Read one message."""
    kind = fields["type"]
    texts, layout = _content(fields.get("content", ""))
    rest: dict[str, Any] = {}
    if layout is not None:
        rest["layout"] = layout
    for name in ("name", "status"):
        if fields.get(name) not in {None, "", "success"}:
            rest[name] = fields[name]
    if fields.get("tool_call_id"):
        rest["tool_call_id"] = mark_id(fields["tool_call_id"])
    calls = [_call(call) for call in fields.get("tool_calls") or ()]
    invalid = [_call(call) for call in fields.get("invalid_tool_calls") or ()]
    if calls or invalid:
        rest["tool_calls"] = calls + invalid
    kwargs = _seen_kwargs(fields.get("additional_kwargs") or {}, bool(calls))
    if kwargs:
        rest["additional_kwargs"] = kwargs
    ids = tuple(call["id"] for call in calls + invalid)
    role = _ROLES.get(kind) or f"{kind}:{fields.get('role', '')}"
    return Turn(role, texts, rest or None, ids)


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": mark_id(call.get("id")), "name": call.get("name"), "args": call.get("args")}


def _seen_kwargs(kwargs: Mapping[str, Any], has_calls: bool) -> dict[str, Any]:  # noqa: FBT001
    """Keep what providers send back to the model; ``tool_calls`` only repeats the field."""
    return {
        key: value
        for key, value in kwargs.items()
        if value is not None
        and key not in _UNSEEN_KWARGS
        and not (key == "tool_calls" and has_calls)
    }


def _content(content: Any) -> tuple[tuple[str, ...], list[Any] | None]:
    """Return the text parts, and the layout of a list's parts with everything that is not text."""
    if isinstance(content, str):
        return (content,), None
    texts: list[str] = []
    layout: list[Any] = []
    for block in content:
        if isinstance(block, str):
            texts.append(block)
            layout.append("text")
        elif block.get("type") == "text" and isinstance(block.get("text"), str):
            texts.append(block["text"])
            layout.append(_plain({**block, "text": ""}))
        else:
            layout.append(_plain(block))
    return tuple(texts), layout


def _plain(block: Mapping[str, Any]) -> dict[str, Any]:
    """Return a block without the numbering that changes from run to run."""
    block_id = block.get("id")
    passing = block.get("type") in _OWN_IDS or str(block_id).startswith("lc_")
    unseen = {"index", "id"} if passing else {"index"}
    return {
        key: mark_id(value) if key in _CALL_IDS else value
        for key, value in block.items()
        if key not in unseen
    }
