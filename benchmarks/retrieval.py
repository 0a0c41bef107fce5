"""The group ``retrieval``: what a RAG application saves, and how fresh it stays."""

from __future__ import annotations

from benchmarks import retrieval_batching
from benchmarks.harness import Group

GROUP = Group(
    name="retrieval",
    rows=[*retrieval_batching.ROWS],
    packages=("llm-accel", "langchain-core", "llama-index-core"),
)
