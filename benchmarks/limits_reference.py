"""The plainest limiter that is worth the name: one bucket of a minute, first come, first served.

It listens to headers as an upper bound on its level, waits as told after a refusal, and knows no
hidden windows, refunds or tiers. The scenarios are tested with it, and it stands beside ours.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from benchmarks.limits_peers import Backoff, PeerLease
from benchmarks.limits_protocol import Contender

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.limits_protocol import Demand, Lease, Limiter, Setting, Usage

_FRESH = 0.7
"""Share of what should have come since a header was sent that is believed to have come."""


class _Lease(PeerLease):
    def __init__(self, owner: FifoBucket, backoff: Backoff, attempts: int) -> None:
        super().__init__(backoff, attempts)
        self._owner, self._sent_s = owner, owner.now()
        self._sent_before = owner.sent_in_all

    def heard(self, headers: Mapping[str, str]) -> None:
        """Take what the headers say as an upper bound, less what was sent since."""
        remaining = headers.get("x-ratelimit-remaining-tokens")
        if remaining is not None:
            since = self._owner.sent_in_all - self._sent_before
            came = _FRESH * self._owner.per_s * (self._owner.now() - self._sent_s)
            self._owner.lower(float(remaining) + came - since)

    def settle(self, usage: Usage, headers: Mapping[str, str]) -> None:
        """Do nothing: what was charged is kept."""

    def refused(
        self, status: int, headers: Mapping[str, str], body: Mapping[str, Any]
    ) -> float | None:
        """Lower the level as the headers say, and wait as told."""
        self.heard(headers)
        return super().refused(status, headers, body)


class FifoBucket:
    """A bucket of one minute behind a fair lock; a caller sleeps until its amount is there."""

    def __init__(self, setting: Setting) -> None:
        self.capacity = setting.limits["tokens"]
        self.per_s, self.sent_in_all = self.capacity / 60, 0.0
        self.now = asyncio.get_running_loop().time
        self._level, self._last = self.capacity, self.now()
        self._backoff, self._turn = Backoff(setting.seed), asyncio.Lock()

    async def reserve(
        self,
        demand: Demand,
        *,
        tier: str | None = None,  # noqa: ARG002 - it knows none
        again: Lease | None = None,
    ) -> _Lease:
        """Return when all who came before were served and the amount is there."""
        amount = min(self.capacity, float(demand.prompt_tokens + demand.max_tokens))
        async with self._turn:
            while (lacking := amount - self._refilled()) > 1e-9 * self.capacity:
                await asyncio.sleep(lacking / self.per_s)
            self._level -= amount
            self.sent_in_all += amount
        attempts = again.attempts if isinstance(again, PeerLease) else 0
        return _Lease(self, self._backoff, attempts + 1)

    def lower(self, level: float) -> None:
        """Lower the level to `level` if it is higher."""
        self._level = min(self._refilled(), level)

    def _refilled(self) -> float:
        now = self.now()
        self._level = min(self.capacity, self._level + self.per_s * (now - self._last))
        self._last = now
        return self._level


def _make(setting: Setting) -> Limiter:
    return FifoBucket(setting)


REFERENCE = Contender(name="FIFO bucket", make=_make)
