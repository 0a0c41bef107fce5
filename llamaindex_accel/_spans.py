"""The span of a retrieval, whose making takes as long as finding its answer again.

LlamaIndex's decorator reads the method's signature at every call, for handlers of spans. While
there are none, an accelerated retriever calls the method inside the decorator. The span still has
its id, which what happens inside names as its parent, to handlers elsewhere.

Invariant: no handler sees a difference, and what others put around the method is called.
"""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.span import active_span_id

from llamaindex_accel.events import is_heard

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.core.schema import NodeWithScore, QueryType

_dispatcher = get_dispatcher(BaseRetriever.__module__)
_own: dict[str, Any] = {name: vars(BaseRetriever)[name] for name in ("retrieve", "aretrieve")}
"""LlamaIndex's own methods, with their spans."""


def make_retrieve(base: type[BaseRetriever], _place: object, name: str) -> Callable[..., Any]:
    """Make `retrieve` of a generated subclass of `base`."""

    def retrieve(self: BaseRetriever, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        inside = _inside(base, name)
        if inside is None:
            return base.retrieve(self, str_or_query_bundle)
        token = active_span_id.set(_new_id(self, name))
        try:
            return inside(self, str_or_query_bundle)  # type: ignore[no-any-return]
        finally:
            active_span_id.reset(token)

    return retrieve


def make_aretrieve(base: type[BaseRetriever], _place: object, name: str) -> Callable[..., Any]:
    """Make `aretrieve` of a generated subclass of `base`."""

    async def aretrieve(self: BaseRetriever, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        inside = _inside(base, name)
        if inside is None:
            return await base.aretrieve(self, str_or_query_bundle)
        token = active_span_id.set(_new_id(self, name))
        try:
            return await inside(self, str_or_query_bundle)  # type: ignore[no-any-return]
        finally:
            active_span_id.reset(token)

    return aretrieve


def _inside(base: type[BaseRetriever], name: str) -> Callable[..., Any] | None:
    """Return LlamaIndex's own method without its span; None where that, or another, is needed."""
    method = next(vars(kind)[name] for kind in base.__mro__ if name in vars(kind))
    if method is not _own[name] or is_heard(_dispatcher):
        return None
    inside = getattr(method, "__wrapped__", None)
    # Anything else is a span around what somebody else had put there before this was imported.
    return inside if type(inside) is FunctionType else None


def _new_id(retriever: BaseRetriever, name: str) -> str:
    return f"{type(retriever).__name__}.{name}-{uuid4()}"
