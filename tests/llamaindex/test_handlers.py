"""Handlers for LlamaIndex's instrumentation, on real clients against the local server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openai
import pytest
from llama_index_instrumentation import root_dispatcher
from llama_index_instrumentation.dispatcher import instrument_tags

from accel_core import Limiter, Retries, RetryPolicy
from accel_core.clocks import Clocks
from accel_core.events import ToolCallBegun, ToolCallReused, ToolCallWasted
from accel_core.testing.replies import Reply, echo
from llamaindex_accel import AccelEventHandler, AccelSpanHandler, accelerate
from llamaindex_accel.events import LimiterWaitEvent, SpeculationEvents
from tests.llamaindex.support import ALL_METHODS, QUESTION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.llamaindex.support import Caller, Watch

STATED = {"additional_kwargs": {"stream_options": {"include_usage": True}}}


@pytest.fixture
def handler() -> Iterator[AccelEventHandler]:
    handler = AccelEventHandler()
    root_dispatcher.add_event_handler(handler)
    yield handler
    root_dispatcher.event_handlers.remove(handler)


@pytest.mark.parametrize("method", ALL_METHODS)
def test_what_was_used_and_saved(
    method: str,
    *,
    make_llm: Callable[..., OpenAI],
    accel: Accel,
    server: ModelServer,
    ask: Caller,
    handler: AccelEventHandler,
) -> None:
    """Calls, hits, tokens and dollars are what the server counted; a hit saved its answer's."""
    llm = accelerate(make_llm(**(STATED if "stream" in method else {})), accel)
    with accel.tenant("acme"), instrument_tags({"feature": "report"}):
        for _ in range(3):
            ask(llm, method, QUESTION)
    seen, used = handler.seen(), server.usage
    total = seen.total
    assert (total.calls, total.hits, total.failures) == (3, 2, 0)
    assert (total.tokens.input_tokens, total.tokens.output_tokens) == (
        used.prompt_tokens,
        used.completion_tokens,
    )
    assert total.saved_tokens.output_tokens == 2 * used.completion_tokens
    assert total.cost is not None
    assert total.saved_cost == pytest.approx(2 * total.cost)
    assert seen.tags == {"feature=report": total}
    assert seen.tenants == {"acme": total}
    assert seen.misses == {"no_entry": 1}


def test_failures(
    llm: OpenAI, server: ModelServer, ask: Caller, handler: AccelEventHandler
) -> None:
    """A call that raises is a failure, and a miss of the cache all the same."""
    server._answer = lambda _: Reply(status=400)
    with pytest.raises(openai.BadRequestError):
        ask(llm, "chat", QUESTION)
    seen = handler.seen()
    assert (seen.total.calls, seen.total.failures) == (0, 1)
    assert seen.misses == {"no_entry": 1}


@pytest.mark.parametrize("method", ["chat", "achat", "stream_chat", "astream_chat"])
def test_waits_for_limits(
    method: str,
    *,
    make_llm: Callable[..., OpenAI],
    make_accel: Callable[..., Accel],
    server: ModelServer,
    ask: Caller,
    watch: Watch,
    handler: AccelEventHandler,
) -> None:
    """What a call waited for is told when it has ended, with its tier."""
    refusals = iter([Reply(status=503)])
    server._answer = lambda request: next(refusals, None) or echo(request)
    retries = Retries(policy=RetryPolicy(max_attempts=2, base_s=0.01))
    limiter = Limiter("openai", retries=retries)
    llm = accelerate(make_llm(), make_accel(clocks=Clocks()), limiter=limiter)
    with limiter.tier("gold"):
        ask(llm, method, QUESTION)
    (told,) = [event for event in watch.seen if isinstance(event, LimiterWaitEvent)]
    assert (told.method, told.tier) == (method, "gold")
    assert told.backoff_s > 0
    assert handler.seen().waited_s == pytest.approx(told.queue_s + told.backoff_s)


def test_early_tool_calls_are_told(watch: Watch) -> None:
    """The core's events of speculation reach LlamaIndex's handlers."""
    tell = SpeculationEvents()
    tell(ToolCallBegun("look", "habit", 0.9))
    tell(ToolCallReused("look", "habit", 1.5))
    tell(ToolCallWasted("look", "habit", "unasked"))
    told = [(event.outcome, event.saved_s, event.reason) for event in watch.seen]  # type: ignore[attr-defined]
    assert told == [("begun", 0.0, ""), ("reused", 1.5, ""), ("wasted", 0.0, "unasked")]
    assert watch.names() == ["SpeculationEvent"] * 3


def test_how_long_steps_take(llm: OpenAI, ask: Caller) -> None:
    """A step is measured once, by its name; a hit has none."""
    times = AccelSpanHandler()
    root_dispatcher.add_span_handler(times)
    try:
        for _ in range(2):
            ask(llm, "chat", QUESTION)
            ask(llm, "achat", QUESTION)
    finally:
        root_dispatcher.span_handlers.remove(times)
    took = times.took()
    assert {name: found.samples for name, found in took.items()} == {"OpenAI.chat": 1}
    assert took["OpenAI.chat"].p50_s > 0
