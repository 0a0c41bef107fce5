"""The group ``speculation``: what is waited less, and that nothing else is changed."""

from __future__ import annotations

from benchmarks import (
    speculation_draft,
    speculation_fuzz,
    speculation_langchain,
    speculation_llamaindex,
    speculation_llamaindex_real,
    speculation_race,
    speculation_served,
)
from benchmarks.harness import Group

GROUP = Group(
    name="speculation",
    rows=[
        *speculation_served.ROWS,
        *speculation_fuzz.ROWS,
        *speculation_langchain.ROWS,
        *speculation_llamaindex_real.ROWS,
        *speculation_llamaindex.ROWS,
        *speculation_draft.ROWS,
        *speculation_race.ROWS,
    ],
    packages=("llm-accel", "langchain", "langchain-core", "langgraph", "llama-index-core"),
)
