"""LangChain's `Embeddings` as an encoder of the core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.encoder.foreign import ForeignEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.embeddings import Embeddings


class EmbeddingsEncoder(ForeignEncoder):
    """Questions encoded by the application's own embeddings, as queries.

    Args:
        embeddings: any LangChain embeddings.
        name: identifies the vector space in stores; the class and model name where left out.
        min_similarity: cosine from which two questions count as one; None: no semantic hits.
        window_chars: longer questions are not compared by meaning.
        scripts: names of the scripts the model was made for; None: every one.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        *,
        name: str | None = None,
        min_similarity: float | None = None,
        window_chars: int = 1_000,
        scripts: Sequence[str] | None = ("Latin",),
    ) -> None:
        super().__init__(
            embeddings,
            name=name,
            min_similarity=min_similarity,
            window_chars=window_chars,
            scripts=scripts,
        )
        self._embeddings = embeddings

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Embed each text as a query: documents may be embedded differently."""
        return [self._embeddings.embed_query(text) for text in texts]

    async def aembed(self, texts: Sequence[str]) -> list[list[float]]:
        """Async form of `embed`."""
        return [await self._embeddings.aembed_query(text) for text in texts]
