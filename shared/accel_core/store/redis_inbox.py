"""What this process is told about flights that others lead, pushed to a channel of its own.

A connection and a thread that blocks on it are there while somebody waits. Whoever waits lines up
before the server is asked to tell, so nothing that it tells is missed; and where the connection is
lost, or silent when it is spoken to, everybody who waits is told to look again.
"""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Future, InvalidStateError
from secrets import token_hex
from typing import TYPE_CHECKING

from accel_core.errors import StoreError
from accel_core.forking import renewed_in_children

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.store.redis_link import Subscription
    from accel_core.store.redis_wire import Wire

_BEAT_S = 0.5
"""After so long a silence the server is spoken to, and after as long again it is given up. Nobody
who waits is told later than that, and a connection that nobody needs is kept as long."""


class Waiter:
    """Somebody who waits for a flight; `until_s` is when its lease ends, once that is known."""

    def __init__(self, flight: str) -> None:
        self.flight = flight.encode()
        self.future: Future[bool] = Future()
        self.until_s = float("inf")

    def tell(self, *, declined: bool) -> None:
        """End the wait, if it has not ended."""
        with contextlib.suppress(InvalidStateError):
            self.future.set_result(declined)


class _Session:
    """One connection, the channel it listens to, and who waits for what comes by it."""

    def __init__(self, connection: Wire, channel: str) -> None:
        self.connection, self.channel = connection, channel
        self.waiting: list[Waiter] = []


class RedisInbox:
    """Waits for what is told.

    Args:
        subscribe: returns a connection of its own, subscribed to a channel.
        named: names the channel of a process.
        mono_now: monotonic clock, seconds.
    """

    def __init__(
        self,
        subscribe: Callable[[str], Subscription],
        named: Callable[[str], str],
        mono_now: Callable[[], float],
    ) -> None:
        self._subscribe, self._named, self._mono_now = subscribe, named, mono_now
        self._session: _Session | None
        self.after_fork()
        renewed_in_children(self)

    def line_up(self, waiter: Waiter) -> str:
        """Let `waiter` be told, and return the channel; an empty one where nobody listens."""
        with self._lock:
            if self._session is None:
                return ""
            self._session.waiting.append(waiter)
            return self._session.channel

    def listen(self, waiter: Waiter) -> str:
        """Let `waiter` be told, and return the channel, which is listened to from now on.

        Raises:
            StoreError: the server cannot be subscribed to.
        """
        with self._lock:
            if self._session is None:
                self._session = self._started()
            self._session.waiting.append(waiter)
            return self._session.channel

    def close(self) -> None:
        """Listen no longer, and tell who waits to look again."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            # Its thread meets that, and ends.
            session.connection.disconnect()

    def after_fork(self) -> None:
        """Start anew in a child process: connection, thread and those who wait are the parent's."""
        self._lock = threading.Lock()
        self._session = None

    def _started(self) -> _Session:
        channel = self._named(token_hex(8))
        session = _Session(self._subscribe(channel).wire, channel)
        thread = threading.Thread(
            target=self._run, args=(session,), name="accel-inbox", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # none is to be had
            session.connection.disconnect()
            raise StoreError("redis", "listen to", str(error)) from error
        return session

    def _run(self, session: _Session) -> None:
        """Listen until nobody waits any more, or nothing more comes."""
        spoken_to = False
        try:
            while self._listens(session):
                if session.connection.can_read(timeout=_BEAT_S):
                    self._take(session, session.connection.read_response())
                    spoken_to = False
                elif spoken_to or not self._wanted(session):
                    break
                else:
                    # As a ping, which not every user may send.
                    session.connection.send_command("SUBSCRIBE", session.channel)
                    spoken_to = True
        except Exception:  # noqa: S110 - whatever it is, nothing more comes by this connection
            pass
        finally:
            self._end(session)

    def _listens(self, session: _Session) -> bool:
        """Tell those to look again whose lease has ended; False once it is closed."""
        now_s = self._mono_now()
        with self._lock:
            waiting = [waiter for waiter in session.waiting if not waiter.future.done()]
            session.waiting = [waiter for waiter in waiting if waiter.until_s > now_s]
        for waiter in waiting:
            if waiter.until_s <= now_s:
                waiter.tell(declined=False)
        return self._session is session

    def _wanted(self, session: _Session) -> bool:
        """Whether somebody waits; where nobody does, nobody lines up any more."""
        with self._lock:
            if not session.waiting and self._session is session:
                self._session = None
            return bool(session.waiting)

    def _take(self, session: _Session, message: object) -> None:
        """Tell those who wait for the flight that a message names."""
        if not isinstance(message, list) or message[0] != b"message":
            return
        how, _, flight = message[2].partition(b" ")
        with self._lock:
            told = [waiter for waiter in session.waiting if waiter.flight == flight]
        for waiter in told:
            waiter.tell(declined=how == b"declined")

    def _end(self, session: _Session) -> None:
        """Let those who still wait look again; they line up anew."""
        with self._lock:
            if self._session is session:
                self._session = None
            waiting, session.waiting = session.waiting, []
        session.connection.disconnect()
        for waiter in waiting:
            waiter.tell(declined=False)
