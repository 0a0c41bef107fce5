"""How often a hit is wrong on a stream of real questions, plain cosine beside it.

Both stores of `accel_core.evaluation.replay` are met: what holds at a given recall and the area
are taken where every cluster's first asking is stored, since only so do all thresholds meet one
store; what the shipped default does is taken on the store that it makes itself.
"""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

import numpy as np

from accel_core.encoder.batching import BatchingEncoder
from accel_core.evaluation.fit import cosine_curve, curve_of
from accel_core.evaluation.measure import figures
from accel_core.evaluation.replay import Asking, neighbourhood, replay
from accel_core.policy.similarity import FixedThreshold
from benchmarks import cache_parts as parts
from benchmarks import decision_data as data
from benchmarks.harness import Context, Measured, Row

if TYPE_CHECKING:
    from accel_core.evaluation.curve import Curve

_RECALL = 0.34
_LEAST_RECALL = 0.25
_CUSTOMARY = 0.92


def curves(context: Context) -> list[tuple[Curve, Curve]]:
    """Return the curves of decision and cosine, per stream; to be had by ``context.once``."""
    found = []
    for stream in context.once(data.streams):
        policy = data.opened(data.decision(context, stream.forest))
        outcome = replay(stream.asked, stream.near, policy, keep="first", report=context.report)
        found.append((curve_of(outcome), cosine_curve(outcome)))
    return found


def wrong_at_recall(context: Context) -> Measured:
    ours, plain = [], []
    for curve, cosine in context.once(curves):
        reached, customary = curve.at_recall(_RECALL), cosine.at_recall(_RECALL)
        ours.append(reached.wrong_share if reached else 1.0)
        plain.append(customary.wrong_share if customary else 1.0)
    spread = ", ".join(f"{share:.1%}" for share in ours)
    return Measured(100 * mean(ours), f"per stream {spread}; plain cosine {mean(plain):.1%}")


def wrong_at_default(context: Context) -> Measured:
    ours, plain = [], []
    for stream in context.once(data.streams):
        policy = data.decision(context, stream.forest).under(data.calibration())
        ours.append(figures(replay(stream.asked, stream.near, policy)))
        threshold = FixedThreshold(min_similarity=_CUSTOMARY)
        plain.append(figures(replay(stream.asked, stream.near, threshold)))
    wrong, recall = mean(one.wrong_share for one in ours), mean(one.recall for one in ours)
    beside = mean(one.wrong_share for one in plain), mean(one.recall for one in plain)
    note = f"recall {recall:.1%}; cosine {_CUSTOMARY} {beside[0]:.1%} at {beside[1]:.1%}"
    return Measured(100 * wrong if recall >= _LEAST_RECALL else 100.0, note)


def area(context: Context) -> Measured:
    found = context.once(curves)
    ours, plain = mean(one.area for one, _ in found), mean(one.area for _, one in found)
    best = mean(one.best_area for one, _ in found)
    return Measured(ours / plain, f"{ours:.4f} ÷ {plain:.4f}; a perfect score {best / plain:.3f}")


def unrelated(context: Context) -> Measured:
    """Ask prompts that repeat nothing of a store full of questions, and of one another."""
    encoder = BatchingEncoder(context.once(parts.minilm))
    policy = data.decision(context).under(data.calibration())
    asked = [
        text
        for text in context.once(data.prompts)
        if policy.comparable(text) and encoder.distrust(text) is None
    ]
    known = context.once(data.vectors)
    clusters = context.once(data.half_clusters)[0]
    stored = [Asking(cluster.asks[0], cluster.id, repeat=False) for cluster in clusters]
    new = [Asking(text, -1 - number, repeat=False) for number, text in enumerate(asked)]
    vectors = [known[one.text] for one in stored] + [encoder.encode_one(one.text) for one in new]
    outcome = replay([*stored, *new], neighbourhood(np.stack(vectors)), policy, keep="first")
    late = [one for one in outcome.served if one.arrival >= len(stored)]
    hits = sum(one.verdict.chosen is not None for one in late)
    plain = sum(one.similarity >= _CUSTOMARY for one in late)
    return Measured(hits, f"of {len(asked)} that may be compared; plain cosine {plain}")


ROWS = [
    Row(
        name="stream-wrong",
        what="question stream, 30 % repeats: % wrong among hits at recall 34 %",
        op="<=",
        bound=9,
        aim=7,
        measure=wrong_at_recall,
    ),
    Row(
        name="stream-default",
        what="the same at the shipped default, recall at least 25 %: % wrong among hits",
        op="<=",
        bound=8,
        aim=6,
        measure=wrong_at_default,
    ),
    Row(
        name="stream-area",
        what="area under precision over hit ratio ÷ that of the plain cosine",
        op=">=",
        bound=1.10,
        aim=1.20,
        measure=area,
    ),
    Row(
        name="unrelated-prompts",
        what="hits on real prompts that repeat nothing",
        op="<=",
        bound=1,
        aim=0,
        measure=unrelated,
    ),
]
