"""A store in a Redis Cluster: found from any node, followed when it moves, and when it is lost."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio

from accel_core.errors import StoreUnavailableError
from accel_core.events import BackendFailed
from accel_core.policy.limits.charge import Charge
from accel_core.policy.limits.limit_store import Limit
from accel_core.ports import Selector
from accel_core.store.redis_access import Address
from accel_core.store.redis_levels import RedisLevels
from accel_core.store.redis_store import RedisStore
from accel_core.testing.doubles import ManualClock, RecordingObserver
from accel_core.testing.stores import StoreContract, digest
from tests.redis_cluster import ClusterOfServers
from tests.redis_rights import rights
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

entry = StoreContract().make_entry

PREFIXES = ("accel", "one", "two", "three", "four")
DEADLINE_S, BACK_S = 0.05, 20.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterOfServers]:
    with ClusterOfServers(BUILDS[0]) as cluster:
        yield cluster


@pytest.fixture
def empty(cluster: ClusterOfServers) -> ClusterOfServers:
    for node in cluster.nodes:
        cluster.ask(node, "FLUSHALL")
    return cluster


def opened(server: Any, **options: Any) -> RedisStore:
    options = {"lookup_timeout_s": 5.0, "write_timeout_s": 5.0, "search": "process", **options}
    return RedisStore(server, mono_now=ManualClock().clocks().mono_now, **options)


def sync_client(cluster: ClusterOfServers) -> Any:
    return redis.RedisCluster.from_url(cluster.url)


def async_client(cluster: ClusterOfServers) -> Any:
    async def make() -> Any:
        return redis.asyncio.RedisCluster.from_url(cluster.url)

    return asyncio.run(make())


@pytest.mark.parametrize("client", [sync_client, async_client], ids=lambda f: f.__name__)
def test_a_cluster_client_is_taken_over(
    empty: ClusterOfServers, client: Callable[[ClusterOfServers], Any]
) -> None:
    """A cluster's client, of either colour, says where: what one saves the URL's store finds."""
    with closing(opened(client(empty))) as store, closing(opened(empty.url)) as other:
        other.changes(0, 10)
        store.save([entry()])
        assert other.stirred()
        assert other.fetch(digest("one")) == entry()


def test_every_prefix_is_whole_on_one_node(empty: ClusterOfServers) -> None:
    """Whatever node a prefix falls to, it can do it all, from a URL of any node."""
    for prefix in PREFIXES:
        for node in empty.nodes:
            seen = RecordingObserver()
            with closing(opened(node.url, prefix=prefix, on_event=seen)) as store:
                store.changes(0, 10)
                assert not store.stirred()
                store.save([entry()])
                assert store.fetch(digest("one")) == entry()
                store.add_change(b"corpus", {b"document"})
                assert store.read_changes(b"corpus", 0).revision > 0
                assert store.remove(store.select(Selector(tag="faq"))) == 1
                assert seen.of(BackendFailed) == []
    assert len({empty.owner(prefix).port for prefix in PREFIXES}) == 3


def test_an_address_remapped_is_followed(empty: ClusterOfServers) -> None:
    """Where a client says that nodes are reached elsewhere than they say, so does its store."""
    client = redis.RedisCluster.from_url(
        empty.url, address_remap=lambda address: ("localhost", address[1])
    )
    with closing(opened(client)) as store:
        store.save([entry()])
        assert store._link.home == Address("localhost", empty.owner("accel").port)


def test_a_user_of_its_own_is_enough(empty: ClusterOfServers) -> None:
    """A user with the rights that the documentation names can do it all, and knows all nodes."""
    for node in empty.nodes:
        user = ("app", "reset", "on", ">pass", *rights("everything"), *rights("a cluster"))
        empty.ask(node, "ACL", "SETUSER", *user)
    seen = RecordingObserver()
    url = empty.url.replace("redis://", "redis://app:pass@")
    with closing(opened(url, on_event=seen)) as store, closing(opened(url)) as other:
        other.changes(0, 10)
        store.save([entry()])
        assert other.stirred()
        assert other.fetch(digest("one")) == entry()
        assert {node.port for node in store._link._known} == {node.port for node in empty.nodes}
        assert seen.events == []
        assert "pass" not in repr(store)


def test_a_slot_that_moves_is_followed(empty: ClusterOfServers) -> None:
    """Entries are found where their slot went, and news are heard from there."""
    with closing(opened(empty.url)) as store, closing(opened(empty.url)) as other:
        store.save([entry()])
        revision = other.changes(0, 10).revision
        empty.move("accel")
        assert other.fetch(digest("one")) == entry()
        # Its news were of the old node.
        assert other.stirred()
        revision = other.changes(revision, 10).revision
        assert not other.stirred()
        store.save([entry("two")])
        assert other.stirred()
        assert [found.key for found in other.changes(revision, 10).located] == [digest("two")]


def test_a_slot_on_its_way_is_asked_for_at_both_ends(empty: ClusterOfServers) -> None:
    """While a slot moves, an entry is found at whichever end it is."""
    with closing(opened(empty.url)) as store:
        store.save([entry("gone ahead"), entry("not yet")])
        old, new = empty.begin_move("accel")
        name = "{accel}:1:entry:" + digest("gone ahead").hex()
        empty.carry(old, new, [name])
        assert store.fetch(digest("gone ahead")) == entry("gone ahead")
        assert store.fetch(digest("not yet")) == entry("not yet")
        empty.end_move("accel", old, new)
        assert store.fetch(digest("not yet")) == entry("not yet")
        assert store.remove([digest("gone ahead"), digest("not yet")]) == 2


def test_levels_in_a_cluster(empty: ClusterOfServers) -> None:
    """Processes share a limit's levels there, wherever its names are."""
    limit = Limit(0, 60.0, 10.0, 10.0 / 60.0)
    for prefix in PREFIXES:
        pair = [RedisLevels(empty.url, "key", prefix=prefix, timeout_s=5.0) for _ in range(2)]
        for levels in pair:
            levels.shape([limit], 0.0)
        given = [levels.reserve(Charge(requests=6.0), 0.0, 0.0).wait_s for levels in pair]
        assert given[0] == 0.0
        assert given[1] > 0.0
        for levels in pair:
            levels.close()


def test_a_master_lost_and_back(cluster: ClusterOfServers) -> None:
    """While the slot's only master is away every call fails in time; afterwards all is shared."""
    bounds = {"lookup_timeout_s": DEADLINE_S, "write_timeout_s": DEADLINE_S}
    with closing(opened(cluster.url, **bounds)) as store:
        store.save([entry()])
        owner = cluster.owner("accel")
        owner.kill()
        for _ in range(8):
            began_s = time.monotonic()
            with pytest.raises(StoreUnavailableError):
                store.fetch(digest("one"))
            assert time.monotonic() - began_s < 3 * DEADLINE_S + 0.25
        owner.start()
        _until(lambda: store.save([entry()]))
        assert store.fetch(digest("one")) == entry()
        assert store._link.home == Address("127.0.0.1", owner.port)


def test_a_replica_takes_over() -> None:
    """Where a master is replaced by its replica, the store is found there, with its entries."""
    with ClusterOfServers(BUILDS[0], replicas=1) as cluster:
        bounds = {"lookup_timeout_s": 0.2, "write_timeout_s": 0.2}
        with closing(opened(cluster.url, **bounds)) as store:
            store.save([entry()])
            owner = cluster.owner("accel")
            with owner.client() as client:
                client.wait(1, 5_000)
            owner.kill()
            _until(lambda: store.save([entry("two")]))
            assert store.fetch(digest("one")) == entry()
            store.changes(0, 10)
            assert not store.stirred()


def _until(done: Callable[[], object]) -> None:
    """Try until the cluster has agreed on what happened to it."""
    deadline_s = time.monotonic() + BACK_S
    while True:
        try:
            done()
        except StoreUnavailableError:
            assert time.monotonic() < deadline_s
        else:
            return
