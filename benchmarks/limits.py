"""The group ``limits``: at the provider's limit and not over it, in virtual time, beside peers."""

from __future__ import annotations

from benchmarks import (
    limits_concurrency,
    limits_cost,
    limits_retries,
    limits_throughput,
    limits_tiers,
    limits_users,
)
from benchmarks.harness import Group

GROUP = Group(
    name="limits",
    rows=[
        *limits_throughput.ROWS,
        *limits_tiers.ROWS,
        *limits_concurrency.ROWS,
        *limits_retries.ROWS,
        *limits_users.ROWS,
        *limits_cost.ROWS,
    ],
    packages=("llm-accel", "aiolimiter", "langchain-core"),
)
