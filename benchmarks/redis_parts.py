"""What the rows of the group ``redis`` share: servers, processes that share one, its counters."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from accel_core.accel import Accel
from accel_core.config import from_mapping
from benchmarks import cache_parts as parts
from benchmarks.harness import UnavailableError
from tools.redis_server import RedisServer, ServerMissingError
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from accel_core.ports import Encoder

SEARCHING = next(build for build in BUILDS if build.search)
"""The server that has the query engine and vector sets."""

DISTANCE = 1 - float(parts.PLAIN["min_similarity"])
"""How far apart peers let texts be: what `cache_parts.PLAIN` is as a cosine distance."""

_TTL_S = 86_400
_STILL = 5
_PATIENCE_S = 5.0  # not the deadline is measured here, and machines are busy


@contextmanager
def running(**settings: str) -> Iterator[RedisServer]:
    """Run a server of its own, with both ways to search.

    Raises:
        UnavailableError: it has not been obtained.
    """
    try:
        server = RedisServer(SEARCHING, **settings)
    except ServerMissingError as missing:
        raise UnavailableError(str(missing)) from missing
    with server:
        yield server


def joined(
    url: str,
    encoder: Encoder,
    *,
    search: str | None = None,
    semantic: dict[str, Any] | None = None,
    memory_entries: int = 100_000,
    waits_s: float = 30.0,
    **options: Any,
) -> Accel:
    """Return what a process that shares a server has; leave it when done.

    Args:
        url: the server's.
        encoder: of its questions.
        search: who searches by meaning, as ``cache.store.search`` has it; None: whoever can.
        semantic: the decision; None: the shipped one.
        memory_entries: how many answers stay in the process.
        waits_s: how long a call waits for another one that asks the same.
        options: further ones of `Accel`.
    """
    store = {
        "kind": "redis",
        "url": url,
        "max_entries": 10_000_000,
        "lookup_timeout_s": _PATIENCE_S,
    }
    if search is not None:
        store["search"] = search
    memory = {"max_entries": memory_entries, "max_bytes": 1 << 40}
    cache = {
        "store": store,
        "memory": memory,
        "semantic": semantic or {},
        "single_flight": {"lease_s": waits_s},
        "ttl": {"base_s": _TTL_S},
    }
    return Accel(from_mapping({"cache": cache}), encoder=encoder, **options)


def settle(accel: Accel, server: RedisServer, text: str) -> None:
    """Let `accel` learn what others did, until it asks `server` no more.

    Args:
        accel: of a process that has just begun.
        server: what it shares; nobody else asks it now.
        text: asked on the way, to no avail.
    """
    assert not parts.look_up(accel, text), "only what nobody stored changes nothing"
    with server.client() as client:
        before, now = -1, 0
        while now != before + _STILL + 1:
            accel.flush()
            before, now = now, quiet(client)


def requests(client: redis.Redis) -> int:
    """Return how often the server was sent something so far, this question included.

    One arrival is one round trip of whoever waits for the answer, however many commands are in it.
    """
    return int(client.info("stats")["total_reads_processed"])


def quiet(client: redis.Redis) -> int:
    """Return what `requests` does once nobody else sends anything: what goes on behind is done."""
    still, last = 0, requests(client)
    while still < _STILL:
        now = requests(client)
        still, last = (still + 1, now) if now == last + 1 else (0, now)
    return last
