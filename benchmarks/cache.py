"""The group ``cache``: what cached answers cost and save, against peers and bare calls."""

from __future__ import annotations

from benchmarks import (
    cache_encoder,
    cache_eviction,
    cache_flights,
    cache_hits,
    cache_imports,
    cache_index,
    cache_memory,
)
from benchmarks.harness import Group

GROUP = Group(
    name="cache",
    rows=[
        *cache_hits.ROWS,
        *cache_flights.ROWS,
        *cache_index.ROWS,
        *cache_encoder.ROWS,
        *cache_memory.ROWS,
        *cache_eviction.ROWS,
        *cache_imports.ROWS,
    ],
    packages=(
        "llm-accel",
        "langchain-core",
        "langchain-openai",
        "numpy",
        "usearch",
        "numkong",
        "onnxruntime",
        "sentence-transformers",
        "torch",
    ),
)
