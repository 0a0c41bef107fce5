"""Retrievers accelerated by a generated subclass of the user's own class.

The copy stays an instance of its class with its fields and one run per call. Overridden are only
the two methods in which LangChain asks a retriever. State lives on the generated class, as that of
chat models does.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks.manager import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.runnables.config import var_child_runnable_config

from accel_core.asking import NAMES
from accel_core.drive import blocking
from accel_core.retrieval_call import RetrievalCall
from accel_core.subclasses import (
    MARK,
    generated,
    own_class,
    own_method,
    runs_own_method,
    subclass,
)
from accel_core.watching import serve
from langchain_accel._requests import configured
from langchain_accel._retrieval import Asked, ask_of, stores_in
from langchain_accel._watch import watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnableConfig
    from langchain_core.vectorstores import VectorStore

    from accel_core.asking import Asking
    from accel_core.place import Place
    from accel_core.policy.controls import Controls
    from accel_core.retrieval import Ask
    from langchain_accel._documents import Documents

_ASKED = (
    ("rank_fusion", "arank_fusion"),  # EnsembleRetriever, whose invoke() calls nothing else
    ("_get_relevant_documents", "_aget_relevant_documents"),
)
"""Methods in which retrievers are asked, in both colours; a class is asked in the first it has."""


def accelerate_retriever(retriever: BaseRetriever, place: Place) -> BaseRetriever:
    """Return a copy of `retriever` that answers from `place`; `retriever` is untouched.

    The vector stores and document stores in it are watched in place: what changes them through
    these objects is seen.

    Raises:
        UnsupportedError: a store in it cannot be watched, and the corpus has no name.
    """
    if getattr(type(retriever), MARK, None) == place:
        return retriever
    made = original(retriever)
    for store in stores_in(made):
        watch(store, place.accel, place.corpus)
    base = type(made)
    key = (base, place.corpus, place.version)
    made.__class__ = generated(place.accel, key, lambda: _subclass(base, place))
    return made


def accelerate_store(store: VectorStore, place: Place) -> VectorStore:
    """Watch `store` in place, accelerate what `as_retriever` makes of it, and return it.

    Raises:
        UnsupportedError: it cannot be watched.
    """
    watch(store, place.accel, place.corpus)
    serve(store, lambda retriever: accelerate_retriever(retriever, place))
    return store


def original(retriever: BaseRetriever) -> BaseRetriever:
    """Return a copy of `retriever` of the user's own class."""
    made = retriever.model_copy()
    made.__class__ = own_class(type(made))
    return made


def _subclass(base: type[BaseRetriever], place: Place) -> type[BaseRetriever]:
    method, amethod = next(pair for pair in _ASKED if hasattr(base, pair[0]))
    namespace: dict[str, Any] = {
        "__reduce__": lambda self: (accelerate_retriever, (original(self), place)),
        method: _asking(base, place, method),
        amethod: _aasking(base, place, amethod),
        MARK: place,
        NAMES: staticmethod(explained),
    }
    made: Any = subclass(base, namespace)
    # LangChain read it off the signature above; only the user's own method is given arguments.
    made._expects_other_args = base._expects_other_args
    kind: type[BaseRetriever] = made
    return kind


def _asking(base: type[BaseRetriever], place: Place, name: str) -> Callable[..., Any]:
    method, noop = getattr(base, name), CallbackManagerForRetrieverRun.get_noop_manager

    def ask(
        self: BaseRetriever, query: Any, run_manager: Any = None, **kwargs: Any
    ) -> list[Document]:
        caller = threading.get_ident()

        async def make() -> list[Document]:
            mine = threading.get_ident() == caller
            with _own_method(self, mine=mine):
                managed = _managed(base, run_manager if mine else None, noop)
                found: list[Document] = method(self, query, **managed, **kwargs)
                return found

        if runs_own_method(self):
            return blocking.run(make())
        call = _call(place, base, run_manager)
        asked = _asked(place, self, query, run_manager, kwargs)
        if asked is not None and not place.accel.needs_retrieval(query):
            return []
        return call.value(asked, make)

    return ask


def _aasking(base: type[BaseRetriever], place: Place, name: str) -> Callable[..., Any]:
    method, noop = getattr(base, name), AsyncCallbackManagerForRetrieverRun.get_noop_manager

    async def ask(
        self: BaseRetriever, query: Any, run_manager: Any = None, **kwargs: Any
    ) -> list[Document]:
        caller = asyncio.current_task()

        async def make() -> list[Document]:
            mine = asyncio.current_task() is caller
            with _own_method(self, mine=mine):
                managed = _managed(base, run_manager if mine else None, noop)
                found: list[Document] = await method(self, query, **managed, **kwargs)
                return found

        if runs_own_method(self):
            return await make()
        call = _call(place, base, run_manager)
        asked = _asked(place, self, query, run_manager, kwargs)
        if asked is not None and not await place.accel.aneeds_retrieval(query):
            return []
        return await call.avalue(asked, make)

    return ask


def _call(place: Place, base: type[BaseRetriever], run_manager: Any) -> RetrievalCall:
    tags = getattr(run_manager, "tags", None)
    return RetrievalCall(place.accel, "retrieval", base, tags)


def _asked(
    place: Place, retriever: BaseRetriever, query: Any, run_manager: Any, kwargs: dict[str, Any]
) -> tuple[Ask, Documents] | None:
    """Read a call's wishes and name it; None: it bypasses the cache."""
    controls = place.accel.controls(
        getattr(run_manager, "metadata", None), getattr(run_manager, "tags", None)
    )
    if controls is None:
        return None
    arguments = dict(kwargs)
    config = arguments.pop("config", None) or var_child_runnable_config.get() or {}
    call = Asked(query, arguments, config.get("configurable") or {}, controls)
    return ask_of(place.accel, place, retriever, call)


def explained(
    accel: Asking,
    retriever: BaseRetriever,
    asked: Any,
    config: RunnableConfig | None = None,
    *,
    bound: Sequence[RunnableConfig] = (),
    **kwargs: Any,
) -> tuple[Ask | None, Controls | None]:
    """Name the call that ``retriever.invoke`` would make, as `asking.NAMES` demands.

    Args:
        accel: names it.
        retriever: is asked.
        asked: as ``invoke`` takes it.
        config: likewise.
        bound: configurations that it is bound with, the outermost first.
        **kwargs: the call's further parameters.
    """
    told, controls = configured(accel, retriever, config, bound)
    if controls is None:
        return None, None
    call = Asked(asked, kwargs, told.get("configurable") or {}, controls)
    named = ask_of(accel, getattr(type(retriever), MARK), retriever, call)
    return (None, None) if named is None else (named[0], controls)


def _managed(
    base: type[BaseRetriever], run_manager: Any, noop: Callable[[], Any]
) -> dict[str, Any]:
    """Return the run manager as the user's own method takes it, if it does."""
    if not base._new_arg_supported:
        return {}
    return {"run_manager": noop() if run_manager is None else run_manager}


@contextlib.contextmanager
def _own_method(retriever: BaseRetriever, *, mine: bool) -> Iterator[None]:
    """Run the user's own method; not in the caller's name where it is made anew for later."""
    config = var_child_runnable_config.get()
    if not mine and config is not None:
        # The run is over, and what the method runs must not be added to it. Never reset: the
        # context is that of the thread or task which makes it anew.
        var_child_runnable_config.set({**config, "callbacks": None})
    with own_method(retriever):
        yield
