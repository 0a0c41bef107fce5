"""What one application does is told by operation: chat, vectors, documents and queries apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai import OpenAIEmbedding
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from accel_core.clocks import Clocks
from accel_core.events.requests import Tokens
from accel_core.observer.otel import SCHEMA_URL, OtelObserver
from accel_core.policy.providers import provider_of
from llamaindex_accel import accelerate
from tests.llamaindex.retrieving import COLOURS, Retrieve, document, index_of
from tests.llamaindex.test_steps import ended

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.testing.doubles import RecordingObserver
    from accel_core.testing.model_server import ModelServer

MODEL = "text-embedding-3-small"
DOCUMENTS = [document("one", "a refund is paid"), document("two", "a delivery takes days")]


@pytest.fixture(params=COLOURS)
def retrieve(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Retrieve:
    return Retrieve(request.param, runner)


@pytest.fixture
def make(server: ModelServer, http_clients: dict[str, Any]) -> Callable[..., OpenAIEmbedding]:
    """Make a real client of the server's embeddings."""

    def made(**options: Any) -> OpenAIEmbedding:
        defaults: dict[str, Any] = {"api_base": server.url, "api_key": "x", "model": MODEL}
        return OpenAIEmbedding(**{**defaults, **http_clients, "max_retries": 0, **options})

    return made


@pytest.mark.parametrize("reuse_client", [True, False])
def test_embeddings_tell_what_the_provider_states(
    accel: Accel,
    observed: RecordingObserver,
    make: Any,
    retrieve: Retrieve,
    *,
    reuse_client: bool,
) -> None:
    """A text's vector used what the answer says; found again it used nothing."""
    fast: Any = accelerate(make(reuse_client=reuse_client), accel)
    texts = ["how long does a refund take", "where is my parcel"]
    for asked in (texts, texts[:1]):
        if retrieve.waits:
            retrieve.run(fast.aget_text_embedding_batch(asked))
        else:
            fast.get_text_embedding_batch(asked)
    first, hit = ended(observed, "embeddings")
    stated = make()._get_client().embeddings.create(input=texts, model=MODEL).usage.prompt_tokens
    assert (first.used, first.provider, hit.outcome, hit.used) == (
        Tokens(stated, 0.0), "openai", "hit", None,
    )  # fmt: skip
    total = accel.stats().requests.models[MODEL]
    assert (total.used.input_tokens, total.unstated) == (stated, 0)
    assert total.cost == pytest.approx(stated * 0.02e-6)


def test_an_own_model_of_embeddings_is_unstated(
    accel: Accel, observed: RecordingObserver, make: Any, retrieve: Retrieve
) -> None:
    """What passes on to a client that nobody hears is not told to have used anything."""

    class Around(OpenAIEmbedding):
        def _get_text_embedding(self, text: str) -> list[float]:
            return make().get_text_embedding(text)

        async def _aget_text_embedding(self, text: str) -> list[float]:
            return await make().aget_text_embedding(text)

    options = {"model": MODEL, "api_key": "x", "api_base": make().api_base}
    fast: Any = accelerate(Around(**options), accel)
    if retrieve.waits:
        retrieve.run(fast.aget_text_embedding("a refund"))
    else:
        fast.get_text_embedding("a refund")
    (told,) = ended(observed, "embeddings")
    assert (told.ending, told.used) == ("answered", None)
    assert accel.stats().requests.models[MODEL].unstated == 1


def test_a_provider_is_the_integrations(llm: OpenAI) -> None:
    """Packages are named after providers."""
    assert provider_of(type(llm)) == provider_of(OpenAIEmbedding) == "openai"


def test_series_are_by_operation(
    make_accel: Callable[..., Accel],
    make_llm: Callable[..., OpenAI],
    make: Any,
    retrieve: Retrieve,
) -> None:
    """Times and tokens of a chat, of vectors, of retrieval and of a query are apart."""
    reader = InMemoryMetricReader()
    told_of = OtelObserver(spans=False, meter_provider=MeterProvider([reader]))
    accel = make_accel(observers=[told_of], clocks=Clocks())
    index = index_of(DOCUMENTS, accelerate(make(), accel))
    llm = accelerate(make_llm(), accel)
    engine = accelerate(index, accel).as_query_engine(llm=llm)
    question = [ChatMessage(role="user", content="How long does a refund take?")]
    if retrieve.waits:
        retrieve.run(llm.achat(question))
        retrieve.run(engine.aquery("is a refund paid"))
    else:
        llm.chat(question)
        engine.query("is a refund paid")
    accel.flush()
    data = reader.get_metrics_data()
    assert data is not None
    (scope,) = data.resource_metrics[0].scope_metrics
    assert scope.schema_url == SCHEMA_URL
    points: dict[str, Any] = {one.name: one.data.data_points for one in scope.metrics}

    def told(metric: str, *names: str) -> set[tuple[str, ...]]:
        return {tuple(point.attributes.get(name) for name in names) for point in points[metric]}

    operation = "gen_ai.operation.name"
    parts = told("accel.request.part.duration", operation, "accel.part")
    assert {
        ("chat", "model"), ("embeddings", "embed"), ("retrieval", "retrieval"),
        ("query", "retrieval"),
    } <= parts  # fmt: skip
    assert not {("chat", "embed"), ("embeddings", "model"), ("retrieval", "model")} & parts
    assert told(
        "gen_ai.client.token.usage", operation, "gen_ai.token.type", "gen_ai.request.model"
    ) == {
        ("chat", "input", "gpt-4o-mini"), ("chat", "output", "gpt-4o-mini"),
        ("embeddings", "input", MODEL),
    }  # fmt: skip
    assert told("accel.requests", operation, "gen_ai.provider.name", "gen_ai.request.model") == {
        ("chat", "openai", "gpt-4o-mini"), ("embeddings", "openai", MODEL),
        ("retrieval", None, None), ("query", None, None),
    }  # fmt: skip
