"""Servers for tests: one that is not there makes its tests say so and skip, or fail.

They fail where ``ACCEL_REQUIRE_SERVERS`` is set.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tools import redis_server
from tools.redis_server import ServerMissingError, free_port

if TYPE_CHECKING:
    from tools.redis_servers import Build

__all__ = ["RedisServer", "free_port"]


class RedisServer(redis_server.RedisServer):
    """A server of `build` that runs until it is left; without it, the test is skipped."""

    def __init__(self, build: Build, **settings: str) -> None:
        try:
            super().__init__(build, **settings)
        except ServerMissingError as missing:
            required = os.environ.get("ACCEL_REQUIRE_SERVERS")
            pytest.fail(str(missing)) if required else pytest.skip(str(missing))
