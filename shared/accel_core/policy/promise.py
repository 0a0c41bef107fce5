"""What is promised about hits by meaning, and what may be spent on keeping it.

Invariant: a promise that cannot be kept or would mean nothing cannot be made.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final, Literal, get_args

from accel_core.errors import ConfigError

Trust = Literal["calibrated", "earned"]

_LARGEST: Final = 0.2  # of the bound: beyond, nobody speaks of a guarantee and `Alarm` ends at 1/3


@dataclass(frozen=True, slots=True, kw_only=True)
class GuaranteeSettings:
    """What is promised, and what may be spent on it.

    Attributes:
        max_wrong_hits: share of wrong ones among hits, in (0, 0.2].
        confidence: with which the promise is kept, in [0.5, 1).
        trust: whether calibration and other scopes count (``calibrated``) or own outcomes only
            (``earned``).
        pooled: how many outcomes those may count for at most, in units of 1 / `max_wrong_hits`; own
            outcomes take their room. Seven prove a threshold at which nothing was wrong, seventeen
            one at a third of the bound; ten, therefore, speak for clear cases only.
        memory: outcomes that are remembered per threshold, in the same unit, at least 4.
        explore_max: share of would-be hits that is explored at first, in (0, 1].
        explore_min: and at last, in (0, `explore_max`].
        max_scopes: scopes remembered; the one that was asked least recently leaves.
        max_entries: entries remembered for outcomes of their own; the oldest leaves.
    """

    max_wrong_hits: float
    confidence: float = 0.95
    trust: Trust = "calibrated"
    pooled: float = 10.0
    memory: float = 80.0
    explore_max: float = 0.5
    explore_min: float = 0.02
    max_scopes: int = 1_000
    max_entries: int = 10_000

    def __post_init__(self) -> None:
        for name, holds, expected in (
            ("max_wrong_hits", 0 < self.max_wrong_hits <= _LARGEST, f"in (0, {_LARGEST}]"),
            ("confidence", 0.5 <= self.confidence < 1, "in [0.5, 1)"),
            ("trust", self.trust in get_args(Trust), f"one of {get_args(Trust)}"),
            ("pooled", 0 <= self.pooled < inf, "must be >= 0"),
            ("memory", 4 <= self.memory < inf, "must be at least 4"),
            ("explore_max", 0 < self.explore_max <= 1, "in (0, 1]"),
            ("explore_min", 0 < self.explore_min <= self.explore_max, "in (0, explore_max]"),
            ("max_scopes", self.max_scopes >= 1, "at least 1"),
            ("max_entries", self.max_entries >= 1, "at least 1"),
        ):
            if not holds:
                raise ConfigError(name, getattr(self, name), expected)
