"""An encoder whose vectors are made beforehand, in batches, as long as they are few enough."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from accel_core.ports import Encoder, Vector, Vectors

_REMEMBERED = 50_000
"""Vectors: 75 MB of the default encoder's."""
_AT_ONCE = 64


class PreparedEncoder:
    """An `Encoder` and `AsyncEncoder` that answers from what `prepare` made, at once.

    Args:
        encoder: makes the vectors.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.name, self.min_similarity = encoder.name, encoder.min_similarity
        self._encoder = encoder
        self._vectors: dict[str, Vector] = {}

    def prepare(self, texts: Iterable[str], report: Callable[[float], None]) -> None:
        """Make the vectors of `texts` that are not there, on every core.

        Args:
            texts: those of the next questions; more than fit make older ones leave.
            report: told the share done.
        """
        wanted = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        wanted = sorted((t for t in wanted if self.distrust(t) is None), key=len)
        too_many = max(0, len(self._vectors) + len(wanted) - _REMEMBERED)
        for text in list(self._vectors)[:too_many]:
            del self._vectors[text]
        parts = [wanted[at : at + _AT_ONCE] for at in range(0, len(wanted), _AT_ONCE)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for done, (part, made) in enumerate(
                zip(parts, pool.map(self._encoder.encode, parts), strict=True), 1
            ):
                self._vectors.update(zip(part, made, strict=True))
                report(done / len(parts))

    def distrust(self, text: str) -> str | None:
        """Return why `text` must not be compared by meaning, or None where it may."""
        # What has a vector was trusted, and need not be cut into tokens again.
        return None if text in self._vectors else self._encoder.distrust(text)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of `texts`; those that were not prepared are made now."""
        import numpy as np

        if all(text in self._vectors for text in texts):
            return np.stack([self._vectors[text] for text in texts])
        return self._encoder.encode(texts)

    async def aencode(self, texts: Sequence[str]) -> Vectors:
        """Async form of `encode`. It blocks: a replay's clock stands still meanwhile."""
        return self.encode(texts)
