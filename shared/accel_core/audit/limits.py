"""A provider's limits as a log shows them, and which of its refusals they explain.

A refusal is *explained* where what the log sent in the minute (or day) before it, and its own
demand, are more than a limit for a minute (or day): then whoever waits for room is not refused.
What is not explained had a reason that the log does not hold (others who use the key, shorter
windows), and nothing is said of it.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.errors import LimitExceededError, RequestTooLargeError
from accel_core.policy.limits.account import DAY_S, MINUTE_S, Limits
from accel_core.policy.limits.charge import UNITS, Demand, Usage
from accel_core.policy.limits.provider_profile import profile_named
from accel_core.policy.limits.tiers import Tiers
from accel_core.policy.limits.token_estimate import text_tokens
from accel_core.token_limiter import TokenLimiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.audit.arrivals import Arrival
    from accel_core.audit.logged import Stated
    from accel_core.policy.limits.account import Shown
    from accel_core.policy.limits.charge import Charge
    from accel_core.token_limiter import Lease

_MAX_WAIT_S = 120.0
"""As the limiter's own default."""


class ShownLimits:
    """The largest limits that headers and refusals of a log showed."""

    def __init__(self) -> None:
        self._found: dict[str, float] = {}

    def add(self, shown: tuple[Shown, ...]) -> None:
        """Take note of what one response showed."""
        for one in shown:
            per = {MINUTE_S: "minute", DAY_S: "day"}.get(one.per_s)
            name = f"{UNITS[one.unit]}_per_{per}"
            if one.limit and name in _NAMES:
                self._found[name] = max(one.limit, self._found.get(name, 0.0))

    def limits(self) -> Limits | None:
        """Return them; None: there are none."""
        found: dict[str, Any] = dict(self._found)
        return Limits(**found) if found else None


_NAMES = frozenset(field.name for field in fields(Limits))


class LimitReplay:
    """Lets calls wait for room as the limiter would.

    Args:
        limits: the provider's.
        provider: how it counts.
        mono_now: the replay's clock, seconds.
    """

    def __init__(self, limits: Limits, provider: str, mono_now: Callable[[], float]) -> None:
        self.profile = profile_named(provider)
        self._now, self._sizes = mono_now, _Sizes()
        self._windows = [_Window(*stated) for stated in limits.stated()]
        self._limiter = TokenLimiter(
            limits,
            self.profile,
            max_wait_s=_MAX_WAIT_S,
            tiers=Tiers(),
            colours=(BlockingIo(), AsyncIo()),
            emit=lambda _: None,
            mono_now=mono_now,
            lock=threading.RLock,
        )

    def sent(self, arrival: Arrival) -> bool:
        """Note that the log has sent a call; return whether a limit explains its refusal."""
        charge = self.profile.charge(self._sizes.demand(arrival))
        refused = arrival.stated.failure == "limited"
        now_s = self._now()
        explained = [
            window.exceeded(charge, now_s, counted=not refused) for window in self._windows
        ]
        return refused and any(explained)

    async def wait(self, arrival: Arrival) -> tuple[Lease | None, float]:
        """Wait for room; return what is held, None where there is none in time, and the wait."""
        asked_s = self._now()
        try:
            lease = await self._limiter.areserve(self._sizes.demand(arrival))
        except (LimitExceededError, RequestTooLargeError):
            return None, self._now() - asked_s
        return lease, self._now() - asked_s

    @staticmethod
    def settle(lease: Lease, stated: Stated) -> None:
        """End what a call held."""
        lease.settle(None if stated.tokens is None else Usage(*stated.tokens))


class _Sizes:
    """What calls are expected to use, of those whose usage the log does not state."""

    def __init__(self) -> None:
        self._input = self._output = 0.0
        self._count = 0

    def demand(self, arrival: Arrival) -> Demand:
        tokens = arrival.stated.tokens
        if tokens is not None:
            self._input += tokens.input_tokens
            self._output += tokens.output_tokens
            self._count += 1
            read, written = tokens.input_tokens, tokens.output_tokens
        elif self._count:
            read, written = self._input / self._count, self._output / self._count
        else:
            read, written = text_tokens(arrival.request.text), 0.0
        return Demand(read, arrival.stated.max_output_tokens, written)


class _Window:
    """What was sent in the last `per_s` seconds, in one unit."""

    def __init__(self, unit: int, limit: float, per_s: float) -> None:
        self._unit, self._limit, self._per_s = unit, limit, per_s
        self._sent: deque[tuple[float, float]] = deque()
        self._sum = 0.0

    def exceeded(self, charge: Charge, now_s: float, *, counted: bool) -> bool:
        """Whether `charge` exceeds the limit now; it is added where it is `counted`."""
        while self._sent and self._sent[0][0] <= now_s - self._per_s:
            self._sum -= self._sent.popleft()[1]
        exceeded = self._sum + charge[self._unit] > self._limit
        if counted:
            self._sent.append((now_s, charge[self._unit]))
            self._sum += charge[self._unit]
        return exceeded
