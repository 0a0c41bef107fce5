"""What is wrong with caching in LangChain, proved twice: the peer fails, `AccelCache` does not.

Each claim is one function over a cache. It is run on LangChain's `InMemoryCache`, where it must
fail (so that a repaired peer is noticed), and on `AccelCache`, where it must hold.
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypedDict

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import get_usage_metadata_callback
from langchain_core.globals import set_llm_cache
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, Generation
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from pydantic import BaseModel

from accel_core.store.memory import MemoryStore
from langchain_accel import AccelCache, accelerate

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.caches import BaseCache

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeAccel, MakeChat

    Claim = Callable[["Scene"], None]

QUESTION = "What is the capital of France?"


class Scene(NamedTuple):
    """Where a claim is tried."""

    cache: BaseCache
    server: ModelServer
    chat: MakeChat
    colour: Any

    def ask(self, model: Any, value: Any = QUESTION, **kwargs: Any) -> AIMessage:
        answer: AIMessage = self.colour.invoke(model, value, **kwargs)
        return answer


class State(TypedDict):
    messages: Annotated[list[Any], add_messages]


def _conversation(scene: Scene) -> Any:
    """Return a graph of one model node that remembers its thread."""
    model = scene.chat()

    def call(state: State) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    async def acall(state: State) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(State)
    graph.add_node("model", call if scene.colour.name == "sync" else acall)
    graph.add_edge(START, "model")
    return graph.compile(checkpointer=InMemorySaver())


def fresh_ids(scene: Scene) -> None:
    """Every answer is a message of its own."""
    model = scene.chat()
    first, second = scene.ask(model), scene.ask(model)
    assert scene.server.call_count == 1
    assert first.content == second.content
    assert second.id
    assert first.id != second.id


def graph_keeps_both_answers(scene: Scene) -> None:
    """The same first question in two threads of one list keeps every message of a graph."""
    model = scene.chat()
    first, second = scene.ask(model), scene.ask(model)
    state = add_messages([HumanMessage("one"), first], [HumanMessage("two"), second])
    assert scene.server.call_count == 1
    assert isinstance(state, list)
    assert [m.type for m in state] == ["human", "ai", "human", "ai"]


def checkpointed_thread_keeps_both_answers(scene: Scene) -> None:
    """A thread whose history is trimmed to the question asks it twice and keeps both answers."""
    model = scene.chat()

    def call(state: State) -> dict[str, Any]:
        return {"messages": [model.invoke([state["messages"][-1].content])]}

    graph = StateGraph(State)
    graph.add_node("model", call)
    graph.add_edge(START, "model")
    agent = graph.compile(checkpointer=InMemorySaver())
    for _ in range(2):
        state = scene.colour.invoke(
            agent, {"messages": [("user", QUESTION)]}, {"configurable": {"thread_id": "1"}}
        )
    assert scene.server.call_count == 1
    assert [m.type for m in state["messages"]] == ["human", "ai", "human", "ai"]


def second_turn_after_a_hit(scene: Scene) -> None:
    """A conversation replayed in another thread costs nothing, in its second turn either."""
    graph = _conversation(scene)
    for thread in "abc":
        config = {"configurable": {"thread_id": thread}}
        for question in (QUESTION, "And of Italy?"):
            scene.colour.invoke(graph, {"messages": [("user", question)]}, config)
    assert scene.server.call_count == 2


def usage_counted_once(scene: Scene) -> None:
    """A hit adds no tokens to the bill."""
    model = scene.chat()
    with get_usage_metadata_callback() as usage:
        scene.ask(model)
        once = json.loads(json.dumps(usage.usage_metadata))
        scene.ask(model)
    assert scene.server.call_count == 1
    (counted,), (billed,) = usage.usage_metadata.values(), once.values()
    assert billed["total_tokens"] > 0
    assert {**counted, "total_cost": 0} == {**billed, "total_cost": 0}  # LangChain adds the cost


def token_usage_is_zero(scene: Scene) -> None:
    """A hit's own usage is zero, in the provider's metadata as well."""
    model = scene.chat()
    scene.ask(model)
    hit = scene.ask(model)
    assert hit.usage_metadata is not None
    assert hit.usage_metadata["total_tokens"] == 0
    assert hit.response_metadata["token_usage"]["total_tokens"] == 0


def total_cost_does_not_change_the_next_turn(scene: Scene) -> None:
    """The ``total_cost`` LangChain adds to a hit is not taken for another conversation."""
    model = scene.chat()
    first, hit = scene.ask(model), scene.ask(model)
    scene.ask(model, [HumanMessage(QUESTION), first, HumanMessage("Why?")])
    scene.ask(model, [HumanMessage(QUESTION), hit, HumanMessage("Why?")])
    assert scene.server.call_count == 2


def changed_field_is_another_model(scene: Scene) -> None:
    """After ``model.model_name = …`` the old model's answer is not served."""
    model = scene.chat()
    scene.ask(model)
    model.model_name = "gpt-4o"
    assert scene.ask(model).response_metadata["model_name"] == "gpt-4o"


def changed_temperature_is_another_request(scene: Scene) -> None:
    """After ``model.temperature = …`` the model is asked again."""
    model = scene.chat(temperature=0.0)
    scene.ask(model)
    model.temperature = 0.2
    scene.ask(model)
    assert [call["temperature"] for call in scene.server.calls] == [0.0, 0.2]


def copied_model_is_another_model(scene: Scene) -> None:
    """``model_copy(update=…)``, as routers do, makes another model."""
    model = scene.chat()
    scene.ask(model)
    copied = model.model_copy(update={"model_name": "gpt-4o"})
    assert scene.ask(copied).response_metadata["model_name"] == "gpt-4o"


def returned_message_is_not_the_stored_one(scene: Scene) -> None:
    """Changing the answer of a miss changes no later one."""
    model = scene.chat()
    answer = scene.ask(model)
    answer.content = "changed"
    answer.additional_kwargs["changed"] = True
    again = scene.ask(model)
    assert scene.server.call_count == 1
    assert again.content == f"Answer to: {QUESTION}"
    assert "changed" not in again.additional_kwargs


def served_message_is_not_the_stored_one(scene: Scene) -> None:
    """Changing a hit, in place and deep inside, changes no later one."""
    model = scene.chat()
    scene.ask(model)
    hit = scene.ask(model)
    hit.response_metadata["changed"] = True
    hit.tool_calls.append({"name": "changed", "args": {}, "id": "1"})
    hit.name = "changed"
    again = scene.ask(model)
    assert scene.server.call_count == 1
    assert "changed" not in again.response_metadata
    assert again.tool_calls == []
    assert again.name is None


def extra_attributes_do_not_spread(scene: Scene) -> None:
    """An attribute that an application adds to one answer is on no other."""
    model = scene.chat()
    for mark in ("miss", "hit"):
        scene.ask(model).__setattr__(mark, True)
    again = scene.ask(model)
    assert scene.server.call_count == 1
    assert not hasattr(again, "miss")
    assert not hasattr(again, "hit")
    assert not again.model_extra


def streams_are_answered_from_memory(scene: Scene) -> None:
    """A stream fills the cache and is filled from it."""
    model = scene.chat()
    if isinstance(scene.cache, AccelCache):  # the peer's only place is the global cache
        model = accelerate(model, scene.cache.accel)
    streams = [scene.colour.stream(model, QUESTION) for _ in range(2)]
    assert scene.server.call_count == 1
    assert ["".join(chunk.content for chunk in stream) for stream in streams] == [
        f"Answer to: {QUESTION}"
    ] * 2


def tuples_are_answers(scene: Scene) -> None:
    """Whatever sequence was stored, what comes back is the list LangChain looks for."""
    scene.cache.update("prompt", "llm", (Generation(text="answer"),))
    found = scene.cache.lookup("prompt", "llm")
    assert isinstance(found, list)
    assert found == [Generation(text="answer")]


def nothing_stored_is_nothing_found(scene: Scene) -> None:
    """An empty answer is a miss, where the peer's makes ``invoke`` fail."""
    model = scene.chat()
    scene.cache.update(dumps([HumanMessage(QUESTION)]), model._get_llm_string(), [])
    try:
        answer = scene.ask(model)
    except IndexError as error:
        raise AssertionError("the call failed") from error
    assert answer.content == f"Answer to: {QUESTION}"


def one_call_for_concurrent_threads(scene: Scene) -> None:
    """Twenty identical calls of threads at the same time are one model call."""
    model = scene.chat()
    with ThreadPoolExecutor(20) as pool:
        with scene.server.hold():
            futures = [pool.submit(model.invoke, QUESTION) for _ in range(20)]
            scene.server.wait_for_calls(1)
        answers = {future.result().content for future in futures}
    assert answers == {f"Answer to: {QUESTION}"}
    assert scene.server.call_count == 1


def one_call_for_concurrent_tasks(scene: Scene) -> None:
    """Twenty identical calls of tasks at the same time are one model call."""
    model = scene.chat()

    async def ask() -> list[Any]:
        with scene.server.hold():
            tasks = [asyncio.create_task(model.ainvoke(QUESTION)) for _ in range(20)]
            await asyncio.to_thread(scene.server.wait_for_calls, 1)
        return await asyncio.gather(*tasks)

    assert isinstance(scene.colour.run(ask()), list)
    assert scene.server.call_count == 1


def one_call_for_a_batch(scene: Scene) -> None:
    """One batch of equal questions is one model call."""
    answers = scene.colour.batch(scene.chat(), [QUESTION] * 8)
    assert len({answer.content for answer in answers}) == 1
    assert scene.server.call_count == 1


def _schema(kind: type) -> type[BaseModel]:
    """Return a response format that is called as every other: only its fields differ."""

    class Out(BaseModel):
        value: kind  # type: ignore[valid-type]

    return Out


def schemas_of_one_name_differ(scene: Scene) -> None:
    """Two response formats that print alike get an answer each."""
    for kind in (str, int):
        model = scene.chat().bind(response_format=_schema(kind))
        scene.ask(model)
    sent = [call["response_format"]["json_schema"]["schema"] for call in scene.server.calls]
    assert [schema["properties"]["value"]["type"] for schema in sent] == ["string", "integer"]


def provider_ids_do_not_matter(scene: Scene) -> None:
    """A history whose answers carry another run's ids and usage is the same history."""
    model = scene.chat()
    for run in ("a", "b"):
        told = AIMessage(
            "Paris",
            id=f"run-{run}",
            response_metadata={"id": f"chatcmpl-{run}", "system_fingerprint": run},
            usage_metadata={"input_tokens": ord(run), "output_tokens": 1, "total_tokens": 99},
        )
        scene.ask(model, [HumanMessage(QUESTION), told, HumanMessage("Why?")])
    assert scene.server.call_count == 1


def meaning_is_compared_by_the_last_question(scene: Scene) -> None:
    """The same question in another order of words is answered, another question is not."""
    model = scene.chat(model="gpt-4o-mini")
    scene.ask(model, [("system", "Be brief."), ("user", "Is Paris the capital of France?")])
    if isinstance(scene.cache, AccelCache):
        scene.cache.accel.flush()
    scene.ask(model, [("system", "Be brief."), ("user", "Is the capital of France Paris?")])
    assert scene.server.call_count == 1
    scene.ask(model, [("system", "Be brief."), ("user", "Tell me one joke")])
    assert scene.server.call_count == 2


def cut_answers_are_not_kept(scene: Scene) -> None:
    """An answer that was cut off by the token limit is not said twice."""
    model = scene.chat(max_tokens=3)
    scene.ask(model)
    scene.ask(model)
    assert scene.server.call_count == 2


def hits_make_token_events(scene: Scene) -> None:
    """A hit inside ``astream_events`` makes token events, as the first call did."""
    model = scene.chat()
    if isinstance(scene.cache, AccelCache):
        model = accelerate(model, scene.cache.accel)

    async def tokens() -> int:
        chain = model | StrOutputParser()
        kinds = [event["event"] async for event in chain.astream_events(QUESTION, version="v2")]
        return kinds.count("on_chat_model_stream")

    assert min(scene.colour.run(tokens()), scene.colour.run(tokens())) > 1
    assert scene.server.call_count == 1


def hits_say_where_they_come_from(scene: Scene) -> None:
    """A hit names itself, and a model's answer does not."""
    model = scene.chat()
    first, hit = scene.ask(model), scene.ask(model)
    assert "accel" not in first.response_metadata
    told = hit.response_metadata.get("accel", {})
    assert told.get("cache") == "exact"
    assert told["similarity"] == 1.0
    assert told["age_s"] >= 0
    assert told["saved_usage"] == first.usage_metadata


CLAIMS: list[Claim] = [
    fresh_ids,
    graph_keeps_both_answers,
    checkpointed_thread_keeps_both_answers,
    second_turn_after_a_hit,
    usage_counted_once,
    token_usage_is_zero,
    total_cost_does_not_change_the_next_turn,
    changed_field_is_another_model,
    changed_temperature_is_another_request,
    copied_model_is_another_model,
    returned_message_is_not_the_stored_one,
    served_message_is_not_the_stored_one,
    extra_attributes_do_not_spread,
    streams_are_answered_from_memory,
    tuples_are_answers,
    nothing_stored_is_nothing_found,
    schemas_of_one_name_differ,
    provider_ids_do_not_matter,
    meaning_is_compared_by_the_last_question,
    cut_answers_are_not_kept,
    hits_say_where_they_come_from,
]
SYNC_CLAIMS: list[Claim] = [one_call_for_concurrent_threads]
ASYNC_CLAIMS: list[Claim] = [
    one_call_for_concurrent_tasks,
    one_call_for_a_batch,
    hits_make_token_events,
]


def _named(claim: Claim) -> str:
    return claim.__name__


@pytest.fixture(params=["InMemoryCache", "AccelCache"])
def cache(request: pytest.FixtureRequest, accel: Accel) -> BaseCache:
    cache = InMemoryCache() if request.param == "InMemoryCache" else AccelCache(accel)
    set_llm_cache(cache)
    return cache


def _prove(claim: Claim, scene: Scene) -> None:
    if isinstance(scene.cache, AccelCache):
        claim(scene)
    else:
        with pytest.raises(AssertionError):
            claim(scene)


@pytest.mark.parametrize("claim", CLAIMS, ids=_named)
def test_pitfall(
    claim: Claim,
    cache: BaseCache,
    server: ModelServer,
    chat: MakeChat,
    colour: Colour,
) -> None:
    """`AccelCache` keeps the claim in both colours, and the peer breaks it."""
    _prove(claim, Scene(cache, server, chat, colour))


@pytest.mark.parametrize("colour", ["sync"], indirect=True)
@pytest.mark.parametrize("claim", SYNC_CLAIMS, ids=_named)
def test_pitfall_of_threads(
    claim: Claim,
    cache: BaseCache,
    server: ModelServer,
    chat: MakeChat,
    colour: Colour,
) -> None:
    """`AccelCache` keeps the claim about threads, and the peer breaks it."""
    _prove(claim, Scene(cache, server, chat, colour))


@pytest.mark.parametrize("colour", ["async"], indirect=True)
@pytest.mark.parametrize("claim", ASYNC_CLAIMS, ids=_named)
def test_pitfall_of_tasks(
    claim: Claim,
    cache: BaseCache,
    server: ModelServer,
    chat: MakeChat,
    colour: Colour,
) -> None:
    """`AccelCache` keeps the claim about tasks, and the peer breaks it."""
    _prove(claim, Scene(cache, server, chat, colour))


class Broken(MemoryStore):
    """A store that always fails."""

    def fetch(self, key: bytes) -> Any:
        raise OSError("fetch")

    def save(self, entries: Any) -> None:
        raise OSError("save")


class BrokenPeer(InMemoryCache):
    """LangChain's cache on a backend that always fails."""

    def __init__(self, operation: str) -> None:
        super().__init__()
        self._operation = operation

    def lookup(self, prompt: str, llm_string: str) -> Any:
        if self._operation == "fetch":
            raise OSError("fetch")
        return super().lookup(prompt, llm_string)

    def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
        if self._operation == "save":
            raise OSError("save")
        super().update(prompt, llm_string, return_val)


@pytest.mark.parametrize("operation", ["fetch", "save"])
def test_backend_errors_reach_the_user_of_the_peer(
    operation: str, server: ModelServer, chat: MakeChat, colour: Colour
) -> None:
    """LangChain lets an error of the cache fail the call, and lose a paid answer."""
    set_llm_cache(BrokenPeer(operation))
    with pytest.raises(OSError, match=operation):
        colour.invoke(chat(), QUESTION)
    assert server.call_count == (operation == "save")


def test_backend_errors_reach_nobody(
    make_accel: MakeAccel, server: ModelServer, chat: MakeChat, colour: Colour
) -> None:
    """With `AccelCache` a store that always fails costs nothing but its entries."""
    set_llm_cache(AccelCache(make_accel(store=Broken())))
    for question in (QUESTION, "Why?"):
        assert colour.invoke(chat(), question).content == f"Answer to: {question}"
    assert server.call_count == 2


def test_overwriting_evicts_nobody(make_accel: MakeAccel) -> None:
    """At capacity, storing an answer anew makes no other one leave; with the peer it does."""
    peer = InMemoryCache(maxsize=2)
    ours = AccelCache(make_accel({"cache": {"memory": {"max_entries": 2}}}))
    for cache in (peer, ours):
        for prompt in ("one", "two", "two"):
            cache.update(prompt, "llm", [Generation(text=f"answer to {prompt}")])
    assert peer.lookup("one", "llm") is None
    assert ours.lookup("one", "llm") == [Generation(text="answer to one")]
    assert ours.lookup("two", "llm") == [Generation(text="answer to two")]


def test_generations_without_a_message_are_kept_as_they_are(accel: Accel) -> None:
    """Answers of plain language models come back equal, with their information, and fresh."""
    cache = AccelCache(accel)
    stored = [Generation(text="a", generation_info={"n": [1, 2.5, None]}), Generation(text="b")]
    cache.update("prompt", "llm", stored)
    found, again = cache.lookup("prompt", "llm"), cache.lookup("prompt", "llm")
    assert found == stored
    assert found is not None
    assert again is not None
    assert found[0] is not again[0]
    assert found[0].generation_info is not again[0].generation_info


def test_several_choices_are_kept_together(
    accel: Accel,
    chat: MakeChat,
    server: ModelServer,
    colour: Colour,
) -> None:
    """``n`` choices are one answer: all of them come back, in order."""
    set_llm_cache(AccelCache(accel))
    model = chat(n=3)
    first = colour.generate(model, [[HumanMessage(QUESTION)]])
    again = colour.generate(model, [[HumanMessage(QUESTION)]])
    assert server.call_count == 1
    assert [g.text for g in first.generations[0]] == [g.text for g in again.generations[0]]
    assert len({g.message.id for g in again.generations[0]}) == 3


def test_what_is_no_answer_of_a_model_is_not_stored(accel: Accel) -> None:
    """A generation that holds another kind of message is refused, not turned into one."""
    cache = AccelCache(accel)
    prompt = dumps([HumanMessage(QUESTION)])
    cache.update(prompt, "llm", [ChatGeneration(message=HumanMessage("no"))])
    assert cache.lookup(prompt, "llm") is None
    assert accel.stats().refused == {"unsupported": 1}


def test_chunks_are_answers(accel: Accel) -> None:
    """A chunk given for a message comes back as a message."""
    cache = AccelCache(accel)
    prompt = dumps([HumanMessage(QUESTION)])
    cache.update(prompt, "llm", [ChatGeneration(message=AIMessageChunk("Paris"))])
    found = cache.lookup(prompt, "llm")
    assert found is not None
    assert isinstance(found[0], ChatGeneration)
    assert type(found[0].message) is AIMessage
    assert found[0].message.content == "Paris"
