"""LangChain's own suites, as every cache and chat model is judged by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.load import dumpd
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import AsyncCacheTestSuite, SyncCacheTestSuite
from langchain_tests.unit_tests import ChatModelUnitTests
from pydantic import SecretStr

from accel_core.accel import Accel
from accel_core.testing.encoders import HashEncoder
from langchain_accel import AccelCache, accelerate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from langchain_core.language_models import BaseChatModel


@pytest.fixture(params=["memory", "sqlite", "exact", "keyed"])
def cache(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AccelCache]:
    """A cache as people configure it: in memory, on disk, without meaning, with a secret."""
    monkeypatch.setenv("ACCEL_KEY", "k" * 32)
    sqlite = {"cache": {"store": {"kind": "sqlite", "path": str(tmp_path / "cache.db")}}}
    settings: dict[str, Any] = {
        "memory": {},
        "sqlite": sqlite,
        "exact": {"cache": {"semantic": {"enabled": False}}},
        "keyed": {**sqlite, "security": {"key_env": "ACCEL_KEY"}},
    }
    with Accel.from_mapping(settings[request.param], encoder=HashEncoder()) as accel:
        yield AccelCache(accel)


class TestSync(SyncCacheTestSuite):
    """LangChain's suite for caches."""

    @pytest.fixture
    def cache(self, cache: AccelCache) -> AccelCache:
        return cache


class TestAsync(AsyncCacheTestSuite):
    """LangChain's suite for caches, asynchronous."""

    @pytest.fixture
    async def cache(self, cache: AccelCache) -> AccelCache:
        return cache


_accel = Accel(encoder=HashEncoder())


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    _accel.close()


class TestChatModel(ChatModelUnitTests):
    """LangChain's suite for chat models, on the class that `accelerate` generates."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return type(accelerate(ChatOpenAI(model="gpt-4o-mini", api_key=SecretStr("x")), _accel))

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "gpt-4o-mini", "api_key": "x"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        env = {"OPENAI_API_KEY": "api_key", "OPENAI_ORG_ID": "org_id"}
        expected = {"openai_api_key": "api_key", "openai_organization": "org_id"}
        return env, {"model": "gpt-4o-mini"}, expected

    @pytest.fixture
    def snapshot(self) -> Callable[..., Any]:
        """What the user's own class is serialised as: an accelerated one is the same to LangChain.

        It stands in for a snapshot file, which langchain-openai keeps in its own repository.
        """
        params = {**self.standard_chat_model_params, **self.chat_model_params}
        serialized = dumpd(ChatOpenAI(**params))
        return lambda name: serialized
