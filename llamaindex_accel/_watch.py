"""Which of LlamaIndex's objects hold documents, and which of their methods change these.

An index changes its stores and its own structure, so it is watched with them: whoever inserts
through the index, or past it into its vector store (an `IngestionPipeline`), is seen.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from llama_index.core.graph_stores.types import PropertyGraphStore
from llama_index.core.indices.base import BaseIndex
from llama_index.core.storage.docstore.types import BaseDocumentStore
from llama_index.core.vector_stores.types import BasePydanticVectorStore

from accel_core import watching
from accel_core.watching import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from accel_core.accel import Accel
    from accel_core.watching import Documents

_HOLDERS = (BaseIndex, BasePydanticVectorStore, BaseDocumentStore, PropertyGraphStore)
_METHODS_OF_STORES = ({"add", "delete", "query"}, {"upsert_triplet", "delete", "get"})
"""Methods of the vector stores and graph stores that inherit from none of these."""

_VERBS = frozenset("add clear delete drop insert remove reset truncate update upsert".split())
"""First words of methods that change documents; asynchronous ones have ``a`` or ``async_`` before.

Not ``refresh``, which inserts or updates what is not as it should be, and often nothing.
"""

_REMOVING = {
    "delete": "ref_doc_id",
    "delete_nodes": "node_ids",
    "delete_ref_doc": "ref_doc_id",
    "delete_document": "doc_id",
}
"""Methods that remove what their first parameter names."""

_BESIDE = frozenset({"delete_from_docstore", "raise_error"})
"""Parameters of theirs that add nothing to what they remove."""

_MAKERS = ("as_retriever", "as_query_engine", "as_chat_engine")


@functools.lru_cache(maxsize=1024)
def holds_documents(kind: type) -> bool:
    """Whether objects of a class are stores of documents, or indices."""
    return issubclass(kind, _HOLDERS) or any(
        all(callable(getattr(kind, name, None)) for name in names) for names in _METHODS_OF_STORES
    )


def watch(value: Any, accel: Accel, corpus: str | None) -> None:
    """Let changes of a store or index be known to its corpus; see `watching.watch`."""
    watching.watch(value, accel, corpus, _KIND)


def _changes(base: type) -> Iterator[str]:
    for name in dir(base):
        method = inspect.getattr_static(base, name)
        if _plain(name).partition("_")[0] in _VERBS and inspect.isfunction(method):
            yield name


def _plain(name: str) -> str:
    """Return the name of a method's blocking form."""
    if name.startswith("async_"):
        return name.removeprefix("async_")
    bare = name.removeprefix("a")
    return bare if bare.partition("_")[0] in _VERBS else name


def _removed(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Documents:
    """Return the ids that a call names, if it removes these and does nothing else."""
    first = _REMOVING.get(_plain(name))
    given = dict(zip((first, *map(str, range(len(args)))), args, strict=False)) | dict(kwargs)
    ids = given.pop(first, None)
    ids = [ids] if isinstance(ids, str) else ids
    more = {key for key, value in given.items() if value is not None} - _BESIDE
    if first is None or more or not isinstance(ids, (list, tuple, set)):
        return None
    return frozenset(ids) if ids and all(isinstance(one, str) for one in ids) else None


def _makers(base: type) -> tuple[str, ...]:
    return _MAKERS if issubclass(base, BaseIndex) else ()


_KIND = Kind(_changes, _removed, _makers)
