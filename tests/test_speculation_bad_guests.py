"""Guests that misbehave and tools that hang, in agents of either framework: runs are as without."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool as langchain_tool
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms.mock import MockFunctionCallingLLM

from accel_core.accel import Accel
from accel_core.events import PredictorFailed, ToolCallBegun
from accel_core.policy.trajectory import Guess, ToolCall
from accel_core.testing.doubles import RecordingObserver
from langchain_accel import SpeculativeTools
from llamaindex_accel import speculate
from tests.langchain.speculating import Scripted
from tests.llamaindex.speculating import said_in_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ASKED = {"key": "a"}
MOST_GUESSES = 2 * 64
"""Of two turns; tools that answer at once make room for the next."""
FRAMEWORKS = pytest.mark.parametrize("framework", ["langchain", "llamaindex"])


def guess(key: object, tool: str = "lookup") -> Guess:
    return Guess(ToolCall(tool, {"key": key}), 0.9, "")


class Guest:
    """A predictor that says what it is told to."""

    name = "guest"

    def __init__(self, say: Callable[[], Any]) -> None:
        self._say = say

    def predict(self, trajectory: Any, free: Any) -> Any:
        return self._say()

    def learn(self, trajectory: Any, free: Any) -> None:
        raise LookupError("no memory")


def _raises() -> Any:
    raise LookupError("no idea")


@pytest.fixture
def seen() -> RecordingObserver:
    return RecordingObserver()


@pytest.fixture
def accel(seen: RecordingObserver) -> Iterator[Accel]:
    settings = {"timeout_s": 0.05, "audit_share": 0.0, "window_s": 0.0}
    with Accel.from_mapping({"speculation": settings}, observers=[seen]) as made:
        yield made


async def answer(framework: str, accel: Accel, lookup: Any, guest: Guest) -> str:
    """Return what an agent says that asks for one call of `lookup`."""
    if framework == "langchain":
        ours = SpeculativeTools(["lookup"], predictors=[guest], accel=accel)
        model = Scripted(turns=[[("lookup", ASKED)]])
        agent = create_agent(model, [langchain_tool("lookup")(lookup)], middleware=[ours])
        state = await agent.ainvoke({"messages": [("user", "Go.")]})
        return str(state["messages"][-1].content)
    llm: Any = MockFunctionCallingLLM(response_generator=said_in_turns((("lookup", ASKED),), "<a>"))
    tools, llm = speculate([lookup], llm, accel, allowed=["lookup"], predictors=[guest])
    return str(await FunctionAgent(tools=tools, llm=llm).run(user_msg="Go."))


BAD = {
    "raises": (_raises, "predict"),
    "nothing": (lambda: None, "predict"),
    "no guesses": (lambda: [None, 7, "lookup", ToolCall("lookup", ASKED)], "not_a_guess"),
    "unknown tools": (lambda: [guess("a", tool="nowhere")] * 10_000, "unknown_tool"),
    "wrong types": (lambda: [guess(3), guess(["x"]), guess(None)], ""),
    "no confidence": (lambda: [guess("a")._replace(confidence=float("nan"))], "confidence"),
    "ten thousand": (lambda: [guess(f"k{at}") for at in range(10_000)], ""),
    "endless": (lambda: (guess(f"k{at}") for at in itertools.count()), ""),
    "always the same": (lambda: [guess("a")] * 1_000, ""),
}


@FRAMEWORKS
@pytest.mark.parametrize("bad", BAD)
async def test_a_bad_predictor_changes_nothing(
    framework: str, bad: str, accel: Accel, seen: RecordingObserver
) -> None:
    """It is told once, and neither calls nor guesses without end are made for it."""
    called: list[str] = []

    async def lookup(key: str) -> str:
        """Look something up."""
        called.append(key)
        return f"<{key}>"

    say, reason = BAD[bad]
    assert (await answer(framework, accel, lookup, Guest(say))).endswith("<a>")
    assert called.count("a") == 1
    assert len(called) <= 1 + MOST_GUESSES
    told = [event.reason for event in seen.of(PredictorFailed)]
    assert told.count(reason) == bool(reason)


@FRAMEWORKS
async def test_a_tool_that_hangs_for_a_guess_is_called_again(
    framework: str, accel: Accel, seen: RecordingObserver
) -> None:
    """The call waits for the guess as long as any may take, and leaves nothing behind."""
    called: list[str] = []

    async def lookup(key: str) -> str:
        """Look something up."""
        called.append(key)
        if len(called) == 1:
            await asyncio.Event().wait()
        return f"<{key}>"

    before = asyncio.all_tasks()
    said = await answer(framework, accel, lookup, Guest(lambda: [guess("a")]))
    assert said.endswith("<a>")
    assert called == ["a", "a"]
    assert next(event.tool for event in seen.of(ToolCallBegun)) == "lookup"
    for _ in range(50):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() <= before


async def test_a_draft_model_slower_than_the_agents_is_left(
    accel: Accel, seen: RecordingObserver
) -> None:
    """In LlamaIndex, as LangChain's tests have it: the run waits for nobody, and is told."""

    class Slow(MockFunctionCallingLLM):
        async def achat_with_tools(self, *args: Any, **kwargs: Any) -> Any:
            await asyncio.Event().wait()

    def lookup(key: str) -> str:
        """Look something up."""
        return f"<{key}>"

    before = asyncio.all_tasks()
    llm: Any = MockFunctionCallingLLM(response_generator=said_in_turns((("lookup", ASKED),), "<a>"))
    tools, llm = speculate([lookup], llm, accel, allowed=["lookup"], draft=Slow())
    assert str(await FunctionAgent(tools=tools, llm=llm).run(user_msg="Go.")) == "<a>"
    told = [(event.predictor, event.reason) for event in seen.of(PredictorFailed)]
    assert told == [("draft", "late")]
    for _ in range(50):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() <= before
