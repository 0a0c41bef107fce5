"""Measure a decision on labelled questions: precision, recall, hit rate, by gate and by threshold.

Two streams tell two things. With every cluster's first asking stored, all thresholds meet the same
store, and their curve can be drawn. With whatever was not served stored, the decision meets the
store it makes itself: that is what users meet.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from accel_core.evaluation.fit import cosine_curve, curve_of
from accel_core.evaluation.replay import draw, neighbourhood, replay
from accel_core.policy.similarity import FixedThreshold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from accel_core.evaluation.curve import Curve
    from accel_core.evaluation.labelled import Cluster
    from accel_core.evaluation.replay import Replayed
    from accel_core.policy.similarity import SimilarityPolicy
    from accel_core.ports import Encoder, Vector

_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Figures:
    """What a decision does to a stream; shares in [0, 1].

    Attributes:
        hit_ratio: hits ÷ arrivals.
        recall: right hits ÷ arrivals that ask again what was asked before.
        wrong_share: wrong hits ÷ hits; 0 where there is no hit.
    """

    hit_ratio: float
    recall: float
    wrong_share: float


@dataclass(frozen=True, slots=True)
class Refusals:
    """What was refused for one reason: how often, and how often the stored answer was wrong."""

    count: int
    wrong: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A decision, measured.

    Attributes:
        arrivals: questions asked.
        repeats: how many of them ask again.
        decided: what the decision does as it is configured, on the store it makes itself.
        plain: the same with a plain cosine threshold.
        threshold: that threshold.
        refusals: by reason, of candidates that a plain cosine at the threshold would have served.
        curve: precision over hit ratio at every probability.
        plain_curve: the same at every cosine.
    """

    arrivals: int
    repeats: int
    decided: Figures
    plain: Figures
    threshold: float
    refusals: dict[str, Refusals]
    curve: Curve
    plain_curve: Curve

    @property
    def area(self) -> float:
        """Area under precision over hit ratio, in [0, 1]."""
        return self.curve.area

    def to_json(self) -> dict[str, Any]:
        """Return every figure as plain data."""
        return {
            "arrivals": self.arrivals,
            "repeats": self.repeats,
            "decision": asdict(self.decided),
            "cosine": {"threshold": self.threshold, **asdict(self.plain)},
            "refusals": {reason: asdict(found) for reason, found in self.refusals.items()},
            "area": self.curve.area,
            "cosine_area": self.plain_curve.area,
            "curve": [asdict(point) for point in self.curve.points()],
            "cosine_curve": [asdict(point) for point in self.plain_curve.points()],
        }


def evaluate(
    clusters: Sequence[Cluster],
    vectors: Mapping[str, Vector],
    decision: SimilarityPolicy,
    threshold: float,
    *,
    opened: SimilarityPolicy,
    seed: int = 0,
    report: Callable[[float], None] = lambda _: None,
) -> Evaluation:
    """Measure a decision on a stream of `clusters`.

    Args:
        clusters: what is asked.
        vectors: of every wording.
        decision: as it is configured.
        threshold: the plain cosine shown beside it.
        opened: the decision, serving whatever no gate refuses: it scores every arrival.
        seed: of the order of arrivals.
        report: told the share done.
    """
    asked = draw(clusters, Random(seed))
    near = neighbourhood(np.stack([vectors[asking.text] for asking in asked]))
    report(0.1)
    live = replay(asked, near, decision, report=lambda share: report(0.1 + 0.4 * share))
    plain_live = replay(asked, near, FixedThreshold(min_similarity=threshold))
    scored = replay(
        asked, near, opened, keep="first", report=lambda share: report(0.6 + 0.4 * share)
    )
    return Evaluation(
        arrivals=live.arrivals,
        repeats=live.repeats,
        decided=figures(live),
        plain=figures(plain_live),
        threshold=threshold,
        refusals=_refusals(live, threshold),
        curve=curve_of(scored),
        plain_curve=cosine_curve(scored),
    )


def figures(outcome: Replayed) -> Figures:
    """Count what was served."""
    hits = [found.right for found in outcome.served if found.verdict.chosen is not None]
    return Figures(
        hit_ratio=len(hits) / max(1, outcome.arrivals),
        recall=sum(hits) / max(1, outcome.repeats),
        wrong_share=1 - sum(hits) / len(hits) if hits else 0.0,
    )


def _refusals(outcome: Replayed, threshold: float) -> dict[str, Refusals]:
    refused = [
        found
        for found in outcome.served
        if found.verdict.chosen is None and found.similarity >= threshold
    ]
    counts = Counter(found.verdict.reason for found in refused)
    wrong = Counter(found.verdict.reason for found in refused if not found.right)
    return {reason: Refusals(count, wrong[reason]) for reason, count in counts.most_common()}


def encoded(
    encoder: Encoder, texts: Sequence[str], report: Callable[[float], None] = lambda _: None
) -> dict[str, Vector]:
    """Return the vector of every text, texts of like length together."""
    ordered = sorted(dict.fromkeys(texts), key=len)
    vectors: dict[str, Vector] = {}
    for start in range(0, len(ordered), _AT_ONCE):
        part = ordered[start : start + _AT_ONCE]
        vectors.update(zip(part, encoder.encode(part), strict=True))
        report(len(vectors) / len(ordered))
    return vectors
