"""What one call may ask of the cache through LangChain's config, and what it never may."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain_core.globals import set_llm_cache
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import Generation
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph

from accel_core import events as happened
from accel_core.accel import Accel
from accel_core.config import from_mapping
from accel_core.testing.encoders import HashEncoder
from accel_core.testing.replies import Reply
from langchain_accel import AccelCache, accelerate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Clock, Colour, MakeAccel, MakeChat, Recorder

    Ask = Callable[..., Any]

QUESTION = "Is Paris the capital of France?"
SAME_MEANING = "Is the capital of France Paris?"
HOUR_S = 3600.0


@tool
def weather(place: str) -> str:
    """Tell the weather at a place."""
    return f"sunny in {place}"


def _invoke(colour: Colour, model: Any, question: str, config: Any) -> None:
    colour.invoke(model, question, config)


def _stream(colour: Colour, model: Any, question: str, config: Any) -> None:
    colour.stream(model, question, config)


def _chain(colour: Colour, model: Any, question: str, config: Any) -> None:
    chain = ChatPromptTemplate.from_template("{q}") | model | StrOutputParser()
    colour.invoke(chain, {"q": question}, config)


def _batch(colour: Colour, model: Any, question: str, config: Any) -> None:
    colour.batch(model, [question], config=config)


def _agent(colour: Colour, model: Any, question: str, config: Any) -> None:
    agent = create_agent(model, [weather])
    colour.invoke(agent, {"messages": [("user", question)]}, config)


def _graph(colour: Colour, model: Any, question: str, config: Any) -> None:
    def call(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", call)
    graph.add_edge(START, "model")
    colour.invoke(graph.compile(), {"messages": [("user", question)]}, config)


def _bound(colour: Colour, model: Any, question: str, config: Any) -> None:
    colour.invoke(model.with_config(config), question)


WAYS = {
    "accelerate": [_invoke, _stream, _batch, _chain, _agent, _graph, _bound],
    "set_llm_cache": [_invoke, _batch, _chain, _agent, _graph, _bound],
}


def made(way: str, accel: Accel, model: Any) -> Any:
    """Return `model` answering from `accel`, in one way or the other."""
    if way == "accelerate":
        return accelerate(model, accel)
    set_llm_cache(AccelCache(accel))
    return model


@pytest.fixture(
    params=[(way, ask) for way, asks in WAYS.items() for ask in asks],
    ids=lambda param: f"{param[0]}-{param[1].__name__.strip('_')}",
)
def ask(request: pytest.FixtureRequest, accel: Accel, chat: MakeChat, colour: Colour) -> Ask:
    """Ask a question with a config, in one of the ways of asking."""
    way, how = request.param
    model = made(way, accel, chat())

    def ask(question: str = QUESTION, config: Any = None) -> None:
        how(colour, model, question, config or {})
        accel.flush()

    return ask


@pytest.fixture
def accel(make_accel: MakeAccel, clock: Clock) -> Accel:
    return make_accel({"cache": {"ttl": {"base_s": HOUR_S}}}, clocks=clock.clocks())


class TestEverywhere:
    """Each control, in each way of asking."""

    def test_no_cache(self, ask: Ask, server: ModelServer, events: Recorder) -> None:
        """``accel:no-cache`` neither reads nor writes, and is counted."""
        ask()
        ask(config={"tags": ["accel:no-cache"]})
        assert server.call_count == 2
        ask("Why?", {"tags": ["accel:no-cache"]})
        ask("Why?")
        assert server.call_count == 4
        assert events.of(happened.CacheBypassed) == [happened.CacheBypassed("no_cache")] * 2

    def test_no_store(self, ask: Ask, server: ModelServer) -> None:
        """``accel:no-store`` reads and does not write."""
        ask()
        ask(config={"tags": ["accel:no-store"]})
        assert server.call_count == 1
        ask("Why?", {"tags": ["accel:no-store"]})
        ask("Why?")
        assert server.call_count == 3

    def test_refresh(self, ask: Ask, server: ModelServer) -> None:
        """``accel:refresh`` asks the model and replaces what is stored."""
        server._answer = lambda request: f"version {server.call_count}"
        ask()
        ask(config={"tags": ["accel:refresh"]})
        assert server.call_count == 2
        ask()
        assert server.call_count == 2

    def test_ttl(self, ask: Ask, server: ModelServer, clock: Clock) -> None:
        """``accel_ttl_s`` shortens the life of what is stored."""
        ask(config={"metadata": {"accel_ttl_s": 60}})
        clock.now += 59
        ask()
        assert server.call_count == 1
        clock.now += 2
        ask()
        assert server.call_count == 2
        clock.now += 61
        ask()
        assert server.call_count == 2

    def test_ttl_only_shortens(self, ask: Ask, server: ModelServer, clock: Clock) -> None:
        """A longer life than the configured one is not given, nor by being asked again."""
        ask(config={"metadata": {"accel_ttl_s": 10 * HOUR_S}})
        clock.now += HOUR_S - 1
        ask(config={"metadata": {"accel_ttl_s": 10 * HOUR_S}})
        assert server.call_count == 1
        clock.now += 2
        ask()
        assert server.call_count == 2

    def test_namespace(self, ask: Ask, server: ModelServer) -> None:
        """``accel_namespace`` is a space of its own, exactly and by meaning."""
        config = {"metadata": {"accel_namespace": "ann"}}
        ask()
        ask(config=config)
        assert server.call_count == 2
        ask(config=config)
        ask(SAME_MEANING)
        ask(SAME_MEANING, config)
        assert server.call_count == 2
        ask(config={"metadata": {"accel_namespace": "bob"}})
        assert server.call_count == 3

    def test_tags_and_user(self, accel: Accel, ask: Ask, server: ModelServer) -> None:
        """``accel_tags`` and ``accel_user`` name what is stored, to remove it by."""
        ask("one", {"metadata": {"accel_tags": ["faq", "en"]}})
        ask("two", {"metadata": {"accel_tags": "faq", "accel_user": "ann"}})
        ask("three", {"metadata": {"accel_user": "ann"}})
        assert len(accel.invalidate(tag="faq", dry_run=True)) == 2
        assert len(accel.forget(user="ann").removed) == 2
        for question in ("one", "two", "three"):
            ask(question)
        assert server.call_count == 5
        assert len(accel.invalidate(tag="en")) == 1


class TestStrangeControls:
    """Values that no config should hold, and that clients may send all the same."""

    @pytest.mark.parametrize(
        "bad",
        [
            {"accel_ttl_s": "soon"},
            {"accel_ttl_s": 0},
            {"accel_ttl_s": -1},
            {"accel_ttl_s": True},
            {"accel_ttl_s": float("nan")},
            {"accel_ttl_s": None},
            {"accel_namespace": ""},
            {"accel_namespace": 7},
            {"accel_namespace": "x" * 1000},
            {"accel_tags": 7},
            {"accel_tags": [1]},
            {"accel_tags": [""]},
            {"accel_user": ["ann"]},
        ],
        ids=json.dumps,
    )
    @pytest.mark.parametrize("way", WAYS)
    def test_bad_values(
        self,
        accel: Accel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        events: Recorder,
        *,
        way: str,
        bad: dict[str, Any],
    ) -> None:
        """A value that cannot be used is named in an event, once, and the call goes on as usual."""
        model = made(way, accel, chat())
        colour.invoke(model, QUESTION, {"metadata": bad})
        assert [event.name for event in events.of(happened.ControlIgnored)] == list(bad)
        colour.invoke(model, QUESTION)
        assert server.call_count == 1

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(
        "config",
        [
            {"metadata": {"accel_ttl_s": 10**400}},
            {"metadata": {"accel_ttl_s": float("inf")}},
            {"metadata": {"accel_ttl_s": 1e-320}},
            {"metadata": {"accel_namespace": "\ud800"}},
            {"metadata": {"accel_tags": [["nested"]]}},
            {"metadata": {"accel_tags": {"a": 1}}},
            {"metadata": {"accel_user": "\0"}},
            {"tags": ["accel:unknown", "accel:", ""]},
            {"tags": [7, None]},
            {"configurable": {"accel_ttl_s": 10**400}},
        ],
        ids=str,
    )
    def test_never_in_the_way(
        self,
        accel: Accel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        *,
        way: str,
        config: dict[str, Any],
    ) -> None:
        """Whatever a config holds, the call is answered."""
        model = made(way, accel, chat())
        for _ in range(2):
            assert colour.invoke(model, QUESTION, config).content == f"Answer to: {QUESTION}"


class TestOfTheModel:
    """Controls that a model carries itself."""

    def test_metadata_and_tags_of_the_model(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """A model's own metadata and tags control its calls, and a call's own come on top."""
        fast = accelerate(chat(metadata={"accel_namespace": "ann"}), accel)
        colour.invoke(fast, QUESTION)
        colour.invoke(accelerate(chat(), accel), QUESTION)
        assert server.call_count == 2
        never = accelerate(chat(tags=["accel:no-cache"]), accel)
        colour.invoke(never, QUESTION)
        assert server.call_count == 3

    def test_one_of_a_batch(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """The calls of one batch have each their own controls."""
        fast = accelerate(chat(), accel)
        configs = [{"metadata": {"accel_namespace": name}} for name in ("ann", "bob", "ann")]
        for _ in range(2):
            colour.batch(fast, [QUESTION] * 3, config=configs)
        assert server.call_count == 2

    def test_tool_calls_inside_an_agent(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """Every model call of an agent's run is under the run's controls."""
        server._answer = lambda request: (
            Reply(tool_calls=(("weather", {"place": "Paris"}),))
            if request["messages"][-1]["role"] == "user"
            else "done"
        )
        agent = create_agent(accelerate(chat(), accel), [weather])
        question = {"messages": [("user", QUESTION)]}
        for name, calls in (("ann", 2), ("bob", 4), ("ann", 4)):
            colour.invoke(agent, question, {"metadata": {"accel_namespace": name}})
            assert server.call_count == calls


class TestNeverWider:
    """Nothing in a request's metadata reaches more than the application gave it."""

    def test_namespace_stays_inside_the_configured_one(
        self, chat: MakeChat, server: ModelServer, colour: Colour, tmp_path: Path
    ) -> None:
        """Applications that share a store and differ in namespace never meet, however called."""
        store = {"store": {"kind": "sqlite", "path": str(tmp_path / "cache.db")}}
        spaces = [
            ("", ""),
            ("", "a"),
            ("a", ""),
            ("", "a/b"),
            ("a", "b"),
            ("a/b", ""),
            ("", "/a"),
            ("/a", ""),
            ("a/", "b"),
            ("a", "/b"),
        ]
        for configured, asked in spaces:
            settings = {"namespace": configured, "cache": store}
            with Accel.from_mapping(settings, encoder=HashEncoder()) as accel:
                fast = accelerate(chat(), accel)
                config = {"metadata": {"accel_namespace": asked} if asked else {}}
                colour.invoke(fast, QUESTION, config)
        assert server.call_count == len(spaces)

    def test_nothing_lifts_an_admission(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """No control makes a refused request or answer be kept."""
        config = {
            "metadata": {"accel_max_temperature": 2, "accel_admission": "all", "accel_ttl_s": 1},
            "tags": ["accel:cache", "accel:store"],
        }
        fast = accelerate(chat(temperature=0.9), accel)
        short = accelerate(chat(max_tokens=2), accel)
        for _ in range(2):
            colour.invoke(fast, QUESTION, config)
            colour.invoke(short, QUESTION, config)
        assert server.call_count == 4

    def test_user_of_the_tenant_is_not_replaced(
        self, accel: Accel, chat: MakeChat, colour: Colour
    ) -> None:
        """The application's word on who the user is stands above a client's."""
        fast = accelerate(chat(), accel)
        with accel.tenant("acme", user="ann"):
            colour.invoke(fast, QUESTION, {"metadata": {"accel_user": "bob"}})
            assert accel.forget(user="bob", dry_run=True).removed == ()
            assert len(accel.forget(user="ann", dry_run=True).removed) == 1

    def test_tags_are_no_users(self, accel: Accel, chat: MakeChat, colour: Colour) -> None:
        """A tag that looks like a user's name makes nothing theirs."""
        fast = accelerate(chat(), accel)
        colour.invoke(fast, QUESTION, {"metadata": {"accel_tags": ["ann"]}})
        assert accel.forget(user="ann", dry_run=True).removed == ()


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_an_answer_asked_for_before_an_invalidation_is_not_kept(colour: str) -> None:
    """Nor where no flight was led, and LangChain tells of lookup and answer apart."""
    config = from_mapping({"cache": {"single_flight": {"enabled": False}}})
    asked = "what is the price", "a model"
    old, new = [Generation(text="old")], [Generation(text="new")]
    with Accel(config, encoder=HashEncoder()) as accel:
        cache = AccelCache(accel)

        async def look() -> Any:
            return await cache.alookup(*asked) if colour == "async" else cache.lookup(*asked)

        async def tell(given: list[Generation]) -> None:
            await cache.aupdate(*asked, given) if colour == "async" else cache.update(*asked, given)

        assert await look() is None
        accel.invalidate()
        await tell(old)
        assert await look() is None
        await tell(new)
        assert await look() == new
