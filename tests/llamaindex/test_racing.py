"""`race()` of LLMs, engines, agents, workflows and functions, in both colours."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import openai as sdk
import pytest
from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.selectors import LLMSingleSelector
from llama_index.core.tools import FunctionTool, QueryEngineTool
from llama_index.core.workflow import StartEvent, StopEvent, Workflow, step

from accel_core import Limiter
from accel_core.errors import ConfigError, UnsupportedError
from accel_core.events.races import PathsRaced
from accel_core.testing.replies import Reply, echo
from llamaindex_accel import accelerate, race
from tests.llamaindex.support import text_of, user
from tests.raced import ONE_BY_ONE, WAIT_S, join_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.testing.doubles import RecordingObserver
    from tests.llamaindex.support import Caller

QUESTION = "When is a refund paid?"
SMALL, LARGE = "gpt-4o-mini", "gpt-4o"


class Models:
    """What the server answers: by the model's name, the large one only once it may."""

    def __init__(self) -> None:
        self.small = Reply(content="good")
        self.asked: list[str] = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self, request: dict[str, Any]) -> Reply | str:
        self.asked.append(request["model"])
        if request["model"] == SMALL:
            return self.small
        assert self.may_answer.wait(WAIT_S)
        return Reply(content="large")


@pytest.fixture
def models(server: Any) -> Iterator[Models]:
    server._answer = models = Models()
    yield models
    models.may_answer.set()
    join_threads()


def good(response: Any) -> bool:
    return text_of(response) == "good"


@pytest.fixture
def run(ask: Caller, runner_colour: str) -> Callable[..., Any]:
    """Run a race in the test's colour."""

    def run(raced: Any, *args: Any, **kwargs: Any) -> Any:
        if runner_colour == "sync":
            return raced.run(*args, **kwargs)
        return ask.run(raced.arun(*args, **kwargs))

    run.sync = runner_colour == "sync"  # type: ignore[attr-defined]
    return run


@pytest.fixture
def query(ask: Caller, runner_colour: str) -> Callable[..., Any]:
    """Ask a query engine in the test's colour."""

    def query(engine: Any) -> Any:
        if runner_colour == "sync":
            return engine.query(QUESTION)
        return ask.run(engine.aquery(QUESTION))

    return query


@pytest.mark.parametrize("asked", [QUESTION, user(QUESTION)], ids=["complete", "chat"])
def test_the_small_llm_answers_where_that_is_good_enough(
    make_llm: Callable[..., OpenAI], accel: Accel, models: Models, run: Any, asked: Any
) -> None:
    """A text is completed and a conversation continued; the large model is left, or answers."""
    raced = race([make_llm(), make_llm(model=LARGE)], accept=good, accel=accel)
    models.may_answer.clear()
    assert text_of(run(raced, asked)) == "good"
    models.may_answer.set()
    models.small = Reply(content="bad")
    assert text_of(run(raced, asked)) == "large"
    told = accel.stats().raced
    assert told["OpenAI.won"] == told["OpenAI 2.won"] == 1


def test_the_standard_llms_error_is_the_users(
    make_llm: Callable[..., OpenAI], accel: Accel, models: Models, server: Any, run: Any
) -> None:
    """What the SDK raises without a race is raised in one; an accepted answer makes up for it."""

    def answer(request: dict[str, Any]) -> Reply:
        return models.small if request["model"] == SMALL else Reply(status=401, content="who?")

    server._answer = answer
    raced = race({"a": make_llm(), "b": make_llm(model=LARGE)}, accept=good, accel=accel)
    assert text_of(run(raced, QUESTION)) == "good"
    models.small = Reply(content="bad")
    with pytest.raises(sdk.AuthenticationError, match="who"):
        run(raced, QUESTION)


def test_query_engines_race_wherever_an_engine_is_used(
    make_llm: Callable[..., OpenAI],
    accel: Accel,
    models: Models,
    observed: RecordingObserver,
    query: Callable[..., Any],
) -> None:
    """As a query engine a race answers with sources, in a router like any other."""
    index = VectorStoreIndex.from_documents(
        [Document(text="A refund is paid within 14 days.")], embed_model=MockEmbedding(8)
    )
    paths = {
        "small": index.as_query_engine(llm=make_llm()),
        "large": index.as_query_engine(llm=make_llm(model=LARGE)),
    }
    engine = race(paths, accept=lambda found: str(found) == "good", accel=accel).as_query_engine()

    models.may_answer.clear()
    found = query(engine)
    assert str(found) == "good"
    assert found.source_nodes
    models.may_answer.set()
    models.small = Reply(content='[{"choice": 1, "reason": "the only one"}]')
    router = RouterQueryEngine(
        LLMSingleSelector.from_defaults(make_llm()),
        [QueryEngineTool.from_defaults(engine, description="refunds")],
        llm=make_llm(),
    )
    assert str(query(router)) == "large"
    assert [one.winner for one in observed.of(PathsRaced)] == ["small", "large"]
    assert set(engine.get_prompts()) >= {f"small:{name}" for name in paths["small"].get_prompts()}


class Steps(Workflow):
    """Answers when it may, and tells what became of it."""

    def __init__(self, answer: str, may_answer: asyncio.Event, told: list[str]) -> None:
        super().__init__(timeout=None)
        self.answer, self.may_answer, self.told = answer, may_answer, told

    @step
    async def only(self, ev: StartEvent) -> StopEvent:
        try:
            self.told.append(ev.get("question"))
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.told.append("cancelled")
            raise
        return StopEvent(result=self.answer)


@pytest.mark.parametrize("given", ["workflow", "handler"])
async def test_a_workflow_that_lost_is_cancelled_itself(accel: Accel, given: str) -> None:
    """LlamaIndex would let it run on when its waiter is cancelled; nothing of it is left."""
    told: list[str] = []
    begun = asyncio.Event()
    slow = Steps("slow", asyncio.Event(), told)

    async def fast(question: str) -> str:
        while not told:
            await asyncio.sleep(0)
        begun.set()
        return "good"

    async def handler(question: str) -> Any:
        return slow.run(question=question)

    standard: Any = slow if given == "workflow" else handler
    raced = race([fast, standard], accept="good".__eq__, accel=accel)
    assert await raced.arun(question=QUESTION) == "good"
    assert told == [QUESTION, "cancelled"]
    assert asyncio.all_tasks() == {asyncio.current_task()}
    slow.may_answer.set()
    refused = race([fast, standard], accept="slow".__eq__, accel=accel)
    assert await refused.arun(question=QUESTION) == "slow"


async def test_what_a_workflow_raises_is_raised(accel: Accel) -> None:
    """A standard workflow that fails fails as it does alone."""

    class Failing(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            raise LookupError("nothing there")

    raced = race([Failing(), Failing()], accept=lambda result: True, accel=accel)
    with pytest.raises(LookupError, match="nothing there"):
        await raced.arun()
    assert accel.stats().raced == {"Failing.failed": 1, "Failing 2.failed": 1}


def test_an_agent_is_the_standard_path_of_a_direct_answer(
    make_llm: Callable[..., OpenAI], accel: Accel, server: Any, ask: Caller
) -> None:
    """Where the direct answer will not do, the agent's does; it runs under asyncio alone."""

    def answer(request: dict[str, Any]) -> Reply:
        if not request.get("tools"):
            return Reply(content="I don't know.")
        if request["messages"][-1]["role"] == "user":
            return Reply(tool_calls=(("paid_after_days", {}),))
        return Reply(content="After 14 days.")

    def paid_after_days() -> int:
        """Tell after how many days a refund is paid."""
        return 14

    server._answer = answer
    llm = make_llm()
    tool = FunctionTool.from_defaults(fn=paid_after_days)
    agent = FunctionAgent(tools=[tool], llm=llm, streaming=False)
    raced = race(
        {"direct": llm, "agent": agent},
        accept=lambda found: "don't know" not in str(found),
        after_s=ONE_BY_ONE,
        accel=accel,
    )
    assert str(ask.run(raced.arun(QUESTION))) == "After 14 days."
    assert accel.stats().raced == {"direct.refused": 1, "agent.won": 1}
    with pytest.raises(UnsupportedError, match="'agent' runs under asyncio alone"):
        raced.run(QUESTION)


def test_functions_are_called_in_threads(accel: Accel, run: Any) -> None:
    """A function that blocks holds up no loop, keyword arguments included."""
    threads: list[int] = []

    def one(question: str, *, limit: int) -> str:
        threads.append(threading.get_ident())
        return question[:limit]

    raced = race([one, lambda question, limit: "standard"], accept="When".__eq__, accel=accel)
    assert run(raced, QUESTION, limit=4) in {"When", "standard"}
    assert threading.get_ident() not in threads


def test_what_is_cancelled_gives_back_what_it_holds_of_a_limiter(
    make_llm: Callable[..., OpenAI],
    accel: Accel,
    models: Models,
    server: Any,
    run: Any,
) -> None:
    """A call that waits is never sent; one that was sent frees its place, a thread at its end."""
    models.may_answer.clear()
    limiter = Limiter(tokens_per_minute=600_000)
    large = accelerate(make_llm(model=LARGE, max_tokens=590_000), accel, limiter=limiter)
    other = accelerate(
        make_llm(model=LARGE, max_tokens=590_000, temperature=0.1), accel, limiter=limiter
    )

    def waited_for(response: Any) -> bool:
        server.wait_for_calls(2)
        state = limiter.state()
        while not (state.under_way and state.waiting):
            state = limiter.state()
        return True

    raced = race([make_llm(), large, other], accept=waited_for, accel=accel)
    assert text_of(run(raced, QUESTION)) == "good"
    if run.sync:
        assert limiter.state().under_way == 1
        models.may_answer.set()
        join_threads()
    assert limiter.state().under_way == limiter.state().waiting == 0
    assert models.asked.count(LARGE) == 1


def test_caches_and_tenants_reach_into_the_paths(
    make_llm: Callable[..., OpenAI], accel: Accel, models: Models, run: Any
) -> None:
    """Accelerated models answer from their cache inside a race, each tenant from its own."""
    models.small = Reply(content="bad")
    llms = [accelerate(make_llm(), accel), accelerate(make_llm(model=LARGE), accel)]
    raced = race(llms, accept=good, after_s=ONE_BY_ONE, accel=accel)
    for tenant in ("acme", "acme", "globex"):
        with accel.tenant(tenant):
            assert text_of(run(raced, QUESTION)) == "large"
    assert models.asked == [SMALL, LARGE] * 2


def test_every_span_of_a_race_is_its_child_and_ends(
    make_llm: Callable[..., OpenAI], accel: Accel, models: Models, run: Any, spans: Any
) -> None:
    """Instrumentation sees the paths inside the race; what lost is dropped."""
    models.may_answer.clear()
    raced = race([make_llm(), make_llm(model=LARGE)], accept=good, accel=accel)
    run(raced, QUESTION)
    models.may_answer.set()
    join_threads()
    assert not spans.open_spans
    (parent,) = [span for span in spans.completed_spans if ".Race." in f".{span.id_}"]
    ended = [*spans.completed_spans, *spans.dropped_spans]
    assert {span.parent_id for span in ended if "complete-" in span.id_} >= {parent.id_}


def test_what_cannot_be_raced_is_refused(accel: Accel, make_llm: Callable[..., OpenAI]) -> None:
    """One path, times out of range, what is no path, and no query engine as one."""
    with pytest.raises(ConfigError, match="two paths"):
        race([echo], accept=good)
    with pytest.raises(ConfigError, match=r"race\.timeout_s"):
        race([echo, echo], accept=good, timeout_s=0)
    with pytest.raises(UnsupportedError, match="query engines"):
        race([echo, 17], accept=good)
    with pytest.raises(UnsupportedError, match="no query engine"):
        race({"a": echo, "b": make_llm()}, accept=good, accel=accel).as_query_engine()
