"""Agents whose tools are called before they ask: the run is the same, and waits less."""

from __future__ import annotations

import asyncio
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
from llamaindex_accel.speculation import speculate
from tests.llamaindex.speculating import Carrier, Desk, Foresight, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from tests.llamaindex.support import Caller

ASKED = (("track", {"parcel": "3"}),)


@pytest.fixture
def carrier() -> Iterator[Carrier]:
    with Carrier() as carrier:
        yield carrier


@pytest.fixture
def desk(tmp_path: Path, carrier: Carrier) -> Desk:
    return Desk(tmp_path / "orders.sqlite", carrier)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(scripted(ASKED, "It is in Lyon.")) as server:
        yield server


def agent_of(kind: str, tools: Any, llm: Any, *, streaming: bool = True) -> Any:
    """Return an agent, alone or as the only one of a workflow."""
    if kind == "react":
        return ReActAgent(tools=tools, llm=llm, streaming=streaming)
    agent = FunctionAgent(name="a", description="d", tools=tools, llm=llm, streaming=streaming)
    return AgentWorkflow(agents=[agent], root_agent="a") if kind == "workflow" else agent


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("kind", ["function", "react", "workflow"])
def test_a_guess_runs_while_the_model_thinks(
    kind: str,
    streaming: bool,
    desk: Desk,
    carrier: Carrier,
    make_llm: Callable[..., OpenAI],
    accel: Accel,
    ask: Caller,
    server: ModelServer,
) -> None:
    """The tool is called before the model has answered, and once."""
    predictor = Foresight(ASKED)
    tools, llm = speculate(desk.tools(), make_llm(), accel, predictors=[predictor])

    async def run() -> str:
        agent = agent_of(kind, tools, llm, streaming=streaming)
        with server.hold():
            handler = agent.run(user_msg="Where is parcel 3?")
            await asyncio.to_thread(carrier.wait_for, 1)
        return str(await handler)

    assert ask.run(run()) == "It is in Lyon."
    assert desk.called == [("track", "3")]
    assert carrier.asked == ["3"]


ADA, BOB = (("orders_of", {"customer": "ada"}),), (("orders_of", {"customer": "bob"}),)
NOBODY = (("orders_of", {"customer": "nobody"}),)
CANCEL = (("cancel", {"order": "2"}),)
SCENARIOS: dict[str, tuple[list[Any], list[Any]]] = {
    "right": ([ADA, ASKED, "Done."], [ADA, ASKED]),
    "wrong": ([ADA, "Done."], [BOB + ASKED]),
    "fails": ([NOBODY, ADA, "Done."], [NOBODY, NOBODY]),
    "changed between": ([ADA, CANCEL, ADA, "Done."], [ADA, ADA, ADA, ADA]),
    "would change": ([CANCEL, ADA, "Done."], [CANCEL, CANCEL]),
    "unknown tool": ([(("send", {"to": "ada"}),), ADA, "Done."], [ADA, ADA]),
    "wrong arguments": ([(("orders_of", {"name": "ada"}),), ADA, "Done."], [ADA, ADA]),
    "wrong type": (
        [(("orders_of", {"customer": 7}),), "Done."],
        [(("orders_of", {"customer": 7}),)],
    ),
    "nonsense": (
        [ADA, "Done."],
        [(("send", {"to": 1}), ("track", {}), ("track", {"parcel": [1]}), ("track", {"x": 1}))],
    ),
    "no tool": (["Done."], [ADA + ASKED]),
}
PARALLEL: dict[str, tuple[list[Any], list[Any]]] = {
    "several": ([ADA + BOB + ASKED, "Done."], [BOB + ASKED]),
    "twice the same": ([ADA + ADA, "Done."], [()]),
    "twice the same, guessed": ([ADA + ADA, "Done."], [ADA]),
}


def transcript(agent: Any, server: ModelServer, ask: Caller) -> dict[str, Any]:
    """Run `agent`; return all that can be seen of the run."""
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
        said: Any = (str(answer), [(c.tool_name, c.tool_kwargs) for c in answer.tool_calls])
    except Exception as error:
        said = (type(error), str(error))
    asked = [[_told(m) for m in request["messages"]] for request in server.calls]
    return {"said": said, "asked": asked, "results": sorted(results, key=repr)}


def _told(message: dict[str, Any]) -> Any:
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    return message["role"], message.get("content"), calls


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("scenario", [*SCENARIOS, *PARALLEL])
@pytest.mark.parametrize("kind", ["function", "react", "workflow"])
def test_a_run_is_what_it_is_without(
    kind: str,
    scenario: str,
    streaming: bool,
    tmp_path: Path,
    carrier: Carrier,
    make_llm: Callable[..., OpenAI],
    accel: Accel,
    ask: Caller,
) -> None:
    """Messages, results, errors and the answer are the same, whatever is guessed."""
    if kind == "react" and scenario in PARALLEL:
        pytest.skip("a step of ReAct calls one tool")
    turns, guesses = {**SCENARIOS, **PARALLEL}[scenario]
    with ModelServer(scripted(*turns)) as server:
        llm = make_llm(api_base=server.url)
        desk = Desk(tmp_path / "without.sqlite", carrier)
        plain = transcript(agent_of(kind, desk.tools(), llm, streaming=streaming), server, ask)
        desk = Desk(tmp_path / "with.sqlite", carrier)
        predictor = Foresight(*guesses)
        tools, llm = speculate(desk.tools(), llm, accel, predictors=[predictor])
        speculated = transcript(agent_of(kind, tools, llm, streaming=streaming), server, ask)
    assert speculated == plain
    changes = [call for call in desk.called if call[0] == "cancel"]
    assert len(changes) == sum(turn == CANCEL for turn in turns)


def test_a_tool_that_answers_the_user_still_does(
    tmp_path: Path,
    carrier: Carrier,
    make_llm: Callable[..., OpenAI],
    accel: Accel,
    ask: Caller,
    server: ModelServer,
) -> None:
    """`return_direct` ends the run with the tool's output, of which predictors learn."""
    found: list[Any] = []
    predictor = Foresight(ASKED)
    for speculative in (False, True):
        desk = Desk(tmp_path / f"{speculative}.sqlite", carrier)
        tools: Any = [FunctionTool.from_defaults(desk.tools()[1], return_direct=True)]
        llm = make_llm()
        if speculative:
            tools, llm = speculate(tools, llm, accel, allow=["track"], predictors=[predictor])
        found.append(transcript(agent_of("function", tools, llm), server, ask))
    assert found[0] == found[1]
    (learned,) = predictor.learned
    assert [getattr(item, "observation", None) for item in learned] == [None, "parcel 3 is in Lyon"]
