"""Handlers of events, spans and older callbacks when calls overlap, are given up, or never end."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.callbacks import CallbackManager
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index_instrumentation import root_dispatcher
from llama_index_instrumentation.dispatcher import instrument_tags

from llamaindex_accel import (
    AccelCallbackHandler,
    AccelEventHandler,
    AccelSpanHandler,
    accelerate,
    callback_handler,
    handlers,
)
from tests.forks import in_a_child
from tests.llamaindex.support import user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.llamaindex.support import Caller

QUESTION = "What is the capital of France?"


@pytest.fixture
def handler() -> Iterator[AccelEventHandler]:
    handler = AccelEventHandler()
    root_dispatcher.add_event_handler(handler)
    yield handler
    root_dispatcher.event_handlers.remove(handler)


@pytest.fixture
def times() -> Iterator[AccelSpanHandler]:
    times = AccelSpanHandler()
    root_dispatcher.add_span_handler(times)
    yield times
    root_dispatcher.span_handlers.remove(times)


@pytest.fixture
def older() -> AccelCallbackHandler:
    return AccelCallbackHandler()


@pytest.fixture
def told(make_llm: Callable[..., OpenAI], older: AccelCallbackHandler) -> Callable[..., OpenAI]:
    """Make clients of which the older handler is told."""
    return lambda **options: make_llm(callback_manager=CallbackManager([older]), **options)


@pytest.fixture
def _hurried() -> Iterator[None]:
    """Let threads interrupt each other as often as can be."""
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual_s)


@pytest.mark.parametrize("method", ["stream_chat", "astream_chat"])
def test_a_stream_that_is_given_up_has_not_failed(
    *,
    told: Any,
    accel: Accel,
    ask: Caller,
    handler: AccelEventHandler,
    older: AccelCallbackHandler,
    method: str,
) -> None:
    """It is neither an answer nor a failure, and nothing is kept of it."""
    llm = accelerate(told(), accel)
    if method == "stream_chat":
        stream = llm.stream_chat(user("tell me something long"))
        next(stream)
        stream.close()
    else:

        async def read() -> None:
            stream = await llm.astream_chat(user("tell me something long"))
            await anext(stream)
            await stream.aclose()

        ask.run(read())
    for total in (handler.seen().total, older.total):
        assert (total.calls, total.failures) == (0, 0)
    assert not older._open


async def test_a_cancelled_task_has_not_failed(
    *,
    told: Any,
    accel: Accel,
    server: ModelServer,
    handler: AccelEventHandler,
    older: AccelCallbackHandler,
    times: AccelSpanHandler,
) -> None:
    """Nor is a call whose task is cancelled; a step that was cut off is measured."""
    llm = accelerate(told(), accel)
    with server.hold():
        task = asyncio.create_task(llm.achat(user(QUESTION)))
        await asyncio.to_thread(server.wait_for_calls, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    for total in (handler.seen().total, older.total):
        assert (total.calls, total.failures) == (0, 0)
    assert not handler._sums.asked
    assert not times._times._began_s


@pytest.mark.parametrize("fast", [False, True])
def test_a_stream_belongs_to_who_began_it(
    *,
    told: Any,
    accel: Accel,
    handler: AccelEventHandler,
    older: AccelCallbackHandler,
    fast: bool,
) -> None:
    """Read by somebody else, it is still the tenant's and the feature's that asked."""
    llm = accelerate(told(), accel) if fast else told()
    with accel.tenant("acme"), instrument_tags({"feature": "report"}):
        stream = llm.stream_chat(user(QUESTION))
        next(stream)
    with accel.tenant("umbrella"), instrument_tags({"feature": "mail"}):
        list(stream)
    assert {name: used.calls for name, used in handler.seen().tenants.items()} == {"acme": 1}
    assert {name: used.calls for name, used in older.tenants.items()} == {"acme": 1}
    assert list(handler.seen().tags) == ["feature=report"]


def test_who_asks_again_while_he_reads_is_counted_twice(
    told: Any, accel: Accel, server: ModelServer, older: AccelCallbackHandler
) -> None:
    """The same question to the same model, asked before the first stream ended, is another call."""
    stream = told().stream_chat(user(QUESTION))
    next(stream)
    told(temperature=0.2).chat(user(QUESTION))
    list(stream)
    assert older.total.calls == server.call_count == 2


def _call(older: AccelCallbackHandler, name: str) -> None:
    model = {EventPayload.SERIALIZED: {"model": "m"}, EventPayload.MESSAGES: user(QUESTION)}
    older.on_event_start(CBEventType.LLM, model, name)
    older.on_event_end(CBEventType.LLM, {}, name)


@pytest.mark.usefixtures("_hurried")
def test_threads_that_mix_their_calls(
    older: AccelCallbackHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All calls are counted, whatever is begun and ended at once."""
    monkeypatch.setattr(callback_handler, "_MOST_OPEN", 20)
    monkeypatch.setattr(handlers, "_MOST_OPEN", 20)
    times, errors = AccelSpanHandler(), []

    def work(number: int) -> None:
        try:
            for turn in range(200):
                times.span_enter(f"LLM.chat-{number}-{turn}")
                _call(older, f"{number}-{turn}")
                times.span_exit(f"LLM.chat-{number}-{turn}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert older.events == {"llm": 1_600}
    assert older.total.calls == 1_600
    assert times.took()["LLM.chat"].samples == 1_600


def test_what_never_ends_is_forgotten(
    older: AccelCallbackHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded though nobody tells of an end."""
    monkeypatch.setattr(callback_handler, "_MOST_OPEN", 50)
    monkeypatch.setattr(handlers, "_MOST_OPEN", 50)
    times = AccelSpanHandler()
    for number in range(500):
        older.on_event_start(CBEventType.LLM, {}, str(number))
        times.span_enter(f"LLM.chat-{number}")
    assert len(older._open) == len(times._times._began_s) == 50


def test_a_forked_child_goes_on(older: AccelCallbackHandler) -> None:
    """Locks that threads of the parent held are none of the child's."""
    events, times = AccelEventHandler(), AccelSpanHandler()

    def spans() -> None:
        times.span_enter("LLM.chat-1")
        times.span_exit("LLM.chat-1")
        assert times.took()["LLM.chat"].samples == 1

    for work, lock in (
        (lambda: _call(older, "a"), older._lock),
        (events.seen, events._sums.lock),
        (spans, times._times._lock),
    ):
        assert in_a_child(work, lock) == 0
