"""Retrievals, queries and embeddings as requests when they nest, overlap, or are broken off."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index_instrumentation.dispatcher import instrument_tags

from accel_core.recording import current
from llamaindex_accel import accelerate
from tests.llamaindex.retrieving import COLOURS, Retrieve, WordEmbedding, document, index_of
from tests.llamaindex.test_steps import ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.testing.doubles import RecordingObserver

QUESTION = "is a refund paid"
WAIT_S = 10.0


@pytest.fixture(params=COLOURS)
def retrieve(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Retrieve:
    return Retrieve(request.param, runner)


class Held(BaseRetriever):
    """Waits until it is let go."""

    def __init__(self) -> None:
        self.entered, self.released = threading.Semaphore(0), threading.Event()
        super().__init__()

    def _retrieve(self, query_bundle: Any) -> list[NodeWithScore]:
        self.entered.release()
        assert self.released.wait(WAIT_S)
        return [NodeWithScore(node=TextNode(text=query_bundle.query_str))]

    async def _aretrieve(self, query_bundle: Any) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


def test_steps_inside_steps(
    accel: Accel,
    observed: RecordingObserver,
    make_llm: Callable[..., OpenAI],
    retrieve: Retrieve,
) -> None:
    """A query, its retrieval, its vector and its answer are told once each, inside first."""
    embedding: Any = accelerate(WordEmbedding(), accel)
    index = index_of([document("one", "a refund is paid")], embedding)
    engine = accelerate(index, accel).as_query_engine(llm=accelerate(make_llm(), accel))
    observed.events.clear()
    asked = {"sync": lambda: engine.query(QUESTION), "async": lambda: engine.aquery(QUESTION)}
    if retrieve.waits:
        retrieve.run(asked["async"]())
    else:
        asked["sync"]()
    told = ended(observed, "query", "retrieval", "embeddings", "chat")
    assert [one.operation for one in told] == ["embeddings", "retrieval", "chat", "query"]
    assert {(one.outcome, one.ending) for one in told} == {("miss", "answered")}
    assert current() is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_what_breaks_off_in_the_midst(
    accel: Accel, observed: RecordingObserver, error: type[BaseException]
) -> None:
    """Whatever is raised is the caller's; it is told once, and the next call is recorded anew."""

    class Broken(BaseRetriever):
        def _retrieve(self, query_bundle: Any) -> list[NodeWithScore]:
            raise error

    fast = accelerate(Broken(), accel, corpus="broken")
    for _ in range(2):
        with pytest.raises(error):
            fast.retrieve(QUESTION)
        assert current() is None
    ending = "cancelled" if error is KeyboardInterrupt else "failed"
    assert [one.ending for one in ended(observed, "retrieval")] == [ending] * 2


async def test_a_retrieval_that_is_cancelled(accel: Accel, observed: RecordingObserver) -> None:
    """A cancelled task is told as such; who waited for it retrieves, and is told as answered."""
    held = Held()
    fast: Any = accelerate(held, accel, corpus="held")
    first = asyncio.create_task(fast.aretrieve(QUESTION))
    await asyncio.to_thread(held.entered.acquire)
    second = asyncio.create_task(fast.aretrieve(QUESTION))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    held.released.set()
    assert [one.text for one in await second] == [QUESTION]
    told = [(one.outcome, one.ending) for one in ended(observed, "retrieval")]
    assert told == [("miss", "cancelled"), ("miss", "answered")]


def test_threads_at_once(accel: Accel, observed: RecordingObserver) -> None:
    """Of many who ask the same at once one asks, and each is told once."""
    held = Held()
    fast = accelerate(held, accel, corpus="held")

    def ask(number: int) -> Any:
        with instrument_tags({"number": number}):
            return fast.retrieve(QUESTION)

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(contextvars.copy_context().run, ask, n) for n in range(8)]
        assert held.entered.acquire(timeout=WAIT_S)
        held.released.set()
        for one in asked:
            one.result(WAIT_S)
    told = ended(observed, "retrieval")
    assert sorted(one.outcome for one in told) == ["hit"] * 7 + ["miss"]
    assert all(one.ending == "answered" for one in told)
