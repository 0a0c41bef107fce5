"""What a provider's limits did to calls."""

from __future__ import annotations

from typing import NamedTuple


class LimitWaited(NamedTuple):
    """A call was let through after waiting for its provider's limits, for `wait_s` seconds."""

    wait_s: float
    tier: str


class LimitRefused(NamedTuple):
    """The provider refused a call for a limit: a 429, or a stream that begins with one.

    ``retry_after_s``: when it wants to be asked again; None: it does not say.
    """

    tier: str
    retry_after_s: float | None = None


class LimitRejected(NamedTuple):
    """A call was turned away: there is room in `eta_s` seconds, later than it may wait."""

    eta_s: float
    tier: str


class LimitsAlone(NamedTuple):
    """Limits that processes share cannot be asked for: this one goes on with its `share` of them.

    ``processes``: that took of them lately, when they could last be asked for; ``share``: in
    (0, 1]; 0 where nobody is let through meanwhile.
    """

    processes: int
    share: float


class LimitsShared(NamedTuple):
    """Limits that processes share can be asked for again, with so many taking of them."""

    processes: int


class HiddenLimitFound(NamedTuple):
    """What was refused shows a limit that no header names.

    ``unit`` is a position in `policy.limits.charge.Charge`; ``start_s`` is when a window starts,
    None for a bucket.
    """

    unit: int
    amount: float
    length_s: float
    start_s: float | None
