"""Where a Redis server is and who speaks to it, read from a URL or from any client of redis-py.

Of a client its place, user and certificates count, and neither its deadlines nor its colour: what
is connected with them is the link's. Nothing is connected here, and no `repr` shows a password.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from accel_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import redis

Server: TypeAlias = (
    "str | redis.Redis | redis.RedisCluster | redis.asyncio.Redis | redis.asyncio.RedisCluster"
)
"""A URL, or any client of redis-py."""

_TAKEN_OVER = frozenset(
    "path db username password credential_provider client_name connection_pool "
    "socket_keepalive socket_keepalive_options".split()
)
"""What of a client's settings says as whom, or where without a port; besides all ``ssl_*``."""

_EXPECTED = "must be a URL, or a client of redis-py: Redis or RedisCluster, asyncio's or not"


class Address(NamedTuple):
    """A node's host and port; the host is empty where the settings alone say where it is."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"host={self.host!r}, port={self.port}"


_ELSEWHERE = Address("", 0)


class Access:
    """How to reach the nodes of one server or cluster.

    Args:
        kind: redis-py's class of connections.
        settings: a client's, of which what it takes.
        seeds: nodes to begin with, the first one first.
        remapped: returns where a node is reached that says it is at a host and port.
    """

    def __init__(
        self,
        kind: type,
        settings: Mapping[str, Any],
        seeds: Iterable[tuple[str, int]] = (),
        remapped: Callable[[tuple[str, int]], tuple[str, int]] | None = None,
    ) -> None:
        self._kind = kind
        self._settings = {
            name: value
            for name, value in settings.items()
            if name in _TAKEN_OVER or name.startswith("ssl_")
        }
        self.seeds = tuple(dict.fromkeys(Address(host, port) for host, port in seeds))
        """Never empty."""
        if not self.seeds:
            self.seeds = (_ELSEWHERE,)
        self._remapped = remapped

    @property
    def database(self) -> int:
        """The number of the database that is asked."""
        return int(self._settings.get("db") or 0)

    def connecting(self, address: Address) -> tuple[type, dict[str, Any]]:
        """Return the class of connections to `address`, and their settings."""
        import redis

        if not address.host:
            return self._kind, dict(self._settings)
        # A node of a cluster that was first reached by a socket of its machine.
        kind = redis.Connection if "path" in self._settings else self._kind
        settings = {name: value for name, value in self._settings.items() if name != "path"}
        return kind, {**settings, "host": address.host, "port": address.port}

    def named(self, host: str, port: int, by: Address) -> Address:
        """Return where the node is that `by` names; without a host it is at that of `by`."""
        host = host if host not in ("", "?") else by.host or "127.0.0.1"
        return Address(*self._remapped((host, port))) if self._remapped else Address(host, port)

    def __repr__(self) -> str:
        first, by_sentinel = self.seeds[0], self._settings.get("connection_pool")
        shown = [
            f"{name}={self._settings[name]!r}" for name in ("path", "db") if name in self._settings
        ]
        if by_sentinel is not None:
            shown.insert(0, f"service={by_sentinel.service_name!r}")
        return ", ".join([str(first)] * bool(first.host) + shown)


def access_to(server: object) -> Access:
    """Return how to reach `server`.

    Args:
        server: a URL, or a client: ``Redis`` or ``RedisCluster``, asyncio's or not.

    Raises:
        ConfigError: it is neither; the message shows nothing of a URL.
    """
    import redis

    if isinstance(server, str):
        return _of_pool(_pool(server), {})
    if isinstance(server, redis.Redis):
        return _of_pool(server.connection_pool, {})
    if isinstance(server, redis.asyncio.Redis):
        return _of_pool(server.connection_pool, _blocking_kinds())
    if isinstance(server, redis.RedisCluster):
        settings = server.nodes_manager.connection_kwargs
        plain = redis.SSLConnection if settings.get("ssl") else redis.Connection
        return _of_cluster(server, settings.get("connection_class", plain), settings)
    if isinstance(server, redis.asyncio.RedisCluster):
        settings = server.connection_kwargs
        return _of_cluster(server, _blocking_kinds()[settings["connection_class"]], settings)
    raise ConfigError("server", type(server).__name__, _EXPECTED)


def _of_pool(pool: Any, kinds: Mapping[type, type]) -> Access:
    kind, settings = pool.connection_class, pool.connection_kwargs
    if kinds:
        if kind not in kinds:
            expected = "is asyncio's alone: pass the URL, or the redis.Redis that is its like"
            raise ConfigError("server", kind.__name__, expected)
        kind = kinds[kind]
    seeds = [(settings["host"], int(settings.get("port", 6379)))] if "host" in settings else []
    return Access(kind, settings, seeds)


def _of_cluster(client: Any, kind: type, settings: Mapping[str, Any]) -> Access:
    manager = client.nodes_manager
    nodes = [*manager.startup_nodes.values(), *manager.nodes_cache.values()]
    seeds = [(node.host, int(node.port)) for node in nodes]
    return Access(kind, settings, seeds, manager.address_remap)


def _blocking_kinds() -> dict[type, type]:
    import redis

    return {
        redis.asyncio.Connection: redis.Connection,
        redis.asyncio.SSLConnection: redis.SSLConnection,
        redis.asyncio.UnixDomainSocketConnection: redis.UnixDomainSocketConnection,
    }


def _pool(url: str) -> Any:
    import redis

    try:
        return redis.ConnectionPool.from_url(url)
    except ValueError:
        # Without the cause: it may quote the part of the URL with the password.
        expected = "must be like redis://user:password@host:6379/0, each part percent-encoded"
        raise ConfigError("url", "(not shown)", expected) from None
