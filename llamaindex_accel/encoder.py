"""LlamaIndex's `BaseEmbedding` as an encoder of the core.

Every encoding is an embedding call of the application's model, with its events, callbacks and rate
limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.encoder.foreign import ForeignEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llama_index.core.base.embeddings.base import BaseEmbedding


class EmbeddingsEncoder(ForeignEncoder):
    """Questions encoded by the application's own embedding model, as queries.

    Args:
        embedding: any LlamaIndex embedding model.
        name: identifies the vector space in stores; the class and model name where left out.
        min_similarity: cosine from which two questions count as one; None: no semantic hits.
        window_chars: longer questions are not compared by meaning.
        scripts: names of the scripts the model was made for; None: every one.
    """

    def __init__(
        self,
        embedding: BaseEmbedding,
        *,
        name: str | None = None,
        min_similarity: float | None = None,
        window_chars: int = 1_000,
        scripts: Sequence[str] | None = ("Latin",),
    ) -> None:
        super().__init__(
            embedding,
            name=name,
            min_similarity=min_similarity,
            window_chars=window_chars,
            scripts=scripts,
        )
        self._embedding = embedding

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Embed each text as a query: documents may be embedded differently."""
        return [self._embedding.get_query_embedding(text) for text in texts]

    async def aembed(self, texts: Sequence[str]) -> list[list[float]]:
        """Async form of `embed`."""
        return [await self._embedding.aget_query_embedding(text) for text in texts]
