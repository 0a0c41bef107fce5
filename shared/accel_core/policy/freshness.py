"""How long what was retrieved is fresh, and what may be done with it afterwards.

An entry is *fresh*, then *due* (served once more while it is made anew), then *spare* (served only
where making it anew fails), then *over*. Near its end it may be due early, by chance, and the
sooner the longer it takes to make: a popular entry is then made anew by one caller before it ends
for all (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, VLDB
2015).

What is asked for often lives longer, up to a bound. Every lifetime is jittered downwards, so that
what was stored together does not end together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from accel_core.errors import ConfigError
from accel_core.policy.expiry import TtlPolicy

Phase = Literal["fresh", "due", "spare", "over"]

_HITS_PER_STEP = 4
"""Hits within a lifetime that double the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """Lifetimes, in seconds.

    Attributes:
        near_ttl: longest time in this process, before the store behind it is asked again.
        ttl: longest time in the store; without a store nothing outlives `near_ttl`.
        empty_ttl_s: time that "nothing was found" is believed; 0 or more.
        stale_s: time after that in which an entry is still served while it is made anew.
        stale_if_error_s: time in which it is served where making it anew fails.
        early: how eagerly entries are made anew before their end, 0 or more; 0: never.
        hot_factor: how many times longer than `ttl` the most wanted may live, 1 or more.
    """

    near_ttl: TtlPolicy = field(default_factory=lambda: TtlPolicy(base_s=60.0))
    ttl: TtlPolicy = field(default_factory=lambda: TtlPolicy(base_s=600.0))
    empty_ttl_s: float = 5.0
    stale_s: float = 30.0
    stale_if_error_s: float = 300.0
    early: float = 1.0
    hot_factor: float = 4.0

    def __post_init__(self) -> None:
        for name in ("empty_ttl_s", "stale_s", "stale_if_error_s", "early"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ConfigError(name, value, "must be a number of 0 or more")
        if not 1 <= self.hot_factor < math.inf:
            raise ConfigError("hot_factor", self.hot_factor, "must be a number of 1 or more")

    @property
    def grace_s(self) -> float:
        """How long after its freshness an entry is of any use."""
        return max(self.stale_s, self.stale_if_error_s)

    def lifetime_s(
        self, chance: float, *, hits: int = 0, empty: bool = False, at_most_s: float | None = None
    ) -> float:
        """Return how long an entry is fresh.

        Args:
            chance: uniform in [0, 1).
            hits: how often the entry before it was asked for.
            empty: whether it says that nothing was found.
            at_most_s: a call's own limit.

        >>> Freshness().lifetime_s(0.0), Freshness().lifetime_s(0.0, hits=4)
        (600.0, 1200.0)
        """
        factor = 1.0 if empty else min(self.hot_factor, 1.0 + hits / _HITS_PER_STEP)
        longest = self.empty_ttl_s if empty else self.ttl.base_s * factor
        if at_most_s is not None:
            longest = min(longest, at_most_s)
        return longest * (1.0 - self.ttl.jitter * chance)

    def near_until_s(
        self, created_s: float, fresh_until_s: float, now_s: float, chance: float
    ) -> float:
        """Return until when an entry that is placed in this process now is fresh there.

        What lives longer in the store lives longer here, too.
        """
        factor = max(1.0, (fresh_until_s - created_s) / self.ttl.base_s)
        return min(fresh_until_s, now_s + self.near_ttl.lifetime_s(chance) * factor)

    def phase(self, fresh_until_s: float, now_s: float, cost_s: float, chance: float) -> Phase:
        """Return what may be done with an entry.

        Args:
            fresh_until_s: until when it is fresh.
            now_s: the time now, by the same clock.
            cost_s: how long it took to make.
            chance: uniform in [0, 1).
        """
        left_s = fresh_until_s - now_s
        if left_s > 0:
            # 1 - chance is in (0, 1], so its logarithm exists.
            early_s = -cost_s * self.early * math.log(1.0 - chance)
            return "fresh" if left_s > early_s else "due"
        if -left_s < self.stale_s:
            return "due"
        return "spare" if -left_s < self.stale_if_error_s else "over"
