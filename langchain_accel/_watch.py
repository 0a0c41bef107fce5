"""Which of LangChain's objects hold documents, and which of their methods change these."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from langchain_core.stores import BaseStore
from langchain_core.vectorstores import VectorStore

from accel_core import watching
from accel_core.watching import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from accel_core.accel import Accel
    from accel_core.watching import Documents

STORES = (VectorStore, BaseStore)
"""What documents are kept in: vector stores, and the stores of whole documents beside them."""

_VERBS = frozenset(
    "add clear delete drop insert mdelete merge mset remove reset truncate update upsert".split()
)
"""First words of the methods that change documents; the asynchronous ones have an ``a`` before."""


def watch(store: Any, accel: Accel, corpus: str | None) -> None:
    """Let changes of a store be known to its corpus; see `watching.watch`."""
    watching.watch(store, accel, corpus, _KIND)


def _changes(base: type) -> Iterator[str]:
    for name in dir(base):
        verb = name.partition("_")[0]
        if verb not in _VERBS and not (verb[:1] == "a" and verb[1:] in _VERBS):
            continue
        method = inspect.getattr_static(base, name)
        # LangChain's own call those that a class defines, and look whether it defines any.
        inherited = any(inspect.getattr_static(kind, name, None) is method for kind in STORES)
        if inspect.isfunction(method) and not inherited:
            yield name


def _removed(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Documents:
    """Return the ids that a call of ``delete`` names, if they are all it is about."""
    if name not in {"delete", "adelete"}:
        return None
    given = dict(zip(("ids", *map(str, range(len(args)))), args, strict=False)) | dict(kwargs)
    ids = given.pop("ids", None)
    if given or not isinstance(ids, (list, tuple, set, frozenset)) or not ids:
        return None
    return frozenset(ids) if all(isinstance(one, str) for one in ids) else None


def _makers(base: type) -> tuple[str, ...]:
    return ("as_retriever",) if issubclass(base, VectorStore) else ()


_KIND = Kind(_changes, _removed, _makers)
