"""The group ``redis``: what processes that share a server gain, and what never goes wrong.

Each row starts a server of its own (`make servers`), on which its peers run, too.
"""

from __future__ import annotations

from benchmarks import (
    redis_faults,
    redis_flights,
    redis_fuzz,
    redis_langchain,
    redis_limits,
    redis_lookup,
    redis_memory,
    redis_stale,
)
from benchmarks.harness import Group

GROUP = Group(
    name="redis",
    rows=[
        *redis_lookup.ROWS,
        *redis_langchain.ROWS,
        *redis_flights.ROWS,
        *redis_limits.ROWS,
        *redis_stale.ROWS,
        *redis_memory.ROWS,
        *redis_fuzz.ROWS,
        *redis_faults.ROWS,
    ],
    packages=(
        "llm-accel",
        "redis",
        "redisvl",
        "langchain-redis",
        "langchain-core",
        "langchain-openai",
        "onnxruntime",
    ),
)
