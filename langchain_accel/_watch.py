"""Live stores watched in place: what changes documents tells the corpora that they belong to.

A watched store is the same object with a generated subclass of its own class, in which every method
that changes documents says so when it is done, also when it raised. So ``isinstance``, the checks
of ``index()``, copies and pickles see what they always saw; a copy is another store, not watched.

Only that one object is watched: what another object, process or program does to the same database
is said by ``accel.corpus(name).changed()``. Nothing is kept alive by being watched.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from langchain_core.stores import BaseStore
from langchain_core.vectorstores import VectorStore

from accel_core.errors import StoreError, UnsupportedError
from accel_core.policy.nameless import token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langchain_core.vectorstores import VectorStoreRetriever

    from accel_core.accel import Accel
    from accel_core.corpora import Corpus

S = TypeVar("S")

STORES = (VectorStore, BaseStore)
"""What documents are kept in: vector stores, and the stores of whole documents beside them."""

_MARK = "__accel_watched__"
"""Class attribute of generated classes: the class they watch."""

_VERBS = frozenset(
    "add clear delete drop insert mdelete merge mset remove reset truncate update upsert".split()
)
"""First words of the methods that change documents; the asynchronous ones have an ``a`` before."""


class Watcher(NamedTuple):
    """A corpus that a store belongs to.

    Attributes:
        accel: whose; None once it is gone.
        corpus: its name; None: the store is one of its own.
    """

    accel: weakref.ref[Accel]
    corpus: str | None


class _Watched:
    """What is known of one watched store."""

    def __init__(self) -> None:
        self.watchers: dict[Watcher, None] = {}
        self.accelerate: Callable[[VectorStoreRetriever], VectorStoreRetriever] | None = None


class _Change:
    """A change under way. Methods that change documents call one another; the outermost tells.

    Args:
        store: the token of what is changed.
        documents: ids of those that are removed; None: it may concern everything.
        outer: the change in which this one was begun.
    """

    def __init__(self, store: str, documents: frozenset[str] | None, outer: _Change | None) -> None:
        self.store, self.documents, self.ended = store, documents, False
        self._outer = outer if outer is not None and outer.store == store else None

    def end(self) -> bool:
        """Return whether this change is to be told, or an outer one that is still under way."""
        self.ended = True
        outer = self._outer
        if outer is None:
            return True
        both = (outer.documents, self.documents)
        outer.documents = None if None in both else frozenset().union(*filter(None, both))
        # Asked last: what began in an outer one may go on after it.
        return outer.ended


_watched: dict[str, _Watched] = {}
"""By the store's token."""

_change: ContextVar[_Change | None] = ContextVar("accel_langchain_change", default=None)


def watch(store: S, accel: Accel, corpus: str | None) -> S:
    """Let changes of `store` be known to `corpus`, and return it.

    Args:
        store: a vector store, or a store of documents.
        accel: whose corpus.
        corpus: its name; None: the store is one of its own.

    Raises:
        UnsupportedError: the store's class does not let its objects be watched.
    """
    watcher = Watcher(weakref.ref(accel), corpus)
    known = _watched.get(token(store))
    if known is None or watcher not in known.watchers:
        if getattr(type(store), _MARK, None) is None:
            _replace_class(store)
        _of(store).watchers[watcher] = None
    return store


def serve(
    store: VectorStore, accelerate: Callable[[VectorStoreRetriever], VectorStoreRetriever]
) -> None:
    """Let every retriever that the watched `store` is made into be accelerated."""
    _of(store).accelerate = accelerate


def unwatched(kind: type) -> type:
    """Return the class of the user's own, where `kind` is one that watches it."""
    own: type = getattr(kind, _MARK, kind)
    return own


def _of(store: object) -> _Watched:
    name = token(store)
    if name not in _watched:
        weakref.finalize(store, _watched.pop, name, None).atexit = False
    return _watched.setdefault(name, _Watched())


def _replace_class(store: Any) -> None:
    try:
        # Past the class's own method, which may forbid any attribute to change.
        object.__setattr__(store, "__class__", _watching(type(store)))
    except TypeError as error:
        raise UnsupportedError(
            f"{type(store).__name__} cannot be watched for changes ({error}): give the retriever "
            "a corpus by name, and call accel.corpus(name).changed() after every change"
        ) from error


def _watching(base: type) -> type:
    """Return the subclass of `base` that tells what changes."""
    known: type
    for known in type.__subclasses__(base):
        if vars(known).get(_MARK) is base:
            return known
    namespace: dict[str, Any] = {
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
        "__doc__": base.__doc__,
        "__reduce_ex__": _reduce_ex,
        _MARK: base,
        **dict(_telling(base)),
    }
    if issubclass(base, VectorStore):
        namespace["as_retriever"] = _as_retriever
    return types.new_class(base.__name__, (base,), exec_body=lambda body: body.update(namespace))


def _telling(base: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the methods of `base` that change documents, each telling it."""
    for name in dir(base):
        verb = name.partition("_")[0]
        if verb not in _VERBS and not (verb[:1] == "a" and verb[1:] in _VERBS):
            continue
        method = inspect.getattr_static(base, name)
        # LangChain's own call those that a class defines, and look whether it defines any.
        inherited = any(inspect.getattr_static(kind, name, None) is method for kind in STORES)
        if inspect.isfunction(method) and not inherited:
            waits = inspect.iscoroutinefunction(method)
            yield name, _awaiting(method) if waits else _calling(method)


def _calling(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def told(self: Any, *args: Any, **kwargs: Any) -> Any:
        change = _Change(token(self), _removed(method, args, kwargs), _change.get())
        outer = _change.set(change)
        try:
            return method(self, *args, **kwargs)
        finally:
            _change.reset(outer)
            if change.end():
                _tell(_corpora(self), change.documents)

    return told


def _awaiting(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def told(self: Any, *args: Any, **kwargs: Any) -> Any:
        change = _Change(token(self), _removed(method, args, kwargs), _change.get())
        outer = _change.set(change)
        try:
            return await method(self, *args, **kwargs)
        finally:
            _change.reset(outer)
            if change.end():
                await _atell(_corpora(self), change.documents)

    return told


def _tell(corpora: list[Corpus], documents: frozenset[str] | None) -> None:
    for corpus in corpora:
        # Where others could not be told, it is tried again before this process reads.
        with contextlib.suppress(StoreError):
            corpus.changed(documents)


async def _atell(corpora: list[Corpus], documents: frozenset[str] | None) -> None:
    left = list(corpora)
    try:
        while left:
            with contextlib.suppress(StoreError):
                await left[0].achanged(documents)
            del left[0]
    finally:
        # Cancelled while it waited: the documents have changed all the same.
        _tell(left, documents)


def _removed(
    method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> frozenset[str] | None:
    """Return the ids that a call of ``delete`` names, and that are all it is about."""
    if method.__name__ not in {"delete", "adelete"}:
        return None
    given = {**dict(zip(("ids", *range(len(args))), args, strict=False)), **kwargs}
    ids = given.pop("ids", None)
    if given or not isinstance(ids, (list, tuple, set, frozenset)) or not ids:
        return None
    return frozenset(ids) if all(isinstance(one, str) for one in ids) else None


def _corpora(store: object) -> list[Corpus]:
    """Return the corpora that `store` belongs to, of every `Accel` that still is."""
    known = _of(store)
    found: list[Corpus] = []
    for watcher in list(known.watchers):
        accel = watcher.accel()
        if accel is None:
            known.watchers.pop(watcher, None)
        elif watcher.corpus is None:
            found.append(accel.corpus_of(store))
        else:
            found.append(accel.corpus(watcher.corpus))
    return found


def _as_retriever(self: Any, **kwargs: Any) -> VectorStoreRetriever:
    """Make a retriever, accelerated where the store was."""
    made: VectorStoreRetriever = getattr(type(self), _MARK).as_retriever(self, **kwargs)
    known = _watched.get(token(self))
    return made if known is None or known.accelerate is None else known.accelerate(made)


def _reduce_ex(self: Any, protocol: Any) -> Any:
    """Take the object apart as one of its own class."""
    base = getattr(type(self), _MARK)
    parts = base.__reduce_ex__(self, protocol)
    if isinstance(parts, str):
        return parts

    def own(part: Any) -> Any:
        return base if part is type(self) else part

    function, arguments, *state = parts
    # Called by a function of ours: pickle compares the class in its own ones' arguments.
    return (_call, (own(function), *map(own, arguments)), *state)


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)
