"""Processes over one server that searches by meaning, or leaves it to them: the same answers."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accel_core.drive import blocking
from accel_core.events import BackendFailed, SearchUnavailable, StoreSwept
from accel_core.leases import Lease, Wanted
from accel_core.semantic_cache import Hit, Miss
from accel_core.store import redis_leases, redis_store
from accel_core.store.redis_store import RedisStore
from accel_core.testing.encoders import HashEncoder
from accel_core.testing.indexes import unit_vectors
from accel_core.testing.searching_stores import bare
from accel_core.testing.stores import StoreContract, digest
from accel_core.vectors import coarse, cosine, pack, shortened, unpack
from tests.core.support import Rig
from tests.redis_rights import rights
from tests.redis_server import RedisServer, asked_of
from tools.redis_servers import BUILDS, Build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from accel_core.ports import Entry
    from accel_core.store.redis_search import Search

QUESTION, REWORDED = "where is the blue car of my sister", "WHERE is the blue car of my sister?"
OTHER, OTHER_REWORDED = "who painted the old bridge", "WHO painted the old bridge?"

# Rounded as vector sets round them: so they come back as they are.
VECTORS = [coarse(pack(row))[1] for row in unit_vectors(20)]
SCOPE = digest("scope")


class Mode(NamedTuple):
    """Who searches, and on which server."""

    search: Search
    build: Build

    @property
    def on_server(self) -> bool:
        return self.search != "process"


REDIS_7, REDIS_8, VALKEY_8 = BUILDS
MODES = [
    Mode("query_engine", REDIS_8),
    Mode("vector_sets", REDIS_8),
    Mode("process", REDIS_7),
    Mode("process", VALKEY_8),
]
SEARCHING = MODES[:2]


def name_of(mode: Mode) -> str:
    return f"{mode.search}-{mode.build.name}"


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[[Build], RedisServer]]:
    """Servers that are started when a test needs them."""
    running: dict[Build, RedisServer] = {}
    with ExitStack() as close:

        def server(build: Build) -> RedisServer:
            if build not in running:
                running[build] = close.enter_context(RedisServer(build))
            return running[build]

        yield server


@pytest.fixture(params=MODES, ids=name_of)
def mode(request: pytest.FixtureRequest) -> Mode:
    param: Mode = request.param
    return param


@pytest.fixture
def server(servers: Callable[[Build], RedisServer], mode: Mode) -> RedisServer:
    """One that holds nothing."""
    running = servers(mode.build)
    with running.client() as client:
        client.flushall()
    return running


@pytest.fixture
def hand(server: RedisServer) -> Iterator[redis.Redis]:
    """Somebody else's hand in the server."""
    with server.client() as client:
        yield client


@pytest.fixture
def join(make: Any, server: RedisServer, mode: Mode) -> Callable[..., Rig]:
    """Make a process that shares the server."""

    def joined(**options: Any) -> Rig:
        store = {"kind": "redis", "url": server.url, "lookup_timeout_s": 5.0}
        store |= {"search": mode.search, **options.pop("store", {})}
        semantic = options.pop("semantic", {"min_similarity": 0.9})
        cache = {"store": store, **options.pop("cache", {})}
        rig: Rig = make(semantic=semantic, cache=cache, **options)
        # The server lets entries expire by its own clock.
        rig.clock.now_s = time.time()
        return rig

    return joined


@pytest.fixture
def unprompted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes say nothing but lookups: nothing of leases, nor that a second has gone by."""
    monkeypatch.setattr(redis_store, "_CONFIRM_S", 3_600.0)
    monkeypatch.setattr(redis_leases.RedisLeases, "_tell", lambda *_: None)


def opened(server: RedisServer, search: Search, **options: Any) -> RedisStore:
    return RedisStore(
        server.url, search=search, lookup_timeout_s=5.0, write_timeout_s=5.0, **options
    )


def placed(number: int, **fields: Any) -> Entry:
    return StoreContract().make_entry(number, **{"vector": VECTORS[number], **fields})


def near_to(store: RedisStore, number: int, limit: int) -> list[Entry]:
    """Return the entries nearest to the vector of that number, without theirs."""
    return [
        entry
        for entry, _ in store.find((), SCOPE, "an-encoder", unpack(VECTORS[number]), limit).near
    ]


def quiet(*rigs: Rig) -> bool:
    return not any(rig.seen.of(BackendFailed) for rig in rigs)


# --- what several processes serve


def test_one_learns_and_another_serves(join: Callable[..., Rig]) -> None:
    """An answer is served by another process to other words, and from memory the next time."""
    one, two = join(), join()
    one.ask(QUESTION, "in the garage")
    one.ask(OTHER, "nobody knows")
    found = two.ask(REWORDED, "asked again")
    assert isinstance(found, Hit)
    assert (found.tier, found.entry.payload) == ("semantic", b'"in the garage"')
    assert two.accel._built.tiers.near(found.entry.key) is not None
    assert isinstance(two.ask("where is the old painting", "asked"), Miss)
    assert quiet(one, two)


@pytest.mark.usefixtures("unprompted")
def test_a_lookup_is_one_command(join: Callable[..., Rig], hand: redis.Redis) -> None:
    """Whatever it finds, whoever searches, and whether or not the process has heard of the entry.

    Who finds nothing leads the flight with it, for all processes.
    """
    one, two = join(), join(cache={"memory": {"max_entries": 1}})
    for number in range(4):
        one.ask(f"what is the name of river{number}", f"river{number}")
    one.ask(QUESTION, "in the garage")
    one.ask(OTHER, "nobody knows")
    two.ask("what is asked before", "this", scope="another model")

    def asked(question: str) -> tuple[str, int]:
        with asked_of(hand) as commands:
            found = two.accel.cache.lookup(two.request(question))
        return found.tier if isinstance(found, Hit) else "miss", len(commands)

    for question in ("what is the name of river0", "WHAT is the name of river1?"):
        asked(question)  # scripts are made known
    assert asked("what is the name of river2") == ("exact", 1)
    assert asked("WHAT is the name of river3?") == ("semantic", 1)
    assert asked(OTHER_REWORDED) == ("semantic", 1)
    assert asked("how old is the ancient castle") == ("miss", 1)
    two.accel._built.tiers._known.clear()
    assert asked(QUESTION) == ("exact", 1)
    assert asked(QUESTION) == ("exact", 0)
    assert asked(REWORDED) == ("semantic", 1)


@pytest.mark.usefixtures("unprompted")
@pytest.mark.parametrize("asks", [{"semantic": {"enabled": False}}, {"text": "где мой синий зонт"}])
def test_what_is_not_compared_is_one_command_too(
    join: Callable[..., Rig], hand: redis.Redis, asks: dict[str, Any]
) -> None:
    """Nor is more needed where nothing is compared by meaning, or the encoder trusts no word."""
    semantic, text = asks.get("semantic", {"min_similarity": 0.9}), asks.get("text", QUESTION)
    one, two = join(semantic=semantic), join(semantic=semantic)
    one.ask(text, "in the garage")
    two.ask(f"{text} 1", "this", scope="another model")

    def asked(question: str) -> tuple[type, int]:
        with asked_of(hand) as commands:
            found = two.accel.cache.lookup(two.request(question))
        return type(found), len(commands)

    asked(f"{text} 2")  # scripts are made known
    assert asked(f"{text} 3") == (Miss, 1)
    assert asked(text) == (Hit, 1)


def test_invalidated_for_all(join: Callable[..., Rig]) -> None:
    """What one process invalidates no other serves, neither to its own words nor to others."""
    one, two = join(), join()
    one.ask(QUESTION, "in the garage")
    assert isinstance(two.ask(QUESTION, "asked again"), Hit)
    assert isinstance(one.ask(REWORDED, "asked again"), Hit)
    assert len(two.accel.invalidate()) == 1
    for rig in (one, two):
        for question in (QUESTION, REWORDED):
            found = rig.accel.cache.lookup(rig.request(question))
            assert isinstance(found, Miss)
            rig.accel.cache.abandon(found.flight)


def test_replaced_for_all(join: Callable[..., Rig]) -> None:
    """What one process answers anew all serve anew, also to other words."""
    one, two = join(), join()
    one.ask(QUESTION, "in the garage")
    assert isinstance(two.ask(REWORDED, "asked again"), Hit)
    two.ask(QUESTION, "in the street", refresh=True)
    for rig in (one, two):
        for question in (REWORDED, QUESTION):
            found = rig.ask(question, "asked again")
            assert isinstance(found, Hit)
            assert found.entry.payload == b'"in the street"'


def test_reported_wrong_for_all(join: Callable[..., Rig]) -> None:
    """What a user reported is served to its own words alone, by every process."""
    one, two = join(), join()
    one.ask(QUESTION, "in the garage")
    found = two.ask(REWORDED, "asked again")
    assert isinstance(found, Hit)
    assert two.accel._built.reports.wrong(found.entry.key, [b""])
    two.accel.flush()
    for rig in (one, two):
        assert isinstance(rig.ask(QUESTION, "asked again"), Hit)
        missed = rig.accel.cache.lookup(rig.request(REWORDED))
        assert isinstance(missed, Miss)
        rig.accel.cache.abandon(missed.flight)


def test_another_encoder_has_a_space_of_its_own(join: Callable[..., Rig]) -> None:
    """Processes with different encoders serve one another the same words, and no others."""
    other = HashEncoder()
    other.name = "all-MiniLM-L6-v2-of-another-kind"
    one, two = join(), join(encoder=other)
    one.ask(QUESTION, "in the garage")
    assert isinstance(two.ask(REWORDED, "on the roof"), Miss)
    found = one.ask(REWORDED, "asked again")
    assert isinstance(found, Hit)
    two.ask(OTHER, "nobody knows")
    assert isinstance(two.ask(OTHER_REWORDED, "asked again"), Hit)
    assert isinstance(one.ask(OTHER_REWORDED, "a painter"), Miss)


@pytest.mark.parametrize("prefix", ["a b", '-|"*?[x]', "é,@:\\n'", "$(x) {".strip(" {")])
def test_odd_prefixes(join: Callable[..., Rig], prefix: str) -> None:
    """Whatever characters a prefix has, entries are found under it and no other."""
    one, two = join(store={"prefix": prefix}), join(store={"prefix": prefix})
    else_ = join(store={"prefix": prefix + "x"})
    one.ask(QUESTION, "in the garage")
    one.ask(OTHER, "nobody knows")
    assert isinstance(two.ask(REWORDED, "asked again"), Hit)
    assert isinstance(two.ask(OTHER_REWORDED, "asked again"), Hit)
    assert isinstance(else_.ask(REWORDED, "asked"), Miss)
    assert quiet(one, two, else_)


def test_tenants_never_meet(servers: Callable[[Build], RedisServer], mode: Mode) -> None:
    """Whoever asks what, in whichever process and words: served is what the tenant was answered."""
    steps = st.lists(
        st.tuples(
            st.integers(0, 1), st.sampled_from(["a", "b", "a:b", ""]), st.integers(0, 2),
            st.booleans(),
        ),
        max_size=12,
    )  # fmt: skip
    server = servers(mode.build)

    @settings(
        max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(steps=steps)
    def run(steps: list[tuple[int, str, int, bool]]) -> None:
        with server.client() as client:
            client.flushall()
        store = {"kind": "redis", "url": server.url, "lookup_timeout_s": 5.0}
        store["search"] = mode.search
        with ExitStack() as close:
            rigs = [
                Rig(
                    colour="sync",
                    close=close,
                    semantic={"min_similarity": 0.9},
                    cache={"store": store},
                )
                for _ in range(2)
            ]
            for rig in rigs:
                rig.clock.now_s = time.time()
            for process, tenant, number, reworded in steps:
                question = f"where is thing{number} of the house"
                with rigs[process].accel.tenant(tenant or "nobody"):
                    asked = question.upper() if reworded else question
                    found = rigs[process].ask(asked, f"{tenant}'s {number}")
                if isinstance(found, Hit):
                    assert found.entry.payload == f'"{tenant}\'s {number}"'.encode()

    run()


# --- what becomes of a server


@pytest.mark.parametrize("mode", SEARCHING, indirect=True, ids=name_of)
def test_without_the_server_the_own_index_serves(make: Any, mode: Mode) -> None:
    """What this process stored itself it serves to other words while the server is away."""
    with RedisServer(mode.build) as server:
        store = {"kind": "redis", "url": server.url, "search": mode.search}
        one = make(semantic={"min_similarity": 0.9}, cache={"store": store})
        one.ask(QUESTION, "in the garage")
        server.kill()
        found = one.ask(REWORDED, "asked again")
        assert isinstance(found, Hit)
        assert found.tier == "semantic"


def test_data_lost_and_learned_again(join: Callable[..., Rig], hand: redis.Redis) -> None:
    """A server that lost everything, its index too, has nothing, and learns and finds anew."""
    one, two = join(), join()
    for number in range(3):
        one.ask(f"what is the name of river{number}", f"river{number}")
    assert isinstance(two.ask("WHAT is the name of river1?", "asked again"), Hit)
    hand.flushall()
    for rig in (one, two):
        rig.clock.advance(2.0)
    assert isinstance(two.ask("WHAT is the name of river1?", "asked anew"), Miss)
    two.ask("what is the name of river2", "learned again")
    found = one.ask("WHAT is the name of river2?", "asked again")
    assert isinstance(found, Hit)
    assert found.entry.payload == b'"learned again"'
    assert quiet(one, two)


@pytest.mark.parametrize("mode", SEARCHING, indirect=True, ids=name_of)
def test_a_server_that_restarts_empty(mode: Mode) -> None:
    """Its index is made again, and what is stored from then on is found."""
    with RedisServer(mode.build) as server, closing(opened(server, mode.search)) as store:
        store.save([placed(0), placed(1)])
        server.kill()
        server.start()
        with closing(opened(server, mode.search)) as other:
            other.save([placed(2), placed(3)])
            store.changes(0, 10)
            near = near_to(store, 2, 5)
            assert {entry.key for entry in near} == {digest(2), digest(3)}


@pytest.mark.parametrize("mode", SEARCHING, indirect=True, ids=name_of)
def test_processes_that_begin_at_once(server: RedisServer, mode: Mode) -> None:
    """Several may make the index at the same moment; one has it, and none complains."""
    events: list[Any] = []
    with ExitStack() as close:
        stores = [
            close.enter_context(closing(opened(server, mode.search, on_event=events.append)))
            for _ in range(6)
        ]
        with ThreadPoolExecutor(6) as threads:
            list(threads.map(lambda n: stores[n].save([placed(n)]), range(6)))
        for store in stores:
            assert len(near_to(store, 0, 9)) == 6
    assert events == []


# --- what is left behind, and what others wrote


@pytest.mark.parametrize("mode", [MODES[1]], indirect=True, ids=name_of)
def test_sets_begin_with_the_second_entry(server: RedisServer, hand: redis.Redis) -> None:
    """A scope of one entry has no set, one of several has; an empty one leaves nothing."""
    with closing(opened(server, "vector_sets")) as store:
        store.save([placed(0)])
        assert not list(hand.scan_iter("*near:*"))
        assert hand.hlen("{accel}:3:lone") == 1
        store.save([placed(1), placed(2)])
        (name,) = hand.scan_iter("*near:*")
        assert hand.execute_command("VCARD", name) == 2
        assert hand.pexpiretime(name) > 9_000_000_000_000
        store.remove([digest(number) for number in range(3)])
        assert not hand.exists(name, "{accel}:3:lone")


@pytest.mark.parametrize("mode", [MODES[1]], indirect=True, ids=name_of)
def test_vectors_without_entries_go_where_they_are_met(
    server: RedisServer, hand: redis.Redis
) -> None:
    """A search that meets what has no entry any more removes it, and says so."""
    events: list[Any] = []
    with closing(opened(server, "vector_sets", on_event=events.append)) as store:
        store.save([placed(number) for number in range(6)])
        hand.delete(b"{accel}:3:entry:" + digest(3))
        near = near_to(store, 3, 9)
        assert {entry.key for entry in near} == {digest(number) for number in (0, 1, 2, 4, 5)}
        assert events == [StoreSwept("redis", 0, 1)]
        near_to(store, 3, 9)
        assert len(events) == 1


@pytest.mark.parametrize("mode", [MODES[1]], indirect=True, ids=name_of)
def test_vectors_without_entries_are_swept(server: RedisServer, hand: redis.Redis) -> None:
    """Nobody need meet them: saving finds them little by little, also those of lone entries."""
    events: list[Any] = []
    with closing(opened(server, "vector_sets", on_event=events.append)) as store:
        store.save([placed(number) for number in range(6)])
        lonely = [placed(n, key=digest(f"lone {n}"), scope=digest(f"scope {n}")) for n in range(5)]
        store.save(lonely)
        for name in hand.scan_iter("*entry:*"):
            hand.delete(name)
        for _ in range(8):
            store.save([placed(19, scope=digest("elsewhere"))])
        assert sum(event.vectors for event in events if isinstance(event, StoreSwept)) == 11
        assert not list(hand.scan_iter("*near:*"))
        assert hand.hlen("{accel}:3:lone") == 1


@pytest.mark.parametrize("mode", SEARCHING, indirect=True, ids=name_of)
def test_expired_entries_are_cleaned_away(server: RedisServer, hand: redis.Redis) -> None:
    """What is past its time leaves with a later save, its vector too, and that is said."""
    events: list[Any] = []
    with closing(opened(server, "auto", on_event=events.append)) as store:
        store.save([placed(number) for number in range(4)])
        hand.zadd("{accel}:3:expiry", {digest(0): 1, digest(1): 1})
        store.save([placed(5)])
        near = near_to(store, 0, 9)
        assert {entry.key for entry in near} == {digest(2), digest(3), digest(5)}
        assert [event for event in events if isinstance(event, StoreSwept)] == [
            StoreSwept("redis", 2, 0)
        ]


@pytest.mark.parametrize("mode", SEARCHING[1:], indirect=True, ids=name_of)
def test_expired_neighbours_stand_for_no_others(server: RedisServer, hand: redis.Redis) -> None:
    """In a vector set what is past its time takes no place among the nearest."""
    with closing(opened(server, "vector_sets")) as store:
        store.save([placed(number) for number in range(12)])
        for number in range(8):
            # Kept for those who clean up; what is alive has more time than that left.
            hand.pexpire(b"{accel}:3:entry:" + digest(number), 100_000)
        near = near_to(store, 0, 4)
        assert {entry.key for entry in near} == {digest(number) for number in range(8, 12)}


@pytest.mark.parametrize("mode", SEARCHING, indirect=True, ids=name_of)
def test_stored_when_nothing_searched(server: RedisServer, mode: Mode) -> None:
    """Entries from before the server could search are found by meaning as others are saved."""
    events: list[Any] = []
    with closing(opened(server, "process")) as store:
        store.save([placed(number) for number in range(10)])
        store.remove([digest(9)])
    with closing(opened(server, mode.search, on_event=events.append)) as store:

        def found() -> set[bytes]:
            return {e.key for e in near_to(store, 3, 20)}

        assert found() == set()
        store.save([placed(10)])
        store.remove([digest(8)])
        assert found() == {digest(number) for number in (*range(8), 10)}
        store.save([placed(11)])
        with server.client() as client, asked_of(client) as asked:
            store.save([placed(12)])
        assert len([command for command in asked if "EVAL" in str(command).upper()]) == 1
    assert events == []


@pytest.mark.parametrize("mode", SEARCHING, indirect=True, ids=name_of)
def test_a_forged_place_is_not_served(server: RedisServer, hand: redis.Redis, mode: Mode) -> None:
    """An entry that somebody put where it does not belong is refused, with an event."""
    events: list[Any] = []
    with closing(opened(server, mode.search, on_event=events.append)) as store:
        foreign = [placed(n, key=digest(f"f{n}"), scope=digest("elsewhere")) for n in range(2)]
        store.save([placed(0), placed(1), *foreign])
        ours = hand.hget(b"{accel}:3:entry:" + digest(0), "place")
        hand.hset(b"{accel}:3:entry:" + digest("f0"), "place", ours)
        if mode.search == "vector_sets":
            name = b"{accel}:3:near:" + ours
            short = shortened(unit_vectors(1)[0]).tobytes()
            hand.execute_command("VADD", name, "FP32", short, digest("f0"), "Q8", "M", 8)
        near = near_to(store, 0, 9)
        assert {entry.key for entry in near} == {digest(0), digest(1)}
        assert [event.operation for event in events] == ["read"]


@settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
@given(data=st.data())
def test_whatever_somebody_writes(
    server: RedisServer, hand: redis.Redis, mode: Mode, data: st.DataObject
) -> None:
    """Values of any kind under any of our names fail no lookup, and serve nothing that is none."""
    hand.flushall()
    with closing(opened(server, mode.search)) as store:
        store.save([placed(number) for number in range(3)])
    names = sorted(hand.scan_iter())
    events: list[Any] = []
    for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3)):
        junk = data.draw(st.binary(max_size=40))
        kind = data.draw(st.sampled_from(["string", "list", "zset", "field", "cut", "gone"]))
        _spoil(hand, name, kind, junk)
    store = opened(server, mode.search, on_event=events.append)
    with ExitStack() as close:
        rig = Rig(
            colour="sync", close=close, semantic={"min_similarity": 0.9}, store=store,
            cache={"single_flight": {"enabled": False}},
        )  # fmt: skip
        assert isinstance(rig.accel.cache.lookup(rig.request(QUESTION)), Miss)
        tiers, io = rig.accel._built.tiers, rig.accel._built.colours[0]
        ours = [placed(number) for number in range(3)]
        kept = blocking.run(tiers.find_many(io, [entry.key for entry in ours]))
        assert all(entry in ours for entry in store.fetch_many(kept).values())
        if mode.on_server:
            near = store.find((digest(0),), SCOPE, "an-encoder", unpack(VECTORS[0]), 5)
            there = [*near.exact, *(entry for entry, _ in near.near)]
            assert all(entry in map(bare, ours) for entry in there)


def _spoil(hand: redis.Redis, name: bytes, kind: str, junk: bytes) -> None:
    hashed = hand.type(name) == b"hash"
    if kind == "field" and hashed:
        field = sorted(hand.hkeys(name))[0]
        hand.hset(name, field, junk)
    elif kind == "cut" and hashed:
        for field, value in hand.hgetall(name).items():
            hand.hset(name, field, value[: len(value) // 2])
    else:
        hand.delete(name)
        if kind == "string":
            hand.set(name, junk)
        elif kind == "list":
            hand.rpush(name, junk)
        elif kind == "zset":
            hand.zadd(name, {junk: 1.0})


# --- which server can what


@pytest.mark.parametrize(
    ("build", "database", "expected"),
    [
        (REDIS_7, 0, "process"),
        (VALKEY_8, 0, "process"),
        (REDIS_8, 0, "query_engine"),
        (REDIS_8, 1, "vector_sets"),
        (REDIS_8._replace(search=False), 0, "vector_sets"),
    ],
)
def test_abilities_are_detected(
    servers: Callable[[Build], RedisServer], build: Build, database: int, expected: str
) -> None:
    """The query engine first, then vector sets; where there is neither, that is said once."""
    server, events = servers(build), []
    with server.client() as client:
        client.flushall()
    url = server.url.removesuffix("0") + str(database)
    with closing(RedisStore(url, on_event=events.append, lookup_timeout_s=5.0)) as store:
        assert store._search.by == expected
        store.save([placed(0), placed(1)])
        if expected == "process":
            assert [type(event) for event in events] == [SearchUnavailable]
            assert events[0].missing.count("the server has none") == 2
            assert "Redis 8" in events[0].remedy
        else:
            assert events == []
            assert len(near_to(store, 0, 3)) == 2


def test_missing_rights_are_told_from_a_missing_ability(
    servers: Callable[[Build], RedisServer],
) -> None:
    """On a server that could search for a user with more rights, these are the remedy."""
    server, events = servers(REDIS_8), []
    with server.client() as client:
        client.execute_command(
            "ACL", "SETUSER", "app", "reset", "on", ">pass", *rights("everything")
        )
    url = server.url.replace("redis://", "redis://app:pass@")
    with closing(RedisStore(url, on_event=events.append, lookup_timeout_s=5.0)):
        found = [event for event in events if isinstance(event, SearchUnavailable)]
    assert len(found) == 1
    assert "rights" in found[0].remedy


@pytest.mark.parametrize("search", ["query_engine", "vector_sets"])
def test_what_is_pinned_and_absent(
    make: Any, servers: Callable[[Build], RedisServer], search: str
) -> None:
    """It is said with the remedy, no call fails, and answers are shared by the same words."""
    server = servers(REDIS_7)
    with server.client() as client:
        client.flushall()
    store = {"kind": "redis", "url": server.url, "lookup_timeout_s": 5.0, "search": search}
    one, two = (make(semantic={"min_similarity": 0.9}, cache={"store": store}) for _ in range(2))
    for rig in (one, two):
        rig.clock.now_s = time.time()
    one.ask(QUESTION, "in the garage")
    assert isinstance(two.ask(QUESTION, "asked again"), Hit)
    assert isinstance(two.ask(OTHER, "nobody knows"), Miss)
    said = one.seen.of(BackendFailed)[0]
    assert search in said.error
    assert "cache.store.search" in said.error


def test_entries_of_an_older_format_are_a_miss(
    server: RedisServer, hand: redis.Redis, mode: Mode
) -> None:
    """What an older version of this package left is neither served nor in the way."""
    hand.set("{accel}:1:entry:" + digest(0).hex(), b"\x01" * 200)
    hand.zadd("{accel}:1:order", {digest(0).hex(): 1.0})
    with closing(opened(server, mode.search)) as store:
        assert store.fetch(digest(0)) is None
        store.save([replace(placed(0), payload=b"[2]")])
        found = store.fetch(digest(0))
        assert found is not None
        assert found.payload == b"[2]"


# --- leases that a search takes


@pytest.fixture
def leased(server: RedisServer, mode: Mode) -> Iterator[RedisStore]:
    """A store that holds three entries of the scope."""
    with closing(opened(server, mode.search)) as store:
        store.save([placed(0), placed(1), placed(2)])
        yield store


def wanted(below: float) -> Wanted:
    return Wanted(b"name", digest("new"), 60.0, below)


@pytest.mark.parametrize("mode", SEARCHING, indirect=True, ids=name_of)
def test_a_search_takes_the_lease_where_nothing_is_near(
    leased: RedisStore, server: RedisServer, mode: Mode
) -> None:
    """Who finds nothing near leads with the same command, and is told the nearest there is."""
    near_to(leased, 5, 3)  # now the server knows the script
    with server.client() as client, asked_of(client) as asked:
        found = leased.find(
            (digest("new"),), SCOPE, "an-encoder", unpack(VECTORS[5]), 3, wanted=wanted(0.9)
        )
    assert len(asked) == 1
    assert isinstance(found.claimed, Lease)
    assert (found.claimed.name, found.claimed.key) == (b"name", digest("new"))
    assert len(found.near) == 1
    nearest = max(range(3), key=lambda n: cosine(VECTORS[n], unpack(VECTORS[5])) or 0.0)
    assert [entry for entry, _ in found.near] == [bare(placed(nearest))]
    with closing(opened(server, mode.search)) as other:
        assert isinstance(other.claim(b"name", digest("new"), 60.0), Future)
        leased.end(found.claimed, declined=False)


@pytest.mark.parametrize("mode", SEARCHING, indirect=True, ids=name_of)
@pytest.mark.parametrize("number", range(3))
def test_a_search_takes_no_lease_where_something_is_near(
    leased: RedisStore, mode: Mode, number: int
) -> None:
    """Whatever might be served, in a set or beside one, leaves the lease to who asks last."""
    vector = VECTORS[number]
    near = leased.find((), SCOPE, "an-encoder", unpack(vector), 3, wanted=wanted(0.9))
    assert near.claimed is None
    assert len(near.near) == 3
    found = leased.find(
        (digest(0),), SCOPE, "an-encoder", unpack(VECTORS[5]), 3, wanted=wanted(0.9)
    )
    assert (found.exact, found.claimed) == ([bare(placed(0))], None)
    there = Wanted(b"name", digest(0), 60.0, 0.9)
    assert leased.find((), SCOPE, "an-encoder", unpack(VECTORS[5]), 3, wanted=there).claimed is None


@pytest.mark.parametrize("mode", SEARCHING, indirect=True, ids=name_of)
def test_spare_neighbours_come_where_they_may_be_near_enough(
    leased: RedisStore, mode: Mode
) -> None:
    """Where a lease is wanted, those that could not be served stay on the server."""

    def found(wanted: Wanted | None) -> set[bytes]:
        near = leased.find(
            (), SCOPE, "an-encoder", unpack(VECTORS[1]), 1, spare=2, wanted=wanted
        ).near
        return {entry.key for entry, _ in near}

    everything = {digest(number) for number in range(3)}
    alone = {digest(0)} if mode.search == "vector_sets" else set()
    assert found(wanted(0.9)) == {digest(1)} | alone
    assert found(wanted(-0.5)) == found(None) == everything


@pytest.mark.parametrize("mode", SEARCHING, indirect=True, ids=name_of)
def test_a_search_that_meets_a_lease(leased: RedisStore, server: RedisServer, mode: Mode) -> None:
    """Where another process leads, the search only finds; who listens already is lined up, too."""

    def claimed(store: RedisStore, name: bytes) -> Any:
        asked = Wanted(name, digest("new"), 60.0, 0.9)
        return store.find((), SCOPE, "an-encoder", unpack(VECTORS[5]), 3, wanted=asked).claimed

    with closing(opened(server, mode.search)) as other:
        leases = [claimed(leased, name) for name in (b"one", b"two")]
        assert claimed(other, b"one") is None
        assert isinstance(other.claim(b"one", digest("new"), 60.0), Future)
        landing = claimed(other, b"two")
        assert isinstance(landing, Future)
        leased.end(leases[1], declined=True)
        assert landing.result(10.0) is True
        leased.end(leases[0], declined=False)


@pytest.mark.parametrize("mode", SEARCHING, indirect=True, ids=name_of)
def test_a_lease_that_cannot_be_taken_harms_no_search(
    leased: RedisStore, hand: redis.Redis, mode: Mode
) -> None:
    """Where its name is somebody else's the search finds what there is, and claims nothing."""
    hand.set(leased._names.flight(b"name"), "text")
    found = leased.find((), SCOPE, "an-encoder", unpack(VECTORS[5]), 3, wanted=wanted(0.9))
    assert found.claimed is None
    assert len(found.near) == 3
