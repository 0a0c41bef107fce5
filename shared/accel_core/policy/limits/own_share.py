"""What one process may take of limits that it shares and cannot ask for just now.

While they could be asked for, it was told how high the levels stood and how many processes took of
them. Left alone, it goes on with its share of both: `1 / processes` of each limit, from the same
share of what was left. The longer ago it heard of that the less it counts: what was refilled since,
and as much again, others may have taken. Back, it tells what is left of its share and what it took
meanwhile, and the store adds up.

One owner at a time; stamps are the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from accel_core.policy.limits.charge import NOTHING, Charge
from accel_core.policy.limits.levels import Levels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.policy.limits.limit_store import Limit, Reserved

_UNKNOWN = float("inf")
_MOST_DOUBT_S = 1.0
"""How far below nothing a level is at most taken to be that is not known to be there."""


class Known(NamedTuple):
    """What a process knows of a limit.

    Attributes:
        level: the most that can be left of it; while alone, of its share of it. Infinity: nobody
            told it.
        taken: what it took while alone, beyond what came back.
    """

    level: float
    taken: float


class OwnShare:
    """One process's knowledge of limits that it shares, and its share of them.

    Attributes:
        processes: that took of the limits when they could last be asked for; 1 before they ever
            could.
    """

    def __init__(self) -> None:
        self.processes = 1
        self._limits: tuple[Limit, ...] = ()
        self._heard: dict[tuple[int, float], float] = {}
        self._heard_s = 0.0
        self._alone: Levels | None = None
        self._taken = NOTHING

    @property
    def is_alone(self) -> bool:
        """Whether the limits cannot be asked for."""
        return self._alone is not None

    @property
    def share(self) -> float:
        """This process's share of each limit, in (0, 1]."""
        return 1.0 / self.processes

    def shape(self, limits: Sequence[Limit], now_s: float) -> None:
        """Take `limits` for all there are from now on."""
        self._limits = tuple(limits)
        if self._alone is not None:
            self._alone.shape(limits, now_s)

    def heard(self, levels: Sequence[float], processes: int, now_s: float) -> None:
        """Take over what the store told of the limits: from here on they can be asked for."""
        names = (_name(limit) for limit in self._limits)
        self._heard = dict(zip(names, levels, strict=False))
        self._heard_s, self.processes = now_s, max(1, processes)
        self._alone = None

    def leave(self, now_s: float) -> None:
        """Go on alone."""
        self._alone, self._taken = Levels(), NOTHING
        self._alone.shape(self._limits, now_s)
        left = [self._left(limit, now_s) for limit in self._limits]
        self._alone.assume([level * self.share for level in left], now_s, self.share)

    def reserve(self, charge: Charge, now_s: float, max_wait_s: float) -> Reserved:
        """Take `charge` of the share; only while alone."""
        assert self._alone is not None
        answer = self._alone.reserve(charge, now_s, max_wait_s)
        if answer.wait_s <= max_wait_s:
            self._took(charge)
        levels = tuple(bucket.level for bucket in self._alone.buckets)
        return answer._replace(levels=levels, processes=self.processes, share=self.share)

    def settle(self, given: Charge) -> None:
        """Return what was taken beyond what was charged; only while alone."""
        assert self._alone is not None
        self._alone.settle(given, NOTHING)
        self._took(Charge(*(-amount for amount in given)))

    def known(self, now_s: float) -> list[Known]:
        """Return what is known of each limit."""
        if self._alone is not None:
            for bucket in self._alone.buckets:
                bucket.refill(now_s)
            return [Known(bucket.level, self._taken[bucket.unit]) for bucket in self._alone.buckets]
        passed_s = max(0.0, now_s - self._heard_s)
        heard = ((limit, self._heard.get(_name(limit), _UNKNOWN)) for limit in self._limits)
        return [Known(level + passed_s * limit.rate_per_s, 0.0) for limit, level in heard]

    def _left(self, limit: Limit, now_s: float) -> float:
        """Return what is left of the whole of a limit, so that all who do the same are safe."""
        level = self._heard.get(_name(limit))
        if level is None:
            return limit.amount
        taken = limit.rate_per_s * max(0.0, now_s - self._heard_s)
        return max(level - taken, min(level, 0.0) - limit.rate_per_s * _MOST_DOUBT_S)

    def _took(self, charge: Charge) -> None:
        self._taken = Charge(*map(sum, zip(self._taken, charge, strict=True)))


def _name(limit: Limit) -> tuple[int, float]:
    return limit.unit, limit.per_s
