"""What `RedisStore` promises beyond the contract: names, bounds, news, users, and faults."""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio

from accel_core.errors import ConfigError, StoreError, StoreUnavailableError
from accel_core.events import BackendFailed
from accel_core.policy.seal import Seal
from accel_core.ports import Selector
from accel_core.store.redis_store import RedisStore
from accel_core.testing.doubles import ManualClock, RecordingObserver
from accel_core.testing.indexes import unit_vectors
from accel_core.testing.shared_stores import SharedStoreContract
from accel_core.testing.stores import StoreContract, digest
from accel_core.vectors import coarse, pack, unpack
from tests.redis_rights import rights
from tests.redis_server import RedisServer, asked_of
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

entry = StoreContract().make_entry
told = SharedStoreContract().told

ENTRY = b"{accel}:3:entry:"
# Rounded as vector sets round it: so it comes back as it is.
UNIT = coarse(pack(unit_vectors(1)[0]))[1]
PASSWORD = "p%40ss-word"


@pytest.fixture(scope="module", params=BUILDS, ids=lambda build: build.name)
def running(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(request.param) as server:
        yield server


@pytest.fixture
def hand(running: RedisServer) -> Iterator[redis.Redis]:
    """Somebody else's hand in the server, which holds nothing at first."""
    with running.client() as client:
        client.flushall()
        client.config_set("maxmemory-policy", "noeviction")
        yield client


class Stores:
    """Makes stores on one server, with a clock and an observer of their own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock, self.seen = ManualClock(), RecordingObserver()
        self.made: list[RedisStore] = []

    def __call__(self, server: Any = None, **options: Any) -> RedisStore:
        options = {"lookup_timeout_s": 5.0, "write_timeout_s": 5.0, **options}
        mono_now = self.clock.clocks().mono_now
        store = RedisStore(server or self.url, on_event=self.seen, mono_now=mono_now, **options)
        self.made.append(store)
        return store

    def close(self) -> None:
        for store in self.made:
            store.close()


@pytest.fixture
def make(running: RedisServer, hand: redis.Redis) -> Iterator[Stores]:
    stores = Stores(running.url)
    yield stores
    stores.close()


# --- names and bounds


def test_names_hold_no_text(make: Stores, hand: redis.Redis) -> None:
    """Every name has the one hash tag and holds digests, whatever users wrote."""
    store = make()
    store.save([entry("} * ' \n", tags=("} tag",), namespace="}{", text="secret text")])
    store.add_change(b"}{ corpus", {b"document"})
    names = set(hand.scan_iter()) - {ENTRY + digest("} * ' \n")}
    names -= {b"{accel}:3:lone"}  # where vector sets search
    assert len(names) == 5
    form = rb"\{accel\}:3:[a-z]+(:[0-9a-f]+)?"
    assert all(re.fullmatch(form, name) for name in names)


def test_prefixes_share_nothing(make: Stores) -> None:
    """Stores of different prefixes on one server do not see one another."""
    one, other = make(prefix="one"), make(prefix="other")
    one.save([entry()])
    one.add_change(b"corpus", None)
    assert other.fetch(digest("one")) is None
    assert other.select(Selector()) == []
    assert other.read_changes(b"corpus", 0).revision == 0
    assert other.remove([digest("one")]) == 0


def test_entries_expire(make: Stores, hand: redis.Redis) -> None:
    """The server lets an entry go at its time, and a later save cleans away what found it."""
    store, reader = make(), make()
    store.save([entry("old"), entry("kept")])
    name = ENTRY + digest("old")
    assert hand.pexpiretime(name) == 9_000_000_000_500
    hand.delete(name)
    hand.zadd("{accel}:3:expiry", {digest("old"): 1})
    assert store.fetch(digest("old")) is None
    assert store.select(Selector()) == [digest("kept")]
    revision = reader.changes(0, 10).revision
    store.save([entry("new")])
    assert hand.zcard("{accel}:3:order") == hand.zcard("{accel}:3:expiry") == 2
    assert reader.changes(revision, 10).removed == [digest("old")]


def test_an_expired_entry_is_not_stored(make: Stores, hand: redis.Redis) -> None:
    """An entry past its time is not stored, and neither is what it replaces left."""
    store = make()
    store.save([entry()])
    store.save([entry(expires_s=1.0)])
    assert store.fetch(digest("one")) is None
    assert set(hand.scan_iter()) == {b"{accel}:3:counter", b"{accel}:3:removed"}


def test_the_oldest_leave(make: Stores) -> None:
    """Above `max_entries` the oldest leave, a few at once, and readers, the saver too, are told."""
    store, reader = make(max_entries=128), make()
    store.save([entry(number) for number in range(128)])
    revision = reader.changes(0, 1_000).revision
    store.changes(0, 1_000)
    assert not store.stirred()
    store.save([entry("one more")])
    assert store.stirred()
    gone = [digest(0), digest(1), digest(2)]
    assert reader.changes(revision, 1_000).removed == gone
    assert len(store.select(Selector())) == 126


def test_many_entries_in_pages(make: Stores) -> None:
    """More entries than a page are selected, told and removed, each once."""
    store, reader = make(), make()
    keys = [digest(number) for number in range(1_300)]
    store.save([entry(number) for number in range(1_300)])
    assert store.select(Selector(tag="faq")) == keys
    assert told(reader.changes(0, 10_000)) == keys
    assert not reader.stirred()
    assert store.remove(keys) == 1_300


# --- news


def test_what_is_not_confirmed_is_asked_again(make: Stores) -> None:
    """News are believed for a second; then a lookup asks, and so do who glances at corpora."""
    store = make()
    store.changes(0, 10)
    glance = store.glance()
    make.clock.advance(0.9)
    assert not store.stirred()
    assert store.glance() == glance
    make.clock.advance(0.2)
    assert store.stirred()
    assert store.glance() != glance
    store.changes(0, 10)
    assert not store.stirred()
    assert store.glance() == store.glance()


def test_own_saves_are_no_news(make: Stores) -> None:
    """Who alone writes never has to ask what happened."""
    store = make()
    store.changes(0, 10)
    store.save([entry()])
    store.remove([digest("one")])
    assert not store.stirred()


def test_news_come_however_often_their_connection_was_lost(make: Stores, hand: redis.Redis) -> None:
    """A store that has subscribed anew more often than a pool has places still hears of others."""
    store, other = make(), make()
    for _ in range(120):
        hand.client_kill_filter(_type="pubsub")
        store.changes(0, 10)
    other.save([entry()])
    assert store.stirred()
    assert len(told(store.changes(0, 10))) == 1


def test_news_lost_with_their_connection(make: Stores, hand: redis.Redis) -> None:
    """Who was cut off asks what happened meanwhile, and hears again what happens then."""
    store, other = make(), make()
    other.save([entry()])
    revision = store.changes(0, 10).revision
    glance = store.glance()
    hand.client_kill_filter(_type="pubsub")
    other.remove([digest("one")])
    other.add_change(b"corpus", None)
    assert store.stirred()
    assert store.glance() != glance
    assert store.read_changes(b"corpus", 0).revision == 1
    assert store.stirred()
    changes = store.changes(revision, 10)
    assert changes.removed == [digest("one")]
    assert not store.stirred()
    other.changes(0, 10)
    other.save([entry()])
    assert store.stirred()


def test_a_quiet_lookup_is_one_command(make: Stores, hand: redis.Redis) -> None:
    """While nothing changes, a fetch is one command, and looking for changes is none."""
    store = make()
    store.save([entry()])
    store.changes(0, 10)
    store.fetch(digest("one"))
    store.read_changes(b"corpus", 0)
    store.glance()
    with asked_of(hand) as asked:
        for _ in range(10):
            assert not store.stirred()
            store.glance()
            assert store.fetch(digest("one")) is not None
    assert len(asked) == 10


def test_many_entries_are_one_command(make: Stores, hand: redis.Redis) -> None:
    """However many are fetched; bytes that are no entry are left out, with an event."""
    store = make()
    store.save([entry(number) for number in range(100)])
    hand.set(ENTRY + digest(7), b"no entry")
    with asked_of(hand) as asked:
        found = store.fetch_many([digest(number) for number in range(200)])
    assert len(asked) == 1
    assert len(found) == 99
    assert [digest(7).hex() in event.error for event in make.seen.of(BackendFailed)] == [True]


def test_data_lost_starts_again(make: Stores, hand: redis.Redis) -> None:
    """Of a server that lost its data a reader is told to drop everything, also once it has more."""
    store, reader = make(), make()
    store.save([entry(number) for number in range(3)])
    revision = reader.changes(0, 10).revision
    hand.flushall()
    gone = reader.changes(revision, 10)
    assert (told(gone), gone.reset) == ([], True)
    store.save([entry(number) for number in range(9)])
    changes = reader.changes(revision, 10)
    assert changes.reset
    assert len(told(changes)) == 9


def test_history_is_bounded(make: Stores, hand: redis.Redis) -> None:
    """Who is too far behind to be told of each removal is told to start again."""
    store, reader = make(), make()
    store.save([entry()])
    revision = reader.changes(0, 10).revision
    store.remove([digest("one")])
    hand.hincrby("{accel}:3:counter", "revision", 20_000)
    store.save([entry("two")])
    store.remove([digest("two")])
    assert hand.zcard("{accel}:3:removed") == 1
    assert reader.changes(revision, 10).reset
    assert not reader.changes(reader.changes(0, 10).revision, 10).reset


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_its_own_connections(make: Stores) -> None:
    """A child asks and listens for itself, and its parent goes on undisturbed."""
    store, other = make(), make()
    store.save([entry()])
    store.changes(0, 10)
    child = os.fork()
    if not child:
        stirred = store.stirred()
        found = store.fetch(digest("one")) == entry()
        store.changes(0, 10)
        quiet = not store.stirred()
        store.save([entry("the child's")])
        os._exit(0 if stirred and found and quiet else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.stirred()
    store.changes(0, 10)
    assert not store.stirred()
    other.remove([digest("one")])
    assert store.stirred()
    assert store.fetch(digest("one")) is None


# --- bytes gone bad


@pytest.mark.parametrize("body", [b"", b"garbage", b"\x01" * 200], ids=["none", "text", "binary"])
def test_bytes_that_are_no_entry(make: Stores, hand: redis.Redis, body: bytes) -> None:
    """They are a miss and an event, for a lookup and for who follows."""
    store, reader = make(search="process"), make(search="process")
    store.save([entry("one"), entry("two")])
    hand.hset(ENTRY + digest("one"), "body", body)
    hand.set(ENTRY + digest("two"), body)
    assert store.fetch(digest("one")) is store.fetch(digest("two")) is None
    assert reader.changes(0, 10).located == []
    events = [event.error for event in make.seen.of(BackendFailed)]
    assert len(events) == 4
    assert all("refused" in error for error in events)


def test_a_copied_entry_is_not_served(make: Stores, hand: redis.Redis) -> None:
    """With a key set, neither an entry under another's name nor an unsigned one is served."""
    sealed, unsealed = make(seal=Seal(b"k" * 32)), make()
    sealed.save([entry("one")])
    hand.copy(ENTRY + digest("one"), ENTRY + digest("two"))
    assert sealed.fetch(digest("two")) is None
    unsealed.save([entry("three")])
    assert sealed.fetch(digest("three")) is None


def test_names_taken_by_somebody_else(make: Stores, hand: redis.Redis) -> None:
    """What is of another kind, or no key of ours, is passed over."""
    store = make(search="process")
    store.save([entry()])
    hand.zadd("{accel}:3:order", {"not a key": 1.0, "abc": 2.0})
    hand.set(ENTRY + b"not a key", "x")
    hand.publish("{accel}:3:news", "nonsense")
    hand.publish("{accel}:3:news", "entries somebody nonsense")
    assert store.stirred()
    assert told(store.changes(0, 10)) == [digest("one")]
    assert store.select(Selector()) == [digest("one")]


# --- whose, and where


def test_a_client_is_taken_over(make: Stores, running: RedisServer) -> None:
    """A client says where and as whom; its decoding and its patience are not taken over."""
    with running.client(
        decode_responses=True, socket_timeout=99, health_check_interval=1
    ) as client:
        store = make(client)
        store.save([entry()])
        assert make().fetch(digest("one")) == store.fetch(digest("one")) == entry()


@pytest.mark.parametrize("prefix", ["", "a{b", "}"])
def test_prefix_is_checked(make: Stores, prefix: str) -> None:
    """A prefix that would make another hash tag is refused."""
    with pytest.raises(ConfigError, match="prefix"):
        make(prefix=prefix)


def test_an_asyncio_client_is_taken_over(make: Stores, running: RedisServer) -> None:
    """A client for tasks says where and as whom as well; calls are kept off the loop anyway."""
    client = redis.asyncio.Redis(port=running.port, decode_responses=True)
    make(client).save([entry()])
    assert make().fetch(digest("one")) == entry()


@pytest.mark.parametrize(
    ("server", "remedy"),
    [
        (redis.asyncio.Sentinel([("h", 1)]).master_for("one"), "pass the URL, or the redis.Redis"),
        (object(), "must be a URL, or a client of redis-py"),
        (None, "must be a URL, or a client of redis-py"),
    ],
)
def test_other_clients_are_refused(server: Any, remedy: str) -> None:
    """What cannot be taken over is refused, with what to pass instead."""
    with pytest.raises(ConfigError, match=remedy):
        RedisStore(server)


@pytest.mark.parametrize(
    "url", ["http://u:SECRET@h", "redis://u:SE/CRET@h", "redis://u:SECRET@h:x"]
)
def test_a_wrong_url_is_not_shown(url: str) -> None:
    """An error about a URL does not show it, nor any part of it."""
    with pytest.raises(ConfigError) as raised:
        RedisStore(url)
    assert "CRET" not in f"{raised.value!r} {raised.value.__cause__!r}"
    assert raised.value.__suppress_context__


SEARCH_RIGHTS = {
    "process": [],
    "query_engine": rights("search by the query engine"),
    "vector_sets": rights("search in vector sets"),
}


@pytest.mark.parametrize("search", SEARCH_RIGHTS)
def test_a_user_of_its_own_is_enough(
    make: Stores, running: RedisServer, hand: redis.Redis, search: str
) -> None:
    """A user with the rights that the docs name, to the prefix's names only, can do it all."""
    search = search if running.build.search else "process"
    given = [*rights("everything"), *SEARCH_RIGHTS[search]]
    hand.execute_command("ACL", "SETUSER", "app", "reset", "on", ">p@ss-word", *given)
    url = f"redis://app:{PASSWORD}@127.0.0.1:{running.port}/0"
    store, other = make(url, search=search), make(url, search=search)
    store.changes(0, 10)
    other.save([entry("one", vector=UNIT), entry("two", vector=UNIT)])
    assert store.stirred()
    assert store.fetch(digest("one")) == entry("one", vector=UNIT)
    if search != "process":
        near = store.find((), digest("scope"), "an-encoder", unpack(UNIT), 2).near
        assert {found.key for found, _ in near} == {digest("one"), digest("two")}
    assert store.remove(store.select(Selector(tag="faq"))) == 2
    other.add_change(b"corpus", {b"document"})
    assert store.read_changes(b"corpus", 0).documents == {b"document": 1}
    assert make.seen.events == []
    with pytest.raises(StoreError, match="NoPermission"):
        make(url, prefix="else", search=search).save([entry()])


def test_wrong_password(make: Stores, running: RedisServer, hand: redis.Redis) -> None:
    """It is an event at the start and an error at each call; neither they nor `repr` show it."""
    hand.execute_command("ACL", "SETUSER", "app", "on", ">right", "~*", "+@all")
    store = make(f"redis://app:wr0ng@127.0.0.1:{running.port}/0")
    (event,) = make.seen.of(BackendFailed)
    assert event.operation == "listen to"
    assert store.stirred()
    with pytest.raises(StoreError) as raised:
        store.fetch(digest("one"))
    assert "password" in str(raised.value)
    assert "wr0ng" not in f"{event!r} {raised.value!r} {store!r}"
    assert f"port={running.port}" in repr(store)


# --- faults of the server


def test_an_eviction_policy_that_forgets_too_much(make: Stores, hand: redis.Redis) -> None:
    """A server that may drop what finds entries is warned of once: `forget` would miss some."""
    hand.config_set("maxmemory-policy", "allkeys-lru")
    store = make()
    store.changes(0, 10)
    (event,) = make.seen.of(BackendFailed)
    assert "allkeys-lru" in event.error
    assert "volatile-lru" in event.error


def test_full_server(make: Stores, hand: redis.Redis) -> None:
    """Nothing can be saved there; entries are served, removed, and then there is room again."""
    store, reader = make(), make()
    store.save([entry()])
    revision = reader.changes(0, 10).revision
    hand.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailableError, match=r"redis failed to save: .*OutOfMemory"):
            store.save([entry("two")])
        assert store.fetch(digest("one")) == entry()
        assert store.select(Selector()) == [digest("one")]
        assert store.remove([digest("one")]) == 1
    finally:
        hand.config_set("maxmemory", 0)
    assert reader.changes(revision, 10).removed == [digest("one")]
    store.save([entry("two")])


def test_read_only_server(make: Stores, hand: redis.Redis) -> None:
    """A replica serves, and says that it stores nothing."""
    store = make()
    store.save([entry()])
    hand.replicaof("127.0.0.1", 1)
    try:
        with pytest.raises(StoreUnavailableError, match="redis failed to save: ReadOnly"):
            store.save([entry("two")])
        assert store.fetch(digest("one")) == entry()
    finally:
        hand.replicaof("NO", "ONE")
    store.save([entry("two")])


def test_too_few_replicas(make: Stores, hand: redis.Redis) -> None:
    """A server that must not write for now serves, and takes the same later."""
    store = make()
    store.save([entry()])
    hand.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(StoreUnavailableError, match="NOREPLICAS"):
            store.save([entry("two")])
        assert store.fetch(digest("one")) == entry()
    finally:
        hand.config_set("min-replicas-to-write", 0)
    store.save([entry("two")])


def test_what_is_refused_for_good_is_told_from_it(make: Stores, hand: redis.Redis) -> None:
    """An answer that will be the same tomorrow does not say that the server is away."""
    store = make()
    hand.set("{accel}:3:order", "no sorted set")
    with pytest.raises(StoreError) as raised:
        store.save([entry()])
    assert not isinstance(raised.value, StoreUnavailableError)


def test_connections_cut(make: Stores, hand: redis.Redis) -> None:
    """Connections that the server closed while idle are replaced unseen."""
    store = make()
    store.save([entry()])
    hand.client_kill_filter(_type="normal", skipme=True)
    assert store.fetch(digest("one")) == entry()
    hand.client_kill_filter(_type="normal", skipme=True)
    store.save([entry("two")])


DEADLINE_S = 0.05
SLACK_S = 0.25
"""What a busy machine may add."""


def _down(server: RedisServer) -> Callable[[], None]:
    server.kill()
    return server.start


def _frozen(server: RedisServer) -> Callable[[], None]:
    server.freeze()
    return server.thaw


@pytest.mark.parametrize("fault", [_down, _frozen], ids=["down", "frozen"])
def test_a_server_away_is_an_error_in_time(fault: Any) -> None:
    """Every call fails within its deadline while a server is away, and works when it is back."""
    with RedisServer(BUILDS[0]) as server:
        options: dict[str, Any] = {"lookup_timeout_s": DEADLINE_S, "write_timeout_s": DEADLINE_S}
        with closing(RedisStore(server.url, **options)) as store:
            store.save([entry()])
            back = fault(server)
            for call in (
                lambda: store.fetch(digest("one")),
                lambda: store.save([entry()]),
                lambda: store.changes(0, 10),
                lambda: store.select(Selector()),
                lambda: store.remove([digest("one")]),
                lambda: store.read_changes(b"corpus", 0),
                lambda: store.add_change(b"corpus", None),
            ):
                began_s = time.monotonic()
                with pytest.raises(StoreError):
                    call()
                assert time.monotonic() - began_s < 3 * DEADLINE_S + SLACK_S
            RedisStore(server.url, **options).close()
            back()
            store.save([entry("two")])
            assert store.fetch(digest("two")) == entry("two")
            store.changes(0, 10)
            assert not store.stirred()


def test_threads_do_not_queue_to_connect() -> None:
    """While a server is frozen, many callers at once wait a few deadlines, not one each."""
    with RedisServer(BUILDS[0]) as server:
        server.freeze()
        with closing(RedisStore(server.url, lookup_timeout_s=0.1)) as store:

            def timed(_: int) -> float:
                began_s = time.monotonic()
                with pytest.raises(StoreError):
                    store.read_changes(b"corpus", 0)
                return time.monotonic() - began_s

            with ThreadPoolExecutor(16) as threads:
                assert max(threads.map(timed, range(16))) < 3 * 0.1 + SLACK_S
        server.thaw()


def test_what_is_newer_stays(make: Stores) -> None:
    """Delivered late, after its time even, an entry replaces none that was made after it."""
    one, other = make(), make()
    newer = entry(created_s=2_000.0, payload=b'"newer"')
    one.save([newer])
    revision = other.changes(0, 100).revision
    other.save([entry(created_s=1_000.0, payload=b'"older"')])
    assert one.fetch(newer.key) == newer
    # Who saved it has a copy of its own, and drops it.
    assert other.changes(revision, 100).removed == [newer.key]
    other.save([entry(created_s=1_000.0, expires_s=1_500.0)])
    assert one.fetch(newer.key) == newer
    latest = entry(created_s=2_000.0, payload=b'"as new"')
    other.save([latest])
    assert one.fetch(newer.key) == latest


@pytest.mark.parametrize("junk", [b"", b"x", b"\xff" * 600])
def test_junk_is_never_newer(make: Stores, hand: redis.Redis, junk: bytes) -> None:
    """Whatever somebody wrote in its place, an entry can be saved."""
    store = make()
    saved = entry()
    hand.hset(ENTRY + saved.key, "body", junk)
    store.save([saved])
    assert store.fetch(saved.key) == saved
