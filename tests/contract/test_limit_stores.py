"""Levels in this process, and on a server of the tests', keep every promise of the port."""

from __future__ import annotations

from contextlib import ExitStack, closing
from secrets import token_hex
from typing import TYPE_CHECKING

import pytest

from accel_core.policy.limits.levels import Levels
from accel_core.store import redis_levels
from accel_core.store.redis_levels import RedisLevels
from accel_core.store.redis_scripts import Script
from accel_core.testing.doubles import ManualClock
from accel_core.testing.limit_stores import LimitStoreContract, SharedLimitStoreContract
from tests.redis_cluster import SERVERS, name_of, running_server
from tests.shared_levels import RemoteLevels, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

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


_TIME = "{accel}:time"


class ServersClock(ManualClock):
    """What a server's clock shows, kept on the server: the scripts read it there instead."""

    def __init__(self, server: Running) -> None:
        self._client = server.client()
        super().__init__(5_000.0)
        self._show()

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        self._show()

    def close(self) -> None:
        self._client.close()

    def _show(self) -> None:
        shown = (0, repr(self.now_s * 1e6))
        self._client.pipeline().delete(_TIME).rpush(_TIME, *shown).execute()


@pytest.fixture(scope="module", params=SERVERS, ids=name_of)
def server(request: pytest.FixtureRequest) -> Iterator[Running]:
    with running_server(request.param) as server:
        yield server


class TestRedisLevels(SharedLimitStoreContract):
    @pytest.fixture
    def clock(self, server: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[ManualClock]:
        stepped = redis_levels.RESERVE.text.replace(
            "redis.call('TIME')", f"redis.call('LRANGE', '{_TIME}', 0, 1)"
        )
        monkeypatch.setattr(redis_levels, "RESERVE", Script(stepped))
        with closing(ServersClock(server)) as clock:
            yield clock

    @pytest.fixture
    def stores(self, server: Running, clock: ManualClock) -> Iterator[Stores]:
        url = server.url
        with ExitStack() as close:

            def make() -> tuple[RedisLevels, RedisLevels]:
                name = token_hex(8)
                pair = [RedisLevels(url, name, timeout_s=10.0) for _ in range(2)]
                for one in pair:
                    close.callback(one.close)
                return pair[0], pair[1]

            yield make
