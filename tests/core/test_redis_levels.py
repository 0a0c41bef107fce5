"""What `RedisLevels` promises beyond the contract: what is settled counts once, and faults."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from accel_core import Limiter, RedisLevels
from accel_core.errors import LimitExceededError, StoreError
from accel_core.events import BackendFailed
from accel_core.policy.limits.charge import NOTHING
from accel_core.policy.limits.limit_store import Limit
from accel_core.store.redis_levels import REST_S
from accel_core.testing.doubles import ManualClock, RecordingObserver
from accel_core.testing.limit_stores import tokens
from tests.redis_server import RedisServer
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

TOKENS = Limit(1, 60.0, 100.0, 1e-6)
"""100 tokens of which nothing comes back while a test runs."""
REQUESTS = Limit(0, 60.0, 100.0, 1e-6)


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    with RedisServer(BUILDS[0]) as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def handle(running: RedisServer, clock: ManualClock) -> Iterator[Callable[..., RedisLevels]]:
    """Make handles on one key's limits, on an empty server."""
    with running.client() as client:
        client.flushall()
    made: list[RedisLevels] = []

    def make(*limits: Limit) -> RedisLevels:
        levels = RedisLevels(running.url, "a key", timeout_s=5.0, mono_now=lambda: clock.now_s)
        levels.shape(limits or [TOKENS], 0.0)
        made.append(levels)
        return levels

    yield make
    for levels in made:
        levels.close()


def room(levels: RedisLevels, amount: float) -> bool:
    return levels.reserve(tokens(amount), 0.0, 0.0).wait_s <= 0.0


def test_what_is_settled_counts_once(
    handle: Callable[..., RedisLevels], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that was lost on its way has what it told counted once, and not again."""
    one, other = handle(), handle()
    assert room(one, 80.0)
    one.settle(tokens(80.0), tokens(30.0))
    ask = one._link.ask

    def lost(*arguments: Any) -> Any:
        ask(*arguments)
        raise StoreError("redis", "reserve", "the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(one._link, "ask", lost)
        assert one.reserve(NOTHING, 0.0, 0.0).share == 1.0
    clock.advance(REST_S)
    assert one.reserve(NOTHING, 0.0, 0.0).share is None
    assert not room(other, 71.0)
    assert room(other, 69.0)


def test_what_was_not_heard_is_told_again(
    handle: Callable[..., RedisLevels], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is settled while the server is away is there when it is back."""
    one, other = handle(), handle()
    assert room(one, 80.0)
    one.settle(tokens(80.0), tokens(30.0))
    with monkeypatch.context() as patch:
        patch.setattr(one._link, "ask", _away)
        assert one.reserve(NOTHING, 0.0, 0.0).share == 1.0
    one.settle(NOTHING, tokens(10.0))
    clock.advance(REST_S)
    one.reserve(NOTHING, 0.0, 0.0)
    assert not room(other, 61.0)
    assert room(other, 59.0)


def test_calls_that_overtake_one_another(
    handle: Callable[..., RedisLevels], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a thread's call arrives after a later one, what that told is not taken back."""
    one, other = handle(), handle()
    assert room(one, 80.0)
    ask = one._link.ask

    def overtaken(*arguments: Any) -> Any:
        monkeypatch.undo()
        one.settle(tokens(80.0), tokens(30.0))
        one.reserve(NOTHING, 0.0, 0.0)
        return ask(*arguments)

    monkeypatch.setattr(one._link, "ask", overtaken)
    one.reserve(NOTHING, 0.0, 0.0)
    assert not room(other, 71.0)
    assert room(other, 69.0)


def _away(*_: Any) -> Any:
    raise StoreError("redis", "reserve", "away")


def test_a_limit_told_again_after_a_while(handle: Callable[..., RedisLevels]) -> None:
    """What was settled while a limit was not told is none of its business."""
    one = handle()
    assert room(one, 50.0)
    one.shape([REQUESTS], 0.0)
    for _ in range(3):
        one.settle(NOTHING, tokens(40.0))
        one.reserve(NOTHING, 0.0, 0.0)
    one.shape([TOKENS], 0.0)
    assert room(one, 50.0)
    assert not room(one, 1.0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_settles_for_itself(handle: Callable[..., RedisLevels]) -> None:
    """A child takes of the same levels as a handle of its own."""
    one = handle()
    assert room(one, 40.0)
    child = os.fork()
    if not child:
        took = room(one, 20.0)
        one.settle(tokens(20.0), tokens(30.0))
        one.reserve(NOTHING, 0.0, 0.0)
        os._exit(0 if took else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    one.settle(NOTHING, tokens(10.0))
    one.reserve(NOTHING, 0.0, 0.0)
    assert not room(one, 21.0)
    assert room(one, 19.0)


_JUNK = [b"nan", b"-inf", b"-1e308", b"9" * 30, b"seven", b""]
_FIELDS = ["level", "at_us", "rate", "back_us", "number"]


@pytest.mark.parametrize("junk", _JUNK)
def test_numbers_that_are_none(
    handle: Callable[..., RedisLevels], running: RedisServer, junk: bytes
) -> None:
    """What a foreign hand writes over them closes no limit, ends none, and parts no process."""
    with running.client() as client:
        for field in _FIELDS:
            client.flushall()
            one = handle()
            assert room(one, 60.0)
            for name in [*client.scan_iter("*level*"), *client.scan_iter("*heard*")]:
                client.hset(name, field, junk)
            client.set(_sibling(client, "closed"), junk)
            told = one.reserve(tokens(30.0), 0.0, 0.0)
            assert (told.wait_s, told.share) == (0.0, None)
            assert not room(one, 71.0)


@pytest.mark.parametrize("kind", ["level", "heard", "takers", "closed"])
def test_names_of_another_type(
    handle: Callable[..., RedisLevels], running: RedisServer, kind: str
) -> None:
    """A name that somebody took for something else is freed, and the limit holds."""
    with running.client() as client:
        one = handle()
        assert room(one, 60.0)
        taken = next(client.scan_iter(f"*{kind}*"), None) or _sibling(client, kind)
        client.delete(taken)
        client.rpush(taken, "text")
        told = one.reserve(tokens(30.0), 0.0, 0.0)
        assert (told.wait_s, told.share) == (0.0, None)
        assert not room(one, 20.0)


def _sibling(client: redis.Redis, kind: str) -> str:
    """Return the name of another `kind` of the same limits."""
    return next(client.scan_iter("*takers*")).decode().replace("takers", kind)


def test_levels_that_are_full_are_forgotten(
    handle: Callable[..., RedisLevels], running: RedisServer
) -> None:
    """Nothing stays for ever: a level goes a minute after it would be full, a handle in an hour."""
    assert room(handle(Limit(1, 60.0, 100.0, 10.0)), 50.0)
    with running.client() as client:
        names = sorted(client.scan_iter())
        assert [name.split(b":")[2] for name in names] == [b"heard", b"level", b"takers"]
        assert 3_500 < client.ttl(names[0]) <= 3_600
        assert 60 < client.ttl(names[1]) <= 65
        assert 3_500 < client.ttl(names[2]) <= 3_600


def asks(limiter: Limiter, max_tokens: int) -> None:
    ask = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    with httpx.Client(transport=transport) as http:
        url = "http://model.test/v1/chat/completions"
        limiter.limited(http).post(url, json={**ask, "max_tokens": max_tokens})


def test_two_limiters_share_a_key(handle: Callable[..., RedisLevels]) -> None:
    """What one process's limiter lets through is missing for another's."""
    one, other = (
        Limiter(tokens_per_minute=6_000, max_wait_s=0.0, store=handle()) for _ in range(2)
    )
    asks(one, 5_000)
    with pytest.raises(LimitExceededError):
        asks(other, 5_000)
    asks(other, 500)


def test_a_limiter_goes_on_without_the_server() -> None:
    """While the server is frozen its own limits decide, in time, and an event says so."""
    seen = RecordingObserver()
    with RedisServer(BUILDS[0]) as server:
        levels = RedisLevels(server.url, "a key", timeout_s=0.05)
        limiter = Limiter(tokens_per_minute=6_000, max_wait_s=0.0, store=levels, observer=seen)
        asks(limiter, 1_000)
        server.freeze()
        began_s = time.monotonic()
        asks(limiter, 1_000)
        assert time.monotonic() - began_s < 0.6
        server.thaw()
        (event,) = seen.of(BackendFailed)
        assert (event.backend, event.operation) == ("limits", "reserve")
        levels.close()
