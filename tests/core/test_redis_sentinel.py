"""A store whose master is named by Sentinel, and another one after a failover."""

from __future__ import annotations

import subprocess
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.sentinel import Sentinel

from accel_core.errors import StoreError
from accel_core.store.redis_store import RedisStore
from accel_core.testing.stores import StoreContract, digest
from tests.redis_server import RedisServer, free_port
from tools.redis_servers import BUILDS, command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(60)

WAIT_S = 30.0
entry = StoreContract().make_entry


@contextmanager
def watching(master: RedisServer, folder: Path) -> Iterator[redis.Redis]:
    """Run a Sentinel that watches `master` as the service ``one``; give a client of it."""
    port, settings = free_port(), folder / "sentinel.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\nsentinel monitor one 127.0.0.1 {master.port} 1\n"
    )
    start = command(BUILDS[0])
    assert start is not None
    with subprocess.Popen(
        [*start, str(settings), "--sentinel"], stdout=subprocess.DEVNULL
    ) as process:
        try:
            with redis.Redis(port=port) as client:
                until(client.ping)
                yield client
        finally:
            process.kill()


def until(told: Callable[[], Any]) -> None:
    """Ask until the answer is true."""
    given_up_s = time.monotonic() + WAIT_S
    while time.monotonic() < given_up_s:
        try:
            if told():
                return
        except (redis.RedisError, StoreError):
            continue
    raise AssertionError("it never came to be")


def test_the_master_is_followed(tmp_path: Path) -> None:
    """The store is at the master that Sentinel names, and goes on at the next one."""
    with (
        RedisServer(BUILDS[0]) as one,
        RedisServer(BUILDS[0]) as two,
        two.client() as hand,
        watching(one, tmp_path) as sentinel,
    ):
        named = Sentinel([("127.0.0.1", port_of(sentinel))], socket_timeout=5.0)
        with closing(RedisStore(named.master_for("one"), lookup_timeout_s=5.0)) as store:
            assert repr(store).startswith("RedisStore(service='one'")
            store.save([entry("one")])
            assert store.fetch(digest("one")) == entry("one")
            sentinel.execute_command("SENTINEL", "REMOVE", "one")
            sentinel.execute_command("SENTINEL", "MONITOR", "one", "127.0.0.1", two.port, 1)
            one.kill()
            until(lambda: store.save([entry("two")]) is None)
            assert hand.exists(b"{accel}:3:entry:" + digest("two"))
            assert store.fetch(digest("two")) == entry("two")


def port_of(client: redis.Redis) -> int:
    port: int = client.connection_pool.connection_kwargs["port"]
    return port
