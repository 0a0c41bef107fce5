"""Embedding models accelerated by a generated subclass of the user's own class.

The copy stays an instance of its class. Overridden are the six methods in which LlamaIndex asks the
model, below its events, spans and batches: those stay as they were, on a hit as on a miss. Queries
and texts are kept apart, and never embedded by one another's method.

State lives on the generated class, not on the instance: ``model_copy`` makes new instances of it.
"""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any

from llama_index.core.rate_limiter import BaseRateLimiter
from llama_index_instrumentation.dispatcher import DISPATCHER_SPAN_DECORATED_ATTR

from accel_core.embedding_call import EmbeddingCall
from accel_core.embedding_usage import overheard
from accel_core.subclasses import MARK, generated, own_class, subclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llama_index.core.base.embeddings.base import BaseEmbedding

    from accel_core.accel import Accel

_QUERY, _TEXT = "llamaindex.embedding.query", "llamaindex.embedding.text"
_CLIENTS = ("_get_client", "_get_aclient")
"""Where LlamaIndex's models of OpenAI get what they ask through."""


class Deferred(BaseRateLimiter):
    """A limiter that waits only where the model is asked: a hit uses none of its quota.

    LlamaIndex acquires before it calls the model's methods, hit or not; this one lets it pass, and
    the generated methods acquire the real `limiter` on a miss.
    """

    def __init__(self, limiter: Any) -> None:
        self.limiter = limiter

    def acquire(self, num_tokens: int = 0) -> None:
        """Let the caller pass."""

    async def async_acquire(self, num_tokens: int = 0) -> None:
        """Async form of `acquire`."""


def accelerate_embedding(embedding: BaseEmbedding, accel: Accel) -> BaseEmbedding:
    """Return a copy of `embedding` that serves vectors from `accel`; `embedding` is untouched."""
    if getattr(type(embedding), MARK, None) is accel:
        return embedding
    made = original(embedding)
    if made.rate_limiter is not None:
        made.__dict__["rate_limiter"] = Deferred(made.rate_limiter)
    base = type(made)
    kind = generated(accel, base, lambda: _subclass(base, accel))
    object.__setattr__(made, "__class__", kind)
    return made


def original(embedding: BaseEmbedding) -> BaseEmbedding:
    """Return a copy of `embedding` of the user's own class."""
    made = embedding.model_copy()
    object.__setattr__(made, "__class__", own_class(type(made)))
    if isinstance(made.rate_limiter, Deferred):
        made.__dict__["rate_limiter"] = made.rate_limiter.limiter
    return made


def _subclass(base: type[BaseEmbedding], accel: Accel) -> type[BaseEmbedding]:
    namespace: dict[str, Any] = {
        "__reduce__": lambda self: (accelerate_embedding, (original(self), accel)),
        MARK: accel,
    }
    for name, (make, kind) in _METHODS.items():
        own = getattr(base, name)
        method = functools.update_wrapper(make(own, kind, base, accel), own)
        setattr(method, DISPATCHER_SPAN_DECORATED_ATTR, True)  # the own method has its span
        namespace[name] = method
    for name in _CLIENTS:
        if hasattr(base, name):
            namespace[name] = _overhearing(getattr(base, name))
    return subclass(base, namespace)


def _overhearing(getter: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(getter)
    def get(self: BaseEmbedding) -> Any:
        client = copy.copy(getter(self))
        client.embeddings = overheard(client.embeddings)
        return client

    return get


def _limiter(call: EmbeddingCall) -> BaseRateLimiter | None:
    """Return the limiter to wait for before the model is asked; once for nested methods."""
    limiter = getattr(call.model, "rate_limiter", None)
    return limiter.limiter if isinstance(limiter, Deferred) and not call.nested else None


def _make_one(own: Any, kind: str, base: type, accel: Accel) -> Callable[..., Any]:
    def method(self: BaseEmbedding, text: str) -> Any:
        def embed(missing: list[str]) -> Sequence[Any]:
            if limiter is not None:
                limiter.acquire()
            return [own(self, missing[0])]

        call = EmbeddingCall(accel, kind, self, base)
        limiter = _limiter(call)
        return call.vectors([text], embed)[0]

    return method


def _make_aone(own: Any, kind: str, base: type, accel: Accel) -> Callable[..., Any]:
    async def method(self: BaseEmbedding, text: str) -> Any:
        async def embed(missing: list[str]) -> Sequence[Any]:
            if limiter is not None:
                await limiter.async_acquire()
            return [await own(self, missing[0])]

        call = EmbeddingCall(accel, kind, self, base)
        limiter = _limiter(call)
        return (await call.avectors([text], embed))[0]

    return method


def _make_many(own: Any, kind: str, base: type, accel: Accel) -> Callable[..., Any]:
    def method(self: BaseEmbedding, texts: list[str]) -> Any:
        def embed(missing: list[str]) -> Sequence[Any]:
            if limiter is not None:
                limiter.acquire()
            vectors: Sequence[Any] = own(self, missing)
            return vectors

        call = EmbeddingCall(accel, kind, self, base)
        limiter = _limiter(call)
        return call.vectors(texts, embed)

    return method


def _make_amany(own: Any, kind: str, base: type, accel: Accel) -> Callable[..., Any]:
    async def method(self: BaseEmbedding, texts: list[str]) -> Any:
        async def embed(missing: list[str]) -> Sequence[Any]:
            if limiter is not None:
                await limiter.async_acquire()
            vectors: Sequence[Any] = await own(self, missing)
            return vectors

        call = EmbeddingCall(accel, kind, self, base)
        limiter = _limiter(call)
        return await call.avectors(texts, embed)

    return method


_METHODS: dict[str, tuple[Callable[..., Callable[..., Any]], str]] = {
    "_get_query_embedding": (_make_one, _QUERY),
    "_aget_query_embedding": (_make_aone, _QUERY),
    "_get_text_embedding": (_make_one, _TEXT),
    "_aget_text_embedding": (_make_aone, _TEXT),
    "_get_text_embeddings": (_make_many, _TEXT),
    "_aget_text_embeddings": (_make_amany, _TEXT),
}
