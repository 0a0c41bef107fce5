"""Accelerated chat models within limits, in front of a provider that refuses and counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import openai as sdk
import pytest
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from pydantic import SecretStr

from accel_core import Limiter, Retries, RetryPolicy
from accel_core.errors import RequestTooLargeError
from accel_core.testing.model_server import ModelServer
from accel_core.transport.httpx_transport import LimitedTransport
from langchain_accel import accelerate
from tests.limited import LIMIT, quick_answers, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.accel import Accel
    from accel_core.testing.provider_answers import ProviderAnswers

LARGE, SMALL = 590_000, 4_000
EAGER = Retries(policy=RetryPolicy(max_attempts=2, base_s=0.001))


@pytest.fixture
def answers() -> ProviderAnswers:
    return quick_answers(LIMIT)


@pytest.fixture
def server(answers: ProviderAnswers) -> Iterator[ModelServer]:
    with ModelServer(answers) as server:
        yield server


@pytest.fixture
def limiter() -> Limiter:
    return Limiter(tokens_per_minute=LIMIT)


@pytest.mark.parametrize("known", [{"tokens_per_minute": LIMIT}, {}])
@pytest.mark.parametrize("how", ["invoke", "stream"])
def test_no_refusal_reaches_the_caller(
    *, chat: Any, colour: Any, accel: Accel, server: Any, answers: Any, known: Any, how: str
) -> None:
    """Stated limits and limits learned from headers are waited for; each call is one attempt."""
    limiter = Limiter("openai", **known)
    model = accelerate(chat(), accel, limiter=limiter)
    for turn, size in enumerate([LARGE, SMALL, SMALL, SMALL]):
        assert getattr(colour, how)(model, f"Question {turn}?", max_tokens=size)
    assert not answers.refused
    assert server.call_count == served(limiter) == 4


def test_refused_calls_are_sent_again(
    chat: Any, colour: Any, accel: Accel, server: Any, answers: Any
) -> None:
    """A limit that nobody knew of is met once, and waited out."""
    limiter = Limiter("generic", tokens_per_minute=10 * LIMIT)
    model = accelerate(chat(), accel, limiter=limiter)
    for turn, size in enumerate([LARGE, 12_000]):
        colour.invoke(model, f"Question {turn}?", max_tokens=size)
    assert server.call_count == 2 + len(answers.refused)
    assert served(limiter) == 2


def test_a_hit_and_a_follower_take_nothing(
    chat: Any, colour: Any, accel: Accel, limiter: Limiter, server: Any
) -> None:
    """One question asked many times, at once and again, is one call of the limiter's."""
    model = accelerate(chat(), accel, limiter=limiter)
    colour.batch(model, ["What is the capital of France?"] * 5)
    colour.invoke(model, "What is the capital of France?")
    colour.stream(model, "What is the capital of France?")
    assert server.call_count == served(limiter) == 1


def test_the_users_model_is_untouched(
    chat: Any, accel: Accel, limiter: Limiter, server: Any
) -> None:
    """Neither the model, nor a copy that shares its clients, nor their HTTP client changes."""
    model = chat(max_retries=7)
    shared = model.model_copy()
    before = (model.root_client, model.root_async_client, model.client, model.async_client)
    transport = model.root_client._client._transport
    made = accelerate(model, accel, limiter=limiter)
    made.invoke("one")
    after = (model.root_client, model.root_async_client, model.client, model.async_client)
    assert all(one is other for one, other in zip(before, after, strict=True))
    assert shared.root_client is model.root_client is not made.root_client
    assert model.root_client._client._transport is transport
    assert (model.root_client.max_retries, made.root_client.max_retries) == (7, 0)
    assert (model.max_retries, made.max_retries) == (7, 7)
    for one in (model, shared):
        one.invoke("two")
    assert served(limiter) == 1


def test_a_default_client_that_models_share_is_untouched(
    accel: Accel, limiter: Limiter, server: Any
) -> None:
    """Two models share LangChain's default HTTP client; limiting one does not limit the other."""
    options: dict[str, Any] = {"base_url": server.url, "api_key": SecretStr("any")}
    one, other = ChatOpenAI(model="a", **options), ChatOpenAI(model="b", **options)
    assert one.root_client._client is other.root_client._client
    made = accelerate(one, accel, limiter=limiter)
    assert isinstance(made.root_client._client._transport, LimitedTransport)
    made.invoke("one")
    del made
    other.invoke("two")
    one.invoke("three")
    assert served(limiter) == 1
    other.root_client._client.close()


def test_attempts_do_not_multiply(
    chat: Any, colour: Any, accel: Accel, server: Any, answers: Any
) -> None:
    """A failing service is asked as often as the limiter says, whatever the SDK would have done."""
    from accel_core.testing.replies import Reply

    answers._answer = lambda _: Reply(status=503)
    model = accelerate(chat(max_retries=5), accel, limiter=Limiter(retries=EAGER))
    with pytest.raises(sdk.InternalServerError):
        colour.invoke(model, "one")
    assert server.call_count == 2


@pytest.mark.parametrize("how", ["invoke", "stream"])
def test_what_never_fits_is_refused_at_once(
    chat: Any, colour: Any, accel: Accel, server: Any, how: str
) -> None:
    """The limiter's own error reaches the caller, not one of the SDK around it."""
    model = accelerate(chat(), accel, limiter=Limiter(tokens_per_minute=100))
    with pytest.raises(RequestTooLargeError):
        getattr(colour, how)(model, "one", max_tokens=LARGE)
    assert server.call_count == 0


def test_a_stream_that_is_closed_holds_nothing(
    chat: Any, colour: Any, accel: Accel, limiter: Limiter, runner: asyncio.Runner
) -> None:
    """Whoever stops reading has given everything back, as soon as the loop has closed it."""
    model = accelerate(chat(), accel, limiter=limiter)
    colour.take(model, "tell me something long", 1)
    runner.run(asyncio.sleep(0.01))
    assert served(limiter) == 1


async def test_a_cancelled_task_holds_nothing(
    chat: Any, accel: Accel, limiter: Limiter, server: Any
) -> None:
    """A task that is cancelled while the model thinks, or while it waits, leaves nothing behind."""
    model = accelerate(chat(), accel, limiter=limiter)
    with server.hold():
        first = asyncio.create_task(model.ainvoke("one", max_tokens=LARGE))
        await asyncio.to_thread(server.wait_for_calls, 1)
        second = asyncio.create_task(model.ainvoke("two", max_tokens=LARGE))
        while not limiter.state().waiting:
            await asyncio.sleep(0.001)
        for task in (second, first):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    state = limiter.state()
    assert state.under_way == state.waiting == 0


def test_a_call_has_the_tier_of_its_block(
    chat: Any, colour: Any, accel: Accel, limiter: Limiter
) -> None:
    """`limiter.tier` reaches the queue through LangChain, in threads and tasks."""
    model = accelerate(chat(), accel, limiter=limiter)
    with limiter.tier("gold"):
        colour.invoke(model, "one")
    attained = limiter.state().attained
    assert (attained["gold"].kept + attained["gold"].late, attained["best_effort"].kept) == (1, 0)


def test_a_configured_limiter_is_used(chat: Any, make_accel: Callable[..., Accel]) -> None:
    """With `limits` in the configuration nothing is named in code; a limited copy stays so."""
    accel = make_accel({"limits": {"provider": "openai"}})
    model = accelerate(chat(), accel)
    assert accel.limiter is not None
    model.bind_tools([]).invoke("one")
    accelerate(model, make_accel()).invoke("two")
    assert served(accel.limiter) == 2


def test_azure_and_bound_models_are_limited(
    accel: Accel, limiter: Limiter, http_clients: Any, chat: Any
) -> None:
    """What is built on OpenAI's clients is limited wherever it sits."""
    azure = AzureChatOpenAI(
        azure_endpoint="http://127.0.0.1:9",
        api_version="2024-10-21",
        azure_deployment="gpt-4o",
        api_key=SecretStr("any"),
        **http_clients,
    )
    made: Any = accelerate(azure, accel, limiter=limiter)
    assert isinstance(made.root_client._client._transport, LimitedTransport)
    assert str(made.root_client.base_url) == str(azure.root_client.base_url)
    bound: Any = accelerate(chat().bind(max_tokens=5), accel, limiter=limiter)
    bound.invoke("one")
    assert served(limiter) == 1


def test_limiting_again_replaces_the_limiter(chat: Any, accel: Accel, limiter: Limiter) -> None:
    """A second limiter takes the first one's place."""
    other = Limiter()
    made = accelerate(accelerate(chat(), accel, limiter=limiter), accel, limiter=other)
    made.invoke("one")
    assert (served(limiter), served(other)) == (0, 1)
