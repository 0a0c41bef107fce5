"""Accelerated retrievers of LlamaIndex beside others: composed, at once, stale, in processes."""

from __future__ import annotations

import asyncio
import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import (
    AutoMergingRetriever,
    QueryFusionRetriever,
    RecursiveRetriever,
)
from llama_index.core.schema import IndexNode, NodeWithScore, TextNode

from llamaindex_accel import accelerate
from tests.llamaindex.retrievers.rig import QUESTION, TEXTS, Counted, Listed
from tests.llamaindex.retrieving import Retrieve, WordEmbedding, document, index_of, texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.core.base.base_retriever import BaseRetriever

    from accel_core.accel import Accel
    from accel_core.testing.doubles import ManualClock


class TestComposed:
    """Retrievers made of others are kept whole, and rest on every index inside."""

    def _made(self, kind: str, index: VectorStoreIndex) -> BaseRetriever:
        inner = index.as_retriever()
        if kind == "fusion":
            return QueryFusionRetriever([inner], llm=MockLLM(), num_queries=1, use_async=False)
        if kind == "recursive":
            return RecursiveRetriever("root", retriever_dict={"root": inner})
        return AutoMergingRetriever(inner, index.storage_context)  # type: ignore[arg-type]

    @pytest.mark.parametrize("kind", ["fusion", "recursive", "merging"])
    def test_composed(
        self,
        accel: Accel,
        retrieve: Retrieve,
        index: VectorStoreIndex,
        embedding: WordEmbedding,
        *,
        kind: str,
    ) -> None:
        """It finds what it found, until an index inside changes."""
        plain = retrieve(self._made(kind, index), QUESTION)
        fast = accelerate(self._made(kind, index), accel)
        assert retrieve(fast, QUESTION) == retrieve(fast, QUESTION) == plain
        assert len(embedding.asked) == 2
        found = {each.node.ref_doc_id for each in plain}
        index.delete_ref_doc(next(name for name in TEXTS if name not in found))
        assert retrieve(fast, QUESTION) == plain
        assert len(embedding.asked) == 3

    def test_nodes_that_refer(
        self, accel: Accel, retrieve: Retrieve, embedding: WordEmbedding
    ) -> None:
        """What a found node stands for is looked up as ever, hit or not."""
        target = Counted()
        refers = IndexNode(text=QUESTION, index_id="target", obj=target)
        index = VectorStoreIndex(objects=[refers], embed_model=embedding)
        fast = accelerate(index.as_retriever(), accel)
        assert [texts(retrieve(fast, QUESTION)) for _ in range(2)] == [["1"], ["2"]]
        assert len(embedding.asked) == 1


class TestTogether:
    """Many ask at once."""

    def test_two_hundred_threads(
        self, accel: Accel, index: VectorStoreIndex, embedding: WordEmbedding
    ) -> None:
        """One of them retrieves, and all find the same."""
        fast = accelerate(index.as_retriever(), accel)
        gate = threading.Barrier(200)

        def ask(_: int) -> list[NodeWithScore]:
            gate.wait()
            return fast.retrieve(QUESTION)

        with ThreadPoolExecutor(200) as pool:
            found = list(pool.map(ask, range(200)))
        assert len(embedding.asked) == 1
        assert all(each == found[0] for each in found)

    def test_two_hundred_tasks(
        self,
        accel: Accel,
        index: VectorStoreIndex,
        embedding: WordEmbedding,
        runner: asyncio.Runner,
    ) -> None:
        """As with threads."""
        fast = accelerate(index.as_retriever(), accel)

        async def ask() -> list[Any]:
            return await asyncio.gather(*[fast.aretrieve(QUESTION) for _ in range(200)])

        found = runner.run(ask())
        assert len(embedding.asked) == 1
        assert all(each == found[0] for each in found)


class TestStale:
    """What is due is served once more while it is made anew; what fails, while it may be."""

    def test_while_it_is_made_anew(
        self, accel: Accel, retrieve: Retrieve, clock: ManualClock
    ) -> None:
        """After its lifetime it is served once more, and made anew in the background."""
        fast: Any = accelerate(Counted(), accel)
        retrieve(fast, QUESTION)
        clock.advance(70)
        assert texts(retrieve(fast, QUESTION)) == ["1"]
        if retrieve.waits:
            retrieve.run(asyncio.sleep(0))
        else:
            [thread.join() for thread in threading.enumerate() if thread.name == "accel-spawned"]
        assert texts(retrieve(fast, QUESTION)) == ["2"]

    def test_where_it_fails(self, accel: Accel, retrieve: Retrieve, clock: ManualClock) -> None:
        """A failing retriever is answered for, for a while."""
        fast: Any = accelerate(Listed([NodeWithScore(node=TextNode(text="x"))]), accel)
        first = retrieve(fast, QUESTION)
        fast.backend.error = OSError("down")
        clock.advance(200)
        assert retrieve(fast, QUESTION) == first
        clock.advance(200)
        with pytest.raises(OSError, match="down"):
            retrieve(fast, QUESTION)


def test_processes_share_by_name(
    make_accel: Callable[..., Accel], tmp_path: Any, runner: asyncio.Runner, runner_colour: str
) -> None:
    """Two processes' caches on one file share what was found, and each other's changes."""
    retrieve = Retrieve(runner_colour, runner)
    file = {"cache": {"store": {"kind": "sqlite", "path": str(tmp_path / "cache.db")}}}
    embeddings = [WordEmbedding(), WordEmbedding()]
    documents = [document(name, text) for name, text in TEXTS.items()]
    accels = [make_accel(file) for _ in range(2)]
    indices = [index_of(documents, each) for each in embeddings]
    # Node ids are random: the same index is loaded twice in real life.
    indices[1] = copy.deepcopy(indices[0])
    indices[1]._embed_model = embeddings[1]
    fast = [
        accelerate(index.as_retriever(), accel, corpus="handbook")
        for index, accel in zip(indices, accels, strict=True)
    ]
    first = retrieve(fast[0], QUESTION)
    accels[0].flush()
    assert retrieve(fast[1], QUESTION) == first
    assert embeddings[1].asked == []
    retrieve.change(indices[0], "delete_ref_doc", "refund")
    indices[1].delete_ref_doc("refund")
    assert "refund" not in texts(retrieve(fast[1], QUESTION))[0]
