"""Connections to one node, with one deadline: kept while they are idle, and asked one command.

redis-py connects, says who it is and reads answers; what its clients do around each command costs
as much again as a short command takes, so they are left out. A connection that failed is closed,
and one that was closed while it was idle, or has something to say, is not used again.
"""

from __future__ import annotations

import select
import socket
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from ipaddress import ip_address
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

from accel_core.forking import renewed_in_children

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.store.redis_access import Access, Address

_LINE = b"$%d\r\n%b\r\n"


class Wire(Protocol):
    """One connection, as redis-py has it."""

    def connect(self) -> None:
        """Connect, and say who it is."""

    def send_command(self, *arguments: str) -> None:
        """Send one command."""

    def send_packed_command(self, command: list[bytes]) -> None:
        """Connect where that is not done, and send what is spelt already."""

    def can_read(self, timeout: float) -> bool:
        """Whether something has come, or comes in time; raises where the connection is closed."""

    def read_response(self) -> object:
        """Return the next answer, or raise what the server says against it."""

    def disconnect(self) -> None:
        """Close it."""


class Wires:
    """Connections to one node.

    Args:
        access: as whom, and how.
        address: the node's.
        timeout_s: the longest wait for a connection, and for each answer.
    """

    def __init__(self, access: Access, address: Address, timeout_s: float) -> None:
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        self._kind, settings = access.connecting(address)
        self._settings = {
            **settings,
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            "retry": Retry(NoBackoff(), 0),
            "health_check_interval": 0,
            "protocol": 2,
        }
        self._idle: deque[Wire] = deque()
        self._looking: Future[None] | None = None
        renewed_in_children(self)

    def ask(self, *commands: Sequence[Any]) -> list[Any]:
        """Return the answers to `commands`, sent at once; an answer may be an error, not raised.

        Raises:
            redis.RedisError: the connection failed.
            OSError: it did.
        """
        import redis

        idle = self._idle
        rested = self._rested(idle)
        wire = rested or self.made()
        try:
            if rested is None:
                wire.connect()  # Sentinel's find their master only so
            wire.send_packed_command([b"".join(map(_spelt, commands))])
            answers: list[Any] = []
            for _ in commands:
                try:
                    answers.append(wire.read_response())
                except redis.ResponseError as refused:
                    answers.append(refused)
        except BaseException:
            wire.disconnect()
            raise
        idle.append(wire)
        if idle is not self._idle:
            _close(idle)
        return answers

    def made(self) -> Any:
        """Return a new connection, the caller's to close, which connects as it is used.

        Raises:
            redis.TimeoutError: where its host is was not known in time.
        """
        self._look_up()
        return self._kind(**self._settings)

    def let_go(self) -> None:
        """Close the connections: those that are idle now, those in use after their answer."""
        idle, self._idle = self._idle, deque()
        _close(idle)

    def after_fork(self) -> None:
        """Use no connection of the parent's in a child process."""
        self._idle, self._looking = deque(), None

    def _look_up(self) -> None:
        """Wait until the system knows where the host is, since its own resolver has no deadline.

        What it says against it is left to the connection to say.
        """
        import redis

        host = self._settings.get("host")
        if host is None or _is_address(host):
            return
        looking = self._looking
        if looking is None:
            looking = self._looking = Future()
            arguments = (host, self._settings["port"], looking)
            Thread(target=self._ask_where, args=arguments, daemon=True).start()
        try:
            looking.result(self._settings["socket_connect_timeout"])
        except TimeoutError:
            raise redis.TimeoutError(f"nobody said in time where {host} is") from None

    def _ask_where(self, host: str, port: int, looking: Future[None]) -> None:
        with suppress(Exception):  # as it is written, a name may be none at all
            socket.getaddrinfo(host, port)
        self._looking = None
        looking.set_result(None)

    def _rested(self, idle: deque[Wire]) -> Wire | None:
        """Return a connection that is idle and still good, the last used first."""
        while True:
            try:
                wire = idle.pop()
            except IndexError:
                return None
            if not stirs(wire):
                return wire
            wire.disconnect()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def stirs(wire: Any) -> bool:
    """Whether something can be read from `wire`, its end included; without waiting.

    redis-py asks by three calls of the system and an exception what one of them tells.
    """
    end = wire._sock  # noqa: SLF001 - there is no other way to it
    if end is None:
        return True
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(end, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([end], [], [], 0)[0])


def _spelt(parts: Sequence[Any]) -> bytes:
    """Spell a command as the server reads it."""
    spelt = [b"*%d\r\n" % len(parts)]
    for part in parts:
        said = part if isinstance(part, bytes) else str(part).encode()
        spelt.append(_LINE % (len(said), said))
    return b"".join(spelt)


def _close(wires: deque[Wire]) -> None:
    while wires:
        try:
            wires.pop().disconnect()
        except IndexError:  # another thread was first
            return
