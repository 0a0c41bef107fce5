"""LlamaIndex messages as the core's turns.

Left out is what the model does not see or what changes from run to run: usage, provenance, the
index of a streamed tool call. Pictures, sound and documents count by their content, wherever it
lies. What cannot be read is spelled as an object that has no spelling, so that the core refuses to
name the request and says so.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from io import IOBase
from pathlib import Path
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.bridge.pydantic import BaseModel

from accel_core.policy.canonical import mark_id
from accel_core.policy.identity import Turn
from llamaindex_accel._templates import rendering_of
from llamaindex_accel._usage import is_usage

_NO_SPELLING = object()

_EXACTLY = "user, exactly"
"""Role of a user's message of which nothing may be compared by meaning."""

_UNSEEN = {ThinkingBlock: frozenset({"num_tokens"})}

_CONTENT = frozenset({"image", "audio", "video", "data"})
"""Fields that hold bytes, which LlamaIndex keeps as base64, or a stream of them."""


_OBSERVATION = "Observation: "
"""How ReAct agents begin a tool's result, which they give as a user's message."""


def from_messages(messages: Any) -> tuple[Turn, ...]:
    """Return the turns of a conversation."""
    if isinstance(messages, str) or not isinstance(messages, Sequence):
        return (Turn("unknown", (), _NO_SPELLING),)
    turns = [_turn(message) for message in messages]
    rendered = rendering_of(messages)
    if rendered is not None and turns:
        turns[-1] = _asked(turns[-1], rendered.question)
    return tuple(turns)


def from_prompt(prompt: Any) -> tuple[Turn, ...]:
    """Return the only turn of a completion."""
    if not isinstance(prompt, str):
        return (Turn("unknown", (), _NO_SPELLING),)
    turn = Turn("user", (prompt,))
    rendered = rendering_of(prompt)
    return (turn if rendered is None else _asked(turn, rendered.question),)


def _asked(turn: Turn, question: str | None) -> Turn:
    """Leave only `question` to be compared by meaning: what stands around it must be equal."""
    if turn.role != "user":
        return turn
    for number, text in enumerate(turn.texts):
        before, found, after = text.rpartition(question) if question else ("", "", text)
        if not found:
            continue
        if (before, after) == ("", "") and len(turn.texts) == 1:
            return turn
        around = [*turn.texts[:number], before, [], after, *turn.texts[number + 1 :]]
        return turn._replace(texts=(found,), rest={"around": around, "rest": turn.rest})
    return turn._replace(role=_EXACTLY)


def _turn(message: Any) -> Turn:
    if not isinstance(message, ChatMessage):
        return Turn("unknown", (), _NO_SPELLING)
    asks = any(isinstance(block, ToolCallBlock) for block in message.blocks)
    texts: list[str] = []
    layout: list[Any] = []
    ids: list[str] = []
    for block in message.blocks:
        if type(block) is not TextBlock:
            layout.append(_block(block, ids))
        elif block.text or not asks:  # streams put an empty text beside tool calls, others do not
            texts.append(block.text)
            layout.append("text")
    rest: dict[str, Any] = {}
    if layout not in ([], ["text"]):
        rest["layout"] = layout
    kwargs = _kwargs(message.additional_kwargs, ids, repeated=asks)
    if kwargs:
        rest["additional_kwargs"] = kwargs
    role = str(getattr(message.role, "value", message.role))
    if role == "user" and texts and texts[0].startswith(_OBSERVATION):
        role = _EXACTLY
    return Turn(role, tuple(texts), rest or None, tuple(ids))


def _kwargs(kwargs: Mapping[str, Any], ids: list[str], *, repeated: bool) -> dict[str, Any]:
    """Keep what providers send back to the model; ``tool_calls`` may only repeat the blocks."""
    seen: dict[str, Any] = {}
    for key, value in kwargs.items():
        if value is None or key == "accel" or is_usage(key):
            continue
        if key == "tool_calls" and isinstance(value, (list, tuple)):
            if not repeated:
                seen[key] = [_call(call, ids) for call in value]
        else:
            seen[key] = _id(value, ids) if key == "tool_call_id" else value
    return seen


def _id(call_id: Any, ids: list[str]) -> Any:
    """Note an id that providers mint anew for the same call, and return how it is spelled.

    Marked, so that taking ids for their order never touches a name or an argument that reads alike.
    """
    if not isinstance(call_id, str) or not call_id:
        return call_id
    ids.append(mark_id(call_id))
    return ids[-1]


def _call(call: Any, ids: list[str]) -> Any:
    """Spell a provider's tool call; whole and streamed ones are spelled alike."""
    dumped = call.model_dump(mode="json") if isinstance(call, BaseModel) else call
    if not isinstance(dumped, Mapping):
        return call
    spelled = {
        key: value
        for key, value in dumped.items()
        if value is not None and key != "index" and (key, value) != ("type", "function")
    }
    for key in spelled.keys() & {"id", "tool_id"}:
        spelled[key] = _id(spelled[key], ids)
    return spelled


def _block(block: Any, ids: list[str]) -> Any:
    """Spell everything a block says."""
    if isinstance(block, ToolCallBlock):
        call_id = _id(block.tool_call_id, ids)
        return {"call": call_id, "name": block.tool_name, "args": block.tool_kwargs}
    unseen = _UNSEEN.get(type(block), frozenset())
    return {
        name: _field(name, value, ids)
        for name, value in vars(block).items()
        if value is not None and name not in unseen
    }


def _field(name: str, value: Any, ids: list[str]) -> Any:
    """Spell a field of a block: content by its bytes, blocks inside as blocks."""
    if isinstance(value, BaseModel):
        return _block(value, ids)
    if isinstance(value, list):
        return [_field(name, item, ids) for item in value]
    if name in _CONTENT:
        return _content(value)
    if name == "path":
        return file_content(value)
    return str(value) if name == "url" else value


def _content(value: Any) -> Any:
    """Return the bytes that `value` stands for."""
    if isinstance(value, IOBase):
        try:
            place = value.tell()
            value.seek(0)
            read = value.read()
            value.seek(place)
        except (OSError, ValueError):
            return _NO_SPELLING
        return read
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError, TypeError):
        return value


def file_content(path: Any) -> Any:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError):
        return _NO_SPELLING
