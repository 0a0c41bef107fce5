"""Streams: what is stored of them, and how a stored answer is streamed."""

from __future__ import annotations

import contextlib
import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback

from accel_core.events import CacheRefused
from accel_core.testing.model_server import ModelServer
from accel_core.testing.replies import Reply
from llamaindex_accel import accelerate
from tests.llamaindex.support import METHODS, QUESTION, in_flight, origin, text_of, user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.testing.doubles import RecordingObserver
    from tests.llamaindex.support import Caller

STREAMS = [name for names in METHODS.values() for name in names if "stream" in name]
LONG = " ".join(f"word{number}" for number in range(60))


class Scripted(CustomLLM):
    """Streams the chunks it was given."""

    script: list[Any]

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata()

    @llm_chat_callback()
    def stream_chat(self, messages: Any, **_: Any) -> Iterator[ChatResponse]:
        return (chunk.model_copy(deep=True) for chunk in self.script)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        raise NotImplementedError

    @llm_completion_callback()
    def stream_complete(
        self, prompt: str, formatted: bool = False, **_: Any
    ) -> Iterator[CompletionResponse]:
        return (chunk.model_copy(deep=True) for chunk in self.script)


def said(*blocks: Any, delta: str | None = None, **kwargs: Any) -> ChatResponse:
    """Return a chunk whose message has `blocks`."""
    message = ChatMessage(role="assistant", blocks=list(blocks), additional_kwargs=kwargs)
    return ChatResponse(message=message, delta=delta)


def take(ask: Caller, llm: Any, method: str, count: int) -> list[Any]:
    """Read `count` chunks of a stream and close it."""
    asked: Any = user(QUESTION) if "chat" in method else QUESTION
    if not method.startswith("a"):
        with contextlib.closing(getattr(llm, method)(asked)) as stream:
            return [next(stream) for _ in range(count)]

    async def read() -> list[Any]:
        async with contextlib.aclosing(await getattr(llm, method)(asked)) as stream:
            return [await anext(stream) for _ in range(count)]

    return ask.run(read())  # type: ignore[no-any-return]


@pytest.mark.parametrize("method", STREAMS)
@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_stream_given_up_is_not_stored(
    method: str, count: int, llm: OpenAI, accel: Accel, ask: Caller
) -> None:
    """A stream closed before its end leaves no entry, and nobody waiting for one."""
    take(ask, llm, method, count)
    assert in_flight(accel) == 0
    assert accel.stats().stored == 0
    assert origin(ask(llm, method)[-1]) is None


@pytest.mark.parametrize("method", ["stream_chat", "stream_complete"])
def test_a_stream_dropped_unread_ends_its_flight(method: str, llm: OpenAI, accel: Accel) -> None:
    """A stream that is never read and goes out of scope holds nobody up."""
    stream = getattr(llm, method)(user(QUESTION) if "chat" in method else QUESTION)
    assert in_flight(accel) == 1
    del stream
    gc.collect()
    assert in_flight(accel) == 0


@pytest.mark.parametrize("method", STREAMS)
def test_a_broken_stream_is_not_stored(
    method: str, make_llm: Callable[..., OpenAI], accel: Accel, ask: Caller
) -> None:
    """A connection that breaks raises as before, and the next call asks again."""
    replies = iter([Reply(chunks=("one ", "two"), break_after=1), Reply(content="whole")])
    with ModelServer(lambda _: next(replies)) as server:
        llm = accelerate(make_llm(api_base=server.url), accel)
        with pytest.raises(Exception, match=r"(?i)incomplete|closed|disconnected|connection"):
            ask(llm, method)
        assert in_flight(accel) == 0
        assert ask.text(llm, method) == "whole"
        assert ask.text(llm, method) == "whole"
        assert server.call_count == 2


@pytest.mark.parametrize("method", STREAMS)
def test_a_replay_grows(
    method: str, make_llm: Callable[..., OpenAI], accel: Accel, ask: Caller
) -> None:
    """A replay comes in pieces: deltas add up to the text, and each chunk holds all before it."""
    with ModelServer(lambda _: LONG) as server:
        llm = accelerate(make_llm(api_base=server.url), accel)
        ask(llm, method)
        chunks = ask(llm, method)
    assert len(chunks) > 4
    grown = ""
    for chunk in chunks:
        grown += chunk.delta
        assert text_of(chunk) == grown
    assert grown == LONG
    assert [origin(chunk) for chunk in chunks] == [None] * (len(chunks) - 1) + ["exact"]


def test_thinking_and_tool_calls_are_replayed(accel: Accel, ask: Caller) -> None:
    """Thinking comes first and by itself, tool calls with the last chunk, as a provider sends."""
    thinking = ThinkingBlock(content="hm", additional_information={"signature": "s"})
    call = ToolCallBlock(tool_call_id="call_0123456789", tool_name="f", tool_kwargs={"x": 1})
    script = [
        said(thinking, delta=""),
        said(thinking, TextBlock(text="so"), delta="so"),
        said(thinking, TextBlock(text="so"), call, delta=""),
    ]
    llm = accelerate(Scripted(script=script), accel)
    ask(llm, "stream_chat")
    chunks = ask(llm, "stream_chat")
    assert [chunk.delta for chunk in chunks] == ["", "so", ""]
    assert chunks[0].additional_kwargs["thinking_delta"] == "hm"
    assert [block.block_type for block in chunks[1].message.blocks] == ["thinking", "text"]
    last = chunks[2].message.blocks
    assert last[0] == thinking
    assert (last[2].tool_name, last[2].tool_kwargs) == ("f", {"x": 1})
    assert last[2].tool_call_id not in {None, call.tool_call_id}


@pytest.mark.parametrize(
    "script",
    [
        [said(TextBlock(text="a"), delta="a"), said(TextBlock(text="b"), delta="b")],
        [said(TextBlock(text="a"), delta="a"), said(delta="")],
        [],
    ],
    ids=["message does not grow", "message ends empty", "no chunk"],
)
def test_a_stream_that_contradicts_itself_is_not_stored(
    script: list[Any], accel: Accel, ask: Caller, observed: RecordingObserver
) -> None:
    """Where pieces and last message differ nobody can tell the answer, so none is stored."""
    llm = accelerate(Scripted(script=script), accel)
    assert ask(llm, "stream_chat") == script
    assert [event.reason for event in observed.of(CacheRefused)] == ["unsupported"]


def test_a_chunk_that_cannot_be_followed_spoils_only_the_answer(
    accel: Accel, ask: Caller, observed: RecordingObserver
) -> None:
    """A chunk of an unknown form reaches its reader, and the answer is refused with a reason."""

    class Raising:
        @property
        def usage(self) -> Any:
            raise RuntimeError("no usage")

    odd = said(TextBlock(text="a"), delta="a").model_copy(update={"raw": Raising()})
    script = [odd, said(TextBlock(text="ab"), delta="b")]

    class Odd(Scripted):
        @llm_chat_callback()
        def stream_chat(self, messages: Any, **_: Any) -> Iterator[ChatResponse]:
            return (chunk for chunk in script)

    llm = accelerate(Odd(script=[]), accel)
    assert ask(llm, "stream_chat") == script
    assert [event.reason for event in observed.of(CacheRefused)] == ["unserialisable"]


def test_what_readers_do_to_chunks_is_not_stored(accel: Accel) -> None:
    """Each chunk is taken down before its reader has it."""
    script = [said(TextBlock(text="a"), delta="a"), said(TextBlock(text="ab"), delta="b")]
    llm = accelerate(Scripted(script=script), accel)
    for chunk in llm.stream_chat(user(QUESTION)):
        chunk.message.blocks[0].text = "changed"
        chunk.message.blocks.append(TextBlock(text="more"))
        chunk.additional_kwargs["mine"] = object()
    (*_, last) = llm.stream_chat(user(QUESTION))
    assert last.message.content == "ab"


def test_a_stream_read_in_another_thread_belongs_to_its_caller(
    llm: OpenAI, accel: Accel, server: ModelServer
) -> None:
    """The tenant is that of the call, wherever the stream is read, as chat engines do."""
    with accel.tenant("a"):
        stream = llm.stream_chat(user(QUESTION))
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    reader.join()
    with accel.tenant("b"):
        assert origin(list(llm.stream_chat(user(QUESTION)))[-1]) is None
    with accel.tenant("a"):
        assert origin(list(llm.stream_chat(user(QUESTION)))[-1]) == "exact"
    assert server.call_count == 2


def test_streamed_usage_is_saved(
    make_llm: Callable[..., OpenAI], accel: Accel, ask: Caller
) -> None:
    """Where the provider streams usage, a replay says what it saved, and costs nothing."""
    streaming = {"stream_options": {"include_usage": True}}
    with ModelServer() as server:
        llm = accelerate(make_llm(api_base=server.url, additional_kwargs=streaming), accel)
        ask(llm, "stream_chat")
        again = ask(llm, "astream_chat")[-1]
    assert again.raw["usage"]["total_tokens"] == 0
    assert again.raw["choices"] == [{"finish_reason": "stop"}]
    assert (
        again.additional_kwargs["accel"]["saved_usage"]["total_tokens"] == server.usage.total_tokens
    )
