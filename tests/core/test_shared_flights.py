"""Single flight among processes as the caches have it, over one Redis, in both colours.

Each rig is a process as far as the server can tell. Nobody here may wait for a lease to run out:
clocks stand still, so such a wait would meet the time limit of its test.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from accel_core import events
from accel_core.drive import blocking
from accel_core.drive.blocking import BlockingIo
from accel_core.errors import StoreUnavailableError
from accel_core.policy.admission import Answer
from accel_core.policy.controls import DEFAULT, Controls
from accel_core.semantic_cache import Hit, Miss
from tests.core.retrieval_cache.rig import Desk, Library
from tests.core.support import Rig
from tests.core.test_redis_shared import DEADLINE_S, QUESTION, SLACK_S, joined
from tests.redis_server import RedisServer
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(30)

WAIT_S = 10
ANSWER = Answer(b'"in the garage"', "in the garage")
CUT_OFF = Answer(b'"in"', "in", finish_reasons=("length",))


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    with RedisServer(BUILDS[1]) as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    """One that holds nothing."""
    with running.client() as client:
        client.flushall()
    return running


@pytest.fixture
def processes(make: Any, server: RedisServer) -> list[Rig]:
    return [joined(make, server.url) for _ in range(3)]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as threads:
        yield threads


def look(rig: Rig, text: str = QUESTION) -> Hit | Miss:
    request = rig.request(text)
    if rig.colour == "sync":
        return rig.accel.cache.lookup(request)

    async def asked() -> Hit | Miss:
        # It is who leads, also after it has ended: no other one may come to be at its address.
        _asking.append(asyncio.current_task())
        return await rig.accel.cache.alookup(request)

    return asyncio.run(asked())


_asking: list[Any] = []


def lead(rig: Rig, text: str = QUESTION) -> Miss:
    """Look up what nobody asks for, and return the miss that leads everywhere."""
    found = look(rig, text)
    assert isinstance(found, Miss)
    assert found.flight is not None
    assert found.flight.lease is not None
    return found


def answer(rig: Rig, led: Miss, answer: Answer = ANSWER, text: str = QUESTION) -> None:
    rig.accel.cache.store(rig.request(text), answer, DEFAULT, led.flight)


def watched(accel: Any) -> threading.Semaphore:
    """Return what is released each time that this process has to wait for another."""
    store, waits = accel._built.tiers._far, threading.Semaphore(0)
    claim = store.claim

    def watching(*args: Any) -> Any:
        claimed = claim(*args)
        if isinstance(claimed, Future):
            waits.release()
        return claimed

    store.claim = watching
    return waits


def follow(threads: ThreadPoolExecutor, *rigs: Rig) -> list[Future[Hit | Miss]]:
    """Look up in each process, and return when all of them wait for another."""
    waits = [watched(rig.accel) for rig in rigs]
    asked = [threads.submit(look, rig) for rig in rigs]
    assert all(each.acquire(timeout=WAIT_S) for each in waits)
    return asked


def test_another_process_waits_and_is_served(
    processes: list[Rig], threads: ThreadPoolExecutor
) -> None:
    """Who asks while another process makes the answer is given that, and asks nobody."""
    one, *others = processes
    led = lead(one)
    asked = follow(threads, *others)
    followers = [threads.submit(look, others[0]) for _ in range(4)]
    answer(one, led)
    found = [each.result(WAIT_S) for each in asked + followers]
    assert all(isinstance(hit, Hit) and hit.entry.payload == ANSWER.payload for hit in found)
    assert all(isinstance(hit, Hit) and hit.shared for hit in found[:2])
    assert [len(rig.seen.of(events.CacheMiss)) for rig in processes] == [1, 0, 0]
    assert all(rig.seen.of(events.BackendFailed) == [] for rig in processes)


def refreshed(rig: Rig) -> Miss:
    """Look up past what is stored: nobody leads."""
    request, wishes = rig.request(QUESTION), Controls(refresh=True)
    if rig.colour == "sync":
        found = rig.accel.cache.lookup(request, wishes)
    else:
        found = asyncio.run(rig.accel.cache.alookup(request, wishes))
    assert isinstance(found, Miss)
    return found


@pytest.mark.parametrize("before", [0, 1, 70], ids=lambda count: f"{count} before")
def test_without_a_lease_what_was_invalidated_is_not_stored(
    processes: list[Rig], before: int
) -> None:
    """An answer that nobody led for is refused, too, where another process invalidated it since."""
    one, other, third = processes
    for _ in range(before):
        other.accel.invalidate(tag="another")
    look(one, "what is it called")
    led = refreshed(one)
    other.accel.invalidate(tag="another")
    answer(one, led)
    one.accel.flush()
    assert isinstance(look(third), Hit)
    led = refreshed(one)
    other.accel.invalidate()
    answer(one, led)
    one.accel.flush()
    assert isinstance(look(third), Miss)


def test_a_failed_leader_is_replaced_by_one(
    processes: list[Rig], threads: ThreadPoolExecutor
) -> None:
    """When the one that asks fails another process asks, and the third is given its answer."""
    one, *others = processes
    led = lead(one)
    asked = follow(threads, *others)
    one.accel.cache.abandon(led.flight)
    wait(asked, WAIT_S, FIRST_COMPLETED)
    first = next(each for each in asked if each.done())
    found = first.result()
    assert isinstance(found, Miss)
    answer(others[asked.index(first)], found)
    last = next(each for each in asked if each is not first).result(WAIT_S)
    assert isinstance(last, Hit)
    assert sum(len(rig.seen.of(events.CacheMiss)) for rig in processes) == 2


@pytest.mark.parametrize("how", ["refused", "invalidated"])
def test_a_declined_answer_keeps_nobody_waiting(
    processes: list[Rig], threads: ThreadPoolExecutor, how: str
) -> None:
    """Where the answer may not be shared all the others ask for themselves at once."""
    one, *others = processes
    led = lead(one)
    asked = follow(threads, *others)
    if how == "invalidated":
        one.accel.invalidate()
    answer(one, led, CUT_OFF if how == "refused" else ANSWER)
    found = [each.result(WAIT_S) for each in asked]
    assert [miss.reason for miss in found if isinstance(miss, Miss)] == ["declined"] * 2


def test_invalidated_by_another_process_meanwhile(
    processes: list[Rig], threads: ThreadPoolExecutor
) -> None:
    """An answer asked for before another process invalidated is neither stored nor served on."""
    one, two, three = processes
    led = lead(one)
    asked = follow(threads, two)
    three.accel.invalidate()
    answer(one, led)
    found = asked[0].result(WAIT_S)
    assert isinstance(found, Miss)
    assert found.reason == "declined"
    one.accel.flush()
    one.accel.cache.abandon(lead(one).flight)
    lead(three)


def joins(rig: Rig) -> threading.Semaphore:
    """Return what is released each time that somebody in this process follows another."""
    joined = threading.Semaphore(0)
    for io in rig.accel._built.colours:
        join: Any = io.join

        def joining(*args: Any, join: Any = join) -> Any:
            joined.release()
            return join(*args)

        io.join = joining  # type: ignore[method-assign]
    return joined


@pytest.mark.parametrize("meant", [True, False], ids=["meant", "another"])
def test_who_asks_after_an_invalidation_follows_nobody_before(
    processes: list[Rig], threads: ThreadPoolExecutor, *, meant: bool
) -> None:
    """Begun after another process invalidated, a lookup is not given what was asked for before."""
    one, _, three = processes
    look(one, "what is it called")
    follows = joins(one)
    led = lead(one)
    three.accel.invalidate(tag=None if meant else "another")
    later = threads.submit(look, one)
    assert follows.acquire(timeout=WAIT_S)
    answer(one, led)
    found = later.result(WAIT_S)
    assert isinstance(found, Miss) is meant
    assert one.seen.of(events.CacheRefused) == [events.CacheRefused("invalidated")] * meant


def held_up(store: Any, method: str) -> tuple[threading.Event, threading.Event]:
    """Hold up whoever has called `method`; return what is set then, and what frees all."""
    function, inside, go = getattr(store, method), threading.Event(), threading.Event()

    def holding(*args: Any) -> Any:
        result = function(*args)
        inside.set()
        assert go.wait(WAIT_S)
        return result

    setattr(store, method, holding)
    return inside, go


def test_who_asks_after_an_invalidation_is_not_given_what_another_has_read(
    processes: list[Rig], threads: ThreadPoolExecutor
) -> None:
    """What a leader had read before it was invalidated is not handed to who asked after that."""
    one, two, three = processes
    answer(one, lead(one))
    one.accel.flush()
    look(two, "what is it called")
    follows = joins(two)
    inside, go = held_up(two.accel._built.tiers._far, "fetch_many")
    first = threads.submit(look, two)
    assert inside.wait(WAIT_S)
    three.accel.invalidate()
    later = threads.submit(look, two)
    assert follows.acquire(timeout=WAIT_S)
    go.set()
    assert isinstance(first.result(WAIT_S), Hit)
    assert isinstance(later.result(WAIT_S), Miss)


def test_what_is_invalidated_before_its_save_leaves_memory(
    processes: list[Rig], threads: ThreadPoolExecutor
) -> None:
    """An answer that waits to be stored is not served once another process has invalidated."""
    one, _, three = processes
    store: Any = one.accel._built.tiers._far
    save, go = store.save, threading.Event()

    def late(entries: Any) -> None:
        assert go.wait(WAIT_S)
        save(entries)

    store.save = late
    answer(one, lead(one))
    assert isinstance(look(one), Hit)
    three.accel.invalidate()
    asked = follow(threads, one)
    go.set()
    assert isinstance(asked[0].result(WAIT_S), Miss)


@pytest.mark.parametrize("away_s", [0.0, 10.0], ids=["a-moment", "longer-than-a-lease"])
def test_invalidated_while_its_save_failed(processes: list[Rig], away_s: float) -> None:
    """An answer whose save is tried again is refused as it would have been the first time."""
    one, _, three = processes
    led = lead(one)
    store: Any = one.accel._built.tiers._far
    publish = store._link.publish

    def away(operation: str, *_: Any) -> None:
        raise StoreUnavailableError("redis", operation, "it is away")

    store._link.publish = away
    answer(one, led)
    assert not one.accel._built.tiers.flush()
    three.accel.invalidate()
    one.clock.advance(away_s)
    look(one, "what wakes the thread of its leases")
    store._link.publish = publish
    one.accel.flush()
    lead(three)


def test_who_leads_one_never_waits_for_another(
    processes: list[Rig], threads: ThreadPoolExecutor
) -> None:
    """Two processes that ask for each other's question both ask the model."""
    one, two, _ = processes
    pairs = [(one, QUESTION, "who painted it"), (two, "who painted it", QUESTION)]
    both = threading.Barrier(2)

    def cross(rig: Rig, mine: str, yours: str) -> Miss | Hit:
        async def both_of_them() -> Miss | Hit:
            led = await rig.accel.cache.alookup(rig.request(mine))
            assert isinstance(led, Miss)
            both.wait(WAIT_S)
            return await rig.accel.cache.alookup(rig.request(yours))

        if rig.colour == "async":
            return asyncio.run(both_of_them())
        lead(rig, mine)
        both.wait(WAIT_S)
        return look(rig, yours)

    found = [threads.submit(cross, *pair) for pair in pairs]
    assert all(isinstance(each.result(WAIT_S), Miss) for each in found)


def test_a_sync_caller_on_a_loop_never_waits(processes: list[Rig]) -> None:
    """A synchronous call in a notebook asks for itself where another process leads."""
    one, two, _ = processes
    lead(one)

    async def cell() -> Hit | Miss:
        return two.accel.cache.lookup(two.request(QUESTION))

    assert isinstance(asyncio.run(cell()), Miss)


def test_a_cancelled_caller_frees_the_others(
    processes: list[Rig], threads: ThreadPoolExecutor
) -> None:
    """A task that is cancelled while it waits, and one that leads, keep nobody waiting."""
    one, two, three = processes
    led = lead(one)
    waits = watched(two.accel)

    async def scene() -> None:
        lookup = asyncio.create_task(two.accel.cache.alookup(two.request(QUESTION)))
        assert await asyncio.to_thread(waits.acquire, timeout=WAIT_S)
        lookup.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lookup

    asyncio.run(scene())
    asked = follow(threads, three)
    answer(one, led)
    assert isinstance(asked[0].result(WAIT_S), Hit)
    assert isinstance(look(two), Hit)


async def test_a_claim_nobody_waits_for_any_more(server: RedisServer) -> None:
    """A lease that is claimed for a task which was cancelled meanwhile is given back."""
    with ExitStack() as close:
        rigs = [
            await asyncio.to_thread(joined, lambda **o: Rig(colour="async", close=close, **o), url)
            for url in [server.url] * 2
        ]
        one, two = rigs
        store: Any = one.accel._built.tiers._far
        claim, claimed, go = store.claim, threading.Event(), threading.Event()

        def held(*args: Any) -> Any:
            found = claim(*args)
            claimed.set()
            assert go.wait(WAIT_S)
            return found

        store.claim = held
        lookup = asyncio.create_task(one.accel.cache.alookup(one.request(QUESTION)))
        assert await asyncio.to_thread(claimed.wait, WAIT_S)
        lookup.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lookup
        waits = watched(two.accel)
        other = asyncio.create_task(two.accel.cache.alookup(two.request(QUESTION)))
        assert await asyncio.to_thread(waits.acquire, timeout=WAIT_S)
        go.set()
        found = await asyncio.wait_for(other, WAIT_S)
        assert isinstance(found, Miss)
        assert found.flight is not None
        assert found.flight.lease is not None


def test_without_single_flight_nobody_waits(make: Any, server: RedisServer) -> None:
    """Where it is off, no process claims anything."""
    store = {"kind": "redis", "url": server.url}
    off = {"store": store, "single_flight": {"enabled": False}}
    one, two = (make(cache=off, semantic={"enabled": False}) for _ in range(2))
    for rig in (one, two):
        found = look(rig)
        assert isinstance(found, Miss)
        assert found.reason == "disabled"
        assert found.flight is not None
        assert found.flight.lease is None


def test_a_miss_that_leads_costs_what_a_hit_does(processes: list[Rig], server: RedisServer) -> None:
    """Where the server searches, nobody having the answer and leading for all is one command."""
    one, two, _ = processes
    for text in ("a first", "a second"):
        answer(one, lead(one, text), text=text)
    one.accel.flush()
    assert isinstance(look(two, "a second"), Hit)

    def scripts() -> int:
        with server.client() as client:
            return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])

    before = scripts()
    lead(two)
    assert scripts() - before == 1
    assert isinstance(look(two, "a first"), Hit)
    assert scripts() - before == 2


def test_who_finds_a_leader_with_the_search_waits_for_it(
    processes: list[Rig], threads: ThreadPoolExecutor
) -> None:
    """A search that meets another process's lease lines up with it, where its process listens."""
    one, two, _ = processes
    first, led = (lead(one, text) for text in (QUESTION, "who painted the bridge"))
    listening = follow(threads, two)
    claims = 0
    store: Any = two.accel._built.tiers._far
    claim = store.claim

    def counted(*args: Any) -> Any:
        nonlocal claims
        claims += 1
        return claim(*args)

    store.claim = counted
    find, lined_up = store.find, threading.Event()

    def found(*args: Any, **options: Any) -> Any:
        near = find(*args, **options)
        lined_up.set()
        return near

    store.find = found
    asked = threads.submit(look, two, "who painted the bridge")
    assert lined_up.wait(WAIT_S)
    answer(one, led, text="who painted the bridge")
    assert isinstance(asked.result(WAIT_S), Hit)
    assert claims == 1  # to fetch what was stored
    answer(one, first)
    assert isinstance(listening[0].result(WAIT_S), Hit)


# --- faults


def away(server: RedisServer) -> None:
    server.kill()


def frozen(server: RedisServer) -> None:
    server.freeze()


@pytest.fixture
def own() -> Iterator[RedisServer]:
    with RedisServer(BUILDS[1]) as server:
        yield server
        server.thaw()


@pytest.mark.parametrize("fault", [away, frozen])
def test_who_waits_goes_on_without_the_server(
    make: Any, own: RedisServer, threads: ThreadPoolExecutor, fault: Callable[[RedisServer], None]
) -> None:
    """A server that ends or falls silent frees who waits, within its beat, and not its lease."""
    one, two = (joined(make, own.url, lookup_timeout_s=DEADLINE_S * 4) for _ in range(2))
    lead(one)
    asked = follow(threads, two)
    began_s = time.monotonic()
    fault(own)
    assert isinstance(asked[0].result(WAIT_S), Miss)
    assert time.monotonic() - began_s < 2 * 0.5 + 3 * DEADLINE_S * 4 + SLACK_S


def test_an_expired_lease_is_taken_over(
    processes: list[Rig], threads: ThreadPoolExecutor, server: RedisServer
) -> None:
    """Where a leader's process is gone, one of those who wait leads as its lease ends."""
    one, two, _ = processes
    lead(one)
    asked = follow(threads, two)
    with server.client() as client:
        (lease,) = client.scan_iter("*:flight:*")
        client.delete(lease)
    two.clock.advance(4.0)
    found = asked[0].result(WAIT_S)
    assert isinstance(found, Miss)
    assert found.flight is not None
    assert found.flight.lease is not None


# --- retrieval


class Held(Library):
    """A library that says when it is asked, and is held up meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.hold = threading.Semaphore(0), threading.Event()

    def find(self, question: str) -> dict[str, str]:
        self.inside.release()
        return super().find(question)


@pytest.fixture(params=["sync", "async"])
def desks(request: pytest.FixtureRequest, server: RedisServer) -> Iterator[list[Desk]]:
    """Two processes that retrieve from one library, and name its documents."""
    store = {"kind": "redis", "url": server.url, "lookup_timeout_s": 5.0}
    config = {"cache": {"store": store}}
    with ExitStack() as close:
        library = Held()
        desks = [Desk(request.param, close, library=library, config=config) for _ in range(2)]
        for desk in desks:
            desk.name, desk.clock.now_s = "fruit", time.time()
        yield desks
        library.hold.set()


RED = {"d1": "apples are red"}


def held(desk: Desk) -> Held:
    assert isinstance(desk.library, Held)
    return desk.library


def test_one_process_retrieves(desks: list[Desk], threads: ThreadPoolExecutor) -> None:
    """What two processes want at once is retrieved once, and both get it."""
    one, two = desks
    waits = watched(two.accel)
    asked = [threads.submit(one.ask, "what is red")]
    assert held(one).inside.acquire(timeout=WAIT_S)
    asked.append(threads.submit(two.ask, "what is red"))
    assert waits.acquire(timeout=WAIT_S)
    held(one).hold.set()
    assert [each.result(WAIT_S) for each in asked] == [RED] * 2
    assert one.library.asked == ["what is red"]
    assert [hit.shared for hit in two.seen.of(events.RetrievalHit)] == [True]


def test_a_store_that_rests_is_not_tried_by_retrievals(desks: list[Desk]) -> None:
    """Whether the server is back is found out in the background, and by no call of a user's."""
    one, _ = desks
    held(one).hold.set()
    assert one.ask("what is red") == RED
    store: Any = one.accel._built.tiers._far
    asked = 0

    def away(*_: Any) -> Any:
        nonlocal asked
        asked += 1
        raise StoreUnavailableError("redis", "read", "it is away")

    store.stirred, store.changes, store.glance = lambda: True, away, away
    for _ in range(3):
        assert one.ask("what is red") == RED
    assert asked == 1
    remote: Any = one.accel._built.tiers._remote
    remote.reach = lambda _: None
    one.clock.advance(10.0)
    assert one.ask("what is red") == RED
    assert asked == 1


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "leading"])
def test_what_was_retrieved_before_an_invalidation_is_not_stored(
    desks: list[Desk], threads: ThreadPoolExecutor, *, alone: bool
) -> None:
    """Another process's invalidation refuses what is being retrieved, whether it is led or not."""
    one, two = desks
    before = threads.submit(one.ask, "what is red", Controls(refresh=alone))
    assert held(one).inside.acquire(timeout=WAIT_S)
    two.accel.invalidate()
    held(one).hold.set()
    assert before.result(WAIT_S) == RED
    one.accel.flush()
    assert two.ask("what is red") == RED
    assert len(one.library.asked) == 2


def test_who_asks_after_a_change_waits_for_nobody_before(
    desks: list[Desk], threads: ThreadPoolExecutor
) -> None:
    """A retrieval that began before its documents changed serves nobody who asks later."""
    one, two = desks
    before = threads.submit(one.ask, "what is red")
    assert held(one).inside.acquire(timeout=WAIT_S)
    two.change()
    two.library.documents["d1"] = "cherries are red"
    after = threads.submit(two.ask, "what is red")
    assert held(two).inside.acquire(timeout=WAIT_S)
    held(one).hold.set()
    assert after.result(WAIT_S) == {"d1": "cherries are red"}
    before.result(WAIT_S)
    assert one.ask("what is red") == {"d1": "cherries are red"}


def test_one_process_renews(desks: list[Desk], threads: ThreadPoolExecutor) -> None:
    """What is due is made anew by one process, and served by the other without waiting."""
    one, two = desks
    held(one).hold.set()
    assert one.ask("what is red") == RED
    assert two.ask("what is red") == RED
    one.accel.flush()
    held(one).hold.clear()
    for desk in desks:
        desk.clock.advance(one.accel.config.retrieval.freshness.ttl.base_s + 1)
    first = threads.submit(one.ask, "what is red")
    assert held(one).inside.acquire(timeout=WAIT_S)
    assert held(one).inside.acquire(timeout=WAIT_S)
    assert two.ask("what is red") == RED
    assert [hit.stale for hit in two.seen.of(events.RetrievalHit)][-1] == "renewing"
    held(one).hold.set()
    assert first.result(WAIT_S) == RED
    one.settle()
    assert len(one.library.asked) == 2


def test_an_entry_that_cannot_be_passed_over_is_claimed_once_more(
    processes: list[Rig], server: RedisServer
) -> None:
    """Where its expiry was changed by hand, who cannot use it leads alone and asks on no more."""
    one, two, _ = processes
    answer(one, lead(one))
    one.accel.flush()
    found = look(two)
    assert isinstance(found, Hit)
    cache, key = two.accel.cache, found.entry.key
    store: Any = two.accel._built.tiers._far
    with server.client() as hand:
        hand.zadd(store._names.expiry, {key: 2e12})
    claims = 0
    claim = store.claim

    def counted(*args: Any) -> Any:
        nonlocal claims
        claims += 1
        assert claims <= 2
        return claim(*args)

    store.claim = counted
    flight, leads = cache._flights.claim(key, "me", 0)
    assert leads
    taking = cache._leadership.take(BlockingIo(), flight, key, lambda _: False)
    assert blocking.run(taking) is None
    assert claims == 2
