"""What `RedisFlights` promises beyond the contract: leases renewed and let go, threads, forks."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import Future
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.errors import StoreError, StoreUnavailableError
from accel_core.leases import Lease
from accel_core.ports import Selector
from accel_core.store.redis_flights import RedisFlights
from accel_core.store.redis_link import RedisLink
from accel_core.store.redis_scripts import Names
from accel_core.store.redis_store import RedisStore
from accel_core.testing.stores import StoreContract, digest
from tests.redis_server import RedisServer
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    Make = Callable[..., RedisFlights]

pytestmark = pytest.mark.timeout(30)

KEY = digest("one")
WAIT_S = 10.0
LEASE_S = 0.3
LONG_S = 30.0
"""No machine is so busy that such a lease ends for want of a renewal."""
TRIES = 5
"""A busy machine may renew too late."""
entry = StoreContract().make_entry


@pytest.fixture(scope="module", params=BUILDS, ids=lambda build: build.name)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(request.param) as server:
        yield server


@pytest.fixture
def hand(server: RedisServer) -> Iterator[redis.Redis]:
    with server.client() as client:
        client.flushall()
        yield client


@pytest.fixture
def make(server: RedisServer, hand: redis.Redis) -> Iterator[Make]:
    """Make handles of their own link, without a store; what fails is kept in `failed`."""
    with ExitStack() as close:

        def made(lease_s: float = LEASE_S, url: str = server.url) -> RedisFlights:
            link = RedisLink(url, lookup_timeout_s=5.0, write_timeout_s=5.0)
            flights = RedisFlights(
                link,
                Names("accel"),
                read=lambda body, key: None,
                report=lambda operation, error: None,
                mono_now=time.monotonic,
                lease_s=lease_s,
            )
            close.callback(link.close)
            close.callback(flights.close)
            return flights

        yield made


def led(flights: Any, at_most_s: float = 60.0) -> Lease:
    claimed = flights.claim(b"name", KEY, at_most_s)
    assert isinstance(claimed, Lease)
    return claimed


def followed(flights: Any, name: bytes = b"name") -> Future[bool]:
    claimed = flights.claim(name, KEY, 60.0)
    assert isinstance(claimed, Future)
    return claimed


@pytest.fixture
def threads() -> Callable[[str], list[threading.Thread]]:
    """Return what finds threads by name; those of an earlier test may still be ending."""
    earlier = set(threading.enumerate())
    return lambda name: [
        thread for thread in set(threading.enumerate()) - earlier if thread.name == name
    ]


def test_a_lease_is_renewed_while_its_leader_lives(make: Make) -> None:
    """It outlasts its duration for as long as it may be held, and no longer."""
    one, two = make(), make()
    assert any(lasted_s(one, two, b"%d" % number) > 2.9 * LEASE_S for number in range(TRIES))


def lasted_s(one: RedisFlights, two: RedisFlights, name: bytes) -> float:
    """Return how long `two` waits for a lease of `one` that is held for three durations."""
    assert isinstance(one.claim(name, KEY, 3 * LEASE_S), Lease)
    began_s = time.monotonic()
    while isinstance(claimed := two.claim(name, KEY, 60.0), Future):
        assert claimed.result(WAIT_S) is False
    assert isinstance(claimed, Lease)
    return time.monotonic() - began_s


def test_a_lease_that_waits_for_its_save_is_not_renewed_for_long(make: Make) -> None:
    """Where the save of an answer never comes, those who wait are free after a lease or two."""
    one, two = make(), make()
    lease = led(one)
    one.land(lease, entry("one"))
    while isinstance(claimed := two.claim(b"name", KEY, 60.0), Future):
        assert claimed.result(WAIT_S) is False
    assert isinstance(claimed, Lease)


def test_leases_of_several_flights_are_renewed_together(make: Make, hand: redis.Redis) -> None:
    """Many leases cost one script each third of a lease."""
    one = make(lease_s=1.5)
    for number in range(20):
        assert isinstance(one.claim(b"%d" % number, KEY, 60.0), Lease)
    before = renewals(hand)
    given_up_s = time.monotonic() + WAIT_S
    while (renewed := renewals(hand)) == before:
        assert time.monotonic() < given_up_s
    assert (renewed - before) % 20 == 0


def renewals(hand: redis.Redis) -> int:
    return int(hand.info("commandstats")["cmdstat_pexpire"]["calls"])


def test_threads_work_while_there_is_work(
    make: Make, threads: Callable[[str], list[threading.Thread]]
) -> None:
    """Nothing runs before anybody leads or waits, and nothing listens after."""
    one, two = make(lease_s=LONG_S), make(lease_s=LONG_S)
    assert threads("accel-leases") == threads("accel-inbox") == []
    lease = led(one)
    (leases,) = threads("accel-leases")
    assert threads("accel-inbox") == []
    landing = followed(two)
    (inbox,) = threads("accel-inbox")
    one.end(lease, declined=False)
    assert landing.result(WAIT_S) is False
    inbox.join(WAIT_S)
    assert not inbox.is_alive()
    one.close()
    leases.join(WAIT_S)
    assert threads("accel-leases") == []


def test_news_lost_with_their_connection(make: Make, hand: redis.Redis) -> None:
    """Who waits when the connection is cut looks again at once, and waits anew."""
    one, two = make(lease_s=LONG_S), make(lease_s=LONG_S)
    lease = led(one)
    landing = followed(two)
    hand.client_kill_filter(_type="pubsub")
    assert landing.result(WAIT_S) is False
    landing = followed(two)
    one.end(lease, declined=True)
    assert landing.result(WAIT_S) is True


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_leads_and_waits_for_itself(make: Make) -> None:
    """A child neither renews nor ends what its parent leads, and waits for it like any other."""
    one, two = make(lease_s=3.0), make()
    lease = led(one)
    landing = followed(two)
    child = os.fork()
    if not child:
        one.end(lease, declined=True)
        waits = isinstance(one.claim(b"name", KEY, 60.0), Future)
        leads = isinstance(one.claim(b"another", KEY, 60.0), Lease)
        one.close()
        os._exit(0 if waits and leads and not landing.done() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert isinstance(one.claim(b"another", KEY, 60.0), Lease)
    one.end(lease, declined=False)
    assert landing.result(WAIT_S) is False


@pytest.mark.parametrize("late", [False, True], ids=["its answer", "the claim"])
def test_a_claim_that_is_late_leads_nothing(make: Make, hand: redis.Redis, *, late: bool) -> None:
    """Where nobody waits for the answer to a claim any more, nobody waits for its lease either."""
    one, two = make(lease_s=LONG_S), make(lease_s=LONG_S)
    link: Any = one._link
    ask, sent = link.ask, []

    def unheard(*call: Any) -> Any:
        sent.append(call)
        if not late:
            ask(*call)
        raise StoreUnavailableError("redis", "claim", "no answer in time")

    link.ask = unheard
    with pytest.raises(StoreError):
        one.claim(b"name", KEY, 60.0)
    one.close()  # what is to be told is told
    if late:
        ask(*sent[0])
    assert isinstance(two.claim(b"name", KEY, 60.0), Lease)
    assert all(hand.pttl(name) <= 30_000 for name in hand.scan_iter("*flight*"))


def test_names_hold_no_text(make: Make, hand: redis.Redis) -> None:
    """A lease's name is a digest under the hash tag, and it goes by itself."""
    make().claim(b"} secret question", KEY, 60.0)
    (name,) = hand.scan_iter("*flight*")
    assert name.startswith(b"{accel}:3:flight:")
    assert b"secret" not in name
    assert 0 < hand.pttl(name) <= 1000 * LEASE_S


@pytest.mark.parametrize("junk", [b"", b"text", b"\x00" * 100])
def test_bytes_that_are_no_entry(server: RedisServer, hand: redis.Redis, junk: bytes) -> None:
    """Where an entry should be, they are passed over, with an event."""
    store = RedisStore(server.url, lookup_timeout_s=5.0)
    try:
        store.save([entry("one")])
        hand.hset(b"{accel}:3:entry:" + KEY, "body", junk)
        assert isinstance(store.claim(b"name", KEY, 60.0), Lease)
    finally:
        store.close()


def test_names_taken_by_somebody_else(server: RedisServer, hand: redis.Redis) -> None:
    """What is no lease is an error by name; after what is no invalidation nothing is stored."""
    store = RedisStore(server.url, lookup_timeout_s=5.0)
    try:
        lease = led(store)
        (name,) = hand.scan_iter("*:flight:*")
        hand.delete(name)
        hand.set(name, "text")
        with pytest.raises(StoreError, match="redis failed to claim"):
            store.claim(b"name", KEY, 60.0)
        store.land(lease, entry("one"))
        store.save([entry("one")])
        assert store.fetch(KEY) == entry("one")
        lease = store.claim(b"another", digest("two"), 60.0)
        hand.zadd("{accel}:3:outdated", {"text": lease.mark + 1})
        hand.hincrby("{accel}:3:counter", "outdated", 1)
        store.land(lease, entry("two"))
        store.save([entry("two"), entry("three")])
        assert store.fetch(digest("two")) is None
        assert store.fetch(digest("three")) == entry("three")
    finally:
        store.close()


def test_a_full_server(server: RedisServer, hand: redis.Redis) -> None:
    """Nobody leads there, which is an error, and invalidations and endings still arrive."""
    store, other = (RedisStore(server.url, lookup_timeout_s=5.0) for _ in range(2))
    try:
        lease = led(store)
        landing = followed(other)
        hand.config_set("maxmemory", 1)
        with pytest.raises(StoreError):
            other.claim(b"another", KEY, 60.0)
        other.outdate([Selector()])
        store.end(lease, declined=True)
        assert landing.result(WAIT_S) is True
    finally:
        hand.config_set("maxmemory", 0)
        store.close()
        other.close()


def test_a_user_of_its_own_may_do_all_of_it(server: RedisServer, hand: redis.Redis) -> None:
    """The rights that the documentation names are enough, also to keep a quiet connection."""
    rights = "~{accel}:* &{accel}:* +@read +@write +@scripting +@pubsub +@transaction +time"
    hand.execute_command("ACL", "SETUSER", "app", "on", ">word", *rights.split())
    url = server.url.replace("://", "://app:word@")
    one, two = (RedisStore(url, lookup_timeout_s=5.0) for _ in range(2))
    try:
        lease = led(one)
        landing = followed(two)
        with pytest.raises(TimeoutError):
            landing.result(1.3)
        one.land(lease, entry("one"))
        one.save([entry("one")])
        assert landing.result(WAIT_S) is False
    finally:
        one.close()
        two.close()
        hand.execute_command("ACL", "DELUSER", "app")
