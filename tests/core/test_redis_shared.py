"""Caches of several processes over one Redis: what one learned all serve, and none waits for it."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.errors import ConfigError, StoreError
from accel_core.events import BackendFailed
from accel_core.policy.corpus import Basis
from accel_core.semantic_cache import Hit, Miss
from tests.core.support import Rig
from tests.redis_server import RedisServer, asked_of
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUESTION, REWORDED = "where is the blue car of my sister", "WHERE is the blue car of my sister?"
PLAIN = {"min_similarity": 0.9}

DEADLINE_S = 0.05
SLACK_S = 0.3
"""What a busy machine may add."""


@pytest.fixture(scope="module", params=BUILDS, ids=lambda build: build.name)
def running(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(request.param) as server:
        yield server


def joined(make: Any, url: str, **store: Any) -> Rig:
    """Make a process that shares the server."""
    store = {"kind": "redis", "url": url, "lookup_timeout_s": 5.0, **store}
    rig: Rig = make(semantic=PLAIN, cache={"store": store})
    # The server lets entries expire by its own clock.
    rig.clock.now_s = time.time()
    return rig


@pytest.fixture
def one(make: Any, running: RedisServer) -> Rig:
    with running.client() as client:
        client.flushall()
    return joined(make, running.url)


@pytest.fixture
def two(make: Any, running: RedisServer, one: Rig) -> Rig:
    return joined(make, running.url)


def test_one_learns_and_another_serves(one: Rig, two: Rig) -> None:
    """An answer is served by another process, to the same words and to others of that meaning."""
    assert isinstance(one.ask(QUESTION, "in the garage"), Miss)
    other_words = two.ask(REWORDED, "asked again")
    same_words = two.ask(QUESTION, "asked again")
    assert isinstance(other_words, Hit)
    assert isinstance(same_words, Hit)
    assert other_words.tier == "semantic"
    assert same_words.entry.payload == other_words.entry.payload == b'"in the garage"'
    assert one.seen.of(BackendFailed) == two.seen.of(BackendFailed) == []


def test_invalidated_for_all(one: Rig, two: Rig) -> None:
    """What one process invalidates no other serves, though it holds it in memory and index."""
    one.ask(QUESTION, "in the garage")
    assert isinstance(two.ask(QUESTION, "asked again"), Hit)
    assert len(one.accel.invalidate()) == 1
    assert isinstance(two.ask(REWORDED, "in the street"), Miss)


def test_forgotten_for_all(one: Rig, two: Rig) -> None:
    """`forget` reaches what another process stored, and holds."""
    with one.accel.tenant("t1"):
        one.ask(QUESTION, "in the garage")
    with two.accel.tenant("t2"):
        two.ask(QUESTION, "on the roof")
    two.accel.forget(tenant="t1")
    with one.accel.tenant("t1"):
        assert isinstance(one.ask(QUESTION, "in the garage"), Miss)
    with one.accel.tenant("t2"):
        found = one.ask(QUESTION, "asked again")
        assert isinstance(found, Hit)
        assert found.entry.payload == b'"on the roof"'


def test_documents_change_for_all(one: Rig, two: Rig) -> None:
    """What rests on documents holds in no process once one has said that they changed."""
    corpus = one.accel.corpus("faq")
    corpora, io = two.accel._built.corpora, two.accel._built.colours[0]

    def state() -> Any:
        flow = corpora.states(io, [corpus.key])
        try:
            flow.send(None)
        except StopIteration as end:
            return end.value[0]

    before = Basis(corpus.key.digest, state().revision, None)
    assert state().holds(before)
    corpus.changed()
    assert not state().holds(before)


def test_a_hit_in_memory_asks_nothing_and_one_behind_it_once(
    one: Rig, two: Rig, running: RedisServer
) -> None:
    """Quiet lookups cost no command where memory has the answer, and one where the server has."""
    one.ask(QUESTION, "in the garage")
    one.ask("who painted the old bridge", "nobody knows")
    one.ask("what is asked first", "this")
    two.ask("what happened so far", "nothing", scope="another model")
    assert isinstance(two.ask("what is asked first", "asked again"), Hit)

    def commands(question: str) -> int:
        with running.client() as client, asked_of(client) as asked:
            assert isinstance(two.ask(question, "asked again"), Hit)
        return len(asked)

    assert commands(QUESTION) == 1
    assert commands(QUESTION) == 0
    assert commands("who painted the old bridge") == 1


def test_secrets_are_not_shown(make: Any, running: RedisServer, monkeypatch: Any) -> None:
    """A URL from the environment is in no error, no event and no `repr`."""
    secret = "Sup3rS3cret"
    monkeypatch.setenv("REDIS_URL", f"redis://:{secret}@127.0.0.1:{running.port}/0")
    rig = joined(make, "${REDIS_URL}")
    assert isinstance(rig.ask(QUESTION, "in the garage"), Miss)
    assert rig.seen.of(BackendFailed)
    assert secret not in f"{rig.accel.config!r} {rig.seen.events!r} {rig.accel!r}"
    monkeypatch.setenv("REDIS_URL", f"redis://:{secret}/x@127.0.0.1:{running.port}/0")
    with pytest.raises(ConfigError) as raised:
        joined(make, "${REDIS_URL}")
    assert raised.value.path == "cache.store.url"
    assert secret not in str(raised.value)


# --- faults: one server is enough, for they are the client's matter


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(BUILDS[1]) as server:
        yield server


def killed(server: RedisServer) -> Callable[[], None]:
    server.kill()
    return server.start


def frozen(server: RedisServer) -> Callable[[], None]:
    server.freeze()
    return server.thaw


def full(server: RedisServer) -> Callable[[], None]:
    with server.client() as client:
        client.config_set("maxmemory", 1)
    return lambda: server.client().config_set("maxmemory", 0)


def read_only(server: RedisServer) -> Callable[[], None]:
    with server.client() as client:
        client.replicaof("127.0.0.1", 1)
    return lambda: server.client().replicaof("NO", "ONE")


@pytest.mark.parametrize("fault", [killed, frozen, full, read_only], ids=lambda f: f.__name__)
def test_no_call_fails_or_waits_for_a_broken_server(
    make: Any, server: RedisServer, fault: Callable[[RedisServer], Callable[[], None]]
) -> None:
    """Calls are answered in time while it is broken, with events, and shared again afterwards."""
    one = joined(make, server.url, lookup_timeout_s=DEADLINE_S)
    one.ask(QUESTION, "in the garage")
    mend = fault(server)
    try:
        # Let what was heard before be too old to be believed.
        one.clock.advance(2.0)
        slowest_s = 0.0
        for number in range(12):
            began_s = time.monotonic()
            assert isinstance(one.ask(QUESTION, "asked again"), Hit)
            request = one.request(f"which thing{number} is it")
            assert isinstance(one.accel.cache.lookup(request), Miss)
            slowest_s = max(slowest_s, time.monotonic() - began_s)
        one.ask("is it broken", "it is")
        # Two lookups, each with two questions at most: what changed, and the entry.
        assert slowest_s < 4 * DEADLINE_S + SLACK_S
        assert one.seen.of(BackendFailed)
    finally:
        mend()
    one.clock.advance(4.0)
    two = joined(make, server.url)
    one.ask("is it mended", "it is")
    found = two.ask("is it mended", "asked again")
    assert isinstance(found, Hit)
    assert found.entry.payload == b'"it is"'


def test_threads_do_not_queue_for_a_frozen_server(make: Any, server: RedisServer) -> None:
    """Many callers at once wait a few deadlines at most, not one after the other."""
    one = joined(make, server.url, lookup_timeout_s=0.1)
    one.ask(QUESTION, "in the garage")
    server.freeze()
    one.clock.advance(2.0)

    def timed(number: int) -> float:
        began_s = time.monotonic()
        assert isinstance(one.accel.cache.lookup(one.request(f"what is thing{number}")), Miss)
        return time.monotonic() - began_s

    try:
        with ThreadPoolExecutor(24) as threads:
            assert max(threads.map(timed, range(24))) < 6 * 0.1 + SLACK_S
    finally:
        server.thaw()


async def test_the_loop_runs_on(server: RedisServer) -> None:
    """While one task waits for a frozen server, the others go on."""
    store = {"kind": "redis", "url": server.url, "lookup_timeout_s": 0.2}
    with ExitStack() as close:
        rig = await asyncio.to_thread(
            lambda: Rig(colour="async", close=close, semantic=PLAIN, cache={"store": store})
        )
        server.freeze()
        try:
            lookup = asyncio.create_task(rig.accel.cache.alookup(rig.request(QUESTION)))
            turns, longest_s, last_s = 0, 0.0, time.monotonic()
            while not lookup.done():
                await asyncio.sleep(0.001)
                now_s = time.monotonic()
                turns, longest_s, last_s = turns + 1, max(longest_s, now_s - last_s), now_s
            assert isinstance(lookup.result(), Miss)
            assert turns > 50
            assert longest_s < 0.15
        finally:
            server.thaw()
            await rig.accel.aclose()


def test_invalidation_says_when_it_did_not_happen(make: Any, server: RedisServer) -> None:
    """Who asks for removal is told that the server could not be asked."""
    one = joined(make, server.url)
    one.ask(QUESTION, "in the garage")
    server.kill()
    with pytest.raises(StoreError, match="redis failed to invalidate"):
        one.accel.invalidate()


def test_a_server_away_at_the_start(make: Any, server: RedisServer) -> None:
    """A process starts without its server, with an event, and uses it as soon as it is there."""
    server.kill()
    one = joined(make, server.url)
    # The stores of answers and of vectors each say so once.
    assert [event.operation for event in one.seen.of(BackendFailed)] == ["listen to"] * 2
    server.start()
    two = joined(make, server.url)
    one.ask(QUESTION, "in the garage")
    assert isinstance(two.ask(QUESTION, "asked again"), Hit)
