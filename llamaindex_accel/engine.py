"""Query engines accelerated: the whole response found again, or only its text.

A question is first looked up against the state of every index inside: any change of one drops the
response. On a miss the engine runs, with its retriever and synthesizer accelerated: what it
retrieves may still be known (`retriever`), and so may the text that is made of it (`synthesizer`).
So a change that leaves the sources of an answer as they are costs a retrieval and no model call.

Chat engines answer from their memory, so what is accelerated is what they ask: their retriever,
query engine and LLM, in a copy that shares the memory.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.response_synthesizers import BaseSynthesizer
from llama_index.core.schema import QueryBundle

from accel_core.retrieval_call import RetrievalCall
from accel_core.subclasses import own_method, runs_own_method
from llamaindex_accel._responses import Responses
from llamaindex_accel._retrieval import ask_of, explained
from llamaindex_accel._streamed import aanswered, answered
from llamaindex_accel._subclass import original, placed
from llamaindex_accel.retriever import accelerate_retriever
from llamaindex_accel.synthesizer import accelerate_synthesizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.core.base.base_query_engine import BaseQueryEngine
    from llama_index.core.chat_engine.types import BaseChatEngine
    from llama_index.core.schema import QueryType

    from accel_core.place import Place
    from accel_core.retrieval import Ask


def accelerate_query_engine(engine: BaseQueryEngine, place: Place) -> BaseQueryEngine:
    """Return a copy of `engine` that answers from `place`; `engine` is untouched.

    The stores and indices in it are watched in place.

    Raises:
        UnsupportedError: a store in it cannot be watched, and the corpus has no name.
    """
    methods = _CUSTOM_METHODS if isinstance(engine, CustomQueryEngine) else _METHODS
    names = explained("engine", speaks=True)
    made: BaseQueryEngine = placed(engine, place, accelerate_query_engine, methods, names)
    if made is not engine:
        _replace(made, BaseRetriever, lambda part: accelerate_retriever(part, place))
        _replace(made, BaseSynthesizer, lambda part: accelerate_synthesizer(part, place))
    return made


def accelerate_chat_engine(
    engine: BaseChatEngine, changes: dict[type, Callable[[Any], Any]]
) -> BaseChatEngine | None:
    """Return a copy of `engine` with its parts changed; None where it has none of these kinds.

    Args:
        engine: is untouched, and shares its memory with the copy.
        changes: how parts of a kind are accelerated.
    """
    made: BaseChatEngine = original(engine)
    replaced = [_replace(made, kind, change) for kind, change in changes.items()]
    return made if any(replaced) else None


def _replace(owner: Any, kind: type, change: Callable[[Any], Any]) -> bool:
    """Replace the fields of a kind; return whether there are any."""
    parts = {name: part for name, part in vars(owner).items() if isinstance(part, kind)}
    vars(owner).update({name: change(part) for name, part in parts.items()})
    return bool(parts)


def _make_query(base: type[BaseQueryEngine], place: Place, name: str) -> Callable[..., Any]:
    def query(self: BaseQueryEngine, asked: QueryType) -> Any:
        question = _bundle(asked)

        def own() -> Any:
            with own_method(self):
                return getattr(base, name)(self, question)

        async def make() -> Any:
            return own()

        if runs_own_method(self):
            return own()
        call = RetrievalCall(place.accel, "query", base)
        ask, streams = _asked(place, self, question)
        form = Responses(place.accel.config.retrieval.max_documents, waits=False)
        if ask is not None and streams:
            return answered(place.accel.retrieval, ask, form, own)
        return call.value(None if ask is None else (ask, form), make)

    return query


def _make_aquery(base: type[BaseQueryEngine], place: Place, name: str) -> Callable[..., Any]:
    async def aquery(self: BaseQueryEngine, asked: QueryType) -> Any:
        question = _bundle(asked)

        async def own() -> Any:
            with own_method(self):
                return await getattr(base, name)(self, question)

        if runs_own_method(self):
            return await own()
        call = RetrievalCall(place.accel, "query", base)
        ask, streams = _asked(place, self, question)
        form = Responses(place.accel.config.retrieval.max_documents, waits=True)
        if ask is not None and streams:
            return await aanswered(place.accel.retrieval, ask, form, own)
        return await call.avalue(None if ask is None else (ask, form), own)

    return aquery


def _bundle(asked: QueryType) -> QueryBundle:
    """Return a bundle of our own, because retrievers write the embedding into the caller's."""
    return QueryBundle(asked) if isinstance(asked, str) else replace(asked)


def _asked(place: Place, engine: BaseQueryEngine, question: QueryBundle) -> tuple[Ask | None, bool]:
    """Name a call, and say whether its answer is streamed; None: it bypasses the cache."""
    asked = ask_of(place.accel, place, engine, "engine", question, speaks=True)
    return (None, False) if asked is None else (asked[0], asked[1].streams)


_METHODS = {"_query": _make_query, "_aquery": _make_aquery}
_CUSTOM_METHODS = {"query": _make_query, "aquery": _make_aquery}
"""Of a `CustomQueryEngine`, which replaces the public methods and has no others."""
