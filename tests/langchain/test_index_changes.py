"""Changes of an index: noticed through the live store, by everybody, and never served over."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import random
import threading
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from langchain_core.stores import InMemoryStore
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore, VectorStoreRetriever

from accel_core import events as ev
from accel_core.errors import UnsupportedError
from accel_core.testing.encoders import HashEncoder
from langchain_accel import accelerate
from tests.langchain.retrieving import QUESTION, TEXTS, Listed, asked, documents, filled, names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from accel_core.accel import Accel
    from tests.langchain.conftest import Colour, MakeAccel, Recorder

NEW = "A refund is paid when it is asked for."

CHANGES: dict[str, Callable[[Any], Any]] = {
    "add_texts": lambda store: store.add_texts([NEW], ids=["new"]),
    "add_documents": lambda store: store.add_documents(documents(new=NEW)),
    "update": lambda store: store.add_documents(documents(refund="No refund is paid.")),
    "delete": lambda store: store.delete(["refund"]),
    "delete by name": lambda store: store.delete(ids=["refund"]),
    "aadd_texts": lambda store: asyncio.run(store.aadd_texts([NEW], ids=["new"])),
    "aadd_documents": lambda store: asyncio.run(store.aadd_documents(documents(new=NEW))),
    "adelete": lambda store: asyncio.run(store.adelete(["refund"])),
    "through a retriever": lambda store: store.as_retriever().add_documents(documents(new=NEW)),
}


@pytest.mark.parametrize("name", [None, "handbook"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_mutator(
    accel: Accel, colour: Colour, *, change: Callable[[Any], Any], name: str | None
) -> None:
    """After any change the next question is answered from the documents as they are."""
    store = filled()
    fast = accelerate(store.as_retriever(), accel, corpus=name)
    before = colour.invoke(fast, QUESTION)
    change(store)
    after = colour.invoke(fast, QUESTION)
    assert after == store.as_retriever().invoke(QUESTION) != before


class TestDelete:
    """Removals name what they concern."""

    def test_drops_what_held_it(self, accel: Accel, colour: Colour) -> None:
        """Only what held a removed document is retrieved anew."""
        store = filled()
        fast = accelerate(store.as_retriever(search_kwargs={"k": 1}), accel)
        questions = list(TEXTS.values())
        for question in questions:
            colour.invoke(fast, question)
        store.delete(["hours"])
        found = [names(colour.invoke(fast, question)) for question in questions]
        assert found[:3] == [["refund"], ["delivery"], ["returns"]]
        assert "hours" not in found[3]
        assert Counter(asked(store)) == {**dict.fromkeys(questions, 1), TEXTS["hours"]: 2}

    @pytest.mark.parametrize(
        "options",
        [
            {"search_type": "mmr"},
            {"search_kwargs": {"k": 1, "filter": lambda document: True}},
        ],
        ids=["mmr", "filter"],
    )
    def test_drops_everything_where_others_matter(
        self, accel: Accel, colour: Colour, *, options: dict[str, Any]
    ) -> None:
        """Where a document that was not found can change what is found, everything is."""
        store = filled()
        fast = accelerate(store.as_retriever(**options), accel)
        for _ in range(2):
            colour.invoke(fast, QUESTION)
            store.delete(["no such document"])
        assert len(asked(store)) == 2

    @pytest.mark.parametrize(
        "call",
        [
            lambda store: store.delete(),
            lambda store: store.delete([]),
            lambda store: store.delete(["x"], namespace="a"),
            lambda store: store.delete(["x"], "a"),
            lambda store: store.delete("x"),
            lambda store: store.delete([1]),
            lambda store: store.delete(where=["x"]),
            lambda store: store.delete(each for each in ["x"]),
        ],
        ids=["all", "none", "keyword", "position", "text", "number", "condition", "iterator"],
    )
    def test_that_do_not_name_it(
        self, accel: Accel, events: Recorder, *, call: Callable[[Any], Any]
    ) -> None:
        """A removal that is not only a list of ids may concern everything."""
        store = accelerate(Lenient(DeterministicFakeEmbedding(size=4)), accel)
        call(store)
        assert events.of(ev.CorpusChanged) == [ev.CorpusChanged(None)]
        assert list(store.deleted) == (["x"] if store.lazy else [])


class Lenient(InMemoryVectorStore):
    """Takes any arguments, and keeps an iterator that it was given."""

    deleted: Any = ()
    lazy = False

    def delete(self, ids: Any = None, *more: Any, **kwargs: Any) -> None:
        if hasattr(ids, "__next__"):
            self.deleted, self.lazy = ids, True


class TestIndexing:
    """LangChain's indexing functions over a watched store."""

    def test_index(self, accel: Accel, colour: Colour, events: Recorder) -> None:
        """They change what is found, drop what is gone, and a run that changes nothing is none."""
        store = filled(nothing="unrelated words")
        records = InMemoryRecordManager("records")
        records.create_schema()
        fast = accelerate(store.as_retriever(), accel)

        def run(*texts: str) -> Any:
            sources = [Document(text, metadata={"source": text}) for text in texts]
            options: dict[str, Any] = {
                "cleanup": "full", "source_id_key": "source", "key_encoder": "sha256",
            }  # fmt: skip
            if colour.name == "async":
                return asyncio.run(aindex(sources, records, store, **options))
            return index(sources, records, store, **options)

        for texts in ((NEW,), (NEW, "when"), ("when",)):
            run(*texts)
            found = [document.page_content for document in colour.invoke(fast, QUESTION)]
            assert set(found) == {*texts, "unrelated words"}
        events.clear()
        assert run("when")["num_skipped"] == 1
        colour.invoke(fast, QUESTION)
        assert not events.of(ev.CorpusChanged)
        assert len(events.of(ev.RetrievalHit)) == 1

    def test_store_without_delete(self, accel: Accel) -> None:
        """A store that cannot delete is refused as before."""

        class Undeletable(InMemoryVectorStore):
            delete, adelete = VectorStore.delete, VectorStore.adelete  # type: ignore[assignment]

        store = accelerate(Undeletable(DeterministicFakeEmbedding(size=4)), accel)
        records = InMemoryRecordManager("records")
        with pytest.raises(ValueError, match="has not implemented the delete method"):
            index([], records, store, key_encoder="sha256")


class TestWatching:
    """The store stays what it was."""

    def test_in_place(self, accel: Accel) -> None:
        """It is the same object and an instance of its class; its copies are plain."""
        store = filled(DeterministicFakeEmbedding(size=4))
        assert accelerate(store, accel) is store
        assert isinstance(store, InMemoryVectorStore)
        assert (type(store).__name__, type(store).__module__) == (
            "InMemoryVectorStore",
            InMemoryVectorStore.__module__,
        )
        for again in (copy.copy(store), copy.deepcopy(store), pickle.loads(pickle.dumps(store))):
            assert type(again) is InMemoryVectorStore
            assert names(again.similarity_search("a")) == names(store.similarity_search("a"))

    def test_copy_is_another_store(self, accel: Accel, colour: Colour, events: Recorder) -> None:
        """What is done to a copy is done to the copy alone."""
        store = filled()
        fast = accelerate(store.as_retriever(), accel)
        colour.invoke(fast, QUESTION)
        copied = copy.copy(store)
        copied.store = {}
        copied.add_documents(documents(new=NEW))
        assert "new" not in store.store
        assert not events.of(ev.CorpusChanged)

    def test_makes_accelerated_retrievers(self, accel: Accel, colour: Colour) -> None:
        """`as_retriever` of an accelerated store makes accelerated retrievers, all alike."""
        store = accelerate(filled(), accel)
        for _ in range(2):
            colour.invoke(store.as_retriever(search_kwargs={"k": 1}), QUESTION)
        assert len(asked(store)) == 1

    def test_that_is_only_watched(self, accel: Accel, colour: Colour) -> None:
        """A store that was met in a retriever makes plain ones, as before."""
        store = filled()
        accelerate(store.as_retriever(), accel)
        assert type(store.as_retriever()) is VectorStoreRetriever

    def test_one_change_is_told_once(self, accel: Accel, events: Recorder) -> None:
        """Methods that call one another are one change; each `Accel` hears of it."""
        store = accelerate(filled(), accel)
        store.add_texts(["a"])
        asyncio.run(store.adelete(["a"]))
        assert [event.documents for event in events.of(ev.CorpusChanged)] == [None, 1]

    def test_replacing(self, accel: Accel, events: Recorder) -> None:
        """A removal that adds something on the way may concern everything."""

        class Replacing(InMemoryVectorStore):
            def delete(self, ids: Any = None, **kwargs: Any) -> None:
                self.add_texts(["a stand-in"], ids=["stand-in"])

        store = accelerate(Replacing(DeterministicFakeEmbedding(size=4)), accel)
        store.delete(["a"])
        assert events.of(ev.CorpusChanged) == [ev.CorpusChanged(None)]

    async def test_work_that_goes_on(self, accel: Accel, events: Recorder) -> None:
        """What a change leaves to a task of its own is told when that is done."""
        tasks: list[asyncio.Task[Any]] = []
        go = asyncio.Event()

        class Later(InMemoryVectorStore):
            async def aadd_documents(self, *args: Any, **kwargs: Any) -> list[str]:
                async def work() -> None:
                    await go.wait()
                    self.delete(["b"])

                tasks.append(asyncio.create_task(work()))
                return []

        store = accelerate(Later(DeterministicFakeEmbedding(size=4)), accel)
        await store.aadd_documents([])
        assert [event.documents for event in events.of(ev.CorpusChanged)] == [None]
        go.set()
        await asyncio.gather(*tasks)
        assert [event.documents for event in events.of(ev.CorpusChanged)] == [None, 1]

    def test_change_that_fails(self, accel: Accel, colour: Colour) -> None:
        """A change that raised may have been made in part: the error is the caller's."""

        class Failing(InMemoryVectorStore):
            def delete(self, ids: Any = None, **kwargs: Any) -> None:
                super().delete(ids)
                raise OSError("half done")

        store = Failing(filled().embeddings)
        store.add_documents(documents(**TEXTS))
        fast = accelerate(store.as_retriever(), accel)
        assert "refund" in names(colour.invoke(fast, QUESTION))
        with pytest.raises(OSError, match="half done"):
            store.delete(["refund"])
        assert "refund" not in names(colour.invoke(fast, QUESTION))

    def test_several(self, make_accel: MakeAccel, colour: Colour) -> None:
        """Every retriever over a store notices, of every `Accel`, named or not."""
        store, accels = filled(), [make_accel(), make_accel()]
        fast = [
            accelerate(store.as_retriever(), accel, corpus=name)
            for accel in accels
            for name in (None, "handbook", "manual")
        ]
        before = [names(colour.invoke(each, QUESTION)) for each in fast]
        store.add_documents(documents(new=NEW))
        for each, old in zip(fast, before, strict=True):
            assert names(colour.invoke(each, QUESTION)) != old
        assert len(asked(store)) == 12

    def test_nothing_is_kept_alive(self, make_accel: MakeAccel) -> None:
        """Neither a store nor a retriever nor an `Accel` lives for being watched."""
        from accel_core.accel import Accel

        accel, store = Accel(encoder=HashEncoder()), filled()
        fast = accelerate(store.as_retriever(), accel)
        fast.invoke(QUESTION)
        accel.close()
        gone = weakref.ref(accel), weakref.ref(fast)
        del accel, fast
        gc.collect()
        assert [each() for each in gone] == [None, None]
        store.add_texts(["still works"])
        kept = weakref.ref(store)
        accelerate(store.as_retriever(), make_accel())
        del store
        gc.collect()
        assert kept() is None

    def test_accelerated_store_keeps_its_accel(self, tmp_path: Path) -> None:
        """A process that only indexes need not hold the `Accel` itself."""
        from accel_core.accel import Accel

        settings = {"cache": {"store": {"kind": "sqlite", "path": str(tmp_path / "cache.db")}}}

        def indexing() -> Any:
            accel = Accel.from_mapping(settings, encoder=HashEncoder())
            return accelerate(filled(), accel, corpus="handbook")

        with Accel.from_mapping(settings, encoder=HashEncoder()) as accel:
            other = filled()
            fast = accelerate(other.as_retriever(), accel, corpus="handbook")
            fast.invoke(QUESTION)
            store = indexing()
            gc.collect()
            store.add_texts(["new"])
            fast.invoke(QUESTION)
            assert len(asked(other)) == 2
            del store
            gc.collect()

    def test_that_cannot_be_watched(self, accel: Accel) -> None:
        """A class that has no subclasses is refused, with what to do instead."""

        class Sealed(InMemoryVectorStore):
            def __init_subclass__(cls) -> None:
                raise TypeError("sealed")

        with pytest.raises(UnsupportedError, match=r"sealed.*accel\.corpus\(name\)\.changed\(\)"):
            accelerate(Sealed(DeterministicFakeEmbedding(size=4)), accel)

    def test_that_says_its_changes(self, accel: Accel, colour: Colour) -> None:
        """What the refusal says works: a retriever of a named corpus, whose changes are said."""

        class Sealed(InMemoryVectorStore):
            def __init_subclass__(cls) -> None:
                raise TypeError("sealed")

        store = Sealed(filled().embeddings)
        store.add_documents(documents(**TEXTS))
        with pytest.raises(UnsupportedError, match="makes what it always made"):
            accelerate(store, accel, corpus="handbook")
        fast = accelerate(store.as_retriever(), accel, corpus="handbook")
        before = [colour.invoke(fast, QUESTION) for _ in range(2)]
        assert len(asked(store)) == 1
        store.delete(["refund"])
        accel.corpus("handbook").changed()
        assert colour.invoke(fast, QUESTION) != before[0]


class TestSaying:
    """What the application says itself."""

    def test_retriever_without_a_store(self, accel: Accel, colour: Colour) -> None:
        """A retriever over something unknown is its own corpus."""
        Listed.calls.clear()
        fast, other = accelerate(Listed(), accel), accelerate(Listed(), accel)
        for _ in range(2):
            colour.invoke(fast, QUESTION)
            colour.invoke(other, QUESTION)
        assert len(Listed.calls) == 2
        accel.corpus_of(fast).changed()
        colour.invoke(fast, QUESTION)
        colour.invoke(other, QUESTION)
        assert len(Listed.calls) == 3

    def test_by_name(self, accel: Accel, colour: Colour) -> None:
        """Ids name what is stale; what rests on other documents is served on."""
        store = filled()
        fast = accelerate(store.as_retriever(search_kwargs={"k": 1}), accel, corpus="handbook")
        for question in TEXTS.values():
            colour.invoke(fast, question)
        accel.corpus("handbook").changed(["refund"])
        for question in TEXTS.values():
            colour.invoke(fast, question)
        assert len(asked(store)) == len(TEXTS) + 1

    def test_document_store(self, accel: Accel, colour: Colour) -> None:
        """A store of whole documents in a retriever is watched beside its vector store."""

        class Whole(VectorStoreRetriever):
            whole: Any

            def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
                found = super()._get_relevant_documents(query, run_manager=run_manager)
                return [each for each in self.whole.mget(names(found)) if each]

            async def _aget_relevant_documents(
                self, query: str, *, run_manager: Any
            ) -> list[Document]:
                return self._get_relevant_documents(query, run_manager=run_manager)

        whole = InMemoryStore()
        fast = accelerate(Whole(vectorstore=filled(), whole=whole), accel)
        assert colour.invoke(fast, QUESTION) == []
        whole.mset([("refund", Document("the whole text"))])
        assert colour.invoke(fast, QUESTION) == [Document("the whole text")]
        asyncio.run(whole.amdelete(["refund"]))
        assert colour.invoke(fast, QUESTION) == []


class TestShared:
    """Two configured objects over one file, as two processes are."""

    @pytest.fixture
    def accels(self, make_accel: MakeAccel, tmp_path: Path) -> list[Accel]:
        settings = {"cache": {"store": {"kind": "sqlite", "path": str(tmp_path / "cache.db")}}}
        return [make_accel(settings), make_accel(settings)]

    def test_found_and_dropped_by_the_other(self, accels: list[Accel], colour: Colour) -> None:
        """What one found serves the other; what one changes neither is served from before."""
        stores = [filled(), filled()]
        fast = [
            accelerate(store.as_retriever(), accel, corpus="handbook")
            for store, accel in zip(stores, accels, strict=True)
        ]
        first = colour.invoke(fast[0], QUESTION)
        accels[0].flush()
        assert colour.invoke(fast[1], QUESTION) == first
        assert [len(asked(store)) for store in stores] == [1, 0]
        stores[1].add_documents(documents(new=NEW))
        stores[0].store.update(stores[1].store)  # the same database
        assert names(colour.invoke(fast[0], QUESTION))[0] == "new"

    def test_unnamed_is_not_shared(self, accels: list[Accel], colour: Colour) -> None:
        """Without a name a store is one process's own, and so is what was found in it."""
        for accel in accels:
            store = filled()
            colour.invoke(accelerate(store.as_retriever(), accel), QUESTION)
            accel.flush()
            assert len(asked(store)) == 1

    def test_change_that_cannot_be_recorded(
        self, accels: list[Accel], colour: Colour, monkeypatch: pytest.MonkeyPatch, events: Recorder
    ) -> None:
        """It is an event and no error of the application's; nothing is served from before it."""
        store = filled()
        fast = accelerate(store.as_retriever(), accels[0], corpus="handbook")
        colour.invoke(fast, QUESTION)
        log = accels[0]._built.corpora._log

        def fails(*_: Any) -> None:
            raise OSError("disk full")

        with monkeypatch.context() as patch:
            patch.setattr(log, "add_change", fails)
            store.add_documents(documents(new=NEW))
            assert ev.BackendFailed("store", "record a change", "OSError") in events
            assert names(colour.invoke(fast, QUESTION))[0] == "new"
        assert names(colour.invoke(fast, QUESTION))[0] == "new"

    async def test_cancelled_while_it_is_told(
        self, accels: list[Accel], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A change whose caller gives up while it is being recorded is told to everybody."""
        store = filled()
        fast = [
            accelerate(store.as_retriever(), accel, corpus=name)
            for accel, name in ((accels[0], "handbook"), (accels[1], None))
        ]
        for each in fast:
            await each.ainvoke(QUESTION)
        log: Any = accels[0]._built.corpora._log
        started, go, record = threading.Event(), threading.Event(), log.add_change

        def slowly(*args: Any) -> Any:
            started.set()
            assert go.wait(20)
            return record(*args)

        monkeypatch.setattr(log, "add_change", slowly)
        change = asyncio.create_task(store.aadd_documents(documents(new=NEW)))
        await asyncio.to_thread(started.wait, 20)
        change.cancel()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await change
        for each in fast:
            assert names(await each.ainvoke(QUESTION))[0] == "new"


class Interleaved:
    """Changes and questions in random order, each answer compared with the plain retriever's.

    Args:
        accels: each over the same store, by name where there are several.
        seed: of the dice.
    """

    WORDS = "refund paid delivery takes days returns free shop open nine".split()

    def __init__(self, accels: list[Accel], seed: int) -> None:
        self.dice, self.store = random.Random(seed), filled()
        name = "handbook" if len(accels) > 1 else None
        searches: list[dict[str, Any]] = [
            {"search_kwargs": {"k": 2}},
            {"search_type": "mmr", "search_kwargs": {"k": 2, "fetch_k": 3}},
            {"search_kwargs": {"k": 2, "filter": lambda document: len(document.id) > 1}},
        ]
        plain = [self.store.as_retriever(**search) for search in searches]
        self.pairs = [
            (each, accelerate(each, accel, corpus=name)) for accel in accels for each in plain
        ]

    def text(self) -> str:
        return " ".join(self.dice.sample(self.WORDS, 3))

    def change(self) -> None:
        name = str(self.dice.randrange(20))
        roll = self.dice.randrange(4)
        if roll == 0:
            self.store.delete([name])
        elif roll == 1:
            asyncio.run(self.store.adelete(ids=[name, "refund"]))
        elif roll == 2:
            self.store.add_texts([self.text()], ids=[name])
        else:
            self.store.add_documents(documents(**{name: self.text()}))

    def ask(self) -> bool:
        """Ask both; whether they agree."""
        plain, fast = self.dice.choice(self.pairs)
        question = self.dice.choice(self.WORDS)
        if self.dice.random() < 0.1:
            return plain.invoke(question) == asyncio.run(fast.ainvoke(question))
        return plain.invoke(question) == fast.invoke(question)


@pytest.mark.parametrize("count", [1, 2], ids=["one", "two over one file"])
def test_random_interleavings(
    make_accel: MakeAccel, tmp_path: Path, events: Recorder, *, count: int
) -> None:
    """Over 1,000 steps no answer differs from the plain retriever's, and many are hits."""
    exact: dict[str, Any] = {"retrieval": {"semantic": False}}
    if count > 1:
        exact["cache"] = {"store": {"kind": "sqlite", "path": str(tmp_path / "cache.db")}}
    run = Interleaved([make_accel(exact) for _ in range(count)], seed=count)
    for step in range(1000):
        if run.dice.random() < 0.1:
            run.change()
        else:
            assert run.ask(), step
    assert len(events.of(ev.RetrievalHit)) > 100
