"""LlamaIndex responses as stored answers, and stored answers as fresh responses.

Stored is JSON of an allow-list: `ChatResponse` with text, thinking and tool-call blocks, and
`CompletionResponse`. A replay is a new object with new tool-call ids and a usage of zero under the
same keys, so that nothing downstream takes it for the first answer, charges for it, or changes the
stored one. What was saved stands in ``additional_kwargs["accel"]``; of ``raw`` only what others
read is kept, as a dict: model, usage, finish reasons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LogProb,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from accel_core.payload import describe, read_payload, spell_payload
from accel_core.policy.admission import Answer
from accel_core.policy.limits.usage_reader import usage_of
from accel_core.used import spell_tokens
from llamaindex_accel._calls import read_calls, renew, spell_calls
from llamaindex_accel._usage import Told, free

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llama_index.core.base.llms.types import ContentBlock

    from accel_core.semantic_cache import Hit

_BLOCKS: dict[str, type[TextBlock | ThinkingBlock | ToolCallBlock]] = {
    "text": TextBlock,
    "thinking": ThinkingBlock,
    "tool_call": ToolCallBlock,
}

UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, ImportError)
"""What reading a payload raises that is not one of ours."""

_PASSING = frozenset({"accel", "thinking_delta"})
"""Entries of ``additional_kwargs`` that belong to one response or one chunk of it."""


def from_chat(response: ChatResponse, told: Told | None = None) -> Answer | None:
    """Return a response as an answer, or None where it is of a kind that is not stored.

    Args:
        response: the whole response, or the last of a stream.
        told: what a stream's chunks told of the call; None: the response itself tells.

    Raises:
        TypeError, ValueError: a value cannot be spelled as JSON.
    """
    message = response.message
    known = type(message) is ChatMessage and all(
        type(block) is _BLOCKS.get(block.block_type) for block in message.blocks
    )
    if type(response) is not ChatResponse or not known:
        return None
    kwargs, calls = spell_calls(message.additional_kwargs)
    document = {
        "role": str(getattr(message.role, "value", message.role)),
        "blocks": [vars(block) for block in message.blocks],
        "kwargs": free(_kept(kwargs)),
        "calls": calls,
    }
    asks = any(isinstance(block, ToolCallBlock) for block in message.blocks)
    text = "".join(block.text for block in message.blocks if isinstance(block, TextBlock))
    return _answer(document, response, text, told, asks=asks)


def from_completion(response: CompletionResponse, told: Told | None = None) -> Answer | None:
    """Return a completion as an answer; as `from_chat`."""
    if type(response) is not CompletionResponse:
        return None
    return _answer({"text": response.text}, response, response.text, told)


def _answer(
    document: dict[str, Any],
    response: ChatResponse | CompletionResponse,
    text: str,
    told: Told | None,
    *,
    asks: bool = False,
) -> Answer:
    """Add what both kinds of response have."""
    told = told or Told().note(response)
    kwargs, calls = spell_calls(response.additional_kwargs)
    document |= {
        "told": free(_kept(kwargs)),
        "told_calls": calls,
        "raw": told.raw(),
        "logprobs": response.logprobs,
        "saved_usage": told.usage,
        "used": spell_tokens(usage_of({"usage": told.usage})),
    }
    asks = asks or bool(document.get("calls") or calls or _calls_function(document))
    return Answer(
        payload=spell_payload(document),
        text=text,
        tool_calls=asks,
        finish_reasons=tuple(told.reasons),
        refused=told.refused,
    )


def _kept(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _plain(value) for key, value in kwargs.items() if key not in _PASSING}


def _plain(value: Any) -> Any:
    """Return `value` if reading it back gives the same.

    Raises:
        TypeError: it holds an object, which would come back as something else.
    """
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"{type(value).__name__} cannot be stored")


def _calls_function(document: Mapping[str, Any]) -> bool:
    """Whether the answer asks for a function in the way before tool calls."""
    kept = (document.get("kwargs") or {}, document["told"])
    return any(kwargs.get("function_call") for kwargs in kept)


def to_chat(hit: Hit) -> ChatResponse:
    """Return the hit's answer as a fresh response.

    Raises:
        UNREADABLE: the payload is not one of ours.
    """
    document = renew(read_payload(hit.entry.payload))
    message = ChatMessage(
        role=document["role"],
        blocks=[_block(block) for block in document["blocks"]],
        additional_kwargs={**document["kwargs"], **read_calls(document["calls"])},
    )
    return ChatResponse(message=message, **_shared(document, hit))


def to_completion(hit: Hit) -> CompletionResponse:
    """Return the hit's answer as a fresh response; as `to_chat`."""
    document = renew(read_payload(hit.entry.payload))
    return CompletionResponse(text=document["text"], **_shared(document, hit))


def _block(block: dict[str, Any]) -> ContentBlock:
    return _BLOCKS[block["block_type"]](**block)


def _shared(document: dict[str, Any], hit: Hit) -> dict[str, Any]:
    """Return the fields both kinds of response have."""
    logprobs = document["logprobs"]
    return {
        "raw": document["raw"],
        "logprobs": logprobs and [[LogProb(**one) for one in token] for token in logprobs],
        "additional_kwargs": {
            **document["told"],
            **read_calls(document["told_calls"]),
            "accel": {
                **describe(hit),
                "saved_usage": document["saved_usage"],
                "saved_tokens": document.get("used"),
            },
        },
    }
