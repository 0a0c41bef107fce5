"""Our limiter behind the scenarios' protocol: the one place that knows its interface."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.errors import LimitExceededError
from accel_core.policy.limits import charge
from accel_core.policy.limits.account import Limits, Shown
from accel_core.policy.limits.provider_profile import profile_named
from accel_core.policy.limits.tiers import BEST_EFFORT, Tiers
from accel_core.token_limiter import TokenLimiter
from benchmarks.limits_protocol import Contender, RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from accel_core import token_limiter
    from benchmarks.limits_protocol import Demand, Lease, Limiter, Setting, Usage

RETRY_BUDGET = 0.1
"""Share of the calls that may be tried again after failures of the service."""


def _shown(headers: Mapping[str, str]) -> list[Shown]:
    found = []
    for unit, name in enumerate(("requests", "tokens")):
        limit = headers.get(f"x-ratelimit-limit-{name}")
        remaining = headers.get(f"x-ratelimit-remaining-{name}")
        if limit and remaining:
            found.append(Shown(unit, float(limit), float(remaining)))
    return found


class _Lease:
    def __init__(self, lease: token_limiter.Lease) -> None:
        self.lease = lease

    def heard(self, headers: Mapping[str, str]) -> None:
        self.lease.look(_shown(headers))

    def settle(self, usage: Usage, headers: Mapping[str, str]) -> None:  # noqa: ARG002 - heard
        self.lease.settle(charge.Usage(usage.prompt_tokens, usage.output_tokens))

    def refused(
        self, status: int, headers: Mapping[str, str], body: Mapping[str, Any]
    ) -> float | None:
        if status != 429:
            self.lease.settle()
            return None
        retry = headers.get("retry-after-ms") or 0
        self.lease.refused(_shown(headers), float(retry) / 1e3)
        return 0.0

    def cancel(self) -> None:
        self.lease.cancel()


class _Ours:
    def __init__(self, setting: Setting) -> None:
        names = {"requests", "tokens", "input_tokens", "output_tokens"}
        stated = {f"{k}_per_minute": v for k, v in setting.limits.items() if k in names}
        self._limiter = TokenLimiter(
            Limits(**stated),
            profile_named(setting.profile),
            max_wait_s=1e6,
            tiers=Tiers(),
            colours=(BlockingIo(), AsyncIo()),
            emit=lambda _: None,
            mono_now=asyncio.get_running_loop().time,
            lock=threading.Lock,
        )

    async def reserve(
        self, demand: Demand, *, tier: str | None = None, again: Lease | None = None
    ) -> _Lease:
        asked = charge.Demand(demand.prompt_tokens, demand.max_tokens)
        before = again.lease if isinstance(again, _Lease) else None
        try:
            lease = await self._limiter.areserve(asked, tier=tier or BEST_EFFORT, again=before)
        except LimitExceededError as error:
            raise RejectedError from error
        return _Lease(lease)


OURS = Contender(name="ours", make=_Ours)
"""Limits tokens and requests, with tiers."""
OURS_ADAPTIVE = Contender(name="ours, adaptive", make=_Ours)
"""The same with adaptive concurrency, and no other limit where the setting has none."""


def reserve_and_settle() -> Callable[[], object]:
    """Return one call that reserves and settles three dimensions that have room."""
    limiter = TokenLimiter(
        Limits(requests_per_minute=1e12, tokens_per_minute=1e12, input_tokens_per_minute=1e12),
        profile_named("openai"),
        max_wait_s=1.0,
        tiers=Tiers(),
        colours=(BlockingIo(), AsyncIo()),
        emit=lambda _: None,
        mono_now=time.monotonic,
        lock=threading.Lock,
    )
    demand, usage = charge.Demand(100, 256), charge.Usage(100, 20)
    return lambda: limiter.reserve(demand).settle(usage)
