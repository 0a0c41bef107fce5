"""A line between clients and a Redis server that can lose what is pushed, without a word.

So do networks: nobody learns of it from a connection that is still open.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

_READ_BYTES = 1 << 16


class Line:
    """Passes on what both sides say, to be used as a context manager.

    Args:
        port: the server's, on this machine.

    Attributes:
        url: what clients are given.
        deaf: whether what subscribers would be told is lost.
    """

    def __init__(self, port: int) -> None:
        self._port, self.deaf = port, False
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listening.getsockname()[1]}/0"

    def __enter__(self) -> Self:
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):  # it was left
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                subscribed = Event()
                Thread(target=self._up, args=(client, server, subscribed), daemon=True).start()
                Thread(target=self._down, args=(server, client, subscribed), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket, subscribed: Event) -> None:
        with suppress(OSError):
            while said := client.recv(_READ_BYTES):
                if b"SUBSCRIBE" in said:
                    subscribed.set()
                server.sendall(said)
        _end(client, server)

    def _down(self, server: socket.socket, client: socket.socket, subscribed: Event) -> None:
        with suppress(OSError):
            while said := server.recv(_READ_BYTES):
                if not (self.deaf and subscribed.is_set()):
                    client.sendall(said)
        _end(server, client)


def _end(*sides: socket.socket) -> None:
    """End both sides, and the wait of whoever reads the other one."""
    for side in sides:
        with suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)
        side.close()
