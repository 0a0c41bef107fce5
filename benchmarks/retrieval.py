"""The group ``retrieval``: what a RAG application saves, and how fresh it stays."""

from __future__ import annotations

from benchmarks import (
    retrieval_batching,
    retrieval_fresh,
    retrieval_gate,
    retrieval_hits,
    retrieval_load,
    retrieval_warm,
)
from benchmarks.harness import Group

GROUP = Group(
    name="retrieval",
    rows=[
        *retrieval_hits.ROWS,
        *retrieval_load.ROWS,
        *retrieval_fresh.ROWS,
        *retrieval_batching.ROWS,
        *retrieval_warm.ROWS,
        *retrieval_gate.ROWS,
    ],
    packages=("llm-accel", "langchain-core", "llama-index-core"),
)
