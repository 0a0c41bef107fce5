"""Errors inside streams: found in every provider's shape, and never in what a model writes."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.policy.limits.refusal import classify
from accel_core.policy.limits.stream_error import error_in, first_event
from accel_core.policy.limits.usage_reader import StreamUsage

REACHED = "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 30000."
AGAIN = f"{REACHED} Please try again in 2s."
LIMIT = {"code": "rate_limit_exceeded", "message": AGAIN}

ERRORS: dict[str, tuple[Any, str]] = {
    "openai": ({"error": {**LIMIT, "type": "tokens"}}, "limit"),
    "openai 500": (
        {"error": {"message": "oh", "type": "server_error", "code": None}},
        "overloaded",
    ),
    "responses": ({"type": "error", **LIMIT, "sequence_number": 1}, "limit"),
    "responses failed": (
        {"type": "response.failed", "response": {"status": "failed", "error": LIMIT}},
        "limit",
    ),
    "anthropic": (
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        "overloaded",
    ),
    "anthropic 500": (
        {"type": "error", "error": {"type": "api_error", "message": "Internal server error"}},
        "overloaded",
    ),
    "anthropic limit": (
        {"type": "error", "error": {"type": "rate_limit_error", "message": "too many"}},
        "limit",
    ),
    "openrouter": (
        {"error": {"code": 429, "message": "slow"}, "choices": [{"finish_reason": "error"}]},
        "limit",
    ),
    "vllm": ({"object": "error", "message": "engine dead", "code": 503}, "overloaded"),
    "quota": ({"error": {"code": "insufficient_quota", "message": "pay"}}, "final"),
    "words": ({"error": "it went wrong"}, "rejected"),
}


def line(event: Any) -> bytes:
    return b"data: " + json.dumps(event).encode()


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_found_and_mean_what_their_status_would(name: str) -> None:
    """An event of an error is taken for what the same error means as a response."""
    event, kind = ERRORS[name]
    error = error_in(b"event: error\n" + line(event))
    assert error is not None
    refusal = classify(error.status, {}, error.body, "openai", 0.0)
    assert refusal.kind == kind
    if AGAIN in json.dumps(event):
        assert refusal.retry_after_s == 2.0
        assert refusal.shown[0].remaining == 0.0


@pytest.mark.parametrize(
    "event",
    [
        {"choices": [{"delta": {"content": 'say {"error": {"code": 429}} or "type": "error"'}}]},
        {"choices": [{"delta": {"content": "x"}}], "error": None},
        {"type": "response.created", "response": {"error": None, "status": "in_progress"}},
        {"type": "response.output_text.delta", "delta": '"error":'},
        {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": '{"error": {}}'}}]}}]},
        {"choices": [{"delta": {"content": "x", "error": {"code": 429}}}]},
        [],
    ],
)
def test_what_a_model_writes_is_no_error(event: Any) -> None:
    """Neither what is quoted, nor fields that hold none, nor deeper ones."""
    assert error_in(line(event)) is None


def test_a_line_that_is_cut_off_is_no_error_yet() -> None:
    """Half an error is read once it is whole."""
    whole = line(ERRORS["openai"][0])
    usage = StreamUsage()
    usage.feed(whole[:-9])
    assert usage.error is None
    usage.feed(whole[-9:])
    assert usage.error is not None


@given(st.lists(st.integers(0, 400)), st.sampled_from(sorted(ERRORS)))
def test_an_error_is_found_however_a_stream_is_cut(cuts: list[int], name: str) -> None:
    """Chunks may end anywhere, and nothing that came before or after hides it."""
    plain = line({"choices": [{"delta": {"content": "a"}}]})
    whole = b"\n\n".join([plain, b"event: error\n" + line(ERRORS[name][0]), b"data: [DONE]", b""])
    usage = StreamUsage()
    places = sorted({0, len(whole), *(min(cut, len(whole)) for cut in cuts)})
    for start, end in pairwise(places):
        usage.feed(whole[start:end])
    assert usage.error == error_in(line(ERRORS[name][0]))
    assert usage.events == 1


@pytest.mark.parametrize(
    ("beginning", "event"),
    [
        (b"", None),
        (b"data: {}", None),
        (b"data: {}\n", None),
        (b"data: {}\n\n", b"data: {}"),
        (b"data: {}\r\n\r\nrest", b"data: {}"),
        (b": wait\n\n: wait\n\n", None),
        (b": wait\n\nevent: error\ndata: 1\n\ndata: 2\n\n", b"event: error\ndata: 1"),
    ],
)
def test_the_first_event_is_whole_and_has_data(beginning: bytes, event: bytes | None) -> None:
    """Comments that keep a connection open are none."""
    assert first_event(beginning) == event


@given(st.binary(max_size=200))
def test_anything_may_come(data: bytes) -> None:
    """Bytes of any kind raise nothing."""
    error_in(data)
    error_in(b'data: {"error":' + data)
    first_event(data)
