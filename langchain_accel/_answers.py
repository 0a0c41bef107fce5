"""LangChain generations as stored answers, and stored answers as fresh generations.

Stored is JSON of an allow-list: `Generation`, and `ChatGeneration` of an `AIMessage`. A replay is a
new object with a new id, new tool-call ids and a usage of zero under the same keys, so that nothing
downstream takes it for the first answer, charges for it, or changes the stored one. What was saved
stands in ``response_metadata["accel"]``.
"""

from __future__ import annotations

import itertools
import json
import os
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation

from accel_core.mould import mould
from accel_core.payload import describe, fresh_id, read_payload, spell_payload, zeroed
from accel_core.policy.admission import Answer
from accel_core.policy.canonical import renamed
from accel_core.used import spell_tokens
from langchain_accel._limits import usage_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from accel_core.semantic_cache import Hit

G = TypeVar("G", bound=ChatGeneration)

_USAGE_KEYS = ("token_usage", "usage")
_REASON_KEYS = ("finish_reason", "stop_reason", "done_reason", "status")
_FIELDS = ("content", "tool_calls", "invalid_tool_calls", "name")

_numbers = itertools.count()
_run = uuid.uuid4().hex


def to_answer(
    generations: Sequence[Generation], llm_output: Mapping[str, Any] | None = None
) -> Answer | None:
    """Return `generations` as an answer, or None where one is of a kind that is not stored.

    Args:
        generations: all choices of one answer.
        llm_output: the provider's metadata of the call; part of a single choice's own.

    Raises:
        TypeError: a value cannot be spelled as JSON.
    """
    documents: list[dict[str, Any]] = []
    reasons: list[str] = []
    refused = False
    for generation in generations:
        shared = dict(llm_output or {}) if len(generations) == 1 else {}
        document = _document(generation, shared)
        if document is None:
            return None
        documents.append(document)
        metadata = document.get("message", {}).get("response_metadata", {})
        info = {**(document.get("info") or {}), **metadata}
        reasons += [info[key] for key in _REASON_KEYS if isinstance(info.get(key), str)]
        refused = refused or bool(document.get("message", {}).pop("refused", False))
    if not documents:
        return None
    return Answer(
        payload=spell_payload(documents),
        text="".join(generation.text for generation in generations),
        tool_calls=any(document.get("ids") is not None for document in documents),
        finish_reasons=tuple(reasons),
        refused=refused,
    )


def to_generations(hit: Hit) -> list[Generation]:
    """Return the hit's answer as fresh generations.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: the payload is not one of ours.
    """
    made = [_generation(document, hit) for document in read_payload(hit.entry.payload)]
    if not made:
        raise ValueError("an answer without a generation")
    return made


def marked(generation: G, origin: dict[str, object]) -> G:
    """Return a copy of `generation` whose message says its `origin` in its metadata.

    Of a stream its first chunk is given, and the message that its chunks add up to then says so.
    """
    message = generation.message
    metadata = {**message.response_metadata, "accel": origin}
    return generation.model_copy(
        update={"message": message.model_copy(update={"response_metadata": metadata})}
    )


def saved_tokens(generations: Sequence[Generation]) -> object:
    """Return what the payload of a replay says that its answer used."""
    message = getattr(generations[0], "message", None)
    return None if message is None else message.response_metadata["accel"]["saved_tokens"]


def _document(generation: Generation, shared: dict[str, Any]) -> dict[str, Any] | None:
    """Spell one generation; None where its kind is not stored."""
    if not isinstance(generation, ChatGeneration):
        return {"plain": True, "text": generation.text, "info": generation.generation_info}
    message = generation.message
    if not isinstance(message, AIMessage) or message.model_extra:
        return None
    metadata = {
        **shared,
        **(generation.generation_info or {}),
        **message.response_metadata,
    }
    metadata.pop("accel", None)
    saved = message.usage_metadata or next(
        (metadata[key] for key in _USAGE_KEYS if isinstance(metadata.get(key), dict)), None
    )
    for key in _USAGE_KEYS:
        if isinstance(metadata.get(key), dict):
            metadata[key] = zeroed(metadata[key])
    fields = {
        **vars(_BLANK),
        **{name: getattr(message, name) for name in _FIELDS},
        "additional_kwargs": _reparsable(message),
        "response_metadata": metadata,
        "usage_metadata": zeroed(message.usage_metadata),
        "refused": bool(message.additional_kwargs.get("refusal")),
    }
    calls = [*message.tool_calls, *message.invalid_tool_calls]
    asks = bool(calls or message.additional_kwargs.get("function_call"))
    return {
        # Mostly the content, which is stored already.
        "text": None if generation.text == message.content else generation.text,
        "info": generation.generation_info,
        "message": fields,
        "saved_usage": saved,
        "used": spell_tokens(usage_in([generation], shared)),
        **({"ids": [call["id"] for call in calls if call["id"]]} if asks else {}),
    }


def _reparsable(message: AIMessage) -> dict[str, Any]:
    """Return the extras with a parsed object as the data it was made from, where that is known."""
    extras = message.additional_kwargs
    if hasattr(extras.get("parsed"), "model_dump") and isinstance(message.content, str):
        try:
            return {**extras, "parsed": json.loads(message.content)}
        except ValueError:
            return extras
    return extras


_BLANK = AIMessage(content="")
_message = mould(_BLANK)
_chat = mould(ChatGeneration(message=AIMessage(content="")))
_text = mould(Generation(text=""))


def _generation(document: dict[str, Any], hit: Hit) -> Generation:
    info, text = document["info"], document["text"]
    made: Generation
    if "plain" in document:
        made = _text({"text": text, "generation_info": info, "type": "Generation"})
        return made
    ids = document.get("ids")
    if ids:
        document = renamed(document, {old: fresh_id(old) for old in ids})
    fields = document["message"]
    fields["response_metadata"]["accel"] = where = describe(hit)
    where["saved_usage"] = document["saved_usage"]
    where["saved_tokens"] = document.get("used")
    fields["id"] = f"accel-{_run}-{next(_numbers)}"
    content = fields["content"]
    text = content if text is None else text
    if not isinstance(text, str) or not (info is None or isinstance(info, dict)):
        raise TypeError("an answer without a text")
    message = _message(fields)
    made = _chat(
        {"text": text, "generation_info": info, "type": "ChatGeneration", "message": message}
    )
    return made


def _new_run() -> None:
    global _run  # noqa: PLW0603 - a child process must not mint its parent's ids
    _run = uuid.uuid4().hex


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_run)
