"""Streams, threads and loops of one's own: what is begun, and when."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.agent.react.formatter import ReActChatFormatter
from llama_index.core.agent.react.output_parser import ReActOutputParser
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import CompletionResponse, MockLLM
from llama_index.core.llms.mock import MockFunctionCallingLLM

from accel_core.permits import speculatable
from accel_core.policy.trajectory import Observed, Said
from accel_core.testing.model_server import ModelServer
from tests.llamaindex.speculating import (
    Foresight,
    as_message,
    reasoned,
    said_in_turns,
    scripted,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from llama_index.core.base.llms.types import ChatMessage

    from tests.llamaindex.speculating import World

TRACK = (("track", {"parcel": "3"}),)
FIRST, SECOND = ("look", {"name": "first"}), ("look", {"name": "second"})


class Noted:
    """A tool that notes its calls, for either colour."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.began = threading.Event()

    def tool(self) -> Any:
        @speculatable
        def look(name: str) -> str:
            """Look."""
            self.called.append(name)
            self.began.set()
            return name

        return look


async def test_a_streamed_call_begins_when_the_next_one_does(world: World) -> None:
    """It is under way while the model writes on; what may still grow is not, though it parses."""
    noted = Noted()
    let, seen = asyncio.Event(), asyncio.Event()
    whole = as_message((FIRST, SECOND))
    growing = as_message((FIRST, ("look", {"name": "se"})))

    async def stream() -> AsyncGenerator[ChatMessage, None]:
        yield as_message((FIRST,))
        await asyncio.sleep(0)
        assert noted.called == []
        yield growing
        seen.set()
        await let.wait()
        yield whole

    answers = iter([stream(), as_message("Done.")])
    llm: Any = MockFunctionCallingLLM(response_generator=lambda *_, **__: next(answers))
    tools, llm = world.speculate([noted.tool()], llm, Foresight())
    handler = FunctionAgent(tools=tools, llm=llm).run(user_msg="Go.")
    await seen.wait()
    await asyncio.to_thread(noted.began.wait, 20)
    assert noted.called == ["first"]
    let.set()
    assert str(await handler) == "Done."
    assert noted.called == ["first", "second"]
    begun = [e for e in world.events() if type(e).__name__ == "ToolCallBegun"]
    assert {event.predictor for event in begun} == {"stream"}


async def test_a_stream_that_nobody_reads_ends_its_turn(world: World) -> None:
    """Whoever drops it unread, or half read, leaves nothing behind."""
    began, cancelled = asyncio.Event(), asyncio.Event()

    @speculatable
    async def look(name: str) -> str:
        """Look."""
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return name

    llm: Any = MockFunctionCallingLLM(response_generator=said_in_turns("Done."))
    tools, llm = world.speculate([look], llm, Foresight((FIRST,)))
    stream = await llm.astream_chat_with_tools(tools, user_msg="Go.")
    await began.wait()
    await stream.aclose()
    await asyncio.wait_for(cancelled.wait(), 20)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("streaming", [True, False])
def test_a_loop_of_ones_own(streaming: bool, world: World) -> None:
    """`chat_with_tools` and `tool.call`, in two threads: one run by nothing but its tenant."""
    predictor = Foresight(TRACK)
    desk = world.desk("desk")
    with ModelServer(scripted(TRACK, "It is in Lyon.")) as server:
        tools, llm = world.speculate(desk.tools(), world.llm(server), predictor)
        by_name = {tool.metadata.name: tool for tool in tools}
        history: list[Any] = []
        message: Any = "Where is parcel 3?"

        def answer() -> Any:
            with world.accel.tenant("north"):
                if streaming:
                    return list(llm.stream_chat_with_tools(tools, message, history))[-1]
                return llm.chat_with_tools(tools, message, history)

        with server.hold():
            released = threading.Thread(target=world.carrier.wait_for, args=(1,))
            released.start()
            asked = threading.Thread(target=lambda: history.append(answer()))
            asked.start()
            released.join()
        asked.join()
        response = history.pop()
        (call,) = llm.get_tool_calls_from_response(response)
        with world.accel.tenant("north"):
            output = by_name[call.tool_name].call(**call.tool_kwargs)
    assert output.content == "parcel 3 is in Lyon"
    assert desk.called == [("track", "3")]


def test_predict_and_call(world: World) -> None:
    """The tool is called while the model thinks, and its output is the answer; the next ends it."""
    noted = Noted()
    llm: Any = MockFunctionCallingLLM(response_generator=lambda *_, **__: _after(noted))
    predictor = Foresight((FIRST,))
    tools, llm = world.speculate([noted.tool()], llm, predictor)
    for question in ("a", "b"):
        assert llm.predict_and_call(tools, user_msg=question).response == "first"
    assert noted.called == ["first", "first"]
    said, observed = predictor.learned[0]
    assert said == Said("user", "a")
    assert observed == Observed("look", {"name": "first"}, "first", failed=False, turn=0)


def _after(noted: Noted) -> ChatMessage:
    assert noted.began.wait(20)
    return as_message((FIRST,))


def test_nobody_waits_for_a_loop_that_was_left(world: World) -> None:
    """What stands unfinished in a loop that runs no more is called again, at once."""
    called: list[str] = []
    began = asyncio.Event()

    @speculatable
    async def look(name: str) -> str:
        """Look."""
        called.append(name)
        if len(called) == 1:
            began.set()
            await asyncio.Event().wait()
        return name

    llm: Any = MockFunctionCallingLLM(response_generator=lambda *_, **__: as_message((FIRST,)))
    tools, llm = world.speculate([look], llm, Foresight((FIRST,)))

    async def ask() -> None:
        await llm.achat_with_tools(tools, "Go.")
        await began.wait()

    left = asyncio.new_event_loop()
    left.run_until_complete(ask())
    assert called == ["first"]
    assert world.ask.run(tools[0].acall(name="first")).content == "first"
    for task in asyncio.all_tasks(left):
        task.cancel()
    left.run_until_complete(asyncio.sleep(0))
    left.close()


def test_predict_and_call_in_text(world: World) -> None:
    """A model that calls no functions reasons in ReAct's form, and is guessed for all the same."""

    class Reasons(MockLLM):
        def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
            return CompletionResponse(text=reasoned((FIRST,)))

        def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
            yield self.complete(prompt, formatted, **kwargs)

    noted = Noted()
    llm: Any = Reasons()
    tools, llm = world.speculate([noted.tool()], llm, Foresight((FIRST,)))
    react = {"react_chat_formatter": ReActChatFormatter(), "output_parser": ReActOutputParser()}
    assert llm.predict_and_call(tools, user_msg="Go.", **react).response == "first"
    assert set(noted.called) == {"first"}
    assert type(world.events()[0]).__name__ == "ToolCallBegun"


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_draft_model_guesses(colour: str, world: World) -> None:
    """It is asked the same beside the main model, and its calls of free tools are begun."""
    noted = Noted()
    drafted: list[Any] = []

    def draft_says(messages: Any, **options: Any) -> ChatMessage:
        drafted.append(([m.content for m in messages], [t.metadata.name for t in options["tools"]]))
        return as_message((FIRST, ("act", {})))

    def act() -> str:
        """Act."""
        raise AssertionError("nobody asked for it")

    llm: Any = MockFunctionCallingLLM(response_generator=lambda *_, **__: _after(noted))
    draft = MockFunctionCallingLLM(response_generator=draft_says)
    tools, llm = world.speculate([noted.tool(), act], llm, None, draft=draft)

    async def ask() -> Any:
        response = await asyncio.to_thread(llm.chat_with_tools, tools, "Go.")
        return response if colour == "sync" else await llm.achat_with_tools(tools, "Go.")

    world.ask.run(ask())
    assert drafted[0] == (["Go."], ["look", "act"])
    assert noted.called[:1] == ["first"]


def test_a_draft_model_that_fails_changes_nothing(world: World) -> None:
    """An event tells, and the run is as it would be."""
    noted = Noted()

    def fails(*_: Any, **__: Any) -> ChatMessage:
        raise ConnectionError("no draft")

    llm: Any = MockFunctionCallingLLM(response_generator=said_in_turns((FIRST,), "Done."))
    draft = MockFunctionCallingLLM(response_generator=fails)
    tools, llm = world.speculate([noted.tool()], llm, None, draft=draft)

    async def run() -> str:
        return str(await FunctionAgent(tools=tools, llm=llm).run(user_msg="Go."))

    assert world.ask.run(run()) == "Done."
    assert noted.called == ["first"]
    failed = [e for e in world.events() if type(e).__name__ == "PredictorFailed"]
    assert failed[0].predictor == "draft"
