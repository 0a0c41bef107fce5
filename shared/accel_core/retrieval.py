"""The values of a retrieval: what is asked, what was found, what was made, and what it rests on.

Shared by the cache and the adapters. Nothing here waits, reads a clock or changes anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from accel_core.policy.controls import DEFAULT
from accel_core.policy.corpus import Basis

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from accel_core import events
    from accel_core.corpora import CorpusKey
    from accel_core.drive.flight import Flight
    from accel_core.policy.controls import Controls
    from accel_core.policy.corpus import CorpusState
    from accel_core.policy.identity import Request
    from accel_core.ports import Entry

T = TypeVar("T")


class Ask(NamedTuple):
    """What is asked.

    Attributes:
        request: its identity.
        corpora: what the answer rests on.
        speaks: whether the answer is said to somebody, and not a list of documents: questions that
            deserve another answer each time are then not answered twice.
        controls: the call's wishes.
    """

    request: Request
    corpora: tuple[CorpusKey, ...]
    speaks: bool = False
    controls: Controls = DEFAULT

    @property
    def shared(self) -> bool:
        """Whether other processes may be served what this one keeps."""
        return all(corpus.shared for corpus in self.corpora)

    def bases(
        self, revisions: Sequence[int], documents: tuple[str, ...] | None
    ) -> tuple[Basis, ...]:
        """Return what an entry rests on whose making began at `revisions` of the corpora."""
        return tuple(
            Basis(corpus.digest, revision, corpus.documents(documents))
            for corpus, revision in zip(self.corpora, revisions, strict=True)
        )


class Made(NamedTuple):
    """What was retrieved, as it is stored.

    Attributes:
        payload: UTF-8 JSON that the adapter can turn back into its framework's objects.
        documents: ids of the documents in it, as changes name them; None where they are not all
            known, or where others could have changed it.
        empty: whether nothing was found.
    """

    payload: bytes
    documents: tuple[str, ...] | None
    empty: bool = False


class Form(Protocol[T]):
    """How an adapter's values are stored."""

    def spell(self, value: T) -> Made | str:
        """Return `value` as it is stored, or the reason why it is not. May raise."""

    def read(self, hit: Recalled) -> T:
        """Return a fresh value from a hit. May raise where the payload cannot be read."""


class Gap(NamedTuple):
    """Nothing to serve. Its caller retrieves, then calls `store` or `abandon`.

    Attributes:
        reason: why, as of `events.RetrievalMiss`.
        revisions: of each corpus, when the lookup began; None where they cannot be known, so that
            nothing may be stored.
        flight: what its caller leads, or its own alone.
        similarity: of the nearest entry.
    """

    reason: str
    revisions: tuple[int, ...] | None
    flight: Flight | None = None
    similarity: float | None = None


class Recalled(NamedTuple):
    """A stored entry to serve.

    Attributes:
        entry: what is served.
        tier: how it was found.
        similarity: of its question to the one asked; 1 where they are the same.
        age_s: since it was stored.
        stale: as of `events.RetrievalHit`.
        shared: whether its caller waited for another one.
        renew: what its caller leads, to make it anew in the background.
    """

    entry: Entry
    tier: events.Tier
    similarity: float
    age_s: float
    stale: str = ""
    shared: bool = False
    renew: Gap | None = None


class Sought(NamedTuple):
    """A lookup under way: what is asked, and the state of its corpora."""

    ask: Ask
    states: Sequence[CorpusState]
    mark: int

    def gap(
        self, reason: str, flight: Flight | None = None, similarity: float | None = None
    ) -> Gap:
        """Return the gap of this lookup."""
        revisions = tuple(state.revision for state in self.states)
        return Gap(reason, revisions, flight, similarity)

    def flight_key(self) -> bytes:
        """Name the flight: who asks after a change never waits for who asked before it."""
        revisions = [state.revision.to_bytes(8, "big") for state in self.states]
        return b"".join((self.ask.request.key, *revisions))

    def holds(self, entry: Entry) -> bool:
        """Whether nothing that `entry` rests on has changed."""
        return all(state.holds(basis) for state, basis in self._pairs(entry))

    def outlived(self, entry: Entry) -> bool:
        """Whether something has, so that no later lookup will be served `entry` either."""
        return any(
            basis.revision <= state.revision and not state.holds(basis)
            for state, basis in self._pairs(entry)
        )

    def _pairs(self, entry: Entry) -> Iterable[tuple[CorpusState, Basis]]:
        """Pair each corpus's state with what of it `entry` rests on."""
        corpora, bases = self.ask.corpora, entry.bases
        # An entry rests on the corpora of the question it was made for, mostly this one.
        if [basis.corpus for basis in bases] != [corpus.digest for corpus in corpora]:
            known = {basis.corpus: basis for basis in bases}
            bases = tuple(
                known.get(corpus.digest, Basis(corpus.digest, -1, None)) for corpus in corpora
            )
        return zip(self.states, bases, strict=True)
