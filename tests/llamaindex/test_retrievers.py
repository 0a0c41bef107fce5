"""Accelerated retrievers of LlamaIndex: what is found again, for whom, and what stays as it was."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import gc
import pickle
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Settings, VectorStoreIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.instrumentation import root_dispatcher
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import (
    AutoMergingRetriever,
    QueryFusionRetriever,
    RecursiveRetriever,
    VectorIndexRetriever,
)
from llama_index.core.schema import IndexNode, NodeWithScore, QueryBundle, TextNode
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters
from llama_index.core.vector_stores.types import VectorStoreQueryMode

from accel_core import events
from accel_core.encoder.minilm import MiniLMEncoder
from accel_core.errors import UnsupportedError
from llamaindex_accel import accelerate
from tests.llamaindex.retrieving import (
    COLOURS,
    EncoderEmbedding,
    Retrieve,
    WordEmbedding,
    document,
    index_of,
    texts,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.accel import Accel
    from accel_core.testing.doubles import ManualClock, RecordingObserver
    from tests.llamaindex.support import Watch

QUESTION = "when is a refund paid"
TEXTS = {
    "refund": "a refund is paid within 14 days",
    "delivery": "a delivery takes three days",
    "returns": "returns are free of charge",
    "hours": "the shop is open from nine to five",
}


@pytest.fixture(params=COLOURS)
def retrieve(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Retrieve:
    return Retrieve(request.param, runner)


@pytest.fixture(autouse=True)
def offline() -> Iterator[None]:
    """Count tokens by words: LlamaIndex's own way looks for a file on the network."""
    before = Settings._tokenizer
    Settings.tokenizer = str.split
    yield
    Settings._tokenizer = before


@pytest.fixture
def embedding() -> WordEmbedding:
    return WordEmbedding()


@pytest.fixture
def index(embedding: WordEmbedding) -> VectorStoreIndex:
    return index_of([document(name, text, name=name) for name, text in TEXTS.items()], embedding)


class Backend:
    """What a retriever asks; it is only ever itself."""

    def __init__(self, found: Any = None, error: Exception | None = None) -> None:
        self.found, self.error, self.asked = found, error, 0

    def __reduce__(self) -> Any:
        return (Backend, (self.found,))


class Listed(BaseRetriever):
    """Finds what it is given, however often it is asked."""

    def __init__(self, found: Any = None, error: Exception | None = None) -> None:
        self.backend = Backend(found, error)
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> Any:
        self.backend.asked += 1
        if self.backend.error is not None:
            raise self.backend.error
        return self.backend.found


class Counted(Listed):
    """Finds as many nodes as it was asked times."""

    def _retrieve(self, query_bundle: QueryBundle) -> Any:
        self.backend.asked += 1
        return [NodeWithScore(node=TextNode(text=f"{self.backend.asked}"), score=1.0)]


class Fixed(BaseRetriever):
    """Finds one node, and holds nothing that cannot be named."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(text="x", id_="x"))]


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


def get_tags(*tags: str) -> Any:
    """Tag what is done inside."""
    from llama_index.core.instrumentation.dispatcher import instrument_tags

    return instrument_tags(dict.fromkeys(tags, True))
