"""What tools do with the run around them, while they are only guessed."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool, StructuredTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.types import Command, interrupt
from langsmith.run_helpers import tracing_context
from langsmith.utils import tracing_is_enabled
from pydantic import BaseModel, PrivateAttr, model_validator

from accel_core import tenancy
from accel_core.events import ToolCallReused
from langchain_accel import SpeculativeTools
from langchain_accel._speculation_context import muted
from tests.langchain.speculating import WAIT_S, Lookup, Says, Scripted, asking, told, turn_of

if TYPE_CHECKING:
    from accel_core.accel import Accel
    from tests.langchain.conftest import Colour, MakeAccel, Recorder

QUESTION = {"messages": [("user", "Look it up")]}
A = ("lookup", {"key": "a"})


@pytest.fixture
def accel(make_accel: MakeAccel) -> Accel:
    return make_accel({"speculation": {"audit_share": 0.0, "window_s": 0.01}})


def guessing(accel: Accel, *calls: Any, allowed: Any = ("lookup",)) -> SpeculativeTools:
    return SpeculativeTools(allowed, predictors=[Says(*calls)], accel=accel)


def thinking(begun: threading.Event) -> Any:
    """Let the model think until a guess has begun, the first time."""
    return lambda: begun.wait(WAIT_S)


def test_a_tool_that_interrupts(accel: Accel, colour: Colour) -> None:
    """A guess interrupts nothing, and takes nobody's answer: the run pauses and resumes as ever."""
    begun = threading.Event()

    @tool("lookup")
    def ask(key: str) -> str:
        """Ask somebody."""
        begun.set()
        return f"<{interrupt(key)}>"

    agent = create_agent(
        Scripted(turns=[[A], [A]], before=thinking(begun)),
        [ask],
        middleware=[guessing(accel, A)],
        checkpointer=InMemorySaver(),
    )
    config = {"configurable": {"thread_id": "t"}}
    state = colour.invoke(agent, QUESTION, config)
    assert [one.value for one in state["__interrupt__"]] == ["a"]
    state = colour.invoke(agent, Command(resume="one"), config)
    assert [one.value for one in state["__interrupt__"]] == ["a"]
    state = colour.invoke(agent, Command(resume="two"), config)
    assert told(state["messages"]) == "<one>|<two>"


def test_a_tool_that_streams(accel: Accel, colour: Colour) -> None:
    """What a tool writes into the run's stream is written by the real call, once."""
    begun = threading.Event()

    @tool("lookup")
    def tell(key: str) -> str:
        """Tell on the way."""
        begun.set()
        get_stream_writer()(f"looking for {key}")
        return f"<{key}>"

    agent = create_agent(
        Scripted(turns=[[A]], before=thinking(begun)), [tell], middleware=[guessing(accel, A)]
    )
    assert colour.stream(agent, QUESTION, stream_mode="custom") == ["looking for a"]


def test_what_a_guess_does_is_not_traced(accel: Accel, colour: Colour) -> None:
    """Runnables inside a guessed tool tell no callback and no tracer of theirs."""
    seen: list[tuple[Any, ...]] = []
    begun = threading.Event()

    @tool("lookup")
    def inside(key: str) -> str:
        """Look something up."""
        config = ensure_config()
        seen.append((config["tags"], config["configurable"]))
        found = RunnableLambda(lambda _: f"<{key}>").with_config(run_name="inner").invoke(key)
        begun.set()
        return str(found)

    class Chains(BaseCallbackHandler):
        def __init__(self) -> None:
            self.names: list[str] = []

        def on_chain_start(self, serialized: Any, inputs: Any, **more: Any) -> None:
            self.names.append(more.get("name") or "")

    agent = create_agent(
        Scripted(turns=[[A]], before=thinking(begun)), [inside], middleware=[guessing(accel, A)]
    )
    chains = Chains()
    config = {"callbacks": [chains], "configurable": {"user": "ann"}}
    assert told(colour.invoke(agent, QUESTION, config)["messages"]) == "<a>"
    assert seen == [(["nostream"], {"user": "ann"})]
    assert "inner" not in chains.names
    with tracing_context(enabled=True):
        context = muted({})
        assert tracing_is_enabled()
    assert not context.run(tracing_is_enabled)


def test_an_agent_inside_a_tool(accel: Accel, events: Recorder, colour: Colour) -> None:
    """An agent that is a tool of another shares the middleware, and both are guessed for."""
    lookup = Lookup()
    ours = SpeculativeTools(
        ["lookup", "delegate"],
        predictors=[
            Says(by=lambda seen: [A] if len(seen) == 1 and seen[0].text == "inner" else [])
        ],
        accel=accel,
    )
    inner = create_agent(
        Scripted(turns=[[A]], before=thinking(lookup.called)), [lookup.tool], middleware=[ours]
    )
    value = {"messages": [("user", "inner")]}

    def blocking(key: str) -> str:
        """Delegate."""
        return str(inner.invoke(value)["messages"][-1].content)

    async def looped(key: str) -> str:
        """Delegate."""
        return str((await inner.ainvoke(value))["messages"][-1].content)

    delegate = StructuredTool.from_function(blocking, looped, name="delegate")
    wanted = ("delegate", {"key": "k"})
    outer = create_agent(Scripted(turns=[[wanted]]), [delegate], middleware=[ours])
    assert told(colour.invoke(outer, QUESTION)["messages"]) == "done: <a>"
    assert lookup.begun == ["a"]
    assert [event.tool for event in events.of(ToolCallReused)] == ["lookup"]


def test_the_same_call_twice_in_one_answer(accel: Accel, colour: Colour) -> None:
    """Of tools that change nothing one call is made; of others each."""
    lookup, write = Lookup(), Lookup("write")
    both = [A, A, ("write", {"key": "a"}), ("write", {"key": "a"})]
    for calls in (both[:2], both[2:]):
        agent = create_agent(
            Scripted(turns=[calls]), [lookup.tool, write.tool], middleware=[guessing(accel)]
        )
        messages = colour.invoke(agent, QUESTION)["messages"]
        assert told(messages) == "<a>|<a>"
        found = [m.tool_call_id for m in messages if isinstance(m, ToolMessage)]
        assert found == [c["id"] for c in messages[1].tool_calls]
    assert lookup.begun == ["a"]
    assert write.begun == ["a", "a"]


def test_agents_at_once_share_a_call(accel: Accel, runner: Any) -> None:
    """Two agents, each with a middleware of its own, that ask for the same make one call."""
    lookup = Lookup()
    lookup.gate.clear()
    agents = [
        create_agent(
            Scripted(turns=[[A]]),
            [lookup.tool],
            middleware=[SpeculativeTools(["lookup"], accel=accel)],
        )
        for _ in range(2)
    ]

    async def scenario() -> list[Any]:
        with accel.tenant("north"):
            both = asyncio.gather(*(agent.ainvoke(QUESTION) for agent in agents))
        while not lookup.begun:
            await asyncio.sleep(0)
        for _ in range(1_000):  # the other one comes as far as it can
            await asyncio.sleep(0)
        lookup.gate.set()
        return await both

    assert [told(state["messages"]) for state in runner.run(scenario())] == ["<a>", "<a>"]
    assert lookup.begun == ["a"]


def test_what_another_agent_changes_is_seen(accel: Accel, colour: Colour) -> None:
    """A change by one agent makes worthless what another found, whoever guesses for either."""
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

    reader = create_agent(Scripted(turns=[[A]]), [look], middleware=[guessing(accel)])
    seller = create_agent(
        Scripted(turns=[[("sell", {"key": "a"})]]), [sell], middleware=[guessing(accel)]
    )
    asked = (reader, seller, reader)
    seen = [told(colour.invoke(agent, QUESTION)["messages"]) for agent in asked]
    assert seen == ["1", "sold", "0"]


def test_tools_for_event_loops_alone(accel: Accel, runner: Any) -> None:
    """A tool without a method for threads, as those of MCP are, is guessed on the loop."""
    begun = threading.Event()

    async def look(key: str) -> str:
        """Look something up."""
        calls.append(key)
        begun.set()
        return f"<{key}>"

    calls: list[str] = []
    made = StructuredTool(
        name="lookup",
        description="Look something up.",
        args_schema={"type": "object", "properties": {"key": {"type": "string"}}},
        coroutine=look,
    )
    agent = create_agent(
        Scripted(turns=[[A]], before=thinking(begun)), [made], middleware=[guessing(accel, A)]
    )
    state = runner.run(agent.ainvoke(QUESTION))
    assert told(state["messages"]) == "<a>"
    assert calls == ["a"]
    with pytest.raises(NotImplementedError):
        agent.invoke(QUESTION)


@dataclass
class Who:
    user: str


def test_nothing_crosses_the_runs_context(accel: Accel, colour: Colour) -> None:
    """Runs that are given another context share no call, though tools may look at it."""
    lookup = Lookup()
    agent = create_agent(
        Scripted(turns=[[A]]), [lookup.tool], middleware=[guessing(accel)], context_schema=Who
    )
    for user in ("ann", "bob"):
        colour.invoke(agent, QUESTION, context=Who(user))
    assert lookup.begun == ["a", "a"]


def test_ids_that_runs_share(accel: Accel, runner: Any) -> None:
    """Runs at once whose models number their calls alike each get their own results."""
    lookup = Lookup()

    def answer(messages: Any) -> AIMessage:
        if turn_of(messages):
            return AIMessage(f"done: {told(messages)}")
        made = asking(("lookup", {"key": messages[-1].content}))
        made.tool_calls[0]["id"] = "call_0"
        return made

    guesses = Says(by=lambda seen: [("lookup", {"key": seen[-1].text})] if len(seen) == 1 else [])
    ours = SpeculativeTools(["lookup"], predictors=[guesses], accel=accel)
    agent = create_agent(Scripted(turns=answer), [lookup.tool], middleware=[ours])

    async def scenario() -> list[Any]:
        asked = [{"messages": [("user", f"k{i}")]} for i in range(10)]
        return await asyncio.gather(*(agent.ainvoke(value) for value in asked))

    found = [state["messages"][-1].content for state in runner.run(scenario())]
    assert found == [f"done: <k{i}>" for i in range(10)]


@pytest.mark.parametrize("mode", ["batched", "per_call"])
def test_edited_calls_are_made_as_edited(accel: Accel, colour: Colour, mode: str) -> None:
    """What somebody changes on the way is called as changed, whatever was begun before."""
    try:
        approval = HumanInTheLoopMiddleware({"write": True}, interrupt_mode=mode)  # type: ignore[arg-type]
    except TypeError:
        pytest.skip("this LangChain asks for all approvals at once")
    lookup, write = Lookup(), Lookup("write")
    agent = create_agent(
        Scripted(turns=[[A, ("write", {"key": "a"})]], before=thinking(lookup.called)),
        [lookup.tool, write.tool],
        middleware=[guessing(accel, A), approval],
        checkpointer=InMemorySaver(),
    )
    config = {"configurable": {"thread_id": "t"}}
    colour.invoke(agent, QUESTION, config)
    edit = {"type": "edit", "edited_action": {"name": "write", "args": {"key": "b"}}}
    resume = edit if mode == "per_call" else {"decisions": [edit]}
    messages = colour.invoke(agent, Command(resume=resume), config)["messages"]
    assert write.begun == ["b"]
    results = [str(m.content) for m in messages if isinstance(m, ToolMessage)]
    assert results[0] == "<a>"
    assert "<b>" in results[1]


def test_a_tool_with_a_state_of_its_own(accel: Accel, colour: Colour) -> None:
    """What the application sets on its tool is seen by calls, and what they set by it."""

    class Greets(BaseTool):
        name: str = "greet"
        description: str = "Greet."
        user: str = "ann"
        greeted: int = 0
        _last: str = PrivateAttr("")

        def _run(self, key: str) -> str:
            self.greeted += 1
            self._last = key
            return f"<{self.user}>"

    greets = Greets()
    agent = create_agent(
        Scripted(turns=[[("greet", {"key": "a"})]]), [greets], middleware=[guessing(accel)]
    )
    assert told(colour.invoke(agent, QUESTION)["messages"]) == "<ann>"
    greets.user = "bob"
    assert told(colour.invoke(agent, QUESTION)["messages"]) == "<bob>"
    assert (greets.greeted, greets._last) == (2, "a")


def test_validators_that_write_into_arguments(accel: Accel, colour: Colour) -> None:
    """They see what the model wrote, and the message keeps what they made of it, as ever."""

    class Asked(BaseModel):
        query: dict[str, Any]

        @model_validator(mode="before")
        @classmethod
        def counted(cls, data: Any) -> Any:
            data["query"]["seen"] = data["query"].get("seen", 0) + 1
            return data

    @tool("lookup", args_schema=Asked)
    def look(query: dict[str, Any]) -> str:
        """Look something up."""
        return str(query["seen"])

    def said(*middleware: Any) -> tuple[str, Any]:
        wanted = ("lookup", {"query": {"of": "a"}})
        agent = create_agent(Scripted(turns=[[wanted]]), [look], middleware=middleware)
        messages = colour.invoke(agent, QUESTION)["messages"]
        return told(messages), messages[1].tool_calls[0]["args"]

    assert said(guessing(accel, ("lookup", {"query": {"of": "a"}}))) == said()


def test_settings_that_hold_themselves(accel: Accel, colour: Colour) -> None:
    """What cannot be spelled is told apart by which object it is, and breaks no run."""
    lookup = Lookup()
    loop: dict[str, Any] = {}
    loop["itself"] = loop
    agent = create_agent(Scripted(turns=[[A]]), [lookup.tool], middleware=[guessing(accel)])
    for settings in (loop, loop, {"itself": loop}):
        with accel.tenant("north"):
            state = colour.invoke(agent, QUESTION, {"configurable": {"settings": settings}})
        assert told(state["messages"]) == "<a>"
    assert lookup.begun == ["a", "a"]


def test_a_tool_that_reads_the_runs_metadata(accel: Accel, colour: Colour) -> None:
    """A guess reads what the call would read, and runs that differ in it share nothing."""
    begun = threading.Event()

    @tool("lookup")
    def look(key: str) -> str:
        """Look something up."""
        users.append(ensure_config()["metadata"].get("user", "nobody"))
        begun.set()
        return f"<{users[-1]}>"

    users: list[str] = []
    agent = create_agent(
        Scripted(turns=[[A]], before=thinking(begun)), [look], middleware=[guessing(accel, A)]
    )
    for user in ("ann", "bob"):
        begun.clear()
        state = colour.invoke(agent, QUESTION, {"metadata": {"user": user}})
        assert told(state["messages"]) == f"<{user}>"
    assert users == ["ann", "bob"]


def test_a_change_that_sets_another_tenant(accel: Accel, colour: Colour) -> None:
    """It is one of who called for it too, whoever guesses for the agents that read."""
    stock = {"a": 1}

    @tool("lookup")
    def look(key: str) -> str:
        """Look something up."""
        return str(stock[key])

    reader = create_agent(Scripted(turns=[[A]]), [look], middleware=[guessing(accel)])

    @tool
    def sell(key: str) -> str:
        """Sell one, after a look, for somebody else."""
        seen.append(told(reader.invoke(QUESTION)["messages"]))
        tenancy._current.set(tenancy.Tenant("bob"))
        stock[key] -= 1
        return "sold"

    seen: list[str] = []
    seller = create_agent(
        Scripted(turns=[[("sell", {"key": "a"})]]), [sell], middleware=[guessing(accel)]
    )
    with accel.tenant("ann"):
        colour.invoke(seller, QUESTION)
        seen.append(told(colour.invoke(reader, QUESTION)["messages"]))
    assert seen == ["1", "0"]


def test_a_change_under_a_tenant_that_the_tool_sets_and_leaves(
    accel: Accel, colour: Colour
) -> None:
    """What that tenant's agents have read before is out of date, and another's is not."""
    lookup = Lookup()
    reader = create_agent(
        Scripted(turns=[[A]]),
        [lookup.tool],
        middleware=[SpeculativeTools(["lookup"], predictors=[], accel=accel)],
    )

    @tool
    def sell(key: str) -> str:
        """Sell one for somebody else."""
        with accel.tenant("bob"):
            return f"{key} is sold"

    seller = create_agent(
        Scripted(turns=[[("sell", {"key": "a"})]]), [sell], middleware=[guessing(accel)]
    )
    for name in ("bob", "eve"):
        with accel.tenant(name):
            colour.invoke(reader, QUESTION)
    with accel.tenant("ann"):
        colour.invoke(seller, QUESTION)
    for name, calls in (("eve", 2), ("bob", 3)):
        with accel.tenant(name):
            colour.invoke(reader, QUESTION)
        assert len(lookup.begun) == calls, name
