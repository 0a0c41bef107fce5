"""Watching objects in place, of no framework."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from accel_core import events as ev
from accel_core.accel import Accel
from accel_core.errors import UnsupportedError
from accel_core.testing.doubles import RecordingObserver
from accel_core.testing.encoders import HashEncoder
from accel_core.watching import Kind, serve, unwatched, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KIND = Kind(
    changes=lambda _: ("put", "aput"),
    removed=lambda _, args, __: frozenset(args[:1]),
    makers=lambda _: ("reader",),
)


class Shelf:
    """Documents; what comes after an id is done while it is put."""

    def put(self, name: str, *within: Callable[[], Any]) -> None:
        for work in within:
            work()

    async def aput(self, name: str, *within: Callable[[], Any]) -> None:
        for work in within:
            await work()

    def reader(self) -> list[str]:
        return ["read"]


class Sealed(Shelf):
    def __init_subclass__(cls) -> None:
        raise TypeError("sealed")


class Slotted:
    """Its objects have neither another class nor weak references."""

    __slots__ = ()
    put = aput = reader = Shelf.put


@pytest.fixture
def observed() -> RecordingObserver:
    return RecordingObserver()


@pytest.fixture
def accel(observed: RecordingObserver) -> Iterator[Accel]:
    with Accel(encoder=HashEncoder(), observers=[observed]) as accel:
        yield accel


def watched(accel: Accel, corpus: str | None = None) -> Shelf:
    shelf = Shelf()
    watch(shelf, accel, corpus, KIND)
    return shelf


def told(observed: RecordingObserver) -> list[int | None]:
    return [event.documents for event in observed.of(ev.CorpusChanged)]


@pytest.mark.parametrize(("corpus", "changes"), [("shelves", [2]), (None, [1, 1])])
async def test_changes_within_one_another(
    accel: Accel, observed: RecordingObserver, *, corpus: str | None, changes: list[int]
) -> None:
    """What is changed within a change is told with it: of each corpus once."""
    outer, inner = watched(accel, corpus), watched(accel, corpus)
    before: list[list[int | None]] = []
    outer.put("a", lambda: inner.put("b"), lambda: before.append(told(observed)))
    assert before == [[]]
    assert told(observed) == changes
    observed.events.clear()
    await outer.aput("a", lambda: inner.aput("b"))
    assert told(observed) == changes


async def test_work_that_goes_on(accel: Accel, observed: RecordingObserver) -> None:
    """A task that a change leaves behind tells its own changes, and keeps nothing of that one."""
    outer, inner, go = watched(accel), watched(accel), asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    async def work() -> None:
        for name in "bc":
            await go.wait()
            go.clear()
            inner.put(name)

    async def leave() -> None:
        tasks.append(asyncio.create_task(work()))

    await outer.aput("a", leave)
    assert told(observed) == [1]
    gone = weakref.ref(outer)
    del outer
    gc.collect()
    assert gone() is None
    for count in (2, 3):
        go.set()
        await asyncio.sleep(0)
        assert told(observed) == [1] * count
    await asyncio.gather(*tasks)


def test_makers(accel: Accel) -> None:
    """What an object makes is accelerated where it serves, and is what it was where it does not."""
    shelf = watched(accel)
    assert shelf.reader() == ["read"]
    serve(shelf, lambda made: [*made, "fast"])
    assert shelf.reader() == ["read", "fast"]
    assert Shelf().reader() == ["read"]
    assert unwatched(type(shelf)) is Shelf


@pytest.mark.parametrize("kind", [Sealed, Slotted])
def test_that_cannot_be_watched(accel: Accel, kind: type) -> None:
    """It is refused, unless its corpus has a name; it never serves, named or not."""
    it = kind()
    with pytest.raises(UnsupportedError, match=f"{kind.__name__} cannot be watched.*by name"):
        watch(it, accel, None, KIND)
    watch(it, accel, "shelves", KIND)
    with pytest.raises(UnsupportedError, match=f"{kind.__name__} cannot be watched, and makes"):
        serve(it, list)
