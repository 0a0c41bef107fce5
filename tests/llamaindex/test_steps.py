"""What is told of LlamaIndex's embeddings, retrievals, engines and tool calls: each once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent

from accel_core.events.requests import RequestEnded
from accel_core.testing.model_server import ModelServer
from llamaindex_accel import accelerate
from tests.llamaindex.retrieving import COLOURS, Retrieve, WordEmbedding, document, index_of
from tests.llamaindex.speculating import Foresight, scripted

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.testing.doubles import RecordingObserver
    from tests.llamaindex.speculating import World

TRACK = (("track", {"parcel": "3"}),)
DOCUMENTS = [document("one", "a refund is paid"), document("two", "a delivery takes days")]


@pytest.fixture(params=COLOURS)
def retrieve(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Retrieve:
    return Retrieve(request.param, runner)


def ended(observed: RecordingObserver, *operations: str) -> list[RequestEnded]:
    told = [one for one in observed.events if isinstance(one, RequestEnded)]
    return [one for one in told if one.operation in operations]


def test_retrieval_and_its_embeddings(
    accel: Accel, observed: RecordingObserver, retrieve: Retrieve
) -> None:
    """A retrieval is one request and its question's vector another; a hit needs no vector."""
    embedding: Any = accelerate(WordEmbedding(model_name="words"), accel)
    index = index_of(DOCUMENTS, embedding)
    observed.events.clear()
    retriever = accelerate(index.as_retriever(), accel)
    for _ in range(2):
        retrieve(retriever, "is a refund paid")
    vector, asked, hit = ended(observed, "retrieval", "embeddings")
    assert (vector.operation, vector.model, vector.outcome) == ("embeddings", "words", "miss")
    assert (asked.name, asked.outcome, hit.outcome) == ("VectorIndexRetriever", "miss", "hit")
    assert (hit.reason, hit.attempts, hit.model) == ("exact", 0, "")


def test_an_engine(
    accel: Accel,
    observed: RecordingObserver,
    make_llm: Callable[..., OpenAI],
    retrieve: Retrieve,
) -> None:
    """A query is a request beside its retrieval and its model call; found again it is alone."""
    index = index_of(DOCUMENTS, WordEmbedding())
    engine = accelerate(index, accel).as_query_engine(llm=accelerate(make_llm(), accel))
    for _ in range(2):
        question = "is a refund paid"
        if retrieve.waits:
            retrieve.run(engine.aquery(question))
        else:
            engine.query(question)
    told = [(one.operation, one.outcome) for one in ended(observed, "query", "retrieval", "chat")]
    assert told == [("retrieval", "miss"), ("chat", "miss"), ("query", "miss"), ("query", "hit")]
    total = accel.stats().requests
    assert (total.total.requests, total.total.attempts) == (1, 1)
    assert total.endings["query.hit.answered"] == 1


def test_tool_calls(world: World) -> None:
    """A call that was guessed is a hit of its tool; that something changed is no call."""
    with ModelServer(scripted(TRACK, "It is in Lyon.")) as server:
        desk = world.desk("desk")
        tools, llm = world.speculate(desk.tools(), world.llm(server), Foresight(TRACK))

        async def run() -> None:
            agent = FunctionAgent(name="a", description="d", tools=tools, llm=llm)
            with server.hold():
                handler = agent.run(user_msg="Where is parcel 3?")
                await asyncio.to_thread(world.carrier.wait_for, 1)
            await handler

        world.ask.run(run())
    told = [one for one in world.events() if isinstance(one, RequestEnded)]
    (track,) = [one for one in told if one.operation == "execute_tool"]
    assert (track.name, track.outcome, track.reason) == ("track", "hit", "guessed")
    assert track.saved_s is not None
    requests = world.accel.stats().requests
    assert "execute_tool" in requests.saved_s
    assert requests.took["execute_tool.hit"].samples == 1
