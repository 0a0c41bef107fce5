"""Durations, counted by size, so that any number of them has quantiles in little memory.

Eight buckets for each doubling: a quantile is within 6 % of the true one. One owner at a time.
"""

from __future__ import annotations

import math
from typing import NamedTuple

_PER_DOUBLING = 8


class Quantiles(NamedTuple):
    """Of durations, in seconds; 0 of none."""

    samples: int
    mean_s: float
    p50_s: float
    p95_s: float
    p99_s: float


class Histogram:
    """Counts durations."""

    __slots__ = ("_counts", "_sum_s")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._sum_s = 0.0

    def add(self, duration_s: float) -> None:
        """Count a duration; of those below a nanosecond, that."""
        duration_s = max(duration_s, 1e-9)
        mantissa, exponent = math.frexp(duration_s)
        # A mantissa is in [0.5, 1): its bucket in the doubling, from 0 on.
        bucket = exponent * _PER_DOUBLING + int((mantissa - 0.5) * 2 * _PER_DOUBLING)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self._sum_s += duration_s

    def quantiles(self) -> Quantiles:
        """Return what was counted.

        >>> histogram = Histogram()
        >>> for duration_s in (1.0, 1.0, 1.0, 100.0):
        ...     histogram.add(duration_s)
        >>> found = histogram.quantiles()
        >>> found.samples, found.mean_s, round(found.p50_s)
        (4, 25.75, 1)
        """
        count = sum(self._counts.values())
        if not count:
            return Quantiles(0, 0.0, 0.0, 0.0, 0.0)
        at = [self._at(share * count) for share in (0.5, 0.95, 0.99)]
        return Quantiles(count, self._sum_s / count, *at)

    def _at(self, rank: float) -> float:
        seen = 0
        bucket = 0
        for bucket, counted in sorted(self._counts.items()):  # noqa: B007 - the last one is meant
            seen += counted
            if seen >= rank:
                break
        return _middle(bucket)


def _middle(bucket: int) -> float:
    """Return the middle of a bucket."""
    exponent, step = divmod(bucket, _PER_DOUBLING)
    return math.ldexp(0.5 + (step + 0.5) / (2 * _PER_DOUBLING), exponent)
