"""What a logged response says: its answer, and what it used.

Read are LangChain's ``LLMResult`` and messages, OpenAI's chat and text completions and responses,
Anthropic's messages, and a text alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.audit.fields import tokens_of
from accel_core.audit.turns import answer_of, plain_answer
from accel_core.prediction.messages import opened

if TYPE_CHECKING:
    from accel_core.events.requests import Tokens
    from accel_core.policy.admission import Answer

_MESSAGE = frozenset({"content", "blocks", "parts", "kwargs", "role", "tool_calls"})
_HELD = ("message", "response", "output", "completion", "answer", "text")


class Response(NamedTuple):
    """A response: its answer and its text, None where it has none, and what it used."""

    answer: tuple[Answer, str] | None
    tokens: Tokens | None


NOTHING = Response(None, None)


def read_response(said: Any) -> Response:
    """Return what `said` says, in whichever form.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it is no response.
    """
    if isinstance(said, str):
        return Response(plain_answer(said), None)
    if not isinstance(said, Mapping):
        return NOTHING
    if said.get("generations"):
        return _result(said)
    if isinstance(said.get("choices"), list) and said["choices"]:
        return _completion(said)
    if isinstance(said.get("output"), list):
        return _items(said)
    if not _MESSAGE.isdisjoint(said):
        return _message(said)
    if isinstance(said.get("data"), Mapping):
        return _message(said)
    held = next((said[name] for name in _HELD if said.get(name)), None)
    found = NOTHING if held is None else read_response(held)
    return found._replace(tokens=found.tokens or tokens_of(said.get("usage")))


def _result(said: Mapping[str, Any]) -> Response:
    """Read LangChain's ``LLMResult``: its first generation."""
    first = said["generations"][0]
    generation = first[0] if isinstance(first, list) else first
    info = generation.get("generation_info") or {}
    output = said.get("llm_output") or {}
    stated = (output.get("token_usage"), output.get("usage"))
    message = generation.get("message")
    if message is None:
        made = plain_answer(generation["text"], [info.get("finish_reason")])
        return Response(made, tokens_of(*stated))
    found = _message(message, info)
    return found._replace(tokens=found.tokens or tokens_of(*stated))


def _completion(said: Mapping[str, Any]) -> Response:
    choice = said["choices"][0]
    reasons = [one.get("finish_reason") for one in said["choices"]]
    message = choice.get("message")
    made = (
        plain_answer(choice.get("text") or "", reasons)
        if message is None
        else answer_of(message, reasons)
    )
    return Response(made, tokens_of(said.get("usage")))


def _items(said: Mapping[str, Any]) -> Response:
    """Read the items of OpenAI's Responses API."""
    blocks: list[Any] = []
    for item in said["output"]:
        if isinstance(item, Mapping):
            blocks += item["content"] if item.get("type") == "message" else [item]
    calls = [block for block in blocks if block.get("type") == "function_call"]
    others = [b for b in blocks if b.get("type") not in ("function_call", "reasoning")]
    fields = {"content": others, "tool_calls": calls}
    return Response(answer_of(fields, [said.get("status")]), tokens_of(said.get("usage")))


def _message(said: Mapping[str, Any], info: Mapping[str, Any] | None = None) -> Response:
    """Read an assistant's message of any framework, or Anthropic's whole response."""
    named = "role" in said or "type" in said
    fields = opened(said)[1] if named else said
    metadata = fields.get("response_metadata") or {}
    known = {**(info or {}), **metadata, **fields}
    reasons = [known.get(name) for name in ("finish_reason", "stop_reason", "done_reason")]
    tokens = tokens_of(
        fields.get("usage_metadata"),
        metadata.get("token_usage"),
        metadata.get("usage"),
        fields.get("usage"),
    )
    return Response(answer_of(fields, reasons), tokens)
