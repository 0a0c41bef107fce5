"""Accelerated retrievers of LlamaIndex: bad input, and what stays as it was."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.instrumentation import root_dispatcher
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import VectorIndexRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.vector_stores import MetadataFilters

from accel_core import events
from accel_core.errors import UnsupportedError
from llamaindex_accel import accelerate
from tests.llamaindex.retrievers.rig import QUESTION, Counted, Listed
from tests.llamaindex.retrieving import Retrieve, WordEmbedding, texts

if TYPE_CHECKING:
    from accel_core.accel import Accel
    from accel_core.testing.doubles import ManualClock, RecordingObserver
    from tests.llamaindex.support import Watch


class Fixed(BaseRetriever):
    """Finds one node, and holds nothing that cannot be named."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(text="x", id_="x"))]


class TestBadInput:
    """The application's error stays the application's error, and nothing is half written."""

    def test_raises(self, accel: Accel, retrieve: Retrieve) -> None:
        """A retriever's error reaches its caller, and is not kept."""
        fast = accelerate(Listed(error=ZeroDivisionError("mine")), accel)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError, match="mine"):
                retrieve(fast, QUESTION)
        assert fast.backend.asked == 2
        assert accel.stats().retrieval_hits == 0

    def test_nothing_found(self, accel: Accel, retrieve: Retrieve, clock: ManualClock) -> None:
        """That nothing was found is believed for a short time."""
        fast = accelerate(Listed([]), accel)
        assert [retrieve(fast, QUESTION) for _ in range(2)] == [[], []]
        assert fast.backend.asked == 1
        clock.advance(6)
        retrieve(fast, QUESTION)
        assert fast.backend.asked == 2

    @pytest.mark.parametrize("found", [None, "text", (1, 2), [3]], ids=repr)
    def test_no_nodes(self, accel: Accel, retrieve: Retrieve, *, found: Any) -> None:
        """What is no list of nodes fails, or not, as it would without us."""
        plain = Listed(found)

        def outcome(retriever: Any) -> Any:
            try:
                return retrieve(retriever, QUESTION)
            except Exception as error:
                return type(error)

        fast = accelerate(plain, accel)
        assert [outcome(fast), outcome(fast)] == [outcome(plain)] * 2

    def test_a_million(self, accel: Accel, retrieve: Retrieve, observed: RecordingObserver) -> None:
        """A list that is too long is passed on at once, and not spelled."""
        node = NodeWithScore(node=TextNode(text="x"))
        fast = accelerate(Listed([node] * 1_000_000), accel)
        assert len(fast._retrieve(QueryBundle(QUESTION))) == 1_000_000
        assert retrieve(fast, QUESTION) == [node]  # LlamaIndex drops the same nodes
        assert [e.reason for e in observed.of(events.RetrievalRefused)] == ["too_large"] * 2

    def test_unreadable(
        self, accel: Accel, retrieve: Retrieve, observed: RecordingObserver
    ) -> None:
        """A retriever whose settings cannot be read is asked each time, and that is an event."""

        class Unreadable(QueryBundle):
            @property
            def __dict__(self) -> Any:  # type: ignore[override]
                raise OSError("unreadable")

        fast: Any = accelerate(Counted(), accel)
        fast.bundle = Unreadable("x")
        assert [texts(retrieve(fast, QUESTION)) for _ in range(2)] == [["1"], ["2"]]
        assert {e.reason for e in observed.of(events.CacheBypassed)} == {"unidentifiable"}

    def test_unhashable_filters(
        self, accel: Accel, retrieve: Retrieve, index: VectorStoreIndex
    ) -> None:
        """Filters that cannot be spelled are only ever themselves."""
        filters = [MetadataFilters(filters=[]) for _ in range(2)]
        for each in filters:
            each.filters.append(each)  # holds itself
        found = Listed([NodeWithScore(node=TextNode(text="x"))])
        fast = accelerate(found, accel)
        for each in filters:
            fast._kwargs = {"filters": each, "set": {object()}}
            retrieve(fast, QUESTION)
            retrieve(fast, QUESTION)
        assert fast.backend.asked == 2


class TestShape:
    """The copy is what the retriever was, in everything but speed."""

    def test_is_its_class(self, accel: Accel, index: VectorStoreIndex) -> None:
        """It is an instance of the user's class over the same index; the original is untouched."""
        plain: Any = index.as_retriever(similarity_top_k=3)
        fast: Any = accelerate(plain, accel)
        assert isinstance(fast, VectorIndexRetriever)
        assert type(plain) is VectorIndexRetriever
        assert (fast._index is index, fast.similarity_top_k) == (True, 3)
        assert repr(type(fast)) == repr(type(plain))
        assert accelerate(fast, accel) is fast
        assert isinstance(index, VectorStoreIndex)

    def test_copied(
        self, accel: Accel, retrieve: Retrieve, index: VectorStoreIndex, embedding: WordEmbedding
    ) -> None:
        """A copy over the same index is answered as the first."""
        fast = accelerate(index.as_retriever(), accel)
        for each in (fast, copy.copy(fast)):
            retrieve(each, QUESTION)
        assert len(embedding.asked) == 1

    @pytest.mark.parametrize("name", [None, "handbook"])
    def test_pickled(self, accel: Accel, retrieve: Retrieve, *, name: str | None) -> None:
        """It comes back accelerated; it is a copy, so only a name makes its documents the same."""
        fast = accelerate(Fixed(), accel, corpus=name)
        retrieve(fast, QUESTION)
        back = pickle.loads(pickle.dumps(fast))
        assert type(back) is type(fast)
        assert retrieve(back, QUESTION) == retrieve(fast, QUESTION)
        assert accel.stats().retrieval_hits == (2 if name else 1)

    def test_stores_are_pickled_as_they_were(self, accel: Accel, index: VectorStoreIndex) -> None:
        """A watched store is pickled and copied as one of its own class."""
        plain = pickle.dumps(index.vector_store)
        accelerate(index.as_retriever(), accel)
        assert type(index.vector_store).__name__ == "SimpleVectorStore"
        assert pickle.dumps(pickle.loads(pickle.dumps(index.vector_store))) == plain
        assert copy.deepcopy(index.vector_store) == index.vector_store

    def test_events_and_spans(
        self, accel: Accel, retrieve: Retrieve, index: VectorStoreIndex, watch: Watch, spans: Any
    ) -> None:
        """A miss has exactly the spans and events of the plain retriever; a hit none inside."""

        def told(retriever: Any) -> tuple[list[str], list[str]]:
            watch.names()
            spans.completed_spans.clear()
            retrieve(retriever, QUESTION)
            ids = [each.id_.rpartition("-")[0].split("-")[0] for each in spans.completed_spans]
            return watch.names(), sorted(ids)

        assert root_dispatcher.span_handlers
        plain, fast = told(index.as_retriever()), accelerate(index.as_retriever(), accel)
        assert told(fast) == plain
        outer = "aretrieve" if retrieve.waits else "retrieve"
        names, ids = told(fast)
        assert names == ["RetrievalStartEvent", "CacheHitEvent", "RetrievalEndEvent"]
        assert [each.rpartition(".")[2] for each in ids] == [outer]

    def test_refused(self, accel: Accel) -> None:
        """What is no retriever is refused by a message that names what works."""
        with pytest.raises(UnsupportedError, match=r"retriever.*index; got list"):
            accelerate([], accel)
        with pytest.raises(UnsupportedError, match="the class Listed: give it an instance"):
            accelerate(Listed, accel)
        with pytest.raises(UnsupportedError, match="name documents; MockLLM retrieves none"):
            accelerate(MockLLM(), accel, corpus="handbook")

    def test_an_index_makes_accelerated_retrievers(
        self, accel: Accel, retrieve: Retrieve, index: VectorStoreIndex, embedding: WordEmbedding
    ) -> None:
        """`accelerate(index)` is the index itself, and what is made of it is accelerated."""
        assert accelerate(index, accel) is index
        for _ in range(2):
            retrieve(index.as_retriever(), QUESTION)
        assert len(embedding.asked) == 1
