"""LlamaIndex nodes as they are stored, and stored ones as fresh nodes with their scores.

Stored are nodes of LlamaIndex's own classes with metadata of the types that `typed_json` knows, if
they are read back equal. Others are not stored: the application gets what its retriever found, and
only that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.schema import (
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    Node,
    NodeWithScore,
    TextNode,
)

from accel_core.retrieval import Made
from accel_core.typed_json import read_typed, spell_typed
from llamaindex_accel.events import announce

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llama_index.core.schema import BaseNode

    from accel_core.retrieval import Recalled

_KINDS: dict[str, type[BaseNode]] = {
    kind.__name__: kind for kind in (TextNode, Document, ImageDocument, ImageNode, IndexNode, Node)
}


def spell_nodes(nodes: Sequence[NodeWithScore]) -> list[Any]:
    """Return scored nodes as values for `typed_json`.

    Raises:
        TypeError, ValueError: one of them would not be read back as it is.
    """
    rows: list[Any] = []
    for each in nodes:
        kind = type(each.node)
        if type(each) is not NodeWithScore or _KINDS.get(kind.__name__) is not kind:
            raise TypeError(f"a node of {kind.__name__} cannot be stored")
        rows.append([kind.__name__, each.node.to_dict(), each.score])
    # A dump makes dicts of objects in metadata: only reading it tells what was lost.
    if read_nodes(rows) != list(nodes):
        raise TypeError("a node would not be read back as it is")
    return rows


def read_nodes(rows: Sequence[Any]) -> list[NodeWithScore]:
    """Return what `spell_nodes` returned, as fresh nodes.

    Raises:
        KeyError, TypeError, ValueError: the rows are not that.
    """
    return [
        NodeWithScore(node=_KINDS[kind].from_dict(dict(fields)), score=score)
        for kind, fields, score in rows
    ]


class Nodes:
    """How a retriever's lists are stored.

    Args:
        max_documents: longer lists are not.
        precise: whether a change that names documents concerns only the lists they are in.
        method: whose lists they are, for `CacheHitEvent`.
    """

    __slots__ = ("_max_documents", "_method", "_precise")

    def __init__(self, max_documents: int, *, precise: bool, method: str) -> None:
        self._max_documents, self._precise, self._method = max_documents, precise, method

    def spell(self, value: Any) -> Made | str:
        """Return a list of nodes as it is stored, or the reason why it is not.

        Raises:
            TypeError, ValueError, RecursionError: a node cannot be stored.
        """
        if not isinstance(value, list):
            return "unserialisable"
        if len(value) > self._max_documents:
            return "too_large"
        payload = spell_typed(spell_nodes(value))
        names = [name for each in value for name in (each.node.node_id, each.node.ref_doc_id)]
        known = tuple(name for name in names if name) if self._precise else None
        return Made(payload, known, empty=not value)

    def read(self, hit: Recalled) -> list[NodeWithScore]:
        """Return a hit as fresh nodes.

        Raises:
            KeyError, TypeError, ValueError, ArithmeticError: the payload is not one of ours.
        """
        nodes = read_nodes(read_typed(hit.entry.payload))
        announce(hit, self._method)
        return nodes
