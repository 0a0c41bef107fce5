"""What cached retrieval promises where threads, forks, stores and time are against it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from accel_core import events
from accel_core.errors import StoreError
from accel_core.store.memory import MemoryStore
from accel_core.store.sqlite import SqliteStore
from tests.core.retrieval_cache.rig import Desk, Documents, Library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Desk]]:
    with ExitStack() as close:
        yield lambda **options: Desk(request.param, close, **options)


class Plain(MemoryStore):
    """A shared store that numbers no changes, and outlives who uses it."""

    def close(self) -> None:
        pass


def test_a_store_that_numbers_no_changes_is_given_nothing_to_share(
    make: Callable[..., Desk],
) -> None:
    """Who could not learn of a change, such as the process after this one, is served nothing."""
    store: Any = Plain()
    one, two = make(store=store), make(store=store)
    one.name = two.name = "handbook"
    one.ask("what about apples?")
    one.accel.flush()
    two.library.documents["d1"] = one.library.documents["d1"] = "apples are yellow"
    one.change()
    assert two.ask("what about apples?") == {"d1": "apples are yellow"}


def test_where_no_thread_is_to_be_had_the_caller_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal that cannot begin is an event, and holds up nobody who comes after it."""
    with ExitStack() as close:
        desk = Desk("sync", close)
        desk.ask("what about apples?")
        desk.clock.advance(61)

        def none_left(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", none_left)
            assert desk.ask("what about apples?") == {"d1": "apples are red"}
        assert desk.seen.of(events.BackendFailed)[0].operation == "renew"
        desk.clock.advance(31)
        desk.ask("what about apples?")
        assert desk.times() == 2


def test_a_renewal_that_is_cancelled_before_it_begins_holds_up_nobody() -> None:
    """A loop that ends takes what was to be renewed with it; another caller leads at once."""
    with ExitStack() as close:
        desk = Desk("async", close)
        desk.ask("what about apples?")
        desk.clock.advance(61)
        ask = desk.to_ask("what about apples?")

        async def make() -> dict[str, str]:
            return desk.library.find("what about apples?")

        async def served() -> dict[str, str]:
            found = await desk.accel.retrieval.aread_through(ask, make, Documents())
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            return found

        assert asyncio.run(served()) == {"d1": "apples are red"}
        desk.clock.advance(29)
        desk.colour = "sync"
        desk.library.documents["d1"] = "apples are yellow"
        desk.ask("what about apples?")
        desk.settle()
        assert desk.ask("what about apples?") == {"d1": "apples are yellow"}


def test_renewals_are_few_at_once(make: Callable[..., Desk]) -> None:
    """A wave of due entries is served, and renewed some at a time, not by a thread for each."""
    desk = make()
    questions = [f"what of {number} apples?" for number in range(60)]
    for question in questions:
        desk.ask(question)
    desk.clock.advance(61)
    asks = [desk.to_ask(question) for question in questions]
    opened, asked = threading.Event(), [0]

    async def slowly() -> dict[str, str]:
        asked[0] += 1
        if desk.colour == "sync":
            assert opened.wait(10)
        else:
            await asyncio.Event().wait()
        return {}

    async def tasks() -> int:
        for ask in asks:
            await desk.accel.retrieval.aread_through(ask, slowly, Documents())
        return len(asyncio.all_tasks()) - 1

    if desk.colour == "sync":
        for ask in asks:
            assert desk.accel.retrieval.read_through(ask, slowly, Documents())
        begun = sum(thread.name == "accel-spawned" for thread in threading.enumerate())
        opened.set()
        desk.settle()
    else:
        begun = asyncio.run(tasks())
    assert begun == 32
    assert {hit.stale for hit in desk.seen.of(events.RetrievalHit)} == {"renewing"}
    # Those that ended, or were cancelled, left room for others.
    desk.library.documents["d1"] = "apples are yellow"
    desk.ask(questions[-1])
    desk.settle()
    assert desk.ask(questions[-1]) == {"d1": "apples are yellow"}


@pytest.mark.parametrize("single_flight", [True, False])
def test_one_renewal_at_a_time(make: Callable[..., Desk], single_flight: bool) -> None:
    """Whoever asks while an entry is renewed is served, also where nobody waits for others."""
    desk = make(config={"cache": {"single_flight": {"enabled": single_flight}}})
    desk.ask("what about apples?")
    desk.clock.advance(61)
    ask, opened, asked = desk.to_ask("what about apples?"), threading.Event(), []

    async def slowly() -> dict[str, str]:
        asked.append(1)
        if desk.colour == "sync":
            assert opened.wait(10)
        else:
            await asyncio.sleep(0)
        return {"d1": "apples are red"}

    async def tasks() -> None:
        through = desk.accel.retrieval.aread_through
        await asyncio.gather(*(through(ask, slowly, Documents()) for _ in range(20)))
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    if desk.colour == "sync":
        for _ in range(20):
            desk.accel.retrieval.read_through(ask, slowly, Documents())
        opened.set()
        desk.settle()
    else:
        asyncio.run(tasks())
    assert len(asked) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("single_flight", [True, False])
def test_a_child_forked_amid_a_claim_goes_on(single_flight: bool) -> None:
    """No lock of the parent's flights is waited for in the child."""
    with ExitStack() as close:
        desk = Desk("sync", close, config={"cache": {"single_flight": {"enabled": single_flight}}})
        held, done = threading.Event(), threading.Event()

        def hold() -> None:
            with desk.accel.retrieval._flights._lock:
                held.set()
                done.wait(10)

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait(10)
        child = os.fork()
        if not child:
            signal.alarm(10)
            os._exit(desk.ask("what about apples?") != {"d1": "apples are red"})
        done.set()
        holder.join()
        assert os.waitpid(child, 0)[1] == 0


class Slow(SqliteStore):
    """A store whose writer is held up, and that may fail when it goes on."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.begun, self.opened, self.fails = threading.Event(), threading.Event(), False
        self.recorded = 0

    def add_change(self, corpus: bytes, documents: Any) -> None:
        self.recorded += 1
        self.begun.set()
        assert self.opened.wait(10)
        if self.fails:
            raise StoreError("sqlite", "answer", "locked")
        super().add_change(corpus, documents)


@pytest.mark.parametrize("owed", [True, False])
def test_nobody_waits_for_a_change_that_another_records(
    make: Callable[..., Desk], tmp_path: Path, owed: bool
) -> None:
    """Where the writer is held up, one caller waits for it, and the change is recorded once."""
    store = Slow(tmp_path / "cache.db")
    desk = make(store=store)
    desk.name = "handbook"
    if owed:
        store.fails = True
        store.opened.set()
        with pytest.raises(StoreError):
            desk.change()
        store.fails, store.recorded = False, 0
        store.opened.clear()
        store.begun.clear()
    with ThreadPoolExecutor(1) as elsewhere:
        waiting = (
            elsewhere.submit(desk.ask, "what of pears") if owed else elsewhere.submit(desk.change)
        )
        assert store.begun.wait(10)
        for _ in range(3):
            assert desk.ask("what about apples?") == {"d1": "apples are red"}
        store.opened.set()
        waiting.result()
    assert store.recorded == 1
    desk.ask("what about apples?")
    desk.ask("what about apples?")
    assert desk.times() == (5 if owed else 2)


def test_corpora_that_come_and_go_are_forgotten(
    make: Callable[..., Desk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of changes is bounded, and what was changed stays changed when it falls out."""
    monkeypatch.setattr("accel_core.corpora._REMEMBERED", 3)
    desk = make(store=SqliteStore(tmp_path / "cache.db"))
    desk.ask("what about apples?")
    desk.library.documents["d1"] = "apples are yellow"
    desk.change(["d1"])
    old = desk.library
    for number in range(10):
        desk.library = Library()
        desk.change()
        desk.name = f"handbook {number}"
        desk.ask("what about apples?", version=desk.name)
        desk.name = None
    corpora = desk.accel._built.corpora
    assert max(len(corpora._own), len(corpora._seen)) == 3
    desk.library = old
    assert desk.ask("what about apples?") == {"d1": "apples are yellow"}


def test_where_no_writer_can_be_started_the_answer_is_returned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was retrieved reaches its caller, the loss is an event, and flushing does not wait."""
    with ExitStack() as close:
        desk = Desk("sync", close, store=SqliteStore(tmp_path / "cache.db"))
        desk.name = "handbook"

        def none_left(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", none_left)
            assert desk.ask("what about apples?") == {"d1": "apples are red"}
        assert desk.seen.of(events.WriteDropped)
        assert desk.accel._built.tiers._background._writer.flush(1.0)
        desk.ask("what about pears?")
        assert desk.accel._built.tiers._background._writer.flush(10.0)


def test_what_leaves_memory_leaves_the_index(make: Callable[..., Desk], tmp_path: Path) -> None:
    """Also where there is a shared store, if the entry is not in it."""
    few = {"cache": {"memory": {"max_entries": 4}}}
    desk = make(config=few, store=SqliteStore(tmp_path / "cache.db"))
    for number in range(20):
        desk.ask("what about apples?", version=str(number))
        desk.accel.flush()
    assert len(desk.accel._built.tiers._near._memory) == 4
    assert len(desk.accel._built.tiers._near._index) <= 4
