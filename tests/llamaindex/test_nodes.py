"""Stored nodes are read back exactly as LlamaIndex would validate them, made sooner or not."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.schema import (
    Document,
    ImageNode,
    IndexNode,
    Node,
    NodeRelationship,
    NodeWithScore,
    ObjectType,
    RelatedNodeInfo,
    TextNode,
)

from accel_core.typed_json import read_typed, spell_typed
from llamaindex_accel._nodes import _MOULDED, read_nodes, spell_nodes

texts = st.text(max_size=4)
numbers = st.booleans() | st.integers(-2, 2) | st.floats(allow_nan=False)
metadata = st.dictionaries(
    texts,
    st.recursive(
        st.none() | numbers | texts | st.dates(),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
        max_leaves=4,
    ),
    max_size=3,
)
related = st.builds(
    RelatedNodeInfo,
    node_id=texts,
    node_type=st.none() | st.sampled_from(ObjectType) | texts,
    metadata=metadata,
    hash=st.none() | texts,
)
relationships = st.dictionaries(
    st.sampled_from(NodeRelationship), related | st.lists(related, max_size=2), max_size=3
)
text_nodes = st.builds(
    TextNode,
    text=texts,
    id_=texts,
    metadata=metadata,
    embedding=st.none() | st.lists(st.floats(allow_nan=False), max_size=2),
    relationships=relationships,
    start_char_idx=st.none() | st.integers(0, 9),
    excluded_llm_metadata_keys=st.lists(texts, max_size=2),
)


def exactly(value: Any) -> Any:
    """Spell a value with the types in it, and all that Pydantic keeps of an object."""
    if isinstance(value, BaseModel):
        beside = (value.model_fields_set, value.__pydantic_extra__, value.__pydantic_private__)
        return type(value), exactly(vars(value)), beside
    if isinstance(value, dict):
        return dict, [(exactly(key), exactly(item)) for key, item in value.items()]
    if isinstance(value, list):
        return list, [exactly(item) for item in value]
    return type(value), repr(value)


def validated(each: NodeWithScore) -> NodeWithScore:
    """Return a node as LlamaIndex reads what it dumped."""
    return NodeWithScore(node=type(each.node).from_dict(each.node.to_dict()), score=each.score)


def stored(nodes: list[NodeWithScore]) -> tuple[list[str], list[NodeWithScore]]:
    """Return the kinds of the rows in which nodes are stored, and what is read from them."""
    payload = spell_typed(spell_nodes(nodes))
    return [row[0] for row in read_typed(payload)], read_nodes(read_typed(payload))


@given(text_nodes, st.none() | st.floats(allow_nan=False))
def test_read_as_validated(node: TextNode, score: float | None) -> None:
    """Fields, their types and order, and what was set are those of a validated node."""
    given_one = NodeWithScore(node=node, score=score)
    (kind,), (read,) = stored([given_one])
    assert exactly(read) == exactly(validated(given_one))
    assert kind == _MOULDED or "datetime.date" in repr(node)


@pytest.mark.parametrize("score", [1, True, np.float64(0.5)], ids=repr)
def test_what_validation_changes_is_validated(*, score: Any) -> None:
    """A score or field of another type than the declared one, put there past validation."""
    ranked = NodeWithScore(node=TextNode(text="x"))
    ranked.score = score
    vectored = TextNode(text="x")
    vars(vectored)["embedding"] = [1, score]
    for each in (ranked, NodeWithScore(node=vectored)):
        (kind,), (read,) = stored([each])
        assert kind == "TextNode"
        assert exactly(read) == exactly(validated(each))


@pytest.mark.parametrize(
    "node",
    [Document(text="x"), ImageNode(image_url="u"), IndexNode(index_id="i"), Node(),
     TextNode(metadata={"day": dt.date(2024, 2, 29)})],
    ids=lambda node: type(node).__name__,
)  # fmt: skip
def test_other_nodes_are_validated(node: Any) -> None:
    """Nodes of other kinds, and metadata that are more than plain data."""
    (kind,), (read,) = stored([NodeWithScore(node=node, score=0.5)])
    assert kind == type(node).__name__
    assert exactly(read) == exactly(validated(NodeWithScore(node=node, score=0.5)))


def test_each_read_is_its_own() -> None:
    """Changing what was read changes nothing that is read later."""
    source = RelatedNodeInfo(node_id="d")
    node = TextNode(metadata={"tags": ["a"]}, relationships={NodeRelationship.SOURCE: source})
    payload = spell_typed(spell_nodes([NodeWithScore(node=node)]))
    first, again = (read_nodes(read_typed(payload))[0].node for _ in range(2))
    first.metadata["tags"].append("b")
    first.relationships.clear()
    first.model_fields_set.clear()
    assert again == node
    assert "text" in again.model_fields_set


def test_fields_of_another_version() -> None:
    """A row that lacks fields, or has others, is validated."""
    ((kind, fields, score),) = spell_nodes([NodeWithScore(node=TextNode(text="x"))])
    assert kind == _MOULDED
    del fields["mimetype"]
    (read,) = read_nodes([[kind, fields | {"later": 1}, score]])
    assert (read.node.mimetype, "later" in vars(read.node)) == ("text/plain", False)  # type: ignore[attr-defined]
