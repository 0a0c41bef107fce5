"""LlamaIndex's `BaseEmbedding` as an encoder of the core.

Every encoding is an embedding call of the application's model, with its events, callbacks and rate
limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_index.core.base.embeddings.base import BaseEmbedding

from accel_core.encoder.foreign import ForeignEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence


class EmbeddingsEncoder(ForeignEncoder[BaseEmbedding]):
    """Questions encoded by the application's own embedding model, as queries.

    See `ForeignEncoder` for the options; questions are embedded as queries, since documents may be
    embedded differently.
    """

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Embed each text as a query."""
        return [self._model.get_query_embedding(text) for text in texts]

    async def aembed(self, texts: Sequence[str]) -> list[list[float]]:
        """Async form of `embed`."""
        return [await self._model.aget_query_embedding(text) for text in texts]
