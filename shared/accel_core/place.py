"""Where an adapter keeps what rests on documents, and by which corpora these are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from accel_core.accel import Accel
    from accel_core.corpora import Corpus


class Place(NamedTuple):
    """Where answers are kept.

    Attributes:
        accel: keeps them.
        corpus: the name of the documents; None: they are the live stores.
        version: of the documents, as the application counts it.
    """

    accel: Accel
    corpus: str | None
    version: str

    @property
    def by_name(self) -> bool:
        """Whether the documents go by a name, and not by the live objects that hold them."""
        return self.corpus is not None

    def corpora(self, live: Iterable[object]) -> list[Corpus]:
        """Return the corpora of answers that rest on what is in the `live` objects."""
        if self.corpus is not None:
            return [self.accel.corpus(self.corpus)]
        return [self.accel.corpus_of(each) for each in live]
