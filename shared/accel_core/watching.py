"""Live objects watched in place: what changes documents tells the corpora that they belong to.

A watched object is the same object with a generated subclass of its own class, in which every
method that changes documents says so when it is done, also when it raised. So ``isinstance``,
copies and pickles see what they always saw; a copy is another object, not watched.

Changes begun within another one, of whichever object, are told together when the outermost is done:
an index that changes its stores is one change.

Only that one object is watched: what another object, process or program does to the same database
is said by ``accel.corpus(name).changed()``. Nothing is kept alive by being watched.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.errors import StoreError, UnsupportedError
from accel_core.policy.nameless import token
from accel_core.subclasses import subclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from accel_core.accel import Accel
    from accel_core.corpora import Corpus

_MARK = "__accel_watched__"
"""Class attribute of generated classes: the class they watch."""

Documents = frozenset[str] | None
"""Ids of the documents that a change removes; None: it may concern everything."""


class Kind(NamedTuple):
    """What a framework's watched objects are like.

    Attributes:
        changes: the names of the methods of a class that change documents.
        removed: the documents that a call of one removes, given its name and arguments by place
            and name; None where it may concern others.
        makers: the names of the methods of a class that make retrievers and the like of it.
    """

    changes: Callable[[type], Iterable[str]]
    removed: Callable[[str, tuple[Any, ...], Mapping[str, Any]], Documents]
    makers: Callable[[type], Iterable[str]]


class _Watcher(NamedTuple):
    """A corpus that an object belongs to.

    Attributes:
        accel: whose; None once it is gone.
        corpus: its name; None: the object is one of its own.
    """

    accel: weakref.ref[Accel]
    corpus: str | None


class _Watched:
    """What is known of one watched object."""

    def __init__(self) -> None:
        self.watchers: dict[_Watcher, None] = {}
        self.accelerate: Callable[[Any], Any] | None = None


class _Change:
    """A change of `watched` under way, and what else is changed within it.

    Threads and tasks that were begun in a change keep it, and may go on after it.

    Args:
        watched: what is changed.
        documents: of it.
        outer: the change in which this one was begun.
    """

    def __init__(self, watched: object, documents: Documents, outer: _Change | None) -> None:
        self.ended = False
        self._outer = None if outer is None or outer.ended else outer
        self._changed = [(watched, documents)]

    def add(self, changed: list[tuple[object, Documents]]) -> bool:
        """Take over what was changed within; False where this one has ended before."""
        if self.ended:
            return False
        self._changed.extend(changed)
        # Asked again: it may have ended meanwhile in another thread.
        return not self.ended

    def end(self) -> list[tuple[Corpus, Documents]]:
        """Return what is to be told now, by this change and not by an outer one."""
        self.ended = True
        outer, self._outer = self._outer, None
        changed, self._changed = self._changed, []
        return [] if outer is not None and outer.add(changed) else _told(changed)


_watched: dict[str, _Watched] = {}
"""By the object's token."""

_change: ContextVar[_Change | None] = ContextVar("accel_change", default=None)


def watch(watched: Any, accel: Accel, corpus: str | None, kind: Kind) -> None:
    """Let changes of `watched` be known to `corpus`.

    Args:
        watched: a store or an index.
        accel: whose corpus.
        corpus: its name; None: `watched` is one of its own.
        kind: how it is changed.

    Raises:
        UnsupportedError: its class does not let its objects be watched, and nobody else can say
            when it changes, since `corpus` has no name.
    """
    watcher = _Watcher(weakref.ref(accel), corpus)
    known = _watched.get(token(watched))
    if known is not None and watcher in known.watchers:
        return
    try:
        if getattr(type(watched), _MARK, None) is None:
            # Not by the object's own way of setting: a frozen model would refuse.
            object.__setattr__(watched, "__class__", _watching(type(watched), kind))
    except TypeError as error:
        if corpus is None:
            raise UnsupportedError(
                f"{type(watched).__name__} cannot be watched for changes ({error}): give "
                "accelerate() a corpus by name, and call accel.corpus(name).changed() after every "
                "change"
            ) from error
    _of(watched).watchers[watcher] = None


def serve(watched: object, accelerate: Callable[[Any], Any]) -> None:
    """Let what the makers of the watched object make be accelerated.

    Raises:
        UnsupportedError: its class does not let its objects be watched.
    """
    if unwatched(type(watched)) is type(watched):
        raise UnsupportedError(
            f"{type(watched).__name__} cannot be watched, and makes what it always made: "
            "accelerate() that instead"
        )
    _of(watched).accelerate = accelerate


def unwatched(kind: type) -> type:
    """Return the class of the user's own, where `kind` is one that watches it."""
    own: type = getattr(kind, _MARK, kind)
    return own


def _of(watched: object) -> _Watched:
    name = token(watched)
    if name not in _watched:
        with contextlib.suppress(TypeError):  # one without weak references is held by its token
            weakref.finalize(watched, _watched.pop, name, None).atexit = False
    return _watched.setdefault(name, _Watched())


def _told(changed: list[tuple[object, Documents]]) -> list[tuple[Corpus, Documents]]:
    """Return what was changed of each corpus, of every `Accel` that still is."""
    together: dict[tuple[_Watcher, str], tuple[Corpus, Documents]] = {}
    for watched, documents in changed:
        watchers = _of(watched).watchers
        for watcher in list(watchers):
            accel = watcher.accel()
            if accel is None:
                watchers.pop(watcher, None)
                continue
            name = watcher.corpus
            corpus = accel.corpus_of(watched) if name is None else accel.corpus(name)
            key = (watcher, token(watched) if name is None else "")
            _, before = together.get(key, (corpus, frozenset()))
            both = None if before is None or documents is None else before | documents
            together[key] = corpus, both
    return list(together.values())


def _watching(base: type, kind: Kind) -> type:
    """Return the subclass of `base` that tells what changes."""
    known: type
    for known in type.__subclasses__(base):
        if vars(known).get(_MARK) is base:
            return known
    namespace: dict[str, Any] = {
        "__reduce_ex__": _reduce_ex,
        **{name: _telling(getattr(base, name), kind) for name in kind.changes(base)},
        **{name: _making(getattr(base, name)) for name in kind.makers(base)},
    }
    made: type = subclass(base, namespace)
    # Not before: a class that its base refused stays among the subclasses until it is collected.
    setattr(made, _MARK, base)
    return made


def _telling(method: Callable[..., Any], kind: Kind) -> Callable[..., Any]:
    return (_awaiting if inspect.iscoroutinefunction(method) else _calling)(method, kind)


def _calling(method: Callable[..., Any], kind: Kind) -> Callable[..., Any]:
    @functools.wraps(method)
    def told(self: Any, *args: Any, **kwargs: Any) -> Any:
        change = _Change(self, kind.removed(method.__name__, args, kwargs), _change.get())
        outer = _change.set(change)
        try:
            return method(self, *args, **kwargs)
        finally:
            _change.reset(outer)
            _tell(change.end())

    return told


def _awaiting(method: Callable[..., Any], kind: Kind) -> Callable[..., Any]:
    @functools.wraps(method)
    async def told(self: Any, *args: Any, **kwargs: Any) -> Any:
        change = _Change(self, kind.removed(method.__name__, args, kwargs), _change.get())
        outer = _change.set(change)
        try:
            return await method(self, *args, **kwargs)
        finally:
            _change.reset(outer)
            await _atell(change.end())

    return told


def _making(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def make(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = method(self, *args, **kwargs)
        known = _watched.get(token(self))
        return made if known is None or known.accelerate is None else known.accelerate(made)

    return make


def _tell(changes: Iterable[tuple[Corpus, Documents]]) -> None:
    for corpus, documents in changes:
        # Where others could not be told, it is tried again before this process reads.
        with contextlib.suppress(StoreError):
            corpus.changed(documents)


async def _atell(changes: list[tuple[Corpus, Documents]]) -> None:
    try:
        while changes:
            corpus, documents = changes[0]
            with contextlib.suppress(StoreError):
                await corpus.achanged(documents)
            del changes[0]
    finally:
        # Cancelled while it waited: the documents have changed all the same.
        _tell(changes)


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
