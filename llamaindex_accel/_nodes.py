"""LlamaIndex nodes as they are stored, and stored ones as fresh nodes with their scores.

Stored are nodes of LlamaIndex's own classes with metadata of the types that `typed_json` knows, if
they are read back equal. Others are not stored: the application gets what its retriever found, and
only that.

Validating a node costs more than all else in reading it. A text node is made without, if validation
was seen to leave its fields as they are when it was stored; `typed_json` keeps their types.
"""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any

from llama_index.core.bridge.pydantic import TypeAdapter
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    Node,
    NodeWithScore,
    TextNode,
)

from accel_core.mould import mould
from accel_core.retrieval import Made
from accel_core.typed_json import read_typed, spell_typed
from llamaindex_accel.events import announce

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.retrieval import Recalled

_KINDS: dict[str, type[BaseNode]] = {
    kind.__name__: kind for kind in (TextNode, Document, ImageDocument, ImageNode, IndexNode, Node)
}
_MOULDED = ""
"""Stands for the class of a text node that need not be validated."""


_TEXT_FIELDS = TextNode.model_fields.keys()
_text_node, _scored = mould(TextNode()), mould(NodeWithScore(node=TextNode()))
_RELATIONSHIPS: Any = BaseNode.model_fields["relationships"].annotation
_relationships: TypeAdapter[Any] = TypeAdapter(_RELATIONSHIPS)


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
    validated = read_nodes(rows)
    # A dump makes dicts of objects in metadata: only reading it tells what was lost.
    if validated != list(nodes):
        raise TypeError("a node would not be read back as it is")
    return [_row(row, each) for row, each in zip(rows, validated, strict=True)]


def _row(row: list[Any], validated: NodeWithScore) -> list[Any]:
    """Return what is stored of a node; of one that need not be validated, its fields alone."""
    kind, fields, score = row
    if kind != TextNode.__name__:
        return row
    plain = {name: fields[name] for name in _TEXT_FIELDS}
    # What stands in relationships is validated when it is read.
    expected = vars(validated.node) | {"relationships": fields["relationships"]}
    unchanged = _same([plain, score], [expected, validated.score])
    return [_MOULDED, plain, score] if unchanged else row


def _same(one: Any, other: Any) -> bool:
    """Whether both are the same plain data, type for type: 1 is neither 1.0 nor True."""
    try:
        return marshal.dumps(one, 2) == marshal.dumps(other, 2)
    except ValueError:  # more than plain data
        return False


def read_nodes(rows: Sequence[Any]) -> list[NodeWithScore]:
    """Return what `spell_nodes` returned, as fresh nodes.

    Raises:
        KeyError, TypeError, ValueError: the rows are not that.
    """
    return [_read(*row) for row in rows]


def _read(kind: str, fields: dict[str, Any], score: Any) -> NodeWithScore:
    if kind != _MOULDED:
        return NodeWithScore(node=_KINDS[kind].from_dict(fields), score=score)
    if fields.keys() != _TEXT_FIELDS:  # written by another version of LlamaIndex
        return NodeWithScore(node=TextNode(**fields), score=score)
    if related := fields["relationships"]:
        fields["relationships"] = _relationships.validate_python(related)
    made: NodeWithScore = _scored({"node": _text_node(fields), "score": score})
    return made


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
