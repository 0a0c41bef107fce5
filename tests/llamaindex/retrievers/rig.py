"""What tests of retrievers share: questions, texts, and vector stores that fail."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

QUESTION = "when is a refund paid"
TEXTS = {
    "refund": "a refund is paid within 14 days",
    "delivery": "a delivery takes three days",
    "returns": "returns are free of charge",
    "hours": "the shop is open from nine to five",
}


class Backend:
    """What a retriever asks; it is only ever itself."""

    def __init__(self, found: Any = None, error: Exception | None = None) -> None:
        self.found, self.error, self.asked = found, error, 0

    def __reduce__(self) -> Any:
        return (Backend, (self.found,))


class Listed(BaseRetriever):
    """Finds what it is given, however often it is asked."""

    def __init__(self, found: Any = None, error: Exception | None = None) -> None:
        self.backend = Backend(found, error)
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> Any:
        self.backend.asked += 1
        if self.backend.error is not None:
            raise self.backend.error
        return self.backend.found


class Counted(Listed):
    """Finds as many nodes as it was asked times."""

    def _retrieve(self, query_bundle: QueryBundle) -> Any:
        self.backend.asked += 1
        return [NodeWithScore(node=TextNode(text=f"{self.backend.asked}"), score=1.0)]
