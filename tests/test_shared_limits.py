"""Applications of both frameworks, configured by a file, share one key's limits over Redis."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest
from langchain_openai import ChatOpenAI
from llama_index.llms.openai import OpenAI
from pydantic import SecretStr

import langchain_accel
import llamaindex_accel
from accel_core import events
from accel_core.accel import Accel
from accel_core.errors import LimitExceededError
from accel_core.testing.doubles import RecordingObserver
from accel_core.testing.model_server import ModelServer
from tests.redis_server import RedisServer
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = """
cache:
  enabled: false
  store: {{kind: none, prefix: team}}
limits:
  provider: openai
  tokens_per_minute: 6000
  max_wait_s: 0
  shared: {{kind: redis, url: "${{LIMITS_URL}}", name: our key, when_away: {when_away}}}
"""


@pytest.fixture(scope="module")
def model_server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def redis_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    with RedisServer(BUILDS[0]) as server:
        monkeypatch.setenv("LIMITS_URL", server.url)
        yield server


def configured(folder: Path, when_away: str, seen: RecordingObserver) -> Accel:
    path = folder / "accel.yaml"
    path.write_text(FILE.format(when_away=when_away))
    return Accel.from_yaml(path, observers=[seen])


class Asking:
    """Asks by either framework, in one colour."""

    def __init__(self, server: ModelServer, runner: asyncio.Runner | None) -> None:
        self._server, self._runner = server, runner
        self._plain, self._waiting = httpx.Client(verify=False), httpx.AsyncClient(verify=False)

    def by_langchain(self, accel: Accel, max_tokens: int) -> None:
        made = ChatOpenAI(
            model="gpt-4o-mini",
            api_key=SecretStr("x"),
            base_url=self._server.url,
            max_completion_tokens=max_tokens,
            http_client=self._plain,
            http_async_client=self._waiting,
        )
        llm = langchain_accel.accelerate(made, accel)
        if self._runner is None:
            llm.invoke("hello")
        else:
            self._runner.run(llm.ainvoke("hello"))

    def by_llama_index(self, accel: Accel, max_tokens: int) -> None:
        made = OpenAI(
            model="gpt-4o-mini",
            api_key="x",
            api_base=self._server.url,
            max_tokens=max_tokens,
            http_client=self._plain,
            async_http_client=self._waiting,
        )
        llm = llamaindex_accel.accelerate(made, accel)
        if self._runner is None:
            llm.complete("hello")
        else:
            self._runner.run(llm.acomplete("hello"))

    def close(self) -> None:
        self._plain.close()
        if self._runner is not None:
            self._runner.run(self._waiting.aclose())


@pytest.fixture(params=["sync", "async"])
def asking(model_server: ModelServer, request: pytest.FixtureRequest) -> Iterator[Asking]:
    with asyncio.Runner() as runner:
        asking = Asking(model_server, runner if request.param == "async" else None)
        yield asking
        asking.close()


def test_one_file_makes_both_frameworks_share(
    redis_server: RedisServer, asking: Asking, tmp_path: Path
) -> None:
    """What one application took is missing for the other, and the server holds no names."""
    seen = RecordingObserver()
    with configured(tmp_path, "degraded", seen) as one, configured(tmp_path, "closed", seen) as two:
        asking.by_langchain(one, 5_000)
        with pytest.raises(LimitExceededError):
            asking.by_llama_index(two, 5_000)
        asking.by_llama_index(two, 500)
        with redis_server.client() as client:
            names = [name.decode() for name in client.scan_iter()]
            assert all(name.startswith("{team}:") for name in names), names
            assert not any("our key" in name for name in names)
    assert not seen.of(events.BackendFailed)


def test_a_server_that_dies_leaves_each_its_share_or_nothing(
    redis_server: RedisServer, asking: Asking, tmp_path: Path
) -> None:
    """As configured, and each says so once."""
    seen, closed = RecordingObserver(), RecordingObserver()
    with (
        configured(tmp_path, "degraded", seen) as one,
        configured(tmp_path, "closed", closed) as two,
    ):
        for _ in range(2):
            asking.by_langchain(one, 10)
            asking.by_llama_index(two, 10)
        redis_server.kill()
        asking.by_langchain(one, 2_500)
        with pytest.raises(LimitExceededError):
            asking.by_langchain(one, 2_500)
        for ask in (asking.by_llama_index, asking.by_langchain):
            with pytest.raises(LimitExceededError):
                ask(two, 10)
        assert seen.of(events.LimitsAlone) == [events.LimitsAlone(2, 0.5)]
        assert closed.of(events.LimitsAlone) == [events.LimitsAlone(2, 0.0)]
