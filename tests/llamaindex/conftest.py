"""Real LlamaIndex clients against a local server, in both colours, with every event recorded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.llms.openai import OpenAI
from llama_index_instrumentation import root_dispatcher

from accel_core.accel import Accel
from accel_core.testing.doubles import ManualClock, RecordingObserver
from accel_core.testing.encoders import HashEncoder
from accel_core.testing.model_server import ModelServer
from llamaindex_accel import accelerate
from tests.llamaindex.speculating import Carrier, World
from tests.llamaindex.support import Caller, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def ask(runner: asyncio.Runner) -> Caller:
    return Caller(runner)


@pytest.fixture
def http_clients(runner: asyncio.Runner) -> Iterator[dict[str, Any]]:
    """Both of httpx's clients, as the keyword arguments of LlamaIndex's OpenAI classes."""
    plain, waiting = httpx.Client(), httpx.AsyncClient()
    yield {"http_client": plain, "async_http_client": waiting}
    plain.close()
    runner.run(waiting.aclose())


@pytest.fixture
def make_llm(server: ModelServer, http_clients: dict[str, Any]) -> Callable[..., OpenAI]:
    """Make a real client of the server; its arguments replace the defaults."""

    def make(kind: type[OpenAI] = OpenAI, **options: Any) -> OpenAI:
        defaults: dict[str, Any] = {
            "model": "gpt-4o-mini",
            "api_base": server.url,
            "api_key": "x",
            "temperature": 0,
            "max_retries": 0,
            **http_clients,
        }
        return kind(**{**defaults, **options})

    return make


@pytest.fixture
def observed() -> RecordingObserver:
    return RecordingObserver()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def make_accel(observed: RecordingObserver, clock: ManualClock) -> Iterator[Callable[..., Accel]]:
    """Make configured objects that report to `observed`, and close them afterwards."""
    made: list[Accel] = []

    def make(settings: dict[str, Any] | None = None, **options: Any) -> Accel:
        defaults = {"encoder": HashEncoder(), "observers": [observed], "clocks": clock.clocks()}
        accel = Accel.from_mapping(settings or {}, **{**defaults, **options})
        made.append(accel)
        return accel

    yield make
    for accel in made:
        accel.close()


@pytest.fixture
def accel(make_accel: Callable[..., Accel]) -> Accel:
    return make_accel()


@pytest.fixture
def llm(make_llm: Callable[..., OpenAI], accel: Accel) -> OpenAI:
    """An accelerated client of the server."""
    return accelerate(make_llm(), accel)


@pytest.fixture
def watch() -> Iterator[Watch]:
    """See the events of everything instrumented."""
    handler = Watch(seen=[])
    root_dispatcher.event_handlers.append(handler)
    yield handler
    root_dispatcher.event_handlers.remove(handler)


@pytest.fixture
def spans() -> Iterator[SimpleSpanHandler]:
    """See the spans of everything instrumented."""
    handler = SimpleSpanHandler()
    root_dispatcher.span_handlers.append(handler)
    yield handler
    root_dispatcher.span_handlers.remove(handler)


@pytest.fixture
def world(
    tmp_path: Path,
    make_llm: Callable[..., OpenAI],
    make_accel: Callable[..., Accel],
    ask: Caller,
    observed: RecordingObserver,
) -> Iterator[World]:
    """A desk, a carrier and a model; no result is audited."""
    accel = make_accel({"speculation": {"audit_share": 0.0}})
    with Carrier() as carrier:
        yield World(tmp_path, carrier, make_llm, accel, ask, observed)


@pytest.fixture(params=["sync", "async"])
def runner_colour(request: pytest.FixtureRequest) -> str:
    """Name a colour, for tests that make what they need of it themselves."""
    return str(request.param)
