"""`AccelKVStore`: LlamaIndex's own caches get bounds, lifetimes, tenants and a shared file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import Document
from llama_index.core.storage.kvstore.types import BaseKVStore

from llamaindex_accel import AccelKVStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from accel_core.accel import Accel
    from accel_core.testing.doubles import ManualClock
    from tests.llamaindex.support import Caller

asked: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    asked.clear()


class Counting(BaseEmbedding):
    """Counts what it embeds."""

    def _get_text_embedding(self, text: str) -> list[float]:
        asked.append(text)
        return [len(text) / 3, 1.0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, ask: Caller) -> Callable[..., Any]:
    """Call a method of a store in either colour."""

    def call(store: AccelKVStore, method: str, *args: Any, **kwargs: Any) -> Any:
        if request.param == "sync":
            return getattr(store, method)(*args, **kwargs)
        return ask.run(getattr(store, f"a{method}")(*args, **kwargs))

    return call


@pytest.fixture(params=["memory", "sqlite"])
def store(
    request: pytest.FixtureRequest, make_accel: Callable[..., Accel], tmp_path: Path
) -> AccelKVStore:
    kind = {"kind": "none" if request.param == "memory" else "sqlite"}
    return AccelKVStore(make_accel({"cache": {"store": {**kind, "path": str(tmp_path / "c.db")}}}))


def sqlite(path: Path) -> dict[str, Any]:
    return {"cache": {"store": {"kind": "sqlite", "path": str(path / "cache.db")}}}


def test_it_does_what_a_kv_store_does(store: AccelKVStore, call: Any) -> None:
    """Put, get, list and delete, by collection, as LlamaIndex's own store does."""
    assert isinstance(store, BaseKVStore)
    assert call(store, "get", "a") is None
    call(store, "put", "a", {"n": 1})
    call(store, "put", "a", {"n": 2, "vector": [0.1, 1e300], "big": 2**70})
    call(store, "put_all", [("b", {}), ("c", {"ü": None})], batch_size=2)
    call(store, "put", "a", {"other": True}, collection="more")
    expected = {"n": 2, "vector": [0.1, 1e300], "big": 2**70}
    assert call(store, "get", "a") == expected
    assert call(store, "get_all") == {"a": expected, "b": {}, "c": {"ü": None}}
    assert call(store, "get_all", collection="more") == {"a": {"other": True}}
    assert call(store, "delete", "a") is True
    assert call(store, "delete", "a") is False
    assert call(store, "get", "a") is None
    assert call(store, "get", "a", collection="more") == {"other": True}
    assert call(store, "get_all", collection="none") == {}


def test_values_are_the_callers_own(store: AccelKVStore, call: Any) -> None:
    """Who changes what it put or got changes nothing that is kept."""
    value = {"list": [1]}
    call(store, "put", "a", value)
    value["list"].append(2)
    call(store, "get", "a")["list"].append(3)
    assert call(store, "get", "a") == {"list": [1]}


@pytest.mark.parametrize("value", [{"x": float("nan")}, {"x": object()}, {1: "x"}])
def test_what_json_cannot_say_is_refused(store: AccelKVStore, call: Any, value: Any) -> None:
    """Such a value is an error at once, and nothing of it is kept."""
    with pytest.raises((TypeError, ValueError)):
        call(store, "put", "a", value)
    assert call(store, "get_all") == {}


def test_lifetimes_and_tenants(
    make_accel: Callable[..., Accel], clock: ManualClock, call: Any
) -> None:
    """Values end with their lifetime, and belong to the tenant who put them."""
    accel = make_accel()
    store = AccelKVStore(accel, ttl_s=100)
    with accel.tenant("acme", user="ann"):
        call(store, "put", "a", {"n": 1})
        call(store, "put", "b", {"n": 2})
    assert call(store, "get", "a") is None
    with accel.tenant("acme"):
        assert call(store, "get", "a") == {"n": 1}
        assert len(accel.forget(text="a").removed) == 1
        assert call(store, "get", "a") is None
        clock.advance(101)
        assert call(store, "get", "b") is None
        assert call(store, "get_all") == {}


def test_where_tenants_are_required(make_accel: Callable[..., Accel], call: Any) -> None:
    """Without a tenant nothing is kept, and nothing fails."""
    store = AccelKVStore(make_accel({"security": {"tenant_required": True}}))
    call(store, "put", "a", {})
    assert call(store, "get", "a") is None
    assert call(store, "get_all") == {}
    assert call(store, "delete", "a") is False


def test_an_ingestion_cache_works_on_it(
    make_accel: Callable[..., Accel], tmp_path: Path, ask: Caller
) -> None:
    """Another process that runs the same pipeline over the same documents embeds nothing."""
    documents = [Document(text=f"Parcel {n} is returned. " * 5, id_=str(n)) for n in range(3)]
    found: list[Any] = []
    for colour in ("sync", "async"):
        accel = make_accel(sqlite(tmp_path))
        cache = IngestionCache(cache=AccelKVStore(accel), collection="docs")
        pipeline = IngestionPipeline(
            transformations=[SentenceSplitter(chunk_size=64, chunk_overlap=0), Counting()],
            cache=cache,
            disable_cache=False,
        )
        run = pipeline.run if colour == "sync" else lambda **kw: ask.run(pipeline.arun(**kw))  # noqa: B023
        nodes = run(documents=documents)
        found.append([(node.text, node.embedding) for node in nodes])
        accel.close()
    assert found[0] == found[1]
    assert len(asked) == len(found[0])
    with_cleared = make_accel(sqlite(tmp_path))
    cache = IngestionCache(cache=AccelKVStore(with_cleared), collection="docs")
    cache.clear()
    assert cache.cache.get_all("docs") == {}


def test_an_embeddings_cache_works_on_it(accel: Accel, call: Any) -> None:
    """LlamaIndex's own cache of vectors, with a namespace for each model."""
    for name in ("small", "large"):
        model = Counting(embeddings_cache=AccelKVStore(accel, namespace=name))
        for _ in range(2):
            assert model.get_text_embedding("aaa") == [1.0, 1.0]
    assert asked == ["aaa"] * 2
