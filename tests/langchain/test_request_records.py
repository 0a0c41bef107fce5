"""What is told of each request, once, whatever became of it."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import openai
import pytest
from langchain_core.callbacks import get_usage_metadata_callback

from accel_core import Limiter, Retries, RetryPolicy
from accel_core.events.requests import RequestEnded, Tokens
from accel_core.observer.statistics import Statistics
from accel_core.testing.replies import Reply, echo
from langchain_accel import AccelCache, accelerate

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeAccel, MakeChat, Recorder

QUESTION = "What is the capital of France?"
USED = Tokens(6.0, 8.0)
"""The words of the question, and of what `echo` answers."""


def ended(events: Recorder) -> list[RequestEnded]:
    return events.of(RequestEnded)


@pytest.mark.parametrize("way", ["accelerated", "cache"])
def test_an_answer_and_its_hit(
    way: str, accel: Accel, chat: MakeChat, events: Recorder, colour: Colour
) -> None:
    """A miss tells what it used, its hit what it saved; both whose they were, and why."""
    bare = chat()
    model = accelerate(bare, accel) if way == "accelerated" else chat(cache=AccelCache(accel))
    with accel.tenant("acme"):
        for _ in range(2):
            colour.invoke(model, QUESTION, {"tags": ["report"]})
    asked, hit = ended(events)
    assert (asked.outcome, asked.ending, asked.reason) == ("miss", "answered", "no_entry")
    assert (asked.used, asked.saved, asked.attempts) == (USED, None, 1)
    assert (hit.outcome, hit.ending, hit.reason, hit.tier) == ("hit", "answered", "exact", "exact")
    assert (hit.used, hit.saved, hit.attempts) == (None, USED, 0)
    assert asked.tenant == hit.tenant != ""
    assert "acme" not in repr((asked, hit))
    for one in (asked, hit):
        assert (one.operation, one.model, one.provider) == ("chat", "gpt-4o-mini", "openai")
        assert "report" in one.tags
    assert 0 < asked.parts.model_s <= asked.total_s
    assert hit.saved_s is not None
    assert 0 < hit.saved_s <= asked.parts.model_s


def test_a_stream(accel: Accel, chat: MakeChat, events: Recorder, colour: Colour) -> None:
    """A stream tells when its first part came; replayed, it is a hit like another."""
    model = accelerate(chat(stream_usage=True), accel)
    for _ in range(2):
        colour.stream(model, QUESTION)
    asked, hit = ended(events)
    assert asked.streamed
    assert hit.streamed
    assert (asked.used, hit.saved) == (USED, USED)
    assert asked.parts.first_token_s is not None
    assert asked.parts.stream_s is not None
    assert asked.parts.first_token_s + asked.parts.stream_s <= asked.parts.model_s


def test_a_stream_given_up(accel: Accel, chat: MakeChat, events: Recorder, colour: Colour) -> None:
    """A stream that its reader gives up was cancelled; what was seen of it is counted."""
    colour.take(accelerate(chat(stream_usage=True), accel), QUESTION, 4)
    (asked,) = ended(events)
    assert (asked.outcome, asked.ending, asked.used, asked.error) == ("miss", "cancelled", None, "")
    assert 3 <= asked.seen_tokens <= 4


def test_a_stream_that_nobody_reads_any_more(
    accel: Accel, chat: MakeChat, events: Recorder
) -> None:
    """A stream that is neither read to its end nor closed is told of when it is collected."""
    stream = accelerate(chat(), accel).stream(QUESTION)
    next(stream)
    assert not ended(events)
    del stream
    gc.collect()
    (asked,) = ended(events)
    assert asked.ending == "cancelled"


@pytest.mark.parametrize("way", ["accelerated", "cache", "stream"])
def test_a_failure(
    way: str,
    *,
    accel: Accel,
    chat: MakeChat,
    server: ModelServer,
    events: Recorder,
    colour: Colour,
) -> None:
    """A failure tells what was raised, by its class."""
    server._answer = lambda _: Reply(status=500, content="secret words")
    model = chat(cache=AccelCache(accel)) if way == "cache" else accelerate(chat(), accel)
    ask: Any = colour.stream if way == "stream" else colour.invoke
    with pytest.raises(openai.InternalServerError) as raised:
        ask(model, QUESTION)
    (asked,) = ended(events)
    assert (asked.ending, asked.error, asked.used) == ("failed", raised.type.__name__, None)
    assert "secret" not in repr(asked)


def test_a_bypass(accel: Accel, chat: MakeChat, events: Recorder, colour: Colour) -> None:
    """What never came near the cache has used tokens all the same, and says why it bypassed."""
    colour.invoke(accelerate(chat(temperature=1.0), accel), QUESTION)
    (asked,) = ended(events)
    assert (asked.outcome, asked.reason, asked.model) == ("bypass", "temperature", "gpt-4o-mini")
    assert (asked.used, asked.attempts) == (USED, 1)


def test_attempts_are_counted_where_they_are_made(
    make_accel: MakeAccel, chat: MakeChat, server: ModelServer, events: Recorder, colour: Colour
) -> None:
    """An answer at the third attempt is one request, asked three times, with its pauses."""
    failures = iter([Reply(status=503), Reply(status=503)])
    server._answer = lambda request: next(failures, None) or echo(request)
    retries = Retries(policy=RetryPolicy(max_attempts=3, base_s=0.002))
    limiter = Limiter("openai", retries=retries)
    model = accelerate(chat(), make_accel(), limiter=limiter)
    with limiter.tier("gold"):
        colour.invoke(model, QUESTION)
    (asked,) = ended(events)
    assert (asked.attempts, asked.used, asked.service_tier) == (3, USED, "gold")
    assert server.call_count == 3
    assert asked.parts.backoff_s > 0


def test_usage_is_not_counted_twice(
    accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
) -> None:
    """LangChain's own count of tokens stays at what the provider counted, however often it hits."""
    model = accelerate(chat(stream_usage=True), accel)
    with get_usage_metadata_callback() as counted:
        for _ in range(3):
            colour.invoke(model, QUESTION)
            colour.stream(model, QUESTION)
    told = counted.usage_metadata["gpt-4o-mini"]
    assert told["total_tokens"] == server.usage.total_tokens


def test_statistics_add_up(
    accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
) -> None:
    """What statistics say was used, and asked, is what the provider counted."""
    model = accelerate(chat(stream_usage=True), accel)
    for question in ("one", "two", "one", "three", "two"):
        colour.invoke(model, question)
    total = accel.stats().requests.total
    assert (total.requests, total.hits, total.attempts) == (5, 2, server.call_count)
    assert total.used.input_tokens == server.usage.prompt_tokens
    assert total.used.output_tokens == server.usage.completion_tokens
    assert total.saved.input_tokens == 2
    assert total.cost is not None
    assert total.saved_cost is not None
    html = accel.stats()._repr_html_()
    assert "hit rate" in html
    assert "40.0%" in html


def test_a_notebook_shows_tool_calls_where_any_were_begun() -> None:
    """Who does not speculate sees nothing of it."""
    told = Statistics(tool_guesses=7, tool_calls_reused=5, tool_wait_saved_s=1.25)
    assert "7, 5" in told._repr_html_()
    assert "1.2 s" in told._repr_html_()
    assert "unasked" not in Statistics()._repr_html_()


def test_nothing_is_recorded_where_that_is_switched_off(
    make_accel: MakeAccel, chat: MakeChat, events: Recorder, colour: Colour
) -> None:
    """`observe.enabled: false` leaves the cache's own events."""
    model = accelerate(chat(), make_accel({"observe": {"enabled": False}}))
    for _ in range(2):
        colour.invoke(model, QUESTION)
    assert not ended(events)
    assert len(events) >= 2


@pytest.mark.parametrize("fails", [False, True])
def test_a_recorded_request_leaves_no_trace_in_its_context(
    fails: bool, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
) -> None:
    """When a request has ended, nothing that follows in the same context is added to it."""
    from accel_core.recording import current

    if fails:
        server._answer = lambda _: Reply(status=400)
    model = accelerate(chat(), accel)
    asking: list[Callable[[], Any]] = [
        lambda: colour.invoke(model, QUESTION),
        lambda: colour.stream(model, "another"),
        lambda: colour.take(model, "a third", 1),
    ]
    for ask in asking:
        if fails:
            with pytest.raises(openai.BadRequestError):
                ask()
        else:
            ask()
        assert current() is None
