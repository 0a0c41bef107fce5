"""``python -m tools.tool_forests``: grow the forests that judge calls before runs are known.

They are grown on made-up runs of three fields (`accel_core.testing.agent_runs`), after few of them:
who has more learns forests of his own.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from accel_core.policy.prediction.known import Readers
from accel_core.prediction import boosting, fitting
from accel_core.testing.agent_runs import FIELDS

PLACE = Path(boosting.__file__).with_name("forests.json")
_SIZES = (8, 10, 10, 10, 12)


def main() -> None:
    """Grow them, and put them in their place."""
    gathered = []
    for make, free in FIELDS.values():
        for sitting, size in enumerate(_SIZES):
            runs = [fitting.Run(make(1_000 * sitting + seed)) for seed in range(size)]
            parts = fitting.blocks(runs)
            total, counted = fitting.count(parts, free, Readers())
            gathered.append(fitting.gather(parts, total, counted, free, Readers()))
    samples = fitting.Samples(
        np.concatenate([each.numbers for each in gathered]),
        np.concatenate([each.hits for each in gathered]),
        np.concatenate([each.nexts for each in gathered]),
        [(number, name) for number, each in enumerate(gathered) for name in each.names],
        np.concatenate([each.blocks for each in gathered]),
        sum(each.calls for each in gathered),
    )
    PLACE.write_text(f"{json.dumps(fitting.grown(samples, 0.0).to_json())}\n", encoding="utf-8")
    print(f"{PLACE}: grown on {len(samples.hits):,} candidates")


if __name__ == "__main__":
    main()
