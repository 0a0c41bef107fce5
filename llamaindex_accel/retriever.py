"""Retrievers accelerated by a generated subclass of the user's own class.

The copy stays an instance of its class with its fields. Overridden are the two private methods in
which LlamaIndex asks a retriever, marked as already in a span: a miss has exactly the spans and
events of the user's own method, a hit none but `CacheHitEvent`; the events of retrieval itself, and
what nodes refer to, are LlamaIndex's own in both. Its span is left out while nobody handles spans
(`_spans`). State lives on the generated class.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from accel_core.retrieval_call import RetrievalCall
from accel_core.subclasses import own_method, runs_own_method
from llamaindex_accel._nodes import Nodes
from llamaindex_accel._retrieval import ask_of, explained
from llamaindex_accel._spans import make_aretrieve, make_retrieve
from llamaindex_accel._subclass import placed

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle

    from accel_core.place import Place
    from accel_core.retrieval import Ask


def accelerate_retriever(retriever: BaseRetriever, place: Place) -> BaseRetriever:
    """Return a copy of `retriever` that answers from `place`; `retriever` is untouched.

    The stores and indices in it are watched in place: what changes them through these objects is
    seen.

    Raises:
        UnsupportedError: a store in it cannot be watched, and the corpus has no name.
    """
    made: BaseRetriever = placed(
        retriever, place, accelerate_retriever, _METHODS, explained("retriever")
    )
    return made


def _make_retrieve(base: type[BaseRetriever], place: Place, _: str) -> Callable[..., Any]:
    def _retrieve(self: BaseRetriever, query_bundle: QueryBundle) -> list[NodeWithScore]:
        # Copied, because some retrievers write the embedding into the caller's.
        question = replace(query_bundle)

        async def make() -> list[NodeWithScore]:
            with own_method(self):
                return base._retrieve(self, question)

        if runs_own_method(self):
            return base._retrieve(self, query_bundle)
        call = RetrievalCall(place.accel, "retrieval", base)
        asked = _asked(place, self, query_bundle)
        if asked is None:
            question = query_bundle  # as without us
        elif not place.accel.needs_retrieval(question.query_str):
            return []
        return call.value(asked, make)

    return _retrieve


def _make_aretrieve(base: type[BaseRetriever], place: Place, _: str) -> Callable[..., Any]:
    async def _aretrieve(self: BaseRetriever, query_bundle: QueryBundle) -> list[NodeWithScore]:
        question = replace(query_bundle)

        async def make() -> list[NodeWithScore]:
            with own_method(self):
                return await base._aretrieve(self, question)

        if runs_own_method(self):
            return await base._aretrieve(self, query_bundle)
        call = RetrievalCall(place.accel, "retrieval", base)
        asked = _asked(place, self, query_bundle)
        if asked is None:
            question = query_bundle  # as without us
        elif not await place.accel.aneeds_retrieval(question.query_str):
            return []
        return await call.avalue(asked, make)

    return _aretrieve


def _asked(
    place: Place, retriever: BaseRetriever, question: QueryBundle
) -> tuple[Ask, Nodes] | None:
    """Name a call, and say how its answer is stored; None: it bypasses the cache."""
    asked = ask_of(place.accel, place, retriever, "retriever", question)
    if asked is None:
        return None
    ask, reading = asked
    longest = place.accel.config.retrieval.max_documents
    return ask, Nodes(longest, precise=reading.precise, method="retrieve")


_METHODS = {
    "_retrieve": _make_retrieve,
    "_aretrieve": _make_aretrieve,
    "retrieve": make_retrieve,
    "aretrieve": make_aretrieve,
}
