"""Retrievers made of others, other stores, and a real encoder."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from langchain_classic.retrievers import (
    ContextualCompressionRetriever,
    EnsembleRetriever,
    MultiQueryRetriever,
    ParentDocumentRetriever,
)
from langchain_community.vectorstores import FAISS
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.prompts import PromptTemplate
from langchain_core.runnables import ConfigurableField, RunnablePassthrough
from langchain_core.stores import InMemoryStore
from langchain_core.vectorstores import VectorStoreRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests
from langchain_text_splitters import CharacterTextSplitter

from accel_core.accel import Accel
from accel_core.testing.encoders import HashEncoder
from langchain_accel import accelerate
from tests.langchain.retrieving import (
    QUESTION,
    TEXTS,
    Counting,
    asked,
    documents,
    filled,
    names,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.retrievers import BaseRetriever

    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeAccel, MakeChat


class First(BaseDocumentCompressor):
    """Keeps the first documents."""

    count: int = 4

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        return documents[: self.count]


class TestComposed:
    """A retriever over retrievers rests on every store in it."""

    def test_ensemble(self, accel: Accel, colour: Colour) -> None:
        """A change of either store is noticed; weights count."""
        stores = [filled(), filled(other="A refund of another kind.")]
        parts: list[Any] = [store.as_retriever(search_kwargs={"k": 1}) for store in stores]
        plain = EnsembleRetriever(retrievers=parts, weights=[0.9, 0.1])
        fast = accelerate(plain, accel)
        for store in (None, *stores):
            if store is not None:
                store.add_documents(documents(new=QUESTION))
            first = colour.invoke(fast, QUESTION)
            count = len(asked(stores[0]))
            assert colour.invoke(fast, QUESTION) == first
            assert len(asked(stores[0])) == count
            assert first == plain.invoke(QUESTION)
        other = accelerate(EnsembleRetriever(retrievers=parts, weights=[0.1, 0.9]), accel)
        assert len(colour.invoke(other, QUESTION)) == len(first)
        assert len(asked(stores[0])) == count + 2

    def test_inside_one_another(self, accel: Accel, colour: Colour) -> None:
        """Accelerated retrievers inside an accelerated one do not wait for one another."""
        store = filled()
        inner = accelerate(store.as_retriever(), accel)
        outer = accelerate(EnsembleRetriever(retrievers=[inner, inner]), accel)
        assert colour.invoke(outer, QUESTION) == colour.invoke(outer, QUESTION)
        assert set(asked(store)) == {QUESTION}

    def test_switched_inside(self, accel: Accel, colour: Colour) -> None:
        """Values that a retriever inside takes from the run count."""
        store = filled()
        inner: Any = store.as_retriever().configurable_fields(
            search_kwargs=ConfigurableField(id="search")
        )
        for outer in (
            EnsembleRetriever(retrievers=[inner]),
            RunnablePassthrough()
            | ContextualCompressionRetriever(base_compressor=First(), base_retriever=inner),
        ):
            fast: Any = accelerate(outer, accel)
            for count in (1, 2, 1, 2):
                config = {"configurable": {"search": {"k": count}, "thread_id": object()}}
                assert len(colour.invoke(fast, QUESTION, config)) == count
        assert accel.stats().retrieval_hits == 4

    def test_compression(self, accel: Accel, colour: Colour) -> None:
        """Settings of a compressor count, which are not of the class that the field declares."""
        store = filled()
        for count in (1, 2, 1, 2):
            retriever: Any = ContextualCompressionRetriever(
                base_compressor=First(count=count), base_retriever=store.as_retriever()
            )
            assert len(colour.invoke(accelerate(retriever, accel), QUESTION)) == count
        assert len(asked(store)) == 2

    def test_many_queries(
        self, accel: Accel, colour: Colour, chat: MakeChat, server: ModelServer
    ) -> None:
        """Neither model nor store is asked again; another prompt is another retriever."""
        store = filled()

        def made(template: str) -> BaseRetriever:
            return MultiQueryRetriever.from_llm(
                store.as_retriever(), chat(), prompt=PromptTemplate.from_template(template)
            )

        for template in ("{question}", "{question}", "Again: {question}"):
            fast = accelerate(made(template), accel)
            assert colour.invoke(fast, QUESTION) == colour.invoke(fast, QUESTION)
        assert server.call_count == 2
        store.delete(["refund"])
        assert "refund" not in names(colour.invoke(fast, QUESTION))

    def test_parents(self, accel: Accel, colour: Colour) -> None:
        """What is added through the retriever or removed from its document store is noticed."""
        retriever = ParentDocumentRetriever(
            vectorstore=filled(nothing="unrelated"),
            docstore=InMemoryStore(),
            child_splitter=CharacterTextSplitter(chunk_size=1000),
        )
        fast = accelerate(retriever, accel)
        assert colour.invoke(fast, QUESTION) == []
        fast.add_documents([Document(TEXTS["refund"])], ids=["refund"])
        assert colour.invoke(fast, QUESTION) == [Document(TEXTS["refund"])]
        retriever.docstore.mdelete(["refund"])
        assert colour.invoke(fast, QUESTION) == []


class TestFaiss:
    """The vector store of `langchain_community`."""

    @pytest.fixture
    def store(self) -> FAISS:
        ids = list(TEXTS)
        return FAISS.from_texts(
            list(TEXTS.values()),
            Counting(),
            ids=ids,
            relevance_score_fn=lambda distance: 1 / (1 + distance),
        )

    @pytest.mark.parametrize("kind", ["similarity", "similarity_score_threshold"])
    def test_removal(self, accel: Accel, colour: Colour, store: FAISS, *, kind: str) -> None:
        """Only what held the document that was removed is searched for again."""
        search = {"k": 1} if kind == "similarity" else {"k": 1, "score_threshold": 0.01}
        fast = accelerate(store.as_retriever(search_type=kind, search_kwargs=search), accel)
        for text in TEXTS.values():
            colour.invoke(fast, text)
        store.delete(["hours"])
        for text in TEXTS.values():
            assert "hours" not in names(colour.invoke(fast, text))
        assert len(asked(store)) == len(TEXTS) + 1

    def test_filter_after_the_search(self, accel: Accel, colour: Colour, store: FAISS) -> None:
        """It filters the few it found: removing one of them lets another one in."""
        options = {"k": 1, "fetch_k": 1, "filter": {"kind": "b"}}
        store.add_documents(
            [
                Document(QUESTION, id="near", metadata={"kind": "a"}),
                Document(f"{QUESTION} exactly", id="next", metadata={"kind": "b"}),
            ]
        )
        fast = accelerate(store.as_retriever(search_kwargs=options), accel)
        assert names(colour.invoke(fast, QUESTION)) == []
        store.delete(["near"])
        assert names(colour.invoke(fast, QUESTION)) == ["next"]

    def test_merged(self, accel: Accel, colour: Colour, store: FAISS) -> None:
        """What comes in with another store is noticed."""
        fast = accelerate(store.as_retriever(search_kwargs={"k": 1}), accel)
        colour.invoke(fast, QUESTION)
        store.merge_from(FAISS.from_texts([QUESTION], Counting(), ids=["new"]))
        assert names(colour.invoke(fast, QUESTION)) == ["new"]

    def test_random_interleavings(self, make_accel: MakeAccel, store: FAISS) -> None:
        """Over 300 changes and questions no answer differs from the plain retriever's."""
        accel = make_accel({"retrieval": {"semantic": False}})
        dice = random.Random(3)
        plain = store.as_retriever(search_kwargs={"k": 2})
        fast = accelerate(plain, accel)
        for step in range(300):
            name = str(dice.randrange(10))
            present = name in store.index_to_docstore_id.values()
            if dice.random() < 0.8:
                question = dice.choice(list(TEXTS))
                assert names(fast.invoke(question)) == names(plain.invoke(question)), step
            elif present:
                store.delete([name])
            else:
                store.add_texts([f"{dice.choice(list(TEXTS))} {name}"], ids=[name])


class TestMiniLM:
    """Real vectors, of the encoder that questions are compared by."""

    @pytest.mark.slow
    def test_meaning(self, colour: Colour) -> None:
        """A rewording finds what was found, another question does not, and a change ends it."""
        from accel_core.encoder.minilm import MiniLMEncoder

        encoder = MiniLMEncoder()
        store = filled(Counting(encoder))
        with Accel(encoder=encoder) as accel:
            fast = accelerate(store.as_retriever(search_kwargs={"k": 1}), accel)
            first = colour.invoke(fast, "How do I get a refund?")
            accel.flush()
            assert names(first) == ["refund"]
            assert colour.invoke(fast, "How can I get a refund?") == first
            assert len(asked(store)) == 1
            assert names(colour.invoke(fast, "When does the shop open?")) == ["hours"]
            store.add_documents(documents(policy="How to get a refund: ask for it."))
            assert names(colour.invoke(fast, "How can I get a refund?")) == ["policy"]


_accel = Accel(encoder=HashEncoder())


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    _accel.close()


class TopK(VectorStoreRetriever):
    """Takes the number of documents as LangChain's suite gives it."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(search_kwargs={"k": fields.pop("k", 4)}, **fields)


_fast = accelerate(TopK(vectorstore=filled()), _accel)


class TestStandard(RetrieversIntegrationTests):
    """LangChain's suite for retrievers, on the class that `accelerate` generates."""

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return type(_fast)

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"vectorstore": _fast.vectorstore}

    @property
    def retriever_query_example(self) -> str:
        return QUESTION
