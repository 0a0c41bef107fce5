"""Levels in this process, and on a server of the tests', keep every promise of the port."""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING

import pytest

from accel_core.policy.limits.levels import Levels
from accel_core.testing.limit_stores import LimitStoreContract, SharedLimitStoreContract
from tests.redis_cluster import SERVERS, name_of, running_server
from tests.shared_levels import RemoteLevels, Server
from tests.stepped_levels import stepped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.store.redis_levels import RedisLevels
    from accel_core.testing.doubles import ManualClock
    from accel_core.testing.limit_stores import Stores
    from tests.redis_cluster import Running


class TestLevels(LimitStoreContract):
    @pytest.fixture
    def stores(self) -> Stores:
        def make() -> tuple[Levels, Levels]:
            levels = Levels()
            return levels, levels

        return make


class TestRemoteLevels(SharedLimitStoreContract):
    @pytest.fixture
    def stores(self, clock: ManualClock) -> Stores:
        def make() -> tuple[RemoteLevels, RemoteLevels]:
            server = Server(lambda: clock.now_s)
            return RemoteLevels(server), RemoteLevels(server)

        return make


@pytest.fixture(scope="module", params=SERVERS, ids=name_of)
def server(request: pytest.FixtureRequest) -> Iterator[Running]:
    with running_server(request.param) as server:
        yield server


class TestRedisLevels(SharedLimitStoreContract):
    @pytest.fixture
    def made(self, server: Running) -> Iterator[tuple[ManualClock, Callable[..., RedisLevels]]]:
        with stepped(server) as made:
            yield made

    @pytest.fixture
    def clock(self, made: tuple[ManualClock, Callable[..., RedisLevels]]) -> ManualClock:
        return made[0]

    @pytest.fixture
    def stores(self, made: tuple[ManualClock, Callable[..., RedisLevels]]) -> Stores:
        def make() -> tuple[RedisLevels, RedisLevels]:
            name = token_hex(8)
            return made[1](name), made[1](name)

        return make
