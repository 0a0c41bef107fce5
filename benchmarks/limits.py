"""The group ``limits``: at the provider's limit and not over it, in virtual time, beside peers."""

from __future__ import annotations

from benchmarks import limits_throughput
from benchmarks.harness import Group

GROUP = Group(
    name="limits",
    rows=[
        *limits_throughput.ROWS,
    ],
    packages=("llm-accel", "aiolimiter", "langchain-core"),
)
