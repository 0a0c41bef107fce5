"""The rule of vCache (Schroeder et al., arXiv 2502.03771), written after the paper."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


def logistic(
    observed: Iterable[tuple[float, bool]], ridge: float = 1e-3
) -> tuple[float, float, NDArray[np.float64]]:
    """Fit P(right) = sigmoid(slope x similarity + offset) by Newton; slope, offset, covariance."""
    similarity, right = (np.array(column, float) for column in zip(*observed, strict=True))
    centre = similarity.mean()
    design = np.stack([similarity - centre, np.ones_like(similarity)], 1)
    at = np.zeros(2)
    for _ in range(25):
        expected = 1 / (1 + np.exp(-np.clip(design @ at, -30, 30)))
        information = (design * (expected * (1 - expected))[:, None]).T @ design
        information += ridge * np.eye(2)
        step = np.linalg.solve(information, design.T @ (right - expected) - ridge * at)
        at += np.clip(step, -20, 20)
        if np.abs(step).max() < 1e-6:
            break
    move = np.array([[1.0, 0.0], [-centre, 1.0]])
    slope, offset = move @ at
    return float(slope), float(offset), move @ np.linalg.inv(information) @ move.T


class VCache:
    """vCache's rule for one entry at a time, after the paper.

    Fewer than six observations, among them that 0 is wrong and 1 is right: explore. Otherwise a
    logistic of right over similarity gives the entry's threshold t and steepness g. For each of
    fifty confidences c, t is moved up to its bound at c (delta method) and
    a = c x sigmoid(g x (s - t)) is a lower bound on being right; explore with the smallest
    1 - (1 - p) / (1 - a), where p is one minus the bound on wrong answers. Where right and wrong do
    not overlap, the paper has a table of t's deviation; here t is even between the two.
    """

    _LEAST = 6

    def __init__(self, bound: float) -> None:
        self._wanted = 1 - bound
        self._observed: dict[int, list[tuple[float, bool]]] = {}
        self._fits: dict[int, tuple[float, float, float]] = {}
        confidences = np.linspace(0.01, 0.99, 50)
        self._confidences = confidences
        self._quantiles = np.array([NormalDist().inv_cdf(c) for c in confidences])

    def explores(self, entry: int, similarity: float) -> float:
        """Return the probability with which to ask the model."""
        observed = [(0.0, False), (1.0, True), *self._observed.get(entry, ())]
        if len(observed) < self._LEAST:
            return 1.0
        if entry not in self._fits:
            self._fits[entry] = self._fit(observed)
        slope, threshold, deviation = self._fits[entry]
        moved = threshold + self._quantiles * deviation
        likely = self._confidences / (1 + np.exp(-np.clip(slope * (similarity - moved), -50, 50)))
        return float(np.clip(1 - (1 - self._wanted) / (1 - likely), 0.0, 1.0).min())

    def _fit(self, observed: list[tuple[float, bool]]) -> tuple[float, float, float]:
        slope, offset, covariance = logistic(observed)
        wrong = max(similarity for similarity, right in observed if not right)
        right = min(similarity for similarity, right in observed if right)
        if wrong < right:
            return max(slope, 1e-6), (wrong + right) / 2, (right - wrong) / math.sqrt(12)
        slope = max(slope, 1e-6)
        gradient = np.array([offset / slope**2, -1 / slope])
        variance = float(gradient @ covariance @ gradient)
        return slope, -offset / slope, math.sqrt(max(variance, 0.0))

    def observe(self, entry: int, similarity: float, *, right: bool) -> None:
        """Learn from an explored candidate."""
        self._observed.setdefault(entry, []).append((similarity, right))
        self._fits.pop(entry, None)
