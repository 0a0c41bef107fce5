"""Grow the forest that the package ships, and calibrate it for the default encoder.

    python tools/grow_forest.py QUESTION_PAIRS.jsonl.gz

The forest is grown on all questions. How sure it may be is measured crosswise: a forest grown on
either half judges the other, and the odds of the calibration are fitted to those judgements.
Questions that a pair of either label connects stay in one half.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.progress import Progress

from accel_core.encoder.minilm import MiniLMEncoder
from accel_core.evaluation import fit
from accel_core.evaluation.grow import LOWEST, grow
from accel_core.evaluation.labelled import halves, read_pairs, texts_of
from accel_core.evaluation.measure import encoded
from accel_core.lexicon.english import English
from accel_core.policy.calibration import Calibration
from accel_core.policy.gates import chosen
from accel_core.policy.resemblance import Decision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.evaluation.labelled import Cluster
    from accel_core.policy.forest import Forest
    from accel_core.ports import Vector

_ANY = 0.5
"""A share of wrong hits that no threshold is fitted to here."""
_FOLDER = Path(__file__).parents[1] / "shared" / "accel_core" / "calibration"


def main() -> None:
    """Write ``forest.json`` and the default encoder's calibration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path, help="labelled pairs: a, b, same")
    parser.add_argument(
        "--serve-from",
        type=float,
        default=0.855,
        help="probability from which the shipped calibration serves (0.855: a quarter of repeats)",
    )
    options = parser.parse_args()
    encoder, lexicon = MiniLMEncoder(), English()
    sides = halves(read_pairs(options.pairs))
    with Progress() as progress:

        def step(name: str):  # type: ignore[no-untyped-def]
            task = progress.add_task(name, total=1.0)
            return lambda share: progress.update(task, completed=share)

        vectors = encoded(encoder, texts_of([*sides[0], *sides[1]]), step("encoding"))
        crosswise = [grow(side, vectors, lexicon, report=step("growing a half")) for side in sides]
        whole = grow([*sides[0], *sides[1]], vectors, lexicon, report=step("growing the whole"))
    _write("forest.json", whole.to_json(), indent=None)
    calibration = _calibrated(encoder.name, sides, vectors, crosswise, lexicon)
    calibration = replace(calibration, serve_from=options.serve_from)
    _write(f"{encoder.name.rpartition('/')[2]}.json", calibration.to_json(), indent=2)


def _calibrated(
    name: str,
    sides: tuple[Sequence[Cluster], Sequence[Cluster]],
    vectors: dict[str, Vector],
    crosswise: Sequence[Forest],
    lexicon: English,
) -> Calibration:
    """Fit the odds to the judgements of each half's forest on the other half."""
    first = Calibration(encoder=name, serve_from=0.5, min_similarity=LOWEST)
    gates = chosen((), strict=False, extra={})
    lines = [fit.reference_line(side, vectors) for side in sides]
    print("line of the cosine:", np.mean(lines, axis=0).round(3).tolist())
    fitted = [
        fit.platt(first, sides[1 - half], vectors, Decision(forest, lexicon, gates), _ANY)
        for half, forest in enumerate(crosswise)
    ]
    return replace(
        first,
        odds=tuple(np.mean([one.odds for one in fitted], axis=0).round(4).tolist()),
        questions=len(vectors),
    )


def _write(name: str, spelled: object, indent: int | None) -> None:
    separators = (",", ":") if indent is None else None
    text = json.dumps(spelled, indent=indent, separators=separators)
    (_FOLDER / name).write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
