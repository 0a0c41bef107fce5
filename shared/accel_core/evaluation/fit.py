"""Calibrate the decision to an encoder and to labelled questions: four numbers and a threshold.

1. *Scale.* How probable a right hit is at a cosine is a logistic line, for every encoder another.
   Putting the encoder's line on the default encoder's gives slope and offset of its cosines.
2. *Odds.* The forest's log-odds are set right by Platt scaling (1999) on the same streams, drawn
   towards no change where there are few pairs.
3. *Threshold.* The lowest probability at which the share of wrong hits, at its upper confidence
   bound (Wilson 1927), is at most what was asked for.

Fitted on one half of the clusters, measured on the other: what is reported was not fitted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accel_core.evaluation.curve import Curve
from accel_core.evaluation.replay import Neighbourhood, draw, neighbourhood, replay
from accel_core.policy.calibration import EVERYTHING, Calibration
from accel_core.policy.similarity import FixedThreshold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from accel_core.evaluation.curve import Point
    from accel_core.evaluation.labelled import Cluster
    from accel_core.evaluation.replay import Asking, Replayed
    from accel_core.policy.resemblance import Decision, Resemblance
    from accel_core.ports import Vector

REFERENCE = (14.67, -12.29)
"""Slope and intercept of the default encoder's line: log-odds of a right hit at a cosine."""
REFERENCE_LOWEST = 0.72
_STREAMS = 3
_RIDGE = 4.0
"""Weight of "no change" in Platt scaling, in samples."""
_SURE = 1.28
"""Standard normal quantile of 90 %, one-sided."""
_FEWEST = 50


class TooLittleError(ValueError):
    """There are too few labelled questions, or their similarity tells nothing."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration and what it does on the half it was not fitted to.

    Attributes:
        calibration: to be written and named in the configuration.
        curve: of the other half.
        at: what serving from the threshold up means there; None where nothing would be served.
        plain: the same at a plain cosine with the same share of wrong hits, for comparison.
    """

    calibration: Calibration
    curve: Curve
    at: Point | None
    plain: Point | None


class _Stream(NamedTuple):
    asked: list[Asking]
    near: Neighbourhood


def calibrate(
    encoder: str,
    halves: tuple[Sequence[Cluster], Sequence[Cluster]],
    vectors: Mapping[str, Vector],
    decision: Decision,
    *,
    max_wrong: float = 0.05,
    report: Callable[[float], None] = lambda _: None,
) -> Fitted:
    """Fit a calibration on the first half, and measure it on the second.

    Args:
        encoder: the name under which the calibration is found again.
        halves: clusters to fit and to measure on.
        vectors: of every wording.
        decision: what is calibrated.
        max_wrong: share of wrong hits to stay under, in (0, 1).
        report: told the share done.

    Raises:
        TooLittleError: fewer than 50 neighbours of either kind, or similarity says nothing.
    """
    fitting = [_stream(halves[0], vectors, seed) for seed in range(_STREAMS)]
    cosines, right = _nearest(fitting)
    if min(right.sum(), (~right).sum()) < _FEWEST:
        found = f"{right.sum()} right and {(~right).sum()} wrong nearest neighbours"
        raise TooLittleError(f"{found}; at least {_FEWEST} of each are needed: give more pairs")
    slope, intercept = _line(cosines, right, start=(1.0, 0.0), ridge=1e-6)
    if slope <= 0:
        raise TooLittleError(
            "wrong neighbours are as near as right ones: another encoder is needed"
        )
    scale = slope / REFERENCE[0], (intercept - REFERENCE[1]) / REFERENCE[0]
    first = Calibration(
        encoder=encoder,
        serve_from=0.5,
        min_similarity=max(-1.0, min((REFERENCE_LOWEST - scale[1]) / scale[0], 1.0)),
        scale=scale,
        questions=sum(len(cluster.asks) for half in halves for cluster in half),
    )
    report(0.2)
    calibration = _platt(first, fitting, decision, max_wrong)
    report(0.8)
    return _measured(calibration, halves[1], vectors, decision)


def _opened(calibration: Calibration, decision: Decision) -> Resemblance:
    """Return the policy under `calibration` that serves whatever no gate refuses."""
    return decision.under(replace(calibration, serve_from=EVERYTHING))


def platt(
    calibration: Calibration,
    clusters: Sequence[Cluster],
    vectors: Mapping[str, Vector],
    decision: Decision,
    max_wrong: float,
) -> Calibration:
    """Return `calibration` with odds and threshold fitted to `clusters`."""
    streams = [_stream(clusters, vectors, seed) for seed in range(_STREAMS)]
    return _platt(calibration, streams, decision, max_wrong)


def reference_line(
    clusters: Sequence[Cluster], vectors: Mapping[str, Vector]
) -> tuple[float, float]:
    """Return slope and intercept of the log-odds of a right hit at a cosine: see `REFERENCE`."""
    streams = [_stream(clusters, vectors, seed) for seed in range(_STREAMS)]
    return _line(*_nearest(streams), start=(1.0, 0.0), ridge=1e-6)


def _platt(
    calibration: Calibration, streams: Sequence[_Stream], decision: Decision, max_wrong: float
) -> Calibration:
    probabilities, right = _probabilities(streams, _opened(calibration, decision))
    inside = np.clip(probabilities, 1e-9, 1 - 1e-9)
    odds = _line(np.log(inside / (1 - inside)), right, start=(1.0, 0.0), ridge=_RIDGE)
    calibration = replace(calibration, odds=odds)
    scored = _probabilities(streams, _opened(calibration, decision))
    return replace(calibration, serve_from=_threshold(*scored, max_wrong))


def _measured(
    calibration: Calibration,
    clusters: Sequence[Cluster],
    vectors: Mapping[str, Vector],
    decision: Decision,
) -> Fitted:
    """Measure a calibration on clusters it was not fitted to."""
    judging = _stream(clusters, vectors, _STREAMS)
    policy = _opened(calibration, decision)
    outcome = replay(judging.asked, judging.near, policy, keep="first")
    curve = curve_of(outcome)
    at = curve.at_threshold(calibration.serve_from)
    plain = cosine_curve(outcome)
    if at is not None:
        calibration = replace(calibration, wrong_share=round(at.wrong_share, 4))
    return Fitted(calibration, curve, at, plain.at_wrong_share(at.wrong_share) if at else None)


def curve_of(outcome: Replayed) -> Curve:
    """Return the curve of a decision's scores."""
    scored = [(served.score, served.right) for served in outcome.served]
    return Curve(scored, outcome.arrivals, outcome.repeats)


def cosine_curve(outcome: Replayed) -> Curve:
    """Return the curve of plain cosines, over the same arrivals."""
    scored = [(served.similarity, served.right) for served in outcome.served]
    return Curve(scored, outcome.arrivals, outcome.repeats)


def _stream(clusters: Sequence[Cluster], vectors: Mapping[str, Vector], seed: int) -> _Stream:
    asked = draw(clusters, Random(seed))
    return _Stream(asked, neighbourhood(np.stack([vectors[asking.text] for asking in asked])))


def _nearest(streams: Sequence[_Stream]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return cosines to the nearest first asking, and whether it is the right one."""
    plain = FixedThreshold(min_similarity=1.0)
    served = [
        found
        for stream in streams
        for found in replay(stream.asked, stream.near, plain, keep="first").served
    ]
    return (
        np.array([found.similarity for found in served]),
        np.array([found.right for found in served], bool),
    )


def _probabilities(
    streams: Sequence[_Stream], policy: Resemblance
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    rows = [
        (found.verdict.probability, found.right)
        for stream in streams
        for found in replay(stream.asked, stream.near, policy, keep="first").served
        if found.verdict.probability and not found.verdict.reason.startswith("gate:")
    ]
    return np.array([row[0] for row in rows], float), np.array([row[1] for row in rows], bool)


def _line(
    numbers: NDArray[np.float64],
    right: NDArray[np.bool_],
    *,
    start: tuple[float, float],
    ridge: float,
) -> tuple[float, float]:
    """Fit log-odds as a line in one number, by Newton's method, drawn towards `start`."""
    design = np.stack([numbers, np.ones_like(numbers)], axis=1)
    prior = np.array(start)
    line = prior.copy()
    for _ in range(50):
        probability = 1 / (1 + np.exp(-np.clip(design @ line, -60, 60)))
        slack = probability * (1 - probability)
        curvature = design.T @ (design * slack[:, None]) + ridge * np.eye(2)
        step = np.linalg.solve(curvature, design.T @ (right - probability) - ridge * (line - prior))
        line += step
        if np.abs(step).max() < 1e-8:
            break
    return float(line[0]), float(line[1])


def _threshold(
    probabilities: NDArray[np.float64], right: NDArray[np.bool_], max_wrong: float
) -> float:
    """Return the lowest probability from which the share of wrong hits is under the bound."""
    order = np.argsort(-probabilities)
    wrong = np.cumsum(~right[order])
    hits = np.arange(1, len(order) + 1)
    # Every question is drawn once per stream: the streams are copies, not more evidence.
    fits = [
        _upper(w / _STREAMS, n / _STREAMS) <= max_wrong for w, n in zip(wrong, hits, strict=True)
    ]
    found = np.flatnonzero(fits)
    if not len(found):
        return 1 - 1e-6
    return min(max(float(probabilities[order[found[-1]]]), 1e-6), 1 - 1e-6)


def _upper(wrong: float, hits: float) -> float:
    """Return Wilson's upper bound of the share `wrong` of `hits`."""
    share, z2 = wrong / hits, _SURE * _SURE
    spread = _SURE * math.sqrt(share * (1 - share) / hits + z2 / (4 * hits * hits))
    return (share + z2 / (2 * hits) + spread) / (1 + z2 / hits)
