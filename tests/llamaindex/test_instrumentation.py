"""Spans, events and callbacks: a miss has those of the plain model, a hit only its own event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.prompts import PromptTemplate

from llamaindex_accel import accelerate
from llamaindex_accel.events import CacheHitEvent
from tests.llamaindex.support import ALL_METHODS, METHODS, QUESTION, origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from tests.llamaindex.support import Caller, Watch


def finished(spans: SimpleSpanHandler) -> list[tuple[str, str]]:
    """Return name and parent's name of each finished span, oldest first, and forget them."""
    made = [
        (span.id_.partition("-")[0], (span.parent_id or "").partition("-")[0])
        for span in spans.completed_spans
    ]
    assert not spans.open_spans
    spans.completed_spans.clear()
    return made


@pytest.mark.parametrize("method", ALL_METHODS)
def test_a_miss_looks_like_the_plain_model(
    method: str, make_llm: Callable[..., OpenAI], accel: Accel, ask: Caller, watch: Watch
) -> None:
    """On a miss handlers see the very events of the plain model, after one that says why."""
    plain = make_llm()
    ask(plain, method)
    expected = watch.names()
    assert expected.count("LLMChatStartEvent") + expected.count("LLMCompletionStartEvent") == 1
    ask(accelerate(plain, accel), method)
    assert watch.names() == ["CacheMissEvent", *expected]


@pytest.mark.parametrize("method", ALL_METHODS)
def test_a_miss_has_the_spans_of_the_plain_model(
    method: str,
    make_llm: Callable[..., OpenAI],
    accel: Accel,
    ask: Caller,
    spans: SimpleSpanHandler,
) -> None:
    """On a miss there is the one span there was, and on a hit none."""
    llm = accelerate(make_llm(), accel)
    ask(make_llm(), method)
    expected = finished(spans)
    assert expected == [(f"OpenAI.{method}", "")]
    ask(llm, method)
    assert finished(spans) == expected
    ask(llm, method)
    assert finished(spans) == []


def test_a_stream_stands_in_the_span_that_asked(
    make_llm: Callable[..., OpenAI], accel: Accel, spans: SimpleSpanHandler
) -> None:
    """A stream's span belongs to the call that opened it, not to whoever reads it later."""
    prompt = PromptTemplate("Say {what}")
    list(make_llm().stream(prompt, what="a"))
    expected = finished(spans)
    assert ("OpenAI.stream_chat", "OpenAI.stream") in expected
    list(accelerate(make_llm(), accel).stream(prompt, what="a"))
    assert finished(spans) == expected


@pytest.mark.parametrize("method", ALL_METHODS)
def test_a_hit_emits_its_own_event_alone(
    method: str, llm: OpenAI, ask: Caller, watch: Watch
) -> None:
    """A hit is told by one `CacheHitEvent`, which names the entry and holds no text."""
    ask(llm, method)
    watch.seen.clear()
    again = ask(llm, method)[-1]
    (event,) = watch.seen
    assert isinstance(event, CacheHitEvent)
    assert event.class_name() == "CacheHitEvent"
    assert (event.method, event.tier, event.similarity) == (method, "exact", 1.0)
    assert event.age_s >= 0
    assert event.entry_id == again.additional_kwargs["accel"]["id"]
    assert QUESTION not in str(event.model_dump())


@pytest.mark.parametrize("kind", ["chat", "complete"])
def test_tokens_are_counted_once(
    kind: str, make_llm: Callable[..., OpenAI], accel: Accel, ask: Caller
) -> None:
    """`TokenCountingHandler` counts the miss as before and no hit at all."""
    counter = TokenCountingHandler(tokenizer=str.split)
    llm = accelerate(make_llm(callback_manager=CallbackManager([counter])), accel)
    ask(llm, METHODS[kind][0])
    counted = counter.total_llm_token_count
    assert counted > 0
    for method in METHODS[kind]:
        assert origin(ask(llm, method)[-1]) == "exact"
    assert counter.total_llm_token_count == counted


def test_a_replay_counts_nothing_where_it_is_counted_by_hand(llm: OpenAI, ask: Caller) -> None:
    """What LlamaIndex reads of a response's cost is zero in a replay."""
    from llama_index.core.callbacks.token_counting import get_tokens_from_response

    first, again = (ask(llm, "chat")[0] for _ in range(2))
    assert sum(get_tokens_from_response(first)) > 0
    assert get_tokens_from_response(again) == (0, 0)


def test_a_failure_is_seen_as_before(
    make_llm: Callable[..., OpenAI], accel: Accel, ask: Caller, watch: Watch
) -> None:
    """A model that fails raises the same error and emits the same events, after the miss."""
    outcomes: list[Any] = []
    broken = make_llm(api_base="http://127.0.0.1:9/v1")
    for llm in (broken, accelerate(broken, accel)):
        with pytest.raises(Exception) as failure:  # noqa: PT011 - compared below
            ask(llm, "chat")
        outcomes.append((failure.type, watch.names()))
    (plain, events), (fast, its_events) = outcomes
    assert (fast, its_events) == (plain, ["CacheMissEvent", *events])
