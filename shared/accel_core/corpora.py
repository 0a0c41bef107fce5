"""The corpora that retrieval reads, and how their changes reach every lookup.

A corpus with a name is the same one for every process that shares a store; its changes are numbered
there. One without belongs to a live object of this process, and so do the entries that rest on it.

Invariants: a lookup begun after `changed` returned knows of the change, in every process; where
that cannot be known, because the store fails, there is no state, and nothing is served; a change
that could not be recorded is recorded before anything else is read, by one caller, for whom nobody
waits.
"""

from __future__ import annotations

import functools
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from accel_core import events
from accel_core.drive import blocking
from accel_core.errors import StoreError
from accel_core.policy.breaker import store_breaker
from accel_core.policy.corpus import CorpusState

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from accel_core.ports import ChangeLog, Io, Observer

T = TypeVar("T")

_DIGEST_BYTES = 24
_DOCUMENT_BYTES = 8
_NEVER = CorpusState()

_REMEMBERED = 10_000
"""Corpora whose state is held, of either kind: applications make an index for every upload."""


@functools.lru_cache(maxsize=1024)
def named_corpus(namespace: str, name: str, *, shared: bool = True) -> CorpusKey:
    """Return the key of the corpus that every process means by `name`.

    Not keyed by a secret: processes must agree on it while secrets are being exchanged.

    Args:
        namespace: the configured one.
        name: the corpus's name.
        shared: whether processes learn of its changes (`Corpora.shares`).
    """
    parts = [part.encode("utf-8", "surrogatepass") for part in (namespace, name)]
    framed = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return CorpusKey(blake2b(framed, digest_size=_DIGEST_BYTES).digest(), shared)


@functools.lru_cache(maxsize=1024)
def own_corpus(name: str) -> CorpusKey:
    """Return the key of a corpus that is a live object of this process, by the object's token."""
    return CorpusKey(blake2b(name.encode(), digest_size=_DIGEST_BYTES).digest(), shared=False)


class CorpusKey(NamedTuple):
    """Which corpus: its digest, and whether other processes mean the same one by it."""

    digest: bytes
    shared: bool

    def documents(self, ids: Iterable[str] | None) -> frozenset[bytes] | None:
        """Return the digests of documents; None where they are not known.

        Short: two that fall together only mean that more is made anew than need be.
        """
        if ids is None:
            return None
        return frozenset(
            blake2b(
                one.encode("utf-8", "surrogatepass"), digest_size=_DOCUMENT_BYTES, key=self.digest
            ).digest()
            for one in ids
        )


class Corpus:
    """Documents that are retrieved from; who changes them past this package says so here.

    Args:
        key: which corpus it is.
        corpora: keeps its state.
        colours: the blocking and the asyncio `Io`.
    """

    __slots__ = ("_aio", "_blocking", "_corpora", "key")

    def __init__(self, key: CorpusKey, corpora: Corpora, colours: tuple[Io, Io]) -> None:
        self.key, self._corpora = key, corpora
        self._blocking, self._aio = colours

    def changed(self, documents: Iterable[str] | None = None) -> None:
        """Let nothing be served any more that rests on what was changed.

        Args:
            documents: ids of those that were changed or removed, as they are retrieved; what rests
                on none of them is served on. None: everything is made anew, as it has to be where
                documents were added, since any question may have been about them.

        Raises:
            StoreError: other processes could not be told, and may serve it until they are.
        """
        blocking.run(self._corpora.changed(self._blocking, self.key, self._named(documents)))

    async def achanged(self, documents: Iterable[str] | None = None) -> None:
        """Async form of `changed`."""
        await self._corpora.changed(self._aio, self.key, self._named(documents))

    def _named(self, documents: Iterable[str] | None) -> frozenset[bytes] | None:
        if isinstance(documents, str):
            raise TypeError("changed() takes several ids: changed([id])")
        return self.key.documents(documents)

    def __repr__(self) -> str:
        return f"Corpus(shared={self.key.shared})"


class _Seen(NamedTuple):
    """A shared corpus's state, and the glance of the store at which it was the latest."""

    glance: Hashable
    state: CorpusState


class Corpora:
    """The state of every corpus in use.

    Args:
        log: numbers the changes that processes share; None: there is no such store.
        emit: receives `CorpusChanged` and failures.
        mono_now: monotonic clock, seconds, for letting a failing store rest.
        lock: makes a lock.
        rests: whether the store is left alone; it is tried again by others, not by lookups here.
    """

    def __init__(
        self,
        log: ChangeLog | None,
        *,
        emit: Observer,
        mono_now: Callable[[], float],
        lock: Callable[[], AbstractContextManager[object]],
        rests: Callable[[], bool],
    ) -> None:
        self._log, self._emit, self._mono_now, self._rests = log, emit, mono_now, rests
        self._new_lock, self._lock = lock, lock()
        self._breaker = store_breaker()
        self._own: dict[bytes, CorpusState] = {}
        # The state of every one that is not held: as if all had changed when the last was let go.
        self._unheld = _NEVER
        self._seen: dict[bytes, _Seen] = {}
        # Changes that could not be recorded, and whose recording is tried again just now.
        self._owed: dict[bytes, tuple[frozenset[bytes] | None]] = {}
        self._settling: set[bytes] = set()

    @property
    def shares(self) -> bool:
        """Whether there is a store that numbers changes for all processes."""
        return self._log is not None

    async def states(self, io: Io, corpora: Sequence[CorpusKey]) -> list[CorpusState] | None:
        """Return the state of each, at this moment or later; None where one cannot be known."""
        log = self._log
        if log is None or not any(corpus.shared for corpus in corpora):
            with self._lock:
                return [self._own_state(corpus.digest) for corpus in corpora]
        if self._rests() or not self._breaker.allows(self._mono_now()):
            return None
        try:
            found: list[CorpusState] = []
            for corpus in corpora:
                if not corpus.shared:
                    with self._lock:
                        found.append(self._own_state(corpus.digest))
                elif await self._settled(io, log, corpus.digest):
                    found.append(await self._shared(io, log, corpus.digest))
                else:
                    return None
        except Exception as error:  # a third party's store raises what it likes
            self._breaker.failed(self._mono_now())
            self._emit(events.BackendFailed("store", "read changes", type(error).__name__))
            return None
        self._breaker.succeeded()
        return found

    async def look(self, io: Io, corpora: Sequence[CorpusKey]) -> list[CorpusState] | None:
        """Return what `states` would, and change nothing: what is owed is not recorded.

        Raises:
            Exception: the shared store's failure.
        """
        found: list[CorpusState] = []
        for corpus in corpora:
            if self._log is None or not corpus.shared:
                with self._lock:
                    found.append(self._own_state(corpus.digest))
            elif self._rests() or corpus.digest in self._owed:
                return None
            else:
                found.append(await self._shared(io, self._log, corpus.digest))
        return found

    async def changed(self, io: Io, corpus: CorpusKey, documents: frozenset[bytes] | None) -> None:
        """Take note of a change, everywhere, before this returns.

        Args:
            io: the caller's colour.
            corpus: what changed.
            documents: digests of what was changed or removed; None: it may concern everything.

        Raises:
            StoreError: other processes could not be told.
        """
        if corpus.shared and self._log is not None:
            try:
                await self._record(io, self._log, corpus.digest, documents)
            except Exception as error:
                self._emit(events.BackendFailed("store", "record a change", type(error).__name__))
                raise StoreError("store", "record a change", f"{error}") from error
        else:
            with self._lock:
                state = self._own_state(corpus.digest).after(documents)
                let_go = _hold(self._own, corpus.digest, state)
                if let_go is not None:
                    last = max(self._unheld.revision, let_go.revision)
                    self._unheld = CorpusState(revision=last, everything=last)
        self._emit(events.CorpusChanged(None if documents is None else len(documents)))

    def after_fork(self) -> None:
        """Start anew in a child process."""
        self._lock = self._new_lock()
        self._seen.clear()
        self._settling.clear()

    async def _shared(self, io: Io, log: ChangeLog, corpus: bytes) -> CorpusState:
        """Return the state of a corpus that processes share."""
        # Inline in both colours: it reads a counter, and a thread hop costs more. Before reading,
        # so that what is read is at least as new as the glance says.
        glance = log.glance()
        seen = self._seen.get(corpus)
        if seen is not None and seen.glance == glance:
            return seen.state
        known = _NEVER if seen is None else seen.state
        changes = await io.call(log.read_changes, corpus, known.revision)
        if changes.revision < known.revision:
            # The store was replaced by another one.
            known = _NEVER
            changes = await io.call(log.read_changes, corpus, 0)
        earlier = {
            document: revision
            for document, revision in known.documents.items()
            if revision > changes.everything
        }
        state = CorpusState(
            revision=changes.revision,
            everything=changes.everything,
            documents={**earlier, **changes.documents},
        )
        with self._lock:
            _hold(self._seen, corpus, _Seen(glance, state))
        return state

    def _own_state(self, corpus: bytes) -> CorpusState:
        """Return the state of a corpus that is this process's; under the lock."""
        return self._own.get(corpus, self._unheld)

    async def _settled(self, io: Io, log: ChangeLog, corpus: bytes) -> bool:
        """Record what is owed; False while another caller does, so that nothing is believed."""
        if corpus not in self._owed:
            return True
        with self._lock:
            if corpus not in self._owed:
                return True
            if corpus in self._settling:
                return False
            self._settling.add(corpus)
        try:
            await self._record(io, log, corpus, frozenset())
        finally:
            with self._lock:
                self._settling.discard(corpus)
        return True

    async def _record(
        self, io: Io, log: ChangeLog, corpus: bytes, documents: frozenset[bytes] | None
    ) -> None:
        """Record a change with what is owed; where that fails, or is given up, all is owed."""
        owed = self._owed.get(corpus)
        try:
            await io.call(log.add_change, corpus, _both(owed, documents))
        except BaseException:
            with self._lock:
                self._owed[corpus] = (_both(self._owed.get(corpus), documents),)
            raise
        with self._lock:
            # Each debt is an object of its own: what came meanwhile stays owed.
            if self._owed.get(corpus) is owed:
                self._owed.pop(corpus, None)


def _hold(held: dict[bytes, T], corpus: bytes, state: T) -> T | None:
    """Hold a corpus's state as the newest; return the oldest one, let go where there are many."""
    held.pop(corpus, None)
    held[corpus] = state
    return held.pop(next(iter(held))) if len(held) > _REMEMBERED else None


def _both(
    owed: tuple[frozenset[bytes] | None] | None, documents: frozenset[bytes] | None
) -> frozenset[bytes] | None:
    """Return the documents of a debt and of another change; None: they may concern everything."""
    if owed is None:
        return documents
    return None if owed[0] is None or documents is None else owed[0] | documents
