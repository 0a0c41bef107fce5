"""LangChain's `Embeddings` as an encoder of the core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings

from accel_core.encoder.foreign import ForeignEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence


class EmbeddingsEncoder(ForeignEncoder[Embeddings]):
    """Questions encoded by the application's own embeddings, as queries.

    See `ForeignEncoder` for the options; questions are embedded as queries, since documents may be
    embedded differently.
    """

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Embed each text as a query."""
        return [self._model.embed_query(text) for text in texts]

    async def aembed(self, texts: Sequence[str]) -> list[list[float]]:
        """Async form of `embed`."""
        return [await self._model.aembed_query(text) for text in texts]
