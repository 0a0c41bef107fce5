"""Agents and tools: a second run asks no model, and says what the first said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.tools import FunctionTool

from accel_core.testing.model_server import ModelServer
from accel_core.testing.replies import Reply
from llamaindex_accel import accelerate
from tests.llamaindex.support import METHODS, origin, user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from tests.llamaindex.support import Caller

QUESTION = "What is the weather in Paris and in Rome?"
LOOKED_UP: list[str] = []


def weather(city: str) -> str:
    """Tell the weather in a city."""
    LOOKED_UP.append(city)
    return f"sunny in {city}"


TOOL = FunctionTool.from_defaults(fn=weather)


def research(request: dict[str, Any]) -> Reply | str:
    """Ask for both cities at once, then repeat what the tools said."""
    results = [m["content"] for m in request["messages"] if m["role"] == "tool"]
    if results:
        return " and ".join(results)
    if "tools" in request:
        return Reply(tool_calls=(("weather", {"city": "Paris"}), ("weather", {"city": "Rome"})))
    return react(request)


def react(request: dict[str, Any]) -> str:
    """Reason in ReAct's form: one tool, then the answer."""
    last = str(request["messages"][-1]["content"])
    if last.startswith("Observation:"):
        return f"Thought: I know.\nAnswer: It is {last.partition(':')[2].strip()}"
    return 'Thought: I need a tool.\nAction: weather\nAction Input: {"city": "Paris"}'


@pytest.fixture
def server() -> Iterator[ModelServer]:
    LOOKED_UP.clear()
    with ModelServer(research) as server:
        yield server


def run_twice(make: Callable[[], Any], ask: Caller, server: ModelServer) -> tuple[str, int, int]:
    """Run two new agents; return the answer both gave, and the model calls of each."""

    async def run() -> str:
        return str(await make().run(user_msg=QUESTION))

    first = ask.run(run())
    calls = server.call_count
    assert ask.run(run()) == first
    return first, calls, server.call_count - calls


@pytest.mark.parametrize("streaming", [True, False])
def test_function_agent(streaming: bool, llm: OpenAI, ask: Caller, server: ModelServer) -> None:
    """A `FunctionAgent` runs its tools again, and asks no model again."""

    def make() -> FunctionAgent:
        return FunctionAgent(tools=[TOOL], llm=llm, streaming=streaming)

    assert run_twice(make, ask, server) == ("sunny in Paris and sunny in Rome", 2, 0)
    assert sorted(LOOKED_UP) == ["Paris", "Paris", "Rome", "Rome"]


def test_streaming_and_whole_agents_share(llm: OpenAI, ask: Caller, server: ModelServer) -> None:
    """What a streaming agent was answered serves one that does not stream, tool calls included."""
    streaming = iter([True, False])

    def make() -> FunctionAgent:
        return FunctionAgent(tools=[TOOL], llm=llm, streaming=next(streaming))

    assert run_twice(make, ask, server)[1:] == (2, 0)


def test_agent_workflow(llm: OpenAI, ask: Caller, server: ModelServer) -> None:
    """An `AgentWorkflow` with an accelerated model asks no model in its second run."""

    def make() -> AgentWorkflow:
        agent = FunctionAgent(name="w", description="weather", tools=[TOOL], llm=llm)
        return AgentWorkflow(agents=[agent], root_agent="w")

    assert run_twice(make, ask, server) == ("sunny in Paris and sunny in Rome", 2, 0)


@pytest.mark.parametrize("streaming", [True, False])
def test_react_agent(streaming: bool, llm: OpenAI, ask: Caller, server: ModelServer) -> None:
    """A `ReActAgent` reads its own form again from replays."""

    def make() -> ReActAgent:
        return ReActAgent(tools=[TOOL], llm=llm, streaming=streaming)

    assert run_twice(make, ask, server) == ("It is sunny in Paris", 2, 0)


def test_agents_of_two_tenants_share_nothing(
    llm: OpenAI, accel: Accel, ask: Caller, server: ModelServer
) -> None:
    """A workflow's steps belong to the tenant that started it."""

    async def run() -> str:
        return str(await FunctionAgent(tools=[TOOL], llm=llm).run(user_msg=QUESTION))

    for tenant, calls in (("a", 2), ("b", 4), ("a", 4)):
        with accel.tenant(tenant):
            ask.run(run())
        assert server.call_count == calls


@pytest.mark.parametrize("first", METHODS["chat"])
@pytest.mark.parametrize("second", METHODS["chat"])
def test_tool_calls_are_read_from_a_replay(
    first: str, second: str, llm: OpenAI, ask: Caller
) -> None:
    """What the model wants called is the same in a replay, under new ids."""
    tools = [TOOL.metadata.to_openai_tool()]
    asked, replayed = (ask(llm, method, QUESTION, tools=tools)[-1] for method in (first, second))
    assert (origin(asked), origin(replayed)) == (None, "exact")
    wanted, again = (llm.get_tool_calls_from_response(one) for one in (asked, replayed))
    assert [(call.tool_name, call.tool_kwargs) for call in again] == [
        (call.tool_name, call.tool_kwargs) for call in wanted
    ]
    ids = {call.tool_id for call in (*wanted, *again)}
    assert len(ids) == 4
    assert all(call_id.startswith("call_") for call_id in ids)


def test_tool_calls_are_read_as_attributes(llm: OpenAI, ask: Caller) -> None:
    """Older code finds OpenAI's own objects in ``additional_kwargs``, with the blocks' ids."""
    tools = [TOOL.metadata.to_openai_tool()]
    ask(llm, "stream_chat", QUESTION, tools=tools)
    message = ask(llm, "chat", QUESTION, tools=tools)[0].message
    calls = message.additional_kwargs["tool_calls"]
    blocks = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    assert [call.id for call in calls] == [block.tool_call_id for block in blocks]
    assert [call.type for call in calls] == ["function", "function"]
    assert [call.function.name for call in calls] == ["weather", "weather"]
    without_blocks = ask(llm, "chat", QUESTION, tools=tools)[0]
    without_blocks.message.blocks = []
    assert len(llm.get_tool_calls_from_response(without_blocks)) == 2


def test_a_conversation_goes_on_after_a_hit(llm: OpenAI, ask: Caller, server: ModelServer) -> None:
    """The turn after a replayed tool call is found again, whatever ids the calls have."""
    tools = [TOOL.metadata.to_openai_tool()]
    for _ in range(3):
        history = user(QUESTION)
        message = ask(llm, "chat", history, tools=tools)[0].message
        history.append(message)
        for call in llm.get_tool_calls_from_response(ask(llm, "chat", history[:1], tools=tools)[0]):
            assert call.tool_name == "weather"
        for block in message.blocks:
            result = ChatMessage(
                role="tool",
                content=f"sunny in {block.tool_kwargs}",
                additional_kwargs={"tool_call_id": block.tool_call_id},
            )
            history.append(result)
        ask(llm, "achat", history, tools=tools)
    assert server.call_count == 2


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_predict_and_call(colour: str, llm: OpenAI, ask: Caller, server: ModelServer) -> None:
    """A predicted call is carried out again, and not asked for again."""
    outcomes = []
    for _ in range(2):
        given: dict[str, Any] = {"user_msg": QUESTION, "allow_parallel_tool_calls": True}
        if colour == "sync":
            outcomes.append(str(llm.predict_and_call([TOOL], **given)))
        else:
            outcomes.append(str(ask.run(llm.apredict_and_call([TOOL], **given))))
    assert outcomes == ["sunny in Paris\n\nsunny in Rome"] * 2
    assert server.call_count == 1


def test_tool_answers_are_never_served_by_meaning(
    llm: OpenAI, accel: Accel, ask: Caller, server: ModelServer
) -> None:
    """An answer that asks for tools is served to the very same question only."""
    tools = [TOOL.metadata.to_openai_tool()]
    ask(llm, "chat", "weather in Paris today please", tools=tools)
    accel.flush()
    again = ask(llm, "chat", "Weather in Paris today, please!", tools=tools)
    assert origin(again[0]) is None
    assert server.call_count == 2


def test_only_one_of_several_calls(
    make_llm: Callable[..., OpenAI], accel: Accel, server: ModelServer
) -> None:
    """What LlamaIndex cuts from a response after the call is still in the stored one."""
    llm = accelerate(make_llm(), accel)
    one = llm.chat_with_tools([TOOL], QUESTION, allow_parallel_tool_calls=False)
    assert len(llm.get_tool_calls_from_response(one)) == 1
    spec = {
        "tools": [TOOL.metadata.to_openai_tool(skip_length_check=True)],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
    }
    spec["tools"][0]["function"]["strict"] = False
    spec["tools"][0]["function"]["parameters"]["additionalProperties"] = False
    whole = llm.chat(user(QUESTION), **spec)
    assert origin(whole) == "exact"
    assert len(llm.get_tool_calls_from_response(whole)) == 2
    assert server.call_count == 1
