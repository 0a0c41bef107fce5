"""A cluster for tests, and all servers that what keeps entries or levels there is tested on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.redis_server import RedisServer
from tools import redis_cluster
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from typing import TypeAlias

    from tools.redis_servers import Build


class ClusterOfServers(redis_cluster.ClusterOfServers):
    """A cluster that runs until it is left; without its servers, the test is skipped."""

    node = RedisServer


Running: TypeAlias = "RedisServer | ClusterOfServers"

SERVERS: list[Build | None] = [*BUILDS, None]
"""None: a cluster."""


def name_of(build: Build | None) -> str:
    """Return the name of one of `SERVERS`."""
    return build.name if build else "cluster"


def running_server(build: Build | None) -> Running:
    """Return one of `SERVERS`, to be entered."""
    # So that no node of a busy machine is taken for lost.
    patient = {"cluster-node-timeout": "15000"}
    return RedisServer(build) if build else ClusterOfServers(BUILDS[1], **patient)
