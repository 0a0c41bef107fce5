"""Every store keeps every promise of the ports, Redis on every server that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accel_core.policy.seal import Seal
from accel_core.store.memory import MemoryStore
from accel_core.store.redis_store import RedisStore
from accel_core.store.sqlite import SqliteStore
from accel_core.testing.change_logs import ChangeLogContract
from accel_core.testing.doubles import ManualClock
from accel_core.testing.searching_stores import SearchingStoreContract
from accel_core.testing.shared_flights import SharedFlightsContract
from accel_core.testing.shared_stores import SharedStoreContract
from accel_core.testing.stores import StoreContract
from tests.redis_cluster import SERVERS, name_of, running_server
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from accel_core.store.redis_search import Search
    from tests.redis_cluster import Running


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> Iterator[MemoryStore]:
        store = MemoryStore()
        yield store
        store.close()


@pytest.mark.parametrize("seal", [Seal(), Seal(b"k" * 32)], ids=["plain", "sealed"])
class TestSqliteStore(SharedStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path, seal: Seal) -> Iterator[SqliteStore]:
        store = SqliteStore(tmp_path / "accel.db", seal=seal)
        yield store
        store.close()

    @pytest.fixture
    def other(self, tmp_path: Path, seal: Seal, store: SqliteStore) -> Iterator[SqliteStore]:
        other = SqliteStore(tmp_path / "accel.db", seal=seal)
        yield other
        other.close()


class TestChangesInSqlite(ChangeLogContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[SqliteStore]:
        store = SqliteStore(tmp_path / "accel.db")
        yield store
        store.close()

    @pytest.fixture
    def other(self, tmp_path: Path, log: SqliteStore) -> Iterator[SqliteStore]:
        other = SqliteStore(tmp_path / "accel.db")
        yield other
        other.close()


@pytest.fixture(scope="module", params=SERVERS, ids=name_of)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    with running_server(request.param) as server:
        yield server


@pytest.fixture
def server(running: Running) -> Running:
    """One that holds nothing."""
    with running.client() as client:
        client.flushall()
    return running


def redis_store(
    server: Running, seal: Seal | None = None, search: Search = "process"
) -> RedisStore:
    # Time stands still, and the machine may be slow: nothing is asked again, or given up.
    return RedisStore(
        server.url,
        seal=seal,
        search=search,
        lookup_timeout_s=10,
        write_timeout_s=10,
        mono_now=ManualClock().clocks().mono_now,
    )


class TestRedisStore(SharedStoreContract):
    @pytest.fixture
    def seal(self, running: Running) -> Seal:
        """Half of the servers keep sealed entries: whether they are is no matter of theirs."""
        return Seal(b"k" * 32) if running.build.search else Seal()

    @pytest.fixture
    def store(self, server: Running, seal: Seal) -> Iterator[RedisStore]:
        store = redis_store(server, seal)
        yield store
        store.close()

    @pytest.fixture
    def other(self, server: Running, seal: Seal, store: RedisStore) -> Iterator[RedisStore]:
        other = redis_store(server, seal)
        yield other
        other.close()


@pytest.mark.parametrize("running", [BUILDS[1], None], indirect=True, ids=name_of)
@pytest.mark.parametrize("search", ["query_engine", "vector_sets"])
class TestSearchInRedis(SearchingStoreContract):
    @pytest.fixture
    def store(self, server: Running, search: Search) -> Iterator[RedisStore]:
        store = redis_store(server, Seal(b"k" * 32), search)
        yield store
        store.close()

    @pytest.fixture
    def other(self, server: Running, search: Search, store: RedisStore) -> Iterator[RedisStore]:
        other = redis_store(server, Seal(b"k" * 32), search)
        yield other
        other.close()


class TestChangesInRedis(ChangeLogContract):
    @pytest.fixture
    def log(self, server: Running) -> Iterator[RedisStore]:
        store = redis_store(server)
        yield store
        store.close()

    @pytest.fixture
    def other(self, server: Running, log: RedisStore) -> Iterator[RedisStore]:
        other = redis_store(server)
        yield other
        other.close()


class TestFlightsInRedis(SharedFlightsContract):
    @pytest.fixture
    def flights(self, server: Running) -> Iterator[RedisStore]:
        store = redis_store(server)
        yield store
        store.close()

    @pytest.fixture
    def other(self, server: Running, flights: RedisStore) -> Iterator[RedisStore]:
        other = redis_store(server)
        yield other
        other.close()

    @pytest.fixture
    def third(self, server: Running, flights: RedisStore) -> Iterator[RedisStore]:
        third = redis_store(server)
        yield third
        third.close()
