"""Messages of logs as the core's turns, and as answers.

Read are the forms that LangChain, LlamaIndex and OpenAI write (`prediction.messages`), and the
parts of OpenTelemetry's conventions for generative AI
(https://github.com/open-telemetry/semantic-conventions-genai, ``gen-ai-input-messages.json``).

Invariant: two messages that a model would see differently make different turns; what changes from
run to run (ids, usage) makes none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.policy.admission import Answer
from accel_core.policy.canonical import mark_id
from accel_core.policy.identity import Turn
from accel_core.prediction.messages import opened

if TYPE_CHECKING:
    from collections.abc import Sequence

_CALL_BLOCKS = frozenset({"tool_call", "tool_use", "function_call"})
_UNSEEN = frozenset({"id", "index", "annotations"})


class Content(NamedTuple):
    """What a message holds: its texts, all else in order, and the calls it asks for."""

    texts: tuple[str, ...]
    others: list[Any]
    calls: list[dict[str, Any]]


def turn_of(message: Mapping[str, Any]) -> Turn:
    """Return the turn that a message of any form is.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it is no message.
    """
    role, fields = opened(message)
    texts, others, calls = content_of(fields)
    rest: dict[str, Any] = {}
    if others:
        rest["others"] = others
    if calls:
        rest["tool_calls"] = calls
    more = fields.get("additional_kwargs") or {}
    answers = fields.get("tool_call_id") or more.get("tool_call_id")
    if answers:
        rest["tool_call_id"] = mark_id(answers)
    if fields.get("name") and role != "assistant":
        rest["name"] = fields["name"]
    return Turn(role, texts, rest or None, tuple(call["id"] for call in calls))


def content_of(fields: Mapping[str, Any]) -> Content:
    """Return what the fields of a message hold.

    Raises:
        TypeError: its content is neither text nor a list.
    """
    held = fields.get("blocks") or fields.get("parts") or fields.get("content")
    more = fields.get("additional_kwargs") or {}
    asked = fields.get("tool_calls") or more.get("tool_calls") or []
    if held is None or isinstance(held, str):
        held = [held] if held else []
    if not isinstance(held, list):
        raise TypeError("a message's content is neither text nor a list")
    texts: list[str] = []
    others: list[Any] = []
    calls = {call["id"]: call for call in map(_call, asked)}
    for block in held:
        text = _text(block)
        if text is not None:
            texts.append(text)
        elif _kind(block) in _CALL_BLOCKS:
            call = _call(block)
            calls.setdefault(call["id"], call)
        else:
            others.append({name: value for name, value in block.items() if name not in _UNSEEN})
    return Content(tuple(texts), others, list(calls.values()))


def answer_of(
    fields: Mapping[str, Any], finish_reasons: Sequence[Any] = ()
) -> tuple[Answer, str] | None:
    """Return the answer that an assistant's message is, and its text; None where it is empty.

    Args:
        fields: of the message, without what is wrapped around them.
        finish_reasons: as the provider named them.

    Raises:
        TypeError: its content is neither text nor a list.
    """
    content = content_of(fields)
    text = "\n".join(content.texts)
    more = fields.get("additional_kwargs") or {}
    refused = bool(fields.get("refusal") or more.get("refusal"))
    if not (text or content.others or content.calls or refused):
        return None
    reasons = tuple(reason for reason in finish_reasons if isinstance(reason, str))
    asks = bool(content.calls or more.get("function_call") or fields.get("function_call"))
    return Answer(payload_of(text), text, asks, reasons, refused), text


def plain_answer(text: str, finish_reasons: Sequence[Any] = ()) -> tuple[Answer, str] | None:
    """Return an answer that is a text alone."""
    return answer_of({"content": text}, finish_reasons)


def payload_of(text: str) -> bytes:
    """Return what a replay stores of an answer."""
    return json.dumps(text).encode()


def _kind(block: Mapping[str, Any]) -> str:
    return str(block.get("block_type") or block.get("type"))


def _text(block: Any) -> str | None:
    if isinstance(block, str):
        return block
    if _kind(block) not in ("text", "input_text", "output_text"):
        return None
    text = block.get("text", block.get("content"))
    return text if isinstance(text, str) else None


def _call(spelled: Mapping[str, Any]) -> dict[str, Any]:
    function = spelled.get("function")
    about = function if isinstance(function, Mapping) else spelled
    given = next(
        (about[key] for key in ("args", "arguments", "tool_kwargs", "input") if key in about), None
    )
    if isinstance(given, str):
        with suppress(ValueError):  # a model's slip is data, too
            given = json.loads(given)
    number = spelled.get("id") or spelled.get("tool_call_id") or spelled.get("tool_id")
    return {
        "id": mark_id(number),
        "name": about.get("name") or about.get("tool_name"),
        "args": given,
    }
