"""LangChain documents as they are stored, and stored ones as fresh documents.

Stored are `Document`s with metadata of the types that `typed_json` knows. What a subclass or a
foreign object in the metadata would lose is not stored: the application gets what its retriever
found, and only that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document

from accel_core.mould import mould
from accel_core.retrieval import Made
from accel_core.typed_json import read_typed, spell_typed

if TYPE_CHECKING:
    from accel_core.retrieval import Recalled


class Documents:
    """How a retriever's lists are stored.

    Args:
        max_documents: longer lists are not.
        precise: whether a change that names documents concerns only the lists they are in.
    """

    __slots__ = ("_max_documents", "_precise")

    def __init__(self, max_documents: int, *, precise: bool) -> None:
        self._max_documents, self._precise = max_documents, precise

    def spell(self, value: Any) -> Made | str:
        """Return a list of documents as it is stored, or the reason why it is not.

        Raises:
            TypeError, ValueError, RecursionError: metadata cannot be stored.
        """
        if not isinstance(value, list):
            return "unserialisable"
        if len(value) > self._max_documents:
            return "too_large"
        if any(type(document) is not Document for document in value):
            return "unserialisable"
        rows = [[each.page_content, each.metadata, each.id] for each in value]
        ids = [each.id for each in value if each.id is not None]
        known = self._precise and len(ids) == len(value)
        return Made(spell_typed(rows), tuple(ids) if known else None, empty=not value)

    def read(self, hit: Recalled) -> list[Document]:
        """Return a hit as fresh documents.

        Raises:
            ValueError, TypeError, KeyError, ArithmeticError: the payload is not one of ours.
        """
        return [_document(*row) for row in read_typed(hit.entry.payload)]


_cast = mould(Document(""))


def _document(text: Any, metadata: Any, name: Any) -> Document:
    if not (type(text) is str and type(metadata) is dict and (name is None or type(name) is str)):
        raise TypeError("a document without a text or metadata")
    made: Document = _cast(
        {"id": name, "metadata": metadata, "page_content": text, "type": "Document"}
    )
    return made
