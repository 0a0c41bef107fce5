"""Adaptive concurrency: a self-hosted model in closed loop, and a hosted one with a hidden cap.

The self-hosted one runs 64 calls together, 10 ms per token for up to 16 of them and 29 ms for 64,
and never refuses. The hosted one refuses more than 40 calls at once. 256 callers ask without a
pause, answers turn from short to long and back every minute, and from 200 to 320 s only half of the
capacity is there. Times to the first token count from the moment of sending.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass, replace
from random import Random
from statistics import mean
from typing import TYPE_CHECKING, Any

from accel_core.drive import virtual_time
from accel_core.testing.provider_rules import ProviderRules, openai, self_hosted
from benchmarks.harness import Measured, Row
from benchmarks.limits_load import Call
from benchmarks.limits_ours import OURS_ADAPTIVE
from benchmarks.limits_peers import Backoff
from benchmarks.limits_protocol import Contender, Setting
from benchmarks.limits_results import SEEDS, quantile
from benchmarks.limits_run import Course, World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.harness import Context
    from benchmarks.limits_protocol import Demand, Lease, Limiter, Usage

_DURATION_S, _MINUTE_S = 450.0, 60.0
_SHRUNK_S = (200.0, 320.0)
SELF_HOSTED = replace(self_hosted(), shrunk_s=_SHRUNK_S)
HOSTED = replace(openai(1e6, 1e9), max_concurrency=40, tells_retry=False, shrunk_s=_SHRUNK_S)


@dataclass(frozen=True)
class Pace:
    """What came of a closed loop.

    Attributes:
        tokens_per_s: of output.
        first_s: times to the first token, sorted.
        token_s: times per output token, sorted.
        refused_share: 429s per attempt.
        failed: calls that were not served.
    """

    tokens_per_s: float
    first_s: list[float]
    token_s: list[float]
    refused_share: float
    failed: int


@dataclass(frozen=True, kw_only=True)
class Talk:
    """What the callers ask, each without a pause.

    Attributes:
        callers: how many there are.
        from_s: when all but a twentieth of them come.
        prompt: tokens of a prompt, the median.
        answers: tokens of an answer, the medians of every other minute and of those between.
    """

    callers: int = 256
    from_s: float = 0.0
    prompt: float = 140.0
    answers: tuple[float, float] = (60.0, 500.0)

    def call(self, dice: Random, now_s: float) -> Call:
        """Return what a caller asks at `now_s`."""
        median = self.answers[int(now_s // _MINUTE_S % 2)]
        output = max(1, round(dice.lognormvariate(math.log(median), 0.5)))
        prompt = round(dice.lognormvariate(math.log(self.prompt), 0.5)) + 1
        return Call(now_s, prompt, output, 2_000)

    def comes_s(self, caller: int) -> float:
        """Return when a caller comes."""
        return 0.0 if caller < self.callers / 20 else self.from_s


FLIPPING = Talk()


def closed_loop(
    rules: ProviderRules, contender: Contender, seed: int, talk: Talk = FLIPPING
) -> Pace:
    """Let the callers ask without a pause, and return what came of it."""
    with contender.around():
        return virtual_time.run(_closed_loop(rules, contender, seed, talk))


async def _closed_loop(rules: ProviderRules, contender: Contender, seed: int, talk: Talk) -> Pace:
    profile = "openai" if rules.limits else "vllm"
    setting = Setting(limits=rules.limits, profile=profile, mean_tokens=415.0, seed=seed)
    world, courses = World(rules, contender.make(setting), seed), list[Course]()
    callers = [
        asyncio.create_task(
            _caller(world, Random(seed * 1_000 + number), courses, talk, talk.comes_s(number))
        )
        for number in range(talk.callers)
    ]
    await asyncio.sleep(_DURATION_S)
    for caller in callers:
        caller.cancel()
    for error in await asyncio.gather(*callers, return_exceptions=True):
        if isinstance(error, Exception):
            raise error
    return _pace(courses)


async def _caller(
    world: World, dice: Random, courses: list[Course], talk: Talk, comes_s: float
) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(comes_s)
    while True:
        course = Course(talk.call(dice, loop.time()))
        courses.append(course)
        await world.make(course.call, course)


def _pace(courses: list[Course]) -> Pace:
    served = [course for course in courses if course.status == 200]
    tokens = sum(min(course.call.output_tokens, course.call.max_tokens) for course in served)
    refusals = sum(course.refused for course in courses)
    return Pace(
        tokens / _DURATION_S,
        sorted(course.first_s for course in served),
        sorted(course.per_token_s for course in served),
        refusals / max(1, sum(course.attempts for course in courses)),
        sum(course.status not in {None, 200} for course in courses),
    )


class Slots:
    """So many calls at once, first come, first served; `limit` may change at any time.

    A refused call keeps its slot while it waits as an SDK does.
    """

    def __init__(self, limit: float, seed: int) -> None:
        self.limit, self.running, self.backoff = limit, 0, Backoff(seed)
        self.now = asyncio.get_running_loop().time
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def reserve(
        self,
        demand: Demand,  # noqa: ARG002 - only calls are counted
        *,
        tier: str | None = None,  # noqa: ARG002
        again: Lease | None = None,
    ) -> SlotLease:
        """Return when there is a slot."""
        if isinstance(again, SlotLease):
            return again.repeated()
        if self._waiting or self.running >= int(self.limit):
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            try:
                await future
            except asyncio.CancelledError:
                if future.done() and not future.cancelled():
                    self.leave()
                raise
        else:
            self.running += 1
        return SlotLease(self)

    def leave(self) -> None:
        """Give a slot back."""
        self.running -= 1
        while self._waiting and self.running < int(self.limit):
            future = self._waiting.popleft()
            if not future.done():
                self.running += 1
                future.set_result(None)

    def ended(self, latency_s: float) -> None:
        """Take note of a call that was served."""


class SlotLease:
    """One slot."""

    def __init__(self, owner: Slots) -> None:
        self._owner, self._sent_s, self._attempts = owner, owner.now(), 1

    def repeated(self) -> SlotLease:
        """Return itself, for another attempt."""
        self._sent_s = self._owner.now()
        self._attempts += 1
        return self

    def heard(self, headers: Mapping[str, str]) -> None:
        """Do nothing."""

    def settle(self, usage: Usage, headers: Mapping[str, str]) -> None:  # noqa: ARG002
        """Give the slot back."""
        self._owner.ended(self._owner.now() - self._sent_s)
        self._owner.leave()

    def refused(
        self,
        status: int,  # noqa: ARG002
        headers: Mapping[str, str],
        body: Mapping[str, Any],  # noqa: ARG002
    ) -> float | None:
        """Return what an SDK waits."""
        return self._owner.backoff.delay_s(self._attempts, headers)

    def cancel(self) -> None:
        """Give the slot back."""
        self._owner.leave()


class Gradient2(Slots):
    """Netflix's Gradient2Limit on the latency of calls, with its defaults; it ignores refusals."""

    def __init__(self, seed: int) -> None:
        super().__init__(20.0, seed)
        self._long_s: float | None = None

    def ended(self, latency_s: float) -> None:
        """Move the limit by the ratio of the long-term latency to this one."""
        self._long_s = latency_s if self._long_s is None else self._long_s
        self._long_s += (latency_s - self._long_s) * 2 / 601
        if self._long_s / latency_s > 2:
            self._long_s *= 0.95
        if self.running < self.limit / 2:
            return
        gradient = max(0.5, min(1.0, 1.5 * self._long_s / latency_s))
        self.limit = 0.8 * self.limit + 0.2 * (self.limit * gradient + 4)
        self.limit = max(20.0, min(200.0, self.limit))


def _slots(name: str, make: Callable[[int], Slots]) -> Contender:
    def made(setting: Setting) -> Limiter:
        return make(setting.seed)

    return Contender(name=name, make=made)


def fixed(limit: int) -> Contender:
    """Return a limiter that lets so many calls through at once."""
    return _slots(f"fixed {limit}", lambda seed: Slots(limit, seed))


GRADIENT = _slots("Gradient2", Gradient2)
PEERS = (fixed(16), fixed(40), fixed(128), GRADIENT)


class _Paces:
    """Closed loops of one run of the benchmarks, each run once."""

    def __init__(self, context: Context) -> None:
        self._seeds = range(context.seed, context.seed + context.pick(SEEDS, 1))
        self._kept: dict[tuple[str, bool], list[Pace]] = {}

    def of(self, contender: Contender, rules: ProviderRules = SELF_HOSTED) -> list[Pace]:
        key = contender.name, rules is SELF_HOSTED
        if key not in self._kept:
            self._kept[key] = [closed_loop(rules, contender, seed) for seed in self._seeds]
        return self._kept[key]


def tell(paces: list[Pace]) -> str:
    """Return what came of closed loops, in words."""
    tokens, refused = mean(p.tokens_per_s for p in paces), mean(p.refused_share for p in paces)
    middle, long = (mean(quantile(p.first_s, share) for p in paces) for share in (0.5, 0.99))
    token_s = mean(quantile(p.token_s, 0.5) for p in paces)
    told = f"{tokens:.0f}/s, first {middle:.2f}/{long:.1f} s, {1000 * token_s:.0f} ms per token"
    return told + (f", {100 * refused:.1f} % 429s" if refused else "")


def _note(paces: _Paces, rules: ProviderRules) -> str:
    contenders = (OURS_ADAPTIVE, *PEERS)
    return "; ".join(f"{one.name} {tell(paces.of(one, rules))}" for one in contenders)


def tokens(context: Context) -> Measured:
    paces = context.once(_Paces)
    ours = mean(pace.tokens_per_s for pace in paces.of(OURS_ADAPTIVE))
    beside = mean(pace.tokens_per_s for pace in paces.of(fixed(40)))
    return Measured(ours / beside, _note(paces, SELF_HOSTED))


def first_token(context: Context) -> Measured:
    paces = context.once(_Paces)
    ours = mean(quantile(pace.first_s, 0.99) for pace in paces.of(OURS_ADAPTIVE))
    beside = mean(quantile(pace.first_s, 0.99) for pace in paces.of(fixed(40)))
    return Measured(ours / beside, f"{ours:.2f} against {beside:.2f} s")


def hosted(context: Context) -> Measured:
    paces = context.once(_Paces)
    value = 100 * mean(pace.refused_share for pace in paces.of(OURS_ADAPTIVE, HOSTED))
    return Measured(value, _note(paces, HOSTED))


ROWS = [
    Row(
        name="concurrency-tokens",
        what="self-hosted model, 256 callers: tokens/s ÷ those of 40 calls at once",
        op=">=",
        bound=1.0,
        measure=tokens,
    ),
    Row(
        name="concurrency-first-token",
        what="the same: p99 time to the first token ÷ that of 40 calls at once",
        op="<=",
        bound=0.5,
        measure=first_token,
    ),
    Row(
        name="concurrency-hosted-429",
        what="hosted model with a hidden cap of 40 calls: % 429s per attempt",
        op="<=",
        bound=1.2,
        aim=1.0,
        measure=hosted,
    ),
]
