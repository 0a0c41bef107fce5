"""What a retriever is asked, and what its answer rests on, read from the live retriever.

Its fields are read afresh at every call, so a changed or copied retriever never keeps the name of
what it was before. Vector stores and stores of documents in them are its corpora: they count by
which they are and not by what is in them, and are watched from the first call on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.documents import Document
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.runnables.configurable import DynamicRunnable
from langchain_core.vectorstores import VectorStore, VectorStoreRetriever
from pydantic import BaseModel

from accel_core.policy.identity import Prompt, Turn
from accel_core.policy.nameless import class_name, named, token
from accel_core.retrieval import Ask
from accel_core.watching import unwatched
from langchain_accel._description import describe
from langchain_accel._documents import Documents
from langchain_accel._requests import identify
from langchain_accel._watch import STORES, watch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.retrievers import BaseRetriever

    from accel_core.asking import Asking
    from accel_core.place import Place
    from accel_core.policy.controls import Controls

_NEAREST_ONLY = frozenset(
    {
        "langchain_core.vectorstores.in_memory.InMemoryVectorStore",
        "langchain_community.vectorstores.faiss.FAISS",
    }
)
"""Stores that return the nearest vectors and nothing else, and ids as ``delete`` names them.

In others, rank fusion or word statistics let a document change results that it is not in.
"""

_NEAREST_ARGUMENTS = frozenset({"k", "score_threshold"})
"""Arguments under which that holds: some stores filter what they found, and search no further."""


_PLAIN = frozenset({str, int, float, bool, type(None)})


class Asked(NamedTuple):
    """One call of a retriever.

    Attributes:
        query: what it is asked; only texts are cached.
        arguments: the call's own parameters.
        switches: values that configurable retrievers and models inside it take from the run.
        controls: the call's wishes.
    """

    query: Any
    arguments: Mapping[str, Any]
    switches: Mapping[str, Any]
    controls: Controls


def stores_in(retriever: BaseRetriever) -> list[Any]:
    """Return the stores in the fields of a retriever, and of those inside it."""
    reading = _Reading(by_name=False)
    reading.describe(retriever)
    return reading.stores


def ask_of(
    accel: Asking, place: Place, retriever: BaseRetriever, call: Asked
) -> tuple[Ask, Documents] | None:
    """Name a call, and say how its answer is stored; None: it bypasses the cache.

    Args:
        accel: names it.
        place: where its answers are kept.
        retriever: is asked.
        call: what.
    """
    if not accel.config.retrieval.enabled:
        accel.bypass("disabled")
        return None
    try:
        prompt, stores = _read(place, retriever, call)
        precise = _is_precise(retriever, stores, call.arguments)
    except Exception:  # foreign objects raise what they like when they are read
        accel.bypass("unidentifiable")
        return None
    request = identify(accel, prompt, call.controls)
    if request is None:
        return None
    corpora = place.corpora(stores or [retriever])
    form = Documents(accel.config.retrieval.max_documents, precise=precise)
    return Ask(request, tuple(one.key for one in corpora), controls=call.controls), form


def _read(place: Place, retriever: BaseRetriever, call: Asked) -> tuple[Prompt, list[Any]]:
    """Return what is asked, and the stores it is asked of, which are watched from now on."""
    if not isinstance(call.query, str):
        raise TypeError("the question is not a text")
    reading = _Reading(by_name=place.by_name)
    described, stores = reading.describe(retriever), reading.stores
    for store in stores:
        watch(store, place.accel, place.corpus)
    model = {
        "asked": described,
        "arguments": {name: named(value) for name, value in call.arguments.items()},
        "switches": {name: named(call.switches.get(name)) for name in reading.switches},
        "corpus": place.corpus,
        "version": place.version,
    }
    turns = (Turn("user", (call.query,)),)
    return Prompt("langchain.retriever", model, turns, source=type(retriever).__qualname__), stores


def _is_precise(retriever: BaseRetriever, stores: list[Any], arguments: Mapping[str, Any]) -> bool:
    """Whether removing a document that was not found leaves what was found as it is."""
    return (
        isinstance(retriever, VectorStoreRetriever)
        and type(retriever).__mro__[1] is VectorStoreRetriever
        and len(stores) == 1
        and class_name(unwatched(type(stores[0]))) in _NEAREST_ONLY
        and retriever.search_type in {"similarity", "similarity_score_threshold"}
        and {*retriever.search_kwargs, *arguments} <= _NEAREST_ARGUMENTS
    )


class _Reading:
    """One retriever being described.

    Args:
        by_name: whether its stores go by a name, and not by which objects they are.
    """

    def __init__(self, *, by_name: bool) -> None:
        self._by_name = by_name
        self._stores: dict[int, Any] = {}
        self._inside: set[int] = set()
        self.switches: set[str] = set()
        """Ids of the configurable fields met."""

    @property
    def stores(self) -> list[Any]:
        """The stores met, each once."""
        return list(self._stores.values())

    def describe(self, retriever: BaseRetriever) -> Any:
        """Return a description, JSON-like."""
        fields = self._fields(retriever)
        # What has neither a name nor a store is only ever itself.
        itself = None if self._by_name or self._stores else token(retriever)
        return {"retriever": fields, "itself": itself}

    def _described(self, value: Any, owner: BaseModel) -> Any:
        if type(value) in _PLAIN:
            return value
        if type(value) is dict:
            return {str(key): self._described(item, owner) for key, item in value.items()}
        if isinstance(value, STORES):
            return self._store(value)
        if isinstance(value, BaseChatModel):
            return {"llm": describe(value, {})}
        if isinstance(value, DynamicRunnable):
            self.switches.update(spec.id for spec in value.config_specs)
        if isinstance(value, BaseModel):
            return self._fields(value)
        if isinstance(value, (list, tuple)):
            if value and isinstance(value[0], Document):
                # What is retrieved, and not how; it may be long.
                which = None if self._by_name else token(owner)
                return {"documents": len(value), "of": which}
            return [
                item if type(item) in _PLAIN else self._described(item, owner) for item in value
            ]
        return named(value)

    def _fields(self, model: BaseModel) -> Any:
        """Describe a model by all its fields: a dump leaves out what a declared type lacks."""
        if id(model) in self._inside:
            return {"again": class_name(type(model))}
        self._inside.add(id(model))
        try:
            declared = type(model).model_fields
            fields = {
                name: value if type(value) in _PLAIN else self._described(value, model)
                for name, value in vars(model).items()
                if name in declared
            }
            others = {
                name: value if type(value) in _PLAIN else self._described(value, model)
                for rest in (model.model_extra, model.__pydantic_private__)
                for name, value in (rest or {}).items()
            }
        finally:
            self._inside.discard(id(model))
        return {"class": class_name(type(model)), "fields": fields, "others": others}

    def _store(self, store: Any) -> Any:
        self._stores[id(store)] = store
        if not self._by_name:
            return {"store": token(store)}
        embeddings = store.embeddings if isinstance(store, VectorStore) else None
        told = [getattr(embeddings, name, None) for name in ("model", "model_name", "dimensions")]
        return {
            "store": class_name(unwatched(type(store))),
            "embeddings": class_name(type(embeddings)),
            "model": [each for each in told if isinstance(each, (str, int))],
        }
