"""``python -m tools.tool_forest``: grow the forest that judges tool calls before runs are known.

It is grown on made-up runs of three fields (`accel_core.testing.agent_runs`), after few and after
many of them, so that its numbers are those of new applications and old ones.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from accel_core.policy.prediction.calls import FEATURES
from accel_core.policy.prediction.known import Readers
from accel_core.prediction import boosting, fitting
from accel_core.testing.agent_runs import FIELDS

PLACE = Path(boosting.__file__).with_name("forest.json")
_SIZES = (12, 12, 12, 40, 40, 120)


def main() -> None:
    """Grow the forest and write it."""
    numbers, hits = [], []
    for make, free in FIELDS.values():
        for sitting, size in enumerate(_SIZES):
            runs = [fitting.Run(make(1_000 * sitting + seed)) for seed in range(size)]
            parts = fitting.blocks(runs)
            total, counted = fitting.count(parts, free, Readers())
            samples = fitting.gather(parts, total, counted, free, Readers())
            numbers.append(samples.numbers)
            hits.append(samples.hits)
    forest = boosting.grow(FEATURES, np.concatenate(numbers), np.concatenate(hits))
    PLACE.write_text(f"{json.dumps(forest.to_json())}\n", encoding="utf-8")
    print(f"{PLACE}: {len(forest.trees)} trees on {sum(map(len, hits)):,} candidates")


if __name__ == "__main__":
    main()
