"""What an object of LlamaIndex is made of: settings that can change its answers, stores, models.

The live object is read afresh at every call, so one that was changed or copied never keeps the name
of what it was before. Stores and indices count by which they are and not by what is in them; those
of a corpus that goes by a name count by their class alone, since other processes have others.
Objects of LlamaIndex and Pydantic are walked, anything else is named by `policy.nameless`.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import types
from enum import Enum
from typing import TYPE_CHECKING, Any

import orjson
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.data_structs.data_structs import IndexStruct
from llama_index.core.prompts.mixin import PromptMixin
from llama_index.core.schema import BaseNode, NodeWithScore
from llama_index_instrumentation import DispatcherSpanMixin

from accel_core.policy.model_fields import counts
from accel_core.policy.nameless import class_name, named, token
from accel_core.subclasses import own_class
from accel_core.watching import unwatched
from llamaindex_accel._holdings import Holdings, is_long_list_of_texts
from llamaindex_accel._identity import describe
from llamaindex_accel._watch import holds_documents

if TYPE_CHECKING:
    from collections.abc import Iterable

_RETRIEVED = (BaseNode, NodeWithScore)
_PLAIN = frozenset({str, int, float, bool, type(None)})
_UNCHANGING = (Enum, type, types.FunctionType, types.BuiltinFunctionType, bytes)
"""What is called the same for as long as it lives."""

_ASIDE = frozenset(
    {
        "_index_struct",  # what is in the index
        "_insert_batch_size",
        "_show_progress",
        "_storage_context",  # of an index, which has its stores beside it
        "_token_counter",
        "_transformations",  # of documents, on their way in
    }
)
"""Fields that cannot change an answer."""


class Settings:
    """What the objects given to `of` are made of.

    Args:
        by_name: whether the corpus goes by a name.

    Attributes:
        stores: the stores and indices met.
        llms: the LLMs met.
        streams: whether a synthesizer met streams its answers.
        walked: each object met, and what it held before it was read.
        whole: whether that is all that the description depends on.
    """

    def __init__(self, *, by_name: bool) -> None:
        self._by_name = by_name
        self._seen: dict[int, int] = {}
        self._stores: dict[int, Any] = {}
        self.llms: list[BaseLLM] = []
        self.streams = False
        self.walked: list[tuple[object, Holdings]] = []
        self.whole = True

    @property
    def stores(self) -> list[Any]:
        """The stores and indices met, each once."""
        return list(self._stores.values())

    def of(self, value: Any, *, but: frozenset[str] = frozenset()) -> Any:
        """Describe `value`, JSON-like; `but` names fields of it that do not count."""
        self._seen[id(value)] = len(self._seen)
        self._walk(value)
        fields = _all(value) if isinstance(value, BaseModel) else vars(value).items()
        return self._fields(value, [(name, field) for name, field in fields if name not in but])

    def _walk(self, value: Any) -> None:
        self.walked.append((value, Holdings(value)))

    def _described(self, value: Any, owner: Any) -> Any:
        if type(value) in _PLAIN:
            return value
        if isinstance(value, (list, tuple)):
            return self._listed(value, owner)
        if isinstance(value, dict):
            if any(isinstance(item, _RETRIEVED) for item in value.values()):
                return self._documents(value, owner)
            self._walk(value)
            return {str(key): self._described(item, owner) for key, item in value.items()}
        if isinstance(value, _RETRIEVED):
            return self._documents([value], owner)
        if isinstance(value, types.MethodType):
            self.whole = False
            return [value.__name__, self._described(value.__self__, owner)]
        return self._object(value)

    def _object(self, value: Any) -> Any:
        seen = self._seen.setdefault(id(value), place := len(self._seen))
        if seen != place:
            self.whole = self.whole and seen != 0  # what holds it must not be kept by it
            return {"seen": seen}
        kind: Any = type(value)
        role = _role(kind, value.__class__)
        if role == "llm":
            self.whole = False
            self.llms.append(value)
            return {"llm": describe(value)}
        if role == "store":
            return self._store(value)
        if role == "named":
            self.whole = self.whole and isinstance(value, _UNCHANGING)
            return named(value)
        self._walk(value)
        if role == "embedding":
            which = None if self._by_name else token(value)
            return [which, self._fields(value, _declared(value))]
        if role == "model":
            return self._fields(value, _all(value))
        return self._fields(value, vars(value).items())

    def _listed(self, values: list[Any] | tuple[Any, ...], owner: Any) -> Any:
        if values and isinstance(values[0], _RETRIEVED):
            return self._documents(values, owner)
        self._walk(values)
        if is_long_list_of_texts(values):
            return {"digest": hashlib.blake2b(orjson.dumps(values), digest_size=24).hexdigest()}
        return [self._described(item, owner) for item in values]

    def _documents(self, documents: Any, owner: Any) -> Any:
        """Describe what is retrieved, and not how; it may be long."""
        self.whole = False
        return {"documents": len(documents), "of": None if self._by_name else token(owner)}

    def _store(self, store: Any) -> Any:
        self._stores[id(store)] = store
        which = class_name(unwatched(type(store))) if self._by_name else token(store)
        if not _is_index(store):
            return {"store": which}
        self._walk(store)
        return {"index": which, "made": self._fields(store, vars(store).items())}

    def _fields(self, value: Any, fields: Iterable[tuple[str, Any]]) -> Any:
        described = {
            name: field if type(field) in _PLAIN else self._described(field, value)
            for name, field in list(fields)
            if _matters(name)
        }
        self.streams = self.streams or described.get("_streaming") is True
        kind: Any = type(value)
        return {"class": _name(kind), "fields": described}


def _declared(model: BaseModel) -> list[tuple[str, Any]]:
    declared = type(model).model_fields
    return [(name, value) for name, value in vars(model).items() if name in declared]


def _all(model: BaseModel) -> list[tuple[str, Any]]:
    """Return all fields of a model: a dump leaves out what a declared type lacks."""
    fields = _declared(model)
    for more in (model.__pydantic_extra__, model.__pydantic_private__):
        fields += (more or {}).items()
    return fields


@functools.lru_cache(maxsize=1024)
def _matters(name: str) -> bool:
    return name not in _ASIDE and counts(name)


@functools.lru_cache(maxsize=1024)
def _name(kind: type) -> str:
    return class_name(unwatched(own_class(kind)))


def _is_index(store: Any) -> bool:
    return isinstance(getattr(store, "_index_struct", None), IndexStruct)


@functools.lru_cache(maxsize=1024)
def _role(kind: Any, told: Any) -> str:
    """Return what objects of a class are to a description; a proxy tells another than its own."""
    if issubclass(told, BaseLLM) or issubclass(kind, BaseLLM):
        return "llm"
    if holds_documents(kind):
        return "store"
    if issubclass(told, BaseEmbedding) or issubclass(kind, BaseEmbedding):
        return "embedding"
    if issubclass(told, BaseModel) or issubclass(kind, BaseModel):
        return "model"
    return "walked" if _is_walked(kind) else "named"


def _is_walked(kind: type) -> bool:
    """Whether objects of a class are their fields."""
    if issubclass(kind, Enum) or not kind.__dictoffset__:
        return False
    ours = kind.__module__.startswith("llama_index.") or dataclasses.is_dataclass(kind)
    return ours or issubclass(kind, (PromptMixin, DispatcherSpanMixin))
