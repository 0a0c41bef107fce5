"""The group ``speculation``: what is waited less, and that nothing else is changed."""

from __future__ import annotations

from benchmarks import speculation_fuzz, speculation_served
from benchmarks.harness import Group

GROUP = Group(
    name="speculation",
    rows=[
        *speculation_served.ROWS,
        *speculation_fuzz.ROWS,
    ],
    packages=("llm-accel", "langchain-core", "llama-index-core"),
)
