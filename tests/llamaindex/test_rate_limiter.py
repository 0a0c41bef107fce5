"""`TokenRateLimiter` in LlamaIndex's own place for one, by all eight methods of real clients."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import openai as sdk
import pytest

from accel_core import Limiter
from accel_core.errors import LimitExceededError, RequestTooLargeError
from accel_core.testing.replies import Reply
from llamaindex_accel import TokenRateLimiter, accelerate
from tests.limited import TPM, taken
from tests.llamaindex.support import ALL_METHODS, user
from tests.llamaindex.test_limits_without_client import Local

if TYPE_CHECKING:
    from accel_core.accel import Accel

methods = pytest.mark.parametrize("method", ALL_METHODS)


def limits(**amounts: Any) -> Limiter:
    """Return a limiter that gives back what was not used, so that settling shows."""
    return Limiter("bedrock", **{"tokens_per_minute": TPM, "max_wait_s": 0, **amounts})


@methods
@pytest.mark.parametrize("custom", [True, False])
def test_prompt_and_maximum_are_reserved_and_settled(
    make_llm: Any, ask: Any, method: str, custom: bool
) -> None:
    """The limiter sees what LlamaIndex does not tell; a method that calls another is one call."""
    limiter = limits(requests_per_minute=3)
    own = TokenRateLimiter(limiter)
    options = {"max_tokens": 50_000, "rate_limiter": own}
    llm = Local(**options) if custom else make_llm(**options)
    for number in range(3):  # reserved each time, and given back
        ask(llm, method, f"Question {number}?")
    with pytest.raises(LimitExceededError):
        ask(llm, method, "one more")
    assert limiter.state().under_way == 0


@methods
def test_what_never_fits_is_refused_at_once(make_llm: Any, ask: Any, method: str) -> None:
    """By its prompt, or by the maximum of the model or of the call."""
    small = make_llm(rate_limiter=TokenRateLimiter(limits()))
    large = make_llm(rate_limiter=TokenRateLimiter(limits()), max_tokens=TPM + 1)
    with pytest.raises(RequestTooLargeError):
        ask(small, method, "word " * 4 * TPM)
    with pytest.raises(RequestTooLargeError):
        ask(large, method)
    with pytest.raises(RequestTooLargeError):
        ask(small, method, max_tokens=TPM + 1)


def test_a_hit_takes_nothing(make_llm: Any, ask: Any, accel: Accel) -> None:
    """What an accelerated model answers from its cache asks for no room."""
    limiter = limits(requests_per_minute=1)
    llm = accelerate(make_llm(rate_limiter=TokenRateLimiter(limiter)), accel)
    for method in ("chat", "achat", "stream_chat", "astream_chat"):
        ask(llm, method)
    assert limiter.state().under_way == 0


@methods
@pytest.mark.parametrize("status", [400, 503])
def test_what_fails_holds_nothing(
    *, make_llm: Any, ask: Any, server: Any, method: str, status: int
) -> None:
    """An error says what it cost: a refused call no tokens."""
    limiter = limits()
    llm = make_llm(rate_limiter=TokenRateLimiter(limiter), max_tokens=1_000)
    server._answer = lambda _: Reply(status=status)
    with pytest.raises(sdk.APIStatusError):
        ask(llm, method)
    assert (taken(limiter) < 100) == (status == 400)


@pytest.mark.parametrize("broken", [True, False])
def test_a_stream_without_its_end_is_counted(broken: bool) -> None:
    """Broken off or closed by its reader, a stream takes what it streamed."""
    limiter = limits()
    pieces: list[Any] = ["word " * 800, ValueError("odd") if broken else "end"]
    own = TokenRateLimiter(limiter)
    stream = Local(pieces=pieces, max_tokens=30_000, rate_limiter=own).stream_complete("one")
    next(stream)
    if broken:
        with pytest.raises(ValueError, match="odd"):
            next(stream)
    else:
        stream.close()
    assert 950 <= taken(limiter) <= 1_200


async def test_a_cancelled_task_holds_nothing(make_llm: Any, server: Any) -> None:
    """Cancelled while the model thinks, or while it waits."""
    limiter = limits(max_wait_s=1_000, concurrent_requests=1)
    llm = make_llm(rate_limiter=TokenRateLimiter(limiter), async_http_client=None)
    with server.hold():
        first = asyncio.create_task(llm.achat(user("one")))
        await asyncio.to_thread(server.wait_for_calls, 1)
        second = asyncio.create_task(llm.achat(user("two")))
        while not limiter.state().waiting:
            await asyncio.sleep(0.001)
        for task in (second, first):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    state = limiter.state()
    assert state.under_way == state.waiting == 0


async def test_outside_a_call_it_counts_requests() -> None:
    """Asked by hand it lets through, or raises where there is no room, and holds nothing."""
    limiter = limits(requests_per_minute=2)
    own = TokenRateLimiter(limiter)
    own.acquire()
    await own.async_acquire()
    with pytest.raises(LimitExceededError):
        await own.async_acquire()
    assert limiter.state().under_way == 0
