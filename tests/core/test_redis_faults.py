"""A shared server's faults as users notice them: not by failed calls, hardly by slow ones."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.accel import Accel
from accel_core.errors import StoreError
from accel_core.events import BackendFailed
from accel_core.policy.admission import Answer
from accel_core.policy.identity import Prompt, Turn
from accel_core.ports import Selector
from accel_core.semantic_cache import Hit, Miss
from accel_core.store.redis_store import RedisStore
from accel_core.store.redis_wire import Wires
from tests.redis_server import RedisServer
from tools.redis_servers import BUILDS
from tools.slow_network import SlowNetwork

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.policy.identity import Request
    from tests.core.support import Rig

ROOT = Path(__file__).parents[2]
REST_S = 1.0
PATIENT_S = 5.0
"""A deadline that no machine is so busy as to miss."""
CROWD = 40
TRIES = 20
"""A busy machine may miss a deadline."""
KILLS = 5

Ended = list[str]
"""How each exchange of one call with the server ended: well, as "", or by which error."""

_ended: ContextVar[Ended] = ContextVar("ended")


@pytest.fixture(autouse=True)
def exchanges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Note what calls exchange with a server; not what is exchanged behind their backs."""
    ask = Wires.ask

    def noted(wires: Wires, *commands: Any) -> list[Any]:
        ended = _ended.get([])
        try:
            answers = ask(wires, *commands)
        except BaseException as error:
            ended.append(type(error).__name__)
            raise
        ended.append("")
        return answers

    monkeypatch.setattr(Wires, "ask", noted)


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    with RedisServer(BUILDS[1]) as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    with running.client() as client:
        client.flushall()
    return running


@pytest.fixture(scope="module")
def network(running: RedisServer) -> Iterator[SlowNetwork]:
    with SlowNetwork(running.port) as network:
        yield network


def joined(make: Any, url: str, **store: Any) -> Rig:
    rig: Rig = make(
        semantic={"enabled": False}, cache={"store": {"kind": "redis", "url": url, **store}}
    )
    rig.clock.now_s = time.time()
    return rig


def crowd_of(rig: Rig, kind: str, size: int = CROWD) -> list[Ended]:
    """Let many look up something new at once, and return what each call exchanged."""
    requests = [rig.request(f"what is {kind} thing{number}") for number in range(size)]

    def look_up(request: Request) -> Ended:
        _ended.set(ended := [])
        assert isinstance(rig.accel.cache.lookup(request), Miss)
        return ended

    async def alook_up(request: Request) -> Ended:
        _ended.set(ended := [])
        assert isinstance(await rig.accel.cache.alookup(request), Miss)
        return ended

    async def together() -> list[Ended]:
        return list(await asyncio.gather(*map(alook_up, requests)))

    if rig.colour == "async":
        return asyncio.run(together())
    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(look_up, requests))


@pytest.mark.parametrize("fault", [{"delay_s": 0.2}, {"cut": True}], ids=["slow", "cut"])
def test_a_bad_network(
    make: Any, server: RedisServer, network: SlowNetwork, fault: dict[str, Any]
) -> None:
    """On a network that is slow, or cuts answers in two, one call finds out; then all share."""
    one, two = joined(make, network.url), joined(make, server.url, lookup_timeout_s=PATIENT_S)
    one.ask("is it sound", "it is")
    network.be(**fault)
    try:
        one.clock.advance(REST_S + 0.1)
        calls = [crowd_of(one, f"the {number}th", 1) for number in range(10)]
        ended = [how for (call,) in calls for how in call]
        assert len(ended) <= 1
        assert "" not in ended
        assert isinstance(one.ask("is it broken", "it is"), Miss)
        assert one.seen.of(BackendFailed)
    finally:
        network.be()
    assert one.accel.flush()
    assert isinstance(two.ask("is it broken", "asked again"), Hit)
    assert any(_shared_again(one, two, number) for number in range(TRIES))


def _shared_again(one: Rig, two: Rig, number: int) -> bool:
    """Whether `one`, which may try it again, is served what `two` stores."""
    one.clock.advance(REST_S)
    two.ask(f"is it mended {number}", "it is")
    return isinstance(one.ask(f"is it mended {number}", "asked again"), Hit)


def test_a_crowd_finds_out_together(make: Any, server: RedisServer) -> None:
    """Of many calls at once none waits for more than one answer, and later ones for none."""
    one = joined(make, server.url)
    one.ask("is it sound", "it is")
    server.freeze()
    try:
        assert all(ended in ([], ["TimeoutError"]) for ended in crowd_of(one, "some"))
        assert one.seen.of(BackendFailed)
        assert not any(crowd_of(one, "another"))
    finally:
        server.thaw()


def test_removal_fails_fast(make: Any, server: RedisServer) -> None:
    """Who removes is told after one deadline that the server could not be asked."""
    one = joined(make, server.url)
    one.ask("is it sound", "it is")
    server.freeze()
    try:
        invalidate = one.accel.invalidate
        if one.colour == "async":
            invalidate = lambda: asyncio.run(one.accel.ainvalidate())  # noqa: E731
        _ended.set(ended := [])
        with pytest.raises(StoreError):
            invalidate()
        assert ended == ["TimeoutError"]
    finally:
        server.thaw()


def test_flush_tells(make: Any) -> None:
    """What a server that is away does not have is not acknowledged, and kept until it is back."""
    with RedisServer(BUILDS[0]) as server:
        one = joined(make, server.url)
        server.kill()
        one.ask("is it away", "it is")
        flush = one.accel.flush if one.colour == "sync" else lambda: asyncio.run(one.accel.aflush())
        assert not flush()
        server.start()
        assert flush()
        two = joined(make, server.url, lookup_timeout_s=PATIENT_S)
        assert isinstance(two.ask("is it away", "asked again"), Hit)


# --- the client's own end


def _request(accel: Accel, text: str) -> Request:
    made = accel.identify(Prompt("test", "m", (Turn("user", (text,)),), accel.current_tenant(), ""))
    assert made is not None
    return made


def opened(url: str) -> Accel:
    store = {"kind": "redis", "url": url, "lookup_timeout_s": PATIENT_S}
    return Accel.from_mapping({"cache": {"store": store, "semantic": {"enabled": False}}})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_what_was_acknowledged_survives_a_kill(server: RedisServer) -> None:
    """Whenever a client is killed, what `flush` said is there, is there."""
    acknowledged: list[str] = []
    for number in range(KILLS):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            _acknowledge(server.url, number, writing)
        os.close(writing)
        with os.fdopen(reading) as told:
            acknowledged += [told.readline() for _ in range(1 + 3 * number)]
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            acknowledged += told.readlines()
    with closing(opened(server.url)) as accel:
        for line in acknowledged:
            assert isinstance(accel.cache.lookup(_request(accel, line.strip())), Hit)
    assert len(acknowledged) >= KILLS


def _acknowledge(url: str, number: int, writing: int) -> None:
    accel = opened(url)
    for step in range(1_000_000):
        text = f"client {number} question {step}"
        accel.cache.store(_request(accel, text), Answer(b'"it is"', "it is"))
        if accel.flush():
            os.write(writing, f"{text}\n".encode())


_STORING = """
import asyncio, sys
from tests.core.test_redis_faults import Answer, _request, opened

accel = opened(sys.argv[1])

def store(count):
    for number in range(count):
        text = f"question {number}"
        accel.cache.store(_request(accel, text), Answer(b'"it is"', "it is"))

async def serve():
    store(500)
    await asyncio.sleep(3600)

async def cancelled():
    task = asyncio.create_task(serve())
    await asyncio.sleep(0)
    task.cancel()
    raise SystemExit(0)

async def closed():
    store(500)
    await accel.aclose()

{
    "exit": lambda: store(500),
    "loop cancelled": lambda: asyncio.run(cancelled()),
    "closed": lambda: (store(500), accel.close()),
    "closed in a loop": lambda: asyncio.run(closed()),
}[sys.argv[2]]()
"""


@pytest.mark.parametrize("end", ["exit", "loop cancelled", "closed", "closed in a loop"])
def test_what_is_queued_is_written_at_the_end(server: RedisServer, end: str) -> None:
    """However a process ends that is not killed, the server has what it queued."""
    run = [sys.executable, "-c", _STORING, server.url, end]
    done = subprocess.run(run, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    with closing(RedisStore(server.url)) as store:
        assert len(store.select(Selector())) == 500
