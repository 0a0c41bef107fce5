"""Small indices that tests retrieve from: real ones, with embeddings of words or of MiniLM."""

from __future__ import annotations

import contextvars
import hashlib
from typing import TYPE_CHECKING, Any

from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import Document, TextNode

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine, Sequence

    from llama_index.core.schema import NodeWithScore

    from accel_core.ports import Encoder

COLOURS = ["sync", "async"]
_DIMENSIONS = 16


class WordEmbedding(BaseEmbedding):
    """Embeds a text as the sum of its words' directions; counts what it is asked."""

    _asked: list[str] = PrivateAttr(default_factory=list)

    @property
    def asked(self) -> list[str]:
        """The questions it embedded, oldest first."""
        return self._asked

    def _get_query_embedding(self, query: str) -> list[float]:
        self._asked.append(query)
        return self._vector(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._vector(text)

    def _vector(self, text: str) -> list[float]:
        return _vector(text)


class EncoderEmbedding(WordEmbedding):
    """Embeds with an encoder of the core."""

    _encoder: Encoder = PrivateAttr()

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self._encoder = encoder

    def _vector(self, text: str) -> list[float]:
        return [float(value) for value in self._encoder.encode([text])[0]]


def _vector(text: str) -> list[float]:
    total = [0.001] * _DIMENSIONS
    for word in text.lower().split():
        digest = hashlib.blake2b(word.encode(), digest_size=_DIMENSIONS).digest()
        total = [each + byte / 128 - 1 for each, byte in zip(total, digest, strict=True)]
    return total


def document(name: str, text: str, /, **metadata: Any) -> Document:
    """Return a document that goes by `name`."""
    return Document(text=text, id_=name, metadata=metadata)


def nodes_of(names: Sequence[str], text: str = "about {}") -> list[TextNode]:
    """Return one node per name."""
    return [TextNode(text=text.format(name), id_=name) for name in names]


def index_of(documents: Sequence[Document], embedding: BaseEmbedding) -> VectorStoreIndex:
    """Return a vector index of `documents`."""
    return VectorStoreIndex.from_documents(documents, embed_model=embedding)


class Retrieve:
    """Retrieves in one colour."""

    def __init__(self, colour: str, runner: asyncio.Runner) -> None:
        self.waits, self._runner = colour == "async", runner

    def __call__(self, retriever: Any, question: Any) -> list[NodeWithScore]:
        """Return what `retriever` finds."""
        if self.waits:
            return self.run(retriever.aretrieve(question))  # type: ignore[no-any-return]
        return retriever.retrieve(question)  # type: ignore[no-any-return]

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Carry out `work` on the one loop, in the caller's context."""
        return self._runner.run(work, context=contextvars.copy_context())

    def change(self, value: Any, name: str, *args: Any, **kwargs: Any) -> None:
        """Call a method that changes documents, in its form of this colour."""
        waiting = f"async_{name}" if hasattr(value, f"async_{name}") else f"a{name}"
        if self.waits:
            self.run(getattr(value, waiting)(*args, **kwargs))
        else:
            getattr(value, name)(*args, **kwargs)


def texts(nodes: Sequence[NodeWithScore]) -> list[str]:
    """Return what was found, best first."""
    return [each.node.get_content() for each in nodes]
