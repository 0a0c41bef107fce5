"""Real Redis and Valkey servers to run against: each a process of its own, with no files.

Each listens on a free port. Which there are, and where they come from, is `tools.redis_servers`.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import redis

from tools.redis_servers import Build, command

if TYPE_CHECKING:
    from typing import Self

_START_S = 10.0


class ServerMissingError(Exception):
    """A server has not been obtained; the message names the remedy."""


class RedisServer:
    """A server of `build` that runs until it is left.

    Args:
        build: which one.
        settings: of its configuration, ``maxmemory="2mb"`` for example.

    Raises:
        ServerMissingError: it has not been obtained.
    """

    def __init__(self, build: Build, **settings: str) -> None:
        start = command(build)
        if start is None:
            raise ServerMissingError(f"{build.name} is not here: run `make servers`")
        self.build, self._start = build, start
        self._settings = {"save": "", "appendonly": "no", "bind": "127.0.0.1", **settings}
        self._folder = TemporaryDirectory()
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._folder.cleanup()

    def start(self) -> None:
        """Start it, empty, and return when it answers."""
        settings = [part for name, value in self._settings.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [*self._start, "--port", str(self.port), "--dir", self._folder.name, *settings],
            stdout=subprocess.DEVNULL,
        )
        deadline_s = time.monotonic() + _START_S
        while not self._answers():
            assert self._process.poll() is None, "the server ended; is its port taken?"
            assert time.monotonic() < deadline_s, "the server does not answer"

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Let it answer nobody, with every connection still open."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def client(self, **settings: Any) -> redis.Redis:
        """Return a client for looking behind the scenes; close it."""
        return redis.Redis(port=self.port, **settings)

    def _answers(self) -> bool:
        try:
            with self.client(socket_timeout=1.0, retry=None) as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except (redis.ConnectionError, redis.TimeoutError):
            return False


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
