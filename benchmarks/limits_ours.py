"""Our limiter behind the scenarios' protocol: the one place that knows its interface."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from random import Random
from typing import TYPE_CHECKING, Any

from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.errors import LimitExceededError
from accel_core.policy.limits import charge
from accel_core.policy.limits.account import Limits
from accel_core.policy.limits.concurrency import Concurrency
from accel_core.policy.limits.limit_headers import read_headers
from accel_core.policy.limits.provider_profile import profile_named
from accel_core.policy.limits.refusal import classify
from accel_core.policy.limits.retry import Failed, RetryBudget, RetryPolicy, next_attempt
from accel_core.policy.limits.tiers import BEST_EFFORT, PATIENCE_S, Tiers
from accel_core.token_limiter import TokenLimiter
from benchmarks.limits_protocol import Contender, RejectedError

_PATIENT_S = 1e6

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from accel_core import token_limiter
    from accel_core.policy.limits.refusal import Refusal
    from benchmarks.limits_protocol import Demand, Lease, Setting, Usage

RETRY_BUDGET = 0.1
"""Share of the calls that may be tried again after failures of the service."""


class _Lease:
    def __init__(self, owner: _Ours, lease: token_limiter.Lease, attempts: int) -> None:
        self._owner, self.lease, self.attempts = owner, lease, attempts

    def heard(self, headers: Mapping[str, str]) -> None:
        """Hand the headers on."""
        self.lease.look(read_headers(self._owner.profile.dialect, headers))

    def settle(self, usage: Usage, headers: Mapping[str, str]) -> None:  # noqa: ARG002 - heard
        """Hand the usage on."""
        self.lease.settle(charge.Usage(usage.prompt_tokens, usage.output_tokens))

    def refused(
        self, status: int, headers: Mapping[str, str], body: Mapping[str, Any]
    ) -> float | None:
        """Do as `policy.limits.retry` says."""
        owner = self._owner
        dialect = owner.profile.dialect
        refusal = classify(status, headers, json.dumps(body), dialect, owner.now())
        if refusal.kind == "limit":
            self.lease.refused(refusal.shown, refusal.retry_after_s)
        else:
            self.lease.settle()
        return owner.next_attempt(self, refusal)

    def cancel(self) -> None:
        """Give everything back."""
        self.lease.cancel()


class _Ours:
    def __init__(self, setting: Setting, concurrency: Concurrency | None = None) -> None:
        names = {"requests", "tokens", "input_tokens", "output_tokens"}
        stated = {f"{k}_per_minute": v for k, v in setting.limits.items() if k in names}
        self.now = asyncio.get_running_loop().time
        self.profile = profile_named(setting.profile)
        self._limiter = TokenLimiter(
            Limits(**stated),
            self.profile,
            max_wait_s=_PATIENT_S,
            tiers=Tiers(),
            concurrency=concurrency,
            colours=(BlockingIo(), AsyncIo()),
            emit=lambda _: None,
            mono_now=self.now,
            lock=threading.Lock,
        )
        self._policy = RetryPolicy(deadline_s=_PATIENT_S)
        self._budget = RetryBudget(RETRY_BUDGET, 0.0, now_s=self.now())
        self._dice = Random(setting.seed)

    async def reserve(
        self, demand: Demand, *, tier: str | None = None, again: Lease | None = None
    ) -> _Lease:
        """Reserve, or reject as the limiter does."""
        asked = charge.Demand(demand.prompt_tokens, demand.max_tokens, streamed=True)
        before = again if isinstance(again, _Lease) else None
        if before is None:
            self._budget.call(self.now())
        try:
            lease = await self._limiter.areserve(
                asked,
                tier=tier or BEST_EFFORT,
                timeout_s=None if tier is None else PATIENCE_S,
                again=before.lease if before else None,
            )
        except LimitExceededError as error:
            raise RejectedError from error
        return _Lease(self, lease, before.attempts + 1 if before else 1)

    def next_attempt(self, lease: _Lease, refusal: Refusal) -> float | None:
        """Return when a refused call is sent again, None: not."""
        failed = Failed(
            kind=refusal.kind,
            attempts=lease.attempts,
            started_s=lease.lease.asked_s,
            now_s=self.now(),
            retry_after_s=refusal.retry_after_s,
        )
        return next_attempt(failed, self._policy, self._budget, self._dice.random())


OURS = Contender(name="ours", make=_Ours)
"""Limits tokens and requests, with tiers."""
OURS_ADAPTIVE = Contender(name="ours, adaptive", make=lambda setting: _Ours(setting, Concurrency()))
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
