"""A store that is away: left alone, owed what it should have, told when it is back."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.drive import blocking
from accel_core.drive.outbox import Outbox
from accel_core.drive.remote import Remote
from accel_core.drive.writer import Writer
from accel_core.errors import StoreError, StoreUnavailableError
from accel_core.events import BackendFailed, WriteDropped
from accel_core.policy.admission import Answer
from accel_core.ports import Selector
from accel_core.semantic_cache import Hit, Miss
from accel_core.store.memory import MemoryStore
from accel_core.testing.stores import StoreContract, digest
from tests.core.support import Rig

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from accel_core.ports import Entry

entry = StoreContract().make_entry
EVERYTHING = Selector()
PLAIN = {"min_similarity": 0.9}
REST_S = 1.0
WAIT_S = 10.0


class Failing(MemoryStore):
    """A store whose reads and writes fail on demand, and which knows what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.reading: Exception | None = None
        self.writing: Exception | None = None
        self.asked: list[str] = []
        self.closed = False

    def fetch(self, key: bytes) -> Entry | None:
        self._asked("fetch", self.reading)
        return super().fetch(key)

    def select(self, selector: Selector) -> list[bytes]:
        self._asked("select", self.reading)
        return super().select(selector)

    def save(self, entries: Sequence[Entry]) -> None:
        self._asked("save", self.writing)
        super().save(entries)

    def remove(self, keys: Collection[bytes]) -> int:
        self._asked("remove", self.writing)
        return super().remove(keys)

    def discard(self, entries: Sequence[Entry]) -> None:
        self._asked("remove", self.writing)
        super().discard(entries)

    def close(self) -> None:
        self.closed = True

    def away(self, error: Exception | None) -> None:
        self.reading = self.writing = error

    def _asked(self, operation: str, error: Exception | None) -> None:
        self.asked.append(operation)
        if error is not None:
            raise error


AWAY = StoreUnavailableError("test", "reach", "it is away")


@pytest.fixture
def far() -> Failing:
    return Failing()


@pytest.fixture
def rig(make: Any, far: Failing) -> Rig:
    made: Rig = make(semantic=PLAIN, store=far)
    return made


def remote_of(far: Failing, wake: Callable[[], bool]) -> Remote:
    return Remote(
        far,
        wake=wake,
        capacity=10,
        on_drop=lambda _: None,
        on_error=lambda *_: None,
        mono_now=lambda: 0.0,
    )


def back(rig: Rig, far: Failing) -> None:
    """Let the store work again, and what is done in the background be done."""
    far.away(None)
    rig.clock.advance(REST_S)
    rig.accel._built.tiers.later(lambda: None)


def test_one_call_finds_out(rig: Rig, far: Failing) -> None:
    """A store that fails is asked once, and not again by any call until it was tried."""
    far.away(AWAY)
    for number in range(20):
        assert isinstance(rig.accel.cache.lookup(rig.request(f"what is thing{number}")), Miss)
    assert far.asked.count("fetch") == 1
    assert len(rig.seen.of(BackendFailed)) == 1


def test_calls_do_not_try_it_again(rig: Rig, far: Failing) -> None:
    """However long it rests, a lookup asks nothing of a store that is away."""
    far.away(AWAY)
    rig.ask("what is one thing", "one")
    far.asked.clear()
    for number in range(20):
        rig.clock.advance(REST_S)
        assert isinstance(rig.accel.cache.lookup(rig.request(f"what is thing{number}")), Miss)
    # Nothing was queued, so that the background had no reason to look at the clock.
    assert far.asked == []


def test_what_was_stored_meanwhile_is_delivered(rig: Rig, far: Failing) -> None:
    """Answers given while the store was away are there when it is back, in order."""
    far.away(AWAY)
    questions = [f"what is thing{number}" for number in range(100)]
    for question in questions:
        rig.ask(question, "some thing")
    assert not rig.accel.flush()
    back(rig, far)
    assert rig.accel.flush()
    assert len(far.select(EVERYTHING)) == len(questions)


def test_a_call_that_waited_for_a_thread_asks_no_more(far: Failing) -> None:
    """Who comes to its turn when the store has failed another goes on without it."""
    remote = remote_of(far, wake=lambda: True)

    class Queue:
        async def call(self, function: Any, *args: Any) -> Any:
            remote.failed("fetch", AWAY)
            return function(*args)

    assert blocking.run(remote.ask(Queue(), "fetch", far.fetch, digest("one"))) is None  # type: ignore[arg-type]
    assert far.asked == []


def test_without_a_background_everybody_tries(far: Failing) -> None:
    """Where no thread can be had that would try it again, a store that failed is asked on."""
    remote = remote_of(far, wake=lambda: False)
    remote.failed("fetch", AWAY)
    assert not remote.rests


def test_work_that_was_queued_later_finds_what_was_stored(rig: Rig, far: Failing) -> None:
    """What is carried out in the background comes after the saves that were queued before it."""
    found = []
    request = rig.request("what is one thing")
    rig.accel.cache.store(request, Answer(b'"one"', "one"))
    rig.accel._built.tiers.later(lambda: found.append(far.select(EVERYTHING)))
    rig.accel.flush()
    assert found == [[request.key]]


def test_a_full_store_is_read(rig: Rig, far: Failing) -> None:
    """A store that takes nothing is still asked, and what it should have is kept for it."""
    rig.ask("what is one thing", "one")
    far.writing = AWAY
    rig.ask("what is another thing", "another")
    near = rig.accel._built.tiers._near
    near.remove(near.select(EVERYTHING))
    assert isinstance(rig.ask("what is one thing", "asked again"), Hit)
    assert not rig.accel.flush()
    back(rig, far)
    assert rig.accel.flush()
    assert len(far.select(EVERYTHING)) == 2


def test_what_is_removed_is_not_delivered(rig: Rig, far: Failing) -> None:
    """An entry that is invalidated while the store does not take it is never stored there."""
    far.writing = AWAY
    rig.ask("what is one thing", "one")
    with pytest.raises(StoreUnavailableError):
        rig.accel.invalidate()
    far.writing = None
    assert len(rig.accel.invalidate()) <= 1
    assert rig.accel.flush()
    assert far.select(EVERYTHING) == []
    assert isinstance(rig.ask("what is one thing", "asked again"), Miss)


def test_what_is_refused_for_good_is_let_go(rig: Rig, far: Failing) -> None:
    """What a store will never take is counted, denies the next flush, and holds up nothing."""
    far.writing = StoreError("test", "save", "no such thing")
    request, cache = rig.request("what is one thing"), rig.accel.cache
    found = cache.lookup(request)
    assert isinstance(found, Miss)
    cache.store(request, Answer(b'"one"', "one"), flight=found.flight)
    assert not rig.accel.flush()
    assert [event.operation for event in rig.seen.of(BackendFailed)] == ["save"]
    assert [event.writes for event in rig.seen.of(WriteDropped)] == [1]
    far.writing = None
    rig.ask("what is another thing", "another")
    assert rig.accel.flush()
    assert len(far.select(EVERYTHING)) == 1


def test_what_is_owed_at_the_end_is_said(far: Failing) -> None:
    """Closing tries once more; what the store still does not take is lost, and counted."""
    with ExitStack() as close:
        rig = Rig(colour="sync", close=close, semantic=PLAIN, store=far)
        far.away(AWAY)
        for number in range(3):
            rig.ask(f"what is thing{number}", "some thing")
        far.asked.clear()
        rig.accel.close()
        assert "save" in far.asked
        assert [event.writes for event in rig.seen.of(WriteDropped)] == [3]
        assert far.closed


def test_closing_delivers(far: Failing) -> None:
    """What is owed is delivered at the end where the store is back, whether it rests or not."""
    with ExitStack() as close:
        rig = Rig(colour="sync", close=close, semantic=PLAIN, store=far)
        far.away(AWAY)
        rig.ask("what is one thing", "one")
        far.away(None)
        rig.accel.close()
        assert len(far.select(EVERYTHING)) == 1
        assert rig.seen.of(WriteDropped) == []


# --- the outbox alone


def outbox_to(store: Failing, capacity: int = 1_000) -> tuple[Outbox, list[int], list[str]]:
    dropped: list[int] = []
    failed: list[str] = []
    outbox = Outbox(
        store,
        capacity=capacity,
        on_drop=dropped.append,
        on_error=lambda operation, _: failed.append(operation),
        mono_now=lambda: 0.0,
    )
    return outbox, dropped, failed


@given(
    st.lists(st.tuples(st.sampled_from(["save", "remove", "away", "deliver"]), st.integers(0, 5)))
)
def test_order_is_kept(steps: list[tuple[str, int]]) -> None:
    """Whenever the store was away, it ends with what it would have had otherwise."""
    far, expected = Failing(), MemoryStore()
    outbox, dropped, _ = outbox_to(far)
    for step, number in steps:
        if step == "save":
            outbox.save([entry(number)])
            expected.save([entry(number)])
        elif step == "remove":
            outbox.discard([entry(number)])
            expected.discard([entry(number)])
        elif step == "away":
            far.away(AWAY if number % 2 else None)
        else:
            outbox.deliver(at_once=True)
    far.away(None)
    assert outbox.deliver(at_once=True)
    assert set(far.select(EVERYTHING)) == set(expected.select(EVERYTHING))
    assert dropped == []


def test_the_oldest_leave() -> None:
    """Of more than there is room for the oldest are let go, and counted."""
    far = Failing()
    outbox, dropped, _ = outbox_to(far, capacity=10)
    outbox.save([entry(number) for number in range(25)])
    assert sum(dropped) == 15
    assert outbox.deliver()
    assert set(far.select(EVERYTHING)) == {digest(number) for number in range(15, 25)}


def test_a_page_on_its_way_is_waited_for() -> None:
    """Who makes the outbox forget an entry that is on its way returns when it has arrived."""
    arriving, arrive = threading.Event(), threading.Event()

    class Slow(Failing):
        def save(self, entries: Sequence[Entry]) -> None:
            arriving.set()
            arrive.wait()
            super().save(entries)

    far = Slow()
    outbox, _, _ = outbox_to(far)
    outbox.save([entry()])
    sending = threading.Thread(target=outbox.deliver)
    sending.start()
    arriving.wait()
    forgetting = threading.Thread(target=outbox.forget, args=([digest("one")],))
    forgetting.start()
    assert forgetting.is_alive()
    arrive.set()
    forgetting.join()
    assert far.select(EVERYTHING) == [digest("one")]
    sending.join()
    assert not outbox


def test_what_is_forgotten_as_it_is_looked_for_is_not_sent() -> None:
    """Who delivers finds nothing to do, and does not fail."""
    far = Failing()
    forgets = iter([True])

    def mono_now() -> float:
        if next(forgets, False):
            outbox.forget([digest("one")])
        return 0.0

    outbox = Outbox(far, capacity=10, on_drop=print, on_error=lambda *_: None, mono_now=mono_now)
    outbox.save([entry()])
    assert outbox.deliver()
    assert far.asked == []


def test_what_is_delivered_while_it_is_selected_is_found() -> None:
    """An entry is on its way or there, never missed between the two."""

    class Delivered(Failing):
        def select(self, selector: Selector) -> list[bytes]:
            found = super().select(selector)
            remote.outbox.deliver()
            return found

    remote = remote_of(Delivered(), lambda: True)
    remote.outbox.save([entry()])
    assert blocking.run(remote.select(blocking.BlockingIo(), EVERYTHING)) == {digest("one")}


# --- the writer


def test_the_writer_calls_again_when_asked(far: Failing) -> None:
    """Work that wants to be called again is, with nothing, though nothing was queued."""
    batches: list[list[int]] = []
    again = threading.Event()

    def work(batch: list[int]) -> float | None:
        batches.append(batch)
        if len(batches) == 3:
            again.set()
            return None
        return 0.001

    dropped: list[int] = []
    writer = Writer(work, capacity=10, on_drop=dropped.append, on_error=lambda _: None)
    assert writer.submit(1)
    assert again.wait(10.0)
    assert writer.close(10.0)
    assert batches == [[1], [], []]
    assert not writer.submit(2)
    assert dropped == [1]


def test_closing_takes_no_longer_than_it_may(rig: Rig, far: Failing) -> None:
    """What each step waits for is taken off what the next one may wait."""
    far.away(AWAY)
    rig.ask("what is one thing", "one")
    tiers = rig.accel._built.tiers
    writer = tiers._background._writer
    flush, waits = writer.flush, []

    def waiting(timeout_s: float | None = None) -> bool:
        waits.append(timeout_s)
        rig.clock.advance(3.0)
        return flush(WAIT_S)

    writer.flush = waiting  # type: ignore[method-assign]
    tiers.close(4.0)
    assert waits == [4.0, 1.0, 0.0]
