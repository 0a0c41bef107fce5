"""How precise the hits are at every hit ratio: the precision-hit-ratio curve and what it says.

A hit ratio is hits ÷ arrivals, recall is right hits ÷ arrivals that repeat, and the wrong share is
wrong hits ÷ hits. The area under precision over hit ratio judges a score without choosing a
threshold (P-CHR, arXiv 2606.19719).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Point:
    """What serving everything from `threshold` up means."""

    threshold: float
    hit_ratio: float
    recall: float
    wrong_share: float


class Curve:
    """Every point that a score's thresholds make.

    Args:
        scored: score, and whether serving it would have been right, of each arrival that had
            anything to be served with.
        arrivals: all arrivals, those included.
        repeats: arrivals that ask again what was asked before.

    Raises:
        ValueError: nothing was scored.
    """

    def __init__(self, scored: Iterable[tuple[float, bool]], arrivals: int, repeats: int) -> None:
        rows = sorted(scored, key=lambda row: -row[0])
        if not rows:
            raise ValueError("a curve needs at least one scored arrival")
        scores = np.array([score for score, _ in rows])
        hits = np.arange(1, len(rows) + 1)
        right = np.cumsum([was_right for _, was_right in rows])
        # Equal scores are served together or not at all.
        last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
        self._scores: NDArray[np.float64] = scores[last]
        self._hit_ratios = hits[last] / arrivals
        self._recalls = right[last] / max(1, repeats)
        self._precisions = right[last] / hits[last]

    @property
    def area(self) -> float:
        """Mean precision over the hit ratios from 0 to the highest there is, times the latter."""
        widths = np.diff(self._hit_ratios, prepend=0.0)
        return float((widths * self._precisions).sum())

    @property
    def best_area(self) -> float:
        """The area that a score would have which puts every right candidate before every wrong."""
        hits, right = self._hit_ratios[-1], self._hit_ratios[-1] * self._precisions[-1]
        return float(right * (1 + np.log(hits / right))) if right else 0.0

    def at_recall(self, recall: float) -> Point | None:
        """Return the strictest point that reaches `recall`; None where none does."""
        found = np.flatnonzero(self._recalls >= recall)
        return self._point(int(found[0])) if len(found) else None

    def at_wrong_share(self, wrong_share: float) -> Point | None:
        """Return the point of highest recall with at most that share of wrong hits, if any."""
        found = np.flatnonzero(1 - self._precisions <= wrong_share)
        return self._point(int(found[-1])) if len(found) else None

    def at_threshold(self, threshold: float) -> Point | None:
        """Return what serving from `threshold` up means; None where nothing scores so high."""
        found = np.flatnonzero(self._scores >= threshold)
        return self._point(int(found[-1])) if len(found) else None

    def points(self, count: int = 200) -> Sequence[Point]:
        """Return up to `count` points, spread evenly, strictest first."""
        places = np.unique(np.linspace(0, len(self._scores) - 1, count).astype(int))
        return [self._point(int(place)) for place in places]

    def _point(self, place: int) -> Point:
        return Point(
            float(self._scores[place]),
            float(self._hit_ratios[place]),
            float(self._recalls[place]),
            float(1 - self._precisions[place]),
        )
