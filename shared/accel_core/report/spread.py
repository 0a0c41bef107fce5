"""Durations added up, for quantiles and for a drawing of where they lie. One owner at a time.

Values are counted many at a time: a report adds some ten of them for each of a million requests.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from accel_core.report.values import Durations

if TYPE_CHECKING:
    from collections.abc import Sequence

_PER_DECADE, _FINE = 8, 8
"""Bins of a drawing for each power of ten, and steps in each of these for quantiles: within 2 %."""

_LEAST, _DECADES, _LOWEST = 1e-9, 21, -9


class Spread:
    """Adds durations up; likewise bytes, or whatever else is above 0."""

    __slots__ = ("_counts", "_sum", "_waiting", "add")

    def __init__(self) -> None:
        self._counts = np.zeros(_DECADES * _PER_DECADE * _FINE, dtype=np.int64)
        self._sum = 0.0
        self._waiting: list[float] = []
        self.add = self._waiting.append
        """Count one value."""

    def fold(self) -> None:
        """Count what was added, so that it takes no room; called now and then."""
        if not self._waiting:
            return
        values = np.maximum(np.array(self._waiting), _LEAST)
        self._waiting.clear()
        places = ((np.log10(values) - _LOWEST) * (_PER_DECADE * _FINE)).astype(np.int64)
        last = len(self._counts) - 1
        self._counts += np.bincount(np.clip(places, 0, last), minlength=last + 1)
        self._sum += float(values.sum())

    def bins(self) -> tuple[tuple[float, float, float], ...]:
        """Return from, to, and how many, rising."""
        self.fold()
        coarse = self._counts.reshape(-1, _FINE).sum(axis=1)
        return tuple(
            (_edge(place), _edge(place + 1), int(coarse[place]))
            for place in np.flatnonzero(coarse).tolist()
        )

    def durations(self) -> Durations | None:
        """Return what was added up; None of nothing."""
        self.fold()
        cumulative = np.cumsum(self._counts)
        samples = int(cumulative[-1])
        if not samples:
            return None
        ranks = np.searchsorted(cumulative, [0.5 * samples, 0.95 * samples, 0.99 * samples])
        p50, p95, p99 = (_edge((place + 0.5) / _FINE) for place in ranks)
        return Durations(samples, self._sum / samples, p50, p95, p99, self.bins())


def _edge(place: float) -> float:
    """Return where a bin of the drawing begins."""
    return float(10.0 ** (place / _PER_DECADE + _LOWEST))


def of_buckets(bounds: Sequence[tuple[float, float]], total_s: float) -> Durations | None:
    """Return durations of a Prometheus histogram; None of nothing, or of no finite bound.

    Quantiles are interpolated linearly in their bucket, as PromQL's ``histogram_quantile`` does.

    Args:
        bounds: upper bound, above 0, and cumulative count, by rising bounds.
        total_s: the sum of all.
    """
    samples = max((cumulative for _, cumulative in bounds), default=0.0)
    if not samples or bounds[0][0] == math.inf:
        return None
    bins, low, before = [], 0.0, 0.0
    for high, cumulative in bounds:
        if cumulative > before:
            left, right = low or high / 2, high if high < math.inf else low * 2
            bins.append((left, right, cumulative - before))
        low, before = high, max(before, cumulative)

    def at(share: float) -> float:
        seen = 0.0
        for left, right, count in bins:
            if seen + count >= share * samples:
                return left + (right - left) * (share * samples - seen) / count
            seen += count
        return bins[-1][1]

    return Durations(
        samples=int(samples),
        mean_s=total_s / samples,
        p50_s=at(0.5),
        p95_s=at(0.95),
        p99_s=at(0.99),
        bins=tuple(bins),
    )
