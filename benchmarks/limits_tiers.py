"""Tiers: how many calls are sent while that still helps, at 115 % of what can be served.

Five tiers with their deadlines on the wait: 10 % platinum 0.5 s, 20 % gold 2 s, 30 % silver 5 s,
25 % bronze 15 s, 15 % best effort, for which two minutes count. A call that is rejected counts as
too late. The minute's bucket is emptied first, so that the overload is there from the beginning.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from random import Random
from statistics import mean
from typing import TYPE_CHECKING

from accel_core.testing.provider_latency import HOSTED
from accel_core.testing.provider_rules import openai
from benchmarks.harness import Measured, Row
from benchmarks.limits_load import RATE_PER_S, Call, small_prompt
from benchmarks.limits_peers import Backoff, PeerLease
from benchmarks.limits_protocol import Contender
from benchmarks.limits_results import Results, quantile
from benchmarks.limits_run import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.harness import Context
    from benchmarks.limits_protocol import Demand, Lease, Limiter, Setting
    from benchmarks.limits_run import Outcome

DEADLINES_S = {"platinum": 0.5, "gold": 2.0, "silver": 5.0, "bronze": 15.0, "best_effort": 120.0}
_MIX = (10, 20, 30, 25, 15)
_MAX_TOKENS = 125
_EMPTYING = 20
"""Calls that empty the bucket; they are not counted."""


@dataclass(frozen=True, kw_only=True)
class TierLoad:
    """Calls of all tiers, at random moments, but so many in all that the overload is exact.

    Attributes:
        share: of the rate that is asked for.
        count: of the calls.
    """

    share: float
    count: int = 4_000

    @property
    def mean_tokens(self) -> float:
        """Return what a call is charged on average."""
        return _MAX_TOKENS + 140 * math.exp(0.5**2 / 2)

    @property
    def duration_s(self) -> float:
        """Return how long the calls go on arriving."""
        return self.count * self.mean_tokens / (self.share * RATE_PER_S)

    def calls(self, seed: int) -> Iterator[Call]:
        """Yield the calls in the order of their arrival."""
        dice = Random(seed)
        for _ in range(_EMPTYING):
            yield Call(0.0, 59_000 // _EMPTYING, 1, max_tokens=1, large=True)
        for at_s in sorted(dice.uniform(0.0, self.duration_s) for _ in range(self.count)):
            (tier,) = dice.choices(tuple(DEADLINES_S), _MIX)
            yield Call(at_s, max(1, round(small_prompt(dice))), 50, _MAX_TOKENS, tier=tier)


class QueuedBucket:
    """A bucket of a minute before which calls stand in the order of `rank`."""

    def __init__(self, setting: Setting, rank: Callable[[str, float], float]) -> None:
        self._loop = asyncio.get_running_loop()
        self._capacity = self._level = setting.limits["tokens"]
        self._per_s, self._last = self._capacity / 60, self._loop.time()
        self._rank, self._backoff = rank, Backoff(setting.seed)
        self._order = itertools.count()
        self._queue: list[tuple[float, int, float, asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None

    async def reserve(
        self, demand: Demand, *, tier: str | None = None, again: Lease | None = None
    ) -> PeerLease:
        """Return when the call's turn has come and its amount is there."""
        rank = self._rank(tier or "best_effort", self._loop.time())
        future = self._loop.create_future()
        amount = float(demand.prompt_tokens + demand.max_tokens)
        heappush(self._queue, (rank, next(self._order), amount, future))
        self._serve()
        await future
        attempts = again.attempts if isinstance(again, PeerLease) else 0
        return PeerLease(self._backoff, attempts + 1)

    def _serve(self) -> None:
        now = self._loop.time()
        self._level = min(self._capacity, self._level + self._per_s * (now - self._last))
        self._last = now
        if self._timer is not None:
            self._timer.cancel()
        while self._queue:
            _, _, amount, future = self._queue[0]
            if amount > self._level and not future.cancelled():
                wait_s = (amount - self._level) / self._per_s
                self._timer = self._loop.call_later(wait_s, self._serve)
                return
            heappop(self._queue)
            if not future.cancelled():
                self._level -= amount
                future.set_result(None)


def _queued(name: str, rank: Callable[[str, float], float]) -> Contender:
    def make(setting: Setting) -> Limiter:
        return QueuedBucket(setting, rank)

    return Contender(name=name, make=make)


FIFO = _queued("FIFO", lambda _, now: now)
STRICT = _queued("strict priority", lambda tier, _: DEADLINES_S[tier])
EARLIEST = _queued("earliest deadline", lambda tier, now: now + DEADLINES_S[tier])
PEERS = (FIFO, STRICT, EARLIEST)

_INSTANT = replace(HOSTED, base_s=0.0, prefill_s=0.0, first_s=0.001, token_s=0.001)
_RULES = replace(openai(), latency=_INSTANT)
OVERLOAD = Scenario(name="tiers", rules=_RULES, load=TierLoad(share=1.15), until_s=None)


def in_time_percent(outcome: Outcome, tier: str | None = None) -> float:
    """Return the share of the calls that were sent inside their deadline, of one tier or all."""
    counted = [c for c in outcome.courses if c.call.tier is not None]
    counted = [c for c in counted if tier in {None, c.call.tier}]
    met = sum(c.sent_s is not None and c.wait_s <= DEADLINES_S[c.call.tier or ""] for c in counted)
    return 100 * met / len(counted)


def _tell(outcomes: list[Outcome]) -> str:
    return f"{mean(map(in_time_percent, outcomes)):.1f} %"


def _each(outcomes: list[Outcome]) -> str:
    told = []
    for tier in DEADLINES_S:
        met = mean(in_time_percent(one, tier) for one in outcomes)
        longest = mean(quantile(_waits_s(one, tier), 0.99) for one in outcomes)
        told.append(f"{tier} {met:.1f} % (p99 {longest:.1f} s)")
    return ", ".join(told)


def _waits_s(outcome: Outcome, tier: str) -> list[float]:
    served = [c for c in outcome.courses if c.call.tier == tier and c.sent_s is not None]
    return sorted(c.wait_s for c in served)


def _most_percent(outcome: Outcome) -> float:
    """Return what no order can exceed: the largest calls left out until the tokens suffice.

    Those are what is refilled while calls come, and after that as much as is asked for by calls
    whose deadlines are later still.
    """
    calls = [c.call for c in outcome.courses if c.call.tier is not None]
    until_s = max(call.at_s for call in calls)
    late = [call for call in calls if call.at_s + DEADLINES_S[call.tier or ""] > until_s]
    room = RATE_PER_S * until_s + sum(call.prompt_tokens + call.max_tokens for call in late)
    sizes = sorted(call.prompt_tokens + call.max_tokens for call in calls)
    served = sum(total <= room for total in itertools.accumulate(sizes))
    return 100 * served / len(sizes)


def in_time(context: Context) -> Measured:
    results = context.once(Results)
    value = results.figure(OVERLOAD, in_time_percent)
    beside = results.beside(OVERLOAD, PEERS, _tell)
    most = results.figure(OVERLOAD, _most_percent)
    told = f"no order more than {most:.1f} %; {_each(results.outcomes(OVERLOAD))}; {beside}"
    return Measured(value, told)


ROWS = [
    Row(
        name="tiers-overload-in-time",
        what="115 % load, five tiers: % of calls sent inside their tier's deadline",
        op=">=",
        bound=94,
        measure=in_time,
    ),
]
