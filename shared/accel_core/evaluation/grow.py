"""Grow the forest of a decision on streams of labelled questions.

Needs scikit-learn. A forest is grown on what a lookup meets: an arrival, its nearest stored
question, what else lies near, and whether the stored answer would have been right. Each sample is
also given without its neighbours, so that a store with one entry has branches of its own.

Only the forest that the package ships is grown so; users' calibrations fit four numbers
(`accel_core.evaluation.fit`).
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from accel_core.evaluation.replay import draw, neighbourhood, replay
from accel_core.policy.difference import FEATURES, MISSING, compare, features
from accel_core.policy.forest import Forest
from accel_core.policy.reading import read
from accel_core.policy.similarity import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from accel_core.evaluation.labelled import Cluster
    from accel_core.evaluation.replay import Keep
    from accel_core.policy.difference import Lexicon
    from accel_core.policy.similarity import Candidate
    from accel_core.ports import Vector

LOWEST = 0.72
"""Cosines below it are never served; what is known there is not learned."""
_SERVED = 0.94
"""Stands for "served" while a stream is drawn that no forest has decided yet."""
_RISING = ("similarity", "margin")
_FROM_NEIGHBOURS = slice(1, 6)
_ALONE_WEIGHT = 0.25
_STREAMS = 5
_SHAPE = {
    "max_iter": 150, "learning_rate": 0.07, "max_leaf_nodes": 8, "min_samples_leaf": 100,
    "l2_regularization": 5.0,
}  # fmt: skip


class Samples(NamedTuple):
    """What lookups met: numbers, shape (samples, `FEATURES`), and whether a hit was right."""

    numbers: NDArray[np.float64]
    right: NDArray[np.bool_]


class _Collector:
    """Decides by a cosine, and keeps the numbers of every decision."""

    candidates = 6
    floor = -1.0
    ready = True

    def __init__(self, lexicon: Lexicon, serve_from: float) -> None:
        self._lexicon, self._serve_from = lexicon, serve_from
        self.numbers: list[list[float] | None] = []

    def comparable(self, text: str) -> bool:
        return bool(text)

    def decide(self, question: str, candidates: Sequence[Candidate]) -> Verdict:
        nearest = candidates[0]
        numbers = None
        if nearest.similarity >= LOWEST:
            difference = compare(read(question), read(nearest.text), self._lexicon)
            numbers = features(difference, [near.similarity for near in candidates], self._lexicon)
        self.numbers.append(numbers)
        return Verdict(0 if nearest.similarity >= self._serve_from else None, "collected")


def collect(
    clusters: Sequence[Cluster],
    vectors: Mapping[str, Vector],
    lexicon: Lexicon,
    *,
    seed: int,
    keep: Keep,
) -> Samples:
    """Return the samples of one stream."""
    stream = draw(clusters, Random(seed))
    near = neighbourhood(np.stack([vectors[asking.text] for asking in stream]))
    collector = _Collector(lexicon, _SERVED)
    served = replay(stream, near, collector, keep=keep).served
    rows = [
        (numbers, outcome.right)
        for numbers, outcome in zip(collector.numbers, served, strict=True)
        if numbers is not None
    ]
    return Samples(np.array([row[0] for row in rows]), np.array([row[1] for row in rows]))


def grow(
    clusters: Sequence[Cluster],
    vectors: Mapping[str, Vector],
    lexicon: Lexicon,
    *,
    streams: int = _STREAMS,
    seed: int = 0,
    report: Callable[[float], None] = lambda _: None,
) -> Forest:
    """Grow a forest on streams of `clusters`, of both kinds of store."""
    gathered: list[Samples] = []
    keeps: tuple[Keep, ...] = ("first", "missed")
    for number in range(streams):
        for keep in keeps:
            gathered.append(collect(clusters, vectors, lexicon, seed=seed + number, keep=keep))
            report(len(gathered) / (len(keeps) * streams + 1))
    numbers = np.concatenate([samples.numbers for samples in gathered])
    right = np.concatenate([samples.right for samples in gathered])
    alone = numbers.copy()
    alone[:, _FROM_NEIGHBOURS] = MISSING
    weights = np.repeat([1.0, _ALONE_WEIGHT], len(right))
    return _grown(np.concatenate([numbers, alone]), np.tile(right, 2), weights)


def _grown(
    numbers: NDArray[np.float64], right: NDArray[np.bool_], weights: NDArray[np.float64]
) -> Forest:
    from sklearn.ensemble import HistGradientBoostingClassifier

    rising = [int(name in _RISING) for name in FEATURES]
    model: Any = HistGradientBoostingClassifier(monotonic_cst=rising, random_state=0, **_SHAPE)
    model.fit(numbers, right, sample_weight=weights)
    return Forest.from_json(
        {
            "features": FEATURES,
            "bias": float(model._baseline_prediction.ravel()[0]),  # noqa: SLF001
            "trees": [_spelled(tree.nodes) for (tree,) in model._predictors],  # noqa: SLF001
        }
    )


def _spelled(nodes: Any) -> list[Any]:
    return [
        float(node["value"])
        if node["is_leaf"]
        else [
            int(node["feature_idx"]),
            float(node["num_threshold"]),
            int(node["left"]),
            int(node["right"]),
            bool(node["missing_go_to_left"]),
        ]
        for node in nodes
    ]
