"""What importing costs, and that it loads nothing heavy; each in a fresh interpreter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import children
from benchmarks.harness import Context, Measured, Row
from benchmarks.timing import ratio

if TYPE_CHECKING:
    from benchmarks.timing import Contender

OURS = "from langchain_accel import AccelCache, accelerate"
PEER = "import langchain_core.caches"
HEAVY = ("torch", "redis", "tiktoken")

_TIMED = """
import json, time
began = time.perf_counter()
{statement}
print(json.dumps({{"seconds": time.perf_counter() - began}}))
"""
_LOADED = """
import json, sys
{statement}
print(json.dumps({{"loaded": sorted(set({heavy}) & set(sys.modules))}}))
"""


def _importing(statement: str) -> Contender:
    code = _TIMED.format(statement=statement)

    def run(calls: int) -> float:
        return sum(float(children.run_code(code)["seconds"]) for _ in range(calls))

    return run


def import_time(context: Context) -> Measured:
    rounds = context.pick(30, 16)
    found = ratio(_importing(OURS), _importing(PEER), rounds=rounds, calls=1)
    return Measured(found.value, f"{found}")


def heavy_modules(context: Context) -> Measured:  # noqa: ARG001
    code = _LOADED.format(statement=OURS, heavy=HEAVY)
    loaded = children.run_code(code)["loaded"]
    return Measured(len(loaded), ", ".join(loaded) or f"none of {', '.join(HEAVY)}")


ROWS = [
    Row(
        name="import-time",
        what=f"{OURS} ÷ {PEER}",
        op="<=",
        bound=1.2,
        measure=import_time,
    ),
    Row(
        name="import-heavy",
        what="heavy modules that it loads",
        op="==",
        bound=0,
        measure=heavy_modules,
    ),
]
