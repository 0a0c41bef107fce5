"""Streams of an accelerated model: kept when read to their end, and streamed again from memory."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.tools import tool

from accel_core.testing.replies import Reply
from langchain_accel import accelerate
from langchain_accel._context import current_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeChat

    Join = Callable[[list[Any]], Any]

QUESTION = "What is the capital of France?"
ANSWER = f"Answer to: {QUESTION}"

BETA = pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")


@tool
def weather(place: str) -> str:
    """Tell the weather at a place."""
    return f"sunny in {place}"


def answer_with(server: ModelServer, reply: Callable[[dict[str, Any]], Any]) -> None:
    """Make the server answer by `reply` from now on."""
    server._answer = reply


def comparable(message: Any) -> dict[str, Any]:
    """Return what must be the same in an answer and in its replay."""
    fields: dict[str, Any] = message.model_dump()
    for name in ("id", "usage_metadata", "tool_call_chunks"):
        fields.pop(name, None)
    for call in fields["tool_calls"]:
        call.pop("id")
    fields["response_metadata"] = {
        key: value
        for key, value in fields["response_metadata"].items()
        if key not in {"accel", "token_usage"}
    }
    return fields


class TestStream:
    """`stream` and `astream`."""

    def test_replayed(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, joined: Join
    ) -> None:
        """A stream is kept, and streamed again in pieces that add up to the same message."""
        answer_with(server, lambda request: "word " * 60)
        model = accelerate(chat(), accel)
        first, again = colour.stream(model, QUESTION), colour.stream(model, QUESTION)
        assert server.call_count == 1
        assert len([chunk for chunk in again if chunk.content]) > 1
        assert comparable(joined(again)) == comparable(joined(first))
        assert joined(again).id != joined(first).id
        assert {chunk.id for chunk in again} == {again[0].id}
        assert [chunk.chunk_position for chunk in again][-1] == "last"

    def test_usage(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, joined: Join
    ) -> None:
        """A replay costs nothing, and tells what it saved."""
        model = accelerate(chat(stream_usage=True), accel)
        first, again = (joined(colour.stream(model, QUESTION)) for _ in range(2))
        assert first.usage_metadata["total_tokens"] > 0
        assert again.usage_metadata["total_tokens"] == 0
        assert again.response_metadata["accel"]["saved_usage"] == first.usage_metadata
        assert again.response_metadata["accel"]["cache"] == "exact"

    def test_without_usage(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, joined: Join
    ) -> None:
        """A stream that told no usage is replayed without one."""
        model = accelerate(chat(stream_usage=False), accel)
        for _ in range(2):
            assert joined(colour.stream(model, QUESTION)).usage_metadata is None
        assert server.call_count == 1

    def test_shared_with_invoke(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, joined: Join
    ) -> None:
        """What was streamed answers `invoke`, and what was invoked can be streamed."""
        model = accelerate(chat(), accel)
        colour.stream(model, "one")
        assert colour.invoke(model, "one").content == "Answer to: one"
        colour.invoke(model, "two")
        assert joined(colour.stream(model, "two")).content == "Answer to: two"
        assert server.call_count == 2

    def test_by_meaning(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, joined: Join
    ) -> None:
        """A stream is answered by meaning, too."""
        model = accelerate(chat(), accel)
        colour.stream(model, "Is Paris the capital of France?")
        accel.flush()
        again = joined(colour.stream(model, "Is the capital of France Paris?"))
        assert again.response_metadata["accel"]["cache"] == "semantic"
        assert server.call_count == 1

    @pytest.mark.parametrize("how", ["stream", "invoke"])
    def test_tool_calls(
        self,
        accel: Accel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        joined: Join,
        *,
        how: str,
    ) -> None:
        """Tool calls are streamed again, whole, in order, under ids of their own."""
        calls = (("weather", {"place": "Paris"}), ("weather", {"place": "Rome", "x": [1, None]}))
        answer_with(server, lambda request: Reply(tool_calls=calls))
        model = accelerate(chat(), accel).bind_tools([weather])
        getattr(colour, how)(model, QUESTION)
        replays = [joined(colour.stream(model, QUESTION)) for _ in range(2)]
        assert server.call_count == 1
        for replay in replays:
            assert [(c["name"], c["args"]) for c in replay.tool_calls] == list(calls)
            assert replay.response_metadata["finish_reason"] == "tool_calls"
            assert replay.content == ""
        assert len({call["id"] for replay in replays for call in replay.tool_calls}) == 4

    def test_many_streams_of_one_answer(
        self, accel: Accel, chat: MakeChat, colour: Colour, joined: Join
    ) -> None:
        """What callers do to the chunks of one replay is not seen in the next."""
        model = accelerate(chat(), accel)
        colour.stream(model, QUESTION)
        for chunk in colour.stream(model, QUESTION):
            chunk.response_metadata["changed"] = True
            chunk.additional_kwargs["changed"] = True
            chunk.tool_call_chunks.append({"name": "x", "args": "", "id": "1", "index": 0})
            chunk.changed = True
        again = joined(colour.stream(model, QUESTION))
        assert "changed" not in {**again.response_metadata, **again.additional_kwargs}
        assert again.tool_calls == []
        assert not again.model_extra

    def test_chunks_given_are_not_the_ones_kept(
        self, accel: Accel, chat: MakeChat, colour: Colour, joined: Join
    ) -> None:
        """What callers do to the chunks of the model is not kept."""
        model = accelerate(chat(), accel)
        seen: list[Any] = []

        class Meddler(BaseCallbackHandler):
            def on_llm_new_token(self, token: Any, *, chunk: Any = None, **_: Any) -> None:
                seen.append(token)
                chunk.message.content = "changed"
                chunk.message.additional_kwargs["changed"] = True
                chunk.message.response_metadata["changed"] = True

        colour.stream(model, QUESTION, {"callbacks": [Meddler()]})
        assert len(seen) > 1
        again = joined(colour.stream(model, QUESTION))
        assert again.content == ANSWER
        assert "changed" not in {**again.response_metadata, **again.additional_kwargs}

    def test_partly_read_is_not_kept(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, joined: Join
    ) -> None:
        """A stream that its reader leaves is not taken for the whole answer."""
        model = accelerate(chat(), accel)
        assert joined(colour.take(model, QUESTION, 3)).content == "Answer to: "
        assert joined(colour.stream(model, QUESTION)).content == ANSWER
        assert colour.invoke(model, QUESTION).content == ANSWER
        assert server.call_count == 2

    def test_cut_stream_is_not_kept(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, joined: Join
    ) -> None:
        """A connection that breaks in the middle raises as ever, and the next call asks again."""
        model = accelerate(chat(), accel)
        answer_with(server, lambda request: Reply(chunks=("Par", "is"), break_after=1))
        with pytest.raises(Exception, match=r"incomplete|closed|error"):
            colour.stream(model, QUESTION)
        answer_with(server, lambda request: "Paris")
        assert joined(colour.stream(model, QUESTION)).content == "Paris"
        assert server.call_count == 2
        assert accel.stats().stored == 1

    def test_error_before_the_stream(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, joined: Join
    ) -> None:
        """An error instead of a stream is the provider's own, and is not kept."""
        model = accelerate(chat(), accel)
        answer_with(server, lambda request: Reply(status=429, content="slow down"))
        with pytest.raises(Exception, match="slow down"):
            colour.stream(model, QUESTION)
        answer_with(server, lambda request: "Paris")
        assert joined(colour.stream(model, QUESTION)).content == "Paris"

    @pytest.mark.parametrize(
        ("reply", "reason"),
        [
            (Reply(content="Par", finish_reason="length"), "truncated"),
            (Reply(content="Par", finish_reason="content_filter"), "refused"),
            (Reply(content=""), "empty"),
        ],
        ids=["cut", "filtered", "empty"],
    )
    def test_bad_answers_are_not_kept(
        self,
        accel: Accel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        *,
        reply: Reply,
        reason: str,
    ) -> None:
        """Streams follow the rules of whole answers."""
        answer_with(server, lambda request: reply)
        model = accelerate(chat(), accel)
        for _ in range(2):
            colour.stream(model, QUESTION)
        assert server.call_count == 2
        assert accel.stats().refused == {reason: 2}

    @pytest.mark.parametrize("first", ["stream", "invoke"])
    def test_content_blocks(
        self,
        accel: Accel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        joined: Join,
        *,
        first: str,
    ) -> None:
        """With ``output_version="v1"`` a replay has blocks for content, however it was asked."""
        model = accelerate(chat(output_version="v1"), accel)
        getattr(colour, first)(model, QUESTION)
        streamed, whole = joined(colour.stream(model, QUESTION)), colour.invoke(model, QUESTION)
        for message in (streamed, whole):
            assert [block["type"] for block in message.content] == ["text"]
            assert message.text == ANSWER
        assert server.call_count == 1

    def test_streaming_model(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """A model with ``streaming=True`` streams inside `invoke`, and is answered from memory."""
        model = accelerate(chat(streaming=True), accel)
        first, again = (colour.invoke(model, QUESTION) for _ in range(2))
        assert server.call_count == 1
        assert server.calls[0]["stream"] is True
        assert comparable(again) == comparable(first)

    def test_disabled_streaming(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, joined: Join
    ) -> None:
        """A model that must not stream does not, from memory either."""
        model = accelerate(chat(disable_streaming=True), accel)
        for _ in range(2):
            assert [chunk.content for chunk in colour.stream(model, QUESTION)] == [ANSWER]
        assert server.call_count == 1
        assert not server.calls[0].get("stream")


class TestAbandoned:
    """Streams that nobody reads to their end, or closes."""

    def test_leave_no_run_behind(
        self, accel: Accel, chat: MakeChat, server: ModelServer, runner: asyncio.Runner
    ) -> None:
        """In a task that lives on, streams left alone are not taken for runs in progress."""
        model = accelerate(chat(), accel)

        async def leave() -> Any:
            for number in range(5):
                stream = model.astream(f"question {number}")
                await anext(stream)
                del stream
            gc.collect()
            await model.ainvoke(QUESTION)
            return current_run()

        assert runner.run(leave()) is None

    def test_keep_nobody_waiting(
        self, accel: Accel, chat: MakeChat, server: ModelServer, runner: asyncio.Runner
    ) -> None:
        """A stream left alone frees its followers as soon as it is collected."""
        model = accelerate(chat(), accel)

        async def leave() -> Any:
            stream = model.astream(QUESTION)
            await anext(stream)
            del stream
            gc.collect()
            return await asyncio.create_task(model.ainvoke(QUESTION))

        assert runner.run(leave()).content == ANSWER


class TestEvents:
    """Event streams."""

    def test_v2(
        self, accel: Accel, chat: MakeChat, server: ModelServer, runner: asyncio.Runner
    ) -> None:
        """A hit makes the events of a call: start, tokens, end; from a chain as well."""
        model = accelerate(chat(), accel)

        async def events(runnable: Any) -> list[Any]:
            return [event async for event in runnable.astream_events(QUESTION, version="v2")]

        for runnable in (model, model | StrOutputParser()):
            for _ in range(2):
                told = runner.run(events(runnable))
                ours = [event for event in told if event["event"].startswith("on_chat_model")]
                kinds = [event["event"].removeprefix("on_chat_model_") for event in ours]
                assert kinds[0] == "start"
                assert kinds[-1] == "end"
                assert set(kinds[1:-1]) == {"stream"}
                assert ours[-1]["data"]["output"].content == ANSWER
                assert len({event["run_id"] for event in ours}) == 1
        assert server.call_count == 1

    def test_v2_of_invoke_inside(
        self, accel: Accel, chat: MakeChat, server: ModelServer, runner: asyncio.Runner
    ) -> None:
        """`ainvoke` inside a step of an event stream makes token events from memory, too."""
        from langchain_core.runnables import RunnableLambda

        model = accelerate(chat(), accel)

        async def step(text: str) -> Any:
            return (await model.ainvoke(text)).content

        async def count() -> int:
            chain = RunnableLambda(step)
            kinds = [event["event"] async for event in chain.astream_events(QUESTION, version="v2")]
            return kinds.count("on_chat_model_stream")

        assert runner.run(count()) > 1
        assert runner.run(count()) >= 1
        assert server.call_count == 1

    @BETA
    def test_v3(
        self, accel: Accel, chat: MakeChat, server: ModelServer, runner: asyncio.Runner
    ) -> None:
        """The newest protocol streams from memory, sync and async, and shares with the others."""
        model = accelerate(chat(), accel)

        async def astreamed(question: str) -> tuple[str, Any]:
            stream = await model.astream_events(question, version="v3")
            text = "".join([piece async for piece in stream.text])
            return text, await stream.output

        for question, calls in (("one", 1), ("one", 1), ("two", 2)):
            stream = model.stream_events(question, version="v3")
            assert "".join(stream.text) == f"Answer to: {question}"
            assert stream.output.text == f"Answer to: {question}"
            text, output = runner.run(astreamed(question))
            assert text == output.text == f"Answer to: {question}"
            assert server.call_count == calls
        assert model.invoke("one").content == "Answer to: one"
        assert server.call_count == 2

    @BETA
    def test_v3_tool_calls(
        self, accel: Accel, chat: MakeChat, server: ModelServer, runner: asyncio.Runner
    ) -> None:
        """Tool calls come through the newest protocol from memory, under ids of their own."""
        answer_with(server, lambda request: Reply(tool_calls=(("weather", {"place": "Paris"}),)))
        model: Any = accelerate(chat(), accel).bind_tools([weather])
        calls = [model.stream_events(QUESTION, version="v3").output.tool_calls[0] for _ in range(3)]
        assert server.call_count == 1
        assert [call["args"] for call in calls] == [{"place": "Paris"}] * 3
        assert len({call["id"] for call in calls}) == 3

    @BETA
    def test_v3_failure(
        self, accel: Accel, chat: MakeChat, server: ModelServer, runner: asyncio.Runner
    ) -> None:
        """A stream that breaks is not kept."""
        model = accelerate(chat(), accel)
        answer_with(server, lambda request: Reply(chunks=("Par", "is"), break_after=1))
        with pytest.raises(Exception, match=r"incomplete|closed|error"):
            _ = model.stream_events(QUESTION, version="v3").output
        answer_with(server, lambda request: "Paris")
        assert model.stream_events(QUESTION, version="v3").output.text == "Paris"

    def test_tokens_of_a_hit_in_invoke(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """A streaming model tells its handlers the tokens of a hit, as those of a call."""
        tokens: list[str] = []

        class Handler(BaseCallbackHandler):
            def on_llm_new_token(self, token: Any, **_: Any) -> None:
                tokens.append(token)

        model = accelerate(chat(streaming=True), accel)
        for _ in range(2):
            tokens.clear()
            colour.invoke(model, [HumanMessage(QUESTION)], {"callbacks": [Handler()]})
            assert "".join(tokens) == ANSWER
        assert server.call_count == 1
