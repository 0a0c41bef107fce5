"""Real vector stores over embeddings that count what they are asked, and a counting retriever."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import InMemoryVectorStore

from accel_core.testing.encoders import HashEncoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.ports import Encoder

TEXTS = {
    "refund": "A refund is paid within 14 days.",
    "delivery": "A delivery takes three days.",
    "returns": "Returns are free of charge.",
    "hours": "The shop is open from nine to five.",
}
QUESTION = "when is a refund paid"


class Counting(Embeddings):
    """Embeddings of an encoder; `asked` holds every query, so every search there was.

    Args:
        encoder: makes the vectors; a bag of words by default.
    """

    def __init__(self, encoder: Encoder | None = None) -> None:
        self._encoder = encoder or HashEncoder()
        self._lock = threading.Lock()
        self.asked: list[str] = []
        self.before: Callable[[str], Any] = lambda _: None
        """Called before every query is embedded; may wait or raise."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[float(x) for x in row] for row in self._encoder.encode(texts)]

    def embed_query(self, text: str) -> list[float]:
        with self._lock:
            self.asked.append(text)
        self.before(text)
        return self.embed_documents([text])[0]


class Listed(BaseRetriever):
    """A retriever of the application's own; `calls` holds every question that any was asked."""

    found: Any = [Document("found", id="1")]
    more: Any = None
    calls: ClassVar[list[Any]] = []
    failure: ClassVar[Exception | None] = None

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> Any:
        self.calls.append(query)
        if self.failure is not None:
            raise self.failure
        return self.found


def documents(**texts: str) -> list[Document]:
    """Return documents with ids, and metadata that names them."""
    return [
        Document(text, id=name, metadata={"name": name, "rank": rank})
        for rank, (name, text) in enumerate(texts.items())
    ]


def filled(embeddings: Embeddings | None = None, **texts: str) -> InMemoryVectorStore:
    """Return a store of the texts given, `TEXTS` by default."""
    store = InMemoryVectorStore(embeddings or Counting())
    store.add_documents(documents(**(texts or TEXTS)))
    return store


def asked(store: Any) -> list[str]:
    """Return every query that a store made by `filled` was searched for."""
    found: list[str] = store.embeddings.asked
    return found


def names(found: list[Document]) -> list[str | None]:
    """Return the ids of documents."""
    return [document.id for document in found]
