"""What speculation is given wrongly is refused where it is given, in words that say what works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import FakeListChatModel
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI

from accel_core import events
from accel_core.accel import Accel
from accel_core.errors import ConfigError, UnsupportedError
from accel_core.prediction.mined import FanOutPredictor, MinedPredictor
from accel_core.testing.doubles import RecordingObserver
from langchain_accel import SpeculativeToolRunnable, SpeculativeTools
from llamaindex_accel import speculate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Speculates = Callable[..., Any]


def find(key: str) -> str:
    """Find."""
    return key


@pytest.fixture
def seen() -> RecordingObserver:
    return RecordingObserver()


@pytest.fixture
def accel(seen: RecordingObserver) -> Iterator[Accel]:
    with Accel(observers=[seen]) as made:
        yield made


@pytest.fixture(params=["middleware", "runnable", "llamaindex"])
def speculates(request: pytest.FixtureRequest, accel: Accel) -> Speculates:
    """Return what takes the arguments that all of them have."""
    if request.param == "middleware":
        return lambda **given: SpeculativeTools(accel=accel, **given)
    if request.param == "runnable":
        model = ChatOpenAI(model="gpt-4o-mini", api_key="none")
        return lambda **given: SpeculativeToolRunnable(model, [tool(find)], accel=accel, **given)
    llm = OpenAI(model="gpt-4o-mini", api_key="none")
    return lambda **given: speculate([find], llm, accel, **given)


@pytest.mark.parametrize("argument", ["allowed", "never"])
def test_a_name_that_is_no_list_is_refused(speculates: Speculates, argument: str) -> None:
    """One text would be read letter by letter, and bar or allow nothing that anybody meant."""
    with pytest.raises(UnsupportedError, match=rf"{argument}= takes a list .*\['find'\]"):
        speculates(**{argument: "find"})
    with pytest.raises(UnsupportedError, match=f"{argument}= takes names of tools, or tools"):
        speculates(**{argument: [3]})


def test_tools_may_be_named_by_themselves(accel: Accel) -> None:
    """A tool in `never` is barred as its name is, though its name is allowed."""
    from accel_core.permits import names_of
    from langchain_accel._speculation_wiring import name_of
    from llamaindex_accel._speculative_tools import copied_of

    assert names_of("never", ["a", tool(find)], name_of) == ["a", "find"]
    (barred,), _ = speculate(
        [find],
        OpenAI(model="gpt-4o-mini", api_key="none"),
        accel,
        allowed=["find"],
        never=[FunctionTool.from_defaults(find)],
    )
    (free,), _ = speculate(
        [find], OpenAI(model="gpt-4o-mini", api_key="none"), accel, allowed=["find"]
    )
    known, other = copied_of(barred), copied_of(free)
    assert known is not None
    assert other is not None
    assert known.blocking.validated({"key": "a"}) is None
    assert other.blocking.validated({"key": "a"}) is not None


def test_a_file_beside_predictors_of_ones_own_is_refused(
    speculates: Speculates, tmp_path: Path
) -> None:
    """Nobody would read it."""
    MinedPredictor().save(tmp_path / "tools.json")
    with pytest.raises(ConfigError, match=r"learned: must be left out beside predictors="):
        speculates(learned=tmp_path / "tools.json", predictors=[FanOutPredictor()])


def test_a_draft_is_a_model(speculates: Speculates) -> None:
    """A model's name is refused at once, not at every turn."""
    with pytest.raises(UnsupportedError, match=r"draft= takes .* such as (OpenAI|ChatOpenAI)"):
        speculates(draft="gpt-4o-mini")


def test_what_is_no_tool_and_no_model_is_refused(accel: Accel) -> None:
    """Arguments in the wrong order are named, too."""
    llm: Any = OpenAI(model="gpt-4o-mini", api_key="none")
    with pytest.raises(UnsupportedError, match=r"takes an LLM, .* got str"):
        speculate([find], "gpt-4o-mini", accel)  # type: ignore[type-var]
    with pytest.raises(UnsupportedError, match=r"takes an LLM, .* got list"):
        speculate(llm, [find], accel)  # type: ignore[type-var]
    with pytest.raises(UnsupportedError, match=r"tools= takes tools and functions; got 'find'"):
        speculate(["find"], llm, accel)  # type: ignore[list-item]
    model = ChatOpenAI(model="gpt-4o-mini", api_key="none")
    with pytest.raises(UnsupportedError, match=r"make one of a function by @tool"):
        SpeculativeToolRunnable(model, [find], accel=accel)  # type: ignore[list-item]


class Offered(FakeListChatModel):
    """A model that may be offered tools."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self


def test_names_that_no_tool_has_are_told(speculates: Speculates, seen: RecordingObserver) -> None:
    """Who misspells what must never be called unasked is told, and what there is."""
    made = speculates(allowed=["find", "fnid"], never=["cancel"])
    if isinstance(made, SpeculativeTools):  # the agent's tools are known when it is made
        model = Offered(responses=["a", "b"])
        agent = create_agent(model, [tool(find)], middleware=[made])
        for _ in range(2):
            agent.invoke({"messages": [("user", "a")]})
    told = seen.of(events.ToolsUnknown)
    assert told == [
        events.ToolsUnknown("allowed", ("fnid",), ("find",)),
        events.ToolsUnknown("never", ("cancel",), ("find",)),
    ]
    assert told[0].remedy == "allowed= names ['fnid']; there are ['find']"
