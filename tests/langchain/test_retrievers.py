"""Accelerated retrievers: what is found again, for whom, and what is left as it was."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

import numpy as np
import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import ConfigurableField, RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore, VectorStoreRetriever

from accel_core import events as ev
from accel_core.errors import UnsupportedError
from accel_core.testing.doubles import ManualClock
from langchain_accel import accelerate
from tests.langchain.retrieving import QUESTION, Counting, Listed, asked, filled, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.accel import Accel
    from tests.langchain.conftest import Colour, MakeAccel, Recorder


@pytest.fixture(autouse=True)
def _nothing_asked() -> Iterator[None]:
    Listed.calls.clear()
    yield
    Listed.failure = None


class TestHits:
    """What is found again, and what is asked for anew."""

    def test_the_same_question(self, accel: Accel, colour: Colour, events: Recorder) -> None:
        """The second time nothing is embedded or searched, and the documents are the same."""
        store = filled()
        fast = accelerate(store.as_retriever(), accel)
        first = colour.invoke(fast, QUESTION)
        assert colour.invoke(fast, QUESTION) == first == store.as_retriever().invoke(QUESTION)
        assert asked(store) == [QUESTION] * 2  # one was the plain retriever's
        assert [event.tier for event in events.of(ev.RetrievalHit)] == ["exact"]

    def test_colours_share(self, accel: Accel) -> None:
        """What a thread was told answers a task."""
        store = filled()
        fast = accelerate(store.as_retriever(), accel)
        assert asyncio.run(fast.ainvoke(QUESTION)) == fast.invoke(QUESTION)
        assert asked(store) == [QUESTION]

    def test_other_wording(self, accel: Accel, colour: Colour) -> None:
        """A question of the same meaning finds what the first one found."""
        store = filled()
        fast = accelerate(store.as_retriever(), accel)
        first = colour.invoke(fast, QUESTION)
        accel.flush()
        assert colour.invoke(fast, "When is a refund paid?") == first
        assert asked(store) == [QUESTION]

    def test_hits_are_copies(self, accel: Accel, colour: Colour) -> None:
        """Whoever changes what was found changes it for nobody else."""
        fast = accelerate(filled().as_retriever(), accel)
        first = copy.deepcopy(colour.invoke(fast, QUESTION))
        for _ in range(2):
            found = colour.invoke(fast, QUESTION)
            assert found == first
            found[0].page_content = "changed"
            found[0].metadata["name"] = "changed"
            found.pop()

    def test_retrieved_ones_are_the_callers(self, accel: Accel, colour: Colour) -> None:
        """Nor does whoever was first, with what the retriever made."""
        fast = accelerate(Listed(found=[Document("a", metadata={"b": [1]})]), accel)
        colour.invoke(fast, QUESTION)[0].metadata["b"].append(2)
        assert colour.invoke(fast, QUESTION)[0].metadata == {"b": [1]}

    @pytest.mark.parametrize(
        "other",
        [
            {"search_kwargs": {"k": 2}},
            {"search_type": "mmr"},
            {"search_kwargs": {"filter": lambda document: True}},
        ],
        ids=["k", "search type", "filter"],
    )
    def test_search_settings(self, accel: Accel, colour: Colour, *, other: dict[str, Any]) -> None:
        """Retrievers over one store that search otherwise share nothing."""
        store = filled()
        colour.invoke(accelerate(store.as_retriever(), accel), QUESTION)
        plain = store.as_retriever(**other).invoke(QUESTION)
        assert colour.invoke(accelerate(store.as_retriever(**other), accel), QUESTION) == plain
        assert len(asked(store)) == 3

    def test_arguments_of_a_call(self, accel: Accel, colour: Colour) -> None:
        """Arguments given with the question count, and reach the retriever."""
        store = filled()
        fast = accelerate(store.as_retriever(), accel)
        for count in (1, 2, 1, 2):
            assert len(colour.invoke(fast, QUESTION, k=count)) == count
        assert len(asked(store)) == 2

    def test_filters(self, accel: Accel, colour: Colour) -> None:
        """Filters that cannot be hashed or compared are told apart by which objects they are."""

        def only(name: str) -> Callable[[Document], bool]:
            return lambda document: document.metadata["name"] == name

        store = filled()
        fast = accelerate(store.as_retriever(), accel)
        filters = [only("refund"), only("hours")]
        for _ in range(2):
            found = [names(colour.invoke(fast, QUESTION, filter=each)) for each in filters]
            assert found == [["refund"], ["hours"]]
        assert len(asked(store)) == 2

    @pytest.mark.parametrize("spell", [dict, lambda each: [each]], ids=["dict", "list"])
    def test_unhashable_filters(
        self, accel: Accel, colour: Colour, *, spell: Callable[[Any], Any]
    ) -> None:
        """Equal filters of plain data are the same one, whatever the order of their keys."""
        fast = accelerate(Taking(), accel)
        for _ in range(2):
            for where in ({"a": {"$in": [1]}, "b": 2}, {"b": 2, "a": {"$in": [1]}}, {"a": 1}):
                found = colour.invoke(fast, QUESTION, where=spell(where))
                assert found[0].metadata == {"where": spell(where)}
        assert len(Listed.calls) == 2

    def test_stores_share_nothing(self, accel: Accel, colour: Colour) -> None:
        """Two stores with other documents answer each for itself."""
        found = [
            names(colour.invoke(accelerate(filled(**texts).as_retriever(), accel), QUESTION))
            for texts in ({"a": "refund"}, {"b": "refund"})
        ]
        assert found == [["a"], ["b"]]

    def test_tenants_share_nothing(self, accel: Accel, colour: Colour) -> None:
        """Neither exactly nor by meaning does a tenant see what another one found."""
        store = filled()
        fast = accelerate(store.as_retriever(), accel)
        for tenant in ("a", "b", "a"):
            with accel.tenant(tenant):
                colour.invoke(fast, QUESTION)
                accel.flush()
        colour.invoke(fast, "When is a refund paid?")
        assert asked(store) == [QUESTION, QUESTION, "When is a refund paid?"]

    def test_versions_share_nothing(self, accel: Accel, colour: Colour) -> None:
        """What was found in one version of the documents is not served for another."""
        store = filled()
        for version in ("1", "2", "1"):
            fast = accelerate(store.as_retriever(), accel, version=version)
            colour.invoke(fast, QUESTION)
        assert len(asked(store)) == 2

    def test_nothing_found(self, accel: Accel, colour: Colour) -> None:
        """That nothing was found is believed, for a short time."""
        fast = accelerate(Listed(found=[]), accel)
        assert [colour.invoke(fast, QUESTION) for _ in range(2)] == [[], []]
        assert Listed.calls == [QUESTION]

    def test_wishes_of_a_call(self, accel: Accel, colour: Colour) -> None:
        """Tags and metadata of a call say what they say for chat models."""
        fast = accelerate(Listed(), accel)
        tagged = {"no-cache": 1, "no-store": 1, "refresh": 2}
        for tag in tagged:
            colour.invoke(fast, QUESTION, {"tags": [f"accel:{tag}"]})
        assert len(Listed.calls) == 3
        colour.invoke(fast, QUESTION)
        assert len(Listed.calls) == 3
        colour.invoke(fast, QUESTION, {"metadata": {"accel_namespace": "other"}})
        assert len(Listed.calls) == 4

    def test_switched_off(self, make_accel: MakeAccel, colour: Colour) -> None:
        """`retrieval.enabled` switches it off."""
        fast = accelerate(Listed(), make_accel({"retrieval": {"enabled": False}}))
        assert [colour.invoke(fast, QUESTION) for _ in range(2)]
        assert len(Listed.calls) == 2

    def test_forgotten(self, accel: Accel, colour: Colour) -> None:
        """What was found for a question that is forgotten is gone."""
        fast = accelerate(Listed(), accel)
        colour.invoke(fast, QUESTION)
        accel.forget(text=QUESTION)
        colour.invoke(fast, QUESTION)
        assert len(Listed.calls) == 2


class Taking(Listed):
    """Takes a filter, and tells which."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: Any, where: Any = None
    ) -> list[Document]:
        self.calls.append(query)
        return [Document("found", metadata={"where": where})]

    async def _aget_relevant_documents(self, *args: Any, **kwargs: Any) -> list[Document]:
        return self._get_relevant_documents(*args, **kwargs)


class Legacy(BaseRetriever):
    """Written before there were run managers."""

    def _get_relevant_documents(self, query: str) -> list[Document]:  # type: ignore[override]
        Listed.calls.append(query)
        return [Document("legacy")]


class Waiting(Listed):
    """Has an asynchronous method of its own, which calls the other one."""

    async def _aget_relevant_documents(self, query: str, *, run_manager: Any) -> Any:
        return self._get_relevant_documents(query, run_manager=run_manager)


class Runs(BaseCallbackHandler):
    """Counts runs of retrievers."""

    def __init__(self) -> None:
        self.started, self.ended = 0, 0
        self.chains: list[str] = []

    def on_retriever_start(self, *args: Any, **kwargs: Any) -> None:
        self.started += 1

    def on_retriever_end(self, *args: Any, **kwargs: Any) -> None:
        self.ended += 1

    def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
        self.chains.append(kwargs["name"])


class TestShape:
    """The copy is what the retriever was, in everything but speed."""

    def test_is_its_class(self, accel: Accel) -> None:
        """It is an instance of the user's class over the same store; the original is untouched."""
        store = filled()
        plain = store.as_retriever(search_kwargs={"k": 2})
        fast = accelerate(plain, accel)
        assert isinstance(fast, VectorStoreRetriever)
        assert type(plain) is VectorStoreRetriever
        assert (fast.vectorstore is store, fast.search_kwargs) == (True, {"k": 2})
        assert fast.get_name() == plain.get_name()
        assert accelerate(fast, accel) is fast

    @pytest.mark.parametrize("kind", [Listed, Legacy, Waiting, Taking])
    def test_kinds_of_retrievers(
        self, accel: Accel, colour: Colour, events: Recorder, *, kind: type[BaseRetriever]
    ) -> None:
        """Whatever methods a retriever has and calls, it is looked up and asked once."""
        fast = accelerate(kind(), accel)
        first = colour.invoke(fast, QUESTION)
        assert len(events.of(ev.RetrievalMiss)) == 1
        assert colour.invoke(fast, QUESTION) == first
        assert Listed.calls == [QUESTION]

    def test_arguments_it_does_not_take(self, accel: Accel, colour: Colour) -> None:
        """Arguments that LangChain keeps from a retriever are kept from it as before."""
        assert colour.invoke(accelerate(Listed(), accel), QUESTION, k=2) == Listed().found

    def test_one_run(self, accel: Accel, colour: Colour) -> None:
        """A trace shows one run per call, hit or not."""
        fast, runs = accelerate(filled().as_retriever(), accel), Runs()
        for expected in (1, 2):
            colour.invoke(fast, QUESTION, {"callbacks": [runs]})
            assert (runs.started, runs.ended) == (expected, expected)

    def test_many_questions(self, accel: Accel, colour: Colour) -> None:
        """`batch` asks each question once."""
        fast = accelerate(Listed(), accel)
        colour.batch(fast, ["a", "b", "a"])
        colour.batch(fast, ["a", "b"])
        assert sorted(set(Listed.calls)) == sorted(Listed.calls) == ["a", "b"]

    def test_configurable(self, accel: Accel, colour: Colour) -> None:
        """Fields set for one call count, though LangChain makes a new retriever for it."""
        store = filled()
        fast: Any = accelerate(store.as_retriever(), accel).configurable_fields(
            search_kwargs=ConfigurableField(id="search")
        )
        for count in (1, 2, 1, 2):
            config = {"configurable": {"search": {"k": count}}}
            assert len(colour.invoke(fast, QUESTION, config)) == count
        assert len(asked(store)) == 2

    def test_changed_field(self, accel: Accel, colour: Colour) -> None:
        """A field that is changed afterwards counts as it is."""
        store, other = filled(), filled(b="refund")
        fast = accelerate(store.as_retriever(search_kwargs={"k": 1}), accel)
        assert names(colour.invoke(fast, QUESTION)) == ["refund"]
        fast.search_kwargs = {"k": 2}
        assert len(colour.invoke(fast, QUESTION)) == 2
        fast.vectorstore = other
        assert names(colour.invoke(fast, QUESTION)) == ["b"]
        other.add_texts(["refund when paid is a"], ids=["c"])
        assert names(colour.invoke(fast, QUESTION)) == ["c", "b"]

    @pytest.mark.parametrize("name", [None, "handbook"])
    def test_pickled(self, accel: Accel, colour: Colour, *, name: str | None) -> None:
        """It comes back accelerated; its store is a copy, so only a name makes it the same one."""
        store = filled(DeterministicFakeEmbedding(size=8))
        fast = accelerate(store.as_retriever(), accel, corpus=name)
        colour.invoke(fast, QUESTION)
        back = pickle.loads(pickle.dumps(fast))
        assert type(back) is type(fast)
        assert colour.invoke(back, QUESTION) == colour.invoke(fast, QUESTION)
        assert accel.stats().retrieval_hits == (2 if name else 1)

    def test_copied(self, accel: Accel, colour: Colour) -> None:
        """A copy over the same store is answered as the first."""
        store = filled()
        fast = accelerate(store.as_retriever(), accel)
        for each in (fast, copy.copy(fast), fast.model_copy(), fast.with_config(tags=["x"])):
            colour.invoke(each, QUESTION)
        assert len(asked(store)) == 1

    def test_tool(self, accel: Accel) -> None:
        """A tool cannot be looked into, and its message says what to do instead."""
        from langchain_core.tools import create_retriever_tool

        tool = create_retriever_tool(filled().as_retriever(), "search", "Searches.")
        with pytest.raises(UnsupportedError, match="accelerate the retriever"):
            accelerate(tool, accel)

    def test_tool_of_an_accelerated_one(self, accel: Accel, colour: Colour) -> None:
        """A tool made of an accelerated retriever searches once."""
        from langchain_core.tools import create_retriever_tool

        store = filled()
        tool = create_retriever_tool(accelerate(store.as_retriever(), accel), "search", "Searches.")
        told = [colour.invoke(tool, {"query": QUESTION}) for _ in range(2)]
        assert told[0] == told[1]
        assert len(asked(store)) == 1


class TestPayload:
    """What documents may hold."""

    METADATA: ClassVar[dict[str, Any]] = {
        "text": "ä",
        "none": None,
        "score": 0.25,
        "at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "on": dt.date(2026, 1, 1),
        "id": UUID(int=1),
        "price": Decimal("1.10"),
        "raw": b"\0",
        "pair": (1, "a"),
        "labels": {"x"},
        "path": Path("/a"),
        "similarity": np.float32(0.1),
        "nested": [{"a": (1,)}],
        3: "a key that is no text",
    }

    def test_types_are_kept(self, accel: Accel, colour: Colour) -> None:
        """Metadata comes back with its types."""
        fast = accelerate(Listed(found=[Document("a", metadata=self.METADATA)]), accel)
        for _ in range(2):
            metadata = colour.invoke(fast, QUESTION)[0].metadata
            assert metadata == self.METADATA
            assert [type(each) for each in metadata.values()] == [
                type(each) for each in self.METADATA.values()
            ]
        assert Listed.calls == [QUESTION]

    @pytest.mark.parametrize(
        ("found", "reason"),
        [
            ([Document("a", metadata={"x": object()})], "unserialisable"),
            ([Document("\ud800")], "unserialisable"),
            ([type("Own", (Document,), {})("a")], "unserialisable"),
            ((Document("a"),), "unserialisable"),
            (None, "unserialisable"),
            ([Document("a")] * 1_000_001, "too_large"),
            ([Document("a" * (5 << 20))], "too_large"),
        ],
        ids=["object", "surrogate", "subclass", "tuple", "none", "a million", "5 MB"],
    )
    def test_not_stored(
        self, accel: Accel, colour: Colour, events: Recorder, *, found: Any, reason: str
    ) -> None:
        """What cannot be kept is handed on as it is, each time anew."""
        retriever = Listed()
        retriever.found = found
        fast = accelerate(retriever, accel)
        assert all(colour.invoke(fast, QUESTION) is found for _ in range(2))
        assert {event.reason for event in events.of(ev.RetrievalRefused)} == {reason}

    @pytest.mark.parametrize("payload", [b"[[1]]", b"{", b"[[1,2,3]]", b' [{"$":["eval","x"]}]'])
    def test_damaged(
        self,
        accel: Accel,
        colour: Colour,
        monkeypatch: pytest.MonkeyPatch,
        *,
        payload: bytes,
    ) -> None:
        """A stored list that cannot be read is retrieved anew, and then kept."""
        fast = accelerate(Listed(), accel)
        with monkeypatch.context() as patch:
            patch.setattr("langchain_accel._documents.spell_typed", lambda _: payload)
            first = colour.invoke(fast, QUESTION)
        for _ in range(3):
            assert colour.invoke(fast, QUESTION) == first
        assert len(Listed.calls) == 3


class TestFailure:
    """The application's errors are the application's."""

    def test_raises(self, accel: Accel, colour: Colour) -> None:
        """A retriever's error reaches the caller as it is, each time, and is not kept."""
        fast, Listed.failure = accelerate(Listed(), accel), KeyError("mine")
        for _ in range(2):
            with pytest.raises(KeyError, match="mine"):
                colour.invoke(fast, QUESTION)
        Listed.failure = None
        assert colour.invoke(fast, QUESTION)
        assert len(Listed.calls) == 3

    def test_question_that_is_no_text(self, accel: Accel, colour: Colour) -> None:
        """Questions that are no texts pass by the cache."""
        fast = accelerate(Listed(), accel)
        assert [colour.invoke(fast, 3) for _ in range(2)]
        assert Listed.calls == [3, 3]

    def test_that_cannot_be_read(self, accel: Accel, colour: Colour, events: Recorder) -> None:
        """Where a field or store raises when it is looked at, the retriever is asked."""

        class Shy(InMemoryVectorStore):
            @property
            def embeddings(self) -> Any:
                raise OSError("not now")

        store = Shy(Counting())
        fast = accelerate(Listed(found=[Document("a")], more=store), accel, corpus="handbook")
        assert [colour.invoke(fast, QUESTION) for _ in range(2)]
        assert len(Listed.calls) == 2
        assert {event.reason for event in events.of(ev.CacheBypassed)} == {"unidentifiable"}


class TestTogether:
    """Many at once."""

    CALLERS = 200

    def test_threads(self, accel: Accel) -> None:
        """200 threads that miss at the same time search once."""
        store = filled()
        fast = accelerate(store.as_retriever(), accel)
        everybody = threading.Barrier(self.CALLERS)

        def ask(_: int) -> Any:
            everybody.wait()
            return fast.invoke(QUESTION)

        with ThreadPoolExecutor(self.CALLERS) as pool:
            found = list(pool.map(ask, range(self.CALLERS)))
        assert all(each == found[0] for each in found)
        assert len(asked(store)) == 1

    async def test_tasks(self, accel: Accel) -> None:
        """200 tasks that miss at the same time search once, and each gets a list of its own."""
        store = filled()
        fast = accelerate(store.as_retriever(), accel)
        found = await asyncio.gather(*(fast.ainvoke(QUESTION) for _ in range(self.CALLERS)))
        assert all(each == found[0] for each in found)
        assert len({id(each) for each in found}) == self.CALLERS
        assert len(asked(store)) == 1

    async def test_cancelled_leader(self, accel: Accel) -> None:
        """Whoever waited for a caller that gave up retrieves for itself, and nobody hangs."""
        started, go = threading.Event(), threading.Event()
        embeddings = Counting()
        embeddings.before = lambda _: (started.set(), go.wait(20))
        store = filled(embeddings)
        fast = accelerate(store.as_retriever(), accel)
        leader = asyncio.create_task(fast.ainvoke(QUESTION))
        await asyncio.to_thread(started.wait, 20)
        others = [asyncio.create_task(fast.ainvoke(QUESTION)) for _ in range(5)]
        await asyncio.sleep(0)
        leader.cancel()
        go.set()
        found = await asyncio.gather(*others)
        assert all(names(each) == names(found[0]) for each in found)
        with pytest.raises(asyncio.CancelledError):
            await leader


class Reporting(Listed):
    """`managers` holds to whom its calls reported."""

    managers: ClassVar[list[Any]] = []

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> Any:
        self.managers.append(run_manager)
        RunnableLambda(str).with_config(run_name="inside").invoke(query)
        return super()._get_relevant_documents(query, run_manager=run_manager)


class TestFreshness:
    """Lifetimes, on a clock turned by hand: in memory 60 s fresh, 30 s due, 300 s spare."""

    EVEN: ClassVar[dict[str, Any]] = {"retrieval": {"freshness": {"hot_factor": 1}}}

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def accel(self, make_accel: MakeAccel, clock: ManualClock) -> Accel:
        return make_accel(self.EVEN, clocks=clock.clocks())

    @pytest.mark.parametrize("name", ["sync", "async"])
    async def test_served_while_made_anew(
        self, make_accel: MakeAccel, clock: ManualClock, events: Recorder, *, name: str
    ) -> None:
        """What is due is served at once, and made anew in nobody's name."""
        stored = threading.Semaphore(0)

        def observe(event: Any) -> None:
            if isinstance(event, ev.RetrievalStored):
                stored.release()

        accel = make_accel(self.EVEN, clocks=clock.clocks(), observers=[events, observe])
        fast = RunnableLambda(str) | accelerate(Reporting(), accel)
        runs = Runs()
        Reporting.managers.clear()
        for _ in range(2):
            config: Any = {"callbacks": [runs]}
            if name == "async":
                await fast.ainvoke(QUESTION, config)
            else:
                await asyncio.to_thread(fast.invoke, QUESTION, config)
            assert await asyncio.to_thread(stored.acquire, timeout=20)
            clock.advance(70)
        assert [event.stale for event in events.of(ev.RetrievalHit)] == ["renewing"]
        assert [bool(manager.handlers) for manager in Reporting.managers] == [True, False]
        assert runs.started == 2
        assert runs.chains.count("inside") == 1

    def test_served_where_making_it_anew_fails(
        self, accel: Accel, colour: Colour, clock: ManualClock, events: Recorder
    ) -> None:
        """While a retriever fails, what is over is served for a time; after that, its error."""
        fast = accelerate(Listed(), accel)
        first = colour.invoke(fast, QUESTION)
        Listed.failure = OSError("down")
        clock.advance(200)
        assert colour.invoke(fast, QUESTION) == first
        assert [event.stale for event in events.of(ev.RetrievalHit)] == ["error"]
        clock.advance(300)
        with pytest.raises(OSError, match="down"):
            colour.invoke(fast, QUESTION)

    def test_never_what_was_before_a_change(
        self, accel: Accel, colour: Colour, clock: ManualClock
    ) -> None:
        """Neither while it is made anew nor where that fails is anything served from before."""
        fast = accelerate(Listed(), accel)
        colour.invoke(fast, QUESTION)
        accel.corpus_of(fast).changed()
        Listed.failure = OSError("down")
        for seconds in (0, 70, 100):
            clock.advance(seconds)
            with pytest.raises(OSError, match="down"):
                colour.invoke(fast, QUESTION)
