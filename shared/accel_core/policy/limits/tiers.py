"""How soon a call wants its first token, and how often it got it.

A tier's target covers the wait in the queue and the time to the first token, never the whole
answer, whose length nobody knows. Who waits is served by deadline, so a tier is not a priority: a
patient call that has waited long enough goes before an impatient one that came late, and best
effort, with a deadline far away, is never starved (earliest deadline first; Liu & Layland 1973).
What cannot keep its deadline is turned away when it comes, since serving it late would make others
late as well.

A deadline bounds the whole call, its answer included, and is another thing: a target says when a
call is worth making, a deadline how long somebody waits for its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from accel_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE_S: Final = 120.0
"""The deadline of calls that have none, for their place in the queue."""
_LEAST_SHARE = 0.2
"""Share of a target that is left for waiting however slow the provider's first token is."""
_WEIGHT = 0.1

TARGETS_S: Final[Mapping[str, float | None]] = {
    "platinum": 0.5,
    "gold": 2.0,
    "silver": 5.0,
    "bronze": 15.0,
    "best_effort": None,
}
"""Seconds to the first token, by tier; None: whenever it can be."""
BEST_EFFORT: Final = "best_effort"


@dataclass(slots=True)
class Attainment:
    """What became of the calls of one tier.

    Attributes:
        kept: got their first token in time; all that were served, where there is no target.
        late: got it later.
        rejected: were turned away because they could not have had it in time.
    """

    kept: int = 0
    late: int = 0
    rejected: int = 0

    @property
    def share(self) -> float:
        """Share of all calls that kept their target, in [0, 1]; 1 without calls."""
        calls = self.kept + self.late + self.rejected
        return self.kept / calls if calls else 1.0


class Tiers:
    """Targets and deadlines by tier, the usual time to a first token, and what was attained.

    Args:
        targets_s: seconds by tier; None: no target.
        deadlines_s: seconds by tier, of those in `targets_s` and best effort; None: no deadline.

    Raises:
        ConfigError: a target or a deadline is not above 0, or a deadline's tier is unknown.
    """

    def __init__(
        self,
        targets_s: Mapping[str, float | None] = TARGETS_S,
        deadlines_s: Mapping[str, float | None] | None = None,
    ) -> None:
        self._targets_s = {BEST_EFFORT: None, **targets_s}
        self._deadlines_s = dict(deadlines_s or {})
        for place, bounds in (("tiers", self._targets_s), ("deadlines", self._deadlines_s)):
            for name, bound_s in bounds.items():
                if bound_s is not None and not 0.0 < bound_s < float("inf"):
                    raise ConfigError(f"limits.{place}.{name}", bound_s, "seconds above 0, or null")
        for name in self._deadlines_s.keys() - self._targets_s.keys():
            raise ConfigError("limits.deadlines", name, f"one of {sorted(self._targets_s)}")
        self._first_token_s = 0.0
        self.attained = {name: Attainment() for name in self._targets_s}

    def may_wait_s(self, tier: str) -> float | None:
        """Return how long a call may wait in the queue; None: as long as it takes.

        Raises:
            ConfigError: there is no such tier.
        """
        try:
            target_s = self._targets_s[tier]
        except KeyError:
            raise ConfigError("tier", tier, f"one of {sorted(self._targets_s)}") from None
        if target_s is None:
            return None
        return max(_LEAST_SHARE * target_s, target_s - self._first_token_s)

    def target_s(self, tier: str) -> float:
        """Return when the first token should be there; infinity: whenever it can be."""
        target_s = self._targets_s.get(tier)
        return float("inf") if target_s is None else target_s

    def deadline_s(self, tier: str) -> float:
        """Return how long a call may take, its answer included; infinity: as long as it takes."""
        deadline_s = self._deadlines_s.get(tier)
        return float("inf") if deadline_s is None else deadline_s

    def first_token(self, tier: str, waited_s: float, first_token_s: float) -> None:
        """Note when a call got its first token: after waiting, after it was sent."""
        self._first_token_s += _WEIGHT * (first_token_s - self._first_token_s)
        target_s = self._targets_s[tier]
        if target_s is None or waited_s + first_token_s <= target_s:
            self.attained[tier].kept += 1
        else:
            self.attained[tier].late += 1

    def rejected(self, tier: str) -> None:
        """Note that a call was turned away."""
        self.attained[tier].rejected += 1
