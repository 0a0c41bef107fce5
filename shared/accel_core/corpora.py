"""The corpora that retrieval reads, and how their changes reach every lookup.

A corpus with a name is the same one for every process that shares a store; its changes are numbered
there. One without belongs to a live object of this process, and so do the entries that rest on it.

Invariants: a lookup begun after `changed` returned knows of the change, in every process; where
that cannot be known, because the store fails, there is no state, and nothing is served; a change
that could not be recorded is recorded before anything else is read.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from accel_core import events
from accel_core.drive import blocking
from accel_core.errors import StoreError
from accel_core.policy.breaker import STORE_REST_S, Breaker
from accel_core.policy.corpus import CorpusState

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from accel_core.ports import ChangeLog, Io, Observer

_DIGEST_BYTES = 24
_DOCUMENT_BYTES = 8
_NEVER = CorpusState()


def named_corpus(namespace: str, name: str) -> CorpusKey:
    """Return the key of the corpus that every process means by `name`.

    Not keyed by a secret: processes must agree on it while secrets are being exchanged.
    """
    parts = [part.encode("utf-8", "surrogatepass") for part in (namespace, name)]
    framed = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return CorpusKey(blake2b(framed, digest_size=_DIGEST_BYTES).digest(), shared=True)


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
    """

    def __init__(
        self,
        log: ChangeLog | None,
        *,
        emit: Observer,
        mono_now: Callable[[], float],
        lock: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._log, self._emit, self._mono_now = log, emit, mono_now
        self._new_lock, self._lock = lock, lock()
        self._breaker = Breaker(rest_s=STORE_REST_S)
        self._own: dict[bytes, CorpusState] = {}
        self._seen: dict[bytes, _Seen] = {}
        self._owed: dict[bytes, tuple[frozenset[bytes] | None]] = {}

    @property
    def shares(self) -> bool:
        """Whether there is a store that processes share."""
        return self._log is not None

    async def states(self, io: Io, corpora: Sequence[CorpusKey]) -> list[CorpusState] | None:
        """Return the state of each, at this moment or later; None where one cannot be known."""
        log = self._log
        if log is None or not any(corpus.shared for corpus in corpora):
            return [self._own.get(corpus.digest, _NEVER) for corpus in corpora]
        if not self._breaker.allows(self._mono_now()):
            return None
        try:
            found = [
                await self._shared(io, log, corpus.digest)
                if corpus.shared
                else self._own.get(corpus.digest, _NEVER)
                for corpus in corpora
            ]
        except Exception as error:  # a third party's store raises what it likes
            self._breaker.failed(self._mono_now())
            self._emit(events.BackendFailed("store", "read changes", type(error).__name__))
            return None
        self._breaker.succeeded()
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
            self._owe(corpus.digest, documents)
            try:
                await self._settle(io, self._log, corpus.digest)
            except Exception as error:
                raise StoreError("store", "record a change", f"{error}") from error
        else:
            with self._lock:
                state = self._own.get(corpus.digest, _NEVER)
                self._own[corpus.digest] = state.after(documents)
        self._emit(events.CorpusChanged(None if documents is None else len(documents)))

    def after_fork(self) -> None:
        """Start anew in a child process."""
        self._lock = self._new_lock()
        self._seen.clear()

    async def _shared(self, io: Io, log: ChangeLog, corpus: bytes) -> CorpusState:
        """Return the state of a corpus that processes share."""
        if corpus in self._owed:
            await self._settle(io, log, corpus)
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
        self._seen[corpus] = _Seen(glance, state)
        return state

    def _owe(self, corpus: bytes, documents: frozenset[bytes] | None) -> None:
        with self._lock:
            (owed,) = self._owed.get(corpus, (frozenset[bytes](),))
            both = None if owed is None or documents is None else owed | documents
            self._owed[corpus] = (both,)

    async def _settle(self, io: Io, log: ChangeLog, corpus: bytes) -> None:
        """Record what is owed; until that is done nothing about the corpus is believed."""
        owed = self._owed.get(corpus)
        if owed is None:
            return
        await io.call(log.add_change, corpus, owed[0])
        with self._lock:
            # Each debt is an object of its own: what came meanwhile stays owed.
            if self._owed.get(corpus) is owed:
                del self._owed[corpus]
