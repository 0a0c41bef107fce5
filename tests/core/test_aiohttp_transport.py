"""Sessions of aiohttp within limits, in front of a real local server."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from accel_core import Limiter
from accel_core.errors import LimitExceededError, RequestTooLargeError, UnsupportedError
from accel_core.limited_call import Retries
from accel_core.policy.limits.retry import RetryPolicy
from accel_core.testing.model_server import ModelServer
from accel_core.testing.replies import Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from accel_core.policy.limits.charge import Usage

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
STREAM = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
QUICK = Retries(policy=RetryPolicy(base_s=0.001))


class Script:
    """Answers what it is given, in order, and then the last again."""

    def __init__(self) -> None:
        self.replies = [Reply(content="one two three")]

    def __call__(self, _: Any) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def server(script: Script) -> Iterator[ModelServer]:
    with ModelServer(script) as server:
        yield server


@pytest.fixture
async def own(server: ModelServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base_url=server.url + "/", headers={"x-own": "1"}) as session:
        yield session


def idle(limiter: Limiter) -> bool:
    state = limiter.state()
    return state.under_way == state.waiting == 0


def learned(limiter: Limiter) -> float:
    return limiter._calls._estimate.expected_output_tokens("m")


async def test_an_answer_settles(own: aiohttp.ClientSession) -> None:
    """An answer comes back whole, holds nothing afterwards, and teaches the estimate."""
    limiter = Limiter(tokens_per_minute=60_000)
    async with limiter.limited(own).post("chat/completions", json=ASK) as answer:
        assert not idle(limiter)
        assert (await answer.json())["choices"][0]["message"]["content"] == "one two three"
        assert idle(limiter)
    assert learned(limiter) == pytest.approx(3.3)
    assert answer.request_info.headers["accept-encoding"] == "identity"
    assert answer.request_info.headers["x-own"] == "1"


async def whole(content: aiohttp.StreamReader, way: str) -> bytes:
    if way == "lines":
        return b"".join([line async for line in content])
    if way == "any":
        return b"".join([chunk async for chunk in content.iter_any()])
    if way == "chunked":
        return b"".join([chunk async for chunk in content.iter_chunked(7)])
    if way == "chunks":
        return b"".join([chunk async for chunk, _ in content.iter_chunks()])
    if way == "until":
        parts = []
        while part := await content.readuntil(b"\n\n"):
            parts.append(part)
        return b"".join(parts)
    if way == "exactly":
        return await content.readexactly(20) + await content.read()
    return await content.readany() + content.read_nowait() + await content.read()


@pytest.mark.parametrize("way", ["lines", "any", "chunked", "chunks", "until", "exactly", "now"])
async def test_a_stream_passes_and_is_counted(own: aiohttp.ClientSession, way: str) -> None:
    """However a stream is read, its bytes are the provider's and what it states is learned."""
    limiter = Limiter(tokens_per_minute=60_000)
    async with limiter.limited(own).post("chat/completions", json=STREAM) as answer:
        assert not idle(limiter)
        read = await whole(answer.content, way)
        assert idle(limiter)
    assert read.startswith(b"data: {")
    assert read.endswith(b"data: [DONE]\n\n")
    assert learned(limiter) == pytest.approx(3.3)


@pytest.mark.parametrize("way", ["released", "broken"])
async def test_a_stream_without_an_end_holds_and_teaches_nothing(
    own: aiohttp.ClientSession, script: Script, way: str
) -> None:
    """Closed early or broken off, a stream's lease ends."""
    script.replies = [Reply(content="one two three", break_after=1 if way == "broken" else None)]
    limiter = Limiter(tokens_per_minute=60_000, retries=QUICK)
    settled: list[Usage | None] = []
    settle = limiter._calls.limiter.settle
    limiter._calls.limiter.settle = lambda lease, usage, shown: (  # type: ignore[method-assign]
        settled.append(usage),
        settle(lease, usage, shown),
    )[1]
    answer = await limiter.limited(own).post("chat/completions", json=STREAM)
    assert not idle(limiter)
    if way == "released":
        answer.release()
    else:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.content.read()
        assert idle(limiter)
        answer.close()
        assert settled[0] is not None
        assert settled[0].output_tokens == 1
    assert idle(limiter)
    assert learned(limiter) == 0


REFUSED = Reply(
    error={"error": {"code": "rate_limit_exceeded", "message": "Try again in 20ms."}}, error_after=0
)
CUT = Reply(
    content="one two three",
    error={"error": {"type": "server_error", "message": "overloaded", "code": None}},
    error_after=2,
)


async def test_a_stream_that_begins_with_an_error_is_sent_again(
    own: aiohttp.ClientSession, server: ModelServer, script: Script
) -> None:
    """A refusal inside a 200 is waited for like a 429."""
    script.replies = [REFUSED, Reply(content="here")]
    limiter = Limiter(retries=QUICK)
    async with limiter.limited(own).post("chat/completions", json=STREAM) as answer:
        assert b"here" in await answer.content.read()
    assert server.call_count == 2
    assert idle(limiter)


async def test_a_stream_of_an_error_that_is_given_up_is_the_callers(
    own: aiohttp.ClientSession, script: Script
) -> None:
    """Where attempts end, the caller reads the error event."""
    script.replies = [REFUSED]
    limiter = Limiter(retries=Retries(policy=RetryPolicy(deadline_s=0.0)))
    async with limiter.limited(own).post("chat/completions", json=STREAM) as answer:
        read = await answer.content.read()
    assert (answer.status, b"rate_limit_exceeded" in read) == (200, True)
    assert idle(limiter)


async def test_an_error_after_content_passes(
    own: aiohttp.ClientSession, server: ModelServer, script: Script
) -> None:
    """What a caller has got part of is not sent again, and settles."""
    script.replies = [CUT]
    limiter = Limiter(retries=QUICK)
    async with limiter.limited(own).post("chat/completions", json=STREAM) as answer:
        read = await answer.content.read()
    assert (b"two" in read, b"three" in read, b"overloaded" in read) == (True, False, True)
    assert server.call_count == 1
    assert idle(limiter)
    assert learned(limiter) == 0


@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_a_forgotten_stream_holds_nothing_once_it_is_all_there(
    own: aiohttp.ClientSession,
) -> None:
    """Until then the connection itself keeps the response."""
    limiter = Limiter(tokens_per_minute=60_000)
    await limiter.limited(own).post("chat/completions", json=STREAM)
    async with asyncio.timeout(5.0):
        while not idle(limiter):
            await asyncio.sleep(0)
            gc.collect()
    assert learned(limiter) == 0


async def test_refused_and_failed_calls_are_sent_again(
    own: aiohttp.ClientSession, server: ModelServer, script: Script
) -> None:
    """A refusal, an overload and a lost connection do not reach the caller."""
    script.replies = [
        Reply(status=429, content="Rate limit reached", retry_after_s=0.02),
        Reply(status=503, content="overloaded"),
        Reply(content="gone", break_after=0),
        Reply(content="here"),
    ]
    limiter = Limiter(tokens_per_minute=60_000, retries=QUICK)
    made = limiter.limited(own)
    async with made.post("chat/completions", json=ASK) as answer:
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    async with made.post("chat/completions", json=ASK) as answer:
        assert (await answer.json())["choices"][0]["message"]["content"] == "here"
    assert server.call_count == 4
    assert idle(limiter)


@pytest.mark.parametrize("read", ["body", "content"])
async def test_given_up_errors_are_the_providers_own(
    own: aiohttp.ClientSession, server: ModelServer, script: Script, read: str
) -> None:
    """Where attempts end, the caller reads the provider's last response, however it reads."""
    script.replies = [Reply(status=503, content="down")]
    limiter = Limiter(retries=Retries(policy=RetryPolicy(max_attempts=2, base_s=0.001)))
    async with limiter.limited(own).post("chat/completions", json=ASK) as answer:
        body = await (answer.read() if read == "body" else answer.content.read())
    assert (answer.status, b"down" in body) == (503, True)
    assert server.call_count == 2
    assert idle(limiter)


async def test_a_server_that_is_not_there_is_asked_again_and_then_raised(
    server: ModelServer,
) -> None:
    """A failed connection is the caller's own error, and holds nothing."""
    url, limiter = server.url, Limiter(retries=QUICK)
    server.close()
    async with aiohttp.ClientSession() as own:
        with pytest.raises(aiohttp.ClientConnectorError):
            await limiter.limited(own).post(f"{url}/chat/completions", json=ASK)
    assert idle(limiter)


async def test_what_cannot_be_in_time_is_not_sent(
    own: aiohttp.ClientSession, server: ModelServer
) -> None:
    """The limiter's own errors are raised as they are, and nothing is sent."""
    limiter = Limiter(requests_per_minute=1, tokens_per_minute=900, max_wait_s=0.01)
    made = limiter.limited(own)
    with pytest.raises(RequestTooLargeError):
        await made.post("chat/completions", json={**ASK, "max_tokens": 1_000})
    await (await made.post("chat/completions", json=ASK)).read()
    with pytest.raises(LimitExceededError):
        await made.post("chat/completions", json=ASK)
    assert server.call_count == 1


@pytest.mark.parametrize("by", ["cancelling", "timeout"])
@pytest.mark.parametrize("where", ["sending", "waiting", "reading"])
async def test_cancelled_calls_hold_nothing(
    own: aiohttp.ClientSession, server: ModelServer, script: Script, where: str, by: str
) -> None:
    """Wherever a call is cancelled or its session's time is up, nothing stays held."""
    limiter = Limiter(concurrent_requests=1)
    made = limiter.limited(own)
    if where == "reading":
        script.replies = [Reply(content="a b c", chunk_s=60.0)]

    async def call() -> None:
        timeout = aiohttp.ClientTimeout(total=0.05 if by == "timeout" else None)
        async with made.post("chat/completions", json=STREAM, timeout=timeout) as answer:
            await answer.read()

    holding = await made.post("chat/completions", json=STREAM) if where == "waiting" else None
    with server.hold():
        if where == "reading":
            server._holds -= 1
        task = asyncio.create_task(call())
        if where == "waiting":
            while not limiter.state().waiting:
                await asyncio.sleep(0)
        else:
            await asyncio.to_thread(server.wait_for_calls, 1)
        if by == "cancelling":
            task.cancel()
        with pytest.raises((asyncio.CancelledError, TimeoutError)):
            await task
        if where == "reading":
            server._holds += 1
    if holding is not None:
        assert limiter.state().under_way == 1
        holding.close()
    assert idle(limiter)


@pytest.mark.parametrize("where", ["sending", "reading"])
async def test_a_tiers_deadline_ends_a_call(
    own: aiohttp.ClientSession, server: ModelServer, script: Script, where: str
) -> None:
    """A server that takes too long for a tier is given up, wherever it is."""
    script.replies = [
        Reply(content="a b", delay_s=60.0)
        if where == "sending"
        else Reply(chunks=("a",), chunk_s=60)
    ]
    limiter = Limiter(deadlines_s={"bronze": 0.1}, retries=QUICK)

    async def call() -> bytes:
        async with limiter.limited(own).post("chat/completions", json=STREAM) as answer:
            return await answer.content.readany() + await answer.read()

    with limiter.tier("bronze"), pytest.raises(aiohttp.SocketTimeoutError, match="deadline"):
        await call()
    assert (server.call_count, idle(limiter)) == (1, True)


async def test_a_cancelled_read_may_be_made_again(
    own: aiohttp.ClientSession, script: Script
) -> None:
    """Giving up one read is not giving up the answer."""
    script.replies = [Reply(content="a b", chunk_s=0.05)]
    limiter = Limiter()
    async with limiter.limited(own).post("chat/completions", json=STREAM) as answer:
        await answer.content.readany()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await answer.content.readany()
        assert not idle(limiter)
        await answer.content.read()
    assert idle(limiter)
    assert learned(limiter) > 0


async def test_what_asks_no_model_passes(own: aiohttp.ClientSession) -> None:
    """Other requests are not limited and not changed."""
    limiter = Limiter(requests_per_minute=1, max_wait_s=0.0)
    made = limiter.limited(own)
    for _ in range(3):
        async with made.get("models") as answer:
            assert answer.request_info.headers["accept-encoding"] != "identity"
        for body in ({"json": {"no": "model"}}, {"json": [1]}, {"data": b"{"}, {}):
            async with made.post("chat/completions", **body) as answer:
                assert answer.status == 400


async def test_a_requests_own_middlewares_do_not_pass_the_limit_by(
    own: aiohttp.ClientSession,
) -> None:
    """A call that brings middlewares is limited, and they run."""
    limiter, seen = Limiter(requests_per_minute=1, max_wait_s=0.0), []

    async def mine(request: Any, handler: Any) -> Any:
        seen.append(request.method)
        return await handler(request)

    made = limiter.limited(own)
    await (await made.post("chat/completions", json=ASK, middlewares=(mine,))).read()
    with pytest.raises(LimitExceededError):
        await made.post("chat/completions", json=ASK, middlewares=(mine,))
    assert seen == ["POST", "POST"]


async def test_the_session_stays_its_owners(own: aiohttp.ClientSession) -> None:
    """A copy closes nothing, complains of nothing, and the session goes on unlimited."""
    limiter = Limiter(requests_per_minute=1, max_wait_s=0.0)
    made = limiter.limited(own)
    assert made.connector is own.connector
    await (await made.post("chat/completions", json=ASK)).read()
    del made
    gc.collect()
    async with limiter.limited(own):
        pass
    for _ in range(2):
        async with own.post("chat/completions", json=ASK) as answer:
            assert answer.status == 200
    assert type(own) is aiohttp.ClientSession


async def test_a_limited_session_is_limited_anew(own: aiohttp.ClientSession) -> None:
    """Limits are not added up."""
    strict, free = Limiter(requests_per_minute=1, max_wait_s=0.0), Limiter()
    made = free.limited(strict.limited(own))
    for _ in range(2):
        await (await made.post("chat/completions", json=ASK)).read()
    assert strict.state().attained["best_effort"].kept == 0


def test_other_things_of_aiohttp_are_refused_by_name() -> None:
    """A session is what is limited."""
    with pytest.raises(UnsupportedError, match="ClientTimeout"):
        Limiter().limited(aiohttp.ClientTimeout())


async def test_an_aiohttp_without_middlewares_is_refused_by_name(
    own: aiohttp.ClientSession,
) -> None:
    """Before 3.12 there is no place for a limit."""
    del own.__dict__["_middlewares"]
    with pytest.raises(UnsupportedError, match="no middlewares"):
        Limiter().limited(own)
    own.__dict__["_middlewares"] = ()
