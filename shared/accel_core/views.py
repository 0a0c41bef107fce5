"""What a lookup of one request may be served, for whoever only looks.

Answers of models are served for as long as they live; what rests on documents for as long as these
are what they were, and it is fresh, or due and made anew meanwhile.

Invariant: nothing is changed by looking. No dice are thrown, no change of documents is recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from accel_core.retrieval import Sought

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.corpora import Corpora
    from accel_core.meaning import Meaning, Serves
    from accel_core.policy.identity import Request
    from accel_core.ports import Entry, Io
    from accel_core.retrieval import Ask
    from accel_core.retrieval_terms import RetrievalTerms


class View(NamedTuple):
    """How entries look to a lookup.

    Attributes:
        meaning: finds other wordings.
        exactly: says why an entry is served to the very request; ``""``: it is not.
        serves: whether one may be served by meaning.
        flight: what the request is led under.
    """

    meaning: Meaning
    exactly: Callable[[Entry], str]
    serves: Serves
    flight: bytes


def of_answers(meaning: Meaning, key: bytes, wall_now: Callable[[], float]) -> View:
    """Return the view of answers of models; `key`: of the request."""

    def exactly(entry: Entry) -> str:
        return "exact" if entry.expires_s > wall_now() else ""

    def serves(entry: Entry, request: Request) -> bool:
        return entry.scope == request.scope and bool(exactly(entry))

    return View(meaning, exactly, serves, key)


class RetrievalViews:
    """Views of what rests on documents.

    Args:
        corpora: what changed.
        meaning: finds what was retrieved for other wordings.
        terms: those on which it is served, with dice that never fall: chance may let an entry be
            made anew before it has to be.
    """

    def __init__(self, corpora: Corpora, meaning: Meaning, terms: RetrievalTerms) -> None:
        self._corpora, self._meaning, self._terms = corpora, meaning, terms

    async def of(self, io: Io, ask: Ask) -> View | None:
        """Return the view of `ask`; None: what its documents are now is not known.

        Raises:
            Exception: the shared store's failure.
        """
        states = await self._corpora.look(io, ask.corpora)
        if states is None:
            return None
        sought, terms = Sought(ask, states, 0), self._terms

        def exactly(entry: Entry) -> str:
            hit = terms.timely(terms.valid(entry, sought))
            return "" if hit is None else hit.stale or hit.tier

        def serves(entry: Entry, _: Request) -> bool:
            return terms.by_meaning(entry, sought)

        return View(self._meaning, exactly, serves, sought.flight_key())
