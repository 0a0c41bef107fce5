"""What a model server answers: the `Reply`, and the answer given where none was chosen.

A reply is plain data; nothing here knows about HTTP. `echo`, the default answer, depends on the
request and on nothing else, so that the same request is answered the same everywhere and the
text shows which question it belongs to. It keeps the request's word: a JSON schema or a forced
function gets the smallest value its schema allows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Request = dict[str, Any]
"""The parsed JSON body of one call."""

_FORMATS = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "uri": "https://example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_DEEPEST_SCHEMA = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of the model, or one failure of the service.

    Attributes:
        content: the text; with a `status` other than 200, the error's message.
        tool_calls: (name, arguments) of each function the model wants called.
        finish_reason: None means what a real service would say.
        refusal: the text of a refusal, in place of `content`.
        status: HTTP status; anything but 200 sends an error body.
        retry_after_s: sent with an error as ``retry-after`` and ``retry-after-ms``.
        delay_s: time to wait before answering, on top of the server's latency.
        chunks: how a stream cuts `content`, which may then be left out; None cuts after words.
        break_after: cut the connection after so many chunks of the stream; where nothing is
            streamed, after the headers.
        error_after: send `error` as an event after so many chunks of the stream, and end it there;
            0: as its first event. Where nothing is streamed, the answer is whole.
        headers: sent with the answer.
        error: the body of an error, in place of what `content` would make.
        chunk_s: time between two chunks of a stream; where nothing is streamed, it counts before
            the answer.
        ended: called once when all is sent or the client has hung up.
    """

    content: str = ""
    tool_calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    finish_reason: str | None = None
    refusal: str | None = None
    status: int = 200
    retry_after_s: float | None = None
    delay_s: float = 0.0
    chunks: tuple[str, ...] | None = None
    break_after: int | None = None
    error_after: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    chunk_s: float = 0.0
    ended: Callable[[], object] | None = None

    def __post_init__(self) -> None:
        if self.chunks is None:
            return
        joined = "".join(self.chunks)
        if self.content not in {"", joined}:
            msg = f"chunks make {joined!r}, which is not the content {self.content!r}"
            raise ValueError(msg)
        object.__setattr__(self, "content", joined)


Answer = Callable[[Request], str | Reply]
"""Decides what a call is answered; called from several threads at once."""


def echo(request: Request) -> Reply:
    """Answer ``Answer to: <the question>`` in the form that `request` demands."""
    text = f"Answer to: {last_user_text(request)}"
    function = _forced_function(request)
    if function is not None:
        arguments = minimal_instance(function.get("parameters") or {"type": "object"}, text)
        return Reply(tool_calls=((function["name"], arguments),))
    form = request.get("response_format") or {}
    if form.get("type") == "json_schema":
        text = json.dumps(minimal_instance(form["json_schema"]["schema"], text))
    elif form.get("type") == "json_object":
        text = json.dumps({"answer": text})
    return Reply(content=text)


def last_user_text(request: Request) -> str:
    """Return the text of the last user message, or the prompt of a legacy completion."""
    for message in reversed(request.get("messages") or []):
        if message.get("role") == "user":
            return content_text(message.get("content"))
    return str(request.get("prompt", ""))


def content_text(content: str | list[dict[str, Any]] | None) -> str:
    """Return the text of a message's content, which may be a string, parts or nothing."""
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if part.get("type") == "text")
    return content or ""


def _forced_function(request: Request) -> dict[str, Any] | None:
    """Return the function that `request` obliges the model to call, if it does."""
    functions: list[dict[str, Any]] = [
        tool["function"] for tool in request.get("tools") or [] if tool["type"] == "function"
    ]
    choice = request.get("tool_choice")
    if choice == "required":
        return functions[0]
    if not isinstance(choice, dict):
        return None
    name = choice["function"]["name"]
    return next(function for function in functions if function["name"] == name)


def minimal_instance(schema: dict[str, Any], text: str = "text") -> Any:
    """Return the smallest value that a JSON schema accepts.

    Optional properties are left out, nullable ones are null, free strings are `text`.
    ``pattern`` and ``not`` are not read.

    >>> days = {"type": "integer", "minimum": 1}
    >>> minimal_instance({"properties": {"days": days, "note": {}}, "required": ["days"]})
    {'days': 1}

    Raises:
        ValueError: the schema allows no finite value.
    """
    return _Instances(schema, text).of(schema, depth=0)


class _Instances:
    """Smallest values for the parts of one schema, whose references start at its root."""

    def __init__(self, root: dict[str, Any], text: str) -> None:
        self._root, self._text = root, text

    def of(self, schema: dict[str, Any], depth: int) -> Any:
        if depth > _DEEPEST_SCHEMA:
            msg = "the schema refers to itself without an end"
            raise ValueError(msg)
        schema = self._merged(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        variants = schema.get("anyOf") or schema.get("oneOf")
        if variants:
            nothing = [v for v in variants if v.get("type") == "null"]
            return self.of((nothing or variants)[0], depth + 1)
        return self._of_type(schema, depth)

    def _of_type(self, schema: dict[str, Any], depth: int) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = "null" if "null" in kind else kind[0]
        if kind == "object":
            properties = schema.get("properties", {})
            required = schema.get("required", [])
            return {name: self.of(properties.get(name, {}), depth + 1) for name in required}
        if kind == "array":
            item = schema.get("items", {})
            return [self.of(item, depth + 1) for _ in range(schema.get("minItems", 0))]
        if kind == "integer":
            return _integer(schema)
        if kind == "number":
            return _number(schema)
        return {"null": None, "boolean": False}.get(kind, _string(schema, self._text))

    def _merged(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return `schema` with its references and ``allOf`` parts written out."""
        if "$ref" in schema:
            target: Any = self._root
            for step in schema["$ref"].removeprefix("#").strip("/").split("/"):
                target = target[step] if step else target
            return self._merged(target)
        merged = dict(schema)
        for part in map(self._merged, merged.pop("allOf", [])):
            properties = {**merged.get("properties", {}), **part.get("properties", {})}
            required = [*merged.get("required", []), *part.get("required", [])]
            merged = {**merged, **part}
            if properties:
                merged |= {"properties": properties, "required": required}
        return merged


def _integer(schema: dict[str, Any]) -> int:
    step = int(schema.get("multipleOf", 1))
    low: float = schema.get("minimum", schema.get("exclusiveMinimum", -math.inf) + 1)
    high: float = schema.get("maximum", schema.get("exclusiveMaximum", math.inf) - 1)
    if low > 0:
        return math.ceil(low / step) * step
    return math.floor(high / step) * step if high < 0 else 0


def _number(schema: dict[str, Any]) -> float:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is not None and high is not None:
        return float(low + high) / 2
    if low is not None:
        return float(low) + 1
    return float(high) - 1 if high is not None else 0.0


def _string(schema: dict[str, Any], text: str) -> str:
    known = _FORMATS.get(schema.get("format", ""))
    return known or text[: schema.get("maxLength")].ljust(schema.get("minLength", 0), ".")
