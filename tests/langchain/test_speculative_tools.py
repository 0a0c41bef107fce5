"""SpeculativeTools in create_agent: the run is as without it, and tools are called sooner."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    HumanInTheLoopMiddleware,
    ModelRetryMiddleware,
    ToolCallLimitMiddleware,
    ToolErrorMiddleware,
    ToolRetryMiddleware,
)
from langchain.agents.structured_output import ToolStrategy
from langchain.tools import InjectedState, InjectedToolCallId, ToolRuntime
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableConfig  # noqa: TC002 - LangChain reads it
from langchain_core.tools import StructuredTool, ToolException, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import BaseModel

from accel_core.errors import FileError
from accel_core.events import PredictorFailed, ToolCallBegun
from accel_core.permits import speculatable
from accel_core.policy.trajectory import Observed, Said
from accel_core.prediction.mined import MinedPredictor
from langchain_accel import SpeculativeTools
from tests.langchain.speculating import (
    WAIT_S,
    Lookup,
    Says,
    Scripted,
    Streaming,
    Trace,
    Wanted,
    asking,
    learned,
    shape,
    told,
    turn_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from accel_core.accel import Accel
    from tests.langchain.conftest import Colour, MakeAccel, Recorder

QUESTION = {"messages": [("user", "Look it up")]}
UNHURRIED = {"speculation": {"audit_share": 0.0, "window_s": 0.01}}
A, B = ("lookup", {"key": "a"}), ("lookup", {"key": "b"})


@pytest.fixture
def accel(make_accel: MakeAccel) -> Accel:
    return make_accel(UNHURRIED)


@pytest.fixture
def speculative(accel: Accel) -> Callable[..., SpeculativeTools]:
    """Make the middleware, with a predictor that guesses what is given."""

    def make(*calls: Wanted, allowed: Any = ("lookup",), **options: Any) -> SpeculativeTools:
        options.setdefault("predictors", [Says(*calls)])
        return SpeculativeTools(allowed, accel=accel, **options)

    return make


def run(colour: Colour, agent: Any, value: Any = None, **options: Any) -> list[Any]:
    state = colour.invoke(agent, QUESTION if value is None else value, **options)
    return list(state["messages"])


def test_a_guess_is_begun_while_the_model_thinks(
    speculative: Callable[..., SpeculativeTools], colour: Colour
) -> None:
    """The tool is called before the model has answered, once, and traced as one ordinary run."""
    lookup, trace = Lookup(), Trace()
    model = Scripted(turns=[[A]], before=lambda: lookup.called.wait(WAIT_S))
    agent = create_agent(model, [lookup.tool], middleware=[speculative(A)])
    messages = run(colour, agent, config={"callbacks": [trace]})
    assert messages[-1].content == "done: <a>"
    assert lookup.begun == ["a"]
    call_id = messages[1].tool_calls[0]["id"]
    assert trace.tools == [("lookup", call_id, "tools", True)]
    assert messages[2].tool_call_id == call_id
    plain = create_agent(Scripted(turns=[[A]]), [lookup.tool])
    assert shape(messages) == shape(run(colour, plain))


def test_a_call_waits_for_the_same_one_under_way(
    speculative: Callable[..., SpeculativeTools], colour: Colour
) -> None:
    """A guess that has not ended when it is asked for is waited for, and not made again."""
    lookup = Lookup()
    lookup.gate.clear()
    answered = threading.Timer(0.05, lookup.gate.set)
    model = Scripted(turns=[[A]], before=lambda: lookup.called.wait(WAIT_S) and answered.start())
    model.before = _once(model.before)
    agent = create_agent(model, [lookup.tool], middleware=[speculative(A)])
    assert run(colour, agent)[-1].content == "done: <a>"
    assert lookup.begun == ["a"]
    answered.join()


def _once(call: Callable[[], object]) -> Callable[[], None]:
    calls = [call]
    return lambda: calls and calls.pop()() and None  # type: ignore[return-value]


def test_a_wrong_guess_is_seen_by_nobody(
    speculative: Callable[..., SpeculativeTools], events: Recorder, colour: Colour
) -> None:
    """What the model did not ask for is stopped, and leaves nothing in the run."""
    lookup, trace = Lookup(), Trace()
    model = Scripted(turns=[[A]], before=lambda: lookup.called.wait(WAIT_S))
    agent = create_agent(model, [lookup.tool], middleware=[speculative(B)])
    messages = run(colour, agent, config={"callbacks": [trace]})
    assert messages[-1].content == "done: <a>"
    assert sorted(lookup.begun) == ["a", "b"]
    assert [run[3] for run in trace.tools] == [False]


def test_cancelled_guesses_end(speculative: Callable[..., SpeculativeTools], runner: Any) -> None:
    """Of a run that is cancelled while its model thinks, no task is left."""
    lookup = Lookup()
    lookup.gate.clear()
    thinking = threading.Event()
    model = Streaming(turns=[[A]], before=lambda: thinking.wait(WAIT_S))
    agent = create_agent(model, [lookup.tool], middleware=[speculative(A, B)])

    async def scenario() -> None:
        task = asyncio.create_task(agent.ainvoke(QUESTION))
        await asyncio.to_thread(lookup.called.wait, WAIT_S)
        task.cancel()
        thinking.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait_for(asyncio.gather(*others, return_exceptions=True), WAIT_S)
        assert sorted(lookup.cancelled) == ["a", "b"]

    model.disable_streaming = False
    runner.run(scenario())


@pytest.mark.parametrize("kind", [Scripted, Streaming])
def test_a_model_that_fails_is_asked_again(
    speculative: Callable[..., SpeculativeTools], colour: Colour, kind: type[Scripted]
) -> None:
    """Retries inside and outside see what they would see; the guess is not repeated."""
    for outside in (True, False):
        failures = iter([RuntimeError("busy")])

        def before(failures: Any = failures) -> None:
            for failure in failures:
                raise failure

        lookup = Lookup()
        model = kind(turns=[[A]], before=before)
        retry = ModelRetryMiddleware(max_retries=1, initial_delay=0.0)
        ours = speculative(A)
        middleware = [retry, ours] if outside else [ours, retry]
        agent = create_agent(model, [lookup.tool], middleware=middleware)
        assert run(colour, agent)[-1].content.strip() == "done: <a>"
        assert len(lookup.begun) <= 2


def test_errors_are_the_real_calls(
    speculative: Callable[..., SpeculativeTools], colour: Colour
) -> None:
    """A guess that fails is seen by nobody; the real call fails, or not, as ever."""
    failures = iter([ToolException("not now")])

    def look(key: str) -> str:
        """Look something up."""
        for failure in failures:
            raise failure
        return f"<{key}>"

    made = StructuredTool.from_function(look, name="lookup", handle_tool_error="handled")
    begun = threading.Event()
    model = Scripted(turns=[[A]], before=lambda: begun.wait(0.05))
    agent = create_agent(model, [made], middleware=[speculative(A)])
    messages = run(colour, agent)
    assert messages[2].content == "<a>"


@pytest.mark.parametrize("handled", [True, False])
def test_handled_tool_errors(
    speculative: Callable[..., SpeculativeTools], colour: Colour, *, handled: bool
) -> None:
    """An error is handled by the tool, or raised from the run, with speculation or without."""

    def look(key: str) -> str:
        """Look something up."""
        msg = f"no {key}"
        raise ToolException(msg)

    made = StructuredTool.from_function(look, name="lookup", handle_tool_error=handled)
    results = []
    for middleware in ([], [speculative(A)]):
        agent = create_agent(Scripted(turns=[[A]]), [made], middleware=middleware)
        try:
            results.append(shape(run(colour, agent)))
        except ToolException as error:
            results.append([str(error)])
    assert results[0] == results[1]
    assert ("no a" in str(results[0])) is True


def test_wrong_arguments_are_told_as_ever(
    speculative: Callable[..., SpeculativeTools], colour: Colour
) -> None:
    """What the tool's schema refuses is told to the model in LangChain's words."""
    wrong = ("lookup", {"wrong": 1})
    lookup = Lookup()
    with_it, without = (
        run(colour, create_agent(Scripted(turns=[[wrong]]), [lookup.tool], middleware=middleware))
        for middleware in ([speculative(wrong)], [])
    )
    assert shape(with_it) == shape(without)
    assert with_it[2].status == "error"
    assert lookup.begun == []


def test_artifacts_come_with_the_result(
    speculative: Callable[..., SpeculativeTools], colour: Colour
) -> None:
    """A result in two parts is adopted in two parts, and nobody's object is another's."""
    artifact = {"rows": [1, 2]}
    made = StructuredTool.from_function(
        lambda key: (f"<{key}>", artifact),
        name="lookup",
        description="Look something up.",
        response_format="content_and_artifact",
        args_schema=Lookup().tool.args_schema,
    )
    agent = create_agent(Scripted(turns=[[A, A]]), [made], middleware=[speculative(A)])
    found = [m for m in run(colour, agent) if isinstance(m, ToolMessage)]
    assert [m.content for m in found] == ["<a>", "<a>"]
    assert [m.artifact for m in found] == [artifact, artifact]
    assert found[0].artifact is not found[1].artifact


def test_tools_that_are_given_more_than_arguments_are_never_guessed(
    speculative: Callable[..., SpeculativeTools], colour: Colour
) -> None:
    """State, store, runtime, configuration and the call's id are of one run and one call."""
    begun: list[str] = []

    @tool
    def by_state(key: str, state: Annotated[dict[str, Any], InjectedState]) -> str:
        """Look something up."""
        begun.append("state")
        return f"{key}{len(state['messages'])}"

    @tool
    def by_id(key: str, call_id: Annotated[str, InjectedToolCallId]) -> str:
        """Look something up."""
        begun.append("id")
        return key

    @tool
    def by_runtime(key: str, runtime: ToolRuntime) -> str:
        """Look something up."""
        begun.append("runtime")
        return f"{key}{len(runtime.state['messages'])}"

    @tool
    def by_config(key: str, config: RunnableConfig) -> str:
        """Look something up."""
        begun.append("config")
        return f"{key}{config['configurable']['user']}"

    tools = [by_state, by_id, by_runtime, by_config]
    wanted = [(one.name, {"key": "k"}) for one in tools]
    seen: list[list[str]] = []
    model = Scripted(turns=[wanted], before=lambda: seen.append(list(begun)))
    config = {"configurable": {"user": "ann"}}
    middleware = [speculative(*wanted, allowed=[one.name for one in tools])]
    messages = run(colour, create_agent(model, tools, middleware=middleware), config=config)
    assert told(messages) == "k2|k|k2|kann"
    assert seen[0] == []
    assert len(begun) == 4


def test_commands_are_never_adopted(
    speculative: Callable[..., SpeculativeTools], colour: Colour
) -> None:
    """An instruction to the graph is given once, by the call that was asked for."""
    begun: list[str] = []

    @tool("lookup")
    def look(key: str) -> Any:
        """Look something up."""
        begun.append(key)
        return Command(update={"messages": []}) if key == "x" else f"<{key}>"

    agent = create_agent(Scripted(turns=[[A]]), [look], middleware=[speculative(A)])
    assert told(run(colour, agent)) == "<a>"

    @tool("lookup", return_direct=False)
    def move(key: str, call_id: Annotated[str, InjectedToolCallId]) -> Any:
        """Look something up."""
        return Command(update={"messages": [ToolMessage(f"<{key}>", tool_call_id=call_id)]})

    agent = create_agent(Scripted(turns=[[A]]), [move], middleware=[speculative(A)])
    assert told(run(colour, agent)) == "<a>"


def test_a_call_after_a_change_sees_it(
    speculative: Callable[..., SpeculativeTools], colour: Colour
) -> None:
    """What was found before a tool that is not declared harmless is found anew after it."""
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

    turns = [[A], [("sell", {"key": "a"})], [A]]
    middleware = [speculative(predictors=[Says(by=lambda _: [A])])]
    agent = create_agent(Scripted(turns=turns), [look, sell], middleware=middleware)
    assert told(run(colour, agent)) == "1|sold|0"


def test_a_change_made_past_the_middleware_is_seen(
    speculative: Callable[..., SpeculativeTools], colour: Colour
) -> None:
    """A tool that another middleware puts in the place of one counts as a change."""
    from langchain.agents.middleware import AgentMiddleware

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

    class Replaces(AgentMiddleware):  # type: ignore[type-arg]
        def wrap_tool_call(self, request: Any, handler: Any) -> Any:
            return handler(request.override(tool=sell) if request.tool.name == "sell" else request)

        async def awrap_tool_call(self, request: Any, handler: Any) -> Any:
            found = request.override(tool=sell) if request.tool.name == "sell" else request
            return await handler(found)

    turns = [[A], [("sell", {"key": "a"})], [A]]
    middleware = [speculative(predictors=[Says(by=lambda _: [A])]), Replaces()]
    agent = create_agent(Scripted(turns=turns), [look, sell], middleware=middleware)
    assert told(run(colour, agent)) == "1|sold|0"


def test_approval_comes_first(speculative: Callable[..., SpeculativeTools], colour: Colour) -> None:
    """A tool that somebody approves is not called before that, though it was declared harmless."""
    for first in (True, False):
        lookup, other = Lookup(), Lookup("other")
        approval = HumanInTheLoopMiddleware(interrupt_on={"lookup": True, "other": False})
        both = [A, ("other", {"key": "o"})]
        ours = speculative(*both, allowed=["lookup", "other"])
        middleware: list[Any] = [ours, approval] if first else [approval, ours]
        model = Scripted(turns=[both], before=lambda: other.called.wait(WAIT_S))  # noqa: B023
        agent = create_agent(
            model, [lookup.tool, other.tool], middleware=middleware, checkpointer=InMemorySaver()
        )
        config = {"configurable": {"thread_id": "t"}}
        state = colour.invoke(agent, QUESTION, config)
        assert state["__interrupt__"]
        assert lookup.begun == []
        assert other.begun == ["o"]
        resumed = Command(resume={"decisions": [{"type": "approve"}]})
        messages = run(colour, agent, resumed, config=config)
        assert messages[-1].content == "done: <a>|<o>"
        assert lookup.begun == ["a"]


def test_nothing_is_guessed_where_the_agent_pauses_before_its_tools(
    speculative: Callable[..., SpeculativeTools], colour: Colour
) -> None:
    """``interrupt_before=["tools"]`` lets somebody look first."""
    lookup = Lookup()
    agent = create_agent(
        Scripted(turns=[[A]]),
        [lookup.tool],
        middleware=[speculative(A)],
        checkpointer=InMemorySaver(),
        interrupt_before=["tools"],
    )
    config = {"configurable": {"thread_id": "t"}}
    colour.invoke(agent, QUESTION, config)
    assert lookup.begun == []
    assert colour.invoke(agent, None, config)["messages"][-1].content == "done: <a>"


def test_nothing_is_guessed_where_nobody_knows_who_approves(
    speculative: Callable[..., SpeculativeTools], colour: Colour
) -> None:
    """A middleware that has not seen its agent made begins nothing, and changes nothing."""
    lookup = Lookup()
    middleware = speculative(A)
    agent = create_agent(Scripted(turns=[[A]]), [lookup.tool], middleware=[middleware])
    middleware._seen = False
    assert run(colour, agent)[-1].content == "done: <a>"
    assert lookup.begun == ["a"]


def test_counted_tools_are_not_guessed(
    speculative: Callable[..., SpeculativeTools], colour: Colour
) -> None:
    """A tool whose calls are limited is called as often as it is asked for, and no more."""
    for kind in ("lookup", None):
        lookup = Lookup()
        limit = ToolCallLimitMiddleware(tool_name=kind, run_limit=1)
        messages = run(
            colour,
            create_agent(
                Scripted(turns=[[A], [B]]),
                [lookup.tool],
                middleware=[speculative(B), limit],
            ),
        )
        assert lookup.begun == ["a"]
        assert "limit" in str(messages[4].content).lower()


def test_beside_other_middlewares(
    speculative: Callable[..., SpeculativeTools], colour: Colour
) -> None:
    """Retries and handlers of tools see the same calls and errors, wherever they stand."""

    def agent(at: int | None) -> tuple[Any, list[str]]:
        begun: list[str] = []

        @tool("lookup")
        def look(key: str) -> str:
            """Look something up."""
            begun.append(key)
            if key == "b":
                raise ValueError(key)
            return f"<{key}>"

        middleware: list[Any] = [
            ToolErrorMiddleware(lambda error, _: f"handled {error}"),
            ToolRetryMiddleware(max_retries=1, initial_delay=0.0, on_failure="error"),
        ]
        if at is not None:
            middleware.insert(at, speculative(A, B))
        return create_agent(Scripted(turns=[[A, B]]), [look], middleware=middleware), begun

    plain, calls = agent(None)
    expected = shape(run(colour, plain))
    assert sorted(calls) == ["a", "b", "b"]
    for at in range(3):
        guessed, _ = agent(at)
        assert shape(run(colour, guessed)) == expected


def test_many_runs_of_one_agent_at_once(
    speculative: Callable[..., SpeculativeTools], runner: Any
) -> None:
    """Runs in tasks and threads at once each get their own answers."""
    lookup = Lookup()

    def answer(messages: Any) -> AIMessage:
        if turn_of(messages):
            return AIMessage(f"done: {told(messages)}")
        return asking(("lookup", {"key": messages[-1].content}))

    guesses = Says(by=lambda seen: [("lookup", {"key": seen[-1].text})] if len(seen) == 1 else [])
    middleware = speculative(predictors=[guesses])
    agent = create_agent(Scripted(turns=answer), [lookup.tool], middleware=[middleware])

    async def scenario() -> list[Any]:
        asked = [{"messages": [("user", f"k{i}")]} for i in range(20)]
        return await asyncio.gather(
            *(agent.ainvoke(value) for value in asked[::2]),
            *(asyncio.to_thread(agent.invoke, value) for value in asked[1::2]),
        )

    found = [state["messages"][-1].content for state in runner.run(scenario())]
    expected = [f"done: <k{i}>" for i in (*range(0, 20, 2), *range(1, 20, 2))]
    assert found == expected
    assert sorted(set(lookup.begun)) == sorted(f"k{i}" for i in range(20))


def test_nothing_crosses_a_tenant_or_a_setting(accel: Accel, colour: Colour) -> None:
    """The same call of another tenant, or with another setting of the run, is made anew; of no
    tenant, of each run."""
    lookup = Lookup()
    agent = create_agent(
        Scripted(turns=[[A]]),
        [lookup.tool],
        middleware=[SpeculativeTools(["lookup"], predictors=[], accel=accel)],
    )
    for tenant in ("x", "y", "y"):
        with accel.tenant(tenant):
            run(colour, agent)
    assert lookup.begun == ["a", "a"]
    for user in ("ann", "bob", "bob"):
        with accel.tenant("y"):
            run(colour, agent, config={"configurable": {"user": user}})
    assert lookup.begun == ["a"] * 4
    for _ in range(2):
        run(colour, agent)
    assert lookup.begun == ["a"] * 6


def test_the_predictor_learns_each_turn_of_a_thread_once(
    speculative: Callable[..., SpeculativeTools], colour: Colour
) -> None:
    """A thread's second turn is learned without its first."""
    says, lookup = Says(), Lookup()
    agent = create_agent(
        Scripted(turns=[[A]]),
        [lookup.tool],
        middleware=[speculative(predictors=[says])],
        checkpointer=InMemorySaver(),
    )
    for _ in range(2):
        run(colour, agent, config={"configurable": {"thread_id": "t"}})
    learned()
    assert [len(run) for run in says.learned] == [3, 3]


def test_who_guesses_by_default_learns_from_runs(
    accel: Accel, events: Recorder, colour: Colour, tmp_path: Path
) -> None:
    """After some runs the agent's next call is begun while its model thinks; a file of what was
    learned does the same for a new process, and one that is none is refused."""

    def runs(ours: SpeculativeTools, count: int) -> list[str]:
        find = Lookup("find", lambda key: json.dumps({"id": f"id-{key}"}))
        tools = [find.tool, Lookup().tool]
        agent = create_agent(Scripted(turns=_by_id), tools, middleware=[ours])
        for n in range(count):
            run(colour, agent, {"messages": [("user", f"Look up user{count}{n}")]})
            learned()
        return [event.predictor for event in events.of(ToolCallBegun)]

    def _by_id(messages: Any) -> AIMessage:
        key = str(messages[0].content).split()[-1]
        wanted = [("find", {"key": key}), ("lookup", {"key": f"id-{key}"})]
        turn = turn_of(messages)
        return asking(wanted[turn]) if turn < len(wanted) else AIMessage("done")

    allowed = ["find", "lookup"]
    assert "mined" in runs(SpeculativeTools(allowed, accel=accel), 10)
    mined = MinedPredictor()
    for n in range(10):
        call = Observed("find", {"key": f"u{n}"}, json.dumps({"id": f"id-u{n}"}), False, 0)
        then = Observed("lookup", {"key": f"id-u{n}"}, f"<id-u{n}>", False, 1)
        mined.learn((Said("user", f"Look up u{n}"), call, then), allowed)
    mined.save(tmp_path / "tools.json")
    events.clear()
    ours = SpeculativeTools(allowed, learned=tmp_path / "tools.json", accel=accel)
    assert "mined" in runs(ours, 1)
    with pytest.raises(FileError):
        SpeculativeTools(learned=tmp_path / "none.json", accel=accel)


class Report(BaseModel):
    """What was found."""

    text: str


def test_a_structured_answer_ends_the_run(
    speculative: Callable[..., SpeculativeTools], colour: Colour
) -> None:
    """An agent that answers in a form of its own is learned from, and answers as ever."""
    says, lookup = Says(), Lookup()
    model = Scripted(turns=[[A], [("Report", {"text": "found"})]])
    agent = create_agent(
        model,
        [lookup.tool],
        middleware=[speculative(predictors=[says])],
        response_format=ToolStrategy(Report),
    )
    state = colour.invoke(agent, QUESTION)
    assert state["structured_response"] == Report(text="found")
    learned()
    assert [len(run) for run in says.learned] == [2]


def test_marked_tools(accel: Accel, colour: Colour) -> None:
    """`speculatable` above or below ``@tool`` says that a tool may be called unasked."""

    @tool("lookup")
    @speculatable
    def below(key: str) -> str:
        """Look something up."""
        return below_calls.append(key) or "b"  # type: ignore[func-returns-value]

    @speculatable
    @tool("lookup")
    def above(key: str) -> str:
        """Look something up."""
        return below_calls.append(key) or "b"  # type: ignore[func-returns-value]

    @tool("lookup")
    def unmarked(key: str) -> str:
        """Look something up."""
        return below_calls.append(key) or "b"  # type: ignore[func-returns-value]

    below_calls: list[str] = []
    for made, begun in ((below, ["a", "b"]), (above, ["a", "b"]), (unmarked, ["a"])):
        below_calls.clear()
        ours = SpeculativeTools(predictors=[Says(B)], accel=accel)
        run(colour, create_agent(Scripted(turns=[[A]]), [made], middleware=[ours]))
        assert sorted(below_calls) == begun


def test_broken_predictors_change_nothing(accel: Accel, events: Recorder, colour: Colour) -> None:
    """Who raises, or talks nonsense, is told by an event; the run is as without."""

    class Broken(Says):
        name = "broken"

        def predict(self, trajectory: Any, free: Any) -> Any:
            raise RuntimeError("no idea")

    nonsense = Says(*[("lookup", {"key": n}) for n in range(100)], ("unknown", {}), ("lookup", {}))
    lookup = Lookup()
    ours = SpeculativeTools(["lookup"], predictors=[Broken(), nonsense], accel=accel)
    agent = create_agent(Scripted(turns=[[A]]), [lookup.tool], middleware=[ours])
    assert run(colour, agent)[-1].content == "done: <a>"
    assert lookup.begun == ["a"]
    assert [event.predictor for event in events.of(PredictorFailed)] == ["broken"]
