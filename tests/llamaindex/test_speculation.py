"""Agents whose tools are called before they ask: the run is the same, and waits less."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.agent.workflow import (
    AgentWorkflow,
    FunctionAgent,
    ReActAgent,
    ToolCallResult,
)
from llama_index.core.tools import FunctionTool

from accel_core.testing.model_server import ModelServer
from tests.llamaindex.speculating import Foresight, World, scripted

if TYPE_CHECKING:
    from tests.llamaindex.support import Caller

TRACK = (("track", {"parcel": "3"}),)
ADA, BOB = (("orders_of", {"customer": "ada"}),), (("orders_of", {"customer": "bob"}),)
NOBODY = (("orders_of", {"customer": "nobody"}),)
CANCEL = (("cancel", {"order": "2"}),)
WRONG_NAME, WRONG_TYPE = (("orders_of", {"name": "ada"}),), (("orders_of", {"customer": 7}),)
SEND = (("send", {"to": "ada"}),)
NONSENSE = (("send", {"to": 1}), ("track", {}), ("track", {"parcel": [1]}), ("track", {"x": 1}))

SCENARIOS: dict[str, tuple[list[Any], list[Any]]] = {
    "right": ([ADA, TRACK, "Done."], [ADA, TRACK]),
    "wrong": ([ADA, "Done."], [BOB + TRACK]),
    "fails": ([NOBODY, ADA, "Done."], [NOBODY, NOBODY]),
    "changed between": ([ADA, CANCEL, ADA, "Done."], [ADA, ADA, ADA, ADA]),
    "would change": ([CANCEL, ADA, "Done."], [CANCEL, CANCEL]),
    "unknown tool": ([SEND, ADA, "Done."], [ADA, ADA]),
    "wrong arguments": ([WRONG_NAME, ADA, "Done."], [ADA, ADA]),
    "wrong type": ([WRONG_TYPE, "Done."], [WRONG_TYPE]),
    "nonsense": ([ADA, "Done."], [NONSENSE]),
    "no tool": (["Done."], [ADA + TRACK]),
}
"""What the model says, and what is guessed at each of its turns."""
PARALLEL: dict[str, tuple[list[Any], list[Any]]] = {
    "several": ([ADA + BOB + TRACK, "Done."], [BOB + TRACK]),
    "twice the same": ([ADA + ADA, "Done."], []),
    "twice the same, guessed": ([ADA + ADA, "Done."], [ADA]),
}
CASES = [
    *itertools.product(["function"], [*SCENARIOS, *PARALLEL], [True]),
    *itertools.product(["function"], ["right", "changed between", "several"], [False]),
    *itertools.product(["react"], SCENARIOS, [False]),
    *itertools.product(["react"], ["right", "fails"], [True]),
    *itertools.product(["workflow"], ["right", "changed between", "several"], [True]),
]


def agent_of(kind: str, tools: Any, llm: Any, *, streaming: bool = True) -> Any:
    """Return an agent, alone or as the only one of a workflow."""
    if kind == "react":
        return ReActAgent(tools=tools, llm=llm, streaming=streaming)
    agent = FunctionAgent(name="a", description="d", tools=tools, llm=llm, streaming=streaming)
    return AgentWorkflow(agents=[agent], root_agent="a") if kind == "workflow" else agent


def transcript(agent: Any, server: ModelServer, ask: Caller) -> dict[str, Any]:
    """Run `agent`; return all that can be seen of the run.

    In an order of its own where a turn has several calls: LlamaIndex lists them as they end.
    """
    server.reset()
    results: list[Any] = []

    async def run() -> Any:
        handler = agent.run(user_msg="Help.", max_iterations=6)
        async for event in handler.stream_events():
            if isinstance(event, ToolCallResult):
                output = event.tool_output
                shown = output.model_dump(), type(output.exception), event.return_direct
                results.append((event.tool_name, event.tool_kwargs, *shown))
        return await handler

    try:
        answer = ask.run(run())
        said: Any = (str(answer), _sorted((c.tool_name, c.tool_kwargs) for c in answer.tool_calls))
    except Exception as error:
        said = (type(error), str(error))
    asked = [_in_order(request["messages"]) for request in server.calls]
    return {"said": said, "asked": asked, "results": _sorted(results)}


def _in_order(messages: list[dict[str, Any]]) -> list[Any]:
    groups = itertools.groupby(map(_told, messages), key=lambda message: message[0] == "tool")
    return [m for tools, group in groups for m in (_sorted(group) if tools else group)]


def _told(message: dict[str, Any]) -> Any:
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    return message["role"], message.get("content"), calls


def _sorted(items: Any) -> list[Any]:
    return sorted(items, key=repr)


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("kind", ["function", "react", "workflow"])
def test_a_guess_runs_while_the_model_thinks(kind: str, streaming: bool, world: World) -> None:
    """The tool is called before the model has answered, and once."""
    with ModelServer(scripted(TRACK, "It is in Lyon.")) as server:
        desk = world.desk("desk")
        tools, llm = world.speculate(desk.tools(), world.llm(server), Foresight(TRACK))

        async def run() -> str:
            agent = agent_of(kind, tools, llm, streaming=streaming)
            with server.hold():
                handler = agent.run(user_msg="Where is parcel 3?")
                await asyncio.to_thread(world.carrier.wait_for, 1)
            return str(await handler)

        assert world.ask.run(run()) == "It is in Lyon."
    assert desk.called == [("track", "3")]
    assert world.carrier.asked == ["3"]


@pytest.mark.parametrize(("kind", "scenario", "streaming"), CASES)
def test_a_run_is_what_it_is_without(
    kind: str, scenario: str, streaming: bool, world: World
) -> None:
    """Messages, results, errors and the answer are the same, whatever is guessed."""
    turns, guesses = {**SCENARIOS, **PARALLEL}[scenario]
    with ModelServer(scripted(*turns)) as server:
        desk = world.desk("without")
        agent = agent_of(kind, desk.tools(), world.llm(server), streaming=streaming)
        plain = transcript(agent, server, world.ask)
        desk = world.desk("with")
        tools, llm = world.speculate(desk.tools(), world.llm(server), Foresight(*guesses))
        agent = agent_of(kind, tools, llm, streaming=streaming)
        assert transcript(agent, server, world.ask) == plain
    changes = [call for call in desk.called if call[0] == "cancel"]
    assert len(changes) == sum(turn == CANCEL for turn in turns)


def test_a_tool_that_answers_the_user_still_does(world: World) -> None:
    """`return_direct` ends the run with the tool's output, of which predictors learn."""
    found: list[Any] = []
    predictor = Foresight(TRACK)
    with ModelServer(scripted(TRACK)) as server:
        for speculative in (False, True):
            function = world.desk(f"{speculative}").tools()[1]
            tools: Any = [FunctionTool.from_defaults(function, return_direct=True)]
            llm: Any = world.llm(server)
            if speculative:
                tools, llm = world.speculate(tools, llm, predictor)
            found.append(transcript(agent_of("function", tools, llm), server, world.ask))
    assert found[0] == found[1]
    (learned,) = predictor.learned
    assert [getattr(item, "observation", None) for item in learned] == [None, "parcel 3 is in Lyon"]
