"""What is acknowledged is there: a client is killed while it stores, again and again.

Every second answer is acknowledged, as soon as `flush` has said that the server has it; the others
are on their way when the kill comes.
"""

from __future__ import annotations

import os
import signal
import time
from random import Random
from typing import TYPE_CHECKING

from accel_core.accel import Accel
from accel_core.config import from_mapping
from benchmarks import cache_parts as parts
from benchmarks.harness import Measured, Row, UnavailableError
from tools.redis_server import RedisServer, ServerMissingError
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from benchmarks.harness import Context

_KILLS = 100


def joined(url: str) -> Accel:
    """Return what a process has that shares a server, and compares nothing by meaning."""
    store = {"kind": "redis", "url": url}
    return Accel(from_mapping({"cache": {"store": store, "semantic": {"enabled": False}}}))


def lost(context: Context) -> Measured:
    """Count what was acknowledged and is not there, over all kills."""
    kills = context.pick(_KILLS, 20)
    dice = Random(context.seed)
    acknowledged: list[str] = []
    try:
        server = context.enter(RedisServer(BUILDS[1]))
    except ServerMissingError as missing:
        raise UnavailableError(str(missing)) from missing
    for number in range(kills):
        acknowledged += _until_killed(server.url, number, dice.uniform(0.02, 0.2))
        context.report(number / kills)
    with joined(server.url) as accel:
        missing_now = sum(not parts.look_up(accel, text) for text in acknowledged)
    return Measured(missing_now, f"{len(acknowledged)} acknowledged over {kills} kills")


def _until_killed(url: str, number: int, lives_s: float) -> list[str]:
    """Let a client store and acknowledge until it is killed; return what it acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _store_and_tell(url, number, writing)
    os.close(writing)
    with os.fdopen(reading) as told:
        lines = [told.readline()]
        time.sleep(lives_s)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        lines += told.readlines()
    return [line.strip() for line in lines if line.endswith("\n")]


def _store_and_tell(url: str, number: int, writing: int) -> None:
    accel = joined(url)
    for step in range(1_000_000):
        text = f"client {number} question {step}"
        accel.cache.store(parts.request_of(accel, text), parts.ANSWER)
        if step % 2 == 0 and accel.flush():
            os.write(writing, f"{text}\n".encode())


ROWS = [
    Row(
        name="lost",
        what=f"acknowledged and lost over {_KILLS} kills of a client",
        op="<=",
        bound=0,
        measure=lost,
    )
]
