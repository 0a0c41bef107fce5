"""What other processes tell about their changes, pushed by the server and read without waiting.

One connection subscribes; whoever looks takes what has come from its socket, which costs
microseconds and no round trip. Who is not connected knows nothing: that is told as None, never as
"no news". Connections are numbered, because what was published between two of them is lost.
"""

from __future__ import annotations

import contextlib
import threading
from secrets import token_hex
from ssl import SSLWantReadError
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.errors import StoreUnavailableError
from accel_core.forking import renewed_in_children
from accel_core.store.redis_wire import stirs

if TYPE_CHECKING:
    from accel_core.store.redis_link import RedisLink, Subscription


_READ_BYTES = 1 << 16


class Heard(NamedTuple):
    """What has come so far.

    Attributes:
        connection: the number of the connection that it came by.
        revision: the highest that somebody else's change of entries was given; 0: none.
        corpora: how many changes of corpora there were.
        outdated: how many invalidations there were.
    """

    connection: int
    revision: int
    corpora: int
    outdated: int


class RedisNews:
    """A subscription to the changes of one store.

    Args:
        link: the way to the server; where its names move, the subscription follows.
        channel: where changes are published.

    Attributes:
        writer: by which name this process publishes its own, which are no news to it.
    """

    _subscription: Subscription | None

    def __init__(self, link: RedisLink, channel: str) -> None:
        self._link, self._channel = link, channel
        said = channel.encode()
        # What comes before the length of a message's text.
        self._before = b"*3\r\n$7\r\nmessage\r\n$%d\r\n%b\r\n$" % (len(said), said)
        self._heard = Heard(0, 0, 0, 0)
        self.after_fork()
        renewed_in_children(self)

    def listen(self) -> int:
        """Return the connection's number, of a new one where there is none.

        Threads that come while one connects wait for that, and do not each try again.

        Raises:
            StoreError: the server cannot be subscribed to.
        """
        waited = not self._connecting.acquire(blocking=False)
        if waited:
            self._connecting.acquire()
        try:
            if self.heard() is None:
                if waited:
                    raise StoreUnavailableError(
                        "redis", "listen to", "another thread could not connect"
                    )
                self._start()
            return self._heard.connection
        finally:
            self._connecting.release()

    def heard(self) -> Heard | None:
        """Return what has come so far, without waiting; None where nobody listens."""
        with self._lock:
            if self._subscription is None:
                return None
            wire, at = self._subscription
            if at != (self._link.home or at):
                # What is published elsewhere comes here late, after its own answer.
                self._drop()
                return None
            try:
                if stirs(wire):
                    self._read(wire)
            except Exception:  # whatever it is, nothing more comes by this connection
                self._drop()
                return None
            return self._heard

    def close(self) -> None:
        """Listen no longer."""
        with self._lock:
            self._drop()

    def after_fork(self) -> None:
        """Start anew in a child process: connection and name are the parent's."""
        self.writer = token_hex(8)
        self._lock, self._connecting = threading.Lock(), threading.Lock()
        self._come, self._subscription = b"", None

    def _start(self) -> None:
        subscription = self._link.subscribe(self._channel)
        wire: Any = subscription.wire
        with self._lock:
            self._heard = Heard(self._heard.connection + 1, 0, 0, 0)
            self._come, self._subscription = b"", subscription
            try:
                # What redis-py has read already; from here on the socket is read without it.
                while wire.can_read(timeout=0):
                    self._take(wire.read_response())
                wire._sock.settimeout(0)  # noqa: SLF001 - there is no other way to it
            except BaseException:
                self._drop()
                raise

    def _read(self, wire: Any) -> None:
        """Take what has come, and keep half a message for later; never wait."""
        with contextlib.suppress(BlockingIOError, SSLWantReadError):
            while True:
                part = wire._sock.recv(_READ_BYTES)  # noqa: SLF001 - as above
                if not part:
                    raise ConnectionError("the server closed the connection")
                self._come += part
        while self._come:
            if not self._come.startswith(self._before[: len(self._come)]):
                raise ValueError("no message")
            size, end, rest = self._come[len(self._before) :].partition(b"\r\n")
            if not end or len(rest) < int(size) + 2:
                break
            self._take([b"message", b"", rest[: int(size)]])
            self._come = rest[int(size) + 2 :]
        if len(self._come) > _READ_BYTES:
            raise ValueError("no news are so long")

    def _take(self, message: object) -> None:
        if not isinstance(message, list) or message[0] != b"message":
            return
        kind, *rest = message[2].split()
        heard = self._heard
        if kind == b"corpora":
            self._heard = heard._replace(corpora=heard.corpora + 1)
        elif kind == b"outdated":
            self._heard = heard._replace(outdated=heard.outdated + 1)
        elif rest[0] != self.writer.encode():
            self._heard = heard._replace(revision=max(heard.revision, int(rest[1])))

    def _drop(self) -> None:
        if self._subscription is not None:
            with contextlib.suppress(Exception):
                self._subscription.wire.disconnect()
            self._subscription = None
