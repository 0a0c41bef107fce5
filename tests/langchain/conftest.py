"""Real LangChain clients against a local server, in both colours, with every event recorded."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
from contextlib import aclosing, closing
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
from langchain_accel import AccelCache

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from langchain_core.messages import BaseMessage
    from langchain_core.runnables import Runnable

    from accel_core.events import Event

    MakeChat = Callable[..., ChatOpenAI]
    MakeAccel = Callable[..., Accel]


class Blocking:
    """LangChain's methods for threads."""

    name = "sync"

    def invoke(self, runnable: Runnable[Any, Any], value: Any, *args: Any, **kwargs: Any) -> Any:
        return runnable.invoke(value, *args, **kwargs)

    def stream(
        self, runnable: Runnable[Any, Any], value: Any, *args: Any, **kwargs: Any
    ) -> list[Any]:
        return list(runnable.stream(value, *args, **kwargs))

    def take(self, runnable: Runnable[Any, Any], value: Any, count: int) -> list[Any]:
        """Read `count` chunks of a stream and close it."""
        stream: Any = runnable.stream(value)
        with closing(stream):
            return list(itertools.islice(stream, count))

    def batch(self, runnable: Runnable[Any, Any], values: list[Any], **kwargs: Any) -> list[Any]:
        return runnable.batch(values, **kwargs)

    def generate(self, model: Any, prompts: list[Any]) -> Any:
        return model.generate(prompts)


class Asyncio:
    """LangChain's methods for tasks, each run on one loop in the caller's context."""

    name = "async"

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work, context=contextvars.copy_context())

    def invoke(self, runnable: Runnable[Any, Any], value: Any, *args: Any, **kwargs: Any) -> Any:
        return self.run(runnable.ainvoke(value, *args, **kwargs))

    def stream(
        self, runnable: Runnable[Any, Any], value: Any, *args: Any, **kwargs: Any
    ) -> list[Any]:
        async def read() -> list[Any]:
            return [chunk async for chunk in runnable.astream(value, *args, **kwargs)]

        return self.run(read())  # type: ignore[no-any-return]

    def take(self, runnable: Runnable[Any, Any], value: Any, count: int) -> list[Any]:
        """Read `count` chunks of a stream and close it."""

        async def read() -> list[Any]:
            stream: Any = runnable.astream(value)
            async with aclosing(stream):
                return [await anext(stream) for _ in range(count)]

        return self.run(read())  # type: ignore[no-any-return]

    def batch(self, runnable: Runnable[Any, Any], values: list[Any], **kwargs: Any) -> list[Any]:
        return self.run(runnable.abatch(values, **kwargs))  # type: ignore[no-any-return]

    def generate(self, model: Any, prompts: list[Any]) -> Any:
        return self.run(model.agenerate(prompts))


Colour = Blocking | Asyncio


class Recorder(list["Event"]):
    """An observer that keeps every event, when it happens."""

    inline = True

    def __call__(self, event: Event) -> None:
        self.append(event)

    def of(self, kind: type[Any]) -> list[Any]:
        """Return the events of one kind, oldest first."""
        return [event for event in self if isinstance(event, kind)]


class Clock:
    """A clock that tests turn by hand, wall and monotonic alike."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def clocks(self) -> Clocks:
        return Clocks(wall_now=self, mono_now=self, chance=lambda: 0.0)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Colour:
    return Blocking() if request.param == "sync" else Asyncio(runner)


@pytest.fixture
def http_clients(runner: asyncio.Runner) -> Iterator[dict[str, Any]]:
    """Both of httpx's clients, as the keyword arguments of LangChain's OpenAI classes."""
    plain, waiting = httpx.Client(), httpx.AsyncClient()
    yield {"http_client": plain, "http_async_client": waiting}
    plain.close()
    runner.run(waiting.aclose())


@pytest.fixture
def chat(server: ModelServer, http_clients: dict[str, Any]) -> MakeChat:
    """Make a real chat client of the server; its arguments replace the defaults."""

    def make(kind: type[ChatOpenAI] = ChatOpenAI, **options: Any) -> ChatOpenAI:
        defaults: dict[str, Any] = {
            "model": "gpt-4o-mini",
            "base_url": server.url,
            "api_key": SecretStr("any"),
            "max_retries": 0,
            **http_clients,
        }
        return kind(**{**defaults, **options})

    return make


@pytest.fixture
def llm(server: ModelServer, http_clients: dict[str, Any]) -> Callable[..., OpenAI]:
    """Make a real client of the legacy completions; temperature 0, since its default is 0.7."""

    def make(**options: Any) -> OpenAI:
        defaults: dict[str, Any] = {
            "base_url": server.url,
            "api_key": SecretStr("any"),
            "max_retries": 0,
            "temperature": 0.0,
            **http_clients,
        }
        return OpenAI(**{**defaults, **options})

    return make


@pytest.fixture
def events() -> Recorder:
    return Recorder()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_accel(events: Recorder) -> Iterator[MakeAccel]:
    """Make configured objects that report to `events`, and close them afterwards."""
    made: list[Accel] = []

    def make(settings: dict[str, Any] | None = None, **options: Any) -> Accel:
        options = {"encoder": HashEncoder(), "observers": [events], **options}
        accel = Accel.from_mapping(settings or {}, **options)
        made.append(accel)
        return accel

    yield make
    for accel in made:
        accel.close()


@pytest.fixture
def accel(make_accel: MakeAccel) -> Accel:
    return make_accel()


@pytest.fixture
def global_cache(accel: Accel) -> AccelCache:
    """The cache of `accel`, set for the whole process."""
    cache = AccelCache(accel)
    set_llm_cache(cache)
    return cache


@pytest.fixture(autouse=True)
def _no_global_cache() -> Iterator[None]:
    set_llm_cache(None)
    yield
    set_llm_cache(None)


def origin(message: BaseMessage) -> str | None:
    """Return which tier a message came from; None: the model."""
    told: dict[str, Any] = message.response_metadata.get("accel", {})
    cache: str = told.get("cache", "miss")
    return None if cache in {"miss", "bypass"} else cache


@pytest.fixture(name="origin")
def _origin() -> Callable[[BaseMessage], str | None]:
    return origin


def joined(chunks: list[Any]) -> Any:
    """Add up the chunks of a stream."""
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole


@pytest.fixture(name="joined")
def _joined() -> Callable[[list[Any]], Any]:
    return joined
