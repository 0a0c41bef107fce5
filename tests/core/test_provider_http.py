"""The simulated provider behind HTTP, through the clients people use."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import openai as sdk
import pytest
from langchain_openai import ChatOpenAI
from llama_index.core.base.llms.types import ChatMessage
from llama_index.llms.openai import OpenAI as LlamaOpenAI
from pydantic import SecretStr

from accel_core.testing.model_server import ModelServer
from accel_core.testing.provider import SimulatedProvider
from accel_core.testing.provider_answers import ProviderAnswers
from accel_core.testing.provider_rules import ProviderRules, bedrock, faster, openai

if TYPE_CHECKING:
    from collections.abc import Iterator

QUESTION = "What is the capital of France?"
SPEED = 40


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


def served(rules: ProviderRules) -> tuple[SimulatedProvider, ProviderAnswers]:
    provider = SimulatedProvider(faster(rules, SPEED), seed=1)
    return provider, ProviderAnswers(provider)


def chat(server: ModelServer, http: httpx.Client, **options: Any) -> ChatOpenAI:
    options = {"max_retries": 0, "max_tokens": 20, **options}
    return ChatOpenAI(
        model="gpt-4o",
        base_url=server.url,
        api_key=SecretStr("any"),
        http_client=http,
        **options,
    )


def test_chat_openai_meets_a_429(http: httpx.Client) -> None:
    """A real client gets the headers with its answer, and a real 429 once the minute is used."""
    _, answers = served(openai(requests=3, tokens=60_000))
    with ModelServer(answers) as server:
        model = chat(server, http, include_response_headers=True)
        said = model.invoke(QUESTION).response_metadata["headers"]
        assert said["x-ratelimit-limit-requests"] == "3"
        assert said["x-ratelimit-remaining-requests"] == "2"
        assert int(said["x-ratelimit-remaining-tokens"]) < 60_000
        model.batch([QUESTION, QUESTION])
        with pytest.raises(sdk.RateLimitError, match=r"on requests per min \(RPM\): Limit 3") as no:
            model.invoke(QUESTION)
        assert 0 < int(no.value.response.headers["retry-after-ms"]) <= 60_000 / SPEED
        assert no.value.code == "rate_limit_exceeded"
        assert len(answers.refused) == 1


def test_sdk_retries_are_served(http: httpx.Client) -> None:
    """The SDK's own retries wait as told and are served; each attempt is seen."""
    provider, answers = served(openai(requests=2))
    with ModelServer(answers) as server:
        model = chat(server, http, max_retries=3)
        assert [bool(model.invoke(QUESTION).content) for _ in range(4)] == [True] * 4
        assert server.call_count > 4
    assert provider.admitted_count == 4


def test_streams_take_their_time(http: httpx.Client) -> None:
    """A stream begins after its time to the first token, comes in its pace, and tells its usage."""
    _, answers = served(openai())
    with ModelServer(answers) as server:
        began = time.monotonic()
        arrivals, usage = [], None
        for chunk in chat(server, http, stream_usage=True).stream(QUESTION):
            arrivals.append(time.monotonic() - began)
            usage = chunk.usage_metadata or usage
        assert usage is not None
        assert (usage["input_tokens"], usage["output_tokens"]) == (6, 8)
        assert arrivals[-1] - arrivals[0] > 7 * 0.006 / SPEED
        assert answers.wait_until_idle()


def test_broken_off_streams_are_settled(http: httpx.Client) -> None:
    """A client that leaves frees its place, and is charged less than it reserved."""
    provider = SimulatedProvider(faster(bedrock(), 4), seed=1)
    answers = ProviderAnswers(provider, lambda request: "word " * 4_000)
    with ModelServer(answers) as server:
        stream = chat(server, http, max_tokens=5_000).stream(QUESTION)
        next(stream)
        assert provider.in_flight == 1
        del stream
        http.close()
        assert answers.wait_until_idle()
    assert provider.charged_in_all["tokens"] < 2_000


def test_llama_index_meets_a_429(http: httpx.Client) -> None:
    """LlamaIndex's client gets the same 429."""
    _, answers = served(openai(requests=1))
    with ModelServer(answers) as server:
        llm = LlamaOpenAI(
            model="gpt-4o", api_base=server.url, api_key="any", http_client=http, max_retries=0
        )
        assert llm.chat([ChatMessage(content=QUESTION)]).message.content
        with pytest.raises(sdk.RateLimitError, match="requests per min"):
            llm.chat([ChatMessage(content=QUESTION)])
