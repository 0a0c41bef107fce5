"""`TokenRateLimiter` in LangChain's own place for one: real clients, a provider that counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import openai as sdk
import pytest
from langchain_core.messages import HumanMessage

from accel_core import Limiter
from accel_core.errors import LimitExceededError, RequestTooLargeError
from accel_core.testing.model_server import ModelServer
from accel_core.testing.replies import Reply
from langchain_accel import TokenRateLimiter, accelerate
from langchain_accel._context import current_run
from tests.limited import TPM, quick_answers, taken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.accel import Accel
    from accel_core.testing.provider_answers import ProviderAnswers

hows = pytest.mark.parametrize("how", ["invoke", "stream"])


@pytest.fixture
def answers() -> ProviderAnswers:
    return quick_answers(100 * TPM)


@pytest.fixture
def server(answers: ProviderAnswers) -> Iterator[ModelServer]:
    with ModelServer(answers) as server:
        yield server


def limits(**amounts: Any) -> Limiter:
    """Return a limiter that gives back what was not used, so that settling shows."""
    return Limiter("bedrock", **{"tokens_per_minute": TPM, "max_wait_s": 0, **amounts})


@hows
def test_prompt_and_maximum_are_reserved_and_settled(chat: Any, colour: Any, how: str) -> None:
    """The limiter sees what LangChain does not tell it, and what the answer used."""
    limiter = limits()
    model = chat(rate_limiter=TokenRateLimiter(limiter), stream_usage=True)
    for number in range(3):  # reserved each time, and given back
        getattr(colour, how)(model, f"Question {number}?", max_tokens=50_000)
    assert taken(limiter) < 1_000
    with pytest.raises(RequestTooLargeError):
        getattr(colour, how)(model, "one", max_tokens=TPM + 1)
    with pytest.raises(RequestTooLargeError):
        getattr(colour, how)(model, "word " * 4 * TPM)
    assert current_run() is None


@pytest.mark.filterwarnings("ignore:Unexpected type for token usage")
def test_calls_at_once_each_have_their_own(chat: Any, colour: Any) -> None:
    """Batches, and one `generate` of several prompts, reserve and settle call by call."""
    limiter = limits(requests_per_minute=8)
    model = chat(rate_limiter=TokenRateLimiter(limiter))
    colour.batch(model, [f"Question {number}?" for number in range(4)])
    colour.generate(model, [[HumanMessage(text)] for text in ("one", "two", "word " * 400, "four")])
    assert limiter.state().under_way == 0
    assert limiter.eta_s(1, 1) > 0


@pytest.mark.parametrize("accelerated", [True, False])
def test_a_hit_takes_nothing(
    chat: Any, colour: Any, accel: Accel, request: Any, accelerated: bool
) -> None:
    """What a cache answers asks for no room, in an accelerated model and under LangChain's own."""
    limiter = limits(requests_per_minute=1)
    model = chat(rate_limiter=TokenRateLimiter(limiter))
    if accelerated:
        model = accelerate(model, accel)
    else:
        request.getfixturevalue("global_cache")
    colour.batch(model, ["What is the capital of France?"] * 5)
    colour.invoke(model, "What is the capital of France?")
    assert limiter.state().under_way == 0


@hows
def test_what_fails_holds_nothing(
    *, chat: Any, colour: Any, answers: ProviderAnswers, how: str
) -> None:
    """An error says what it cost: a refused call no tokens, in threads, tasks and batches."""
    limiter = limits()
    model = chat(rate_limiter=TokenRateLimiter(limiter))
    answers._answer = lambda _: Reply(status=400)
    with pytest.raises(sdk.BadRequestError):
        getattr(colour, how)(model, "one", max_tokens=1_000)
    assert taken(limiter) < 100
    answers._answer = lambda _: Reply(status=503)
    with pytest.raises(sdk.InternalServerError):
        getattr(colour, how)(model, "two", max_tokens=1_000)
    assert taken(limiter) > 950
    with pytest.raises(sdk.InternalServerError):
        colour.generate(model, [[HumanMessage("three")], [HumanMessage("four")]])
    assert limiter.state().under_way == 0


def test_a_batch_that_fails_in_its_midst_holds_nothing(
    chat: Any, colour: Any, answers: ProviderAnswers
) -> None:
    """LangChain says nothing of the prompts that were answered before one failed."""
    limiter = limits()
    model = chat(rate_limiter=TokenRateLimiter(limiter))
    own = answers._answer
    answers._answer = lambda ask: Reply(status=503) if "bad" in str(ask) else own(ask)
    with pytest.raises(sdk.InternalServerError):
        colour.generate(
            model, [[HumanMessage("good")], [HumanMessage("bad")], [HumanMessage("never")]]
        )
    assert limiter.state().under_way == 0
    assert current_run() is None


def test_a_stream_that_is_closed_is_counted(chat: Any, colour: Any, runner: asyncio.Runner) -> None:
    """Whoever stops reading has taken what was streamed."""
    limiter = limits()
    model = chat(rate_limiter=TokenRateLimiter(limiter))
    colour.take(model.bind(max_tokens=30_000), "tell me something long", 3)
    runner.run(asyncio.sleep(0.01))
    assert taken(limiter) < 1_000


@hows
async def test_a_cancelled_task_holds_nothing(chat: Any, server: ModelServer, how: str) -> None:
    """Cancelled while the model thinks, or while it waits; LangChain need not say so."""
    limiter = limits(max_wait_s=1_000, concurrent_requests=1)
    model = chat(rate_limiter=TokenRateLimiter(limiter))

    async def ask(text: str) -> None:
        if how == "invoke":
            await model.ainvoke(text)
        async for _ in model.astream(text):
            pass

    with server.hold():
        first = asyncio.create_task(ask("one"))
        await asyncio.to_thread(server.wait_for_calls, 1)
        second = asyncio.create_task(ask("two"))
        while not limiter.state().waiting:
            await asyncio.sleep(0.001)
        for task in (second, first):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    state = limiter.state()
    assert state.under_way == state.waiting == 0


@hows
def test_no_room_in_time_is_an_error(chat: Any, colour: Any, server: Any, how: str) -> None:
    """The limiter's own, and nothing was sent."""
    model = chat(rate_limiter=TokenRateLimiter(limits(requests_per_minute=1)))
    getattr(colour, how)(model, "one")
    with pytest.raises(LimitExceededError):
        getattr(colour, how)(model, "two")
    assert server.call_count == 1
    assert current_run() is None


async def test_outside_a_run_it_counts_requests() -> None:
    """Asked by hand it lets through, or says that there is no room, and holds nothing."""
    limiter = limits(requests_per_minute=2)
    own = TokenRateLimiter(limiter)
    assert own.acquire(blocking=False)
    assert await own.aacquire(blocking=False)
    assert not await own.aacquire(blocking=False)
    assert limiter.state().under_way == 0
