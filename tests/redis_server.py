"""Servers for tests: one that is not there makes its tests say so and skip, or fail.

They fail where ``ACCEL_REQUIRE_SERVERS`` is set.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tools import redis_server
from tools.redis_server import ServerMissingError, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from tools.redis_servers import Build

__all__ = ["RedisServer", "asked_of", "free_port"]


class RedisServer(redis_server.RedisServer):
    """A server of `build` that runs until it is left; without it, the test is skipped."""

    def __init__(self, build: Build, **settings: str) -> None:
        try:
            super().__init__(build, **settings)
        except ServerMissingError as missing:
            required = os.environ.get("ACCEL_REQUIRE_SERVERS")
            pytest.fail(str(missing)) if required else pytest.skip(str(missing))


@contextmanager
def asked_of(client: redis.Redis) -> Iterator[list[str]]:
    """Collect the names of the commands that the server is sent; a script counts as one."""
    asked: list[str] = []
    with client.monitor() as monitor:
        client.echo("from here")
        yield asked
        client.echo("to here")
        echoes = 0
        for command in monitor.listen():
            name, *_ = command["command"].split()
            echoes += name == "ECHO"
            if echoes == 2:
                return
            if echoes and name != "ECHO" and command["client_type"] != "lua":
                asked.append(name)
