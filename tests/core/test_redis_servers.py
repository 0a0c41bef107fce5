"""The servers that tests of Redis run against are the ones they are taken for."""

from __future__ import annotations

import pytest

from tests.redis_server import RedisServer
from tools.redis_servers import BUILDS, Build


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
def test_server(build: Build) -> None:
    """Each answers with its own version, and the newest Redis with both ways to search vectors."""
    with RedisServer(build) as server, server.client() as client:
        told = client.info("server")
        version = told.get("valkey_version", told["redis_version"])
        assert version.split(".")[0] == build.name.split("-")[1]
        if build.search:
            client.execute_command("VADD", "set", "VALUES", 2, 0.6, 0.8, "element")
            client.execute_command("FT.CREATE", "index", "SCHEMA", "tag", "TAG")
            assert client.execute_command("VSIM", "set", "ELE", "element") == [b"element"]
            assert client.execute_command("FT._LIST") == [b"index"]
