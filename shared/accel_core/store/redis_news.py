"""What other processes tell about their changes, pushed by the server and read without waiting.

One connection subscribes; whoever looks takes what has come from its socket, which costs
microseconds and no round trip. Who is not connected knows nothing: that is told as None, never as
"no news". Connections are numbered, because what was published between two of them is lost.
"""

from __future__ import annotations

import contextlib
import threading
from secrets import token_hex
from typing import TYPE_CHECKING, NamedTuple

from accel_core.errors import StoreUnavailableError
from accel_core.forking import renewed_in_children

if TYPE_CHECKING:
    from accel_core.store.redis_link import RedisLink, Subscription


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

    def __init__(self, link: RedisLink, channel: str) -> None:
        self._link, self._channel = link, channel
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
                while wire.can_read(timeout=0):
                    self._take(wire.read_response())
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
        self._subscription: Subscription | None = None

    def _start(self) -> None:
        subscription = self._link.subscribe(self._channel)
        with self._lock:
            self._heard = Heard(self._heard.connection + 1, 0, 0, 0)
            self._subscription = subscription

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
