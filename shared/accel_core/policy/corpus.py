"""What an entry rests on, and whether that still holds: documents, numbered by their changes.

A corpus is what retrieval reads: an index, a vector store. Each change to it has a number, its
*revision*. An entry remembers the revision at which its making began, and the documents in it. It
holds while no later change concerns it: a change that names documents concerns what rests on one of
them, any other change concerns everything.

Nothing has to be removed for that: what was made before a change is never served after it, by
whichever process, even where it is stored only afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_NAMED = 10_000
"""Changed documents remembered of a corpus; with more, the next change concerns everything."""


class Basis(NamedTuple):
    """What of one corpus an entry rests on.

    Attributes:
        corpus: the corpus's digest.
        revision: the last change of it when the making of the entry began.
        documents: digests of the documents in it; None where they are not all known, so that any
            change concerns it.
    """

    corpus: bytes
    revision: int
    documents: frozenset[bytes] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusState:
    """The changes of a corpus, as far as they still matter.

    Attributes:
        revision: the last change; 0: none yet.
        everything: the last change that concerned everything.
        documents: the last change of each document named by a change after that.
    """

    revision: int = 0
    everything: int = 0
    documents: Mapping[bytes, int] = field(default_factory=dict)

    def holds(self, basis: Basis) -> bool:
        """Whether nothing that `basis` rests on has changed since.

        >>> state = CorpusState().after(None).after({b"faq"})
        >>> state.holds(Basis(b"c", 1, frozenset({b"faq"})))
        False
        >>> state.holds(Basis(b"c", 1, frozenset({b"price"})))
        True
        """
        if not self.everything <= basis.revision <= self.revision:
            # Also what claims to be newer than the newest: the record of changes began anew.
            return False
        if basis.revision == self.revision:
            return True
        if basis.documents is None:
            return False
        changed = self.documents
        return all(changed.get(document, 0) <= basis.revision for document in basis.documents)

    def after(self, documents: Collection[bytes] | None) -> CorpusState:
        """Return the state after another change.

        Args:
            documents: digests of what was changed or removed; None: it may concern everything, as
                an addition may.
        """
        revision = self.revision + 1
        if documents is None or len(self.documents) + len(documents) > MAX_NAMED:
            return CorpusState(revision=revision, everything=revision)
        changed = {**self.documents, **dict.fromkeys(documents, revision)}
        return CorpusState(revision=revision, everything=self.everything, documents=changed)
