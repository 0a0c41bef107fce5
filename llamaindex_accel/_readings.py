"""What an object of LlamaIndex is made of: read anew when it has changed, and not before.

Reading all that a retriever holds costs more than finding its answer. So a reading is kept with
what the objects in it held then (`_holdings`). A reading that came by more than that can tell, such
as a model's own parameters, is not kept.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from llama_index.core.indices.vector_store.retrievers.retriever import VectorIndexRetriever
from llama_index.core.vector_stores.simple import SimpleVectorStore
from llama_index.core.vector_stores.types import VectorStoreQueryMode

from accel_core.policy.canonical import canonical_json
from accel_core.policy.nameless import token
from accel_core.subclasses import own_class
from accel_core.watching import unwatched
from llamaindex_accel._settings import Settings
from llamaindex_accel._watch import watch

if TYPE_CHECKING:
    from llama_index.core.base.llms.base import BaseLLM

    from accel_core.corpora import CorpusKey
    from accel_core.place import Place
    from llamaindex_accel._holdings import Holdings

_KEPT = 256
"""Objects whose readings are kept; each keeps alive what it read, as its object does."""

_DIGEST_BYTES = 24

_NEAREST_ONLY = frozenset({SimpleVectorStore})
"""Stores that return the nearest vectors and nothing else.

In others, rank fusion or word statistics let a document change results that it is not in.
"""


class Reading(NamedTuple):
    """One reading of a retriever or an engine.

    Attributes:
        settings: digest of all that can change its answers.
        corpora: what its answers rest on.
        llms: the LLMs in it.
        streams: whether it streams its answers.
        precise: whether removing a document that was not found leaves what was found as it is.
    """

    settings: str
    corpora: tuple[CorpusKey, ...]
    llms: tuple[BaseLLM, ...]
    streams: bool
    precise: bool


class _Kept(NamedTuple):
    """A reading made for `place`, of an object and those inside, and what all of them held."""

    reading: Reading
    place: Place
    held: Holdings
    inside: list[tuple[object, Holdings]]

    def holds(self, place: Place, value: object) -> bool:
        """Whether reading `value` again would find the same."""
        if self.place is not place or not self.held.are_still_of(value):
            return False
        return all(held.are_still_of(each) for each, held in self.inside)


_kept: WeakKeyDictionary[Any, _Kept] = WeakKeyDictionary()


def read(place: Place, value: Any) -> Reading:
    """Read `value`; the stores and indices in it are watched from now on.

    Raises:
        UnsupportedError: one cannot be watched, and the corpus has no name.
        Exception: whatever the objects in it raise.
    """
    kept = _kept.get(value) if _is_one_of_its_kind(value) else None
    if kept is not None and kept.holds(place, value):
        return kept.reading
    settings = Settings(by_name=place.by_name)
    made = settings.of(value)
    for store in settings.stores:
        watch(store, place.accel, place.corpus)
    if not (place.by_name or settings.stores):
        made = [made, token(value)]
    digest = blake2b(canonical_json(made).encode(), digest_size=_DIGEST_BYTES).hexdigest()
    corpora = tuple(corpus.key for corpus in place.corpora(settings.stores or [value]))
    reading = Reading(digest, corpora, tuple(settings.llms), settings.streams, _is_precise(value))
    if settings.whole and _is_one_of_its_kind(value):
        if len(_kept) >= _KEPT:
            _kept.clear()
        # The object itself is held by no reading of it.
        (_, held), *inside = settings.walked
        _kept[value] = _Kept(reading, place, held, inside)
    return reading


def _is_one_of_its_kind(value: object) -> bool:
    """Whether no other object is equal to `value`."""
    kind: Any = type(value)
    return kind.__hash__ is object.__hash__


def _is_precise(retriever: Any) -> bool:
    return (
        own_class(type(retriever)) is VectorIndexRetriever
        and unwatched(type(retriever._vector_store)) in _NEAREST_ONLY
        and retriever._vector_store_query_mode is VectorStoreQueryMode.DEFAULT
        and not retriever._kwargs
    )
