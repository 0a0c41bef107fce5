"""The way to a Redis server: as whom, by which deadlines, and its errors named.

Two pools of connections to one place, since a deadline belongs to a connection: a lookup's is
short, for a user waits; a write's is longer, for nobody does. Nothing is tried twice: whoever asks
goes on without the server. Every failure leaves here as a `StoreError`, and none shows a password.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

from accel_core.errors import ConfigError, MissingExtraError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import redis

    from accel_core.store.redis_scripts import Script

_TAKEN_OVER = frozenset(
    "host port path db username password credential_provider client_name connection_pool "
    "socket_keepalive socket_keepalive_options".split()
)
"""What of a client's settings says where and as whom; besides all that begins with ``ssl_``."""


class Wire(Protocol):
    """One connection, as redis-py has it."""

    def connect(self) -> None:
        """Connect, and say who it is."""

    def send_command(self, *arguments: str) -> None:
        """Send one command."""

    def can_read(self, timeout: float) -> bool:
        """Whether something has come, or comes in time; raises where the connection is closed."""

    def read_response(self) -> object:
        """Return the next answer."""

    def disconnect(self) -> None:
        """Close it."""


class RedisLink:
    """Connections to one server.

    Args:
        server: a URL (``redis://``, ``rediss://`` for TLS, ``unix://``; user and password in it),
            or a client, whose place, user and certificates are taken over, and not its deadlines.
        lookup_timeout_s: the longest wait for a connection, and for each answer, in a lookup.
        write_timeout_s: the same for everything else.

    Raises:
        ConfigError: `server` is neither.
        MissingExtraError: redis-py is not installed.
    """

    def __init__(
        self, server: str | redis.Redis, *, lookup_timeout_s: float, write_timeout_s: float
    ) -> None:
        try:
            import redis
        except ModuleNotFoundError as error:
            raise MissingExtraError("redis", "a Redis server") from error
        pool = _pool(server)
        # A client may own what its pool refers to weakly.
        self._owner = server
        self._kind = pool.connection_class
        self._settings = {
            name: value
            for name, value in pool.connection_kwargs.items()
            if name in _TAKEN_OVER or name.startswith("ssl_")
        }
        self._quick = redis.Redis(connection_pool=self._bound(lookup_timeout_s))
        self._patient = redis.Redis(connection_pool=self._bound(write_timeout_s))

    @property
    def database(self) -> int:
        """The number of the database that is asked."""
        return int(self._settings.get("db") or 0)

    def ask(self, operation: str, script: Script, names: Sequence[str], *arguments: Any) -> Any:
        """Return the answer of a script, by a lookup's deadline."""
        return self._run(self._quick, operation, script, names, arguments)

    def ask_at_length(
        self, operation: str, script: Script, names: Sequence[str], *arguments: Any
    ) -> Any:
        """Return the answer of a script, by a write's deadline."""
        return self._run(self._patient, operation, script, names, arguments)

    def publish(self, operation: str, script: Script, names: Sequence[str], *arguments: Any) -> Any:
        """Return the answer of a script, when what it published is on its way."""
        return self._run(self._patient, operation, script, names, arguments, published=True)

    def eviction_policy(self) -> str:
        """Return the server's ``maxmemory-policy``; nothing where the user may not know."""
        import redis

        with reported("describe"):
            try:
                return str(self._quick.info("memory").get("maxmemory_policy", ""))
            except redis.exceptions.NoPermissionError:
                return ""

    def connection(self) -> Wire:
        """Return a new connection that belongs to no pool; close it."""
        return cast(Wire, self._quick.connection_pool.make_connection())

    def close(self) -> None:
        """Close what is open."""
        self._quick.connection_pool.disconnect()
        self._patient.connection_pool.disconnect()

    def __repr__(self) -> str:
        shown = {
            name: self._settings[name]
            for name in ("host", "port", "path", "db")
            if name in self._settings
        }
        return ", ".join(f"{name}={value!r}" for name, value in shown.items())

    def _bound(self, timeout_s: float) -> redis.ConnectionPool:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return redis.ConnectionPool(
            connection_class=self._kind,
            **self._settings,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            protocol=2,
        )

    def _run(
        self,
        client: redis.Redis,
        operation: str,
        script: Script,
        names: Sequence[str],
        arguments: Sequence[Any],
        *,
        published: bool = False,
    ) -> Any:
        import redis

        command = ("EVALSHA", script.sha, len(names), *names, *arguments)
        with reported(operation):
            try:
                return _carry_out(client, command, transaction=published)
            except redis.exceptions.NoScriptError:
                client.script_load(script.text)
                return _carry_out(client, command, transaction=published)


@contextmanager
def reported(operation: str) -> Iterator[None]:
    """Let what redis-py raises leave as a `StoreError`."""
    import redis

    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise StoreError("redis", operation, f"{type(error).__name__}: {error}") from error


def _carry_out(client: Any, command: Sequence[Any], *, transaction: bool) -> Any:
    import redis

    if not transaction:
        return client.execute_command(*command)
    # A server writes to its clients in the reverse order of their first bytes. The transaction
    # gives its caller a byte before the script publishes, so subscribers are written to first
    # (measured under load: without it, 15 % of saves were answered before they were heard of).
    with client.pipeline(transaction=True) as pipeline:
        pipeline.execute_command(*command)
        try:
            return pipeline.execute()[0]
        except redis.exceptions.OutOfMemoryError:
            # A full server takes no transaction, and takes scripts that remove.
            return client.execute_command(*command)


def _pool(server: object) -> Any:
    import redis

    if isinstance(server, redis.Redis):
        return server.connection_pool
    if not isinstance(server, str):
        expected = "must be a URL or a redis.Redis; cluster and asyncio clients are none"
        raise ConfigError("server", type(server).__name__, expected)
    try:
        return redis.ConnectionPool.from_url(server)
    except ValueError:
        # Without the cause: it may quote the part of the URL with the password.
        expected = "must be like redis://user:password@host:6379/0, each part percent-encoded"
        raise ConfigError("url", "(not shown)", expected) from None
