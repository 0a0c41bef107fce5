"""`race()` of real chat models, chains and agents: answers, traces, limits, in both colours."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import openai as sdk
import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField, RunnableLambda
from langchain_core.tools import tool
from langchain_core.tracers.base import BaseTracer

from accel_core import Limiter
from accel_core.errors import ConfigError, UnsupportedError
from accel_core.events.races import PathsRaced
from accel_core.testing.replies import Reply, echo, last_user_text
from langchain_accel import accelerate, race
from langchain_accel.racing import RunnableRace
from tests.raced import ONE_BY_ONE, WAIT_S, join_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.accel import Accel
    from tests.langchain.conftest import Colour, MakeChat, Recorder

QUESTION = "When is a refund paid?"


class Models:
    """What the server answers: by the model's name, `large` only once it may."""

    def __init__(self) -> None:
        self.small = Reply(content="good")
        self.asked: list[str] = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self, request: dict[str, Any]) -> Reply | str:
        self.asked.append(request["model"])
        if request["model"] == "small":
            return self.small
        assert self.may_answer.wait(WAIT_S)
        return Reply(content=f"{request['model']}: {last_user_text(request)}")


@pytest.fixture
def models(server: Any) -> Iterator[Models]:
    server._answer = models = Models()
    yield models
    models.may_answer.set()
    join_threads()


def good(message: AIMessage) -> bool:
    return message.text == "good"


class Runs(BaseTracer):
    """Keeps every run that began, and sees which ended."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[Any] = []
        self.ended: set[Any] = set()

    def _persist_run(self, run: Any) -> None:
        pass

    def _on_run_create(self, run: Any) -> None:
        self.begun.append(run)

    def _on_run_update(self, run: Any) -> None:
        self.ended.add(run.id)

    def named(self, name: str) -> Any:
        (run,) = [run for run in self.begun if run.name == name]
        return run


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("how", ["invoke", "stream", "batch"])
def test_the_small_model_answers_where_that_is_good_enough(
    chat: MakeChat, colour: Colour, accel: Accel, models: Models, how: str
) -> None:
    """The first acceptable message is returned whole, while the large model is left."""
    models.may_answer.clear()
    small, large = chat(model="small"), chat(model="large")
    raced = race({"small": small, "large": large}, accept=good, accel=accel)
    asked: Any = [QUESTION] * 3 if how == "batch" else QUESTION
    found = getattr(colour, how)(raced, asked)
    answers = found if isinstance(found, list) else [found]
    assert [answer.text for answer in answers] == ["good"] * (3 if how == "batch" else 1)
    assert all(isinstance(answer, AIMessage) for answer in answers)


def test_what_is_refused_or_fails_is_answered_by_the_standard_path(
    chat: MakeChat, colour: Colour, accel: Accel, models: Models, events_seen: Any
) -> None:
    """The large model's message is returned as it is, whatever became of the small one's."""
    small, large = chat(model="small"), chat(model="large")
    raced = race([small, large], accept=good, accel=accel)
    for bad in (Reply(content="bad"), Reply(status=500), Reply(content="", refusal="no")):
        models.small = bad
        assert colour.invoke(raced, QUESTION).text == f"large: {QUESTION}"
    assert [race.winner for race in events_seen.of(PathsRaced)] == ["ChatOpenAI 2"] * 3
    assert accel.stats().raced["ChatOpenAI 2.won"] == 3


@pytest.fixture
def events_seen(events: Recorder) -> Recorder:
    return events


@pytest.mark.usefixtures("models")
def test_the_standard_models_error_is_the_users(
    chat: MakeChat, colour: Colour, accel: Accel, models: Models, server: Any
) -> None:
    """What the SDK raises without a race is raised in one; an accepted answer makes up for it."""

    def answer(request: dict[str, Any]) -> Reply:
        return models.small if request["model"] == "small" else Reply(status=401, content="who?")

    server._answer = answer
    raced = race([chat(model="small"), chat(model="large")], accept=good, accel=accel)
    assert colour.invoke(raced, QUESTION).text == "good"
    models.small = Reply(content="bad")
    with pytest.raises(sdk.AuthenticationError, match="who"):
        colour.invoke(raced, QUESTION)


def test_what_starts_later_is_not_asked_at_all(
    chat: MakeChat, colour: Colour, accel: Accel, models: Models, server: Any
) -> None:
    """With `after_s` the large model costs nothing where the small one does."""
    small, large = chat(model="small"), chat(model="large")
    raced = race([small, large], accept=good, after_s=ONE_BY_ONE, accel=accel)
    assert colour.invoke(raced, QUESTION).text == "good"
    assert models.asked == ["small"]
    models.small = Reply(content="bad")
    assert colour.invoke(raced, QUESTION).text.startswith("large")
    assert models.asked == ["small", "small", "large"]


def test_every_path_is_a_child_run_that_ends(
    chat: MakeChat, colour: Colour, accel: Accel, models: Models
) -> None:
    """Callbacks, tags and metadata reach the paths; what lost ends with what ended it."""
    models.may_answer.clear()
    runs = Runs()
    prompt = {"q": RunnableLambda(lambda q: q)} | ChatPromptTemplate.from_template("{q}")
    small_model: Any = chat(model="small").with_config(run_name="direct")
    paths: Any = {"small": small_model, "steps": prompt | chat(model="large")}
    raced: Any = RunnableLambda(lambda q: q) | race(paths, accept=good, accel=accel)
    config = {"callbacks": [runs], "tags": ["mine"], "metadata": {"user": "ann"}}
    assert colour.invoke(raced, QUESTION, config).text == "good"
    models.may_answer.set()
    join_threads()
    parent = runs.named("RunnableRace")
    small = runs.named("direct")
    assert small.parent_run_id == parent.id
    assert {"mine", "race:small"} <= set(small.tags)
    assert small.extra["metadata"]["user"] == "ann"
    steps = [run for run in runs.begun if "race:steps" in (run.tags or [])]
    assert [run.parent_run_id for run in steps] == [parent.id] * len(steps)
    assert {run.id for run in runs.begun} == runs.ended
    lost = [run for run in runs.begun if run.error]
    assert lost or colour.name == "sync"
    assert all("CancelledError" in run.error or "Unwanted" in run.error for run in lost)


def test_a_thread_that_lost_ends_at_its_next_step(
    chat: MakeChat, accel: Accel, models: Models
) -> None:
    """It is not cut off, but asks no more: neither the next model, nor a retry, nor a fallback."""
    models.may_answer.clear()
    began = threading.Event()

    def slow(question: str) -> str:
        began.set()
        assert models.may_answer.wait(WAIT_S)
        return question

    def fast(question: str) -> AIMessage:
        assert began.wait(WAIT_S)
        return AIMessage("good")

    runs = Runs()
    large: Any = chat(model="large").with_retry().with_fallbacks([chat(model="larger")])
    raced: Any = race([fast, RunnableLambda(slow) | large], accept=good, accel=accel)
    assert raced.invoke(QUESTION, {"callbacks": [runs]}).text == "good"
    assert accel.stats().raced == {"fast.won": 1, "RunnableSequence.cancelled": 1}
    models.may_answer.set()
    join_threads()
    assert models.asked == []
    assert "Unwanted" in runs.named("RunnableSequence").error
    assert {run.id for run in runs.begun} == runs.ended


def test_what_is_cancelled_gives_back_what_it_holds_of_a_limiter(
    chat: MakeChat, colour: Colour, accel: Accel, models: Models, server: Any
) -> None:
    """A call that waits is never sent; one that was sent frees its place, a thread at its end."""
    models.may_answer.clear()
    limiter = Limiter(tokens_per_minute=600_000)
    large = accelerate(chat(model="large", max_tokens=590_000), accel, limiter=limiter)
    paths = {"small": chat(model="small"), "one": large, "two": large.bind(stop=["."])}

    def waited_for(message: AIMessage) -> bool:
        server.wait_for_calls(2)
        state = limiter.state()
        while not (state.under_way and state.waiting):
            state = limiter.state()
        return True

    raced = race(paths, accept=waited_for, accel=accel)
    assert colour.invoke(raced, QUESTION).text == "good"
    if colour.name == "sync":
        assert limiter.state().under_way == 1
        models.may_answer.set()
        join_threads()
    assert limiter.state().under_way == limiter.state().waiting == 0
    assert models.asked.count("large") == 1


@pytest.mark.usefixtures("models")
def test_caches_and_tenants_reach_into_the_paths(
    chat: MakeChat, colour: Colour, accel: Accel, models: Models, server: Any
) -> None:
    """Accelerated models answer from their cache inside a race, each tenant from its own."""
    paths = [chat(model="small"), chat(model="large")]
    raced: Any = race(paths, accept=good, after_s=ONE_BY_ONE, accel=accel)
    models.small = Reply(content="bad")
    raced = accelerate(raced, accel)
    assert isinstance(raced, RunnableRace)
    for tenant in ("acme", "acme", "globex"):
        with accel.tenant(tenant):
            assert colour.invoke(raced, QUESTION).text == f"large: {QUESTION}"
    assert models.asked == ["small", "large"] * 2


@tool
def paid_after_days() -> int:
    """Tell after how many days a refund is paid."""
    return 14


def test_an_agent_is_the_standard_path_of_a_direct_answer(
    chat: MakeChat, colour: Colour, accel: Accel, server: Any
) -> None:
    """A graph races beside a plain function; both take and return its state."""

    def answer(request: dict[str, Any]) -> Reply:
        if not request.get("tools"):
            return Reply(content="I don't know.")
        if request["messages"][-1]["role"] == "user":
            return Reply(tool_calls=(("paid_after_days", {}),))
        return Reply(content=f"After {request['messages'][-1]['content']} days.")

    server._answer = answer
    model = chat()
    agent = create_agent(model, [paid_after_days])
    direct = RunnableLambda(lambda state: state["messages"]) | model | {"messages": lambda m: [m]}
    raced: Any = race(
        {"direct": direct, "agent": agent},
        accept=lambda state: "don't know" not in state["messages"][-1].text,
        after_s=ONE_BY_ONE,
        accel=accel,
    )
    state = colour.invoke(raced, {"messages": [("user", QUESTION)]})
    assert state["messages"][-1].text == "After 14 days."
    assert accel.stats().raced == {"direct.refused": 1, "agent.won": 1}


def test_a_model_can_be_the_judge(
    chat: MakeChat, accel: Accel, models: Models, runner: Any
) -> None:
    """`accept` may ask a model itself; a sync call says that it needs the async one."""
    judge = chat(model="small") | StrOutputParser()

    async def accept(message: AIMessage) -> bool:
        return bool(await judge.ainvoke(message.text) == "good")

    raced: Any = race([chat(model="small"), chat(model="large")], accept=accept, accel=accel)
    models.may_answer.clear()
    assert runner.run(raced.ainvoke(QUESTION)).text == "good"
    with pytest.raises(UnsupportedError, match="ainvoke"):
        raced.invoke(QUESTION)


def test_a_race_is_a_runnable_like_its_standard_path(chat: MakeChat, accel: Accel) -> None:
    """Schemas are the standard path's, what can be configured is everybody's."""
    small = chat(model="small").configurable_fields(temperature=ConfigurableField(id="warmth"))
    prompt = ChatPromptTemplate.from_template("{question}")
    raced: Any = race([prompt | small, prompt | chat() | StrOutputParser()], accept=good)
    assert raced.get_input_jsonschema()["required"] == ["question"]
    assert raced.OutputType is str
    assert raced.get_output_jsonschema()["type"] == "string"
    assert "warmth" in {spec.id for spec in raced.config_specs}
    assert raced.get_graph().nodes


def test_what_cannot_be_raced_is_refused(accel: Accel) -> None:
    """One path, no function to accept by, times out of range, and no runnables."""
    with pytest.raises(ConfigError, match="two paths"):
        race([echo], accept=good)
    with pytest.raises(ConfigError, match=r"race\.after_s"):
        race([echo, echo], accept=good, after_s=(1.0,))
    with pytest.raises(TypeError, match="accept"):
        race([echo, echo], accept=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        race([echo, 17], accept=good)  # type: ignore[list-item]
