"""Play a stream of questions against a decision, and score which stored question was served.

Arrivals come in an order drawn with given dice, and every arrival is compared with what is stored
so far. A hit is right when the question it was stored for belongs to the arrival's own cluster,
whatever the two look like. Nothing here encodes: vectors are given.

What is stored matters as much as the decision. ``missed``: whatever was not served, as a cache that
fills itself. ``first``: the first asking of every cluster, as a cache whose every repeat is served;
only so do all thresholds of a curve meet the same store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from accel_core.policy.similarity import Candidate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from accel_core.evaluation.labelled import Cluster
    from accel_core.policy.similarity import SimilarityPolicy, Verdict
    from accel_core.ports import Vectors

Keep = Literal["missed", "first"]

_KEPT = 64
"""Earlier arrivals remembered as possible neighbours of one; more than any decision looks at."""
_BLOCK = 512


class Asking(NamedTuple):
    """One arrival: its text, its cluster, and whether that cluster was asked before."""

    text: str
    cluster_id: int
    repeat: bool


class Served(NamedTuple):
    """What a decision did with one arrival that had a neighbour.

    Attributes:
        arrival: its place in the stream.
        verdict: the decision.
        similarity: cosine to the nearest stored question.
        right: whether the candidate that was best in the decision's eyes has the right answer.
    """

    arrival: int
    verdict: Verdict
    similarity: float
    right: bool

    @property
    def score(self) -> float:
        """What a threshold is set on: 0 where a gate refuses, whatever the threshold."""
        if self.verdict.reason.startswith("gate:"):
            return 0.0
        if self.verdict.reason == "below_threshold":
            return self.similarity - 2.0  # below everything that was read closely
        found = self.verdict.probability
        return self.similarity if found is None else found


class Replayed(NamedTuple):
    """A stream's outcome: its arrivals, how many of them repeat, and what was decided."""

    arrivals: int
    repeats: int
    served: list[Served]


def draw(clusters: Sequence[Cluster], dice: Random, *, repeat_share: float = 0.3) -> list[Asking]:
    """Draw an order in which a share of the arrivals asks again, in words not used yet.

    Every cluster is asked; the stream ends when all of them were, so that repeats left over are
    not asked.
    """
    new = [list(cluster.asks) for cluster in clusters]
    numbered = list(zip((cluster.id for cluster in clusters), new, strict=True))
    dice.shuffle(numbered)
    pool: list[tuple[int, str]] = []
    drawn: list[Asking] = []
    for cluster_id, asks in numbered:
        while pool and dice.random() < repeat_share:
            place = dice.randrange(len(pool))
            pool[place], pool[-1] = pool[-1], pool[place]
            again_id, text = pool.pop()
            drawn.append(Asking(text, again_id, repeat=True))
        dice.shuffle(asks)
        drawn.append(Asking(asks[0], cluster_id, repeat=False))
        pool += [(cluster_id, text) for text in asks[1:]]
    return drawn


class Neighbourhood(NamedTuple):
    """Of each arrival, the nearest earlier ones: their places and cosines, nearest first.

    Attributes:
        places: shape (arrivals, `_KEPT`); -1 where there are fewer.
        cosines: of the same shape.
    """

    places: np.ndarray
    cosines: np.ndarray


def neighbourhood(vectors: Vectors) -> Neighbourhood:
    """Compare every arrival with every earlier one; `vectors` are in order of arrival."""
    count = len(vectors)
    places = np.full((count, _KEPT), -1, np.int64)
    cosines = np.full((count, _KEPT), -1.0, np.float32)
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        block = vectors[start:stop] @ vectors[:stop].T
        # What came later, and the arrival itself, is not stored yet.
        block[np.arange(stop)[None] >= np.arange(start, stop)[:, None]] = -2.0
        kept = min(_KEPT, stop)
        best = np.argpartition(-block, kept - 1, axis=1)[:, :kept]
        values = np.take_along_axis(block, best, axis=1)
        order = np.argsort(-values, axis=1)
        best, values = np.take_along_axis(best, order, 1), np.take_along_axis(values, order, 1)
        places[start:stop, :kept] = np.where(values > -2.0, best, -1)
        cosines[start:stop, :kept] = values
    return Neighbourhood(places, cosines)


def replay(
    stream: Sequence[Asking],
    near: Neighbourhood,
    policy: SimilarityPolicy,
    *,
    keep: Keep = "missed",
    report: Callable[[float], None] = lambda _: None,
) -> Replayed:
    """Let `policy` decide about every arrival, in order."""
    stored = np.zeros(len(stream), bool)
    served: list[Served] = []
    for number, asking in enumerate(stream):
        earlier = near.places[number]
        here = np.flatnonzero((earlier >= 0) & stored[earlier])[: policy.candidates]
        candidates = [
            Candidate(stream[earlier[place]].text, float(near.cosines[number, place]))
            for place in here
        ]
        stored[number] = keep == "missed" or not asking.repeat
        if candidates:
            verdict = policy.decide(asking.text, candidates)
            best = stream[earlier[here[verdict.chosen or 0]]]
            right = best.cluster_id == asking.cluster_id
            served.append(Served(number, verdict, candidates[0].similarity, right))
            if keep == "missed":
                stored[number] = verdict.chosen is None
        if number % _BLOCK == 0:
            report(number / len(stream))
    return Replayed(len(stream), sum(asking.repeat for asking in stream), served)
