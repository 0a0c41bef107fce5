"""What was removed stays removed, whoever was looking at it at that moment."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.policy.admission import Answer
from accel_core.policy.identity import Prompt, Turn
from accel_core.semantic_cache import Hit, Miss
from accel_core.store.sqlite import SqliteStore
from tests.core.retrieval_cache.rig import Desk

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from accel_core.ports import Changes, Entry

WAIT_S = 10


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Desk]]:
    with ExitStack() as close:
        yield lambda **options: Desk(request.param, close, **options)


class Held(SqliteStore):
    """A store whose answers can be held up when they have been read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.holds, self.read, self.opened = "", threading.Event(), threading.Event()

    def fetch_many(self, keys: Collection[bytes]) -> dict[bytes, Entry]:
        found = super().fetch_many(keys)
        self._hold("fetch")
        return found

    def changes(self, since: int, limit: int) -> Changes:
        found = super().changes(since, limit)
        self._hold("changes")
        return found

    def _hold(self, what: str) -> None:
        if self.holds == what:
            self.holds = ""
            self.read.set()
            assert self.opened.wait(WAIT_S)


def shelved(make: Callable[..., Desk], store: Any) -> Desk:
    """Return a desk whose one answer is in the shared store and no longer in memory."""
    desk = make(store=store)
    desk.name = "handbook"
    desk.ask("what about apples?")
    desk.accel.flush()
    desk.library.documents["d1"] = "apples are yellow"
    desk.accel._built.tiers._near._memory.close()
    return desk


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "another-process"])
def test_what_is_removed_while_it_is_fetched_is_not_kept(
    make: Callable[..., Desk], tmp_path: Path, elsewhere: bool
) -> None:
    """An entry on its way from the shared store to memory is gone when its removal returned."""
    store = Held(tmp_path / "cache.db")
    desk = shelved(make, store)
    store.holds = "fetch"
    with ThreadPoolExecutor(1) as thread:
        before = thread.submit(desk.ask, "what about apples?")
        assert store.read.wait(WAIT_S)
        if elsewhere:
            other = make(store=SqliteStore(tmp_path / "cache.db"))
            other.accel.invalidate()
            other.ask("what about pears")
            desk.ask("what about pears")
        else:
            desk.accel.invalidate()
        store.opened.set()
        before.result()
    assert desk.ask("what about apples?") == {"d1": "apples are yellow"}


def test_who_asks_after_a_removal_is_not_given_what_another_fetched_before(
    make: Callable[..., Desk], tmp_path: Path
) -> None:
    """Nor by waiting for whoever began to fetch it before the removal."""
    store = Held(tmp_path / "cache.db")
    desk = shelved(make, store)
    store.holds = "fetch"
    with ThreadPoolExecutor(2) as threads:
        before = threads.submit(desk.ask, "what about apples?")
        assert store.read.wait(WAIT_S)
        desk.accel.invalidate()
        flights = desk.accel.retrieval._flights
        (flight,) = flights._flights.values()
        after = threads.submit(desk.ask, "what about apples?")
        while not flight._followers:
            pass
        store.opened.set()
        assert before.result() == {"d1": "apples are red"}
        assert after.result() == {"d1": "apples are yellow"}


def test_nor_is_who_asks_a_model(make: Callable[..., Desk], tmp_path: Path) -> None:
    """The same holds for answers."""
    store = Held(tmp_path / "cache.db")
    desk = make(store=store)
    accel = desk.accel

    def look() -> Hit | Miss:
        if desk.colour == "sync":
            return accel.cache.lookup(request)
        return asyncio.run(accel.cache.alookup(request))

    request = accel.identify(
        Prompt("test", "m", (Turn("user", ("what about apples?",)),), None, "ns")
    )
    assert request is not None
    accel.cache.store(request, Answer(payload=b"{}", text="red"))
    accel.flush()
    accel._built.tiers._near._memory.close()
    store.holds = "fetch"
    with ThreadPoolExecutor(2) as threads:
        before = threads.submit(look)
        assert store.read.wait(WAIT_S)
        accel.invalidate()
        flight = accel.cache._flights.current(request.key)
        after = threads.submit(look)
        while not flight._followers:
            pass
        store.opened.set()
        assert isinstance(before.result(), Hit)
        assert isinstance(after.result(), Miss)


def test_what_is_stored_while_an_older_one_is_fetched_stays(
    make: Callable[..., Desk], tmp_path: Path
) -> None:
    """A refreshed answer is not displaced by the one that another caller was reading."""
    store = Held(tmp_path / "cache.db")
    accel = (desk := make(store=store)).accel

    def look() -> Hit | Miss:
        if desk.colour == "sync":
            return accel.cache.lookup(request)
        return asyncio.run(accel.cache.alookup(request))

    request = accel.identify(
        Prompt("test", "m", (Turn("user", ("what about apples?",)),), None, "ns")
    )
    assert request is not None
    accel.cache.store(request, Answer(payload=b"old", text="red"))
    accel.flush()
    accel._built.tiers._near._memory.close()
    store.holds = "fetch"
    with ThreadPoolExecutor(1) as thread:
        before = thread.submit(look)
        assert store.read.wait(WAIT_S)
        desk.clock.advance(1.0)
        accel.cache.store(request, Answer(payload=b"new", text="yellow"))
        store.opened.set()
        before.result()
    accel.flush()
    found = look()
    assert isinstance(found, Hit)
    assert found.entry.payload == b"new"


class Crowded:
    """A lock that tells when somebody has to wait for it."""

    def __init__(self) -> None:
        self._lock, self.awaited = threading.Lock(), threading.Event()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self.awaited.set()
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def locked(self) -> bool:
        return self._lock.locked()


def test_a_removal_that_another_caller_takes_over_is_waited_for(
    make: Callable[..., Desk], tmp_path: Path
) -> None:
    """Who looks while the changes of others are read serves nothing that they removed."""
    store = Held(tmp_path / "cache.db")
    desk = make(store=store)
    desk.name = "handbook"
    desk.ask("what about apples?")
    desk.accel.flush()
    desk.ask("what about apples?")
    turn = desk.accel._built.tiers._following._turn = Crowded()
    desk.library.documents["d1"] = "apples are yellow"
    make(store=SqliteStore(tmp_path / "cache.db")).accel.invalidate()
    store.holds = "changes"
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(desk.ask, "what about pears?")
        assert store.read.wait(WAIT_S)
        second = threads.submit(desk.ask, "what about apples?")
        while not (turn.awaited.is_set() or second.done()):
            pass
        store.opened.set()
        first.result()
        assert second.result() == {"d1": "apples are yellow"}
