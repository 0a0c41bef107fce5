"""Retrieval cached for as long as the documents are the same, in both colours."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from accel_core import events
from accel_core.accel import Accel
from accel_core.config import from_mapping
from accel_core.errors import StoreError
from accel_core.policy.controls import DEFAULT, Controls
from accel_core.policy.identity import Prompt, Turn
from accel_core.retrieval import Ask, Gap, Made, Recalled
from accel_core.store.sqlite import SqliteStore
from accel_core.testing.doubles import ManualClock, RecordingObserver
from accel_core.testing.encoders import HashEncoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Documents:
    """How lists of ids and texts are stored."""

    def spell(self, value: dict[str, str]) -> Made | str:
        return Made(json.dumps(value).encode(), tuple(value), empty=not value)

    def read(self, hit: Recalled) -> dict[str, str]:
        found: dict[str, str] = json.loads(hit.entry.payload)
        return found


class Library:
    """Documents by id; a question finds those that hold its last word."""

    def __init__(self) -> None:
        self.documents: dict[str, str] = {"d1": "apples are red", "d2": "pears are green"}
        self.asked: list[str] = []
        self.failing: Exception | None = None
        self.hold: threading.Event | None = None

    def find(self, question: str) -> dict[str, str]:
        self.asked.append(question)
        if self.hold is not None:
            assert self.hold.wait(10)
        if self.failing is not None:
            raise self.failing
        word = question.rstrip("?").split()[-1]
        return {name: text for name, text in self.documents.items() if word in text}


class Desk:
    """A library behind a cache, asked in one colour."""

    def __init__(self, colour: str, close: ExitStack, **options: Any) -> None:
        self.colour = colour
        self.library: Library = options.pop("library", None) or Library()
        self.clock = options.pop("clock", None) or ManualClock()
        self.seen = RecordingObserver()
        config = from_mapping(options.pop("config", None))
        options.setdefault("encoder", HashEncoder())
        self.accel = close.enter_context(
            Accel(config, observers=[self.seen], clocks=self.clock.clocks(), **options)
        )
        self.name: str | None = None
        self.speaks = False

    @property
    def corpus(self) -> Any:
        if self.name is not None:
            return self.accel.corpus(self.name)
        return self.accel.corpus_of(self.library)

    def to_ask(self, question: str, controls: Controls = DEFAULT, version: str = "") -> Ask:
        request = self.accel.identify(
            Prompt(
                "test", ["retriever", version], (Turn("user", (question,)),),
                self.accel.current_tenant(), self.accel.namespace(""),
            )
        )  # fmt: skip
        assert request is not None
        return Ask(request, (self.corpus.key,), self.speaks, controls)

    def ask(self, question: str, controls: Controls = DEFAULT, **options: Any) -> dict[str, str]:
        ask = self.to_ask(question, controls, **options)

        async def make() -> dict[str, str]:
            return self.library.find(question)

        if self.colour == "sync":
            return self.accel.retrieval.read_through(ask, make, Documents())
        return asyncio.run(self._settled(ask, make))

    async def _settled(self, ask: Ask, make: Any) -> dict[str, str]:
        found: dict[str, str] = await self.accel.retrieval.aread_through(ask, make, Documents())
        # A loop that ends takes what it renews with it.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others)
        return found

    def change(self, documents: list[str] | None = None) -> None:
        if self.colour == "sync":
            self.corpus.changed(documents)
        else:
            asyncio.run(self.corpus.achanged(documents))

    def settle(self) -> None:
        """Wait until nothing is renewed any more."""
        for thread in threading.enumerate():
            if thread.name == "accel-spawned":
                thread.join(10)
        self.accel.flush()

    def times(self) -> int:
        return len(self.library.asked)


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Desk]]:
    with ExitStack() as close:
        yield lambda **options: Desk(request.param, close, **options)


def sqlite(path: Path) -> dict[str, Any]:
    return {"cache": {"store": {"kind": "sqlite", "path": str(path / "cache.db")}}}


def test_the_same_question_is_retrieved_once(make: Callable[..., Desk]) -> None:
    """A second lookup finds what the first retrieved, as a fresh object."""
    desk = make()
    first = desk.ask("what about apples?")
    first["d1"] = "changed by its reader"
    assert desk.ask("what about apples?") == {"d1": "apples are red"}
    assert desk.times() == 1
    assert desk.accel.stats().retrieval_hits == 1
    assert desk.accel.stats().hits == 0


def test_another_wording_finds_it(make: Callable[..., Desk]) -> None:
    """Where the encoder holds two questions for one, what was retrieved for one serves both."""
    desk = make()
    desk.ask("what about apples?")
    desk.accel.flush()
    assert desk.ask("WHAT about apples") == {"d1": "apples are red"}
    assert desk.times() == 1
    assert desk.seen.of(events.RetrievalHit)[0].tier == "semantic"


def test_nothing_by_meaning_where_that_is_off(make: Callable[..., Desk]) -> None:
    """`retrieval.semantic: false` and shadow mode leave other wordings to the retriever."""
    for config in (
        {"retrieval": {"semantic": False}},
        {"cache": {"semantic": {"shadow": True}}},
    ):
        desk = make(config=config)
        desk.ask("what about apples?")
        desk.accel.flush()
        desk.ask("WHAT about apples")
        assert desk.times() == 2


def test_an_added_document_is_found_at_once(make: Callable[..., Desk]) -> None:
    """After a change that may concern everything, everything is retrieved anew."""
    desk = make()
    desk.ask("what about apples?")
    desk.library.documents["d3"] = "apples keep well"
    desk.change()
    assert set(desk.ask("what about apples?")) == {"d1", "d3"}
    desk.accel.flush()
    assert set(desk.ask("WHAT about apples")) == {"d1", "d3"}


def test_only_what_rests_on_the_changed_document_is_retrieved_anew(
    make: Callable[..., Desk],
) -> None:
    """A change that names documents leaves the rest alone, also by meaning."""
    desk = make()
    desk.ask("what about apples?")
    desk.ask("what about pears?")
    desk.accel.flush()
    del desk.library.documents["d1"]
    desk.change(["d1"])
    assert desk.ask("what about pears?") == {"d2": "pears are green"}
    assert desk.times() == 2
    assert desk.ask("what about apples?") == {}
    assert desk.ask("WHAT about apples") == {}


def test_a_result_whose_documents_are_unknown_rests_on_all(make: Callable[..., Desk]) -> None:
    """Where ids are missing, any change concerns it."""
    desk = make()
    ask = desk.to_ask("q")
    for changed in (None, ["elsewhere"]):
        gap = desk.accel.retrieval.lookup(ask)
        assert isinstance(gap, Gap)
        desk.accel.retrieval.store(ask, gap, Made(b"{}", None), 0.1)
        assert isinstance(desk.accel.retrieval.lookup(ask), Recalled)
        desk.change(changed)
    gap = desk.accel.retrieval.lookup(ask)
    assert isinstance(gap, Gap)
    desk.accel.retrieval.abandon(gap)


def test_what_was_retrieved_during_a_change_is_not_served_after_it(
    make: Callable[..., Desk],
) -> None:
    """A retrieval that began before a change, and ended after it, served only its own caller."""
    desk = make()
    ask = desk.to_ask("what about apples?")
    gap = desk.accel.retrieval.lookup(ask)
    assert isinstance(gap, Gap)
    old = desk.library.find("apples")
    desk.library.documents["d1"] = "apples are yellow"
    desk.change(["d1"])
    desk.accel.retrieval.store(ask, gap, Made(json.dumps(old).encode(), ("d1",)), 0.1)
    assert desk.ask("what about apples?") == {"d1": "apples are yellow"}


def test_who_asks_after_a_change_does_not_wait_for_who_asked_before(
    make: Callable[..., Desk],
) -> None:
    """The flight of an old retrieval is not joined by a lookup that must not be given it."""
    desk = make()
    ask = desk.to_ask("what about apples?")
    with ThreadPoolExecutor(1) as elsewhere:
        gap = elsewhere.submit(desk.accel.retrieval.lookup, ask).result()
    assert isinstance(gap, Gap)
    desk.library.documents["d1"] = "apples are yellow"
    desk.change()
    assert desk.ask("what about apples?") == {"d1": "apples are yellow"}
    desk.accel.retrieval.abandon(gap)


def test_two_hundred_at_once_retrieve_once() -> None:
    """Threads and tasks that ask the same thing wait for the first of them."""
    with ExitStack() as close:
        desk = Desk("sync", close)
        desk.library.hold = threading.Event()
        with ThreadPoolExecutor(20) as threads:
            found = [threads.submit(desk.ask, "what about apples?") for _ in range(20)]
            while not desk.library.asked:
                pass
            desk.library.hold.set()
            assert all(one.result() == {"d1": "apples are red"} for one in found)
        assert desk.times() == 1

    async def many(desk: Desk) -> None:
        ask = desk.to_ask("what about pears?")
        opened = asyncio.Event()

        async def slow() -> dict[str, str]:
            desk.library.asked.append("pears")
            await opened.wait()
            return {"d2": "pears are green"}

        tasks = [
            asyncio.create_task(desk.accel.retrieval.aread_through(ask, slow, Documents()))
            for _ in range(200)
        ]
        while not desk.library.asked:
            await asyncio.sleep(0)
        opened.set()
        assert all(found == {"d2": "pears are green"} for found in await asyncio.gather(*tasks))
        assert desk.times() == 1

    with ExitStack() as close:
        asyncio.run(many(Desk("async", close)))


def test_a_cancelled_leader_is_replaced() -> None:
    """Whoever waited for a caller that was cancelled retrieves for itself, once."""

    async def play(desk: Desk) -> None:
        ask = desk.to_ask("q")
        begun = asyncio.Event()

        async def never() -> dict[str, str]:
            begun.set()
            await asyncio.Event().wait()
            raise AssertionError

        async def quick() -> dict[str, str]:
            desk.library.asked.append("quick")
            return {}

        through = desk.accel.retrieval.aread_through
        leader = asyncio.create_task(through(ask, never, Documents()))
        await begun.wait()
        others = [asyncio.create_task(through(ask, quick, Documents())) for _ in range(5)]
        await asyncio.sleep(0)
        leader.cancel()
        assert await asyncio.gather(*others) == [{}] * 5
        assert desk.times() == 1

    with ExitStack() as close:
        asyncio.run(play(Desk("async", close)))


def test_stale_is_served_while_it_is_made_anew(make: Callable[..., Desk]) -> None:
    """Past its time an entry is served once more, and one retrieval in the background renews it."""
    desk = make(config={"retrieval": {"freshness": {"near_ttl": {"base_s": 60, "jitter": 0}}}})
    desk.ask("what about apples?")
    desk.library.documents["d1"] = "apples are yellow"  # and nobody said so
    desk.clock.advance(61)
    assert desk.ask("what about apples?") == {"d1": "apples are red"}
    desk.settle()
    assert desk.times() == 2
    assert desk.ask("what about apples?") == {"d1": "apples are yellow"}
    assert desk.times() == 2
    assert desk.accel.stats().retrieval_stale == 1


def test_beyond_its_grace_it_is_retrieved_anew(make: Callable[..., Desk]) -> None:
    """What is too old to be served while it is renewed is not served at all."""
    desk = make()
    desk.ask("what about apples?")
    desk.library.documents["d1"] = "apples are yellow"
    desk.clock.advance(60 + 31)
    assert desk.ask("what about apples?") == {"d1": "apples are yellow"}


def test_stale_is_served_where_retrieving_fails(make: Callable[..., Desk]) -> None:
    """Within its grace an old result is better than an error, and the next caller tries again."""
    desk = make()
    desk.ask("what about apples?")
    desk.library.failing = RuntimeError("the index is away")
    desk.clock.advance(200)
    for _ in range(2):
        assert desk.ask("what about apples?") == {"d1": "apples are red"}
    assert desk.times() == 3
    assert {hit.stale for hit in desk.seen.of(events.RetrievalHit)} == {"error"}
    desk.clock.advance(200)
    with pytest.raises(RuntimeError, match="the index is away"):
        desk.ask("what about apples?")


def test_neither_across_a_change(make: Callable[..., Desk]) -> None:
    """What a change concerns is served neither while it is renewed nor in spite of an error."""
    desk = make()
    desk.ask("what about apples?")
    desk.clock.advance(61)
    desk.library.documents["d1"] = "apples are yellow"
    desk.change(["d1"])
    desk.library.failing = RuntimeError("the index is away")
    with pytest.raises(RuntimeError, match="the index is away"):
        desk.ask("what about apples?")
    desk.library.failing = None
    assert desk.ask("what about apples?") == {"d1": "apples are yellow"}


def test_an_error_is_the_applications_and_is_not_kept(make: Callable[..., Desk]) -> None:
    """The very exception is raised, nothing is stored, and the next caller retrieves."""
    desk = make()
    error = desk.library.failing = LookupError("mine")
    with pytest.raises(LookupError) as caught:
        desk.ask("what about apples?")
    assert caught.value is error
    desk.library.failing = None
    assert desk.ask("what about apples?") == {"d1": "apples are red"}
    assert len(desk.seen.of(events.RetrievalStored)) == 1


def test_nothing_found_is_believed_shortly(make: Callable[..., Desk]) -> None:
    """An empty result is kept for seconds, not served stale, and not to other wordings."""
    desk = make()
    assert desk.ask("what about plums?") == {}
    assert desk.ask("what about plums?") == {}
    assert desk.times() == 1
    desk.accel.flush()
    assert desk.ask("WHAT about plums") == {}
    assert desk.times() == 2
    desk.library.documents["d9"] = "plums are blue"
    desk.clock.advance(5.1)
    assert desk.ask("what about plums?") == {"d9": "plums are blue"}


def test_what_is_wanted_lives_longer_but_not_for_ever(make: Callable[..., Desk]) -> None:
    """Hits lengthen the next life, up to the factor that is set."""
    desk = make(config={"retrieval": {"freshness": {"early": 0.0, "stale_s": 0.0}}})
    for _ in range(3):
        for _ in range(50):
            desk.ask("what about apples?")
        desk.ask("what about pears?")
        desk.clock.advance(100_000)
    lives = [stored.ttl_s for stored in desk.seen.of(events.RetrievalStored)]
    assert max(lives) == pytest.approx(2400.0)
    assert lives[-1] < 2400.0


def test_a_calls_wishes_are_kept(make: Callable[..., Desk]) -> None:
    """A call may read past the cache, not be stored, or be stored for a shorter time."""
    desk = make()
    desk.ask("what about apples?", Controls(no_store=True))
    desk.ask("what about apples?", Controls(ttl_s=10.0))
    assert desk.times() == 2
    desk.ask("what about apples?", Controls(refresh=True))
    assert desk.times() == 3
    desk.ask("what about pears?", Controls(ttl_s=10.0))
    desk.clock.advance(10.1)
    desk.ask("what about pears?")
    assert desk.times() == 5


def test_another_version_is_another_question(make: Callable[..., Desk]) -> None:
    """What is part of the scope keeps entries apart."""
    desk = make()
    desk.ask("what about apples?", version="1")
    desk.ask("what about apples?", version="2")
    assert desk.times() == 2


def test_tenants_are_kept_apart(make: Callable[..., Desk]) -> None:
    """One tenant's documents are never another's, neither exactly nor by meaning."""
    desk = make()
    with desk.accel.tenant("a"):
        desk.ask("what about apples?")
    desk.accel.flush()
    with desk.accel.tenant("b"):
        desk.ask("WHAT about apples")
    assert desk.times() == 2
    with desk.accel.tenant("b"):
        desk.ask("what about apples?", Controls(no_store=True))
    with desk.accel.tenant("a"):
        desk.ask("what about apples?")
        before = desk.times()
        assert desk.accel.forget(tenant="a").removed
        desk.ask("what about apples?")
    assert desk.times() == before + 1


def test_an_invalidation_on_the_way_is_kept(make: Callable[..., Desk]) -> None:
    """What was asked for before a removal is not stored after it."""
    desk = make()
    ask = desk.to_ask("what about apples?")
    gap = desk.accel.retrieval.lookup(ask)
    assert isinstance(gap, Gap)
    desk.accel.invalidate()
    desk.accel.retrieval.store(ask, gap, Made(b"{}", ()), 0.1)
    assert desk.seen.of(events.RetrievalRefused) == [events.RetrievalRefused("invalidated")]
    again = desk.accel.retrieval.lookup(ask)
    assert isinstance(again, Gap)
    desk.accel.retrieval.abandon(again)


def test_spoken_answers_about_this_moment_are_not_kept(make: Callable[..., Desk]) -> None:
    """Documents found for it are the same each time; what is said about them is not."""
    desk = make()
    for _ in range(2):
        desk.ask("what time is it right now")
    assert desk.times() == 1
    desk.speaks = True
    for _ in range(2):
        desk.ask("what time is it right now", version="spoken")
    assert desk.times() == 3
    assert {one.reason for one in desk.seen.of(events.RetrievalRefused)} == {"volatile"}


def test_too_large_and_unspellable_results_pass(make: Callable[..., Desk]) -> None:
    """They reach their caller and are not stored; the reason is an event."""
    desk = make(config={"retrieval": {"max_entry_bytes": 50}})
    desk.library.documents["d1"] = "apples " * 100
    for _ in range(2):
        assert desk.ask("what about apples")["d1"].startswith("apples")
    assert desk.times() == 2
    desk.library.documents = {"d2": object()}  # type: ignore[dict-item]
    reasons = [refused.reason for refused in desk.seen.of(events.RetrievalRefused)]
    assert reasons == ["too_large", "too_large"]


def test_a_payload_that_cannot_be_read_is_retrieved_anew(make: Callable[..., Desk]) -> None:
    """Damage costs a retrieval and is an event."""
    desk = make()
    ask = desk.to_ask("what about apples?")
    gap = desk.accel.retrieval.lookup(ask)
    assert isinstance(gap, Gap)
    desk.accel.retrieval.store(ask, gap, Made(b"not json", ()), 0.1)
    assert desk.ask("what about apples?") == {"d1": "apples are red"}
    assert desk.seen.of(events.BackendFailed)[0].backend == "payload"
    desk.ask("what about apples?")
    desk.ask("what about apples?")
    assert desk.times() == 2


def test_a_named_corpus_is_shared_through_the_store(
    make: Callable[..., Desk], tmp_path: Path
) -> None:
    """One process is served what another retrieved, until one of them says that it changed."""
    one = make(config=sqlite(tmp_path))
    two = make(config=sqlite(tmp_path), library=one.library)
    one.name = two.name = "handbook"
    one.ask("what about apples?")
    one.accel.flush()
    assert two.ask("what about apples?") == {"d1": "apples are red"}
    assert one.times() == 1
    one.library.documents["d1"] = "apples are yellow"
    two.change(["d1"])
    assert one.ask("what about apples?") == {"d1": "apples are yellow"}
    one.accel.flush()
    assert two.ask("what about apples?") == {"d1": "apples are yellow"}
    assert one.times() == 2


def test_an_object_of_this_process_is_not_shared(make: Callable[..., Desk], tmp_path: Path) -> None:
    """Two stores in memory that look alike are two corpora, and only one process's."""
    one = make(config=sqlite(tmp_path))
    two = make(config=sqlite(tmp_path))
    two.library.documents["d1"] = "apples are yellow"
    one.ask("what about apples?")
    one.accel.flush()
    assert two.ask("what about apples?") == {"d1": "apples are yellow"}
    with SqliteStore(tmp_path / "cache.db")._file.asking("count") as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchone() == (0,)


def test_the_store_outlives_memory(make: Callable[..., Desk], tmp_path: Path) -> None:
    """Past the time of this process the store is asked, not the retriever; then its time ends."""
    desk = make(config=sqlite(tmp_path))
    desk.name = "handbook"
    desk.ask("what about apples?")
    desk.accel.flush()
    for _ in range(5):
        desk.clock.advance(100)
        assert desk.ask("what about apples?") == {"d1": "apples are red"}
    assert desk.times() == 1
    desk.clock.advance(200)
    desk.ask("what about apples?")
    desk.settle()
    assert desk.times() == 2


class Broken(SqliteStore):
    """A store that can be made to fail."""

    broken = False

    def read_changes(self, corpus: bytes, since: int) -> Any:
        self._fail()
        return super().read_changes(corpus, since)

    def add_change(self, corpus: bytes, documents: Any) -> None:
        self._fail()
        super().add_change(corpus, documents)

    def glance(self) -> Any:
        self._fail()
        return super().glance()

    def _fail(self) -> None:
        if self.broken:
            raise StoreError("sqlite", "answer", "away")


def test_where_changes_cannot_be_known_nothing_is_served(
    make: Callable[..., Desk], tmp_path: Path
) -> None:
    """A failing store costs retrievals; what it missed is recorded before it is believed again."""
    store = Broken(tmp_path / "cache.db")
    desk = make(store=store)
    desk.name = "handbook"
    desk.ask("what about apples?")
    store.broken = True
    desk.library.documents["d1"] = "apples are yellow"
    with pytest.raises(StoreError):
        desk.change(["d1"])
    assert desk.ask("what about apples?") == {"d1": "apples are yellow"}
    store.broken = False
    desk.clock.advance(1.0)
    assert desk.ask("what about apples?") == {"d1": "apples are yellow"}
    assert store.read_changes(desk.corpus.key.digest, 0).revision == 1
    assert desk.times() == 3


@pytest.mark.parametrize("shared", [False, True], ids=["own", "named"])
def test_a_thousand_changes_and_questions_serve_nothing_stale(
    make: Callable[..., Desk], tmp_path: Path, shared: bool
) -> None:
    """Whatever the order of changes, questions and passing time, each answer is the documents'."""
    dice = random.Random(7)
    desk = make(config=sqlite(tmp_path) if shared else None, encoder=HashEncoder())
    desk.name = "handbook" if shared else None
    words = ["apples", "pears", "plums", "figs"]
    documents = desk.library.documents
    documents.clear()
    for step in range(300 if shared else 1000):
        act = dice.random()
        if act < 0.15:
            documents[f"d{dice.randrange(6)}"] = f"{dice.choice(words)} {step}"
            desk.change()
        elif act < 0.3 and documents:
            gone = dice.choice(sorted(documents))
            del documents[gone]
            desk.change([gone])
        elif act < 0.35:
            desk.clock.advance(dice.choice([1, 70, 700]))
        else:
            word = dice.choice(words)
            true = {name: text for name, text in documents.items() if word in text}
            assert desk.ask(f"{dice.choice(['what', 'WHAT'])} about {word}") == true
    desk.settle()
    assert desk.times() < (200 if shared else 650)


def test_a_text_is_not_a_list_of_ids(make: Callable[..., Desk]) -> None:
    """A single id given as a text would be its letters; it is refused."""
    desk = make()
    with pytest.raises(TypeError, match="several ids"):
        desk.corpus.changed("d1")
