"""SpeculativeToolRunnable in loops of the application's own, and who may be called unasked."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import BaseTool, StructuredTool, tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from pydantic import BaseModel, SecretStr

from accel_core.events import ToolCallBegun, ToolCallReused
from accel_core.permits import permit_of
from accel_core.policy.canonical import Unidentifiable
from accel_core.testing.replies import Reply
from langchain_accel import SpeculativeToolRunnable, trust_mcp
from langchain_accel._speculation_arguments import plain, validated
from tests.langchain.speculating import (
    WAIT_S,
    Lookup,
    Says,
    Scripted,
    Streaming,
    Trace,
    Wanted,
    shape,
    told,
)

if TYPE_CHECKING:
    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeAccel, MakeChat, Recorder

A, B = ("lookup", {"key": "a"}), ("lookup", {"key": "b"})


@pytest.fixture
def accel(make_accel: MakeAccel) -> Accel:
    return make_accel({"speculation": {"audit_share": 0.0, "window_s": 0.01}})


def made(
    accel: Accel, model: Any, tools: list[BaseTool], *guesses: Wanted, **options: Any
) -> SpeculativeToolRunnable:
    options.setdefault("predictors", [Says(*guesses)])
    options.setdefault("allowed", ["lookup"])
    return SpeculativeToolRunnable(model.bind_tools(tools), tools, accel=accel, **options)


def looped(colour: Colour, model: Any, tools: list[BaseTool], config: Any = None) -> list[Any]:
    """Ask, call what is asked for, and ask again: anybody's own loop."""
    messages: list[Any] = [HumanMessage("Look it up")]
    by_name = {one.name: one for one in tools}
    while True:
        answer = colour.invoke(model, messages, config)
        messages.append(answer)
        if not answer.tool_calls:
            return messages
        messages += [
            colour.invoke(by_name[call["name"]], call, config) for call in answer.tool_calls
        ]


def graph(colour: Colour, model: Any, tools: list[BaseTool]) -> Any:
    """A graph of a model and a `ToolNode`, built by hand."""

    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    async def aask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    built = StateGraph(MessagesState)
    built.add_node("model", ask if colour.name == "sync" else aask)
    built.add_node("tools", ToolNode(tools))
    built.add_edge(START, "model")
    built.add_conditional_edges("model", tools_condition)
    built.add_edge("tools", "model")
    return built.compile()


def test_a_loop_by_hand(accel: Accel, colour: Colour) -> None:
    """Calls are begun while the model thinks, and the loop's messages are what they were."""
    lookup, trace = Lookup(), Trace()
    model = Scripted(turns=[[A], [B]], before=lambda: lookup.called.wait(WAIT_S))
    speculative = made(accel, model, [lookup.tool], A)
    messages = looped(colour, speculative, speculative.tools, {"callbacks": [trace]})
    assert lookup.begun == ["a", "b"]
    assert [run[3] for run in trace.tools] == [True, False]
    plain = Scripted(turns=[[A], [B]]).bind_tools([lookup.tool])
    assert shape(messages) == shape(looped(colour, plain, [lookup.tool]))


def test_a_graph_of_a_tool_node(accel: Accel, colour: Colour) -> None:
    """A graph built by hand runs as it did, and its tools are called sooner."""
    lookup, trace = Lookup(), Trace()
    model = Scripted(turns=[[A, B]], before=lambda: lookup.called.wait(WAIT_S))
    speculative = made(accel, model, [lookup.tool], A)
    built = graph(colour, speculative, speculative.tools)
    state = colour.invoke(built, {"messages": [("user", "Look")]}, {"callbacks": [trace]})
    assert told(state["messages"]) == "<a>|<b>"
    assert sorted(lookup.begun) == ["a", "b"]
    assert sorted(run[2:] for run in trace.tools) == [("tools", False), ("tools", True)]


def test_a_change_made_by_a_tool_of_the_loops_own_is_seen(accel: Accel, colour: Colour) -> None:
    """A loop that calls a tool past the copies reads what that has changed."""
    stock = {"a": 1}

    @tool("lookup")
    def look(key: str) -> str:
        """Look something up."""
        return str(stock[key])

    @tool
    def sell(key: str) -> str:
        """Sell one."""
        stock[key] -= 1
        return "sold"

    for known in ([look, sell], [look]):
        stock["a"] = 1
        model = Scripted(turns=[[A], [("sell", {"key": "a"})], [A]])
        speculative = SpeculativeToolRunnable(
            model.bind_tools([look, sell]),
            known,
            allowed=["lookup"],
            predictors=[Says(by=lambda _: [A])],
            accel=accel,
        )
        messages = looped(colour, speculative, [speculative.tools[0], sell])
        assert told(messages) == "1|sold|0"


def test_it_stands_in_for_its_runnable(accel: Accel, chat: MakeChat, colour: Colour) -> None:
    """Names, schemas, streams, batches, callbacks and configuration are the runnable's."""
    lookup = Lookup()
    model = chat()
    bound = model.bind_tools([lookup.tool])
    speculative = made(accel, model, [lookup.tool], A)
    assert speculative.get_name() == bound.get_name()
    assert speculative.InputType == bound.InputType
    assert speculative.get_output_schema().model_json_schema() == (
        bound.get_output_schema().model_json_schema()
    )

    class Runs(BaseCallbackHandler):
        def __init__(self) -> None:
            self.started: list[Any] = []

        def on_chat_model_start(self, serialized: Any, messages: Any, **more: Any) -> None:
            self.started.append((more["tags"], more["metadata"].get("k"), more["parent_run_id"]))

    for one in (bound, speculative):
        runs = Runs()
        config = {"callbacks": [runs], "tags": ["t"], "metadata": {"k": "v"}}
        assert colour.invoke(one, "Hello", config).content == "Answer to: Hello"
        assert runs.started == [(["t"], "v", None)]
    texts = [m.content for m in colour.batch(speculative, ["x", "y"])]
    assert texts == ["Answer to: x", "Answer to: y"]
    streamed = colour.stream(speculative, "Hello")
    assert "".join(chunk.content for chunk in streamed) == "Answer to: Hello"
    assert len(streamed) == len(colour.stream(bound, "Hello"))
    chain = ChatPromptTemplate.from_messages([("user", "{q}")]) | speculative
    assert colour.invoke(chain, {"q": "Hi"}).content == "Answer to: Hi"
    assert "".join(c.content for c in colour.stream(chain, {"q": "Hi"})) == "Answer to: Hi"
    assert colour.invoke(speculative.bind(stop=["to"]), "Hi").content is not None
    assert colour.invoke(speculative.with_retry(), "Hi").content == "Answer to: Hi"


def test_a_chain_around_the_model(accel: Accel, colour: Colour) -> None:
    """What a model inside a chain is asked is heard; the chain may begin with anything."""
    lookup = Lookup()
    model = Scripted(turns=[[A]], before=lambda: lookup.called.wait(WAIT_S))
    chain = RunnableLambda(lambda said: [HumanMessage(said)]) | model.bind_tools([lookup.tool])
    speculative = SpeculativeToolRunnable(
        chain, [lookup.tool], allowed=["lookup"], predictors=[Says(A)], accel=accel
    )
    answer = colour.invoke(speculative, "Look it up")
    assert lookup.begun == ["a"]
    assert colour.invoke(speculative.tools[0], answer.tool_calls[0]).content == "<a>"
    assert lookup.begun == ["a"]


def test_a_stream_that_is_left_ends_its_guesses(accel: Accel, runner: Any) -> None:
    """Who stops reading leaves nothing under way."""
    import asyncio
    from contextlib import aclosing

    lookup = Lookup()
    lookup.gate.clear()
    speculative = made(accel, Streaming(turns=[[A]]), [lookup.tool], B)

    async def scenario() -> None:
        stream: Any = speculative.astream("Look")
        async with aclosing(stream):
            await anext(stream)
            await asyncio.to_thread(lookup.called.wait, WAIT_S)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait_for(asyncio.gather(*others, return_exceptions=True), WAIT_S)
        assert lookup.cancelled == ["b"]

    runner.run(scenario())


def test_copies_of_tools_are_their_tools(accel: Accel, colour: Colour) -> None:
    """Class, name, schema and description stay; copies of copies, and pickles, work."""
    lookup = Lookup()
    speculative = made(accel, Scripted(turns=[]), [lookup.tool, module_tool])
    copied, pickled = speculative.tools
    assert isinstance(copied, StructuredTool)
    assert type(copied).__name__ == "StructuredTool"
    assert copied.name == lookup.tool.name
    assert copied.args_schema is lookup.tool.args_schema
    assert copied.tool_call_schema.model_json_schema() == (
        lookup.tool.tool_call_schema.model_json_schema()
    )
    assert speculative._speculation.copied(copied) is copied
    for again in (copied.model_copy(), copy.copy(copied), copy.deepcopy(copied)):
        assert colour.invoke(again, {"key": "a"}) == "<a>"
    loaded = pickle.loads(pickle.dumps(pickled))
    assert type(loaded) is type(module_tool)
    assert colour.invoke(loaded, {"key": "a"}) == "<a>"
    assert type(module_tool).__mro__[0] is type(loaded)


class ModuleTool(BaseTool):
    """A tool of the application's own class."""

    name: str = "own"
    description: str = "Look something up."

    def _run(self, key: str) -> str:
        return f"<{key}>"


module_tool = ModuleTool()


def test_tools_of_ones_own_class(accel: Accel, events: Recorder, colour: Colour) -> None:
    """A subclass of `BaseTool` with a method for threads alone is guessed in both colours."""
    wanted = ("own", {"key": "a"})
    speculative = made(accel, Scripted(turns=[[wanted]]), [module_tool], wanted, allowed=["own"])
    answer = colour.invoke(speculative, "Look")
    assert colour.invoke(speculative.tools[0], answer.tool_calls[0]).content == "<a>"
    assert [event.tool for event in events.of(ToolCallBegun)] == ["own"]
    assert [event.tool for event in events.of(ToolCallReused)] == ["own"]


def test_the_same_call_by_two_agents_at_once_is_made_once(accel: Accel, runner: Any) -> None:
    """Two loops that ask for the same share one call, and each gets its own answer."""
    import asyncio

    lookup = Lookup()
    lookup.gate.clear()
    speculative = made(accel, Scripted(turns=[]), [lookup.tool])
    one = speculative.tools[0]

    async def scenario() -> list[ToolMessage]:
        calls = [
            {"name": "lookup", "args": {"key": "a"}, "id": i, "type": "tool_call"} for i in "xy"
        ]
        with accel.tenant("north"):
            both = asyncio.gather(*(one.ainvoke(call) for call in calls))
        while not lookup.begun:
            await asyncio.sleep(0)
        lookup.gate.set()
        return await both

    found = runner.run(scenario())
    assert [(m.content, m.tool_call_id) for m in found] == [("<a>", "x"), ("<a>", "y")]
    assert lookup.begun == ["a"]


def test_a_draft_model_guesses(
    accel: Accel, events: Recorder, chat: MakeChat, server: ModelServer, colour: Colour
) -> None:
    """A second model is asked the same beside the first, unheard, and its calls are begun."""
    lookup, trace = Lookup(), Trace()
    asked: list[str] = []

    def answer(request: dict[str, Any]) -> Reply:
        asked.append(request["model"])
        if request["messages"][-1]["role"] != "user":
            return Reply(content="done")
        if request["model"] == "large":
            lookup.called.wait(WAIT_S)
        return Reply(tool_calls=(A, ("sell", {"key": "a"})))

    @tool
    def sell(key: str) -> str:
        """Sell one."""
        sold.append(key)
        return "sold"

    sold: list[str] = []
    server._answer = answer
    model = chat(model="large").bind_tools([lookup.tool, sell])
    speculative = SpeculativeToolRunnable(
        model,
        [lookup.tool, sell],
        allowed=["lookup"],
        predictors=[],
        draft=chat(model="small"),
        accel=accel,
    )
    messages = [HumanMessage("Look it up")]
    first = colour.invoke(speculative, messages, {"callbacks": [trace]})
    assert sorted(asked) == ["large", "small"]
    assert lookup.begun == ["a"]
    assert sold == []
    assert [event.predictor for event in events.of(ToolCallBegun)] == ["draft"]
    assert colour.invoke(speculative.tools[0], first.tool_calls[0]).content == "<a>"
    assert lookup.begun == ["a"]


def test_a_draft_model_that_is_slow_or_broken_changes_nothing(
    accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
) -> None:
    """What a draft has not said when the model has answered is left; what it raises is an event."""
    lookup, answered = Lookup(), threading.Event()

    def answer(request: dict[str, Any]) -> Reply:
        if request["model"] == "slow":
            answered.wait(WAIT_S)
        if request["model"] == "broken":
            return Reply(status=500, content="no")
        return Reply(content="done")

    server._answer = answer
    for draft in ("slow", "broken"):
        speculative = made(accel, chat(), [lookup.tool], draft=chat(model=draft), predictors=[])
        assert colour.invoke(speculative, "Look").content == "done"
        answered.set()
    assert lookup.begun == []


def nested(annotations: dict[str, Any]) -> dict[str, Any]:
    return {"mcp": {"tool": {"annotations": annotations}}}


@pytest.mark.parametrize(
    ("metadata", "open_world", "trusted"),
    [
        ({"readOnlyHint": True, "openWorldHint": False}, False, True),
        ({"readOnlyHint": True, "openWorldHint": None}, False, False),
        ({"readOnlyHint": True}, True, True),
        ({"readOnlyHint": None, "openWorldHint": False}, True, False),
        ({"readOnlyHint": True, "destructiveHint": True, "openWorldHint": False}, True, False),
        ({"annotations": {"readOnlyHint": True, "openWorldHint": False}}, False, True),
        (nested({"readOnlyHint": True, "openWorldHint": False}), False, True),
        (nested({"read_only_hint": True, "open_world_hint": False}), False, True),
        (nested({"read_only_hint": True}), False, False),
        ({"mcp": "odd", "annotations": "odd"}, True, False),
        (None, True, False),
    ],
)  # fmt: skip
def test_what_a_trusted_server_says(
    metadata: dict[str, Any] | None, *, open_world: bool, trusted: bool
) -> None:
    """Only what is called read-only, and stays on the server, is marked; in either layout."""
    one = Lookup().tool
    one.metadata = metadata
    assert trust_mcp([one], open_world=open_world) == [one]
    assert (permit_of(one) is not None) is trusted


class Box(BaseModel):
    size: int = 1


class Secretive(BaseModel):
    key: SecretStr


def look(key: str, count: int = 2, box: Box = Box()) -> str:  # noqa: B008
    """Look something up."""
    return key


def test_calls_are_told_apart_by_all_that_they_are() -> None:
    """Defaults are filled in; what cannot be told apart belongs to no call but its own."""

    made_of = StructuredTool.from_function(look)
    short, long = (
        validated(made_of, given)
        for given in ({"key": "a"}, {"key": "a", "count": "2", "box": {"size": 1}})
    )
    assert short == long
    assert validated(made_of, {"key": "a", "box": {"size": 2}}) != short
    assert validated(made_of, {"count": 2}) is None
    for value in ({1: "a"}, {1, 2}, object(), Secretive(key=SecretStr("s"))):
        with pytest.raises(Unidentifiable):
            plain(value)
