"""What the rows of the group ``decision`` share: questions, their vectors, and grown forests.

A forest never judges the half of the questions it was grown on: rows about streams grow one on
either half and let it judge the other. The shipped forest is grown on both, and is therefore only
measured on what neither half holds: near misses, prompts, attacks.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accel_core.calibration.shipped import forest, shipped
from accel_core.encoder import minilm_files
from accel_core.evaluation import grow
from accel_core.evaluation.labelled import halves, read_pairs, texts_of
from accel_core.evaluation.measure import encoded
from accel_core.evaluation.replay import draw, neighbourhood
from accel_core.lexicon.english import English
from accel_core.policy.calibration import EVERYTHING
from accel_core.policy.gates import chosen
from accel_core.policy.resemblance import Decision
from benchmarks import cache_parts as parts
from benchmarks.harness import UnavailableError

if TYPE_CHECKING:
    from accel_core.evaluation.labelled import Cluster
    from accel_core.evaluation.replay import Asking, Neighbourhood
    from accel_core.policy.calibration import Calibration
    from accel_core.policy.forest import Forest
    from accel_core.policy.resemblance import Resemblance
    from accel_core.ports import Vector
    from benchmarks.harness import Context

NEAR_MISSES = Path(__file__).with_name("near_misses")
"""Written for this package before anything was tuned; ``held_out`` was never looked at since."""


class Stream(NamedTuple):
    """One half's questions as they arrive, and the forest that was grown on the other half."""

    asked: list[Asking]
    near: Neighbourhood
    forest: Forest


class NearMiss(NamedTuple):
    """Two texts, whether one answer is right for both, and what kind of pair they are."""

    a: str
    b: str
    same: bool
    kind: str


def lexicon(context: Context) -> English:  # noqa: ARG001 - made once per context
    """Return word knowledge; to be had by ``context.once``."""
    return English()


def calibration() -> Calibration:
    """Return what is shipped for the default encoder."""
    found = shipped(minilm_files.NAME)
    assert found is not None
    return found


def decision(context: Context, trees: Forest | None = None, *, strict: bool = False) -> Decision:
    """Return the decision as it is shipped, on the shipped forest or on `trees`."""
    gates = chosen((), strict=strict, extra={})
    return Decision(trees or forest(), context.once(lexicon), gates)


def opened(decides: Decision) -> Resemblance:
    """Return a decision that scores everything and serves whatever no gate refuses."""
    return decides.under(replace(calibration(), serve_from=EVERYTHING))


def half_clusters(context: Context) -> tuple[list[Cluster], list[Cluster]]:
    """Return the labelled questions in two halves; to be had by ``context.once``."""
    if context.pairs is None:
        raise UnavailableError("needs labelled pairs: --pairs FILE")
    return halves(read_pairs(context.pairs))


def vectors(context: Context) -> dict[str, Vector]:
    """Return every question's vector; to be had by ``context.once``."""
    texts = [text for half in context.once(half_clusters) for text in texts_of(half)]
    return encoded(context.once(parts.minilm), texts, lambda share: context.report(share / 2))


def streams(context: Context) -> list[Stream]:
    """Return streams of both halves, each with the other's forest, made once."""
    sides, known = context.once(half_clusters), context.once(vectors)
    made: list[Stream] = []
    for judged, grown_on in ((0, 1), (1, 0)):
        report = partial(_reported, context, len(made))
        trees = grow.grow(
            sides[grown_on], known, context.once(lexicon),
            streams=context.pick(5, 2), report=report,
        )  # fmt: skip
        for number in range(context.pick(3, 1)):
            asked = draw(sides[judged], Random(1_000 * context.seed + number))
            near = neighbourhood(np.stack([known[asking.text] for asking in asked]))
            made.append(Stream(asked, near, trees))
    return made


def _reported(context: Context, made: int, share: float) -> None:
    context.report(0.5 + 0.25 * (share + bool(made)))


def near_misses(name: str) -> list[NearMiss]:
    """Return the near misses and paraphrases of a file: ``seen`` or ``held_out``."""
    lines = (NEAR_MISSES / f"{name}.jsonl").read_text("utf-8").splitlines()
    rows = map(json.loads, lines)
    return [NearMiss(row["a"], row["b"], bool(row["same"]), row["kind"]) for row in rows]


def prompts(context: Context) -> list[str]:
    """Return real prompts that repeat nothing; to be had by ``context.once``."""
    if context.prompts is None:
        raise UnavailableError("needs prompts that repeat nothing: --prompts FILE")
    opened_as = gzip.open if context.prompts.suffix == ".gz" else open
    with opened_as(context.prompts, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]
