"""What was removed stays removed, whoever was looking at it at that moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.store.sqlite import SqliteStore
from tests.core.test_retrieval_cache import Desk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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

    def fetch(self, key: bytes) -> Entry | None:
        found = super().fetch(key)
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
    desk.accel._built.tiers._memory.close()
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
