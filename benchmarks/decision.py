"""The group ``decision``: how often what is served by meaning is wrong, and what that costs."""

from __future__ import annotations

from benchmarks import (
    decision_cost,
    decision_guarantee,
    decision_pairs,
    decision_poison,
    decision_stream,
)
from benchmarks.harness import Group

GROUP = Group(
    name="decision",
    rows=[
        *decision_stream.ROWS,
        *decision_pairs.ROWS,
        *decision_guarantee.ROWS,
        *decision_cost.ROWS,
        *decision_poison.ROWS,
    ],
    packages=("llm-accel", "numpy", "onnxruntime", "scikit-learn", "usearch"),
)
