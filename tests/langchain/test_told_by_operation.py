"""What one application does is told by operation: chat, vectors and documents are never mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import AzureOpenAIEmbeddings, OpenAIEmbeddings
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from accel_core.events.requests import Tokens
from accel_core.observer.prices import load_prices
from accel_core.observer.prometheus import PrometheusObserver
from accel_core.policy.providers import provider_of
from langchain_accel import accelerate
from tests.langchain.test_steps import embedded, ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeAccel, MakeChat, Recorder

MODEL = "text-embedding-3-small"


@pytest.fixture
def make(server: ModelServer, http_clients: dict[str, Any]) -> Callable[..., OpenAIEmbeddings]:
    """Make a real client of the server's embeddings."""

    def made(**options: Any) -> OpenAIEmbeddings:
        defaults: dict[str, Any] = {
            "model": MODEL,
            "base_url": server.url,
            "api_key": SecretStr("any"),
            "check_embedding_ctx_length": False,  # counting tokens would download a file
            "max_retries": 0,
            **http_clients,
        }
        return OpenAIEmbeddings(**{**defaults, **options})

    return made


def test_embeddings_tell_what_the_provider_states(
    accel: Accel, events: Recorder, make: Any, colour: Colour
) -> None:
    """Tokens are those of all answers to a call, texts that were kept left out; a hit has none."""
    model = accelerate(make(chunk_size=2), accel)
    for texts in (["one two", "three", "four"], ["three"], ["four", "five six"]):
        embedded(colour, model, texts)
    first, hit, more = ended(events, "embeddings")
    counted = [one.used for one in (first, hit, more)]
    bare = make()
    stated = [
        bare.client.create(input=texts, model=MODEL).usage.prompt_tokens
        for texts in (["one two", "three", "four"], ["five six"])
    ]
    assert counted == [Tokens(stated[0], 0.0), None, Tokens(stated[1], 0.0)]
    assert {one.provider for one in (first, hit, more)} == {"openai"}
    total = accel.stats().requests.models[MODEL]
    assert (total.used.input_tokens, total.unstated) == (sum(stated), 0)
    assert total.cost == pytest.approx(sum(stated) * 0.02e-6)


def test_an_answer_that_states_nothing_leaves_all_unstated(
    accel: Accel, events: Recorder, make: Any, colour: Colour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a call in two parts of which one states no usage, nothing is told, rather than half."""
    bodies = iter([True, False])
    from accel_core.testing import openai_wire as wire

    own = wire.embeddings_body

    def body(request: Any) -> Any:
        made = own(request)
        if not next(bodies):
            del made["usage"]["prompt_tokens"]
        return made

    monkeypatch.setattr(wire, "embeddings_body", body)
    embedded(colour, accelerate(make(chunk_size=1), accel), ["one", "two"])
    (told,) = ended(events, "embeddings")
    assert (told.ending, told.used) == ("answered", None)
    assert accel.stats().requests.models[MODEL].unstated == 1


def test_the_users_own_client_is_not_changed(accel: Accel, make: Any) -> None:
    """The model that was handed over asks as before, and the copy stays what it is."""
    model = make()
    own = model.client
    fast = accelerate(accelerate(model, accel), accel)
    assert model.client is own
    assert "create" not in vars(own)
    assert type(fast.client) is type(own)


def test_a_provider_is_the_integrations() -> None:
    """Packages are named after providers; Azure's classes stand beside OpenAI's."""
    assert provider_of(OpenAIEmbeddings) == "openai"
    assert provider_of(AzureOpenAIEmbeddings) == "azure"
    assert provider_of(type("Own", (OpenAIEmbeddings,), {})) == "openai"
    assert provider_of(InMemoryVectorStore) == ""


def test_series_are_by_operation(
    make_accel: MakeAccel, chat: MakeChat, make: Any, colour: Colour
) -> None:
    """Times and tokens of a chat, of vectors and of a retrieval are series of their own."""
    registry = CollectorRegistry()
    told = PrometheusObserver(load_prices(), registry=registry)
    accel = make_accel(observers=[told])
    store = InMemoryVectorStore(accelerate(make(), accel))
    store.add_documents([Document("A refund is paid within 14 days.")])
    retriever = accelerate(store.as_retriever(), accel)
    colour.invoke(accelerate(chat(), accel), "How long does a refund take?")
    colour.invoke(retriever, "How long does a refund take?")
    accel.flush()

    def found(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    parts = "accel_request_part_seconds_count"
    for operation, part in (
        ("chat", "model"), ("embeddings", "embed"), ("retrieval", "retrieval"),
    ):  # fmt: skip
        assert found(parts, operation=operation, part=part, tier="")
    assert found(parts, operation="chat", part="embed", tier="") is None
    assert found(parts, operation="embeddings", part="model", tier="") is None
    tokens = {
        (operation, model): found(
            "accel_tokens_total", operation=operation, kind="used", direction="input", model=model
        )
        for operation, model in (
            ("chat", "gpt-4o-mini"), ("embeddings", MODEL), ("chat", MODEL), ("retrieval", ""),
        )
    }  # fmt: skip
    used = accel.stats().requests.models
    assert tokens == {
        ("chat", "gpt-4o-mini"): used["gpt-4o-mini"].used.input_tokens,
        ("embeddings", MODEL): used[MODEL].used.input_tokens,
        ("chat", MODEL): None,
        ("retrieval", ""): None,
    }
