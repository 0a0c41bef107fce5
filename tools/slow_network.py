"""A network before a Redis server that can be slow, cut connections amid an answer, or lose news.

A process of its own, so that it takes no turns from who is measured: ``python -m
tools.slow_network PORT`` prints its own port, and takes a line of JSON on standard input for each
change.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

_ROOT = Path(__file__).parents[1]
_CHUNK = 65_536


class SlowNetwork:
    """Passes on what goes to and from a port of this machine, until it is left.

    Args:
        port: the server's.
    """

    def __init__(self, port: int) -> None:
        self._target = port

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tools.slow_network", str(self._target)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
        )
        self.port = int(self._read())
        self.url = f"redis://127.0.0.1:{self.port}/0"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def be(self, *, delay_s: float = 0.0, cut: bool = False, deaf: bool = False) -> None:
        """Say how it is from now on.

        Args:
            delay_s: how much later each part of an answer comes.
            cut: let half of an answer come, and no more by that connection.
            deaf: lose what subscribers are told, by connections that stay open.
        """
        assert self._process.stdin is not None
        change = {"delay_s": delay_s, "cut": cut, "deaf": deaf}
        print(json.dumps(change), file=self._process.stdin, flush=True)
        assert self._read() == "\n"

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class _Passing:
    """Both directions of every connection, as slow as was said last."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.delay_s, self.cut, self.deaf = 0.0, False, False

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        subscribed = asyncio.Event()
        directions = (
            self._ask(reader, there[1], subscribed),
            self._answer(there[0], writer, subscribed),
        )
        await asyncio.gather(*directions, return_exceptions=True)

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, subscribed: asyncio.Event
    ) -> None:
        try:
            while part := await reader.read(_CHUNK):
                if b"SUBSCRIBE" in part:
                    subscribed.set()
                writer.write(part)
                await writer.drain()
        finally:
            writer.close()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, subscribed: asyncio.Event
    ) -> None:
        try:
            while part := await reader.read(_CHUNK):
                if self.deaf and subscribed.is_set():
                    continue
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if self.cut:
                    writer.write(part[: len(part) // 2])
                    await writer.drain()
                    return
                writer.write(part)
                await writer.drain()
        finally:
            writer.close()


async def _run(target: int) -> None:
    passing = _Passing(target)
    server = await asyncio.start_server(passing.connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        change = json.loads(line)
        passing.delay_s, passing.cut = change["delay_s"], change["cut"]
        passing.deaf = change["deaf"]
        print(flush=True)


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1])))
