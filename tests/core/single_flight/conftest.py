"""Models of both frameworks that ask one server through one cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from langchain_core.globals import set_llm_cache
from langchain_openai import ChatOpenAI, OpenAI
from pydantic import SecretStr

from accel_core.accel import Accel
from accel_core.clocks import Clocks
from accel_core.testing.encoders import HashEncoder
from accel_core.testing.model_server import ModelServer
from langchain_accel import AccelCache, accelerate
from tests.core.single_flight.rig import CROWD, Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Build = Callable[[], Any]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_global_cache() -> Iterator[None]:
    set_llm_cache(None)
    yield
    set_llm_cache(None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accel(clock: Clock) -> Iterator[Accel]:
    with Accel(encoder=HashEncoder(), clocks=Clocks(mono_now=clock)) as accel:
        yield accel


@pytest.fixture
def options(server: ModelServer) -> Iterator[dict[str, Any]]:
    """What both of langchain-openai's classes take, for calls of threads."""
    limits = httpx.Limits(max_connections=2 * CROWD)
    with httpx.Client(limits=limits, verify=False) as client:
        yield {
            "base_url": server.url,
            "api_key": SecretStr("any"),
            "max_retries": 0,
            "http_client": client,
        }


@pytest.fixture(params=["accelerate", "set_llm_cache", "plain"])
def build(
    request: pytest.FixtureRequest, accel: Accel, options: dict[str, Any]
) -> Callable[[], Any]:
    """Make a model that answers from `accel`: accelerated, behind the cache, or a plain one."""
    if request.param == "accelerate":
        return lambda: accelerate(ChatOpenAI(model="gpt-4o-mini", **options), accel)
    set_llm_cache(AccelCache(accel))
    if request.param == "set_llm_cache":
        return lambda: ChatOpenAI(model="gpt-4o-mini", **options)
    return lambda: OpenAI(temperature=0, **options)
