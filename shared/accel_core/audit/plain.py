"""Plain logs: requests and responses as OpenAI's API has them, and questions with answers.

::

    {"request": {"model", "messages", …}, "response": {"choices", "usage"}, "started_at", "took_s"}
    {"model", "messages", "choices", "usage", "created", "latency_ms", "status", "headers"}
    {"question", "answer", "at", "took_s", "model", "input_tokens", "output_tokens", "tenant"}

A request and a response may be wrapped in ``body`` (as in OpenAI's batch files), beside ``status``
or ``status_code`` and ``headers``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from accel_core.audit.fields import (
    Refused,
    between_s,
    max_output_of,
    number_of,
    params_of,
    parsed,
    refusal_of,
    span_s,
    stamp_s,
    tenant_in,
    tokens_of,
)
from accel_core.audit.logged import LoggedCall, Stated
from accel_core.audit.responses import NOTHING, Response, read_response
from accel_core.audit.turns import turn_of
from accel_core.policy.identity import Prompt, Turn
from accel_core.policy.limits.limit_headers import read_headers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BEGAN = ("started_at", "start_time", "requested_at", "timestamp", "at", "time", "created")
_ENDED = ("ended_at", "end_time", "responded_at", "completed_at")
_TOOK = (("took_s", 1.0), ("duration_s", 1.0), ("latency_s", 1.0), ("duration_ms", 1e-3),
         ("latency_ms", 1e-3))  # fmt: skip
_QUESTIONS, _ANSWERS = (
    ("question", "prompt", "query", "input"),
    ("answer", "response", "output", "completion"),
)
_REQUEST = ("request", "input")
_PARAMS = frozenset(
    "model temperature top_p n stop seed tools tool_choice functions function_call response_format"
    " max_tokens max_completion_tokens max_output_tokens frequency_penalty presence_penalty"
    " logit_bias logprobs top_logprobs reasoning reasoning_effort parallel_tool_calls modalities"
    " text instructions system namespace".split()
)
"""Of a record that is request, response and notes in one: what was asked of the model."""


def is_pair(record: Mapping[str, Any]) -> bool:
    """Whether `record` is a request with its response."""
    request = _request_in(record)
    if request is not None:
        return True
    asked = record.get("messages")
    return isinstance(asked, list) and any(
        name in record for name in ("choices", *_ANSWERS, "error")
    )


def is_question(record: Mapping[str, Any]) -> bool:
    """Whether `record` is a question, with or without its answer."""
    return any(isinstance(record.get(name), str) for name in _QUESTIONS)


def pairs_in(record: Mapping[str, Any], tenant_fields: Sequence[str]) -> Iterator[LoggedCall]:
    """Yield the call that a request and its response are.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it is none.
    """
    request = _request_in(record)
    if request is None:
        request = {"messages": record["messages"], **_params_in(record)}
    asked = request.get("messages", request.get("input"))
    turns = (Turn("user", (asked,)),) if isinstance(asked, str) else tuple(map(turn_of, asked))
    if isinstance(request.get("system"), str | list):  # Anthropic's place for it
        turns = (turn_of({"role": "system", "content": request["system"]}), *turns)
    given = params_of(request, "messages", "input", "system")
    said = parsed(record.get("response", record.get("output", record)))
    tenant = tenant_in(tenant_fields, record, record.get("metadata"), request.get("metadata"))
    yield _call(record, given, turns, said, tenant)


def questions_in(record: Mapping[str, Any], tenant_fields: Sequence[str]) -> Iterator[LoggedCall]:
    """Yield the call that a question and its answer are.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it is none.
    """
    texts = (record[name] for name in _QUESTIONS if isinstance(record.get(name), str))
    question = next(texts, None)
    if question is None:
        raise KeyError("question")
    said = next((record[name] for name in _ANSWERS if record.get(name) is not None), None)
    tenant = tenant_in(tenant_fields, record, record.get("metadata"))
    yield _call(record, _params_in(record), (Turn("user", (question,)),), said, tenant)


def _call(
    record: Mapping[str, Any],
    given: dict[str, Any],
    turns: tuple[Turn, ...],
    said: Any,
    tenant: str | None,
) -> LoggedCall:
    reply = said if isinstance(said, Mapping) else {}
    status = number_of({**record, **reply}, "status_code", "status")
    headers = _headers(reply.get("headers") or record.get("headers"))
    body = parsed(reply.get("body", said))
    error = record.get("error") or (body.get("error") if isinstance(body, Mapping) else None)
    refused = Refused(shown=tuple(read_headers("openai", headers)))
    if error or (status or 0) >= 400:
        refused = refusal_of(error or body, None if status is None else int(status), headers)
    response = NOTHING if refused.failure else _response(body)
    answer, text = response.answer or (None, "")
    stamped = body if isinstance(body, Mapping) else {}
    began_s = stamp_s(_first(record, _BEGAN) or stamped.get("created"))
    took_s = next(
        (
            span_s(took * unit)
            for name, unit in _TOOK
            if (took := number_of(record, name)) is not None
        ),
        None,
    )
    stated = Stated(
        began_s,
        between_s(began_s, stamp_s(_first(record, _ENDED))) if took_s is None else took_s,
        response.tokens or tokens_of(record.get("usage"), dict(record)),
        number_of(given, "temperature"),
        max_output_of(given),
        *refused,
    )
    source = str(given.get("model") or (reply.get("model") or ""))
    return LoggedCall(
        Prompt("audit.chat", given, turns, tenant, source=source), answer, text, stated
    )


def _params_in(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in _PARAMS if name in record}


def _response(said: Any) -> Response:
    return NOTHING if said is None else read_response(said)


def _request_in(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for name in _REQUEST:
        request = parsed(record.get(name))
        request = parsed(request.get("body", request)) if isinstance(request, Mapping) else None
        if isinstance(request, Mapping) and ("messages" in request or "input" in request):
            return request
    return None


def _headers(given: object) -> dict[str, str]:
    named = given.items() if isinstance(given, Mapping) else ()
    return {str(name): str(value) for name, value in named}


def _first(record: Mapping[str, Any], names: Sequence[str]) -> object:
    return next((record[name] for name in names if record.get(name) is not None), None)
