"""Small talk is not searched for, where a gate is configured."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.schema import TextNode

from llamaindex_accel import Accel, accelerate

if TYPE_CHECKING:
    from llama_index.core.schema import NodeWithScore


def found(retriever: Any, text: str, *, sync: bool) -> list[NodeWithScore]:
    nodes: list[NodeWithScore] = (
        retriever.retrieve(text) if sync else asyncio.run(retriever.aretrieve(text))
    )
    return nodes


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
@pytest.mark.parametrize(("kind", "greeted"), [("rules", 0), ("none", 1)])
def test_small_talk_finds_nothing_at_once(kind: str, greeted: int, *, sync: bool) -> None:
    """With rules a greeting is not searched for and counted; a question is, with or without."""
    nodes = [TextNode(text="A refund is paid within 14 days.")]
    index = VectorStoreIndex(nodes, embed_model=MockEmbedding(embed_dim=8))
    settings = {"retrieval": {"gate": {"kind": kind}}, "cache": {"semantic": {"enabled": False}}}
    with Accel.from_mapping(settings) as accel:
        retriever = accelerate(index.as_retriever(), accel)
        assert len(found(retriever, "hello there!", sync=sync)) == greeted
        assert len(found(retriever, "When is a refund paid?", sync=sync)) == 1
        assert sum(accel.stats().retrieval_skipped.values()) == 1 - greeted
