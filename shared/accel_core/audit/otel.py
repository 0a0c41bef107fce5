"""Spans and events of OpenTelemetry, by the conventions for generative AI.

Read are OTLP's JSON (``resourceSpans``, ``resourceLogs``, one export per line or in a file) and
what the console exporter of Python's SDK prints. Contents stand where an instrumentation puts them:

- attributes ``gen_ai.input.messages``, ``gen_ai.output.messages``, ``gen_ai.system_instructions``,
  of the span or of its event ``gen_ai.client.inference.operation.details`` (conventions from 1.37),
- events ``gen_ai.user.message``, ``gen_ai.choice`` …, of the span or as log records that name it,
  and ``gen_ai.content.prompt`` (up to 1.36),
- attributes ``gen_ai.prompt.0.content`` (OpenLLMetry).

Source: https://github.com/open-telemetry/semantic-conventions-genai, and version 1.36 of
https://github.com/open-telemetry/semantic-conventions. A span without contents cannot be replayed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.audit.fields import (
    Refused,
    between_s,
    number_of,
    parsed,
    refusal_of,
    stamp_s,
    tenant_in,
    tokens_of,
)
from accel_core.audit.logged import LoggedCall, Stated
from accel_core.audit.turns import answer_of, turn_of
from accel_core.policy.identity import Prompt, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from accel_core.policy.admission import Answer

_ASKING = frozenset({"chat", "text_completion", "generate_content", "completion"})
_PARAMS = re.compile(
    r"gen_ai\.request\.|gen_ai\.(?:provider\.name|system|output\.type|tool\.definitions)$"
)
_FLAT = re.compile(r"gen_ai\.(prompt|completion)\.(\d+)\.(role|content|finish_reason)$")
_DETAILS = "gen_ai.client.inference.operation.details"
_MESSAGES = re.compile(r"gen_ai\.(system|user|assistant|tool)\.message$")


class Span(NamedTuple):
    """A span, or an event that stands for one, whatever it was spelled in."""

    number: str
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    began: object
    ended: object
    error: str = ""


class _Said(NamedTuple):
    """What was asked and answered."""

    turns: tuple[Turn, ...]
    answer: tuple[Answer, str] | None


class OtelReader:
    """Reads spans, and keeps events that came as log records until their span comes."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[tuple[str, dict[str, Any]]]] = {}

    def calls_in(
        self, record: Mapping[str, Any], tenant_fields: Sequence[str]
    ) -> Iterator[LoggedCall]:
        """Yield the calls of a record.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: something in it is no span.
        """
        for name, number, body in _log_records(record):
            if name == _DETAILS:
                yield from _calls(Span(number, body, [], body.get("began"), None), tenant_fields)
            elif name == "gen_ai.choice" or _MESSAGES.match(name):
                self._waiting.setdefault(number, []).append((name, body))
        for span in _spans(record):
            more = self._waiting.pop(span.number, [])
            yield from _calls(span._replace(events=[*span.events, *more]), tenant_fields)


def is_telemetry(record: Mapping[str, Any]) -> bool:
    """Whether `record` holds spans or log records."""
    return "resourceSpans" in record or is_logs(record) or _is_printed(record)


def is_logs(record: Mapping[str, Any]) -> bool:
    """Whether `record` holds log records: events whose spans may be in another file."""
    return "resourceLogs" in record


def _calls(span: Span, tenant_fields: Sequence[str]) -> Iterator[LoggedCall]:
    attributes = span.attributes
    for name, more in span.events:
        if name == _DETAILS:
            attributes = {**more, **attributes}
    operation = attributes.get("gen_ai.operation.name", attributes.get("llm.request.type"))
    if operation not in _ASKING:
        return
    said = _from_attributes(attributes) or _from_events(span.events) or _from_flat(attributes)
    if said is None:
        raise ValueError("its span holds no messages: contents were not recorded")
    model = attributes.get("gen_ai.request.model") or attributes.get("gen_ai.response.model") or ""
    given = {name: value for name, value in attributes.items() if _PARAMS.match(name)}
    refused = refusal_of(span.error) if span.error else Refused()
    answer, text = (None, "") if refused.failure or said.answer is None else said.answer
    began_s = stamp_s(span.began)
    stated = Stated(
        began_s,
        between_s(began_s, stamp_s(span.ended)),
        _tokens(attributes),
        number_of(attributes, "gen_ai.request.temperature"),
        number_of(attributes, "gen_ai.request.max_tokens"),
        *refused,
    )
    tenant = tenant_in(tenant_fields, attributes)
    prompt = Prompt("audit.chat", given, said.turns, tenant, source=str(model))
    yield LoggedCall(prompt, answer, text, stated)


def _tokens(attributes: Mapping[str, Any]) -> Any:
    names = ("input_tokens", "output_tokens", "prompt_tokens", "completion_tokens")
    used = {name: attributes.get(f"gen_ai.usage.{name}") for name in names}
    found = tokens_of(used)
    cached = number_of(attributes, "gen_ai.usage.cache_read.input_tokens")
    return found if found is None or cached is None else found._replace(cached_input_tokens=cached)


def _from_attributes(attributes: Mapping[str, Any]) -> _Said | None:
    asked = parsed(attributes.get("gen_ai.input.messages"))
    if not isinstance(asked, list):
        return None
    turns = tuple(map(turn_of, asked))
    instructions = parsed(attributes.get("gen_ai.system_instructions"))
    if instructions:
        parts = instructions if isinstance(instructions, list) else [instructions]
        turns = (turn_of({"role": "system", "parts": parts}), *turns)
    said = parsed(attributes.get("gen_ai.output.messages")) or []
    reasons = attributes.get("gen_ai.response.finish_reasons") or [
        message.get("finish_reason") for message in said
    ]
    return _Said(turns, answer_of(said[0], _named(reasons)) if said else None)


def _from_events(events: Sequence[tuple[str, Mapping[str, Any]]]) -> _Said | None:
    turns: list[Turn] = []
    answer = None
    for name, body in events:
        message = _MESSAGES.match(name)
        if message is not None:
            role = str(body.get("role") or message[1])
            fields = {**body, "role": role, "tool_call_id": body.get("id")}
            fields["tool_calls"] = parsed(body.get("tool_calls"))
            turns.append(turn_of({**fields, "content": parsed(body.get("content"))}))
        elif name == "gen_ai.choice" and answer is None:
            told = parsed(body.get("message", body))
            told = {"content": told} if isinstance(told, str) else told
            answer = answer_of(told, [body.get("finish_reason")])
        elif name == "gen_ai.content.prompt":
            turns += map(turn_of, _listed(parsed(body.get("gen_ai.prompt"))))
        elif name == "gen_ai.content.completion":
            said = _listed(parsed(body.get("gen_ai.completion")))
            answer = answer_of(said[0]) if said else None
    return _Said(tuple(turns), answer) if turns else None


def _from_flat(attributes: Mapping[str, Any]) -> _Said | None:
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for name, value in attributes.items():
        flat = _FLAT.match(name)
        if flat is not None:
            found.setdefault((flat[1], int(flat[2])), {})[flat[3]] = parsed(value)
    asked = [found[place] for place in sorted(found) if place[0] == "prompt"]
    if not asked:
        return None
    said = found.get(("completion", 0))
    answer = None if said is None else answer_of(said, [said.get("finish_reason")])
    return _Said(tuple(map(turn_of, asked)), answer)


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    return value if isinstance(value, list) else []


def _named(reasons: Any) -> list[Any]:
    found = parsed(reasons)
    return found if isinstance(found, list) else [found]


def _is_printed(record: Mapping[str, Any]) -> bool:
    """Whether `record` is a span as the console exporter of Python's SDK prints it."""
    return isinstance(record.get("context"), Mapping) and "attributes" in record


def _spans(record: Mapping[str, Any]) -> Iterator[Span]:
    if _is_printed(record):
        status = record.get("status") or {}
        attributes = dict(record["attributes"] or {})
        yield Span(
            str(record["context"].get("span_id", "")).removeprefix("0x"),
            attributes,
            [
                (event["name"], event.get("attributes") or {})
                for event in record.get("events") or ()
            ],
            record.get("start_time"),
            record.get("end_time"),
            _error(status.get("status_code") == "ERROR", status.get("description"), attributes),
        )
    for resource in record.get("resourceSpans") or ():
        for scope in (
            resource.get("scopeSpans") or resource.get("instrumentationLibrarySpans") or ()
        ):
            yield from map(_otlp_span, scope.get("spans") or ())


def _otlp_span(span: Mapping[str, Any]) -> Span:
    status, attributes = span.get("status") or {}, _attributes(span.get("attributes"))
    return Span(
        str(span.get("spanId", "")),
        attributes,
        [
            (event["name"], _attributes(event.get("attributes")))
            for event in span.get("events") or ()
        ],
        span.get("startTimeUnixNano"),
        span.get("endTimeUnixNano"),
        _error(status.get("code") in (2, "STATUS_CODE_ERROR"), status.get("message"), attributes),
    )


def _error(failed: bool, said: object, attributes: Mapping[str, Any]) -> str:  # noqa: FBT001
    """Return what went wrong: the status's text, and the class of the error."""
    if not failed and "error.type" not in attributes:
        return ""
    return f"{attributes.get('error.type', '')} {said or 'failed'}".strip()


def _log_records(record: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each event: its name, its span's id, and its body and attributes in one."""
    for resource in record.get("resourceLogs") or ():
        for scope in resource.get("scopeLogs") or ():
            for log in scope.get("logRecords") or ():
                attributes, body = _attributes(log.get("attributes")), _value(log.get("body") or {})
                name = log.get("eventName") or attributes.get("event.name") or ""
                fields = {**attributes, **(body if isinstance(body, dict) else {})}
                fields.setdefault("began", log.get("timeUnixNano"))
                yield str(name), str(log.get("spanId", "")), fields


def _attributes(listed: Any) -> dict[str, Any]:
    return {one["key"]: _value(one.get("value") or {}) for one in listed or ()}


def _value(spelled: Mapping[str, Any]) -> Any:
    """Return OTLP's ``AnyValue``; integers are spelled as texts."""
    if "arrayValue" in spelled:
        return [_value(value) for value in spelled["arrayValue"].get("values") or ()]
    if "kvlistValue" in spelled:
        return _attributes(spelled["kvlistValue"].get("values"))
    if "intValue" in spelled:
        return int(spelled["intValue"])
    return next(iter(spelled.values()), None)
