"""Copies of tools and models are what they are copies of, and only permitted calls are guessed."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.tools import FunctionTool, ToolMetadata, ToolOutput
from llama_index.core.tools.types import AsyncBaseTool, BaseTool
from llama_index.core.workflow import Context
from pydantic import BaseModel, Field, SecretStr, model_validator

from accel_core.errors import FileError, UnsupportedError
from accel_core.permits import speculatable
from accel_core.policy.trajectory import ToolCall
from accel_core.prediction.mined import MinedPredictor
from accel_core.testing.model_server import ModelServer
from llamaindex_accel import accelerate
from llamaindex_accel.speculation import speculate
from tests.llamaindex.speculating import Foresight, said_in_turns, scripted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler

    from accel_core.accel import Accel
    from tests.llamaindex.speculating import World
    from tests.llamaindex.support import Watch

CALLED: list[Any] = []


@pytest.fixture(autouse=True)
def _forget() -> None:
    CALLED.clear()


def look(name: str, times: int = 1) -> list[str]:
    """Look."""
    CALLED.append((name, times))
    return [name] * times


class Looks(AsyncBaseTool):
    """A tool of the application's own class."""

    kept = "own"

    @property
    def metadata(self) -> ToolMetadata:
        return ToolMetadata("Look.", "look")

    def call(self, input: str) -> ToolOutput:  # noqa: A002
        CALLED.append(input)
        return ToolOutput("look", f"saw {input}", raw_input={"input": input}, raw_output=[input])

    async def acall(self, input: str) -> ToolOutput:  # noqa: A002
        CALLED.append(input)
        return ToolOutput("look", f"saw {input}", raw_input={"input": input}, raw_output=[input])


class Simple(BaseTool):
    """A tool without an async side."""

    @property
    def metadata(self) -> ToolMetadata:
        return ToolMetadata("Look.", "look")

    def __call__(self, input: Any) -> ToolOutput:  # noqa: A002
        CALLED.append(input)
        return ToolOutput("look", f"saw {input}", raw_input={"input": input}, raw_output=input)


class Kept(Simple):
    """A tool with a state of its own."""

    kept = "own"

    def __call__(self, input: Any) -> ToolOutput:  # noqa: A002
        return ToolOutput("look", self.kept, raw_input={"input": input}, raw_output=input)


class Loud(FunctionTool):
    """A function tool with a call of its own."""

    async def acall(self, *args: Any, **kwargs: Any) -> ToolOutput:
        output = await super().acall(*args, **kwargs)
        output.content = output.content.upper()
        return output


TOOLS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "function": (lambda: FunctionTool.from_defaults(look), {"name": "n"}),
    "function with callback": (
        lambda: FunctionTool.from_defaults(look, callback=lambda found: f"called back {found}"),
        {"name": "n"},
    ),
    "function with a partial": (
        lambda: FunctionTool.from_defaults(look, partial_params={"times": 2}),
        {"name": "n"},
    ),
    "own call": (lambda: Loud.from_defaults(look), {"name": "n"}),
    "own class": (Looks, {"input": "n"}),
    "no async side": (Simple, {"input": "n"}),
}


def agent_run(tools: Any, llm: Any) -> Any:
    """Return the run of an agent, and its results."""

    async def run() -> tuple[str, list[Any]]:
        answer = await FunctionAgent(tools=tools, llm=llm).run(user_msg="Go.")
        outputs = [call.tool_output.model_dump() for call in answer.tool_calls]
        return str(answer), outputs

    return run()


@pytest.mark.parametrize("kind", TOOLS)
def test_any_tool_is_guessed_and_seen_as_ever(
    kind: str, world: World, spans: SimpleSpanHandler, watch: Watch
) -> None:
    """Outputs, spans and events are those of a run without; the guess has none."""
    make, given = TOOLS[kind]
    wrong = dict.fromkeys(given, "other")
    guesses = (("look", given), ("look", wrong))
    seen: list[Any] = []
    for speculative in (False, True):
        llm: Any = MockFunctionCallingLLM(
            response_generator=said_in_turns((("look", given),), "Done.")
        )
        tools: Any = [make()]
        if speculative:
            tools, llm = world.speculate(tools, llm, Foresight(guesses), allowed=["look"])
            assert isinstance(tools[0], type(make()))
        spans.completed_spans.clear()
        watch.names()
        seen.append(world.ask.run(agent_run(tools, llm)))
        names = sorted(span.id_.split("-")[0] for span in spans.completed_spans)
        seen.append((names, sorted(watch.names())))
    without, shape, *rest = seen
    assert rest == [without, shape]
    kinds = [type(event).__name__ for event in world.events()]
    assert (kinds.count("ToolCallBegun"), kinds.count("ToolCallReused")) == (2, 1)


NEVER: dict[str, Any] = {
    "not declared": {},
    "barred": {"allowed": ["look"], "never": ["look"]},
}


@pytest.mark.parametrize("case", NEVER)
async def test_only_what_is_permitted_is_guessed(case: str, world: World) -> None:
    """A tool that nobody declared, or somebody excluded, is called when it is asked for, once."""
    llm: Any = MockFunctionCallingLLM(
        response_generator=said_in_turns((("look", {"name": "n"}),), "Done.")
    )
    guess = Foresight((("look", {"name": "n"}), ("look", {"name": "m"})))
    tools, llm = world.speculate([look], llm, guess, **NEVER[case])
    await agent_run(tools, llm)
    assert CALLED == [("n", 1)]


async def test_switched_off_nothing_is_guessed(make_accel: Callable[..., Accel]) -> None:
    """`speculation.enabled: false` leaves copies that do as their originals."""
    accel = make_accel({"speculation": {"enabled": False}})
    llm: Any = MockFunctionCallingLLM(
        response_generator=said_in_turns((("look", {"name": "n"}),), "Done.")
    )
    guess = Foresight((("look", {"name": "m"}),))
    tools, llm = speculate([look], llm, accel, allowed=["look"], predictors=[guess])
    await agent_run(tools, llm)
    assert CALLED == [("n", 1)]


async def test_a_tool_with_context_is_never_guessed(world: World) -> None:
    """What is given the workflow's context runs where there is one, and starts no epoch."""

    async def remember(ctx: Context, name: str) -> str:
        """Remember."""
        CALLED.append(name)
        await ctx.store.set("name", name)
        return name

    remember.__annotations__["ctx"] = Context  # LlamaIndex looks at the class, not at its name
    llm: Any = MockFunctionCallingLLM(
        response_generator=said_in_turns((("remember", {"name": "n"}),), "Done.")
    )
    guess = Foresight((("remember", {"name": "n"}), ("remember", {"name": "m"})))
    tools, llm = world.speculate([remember], llm, guess, allowed=["remember"])
    await agent_run(tools, llm)
    assert CALLED == ["n"]


def test_arguments_are_those_that_the_function_sees(world: World) -> None:
    """Defaults and partial parameters are filled; what does not fit is no call."""
    tool = FunctionTool.from_defaults(look, partial_params={"times": 3})
    copies, _ = world.speculate([look, tool], MockFunctionCallingLLM(), Foresight())
    plain, partial = (_tool_of(made).validated for made in copies)
    assert plain({"name": "n"}) == {"name": "n", "times": 1}
    assert partial({"name": "n"}) == {"name": "n", "times": 3}
    for wrong in ({}, {"name": 1}, {"name": "n", "times": "x"}, {"name": "n", "more": 1}):
        assert plain(wrong) is None


async def test_tools_that_share_a_function_are_two(world: World) -> None:
    """One function for threads, which only says that there is none, tells no two tools apart."""

    def waits(name: str) -> str:
        """Say no."""
        raise NotImplementedError

    def made(name: str) -> FunctionTool:
        async def found(name: str) -> str:
            return f"{name} by {label}"

        label = name
        return FunctionTool.from_defaults(waits, name=name, async_fn=found)

    tools = [made("one"), made("two")]
    copies, _ = world.speculate(tools, MockFunctionCallingLLM(), None, allowed=["one", "two"])
    found = [(await each.acall(name="n")).content for each in copies]
    assert found == ["n by one", "n by two"]


async def test_nothing_crosses_what_a_model_hides(world: World) -> None:
    """Partial parameters of which a part is secret, or in no dump, are not spelled."""

    class User(BaseModel):
        token: SecretStr
        name: str = Field(exclude=True)

    def mine(query: str, users: list[User]) -> str:
        """Look up what is mine."""
        return f"{query} of {users[0].name}, {users[0].token.get_secret_value()}"

    seen = []
    for name in ("ann", "bob"):
        users = [User(token=SecretStr(name), name=name)]
        tool = FunctionTool.from_defaults(mine, partial_params={"users": users})
        (made,), _ = world.speculate([tool], MockFunctionCallingLLM(), None, allowed=["mine"])
        seen.append((await made.acall(query="q")).content)
    assert seen == ["q of ann, ann", "q of bob, bob"]


async def test_validators_write_into_no_call(world: World) -> None:
    """The function gets what it was called with, though a validator changes what it looks at."""

    class Asked(BaseModel):
        query: dict[str, Any]

        @model_validator(mode="before")
        @classmethod
        def emptied(cls, data: Any) -> Any:
            data["query"].clear()
            return data

    def find(query: dict[str, Any]) -> str:
        """Find."""
        return str(query)

    tool = FunctionTool.from_defaults(find, fn_schema=Asked)
    (made,), _ = world.speculate([tool], MockFunctionCallingLLM(), None, allowed=["find"])
    assert (await made.acall(query={"of": "a"})).content == "{'of': 'a'}"


async def test_a_change_that_nobody_waits_for(world: World) -> None:
    """What is found while a thread goes on, whose call was given up, is worthless when it ends."""
    stock, begun, goes_on = [1], threading.Event(), threading.Event()

    def sell(name: str) -> str:
        """Sell one."""
        begun.set()
        goes_on.wait(5)
        stock[0] = 0
        return name

    def count(name: str) -> str:
        """Count."""
        return str(stock[0])

    (selling, counting), _ = world.speculate(
        [sell, count], MockFunctionCallingLLM(), None, allowed=["count"]
    )
    call = asyncio.create_task(selling.acall(name="n"))
    await asyncio.to_thread(begun.wait, 5)
    call.cancel()
    await asyncio.wait([call])
    assert (await counting.acall(name="n")).content == "1"
    goes_on.set()
    await asyncio.get_running_loop().shutdown_default_executor()
    assert counting.call(name="n").content == "0"


async def test_a_guess_sees_what_is_set_on_the_tool(world: World) -> None:
    """A tool of the application's own class is one object, guessed or called."""
    (made,), _ = world.speculate([Kept()], MockFunctionCallingLLM(), None, allowed=["look"])
    vars(made)["kept"] = "changed"
    assert (await _tool_of(made).run({"input": "n"})).content == "changed"
    assert made("n").content == "changed"


def _tool_of(made: Any) -> Any:
    from llamaindex_accel._speculative_tools import copied_of

    found = copied_of(made)
    assert found is not None
    return found.aio


async def test_guesses_of_blocking_tools_leave_the_loop_its_threads(world: World) -> None:
    """Each has a thread of its own, which nothing waits for at the end."""
    threads: list[threading.Thread] = []

    @speculatable
    def where() -> str:
        """Where."""
        threads.append(threading.current_thread())
        return "here"

    (made,), _ = world.speculate([where], MockFunctionCallingLLM(), Foresight())
    assert await _tool_of(made).run({}) == "here"
    assert (await made.acall()).content == "here"
    assert [thread.daemon for thread in threads] == [True, False]


async def test_what_was_learned_is_read_from_a_file(world: World, tmp_path: Path) -> None:
    """A file of `MinedPredictor.save` is where the default predictors begin; none is an error."""
    file = tmp_path / "tools.json"
    MinedPredictor().save(file)
    speculate([look], MockFunctionCallingLLM(), world.accel, learned=file)
    with pytest.raises(FileError):
        speculate([look], MockFunctionCallingLLM(), world.accel, learned=tmp_path / "none.json")


async def test_a_result_is_its_receivers_own(world: World) -> None:
    """Who changes what a tool returned changes nobody else's."""
    (tool,), _ = world.speculate([look], MockFunctionCallingLLM(), Foresight(), allowed=["look"])
    with world.accel.tenant("north"):
        first = (await tool.acall(name="n")).raw_output
        first.append("changed")
        assert (await tool.acall(name="n")).raw_output == ["n"]
    assert CALLED == [("n", 1)]


def test_copies_leave_the_originals_alone(world: World) -> None:
    """The application's objects pass no speculator, and copies of copies are no deeper."""
    tool, llm = FunctionTool.from_defaults(look), MockFunctionCallingLLM()
    (made,), copied = world.speculate([tool], llm, Foresight(), allowed=["look"])
    assert tool.fn is look
    assert (made.metadata, type(copied).__name__) == (tool.metadata, "MockFunctionCallingLLM")
    (again,), deeper = world.speculate([made], copied, Foresight(), allowed=["look"])
    assert type(deeper).__mro__[1] is MockFunctionCallingLLM
    tool.call("n"), tool.call("n")
    assert len(CALLED) == 2
    with world.accel.tenant("north"):
        again.call("m"), again.call("m")
    assert len(CALLED) == 3


async def test_calls_outside_any_run_are_nobodys(world: World) -> None:
    """Without a tenant, nobody knows that two of them are made for the same person."""
    (tool,), _ = world.speculate([look], MockFunctionCallingLLM(), Foresight(), allowed=["look"])
    await tool.acall(name="n")
    tool.call(name="n")
    assert len(CALLED) == 2


def test_a_copied_model_can_be_copied_and_pickled(world: World) -> None:
    """Frameworks copy models; another process gets one that does not speculate."""
    _, llm = world.speculate([look], MockFunctionCallingLLM(max_tokens=7), Foresight())
    for made in (llm.model_copy(), copy.deepcopy(llm), copy.copy(llm)):
        assert type(made) is type(llm)
        assert vars(made).keys() == vars(llm).keys()
    revived = pickle.loads(pickle.dumps(llm))
    assert type(revived) is MockFunctionCallingLLM
    assert llm.model_dump() == MockFunctionCallingLLM(max_tokens=7).model_dump()


@pytest.mark.parametrize("order", ["accelerated first", "speculative first"])
def test_it_goes_with_accelerate(order: str, world: World) -> None:
    """Answers are cached and tools are guessed, whichever was made of the other."""
    turn = (("orders_of", {"customer": "ada"}),)
    desk = world.desk("desk")
    with ModelServer(scripted(turn, "Done.")) as server:
        llm: Any = world.llm(server)
        if order == "accelerated first":
            tools, llm = world.speculate(
                desk.tools(), accelerate(llm, world.accel), Foresight(turn)
            )
        else:
            tools, llm = world.speculate(desk.tools(), llm, Foresight(turn))
            llm = accelerate(llm, world.accel)
        for calls in (2, 2):
            assert world.ask.run(agent_run(tools, llm))[0] == "Done."
            assert server.call_count == calls
    reused = [event for event in world.events() if type(event).__name__ == "ToolCallReused"]
    assert reused[0].predictor == "foresight"


def test_agents_that_hand_over(world: World) -> None:
    """Each agent of a workflow has its own tools, and the hand-over is no change."""
    ada = (("orders_of", {"customer": "ada"}),)
    hand_over = (("handoff", {"to_agent": "b", "reason": "r"}),)
    desk = world.desk("desk")
    orders_of, track, cancel = desk.tools()
    guess = Foresight(ada, (), ada)
    first, second = (
        MockFunctionCallingLLM(response_generator=said_in_turns(ada, hand_over, ada, "Done."))
        for _ in range(2)
    )
    tools, llm = world.speculate([orders_of, cancel], first, guess)
    others, other = world.speculate([orders_of, track], second, guess)
    agents = [
        FunctionAgent(name="a", description="a", tools=tools, llm=llm, can_handoff_to=["b"]),
        FunctionAgent(name="b", description="b", tools=others, llm=other),
    ]

    async def run() -> str:
        return str(await AgentWorkflow(agents=agents, root_agent="a").run(user_msg="Go."))

    assert world.ask.run(run()) == "Done."
    assert desk.called == [("orders_of", "ada")]


def test_a_draft_model_must_call_functions(world: World) -> None:
    """What cannot draft is refused when it is given."""
    from llama_index.core.llms import MockLLM

    with pytest.raises(UnsupportedError, match="MockLLM"):
        speculate([look], MockFunctionCallingLLM(), world.accel, draft=MockLLM())  # type: ignore[arg-type]


def test_a_declared_function_needs_no_name(world: World) -> None:
    """`speculatable` marks a function, and the tools made of it."""
    marked = speculatable(lambda: "x")
    marked.__name__ = "marked"
    (made,), _ = world.speculate([marked], MockFunctionCallingLLM(), Foresight())
    assert _tool_of(made).free
    assert ToolCall("marked", {}).arguments == _tool_of(made).validated({})


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_a_change_under_a_tenant_that_the_tool_sets_and_leaves(
    colour: str, world: World
) -> None:
    """What was read for that tenant before is out of date, also where a thread sets it."""

    def sell() -> str:
        """Sell one for somebody else."""
        with world.accel.tenant("bob"):
            return "sold"

    (read, change), _ = world.speculate(
        [look, sell], MockFunctionCallingLLM(), Foresight(), allowed=["look"]
    )

    async def call(who: str, tool: Any, **arguments: Any) -> None:
        with world.accel.tenant(who):
            tool.call(**arguments) if colour == "sync" else await tool.acall(**arguments)

    for name in ("bob", "eve"):
        await call(name, read, name="n")
    await call("ann", change)
    for name, calls in (("eve", 2), ("bob", 3)):
        await call(name, read, name="n")
        assert len(CALLED) == calls, name
