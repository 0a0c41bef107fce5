"""The OpenAI wire format: what bodies and stream events look like, and what they are charged.

Only shapes: no sockets, no threads, no decision about what is answered (`replies`). Every body
is as the service sends it where clients read it: ids are new with every call, usage carries its
details, the first event of a stream names the role, a forced function finishes with ``stop``.
Tokens are words, so that a count can be worked out by eye: an image is `IMAGE_TOKENS`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import struct
import time
import uuid
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from accel_core.testing.replies import content_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from accel_core.testing.replies import Reply, Request

IMAGE_TOKENS = 85
"""What one image of low detail is charged by the service."""
DIMENSIONS = 64
"""Length of an embedding where the request names none."""
FINGERPRINT = "fp_accel_test"
MODELS = ("gpt-4o-mini", "gpt-4o", "gpt-3.5-turbo-instruct", "text-embedding-3-small")

_WORD = re.compile(r"\s*\S+\s*")
_ERRORS: dict[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens charged."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Tokens of prompts and completions together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


def count_tokens(text: str) -> int:
    """Return the number of words in `text`."""
    return len(text.split())


def charge(request: Request, replies: Sequence[Reply]) -> Usage:
    """Return what answering `request` with `replies` costs."""
    return Usage(_prompt_tokens(request), sum(map(_completion_tokens, replies)))


def _prompt_tokens(request: Request) -> int:
    total = sum(map(count_tokens, prompts(request)))
    for message in request.get("messages") or []:
        content = message.get("content")
        parts = content if isinstance(content, list) else []
        images = sum(part.get("type") == "image_url" for part in parts)
        calls = message.get("tool_calls") or []
        total += count_tokens(content_text(content)) + IMAGE_TOKENS * images
        total += sum(count_tokens(call["function"]["arguments"]) + 1 for call in calls)
    return total + (count_tokens(json.dumps(request["tools"])) if request.get("tools") else 0)


def _completion_tokens(reply: Reply) -> int:
    calls = sum(1 + count_tokens(json.dumps(arguments)) for _, arguments in reply.tool_calls)
    return count_tokens(reply.refusal or reply.content) + calls


def prompts(request: Request) -> list[str]:
    """Return the prompts of a legacy completion."""
    prompt = request.get("prompt", [])
    return [prompt] if isinstance(prompt, str) else list(prompt)


def finished(reply: Reply, request: Request) -> Reply:
    """Return `reply` as the request's ``stop`` and token limit leave it, with its finish reason."""
    if reply.status != HTTPStatus.OK:
        return reply
    text, reason = reply.content, reply.finish_reason
    stops = request.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.partition(stop)[0]
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    words = _WORD.findall(text)
    if limit and len(words) > limit:
        text, reason = "".join(words[:limit]), reason or "length"
    if reason is None:
        # A function that the request forces by name ends in "stop", as with the real service.
        forced = isinstance(request.get("tool_choice"), dict)
        reason = "tool_calls" if reply.tool_calls and not forced else "stop"
    chunks = tuple(_cut(reply.chunks or _WORD.findall(text) or (text,), len(text)))
    return replace(reply, content=text, chunks=chunks, finish_reason=reason)


def _cut(chunks: Sequence[str], length: int) -> Iterator[str]:
    """Yield `chunks` up to `length` characters in all."""
    for chunk in chunks:
        if length > 0:
            yield chunk[:length]
        length -= len(chunk)


class ChatFormat:
    """Bodies of ``/chat/completions`` for one call.

    Args:
        request: the call.
        replies: its choices, already `finished`.
    """

    body_object, event_object, prefix = "chat.completion", "chat.completion.chunk", "chatcmpl"

    def __init__(self, request: Request, replies: Sequence[Reply]) -> None:
        self._request, self._replies = request, replies
        self._usage = charge(request, replies)
        self._head = {
            "id": new_id(self.prefix),
            "created": int(time.time()),
            "model": request["model"],
            "system_fingerprint": FINGERPRINT,
        }

    def body(self) -> dict[str, Any]:
        """Return the answer in one piece."""
        choices = [
            {"index": i, "logprobs": None, "finish_reason": r.finish_reason, **self._whole(r)}
            for i, r in enumerate(self._replies)
        ]
        usage = usage_body(self._usage)
        return {**self._head, "object": self.body_object, "choices": choices, "usage": usage}

    def events(self) -> list[dict[str, Any]]:
        """Return the answer in pieces, those of several choices in turns."""
        told = (self._request.get("stream_options") or {}).get("include_usage", False)
        extra = {"usage": None} if told else {}
        head = {**self._head, "object": self.event_object, **extra}
        pieces = [[*self._opening(), *self._parts(r), self._ending(r)] for r in self._replies]
        silent = {"logprobs": None, "finish_reason": None}
        events: list[dict[str, Any]] = [
            {**head, "choices": [{"index": i, **silent, **piece}]}
            for turn in zip_longest(*pieces)
            for i, piece in enumerate(turn)
            if piece is not None
        ]
        if told:
            events.append({**head, "choices": [], "usage": usage_body(self._usage)})
        return events

    def events_before_break(self, break_after: int) -> int:
        """Return how many events carry the first `break_after` chunks of content."""
        return break_after + len(self._opening()) * len(self._replies)

    def _whole(self, reply: Reply) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if _is_silent(reply) else reply.content,
            "refusal": reply.refusal,
            "annotations": [],
        }
        if reply.tool_calls:
            message["tool_calls"] = [_tool_call(name, args) for name, args in reply.tool_calls]
        return {"message": message}

    def _opening(self) -> list[dict[str, Any]]:
        return [{"delta": {"role": "assistant", "content": "", "refusal": None}}]

    def _parts(self, reply: Reply) -> Iterator[dict[str, Any]]:
        if reply.refusal is not None:
            yield {"delta": {"refusal": reply.refusal}}
        elif not _is_silent(reply):
            yield from ({"delta": {"content": chunk}} for chunk in reply.chunks or ())
        for index, (name, args) in enumerate(reply.tool_calls):
            call = _tool_call(name, args)
            text, call["function"]["arguments"] = call["function"]["arguments"], ""
            yield {"delta": {"tool_calls": [{"index": index, **call}]}}
            half = len(text) // 2
            for piece in filter(None, (text[:half], text[half:])):
                function = {"arguments": piece}
                yield {"delta": {"tool_calls": [{"index": index, "function": function}]}}

    def _ending(self, reply: Reply) -> dict[str, Any]:
        return {"delta": {}, "finish_reason": reply.finish_reason}


class TextFormat(ChatFormat):
    """Bodies of the legacy ``/completions`` for one call."""

    body_object, event_object, prefix = "text_completion", "text_completion", "cmpl"

    def _whole(self, reply: Reply) -> dict[str, Any]:
        return {"text": reply.content}

    def _opening(self) -> list[dict[str, Any]]:
        return []

    def _parts(self, reply: Reply) -> Iterator[dict[str, Any]]:
        return ({"text": chunk} for chunk in reply.chunks or ())

    def _ending(self, reply: Reply) -> dict[str, Any]:
        return {"text": "", "finish_reason": reply.finish_reason}


def _is_silent(reply: Reply) -> bool:
    return reply.refusal is not None or (bool(reply.tool_calls) and not reply.content)


def _tool_call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"id": new_id("call", "_"), "type": "function", "function": function}


def new_id(prefix: str, joint: str = "-") -> str:
    """Return an identifier that was never used before."""
    return f"{prefix}{joint}{uuid.uuid4().hex[:24]}"


def usage_body(usage: Usage) -> dict[str, Any]:
    """Return `usage` with the details that clients look for."""
    spoken = ("reasoning_tokens", "audio_tokens")
    predicted = ("accepted_prediction_tokens", "rejected_prediction_tokens")
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": dict.fromkeys((*spoken, *predicted), 0),
    }


def error_body(status: int, message: str) -> dict[str, Any]:
    """Return the body of an error."""
    kind, code = _ERRORS.get(status, ("server_error", None))
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def models_body() -> dict[str, Any]:
    """Return the list of models."""
    models = [{"id": m, "object": "model", "created": 0, "owned_by": "accel"} for m in MODELS]
    return {"object": "list", "data": models}


def embeddings_body(request: Request) -> dict[str, Any]:
    """Return one embedding per input; an input is a text or a list of token numbers."""
    given = request["input"]
    inputs = [given] if isinstance(given, str) or (given and isinstance(given[0], int)) else given
    texts = [t if isinstance(t, str) else " ".join(map(str, t)) for t in inputs]
    vectors = [embedding(text, request.get("dimensions") or DIMENSIONS) for text in texts]
    packed: list[Any] = list(vectors)
    if request.get("encoding_format") == "base64":
        packed = [base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode() for v in vectors]
    data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(packed)]
    tokens = sum(map(count_tokens, texts))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": request["model"], "usage": usage}


def embedding(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """Return a vector of unit length: equal for equal words, near where most words are shared."""
    total = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()) or [text]:
        for i, byte in enumerate(hashlib.shake_128(word.encode()).digest(dimensions)):
            total[i] += byte - 127.5
    norm = math.sqrt(sum(x * x for x in total))
    return [x / norm for x in total]
