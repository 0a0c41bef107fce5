"""The group ``decision``: how often what is served by meaning is wrong, and what that costs."""

from __future__ import annotations

from benchmarks import (
    decision_cost,
    decision_guarantee,
    decision_guarantee_own,
    decision_pairs,
    decision_poison,
    decision_stream,
    decision_trust,
)
from benchmarks.harness import Group

GROUP = Group(
    name="decision",
    rows=[
        *decision_stream.ROWS,
        *decision_pairs.ROWS,
        *decision_guarantee.ROWS,
        *decision_guarantee_own.ROWS,
        *decision_trust.ROWS,
        *decision_cost.ROWS,
        *decision_poison.ROWS,
    ],
    packages=("llm-accel", "numpy", "onnxruntime", "scikit-learn", "usearch"),
)
