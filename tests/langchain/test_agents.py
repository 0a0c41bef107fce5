"""Agents and graphs: the second run of the same conversation asks the model nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessageChunk
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from pydantic import BaseModel

from accel_core.testing.replies import Reply, echo, last_user_text
from langchain_accel import AccelCache, accelerate

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeChat

QUESTION = "What is the climate of Paris?"
runs: list[str] = []


@tool
def weather(place: str) -> str:
    """Tell the weather at a place."""
    runs.append(place)
    return f"sunny in {place}"


class Report(BaseModel):
    """A report on the weather."""

    place: str


def reply(request: dict[str, Any]) -> Reply:
    """Ask for the weather first, then tell it; in the form that is demanded."""
    if request.get("response_format"):
        return echo(request)
    last = request["messages"][-1]
    names = [entry["function"]["name"] for entry in request.get("tools") or []]
    if last["role"] == "user" and "weather" in names:
        return Reply(tool_calls=(("weather", {"place": "Paris"}),))
    if "Report" in names:
        return Reply(tool_calls=(("Report", {"place": "Paris"}),))
    return Reply(content=f"{last_user_text(request)} It is {last['content']}.")


@pytest.fixture(params=["accelerate", "set_llm_cache"])
def model(request: pytest.FixtureRequest, accel: Accel, chat: MakeChat, server: ModelServer) -> Any:
    """A model that answers from memory, by either way of saying so."""
    server._answer = reply
    runs.clear()
    if request.param == "accelerate":
        return accelerate(chat(), accel)
    set_llm_cache(AccelCache(accel))
    return chat()


def shape(state: dict[str, Any]) -> list[Any]:
    """Return the conversation without what differs from run to run."""
    return [
        (m.type, m.content, [(c["name"], c["args"]) for c in getattr(m, "tool_calls", ())])
        for m in state["messages"]
    ]


def test_second_run_is_free(model: Any, server: ModelServer, colour: Colour) -> None:
    """A new agent asked the same makes no model call, runs its tools, and says the same."""
    states = [
        colour.invoke(create_agent(model, [weather]), {"messages": [("user", QUESTION)]})
        for _ in range(2)
    ]
    assert server.call_count == 2
    assert runs == ["Paris", "Paris"]
    assert shape(states[0]) == shape(states[1])
    assert states[1]["messages"][-1].content == f"{QUESTION} It is sunny in Paris."
    ids = [m.id for state in states for m in state["messages"]]
    assert len(set(ids)) == len(ids)


def test_threads_of_a_checkpointer(model: Any, server: ModelServer, colour: Colour) -> None:
    """Two turns in one thread, then the same two in another: all messages kept, nothing asked."""
    agent = create_agent(model, [weather], checkpointer=InMemorySaver(), system_prompt="Be brief.")
    states = []
    for thread in ("a", "b"):
        for question in (QUESTION, "And tomorrow?"):
            config = {"configurable": {"thread_id": thread}}
            state = colour.invoke(agent, {"messages": [("user", question)]}, config)
        states.append(state)
    assert server.call_count == 4
    assert shape(states[0]) == shape(states[1])
    assert [m.type for m in states[1]["messages"]] == ["human", "ai", "tool", "ai"] * 2


def test_asked_twice_in_one_thread(model: Any, server: ModelServer, colour: Colour) -> None:
    """The same question again in one thread is another conversation, and keeps every message."""
    agent = create_agent(model, [weather], checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "a"}}
    for _ in range(2):
        state = colour.invoke(agent, {"messages": [("user", QUESTION)]}, config)
    assert server.call_count == 4
    assert [m.type for m in state["messages"]] == ["human", "ai", "tool", "ai"] * 2


@pytest.mark.parametrize("strategy", [ProviderStrategy, ToolStrategy, lambda kind: kind])
def test_structured_response(
    model: Any, server: ModelServer, colour: Colour, *, strategy: Callable[[Any], Any]
) -> None:
    """A structured response comes from memory too, and the agent ends."""
    agent = create_agent(model, response_format=strategy(Report))
    answers = [
        colour.invoke(agent, {"messages": [("user", QUESTION)]})["structured_response"]
        for _ in range(2)
    ]
    assert server.call_count == 1
    assert isinstance(answers[0], Report)
    assert answers[0] == answers[1]


def test_agents_with_other_tools_or_prompts(
    model: Any, server: ModelServer, colour: Colour
) -> None:
    """Another system prompt or set of tools is another request."""

    @tool
    def time(place: str) -> str:
        """Tell the time at a place."""
        return f"noon in {place}"

    question = {"messages": [("user", "Hello")]}
    for tools, prompt in (([time], None), ([time], "Be brief."), ([], "Be brief."), ([time], None)):
        colour.invoke(create_agent(model, tools, system_prompt=prompt), question)
    assert server.call_count == 3


def test_named_agent(model: Any, server: ModelServer, colour: Colour) -> None:
    """An agent that writes its name on its answers does not write it on stored ones."""
    question = {"messages": [("user", "Hello")]}
    names = [
        colour.invoke(create_agent(model, name=name), question)["messages"][-1].name
        for name in ("ann", "bob", None)
    ]
    assert names == ["ann", "bob", None]
    assert server.call_count == 1


def _graph(model: Any, colour: Colour) -> Any:
    def call(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    async def acall(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", call if colour.name == "sync" else acall)
    graph.add_edge(START, "model")
    return graph.compile()


def test_messages_are_streamed_from_memory(
    accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
) -> None:
    """LangGraph's ``stream_mode="messages"`` streams a hit in chunks, as it does an answer."""
    server._answer = lambda request: "word " * 60
    graph = _graph(accelerate(chat(), accel), colour)
    question = {"messages": [("user", QUESTION)]}
    for _ in range(3):
        told = [message for message, _ in colour.stream(graph, question, stream_mode="messages")]
        chunks = [message for message in told if isinstance(message, AIMessageChunk)]
        assert len([chunk for chunk in chunks if chunk.content]) > 1
        assert "".join(chunk.content for chunk in told) == "word " * 60
        assert len({chunk.id for chunk in chunks}) == 1
    assert server.call_count == 1


def test_messages_of_a_cache_hit_arrive(
    accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
) -> None:
    """Behind `set_llm_cache` a hit arrives in ``stream_mode="messages"`` whole, once."""
    set_llm_cache(AccelCache(accel))
    graph = _graph(chat(), colour)
    question = {"messages": [("user", QUESTION)]}
    for _ in range(3):
        told = colour.stream(graph, question, stream_mode="messages")
        assert "".join(message.content for message, _ in told) == f"Answer to: {QUESTION}"
    assert server.call_count == 1


def test_agent_streams_from_memory(model: Any, server: ModelServer, colour: Colour) -> None:
    """An agent streamed step by step tells the same steps from memory."""
    steps = []
    for _ in range(2):
        agent = create_agent(model, [weather])
        told = colour.stream(agent, {"messages": [("user", QUESTION)]}, stream_mode="updates")
        steps.append([(node, shape(update)) for step in told for node, update in step.items()])
    assert steps[0] == steps[1]
    assert [node for node, _ in steps[1]] == ["model", "tools", "model"]
    assert server.call_count == 2
