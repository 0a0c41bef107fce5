"""Retrieval cached for as long as the documents are the same, in both colours."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from accel_core import events
from accel_core.retrieval import Gap, Made, Recalled
from tests.core.retrieval_cache.rig import Desk, Documents

if TYPE_CHECKING:
    from collections.abc import Callable


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
