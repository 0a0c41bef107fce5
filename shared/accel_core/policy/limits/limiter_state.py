"""What a limiter shows of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accel_core.policy.limits.hidden_limit import Form
    from accel_core.policy.limits.tiers import Attainment


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterState:
    """A snapshot of a limiter.

    Attributes:
        waiting: calls in the queue.
        under_way: calls that hold a lease.
        slots: calls that may be under way at once; None: any number.
        share_of_others: the share of a limit that others seem to use, in [0, 1].
        hidden: the limit in force that headers do not show.
        attained: what became of the calls, by tier.
    """

    waiting: int
    under_way: int
    slots: int | None
    share_of_others: float
    hidden: Form | None
    attained: Mapping[str, Attainment]
