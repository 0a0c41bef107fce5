"""Accelerated retrievers of LlamaIndex: what is found again, for whom, and with what."""

from __future__ import annotations

import copy
import datetime as dt
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters
from llama_index.core.vector_stores.types import VectorStoreQueryMode

from accel_core import events
from accel_core.encoder.minilm import MiniLMEncoder
from llamaindex_accel import accelerate
from tests.llamaindex.retrievers.rig import QUESTION, TEXTS, Counted, Listed
from tests.llamaindex.retrieving import (
    EncoderEmbedding,
    Retrieve,
    WordEmbedding,
    document,
    index_of,
    texts,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from llama_index.core import VectorStoreIndex

    from accel_core.accel import Accel
    from accel_core.testing.doubles import RecordingObserver


class TestFoundAgain:
    """What was found once is found again without asking, by the same question only."""

    def test_the_same_question(
        self,
        accel: Accel,
        retrieve: Retrieve,
        index: VectorStoreIndex,
        embedding: WordEmbedding,
        observed: RecordingObserver,
    ) -> None:
        """Nothing is embedded or searched, and nodes, scores and metadata are the same."""
        plain = retrieve(index.as_retriever(), QUESTION)
        fast = accelerate(index.as_retriever(), accel)
        first, again = retrieve(fast, QUESTION), retrieve(fast, QUESTION)
        assert first == again == plain
        assert [each.score for each in again] == [each.score for each in plain]
        assert embedding.asked == [QUESTION] * 2  # one was the plain retriever's
        assert [event.tier for event in observed.of(events.RetrievalHit)] == ["exact"]

    def test_colours_share(
        self, accel: Accel, runner: asyncio.Runner, index: VectorStoreIndex, embedding: Any
    ) -> None:
        """What a thread was told answers a task."""
        fast = accelerate(index.as_retriever(), accel)
        assert fast.retrieve(QUESTION) == runner.run(fast.aretrieve(QUESTION))
        assert embedding.asked == [QUESTION]

    def test_other_wording(
        self, make_accel: Callable[..., Accel], runner: asyncio.Runner, runner_colour: str
    ) -> None:
        """With real MiniLM vectors a question of the same meaning finds what the first one did."""
        encoder = MiniLMEncoder(backend="auto")
        embedding = EncoderEmbedding(encoder)
        documents = [document(name, text) for name, text in TEXTS.items()]
        fast = accelerate(
            index_of(documents, embedding).as_retriever(), accel := make_accel(encoder=encoder)
        )
        retrieve = Retrieve(runner_colour, runner)
        first = retrieve(fast, "When is a refund paid?")
        accel.flush()
        assert retrieve(fast, "when is the refund paid") == first
        assert texts(retrieve(fast, "How long does a delivery take?"))[0] == TEXTS["delivery"]
        assert accel.stats().retrieval_hits == 1

    def test_hits_are_copies(
        self, accel: Accel, retrieve: Retrieve, index: VectorStoreIndex
    ) -> None:
        """Whoever changes what was found changes it for nobody else."""
        fast = accelerate(index.as_retriever(), accel)
        first = copy.deepcopy(retrieve(fast, QUESTION))
        for _ in range(2):
            found = retrieve(fast, QUESTION)
            assert found == first
            found[0].score = 7.0
            found[0].node.metadata["name"] = "changed"
            found.pop()

    def test_the_callers_bundle(
        self, accel: Accel, retrieve: Retrieve, index: VectorStoreIndex, embedding: WordEmbedding
    ) -> None:
        """A bundle that is asked twice is the same question: nothing is written into it."""
        bundle = QueryBundle(QUESTION)
        fast = accelerate(index.as_retriever(), accel)
        assert retrieve(fast, bundle) == retrieve(fast, bundle)
        assert (bundle, len(embedding.asked)) == (QueryBundle(QUESTION), 1)

    @pytest.mark.parametrize(
        "options",
        [
            {"similarity_top_k": 1},
            {"vector_store_query_mode": "mmr"},
            {"doc_ids": ["refund"]},
            {"embed_model": WordEmbedding(embed_batch_size=3)},
            {"filters": MetadataFilters(filters=[MetadataFilter(key="name", value="hours")])},
            {
                "filters": MetadataFilters(
                    filters=[MetadataFilter(key="name", value=["hours"], operator="in")]
                )
            },
            {"vector_store_query_mode": "mmr", "vector_store_kwargs": {"mmr_threshold": 0.1}},
        ],
        ids="-".join,  # of the names: what an object prints differs in each process
    )
    def test_settings(
        self, accel: Accel, retrieve: Retrieve, index: VectorStoreIndex, *, options: dict[str, Any]
    ) -> None:
        """Retrievers over one index that search otherwise share nothing."""
        retrieve(accelerate(index.as_retriever(), accel), QUESTION)
        plain = retrieve(index.as_retriever(**options), QUESTION)
        for _ in range(2):
            fast = accelerate(index.as_retriever(**options), accel)
            assert retrieve(fast, QUESTION) == plain
        assert accel.stats().retrieval_hits == 1

    @pytest.mark.parametrize(
        "bundle",
        [
            QueryBundle(QUESTION, custom_embedding_strs=["open shop"]),
            QueryBundle(QUESTION, embedding=[1.0] * 16),
        ],
        ids=["texts", "embedding"],
    )
    def test_beside_the_words(
        self, accel: Accel, retrieve: Retrieve, index: VectorStoreIndex, *, bundle: QueryBundle
    ) -> None:
        """What a bundle holds beside its words counts."""
        fast = accelerate(index.as_retriever(), accel)
        retrieve(fast, QUESTION)
        plain = retrieve(index.as_retriever(), copy.deepcopy(bundle))
        assert retrieve(fast, bundle) == retrieve(fast, bundle) == plain
        assert accel.stats().retrieval_hits == 1

    def test_changed_field(self, accel: Accel, retrieve: Retrieve, index: VectorStoreIndex) -> None:
        """A setting that is changed afterwards counts as it is."""
        fast = accelerate(index.as_retriever(), accel)
        retrieve(fast, QUESTION)
        fast.similarity_top_k = 1
        assert len(retrieve(fast, QUESTION)) == 1

    def test_named_again_and_changed_inside(
        self, accel: Accel, retrieve: Retrieve, index: VectorStoreIndex
    ) -> None:
        """What was named before is remembered, and not once anything inside it has changed."""
        fast: Any = accelerate(index.as_retriever(filters=MetadataFilters(filters=[])), accel)
        changes: list[Callable[[], Any]] = [
            lambda: setattr(fast, "_vector_store_query_mode", VectorStoreQueryMode.MMR),
            lambda: fast._kwargs.update(mmr_threshold=0.1),
            lambda: fast._kwargs.update(mmr_threshold=1),
            lambda: fast._kwargs.update(mmr_threshold=1.0),
            lambda: fast._filters.filters.append(MetadataFilter(key="name", value="hours")),
            lambda: setattr(fast._filters.filters[0], "value", "refund"),
            lambda: setattr(fast._embed_model, "embed_batch_size", 3),
            lambda: setattr(fast, "_embed_model", copy.copy(fast._embed_model)),
            lambda: setattr(fast._index, "_embed_model", copy.copy(fast._embed_model)),
            lambda: fast._node_ids.append("another"),
            lambda: fast._node_ids.extend(f"node {number}" for number in range(40)),
            lambda: fast._node_ids.append("one more"),
            lambda: fast._node_ids.__setitem__(20, "in its place"),
            lambda: fast._kwargs.update(more=fast._kwargs.pop("mmr_threshold")),
        ]
        for asked, change in enumerate([lambda: None, *changes], start=1):
            with ThreadPoolExecutor(1) as another:
                another.submit(change).result()
            for _ in range(2):
                retrieve(fast, QUESTION)
            assert len(accel._named._requests) == asked
            assert accel.stats().retrieval_hits == asked

    def test_kept_alive_by_nothing(
        self, accel: Accel, retrieve: Retrieve, index: VectorStoreIndex
    ) -> None:
        """A retriever that was asked goes when its application lets it go, with what it held."""
        fast: Any = accelerate(index.as_retriever(filters=MetadataFilters(filters=[])), accel)
        gone = weakref.ref(fast), weakref.ref(fast._filters)
        retrieve(fast, QUESTION)
        retrieve(fast, QUESTION)
        del fast
        gc.collect()
        assert [one() for one in gone] == [None, None]

    def test_tenants_share_nothing(
        self, accel: Accel, retrieve: Retrieve, index: VectorStoreIndex, embedding: WordEmbedding
    ) -> None:
        """Neither exactly nor by meaning does a tenant see what another one found."""
        fast = accelerate(index.as_retriever(), accel)
        for tenant in ("a", "b", "a"):
            with accel.tenant(tenant):
                retrieve(fast, QUESTION)
                accel.flush()
        retrieve(fast, QUESTION)
        assert len(embedding.asked) == 3

    def test_indices_and_versions_share_nothing(
        self, accel: Accel, retrieve: Retrieve, index: VectorStoreIndex, embedding: WordEmbedding
    ) -> None:
        """Another index, or version of the documents, is asked for itself."""
        other = index_of([document("other", "a refund")], embedding)
        for each, version in ((index, ""), (other, ""), (index, "2")):
            fast = accelerate(each.as_retriever(), accel, version=version)
            assert retrieve(fast, QUESTION) == retrieve(fast, QUESTION)
        assert len(embedding.asked) == 3

    def test_wishes_of_a_call(self, accel: Accel, retrieve: Retrieve) -> None:
        """Instrument tags say what they say for language models."""
        fast: Any = accelerate(Counted(), accel)
        for tag, expected in (("no-cache", 1), ("no-store", 2), ("refresh", 3), ("none", 3)):
            with get_tags(f"accel:{tag}"):
                assert texts(retrieve(fast, QUESTION)) == [str(expected)]

    def test_switched_off(self, make_accel: Callable[..., Accel], retrieve: Retrieve) -> None:
        """`retrieval.enabled` switches it off."""
        fast: Any = accelerate(Counted(), make_accel({"retrieval": {"enabled": False}}))
        assert [texts(retrieve(fast, QUESTION)) for _ in range(2)] == [["1"], ["2"]]

    def test_forgotten(self, accel: Accel, retrieve: Retrieve) -> None:
        """What was found for a question that is forgotten is gone."""
        fast: Any = accelerate(Counted(), accel)
        retrieve(fast, QUESTION)
        accel.forget(text=QUESTION)
        assert texts(retrieve(fast, QUESTION)) == ["2"]


class TestMetadata:
    """Metadata are what they were, type for type, or nothing is stored."""

    @pytest.mark.parametrize(
        "value",
        [(1, (2,)), {3}, b"\xff", dt.date(2024, 2, 29), 2**70, float("inf"), {1: None}, "\n"],
        ids=repr,
    )
    def test_kept(self, accel: Accel, retrieve: Retrieve, *, value: Any) -> None:
        """Values that JSON does not have come back as they were."""
        node = TextNode(text="x", metadata={"value": value, "$": 1})
        fast = accelerate(Listed([NodeWithScore(node=node, score=0.5)]), accel)
        first, again = retrieve(fast, QUESTION), retrieve(fast, QUESTION)
        assert (first, fast.backend.asked) == (again, 1)
        assert type(again[0].node.metadata["value"]) is type(value)

    def test_refused(self, accel: Accel, retrieve: Retrieve, observed: RecordingObserver) -> None:
        """Objects, and nodes of a class of the application's own, are not stored."""

        class Own(TextNode):
            pass

        for node in (
            TextNode(text="x", metadata={"value": object()}),
            TextNode(text="x", metadata={"value": NodeWithScore(node=TextNode(text="y"))}),
            Own(text="x"),
        ):
            fast = accelerate(Listed([NodeWithScore(node=node)]), accel)
            assert [retrieve(fast, QUESTION)[0].node for _ in range(2)] == [node, node]
            assert fast.backend.asked == 2
        assert {e.reason for e in observed.of(events.RetrievalRefused)} == {"unserialisable"}


def get_tags(*tags: str) -> Any:
    """Tag what is done inside."""
    from llama_index.core.instrumentation.dispatcher import instrument_tags

    return instrument_tags(dict.fromkeys(tags, True))
