"""Requests told of: what that costs, whether it is true; what a log says before, a report after.

Hits are measured through the frameworks' own clients against the local server, with every observer
on, and with nothing recorded at all.
"""

from __future__ import annotations

from benchmarks import (
    observability_audit,
    observability_cost,
    observability_report,
    observability_truth,
)
from benchmarks.harness import Group

GROUP = Group(
    name="observability",
    rows=[
        *observability_cost.ROWS,
        *observability_truth.ROWS,
        *observability_report.ROWS,
        *observability_audit.ROWS,
    ],
    packages=("langchain-core", "llama-index-core", "opentelemetry-sdk", "prometheus-client"),
)
