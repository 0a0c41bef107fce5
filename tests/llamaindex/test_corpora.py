"""Changes of live indices and stores of LlamaIndex: what was found before is not found after."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import (
    DocumentSummaryIndex,
    PropertyGraphIndex,
    Settings,
    SimpleKeywordTableIndex,
    SummaryIndex,
    TreeIndex,
    VectorStoreIndex,
)
from llama_index.core.graph_stores import EntityNode, SimplePropertyGraphStore
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.llms import MockLLM
from llama_index.core.schema import MetadataMode, TextNode

from accel_core import events
from accel_core.errors import UnsupportedError
from llamaindex_accel import accelerate
from tests.llamaindex.retrieving import COLOURS, Retrieve, WordEmbedding, document, index_of, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llama_index.core.indices.base import BaseIndex

    from accel_core.accel import Accel
    from accel_core.testing.doubles import RecordingObserver

QUESTION = "alpha beta"
DOCUMENTS = {"a": "alpha beta", "b": "beta gamma", "c": "delta", "d": "epsilon"}


@pytest.fixture(params=COLOURS)
def retrieve(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Retrieve:
    return Retrieve(request.param, runner)


@pytest.fixture(autouse=True)
def offline() -> Iterator[None]:
    """Nothing that LlamaIndex makes by itself looks for a network."""
    before = Settings._tokenizer, Settings._llm, Settings._embed_model
    Settings.tokenizer, Settings.llm, Settings.embed_model = str.split, MockLLM(), WordEmbedding()
    yield
    Settings._tokenizer, Settings._llm, Settings._embed_model = before


@pytest.fixture
def embedding() -> WordEmbedding:
    return WordEmbedding()


@pytest.fixture
def index(embedding: WordEmbedding) -> VectorStoreIndex:
    return index_of([document(name, text) for name, text in DOCUMENTS.items()], embedding)


def changed(observed: RecordingObserver) -> list[int | None]:
    """Return what was told of changes since last asked."""
    told = [event.documents for event in observed.of(events.CorpusChanged)]
    observed.events.clear()
    return told


def node(text: str, name: str, embedding: WordEmbedding) -> TextNode:
    """Return a node as it is added to a vector store."""
    made = TextNode(text=text, id_=name)
    made.embedding = embedding.get_text_embedding(made.get_content(MetadataMode.EMBED))
    return made


INDEX_CHANGES: dict[str, tuple[Any, ...]] = {
    "insert": (document("new", QUESTION),),
    "insert_nodes": ([TextNode(text=QUESTION, id_="new")],),
    "update_ref_doc": (document("a", "alpha changed"),),
    "refresh_ref_docs": ([document("a", "alpha changed")],),
    "delete_ref_doc": ("a",),
}


@pytest.mark.parametrize("method", INDEX_CHANGES)
def test_changes_through_the_index(
    accel: Accel, retrieve: Retrieve, index: VectorStoreIndex, *, method: str
) -> None:
    """Whatever is changed through the index, an accelerated retriever finds what a plain one does.

    Retrievers made before the change are asked, too: of a store without texts they know the nodes
    of their time.
    """
    before, plain = accelerate(index.as_retriever(), accel), index.as_retriever()
    first = retrieve(before, QUESTION)
    retrieve.change(index, method, *INDEX_CHANGES[method])
    assert retrieve(before, QUESTION) == retrieve(plain, QUESTION)
    after = accelerate(index.as_retriever(), accel)
    assert retrieve(after, QUESTION) == retrieve(index.as_retriever(), QUESTION) != first


@pytest.mark.parametrize("method", ["add", "delete", "delete_nodes", "clear"])
def test_changes_through_the_vector_store(
    accel: Accel,
    retrieve: Retrieve,
    embedding: WordEmbedding,
    index: VectorStoreIndex,
    *,
    method: str,
) -> None:
    """A change past the index is seen by the store."""
    plain = index.as_retriever()
    fast = accelerate(index.as_retriever(), accel)
    found = retrieve(fast, QUESTION)
    arguments: dict[str, tuple[Any, ...]] = {
        "add": ([node("omega", found[0].node.node_id, embedding)],),
        "delete": ("a",),
        "delete_nodes": ([found[0].node.node_id],),
        "clear": (),
    }
    retrieve.change(index.vector_store, method, *arguments[method])
    assert retrieve(fast, QUESTION) == retrieve(plain, QUESTION) != found


@pytest.mark.parametrize("method", ["add_documents", "delete_document", "delete_ref_doc"])
def test_changes_through_the_document_store(
    accel: Accel, retrieve: Retrieve, index: VectorStoreIndex, *, method: str
) -> None:
    """Texts are kept beside the vectors; a change of these alone is seen, too."""
    fast = accelerate(index.as_retriever(), accel)
    found = retrieve(fast, QUESTION)[0].node
    arguments: dict[str, tuple[Any, ...]] = {
        "add_documents": ([TextNode(text="rewritten", id_=found.node_id)],),
        "delete_document": (found.node_id,),
        "delete_ref_doc": ("a",),
    }
    retrieve.change(index.docstore, method, *arguments[method])

    def outcome(retriever: Any) -> Any:
        try:
            return retrieve(retriever, QUESTION)
        except KeyError as error:
            return str(error)

    assert outcome(fast) == outcome(index.as_retriever())


def test_pipelines(
    accel: Accel, retrieve: Retrieve, embedding: WordEmbedding, index: VectorStoreIndex
) -> None:
    """What an ingestion pipeline writes into the live store is seen."""
    fast = accelerate(index.as_retriever(), accel)
    name = retrieve(fast, QUESTION)[0].node.node_id
    pipeline = IngestionPipeline(transformations=[embedding], vector_store=index.vector_store)
    nodes = [TextNode(text="omega", id_=name)]
    if retrieve.waits:
        retrieve.run(pipeline.arun(nodes=nodes))
    else:
        pipeline.run(nodes=nodes)
    assert retrieve(fast, QUESTION) == retrieve(index.as_retriever(), QUESTION)


def test_no_change(
    accel: Accel, retrieve: Retrieve, index: VectorStoreIndex, observed: RecordingObserver
) -> None:
    """A refresh that finds all as it is changes nothing, and drops nothing."""
    fast = accelerate(index.as_retriever(), accel)
    retrieve(fast, QUESTION)
    same = [document(name, text) for name, text in DOCUMENTS.items()]
    retrieve.change(index, "refresh_ref_docs", same)
    assert changed(observed) == []
    retrieve(fast, QUESTION)
    assert accel.stats().retrieval_hits == 1


def test_one_change_is_told_once(
    accel: Accel, retrieve: Retrieve, index: VectorStoreIndex, observed: RecordingObserver
) -> None:
    """An index changes several stores: of a corpus with a name that is one change."""
    accelerate(index.as_retriever(), accel, corpus="handbook")
    for method, told in (("insert", None), ("update_ref_doc", None), ("delete_ref_doc", 1)):
        retrieve.change(index, method, *INDEX_CHANGES[method])
        assert changed(observed) == [told], method


def test_failed_changes(
    accel: Accel, retrieve: Retrieve, index: VectorStoreIndex, observed: RecordingObserver
) -> None:
    """A change that raises may have changed something."""
    accelerate(index.as_retriever(), accel)
    broken = TextNode(text="x")  # has no embedding
    with pytest.raises(ValueError, match="embedding not set"):
        retrieve.change(index.vector_store, "add", [broken])
    assert changed(observed) == [None]


def test_cancelled_changes(
    make_accel: Callable[..., Accel], runner: asyncio.Runner, index: VectorStoreIndex, tmp_path: Any
) -> None:
    """A change whose caller is cancelled while it is told is told all the same."""
    accel = make_accel({"cache": {"store": {"kind": "sqlite", "path": str(tmp_path / "a.db")}}})
    plain = index.as_retriever(similarity_top_k=1)
    # Told in this order: where the first one is waited for, the second one is not told yet.
    fast = [accelerate(plain, accel, corpus=name) for name in ("handbook", None)]
    log = accel._built.corpora._log
    assert log is not None
    [each.retrieve(QUESTION) for each in fast]
    told, record = threading.Event(), log.add_change

    def slowly(*change: Any) -> Any:
        told.set()
        return record(*change)

    log.add_change = slowly  # type: ignore[method-assign]

    async def change() -> None:
        changing = asyncio.ensure_future(index.adelete_ref_doc("a"))
        while not told.is_set():
            await asyncio.sleep(0)
        changing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await changing

    runner.run(change())
    assert [each.retrieve(QUESTION) for each in fast] == [plain.retrieve(QUESTION)] * 2


def test_only_what_held_it(accel: Accel, retrieve: Retrieve, embedding: WordEmbedding) -> None:
    """A removal drops what held the document, by either name, and nothing else."""
    words = [f"word{number}" for number in range(30)]
    index = index_of([document(word, word) for word in words], embedding)
    fast = accelerate(index.as_retriever(similarity_top_k=1), accel)
    found = {word: retrieve(fast, word) for word in words}
    retrieve.change(index, "delete_ref_doc", "word3")
    retrieve.change(index, "delete_nodes", [found["word5"][0].node.node_id])
    retrieve.change(index.vector_store, "delete", "word7")
    embedding.asked.clear()
    plain = index.as_retriever(similarity_top_k=1)
    for word in words:
        assert retrieve(fast, word) == retrieve(plain, word)
    searched = sorted(word for word in words if embedding.asked.count(word) == 2)
    assert searched == ["word3", "word5", "word7"]


@pytest.mark.parametrize("options", [{"vector_store_query_mode": "mmr"}], ids=str)
def test_imprecise_searches(
    accel: Accel, retrieve: Retrieve, index: VectorStoreIndex, *, options: dict[str, Any]
) -> None:
    """Where what was not found may change what is, any change drops it."""
    fast = accelerate(index.as_retriever(**options), accel)
    retrieve(fast, QUESTION)
    retrieve.change(index, "delete_ref_doc", "d")
    retrieve(fast, QUESTION)
    assert accel.stats().retrieval_hits == 0


@pytest.mark.parametrize(
    "kind", [SummaryIndex, SimpleKeywordTableIndex, TreeIndex, DocumentSummaryIndex]
)
def test_other_indices(accel: Accel, retrieve: Retrieve, *, kind: type[BaseIndex[Any]]) -> None:
    """Indices that keep their documents in a structure of their own are watched themselves."""
    documents = [document(name, text) for name, text in DOCUMENTS.items()]
    index = kind.from_documents(documents)
    options = {"retriever_mode": "all_leaf"} if kind is TreeIndex else {}
    fast = accelerate(index.as_retriever(**options), accel)

    def agrees() -> bool:
        return texts(retrieve(fast, QUESTION)) == texts(
            retrieve(index.as_retriever(**options), QUESTION)
        )

    assert agrees()
    assert agrees()
    hits = accel.stats().retrieval_hits
    assert hits == 1
    retrieve.change(index, "insert", document("new", "alpha beta new"))
    assert agrees()
    if kind is not TreeIndex:  # which cannot delete
        index.delete_ref_doc("a")
        assert agrees()
    assert accel.stats().retrieval_hits == hits


def test_graphs(accel: Accel, retrieve: Retrieve, observed: RecordingObserver) -> None:
    """A property graph's store is watched."""
    store = SimplePropertyGraphStore()
    index = PropertyGraphIndex.from_existing(store, embed_model=WordEmbedding())
    accelerate(index.as_retriever(), accel)
    retrieve.change(store, "upsert_nodes", [EntityNode(name="x")])
    assert changed(observed) == [None]


def test_by_word_of_the_application(
    accel: Accel, retrieve: Retrieve, index: VectorStoreIndex, embedding: WordEmbedding
) -> None:
    """A change that no live object sees is said by name, for all documents or for some."""
    fast = accelerate(index.as_retriever(similarity_top_k=1), accel, corpus="handbook")
    for said, searched in (((), 1), ((None,), 2), ((["a"],), 3), ((["c"],), 3)):
        if said:
            accel.corpus("handbook").changed(*said)
        retrieve(fast, QUESTION)
        assert len(embedding.asked) == searched


def test_two_watchers(
    make_accel: Callable[..., Accel], retrieve: Retrieve, index: VectorStoreIndex
) -> None:
    """One store may belong to several objects, under several names; each is told."""
    fast = [
        accelerate(index.as_retriever(), make_accel(), corpus=name) for name in (None, "a", "b")
    ]
    [retrieve(each, QUESTION) for each in fast]
    retrieve.change(index, "delete_ref_doc", "a")
    plain = retrieve(index.as_retriever(), QUESTION)
    assert [retrieve(each, QUESTION) for each in fast] == [plain] * 3


def test_nothing_is_kept_alive(make_accel: Callable[..., Accel], embedding: Any) -> None:
    """Neither the index nor what watches it is held by being watched."""
    index = index_of([document("a", "alpha")], embedding)
    gone = [weakref.ref(index), weakref.ref(index.vector_store)]
    accelerate(index, make_accel())
    del index
    gc.collect()
    assert [each() for each in gone] == [None, None]


def test_stores_that_cannot_be_watched(accel: Accel, retrieve: Retrieve) -> None:
    """They are refused by a message that says what to do, which then works."""

    index = VectorStoreIndex.from_documents([document("a", "alpha")], embed_model=WordEmbedding())
    retriever: Any = index.as_retriever()
    retriever._vector_store = _Foreign(index.vector_store)
    with pytest.raises(UnsupportedError, match=r"_Foreign cannot be watched.*corpus by name"):
        accelerate(retriever, accel)
    fast = accelerate(retriever, accel, corpus="foreign")
    assert texts(retrieve(fast, QUESTION)) == texts(retrieve(fast, QUESTION)) == ["alpha"]


class _Foreign:
    """A vector store whose objects have no class of their own to replace."""

    __slots__ = ("__weakref__", "inner")
    is_embedding_query = True

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def add(self, *args: Any) -> Any: ...

    def delete(self, *args: Any) -> Any: ...

    def query(self, query: Any) -> Any:
        return self.inner.query(query)

    async def aquery(self, query: Any) -> Any:
        return self.inner.query(query)


@pytest.mark.parametrize("named", [None, "handbook"])
def test_any_order_of_changes(
    accel: Accel, retrieve: Retrieve, embedding: WordEmbedding, *, named: str | None
) -> None:
    """In 500 random steps an accelerated retriever never finds what a plain one would not."""
    dice = random.Random(7)
    words = [f"word{number}" for number in range(12)]
    index = index_of([document(word, word) for word in words], embedding)
    kept = accelerate(index.as_retriever(), accel, corpus=named), index.as_retriever()

    def change() -> None:
        word, text = dice.choice(words), " ".join(dice.choices(words, k=2))
        choice = dice.randrange(4)
        if choice == 0:
            retrieve.change(index, "update_ref_doc", document(word, text))
        elif choice == 1:
            retrieve.change(index, "refresh_ref_docs", [document(word, text)])
        elif choice == 2 and len(index.index_struct.nodes_dict) > 4:
            retrieve.change(index, "delete_ref_doc", word, delete_from_docstore=True)
        else:
            retrieve.change(index, "insert_nodes", [TextNode(text=text, id_=f"node-{word}")])

    for _ in range(500):
        if dice.random() < 0.15:
            change()
        question = " ".join(dice.choices(words[:6], k=1))
        made = accelerate(index.as_retriever(), accel, corpus=named), index.as_retriever()
        for fast, plain in (kept, made):
            assert retrieve(fast, question) == retrieve(plain, question)
    assert accel.stats().retrieval_hits > 100
