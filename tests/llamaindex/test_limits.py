"""Accelerated LLMs within limits, in front of a provider that refuses and counts."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import openai as sdk
import pytest
from llama_index.llms.openai import OpenAIResponses

from accel_core import Limiter, Retries, RetryPolicy
from accel_core.errors import RequestTooLargeError
from accel_core.testing.model_server import ModelServer
from accel_core.testing.replies import Reply
from accel_core.transport.httpx_transport import LimitedTransport
from llamaindex_accel import accelerate
from tests.limited import LIMIT, quick_answers, served
from tests.llamaindex.support import ALL_METHODS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.accel import Accel
    from accel_core.testing.provider_answers import ProviderAnswers

LARGE, SMALL = 590_000, 6_000
EAGER = Retries(policy=RetryPolicy(max_attempts=2, base_s=0.001))

methods = pytest.mark.parametrize("method", ALL_METHODS)


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


@methods
@pytest.mark.parametrize("reuse", [True, False])
def test_no_refusal_reaches_the_caller(
    *, make_llm: Any, ask: Any, accel: Accel, server: Any, answers: Any, method: str, reuse: bool
) -> None:
    """Limits learned from the first answer are waited for, by each of the eight methods."""
    limiter = Limiter()
    llm = accelerate(make_llm(reuse_client=reuse), accel, limiter=limiter)
    for turn, size in enumerate([LARGE, SMALL, SMALL]):
        assert ask.text(llm, method, f"Question {turn}?", max_tokens=size)
    assert not answers.refused
    assert server.call_count == served(limiter) == 3


def test_a_hit_takes_nothing(make_llm: Any, ask: Any, accel: Accel, limiter: Limiter) -> None:
    """What is answered from the cache never asks the limiter."""
    llm = accelerate(make_llm(), accel, limiter=limiter)
    for method in ("chat", "achat", "stream_chat", "astream_chat"):
        ask(llm, method)
    assert served(limiter) == 1


@pytest.mark.parametrize("made_before", [True, False])
def test_the_users_model_is_untouched(
    make_llm: Any, accel: Accel, limiter: Limiter, made_before: bool
) -> None:
    """Its retries, clients and HTTP client are what they were."""
    llm = make_llm(max_retries=5)
    client = llm._get_client() if made_before else None
    transport = llm._http_client._transport
    made = accelerate(llm, accel, limiter=limiter)
    made.complete("one")
    assert llm._client is client
    assert llm._http_client._transport is transport
    assert (llm.max_retries, made.max_retries) == (5, 0)
    llm.complete("two")
    assert llm._get_client().max_retries == 5
    assert made._get_client().max_retries == 0
    assert served(limiter) == 1


@methods
def test_attempts_do_not_multiply(
    *, make_llm: Any, ask: Any, accel: Accel, server: Any, answers: Any, method: str
) -> None:
    """A failing service is asked as often as the limiter says, and by nobody else."""
    answers._answer = lambda _: Reply(status=503)
    llm = accelerate(make_llm(max_retries=5), accel, limiter=Limiter(retries=EAGER))
    with pytest.raises(sdk.InternalServerError):
        ask(llm, method)
    assert server.call_count == 2


@methods
def test_what_never_fits_is_refused_at_once(
    make_llm: Any, ask: Any, accel: Accel, server: Any, method: str
) -> None:
    """The limiter's own error reaches the caller, not one of the SDK around it."""
    llm = accelerate(make_llm(), accel, limiter=Limiter(tokens_per_minute=100))
    with pytest.raises(RequestTooLargeError):
        ask(llm, method, max_tokens=LARGE)
    assert server.call_count == 0


def test_a_stream_that_is_closed_holds_nothing(
    make_llm: Any, accel: Accel, limiter: Limiter
) -> None:
    """Whoever stops reading gives all back once LlamaIndex's own stream is collected."""
    stream = accelerate(make_llm(), accel, limiter=limiter).stream_complete("something long")
    next(stream)
    stream.close()
    del stream
    gc.collect()
    assert served(limiter) == 1


def test_clients_that_are_made_at_once_are_limited(accel: Accel, limiter: Limiter) -> None:
    """OpenAIResponses makes its clients when it is made."""
    llm = OpenAIResponses(model="gpt-4o-mini", api_key="any", api_base="http://127.0.0.1:9/v1")
    own = llm._client
    made = accelerate(llm, accel, limiter=limiter)
    assert isinstance(made._client._client._transport, LimitedTransport)
    assert llm._client is own
    assert made._client.max_retries == 0
    own._client.close()
