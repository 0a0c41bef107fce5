"""Embeddings accelerated by a generated subclass of the user's own class.

The copy stays an instance of its class. Overridden are the four methods of the interface; queries
and documents are kept apart, and never embedded by one another's method, since many models embed
them differently.

State lives on the generated class, not on the instance: both copies and pickles make new instances.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from accel_core.embedding_call import EmbeddingCall
from accel_core.embedding_usage import overheard
from accel_core.errors import UnsupportedError
from accel_core.subclasses import MARK, generated, own_class, subclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.embeddings import Embeddings

    from accel_core.accel import Accel

_QUERY, _DOCUMENT = "langchain.embedding.query", "langchain.embedding.document"
_CLIENTS = ("client", "async_client")
"""Where LangChain's models of OpenAI keep what they ask through."""


def accelerate_embeddings(embeddings: Embeddings, accel: Accel) -> Embeddings:
    """Return a copy of `embeddings` that serves vectors from `accel`; `embeddings` is untouched.

    Raises:
        UnsupportedError: its class has ``__slots__``.
    """
    kind = type(embeddings)
    if getattr(kind, MARK, None) is accel:
        return embeddings
    if not hasattr(kind, "model_fields") and any(vars(k).get("__slots__") for k in kind.__mro__):
        raise UnsupportedError(
            f"accelerate() cannot tell one {kind.__name__} from another by what stands in "
            "__slots__: leave them out of the class"
        )
    made = original(embeddings)
    for name in _CLIENTS:
        if name in vars(made):
            vars(made)[name] = overheard(vars(made)[name])
    base = type(made)
    kind = generated(accel, base, lambda: _subclass(base, accel))
    object.__setattr__(made, "__class__", kind)
    return made


def original(embeddings: Any) -> Embeddings:
    """Return a copy of `embeddings`, a Pydantic model or not, of the user's own class."""
    own = own_class(type(embeddings))
    made: Embeddings
    if hasattr(own, "model_fields"):
        made = embeddings.model_copy()
        object.__setattr__(made, "__class__", own)
    else:
        # Not `copy`, which would go through the generated class's own pickling.
        made = object.__new__(own)
        made.__dict__.update(vars(embeddings))
    return made


def _subclass(base: type[Embeddings], accel: Accel) -> type[Embeddings]:
    methods = {
        "embed_query": _make_query,
        "embed_documents": _make_documents,
        "aembed_query": _make_aquery,
        "aembed_documents": _make_adocuments,
    }
    namespace: dict[str, Any] = {
        "__reduce__": lambda self: (accelerate_embeddings, (original(self), accel)),
        MARK: accel,
    }
    for name, make in methods.items():
        namespace[name] = functools.update_wrapper(make(base, accel), getattr(base, name))
    return subclass(base, namespace)


def _make_documents(base: type[Embeddings], accel: Accel) -> Callable[..., Any]:
    def embed_documents(self: Embeddings, texts: list[str], *args: Any, **kwargs: Any) -> Any:
        def embed(missing: list[str]) -> Sequence[Any]:
            return base.embed_documents(self, missing, *args, **kwargs)

        return EmbeddingCall(accel, _DOCUMENT, self, base, args, kwargs).vectors(texts, embed)

    return embed_documents


def _make_adocuments(base: type[Embeddings], accel: Accel) -> Callable[..., Any]:
    async def aembed_documents(
        self: Embeddings, texts: list[str], *args: Any, **kwargs: Any
    ) -> Any:
        async def embed(missing: list[str]) -> Sequence[Any]:
            return await base.aembed_documents(self, missing, *args, **kwargs)

        call = EmbeddingCall(accel, _DOCUMENT, self, base, args, kwargs)
        return await call.avectors(texts, embed)

    return aembed_documents


def _make_query(base: type[Embeddings], accel: Accel) -> Callable[..., Any]:
    def embed_query(self: Embeddings, text: str, *args: Any, **kwargs: Any) -> Any:
        def embed(missing: list[str]) -> Sequence[Any]:
            return [base.embed_query(self, missing[0], *args, **kwargs)]

        return EmbeddingCall(accel, _QUERY, self, base, args, kwargs).vectors([text], embed)[0]

    return embed_query


def _make_aquery(base: type[Embeddings], accel: Accel) -> Callable[..., Any]:
    async def aembed_query(self: Embeddings, text: str, *args: Any, **kwargs: Any) -> Any:
        async def embed(missing: list[str]) -> Sequence[Any]:
            return [await base.aembed_query(self, missing[0], *args, **kwargs)]

        call = EmbeddingCall(accel, _QUERY, self, base, args, kwargs)
        return (await call.avectors([text], embed))[0]

    return aembed_query
