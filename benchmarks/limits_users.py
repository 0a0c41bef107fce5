"""A hundred users, thirty per cent repeats in other words: the published load test, taken apart.

Everybody thinks for six seconds, asks around 500 tokens, reads around 180 (at most 512), and waits
for the answer. A repeat is found by the cache with probability 0.9 and answered in 35 ms. A call
that fails is counted as a minute of waiting: whoever drops calls would else look fast. The limit is
735k tokens a minute, about what all ask for, or half of that; the first minute's worth is used up
before they begin.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from statistics import mean
from typing import TYPE_CHECKING

from accel_core.drive import virtual_time
from accel_core.testing.provider_latency import Latency
from accel_core.testing.provider_rules import openai
from benchmarks.harness import Measured, Row
from benchmarks.limits_load import Call
from benchmarks.limits_ours import OURS
from benchmarks.limits_peers import unlimited
from benchmarks.limits_protocol import Contender, Setting
from benchmarks.limits_results import SEEDS, quantile
from benchmarks.limits_run import Course, World

if TYPE_CHECKING:
    from benchmarks.harness import Context

_USERS, _THINK_S, _DURATION_S, _FROM_S = 100, 6.0, 600.0, 60.0
_REPEATS, _RECALL, _HIT_S, _TIMEOUT_S = 0.3, 0.9, 0.035, 60.0
_MAX_TOKENS = 512
_EMPTYING = 20
_LATENCY = Latency(base_s=0.05, first_s=0.38, token_s=0.012)
ENOUGH, HALF, ENDLESS = 735_000.0, 367_500.0, 1e9
SDK = unlimited(tries=3, listens=True, name="SDK retries")


@dataclass(frozen=True)
class Service:
    """What the users noticed, and what it took.

    Attributes:
        latencies_s: of every question, sorted; a failed one counts as a minute.
        tokens: charged to the key, per question, as usage says.
        refused_share: 429s per attempt.
        failed_share: of the questions that got no answer.
        per_s: questions answered.
    """

    latencies_s: list[float]
    tokens: float
    refused_share: float
    failed_share: float
    per_s: float

    def __str__(self) -> str:
        average, long = mean(self.latencies_s), quantile(self.latencies_s, 0.99)
        return (
            f"{average:.2f}/{long:.1f} s, {self.tokens:.0f} tokens,"
            f" {100 * self.refused_share:.1f} % 429s, {100 * self.failed_share:.1f} % errors,"
            f" {self.per_s:.1f}/s"
        )


def serve(contender: Contender, tokens: float, *, cached: bool, seed: int) -> Service:
    """Let the users ask for ten minutes, and return what came of it after the first."""
    with contender.around():
        return virtual_time.run(_serve(contender, tokens, seed, recall=_RECALL * cached))


async def _serve(contender: Contender, tokens: float, seed: int, *, recall: float) -> Service:
    rules = replace(openai(requests=60_000, tokens=tokens), latency=_LATENCY)
    setting = Setting(limits=rules.limits, profile="openai", mean_tokens=1_142.0, seed=seed)
    world, courses = World(rules, contender.make(setting), seed), list[Course]()
    if tokens < ENDLESS:
        await _empty(world, tokens)
    users = [
        asyncio.create_task(_user(world, Random(seed * 1_000 + number), courses, recall))
        for number in range(_USERS)
    ]
    await asyncio.sleep(_DURATION_S)
    for user in users:
        user.cancel()
    for error in await asyncio.gather(*users, return_exceptions=True):
        if isinstance(error, Exception):
            raise error
    return _service([c for c in courses if c.call.at_s >= _FROM_S and c.status is not None])


async def _empty(world: World, tokens: float) -> None:
    """Use what the first minute would otherwise give on top."""
    calls = [Call(0.0, round(0.97 * tokens / _EMPTYING), 1, max_tokens=1)] * _EMPTYING
    await asyncio.gather(*(world.make(call, Course(call)) for call in calls))


async def _user(world: World, dice: Random, courses: list[Course], recall: float) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(dice.expovariate(1 / _THINK_S))
        prompt = max(1, round(dice.lognormvariate(math.log(500), 0.68)))
        output = max(1, round(dice.lognormvariate(math.log(180), 0.6)))
        found = dice.random() < _REPEATS * recall
        course = Course(Call(loop.time(), prompt, output, _MAX_TOKENS))
        courses.append(course)
        if found:
            await asyncio.sleep(_HIT_S)
            course.ended_s, course.status = loop.time(), 200
        else:
            await world.make(course.call, course)


def _service(courses: list[Course]) -> Service:
    def latency_s(course: Course) -> float:
        if course.status != 200 or course.ended_s is None:
            return _TIMEOUT_S
        return course.ended_s - course.call.at_s

    served = [course for course in courses if course.status == 200]
    asked = [course.call for course in served if course.attempts]
    tokens = sum(c.prompt_tokens + min(c.output_tokens, c.max_tokens) for c in asked)
    refused = sum(course.refused for course in courses)
    return Service(
        sorted(map(latency_s, courses)),
        tokens / len(courses),
        refused / max(1, sum(course.attempts for course in courses)),
        1 - len(served) / len(courses),
        len(served) / (_DURATION_S - _FROM_S),
    )


class _Services:
    """Load tests of one run of the benchmarks, each run once."""

    def __init__(self, context: Context) -> None:
        self._seeds = range(context.seed, context.seed + context.pick(SEEDS, 1))
        self._kept: dict[tuple[str, float, bool], list[Service]] = {}

    def of(self, contender: Contender, tokens: float, *, cached: bool) -> list[Service]:
        key = contender.name, tokens, cached
        if key not in self._kept:
            self._kept[key] = [
                serve(contender, tokens, cached=cached, seed=seed) for seed in self._seeds
            ]
        return self._kept[key]

    def parts(self, tokens: float) -> str:
        """Return what each part gives, of the first seed."""
        told = {
            "no limit, no cache": self.of(SDK, ENDLESS, cached=False),
            "SDK": self.of(SDK, tokens, cached=False),
            "SDK + cache": self.of(SDK, tokens, cached=True),
            "limiter": self.of(OURS, tokens, cached=False),
            "limiter + cache": self.of(OURS, tokens, cached=True),
        }
        return "; ".join(f"{name} {services[0]}" for name, services in told.items())


def errors(context: Context) -> Measured:
    services = context.once(_Services)
    both = [s for limit in (ENOUGH, HALF) for s in services.of(OURS, limit, cached=True)]
    value = 100 * mean(service.failed_share for service in both)
    return Measured(value, f"at half the limit: {services.parts(HALF)}")


def average(context: Context) -> Measured:
    services = context.once(_Services)
    ours = mean(mean(s.latencies_s) for s in services.of(OURS, ENOUGH, cached=True))
    beside = mean(mean(s.latencies_s) for s in services.of(SDK, ENOUGH, cached=False))
    return Measured(ours / beside, f"published 1.2 ÷ 3.8 = 0.32. {services.parts(ENOUGH)}")


def longest(context: Context) -> Measured:
    services = context.once(_Services)
    ours = mean(quantile(s.latencies_s, 0.99) for s in services.of(OURS, ENOUGH, cached=True))
    beside = mean(quantile(s.latencies_s, 0.99) for s in services.of(SDK, ENOUGH, cached=False))
    return Measured(ours / beside, f"{ours:.1f} against {beside:.1f} s; published 4.5 ÷ 12 = 0.38")


def tokens(context: Context) -> Measured:
    services = context.once(_Services)
    ours = mean(s.tokens for s in services.of(OURS, ENOUGH, cached=True))
    beside = mean(s.tokens for s in services.of(SDK, ENDLESS, cached=False))
    return Measured(ours / beside, f"{ours:.0f} against {beside:.0f}; published 0.36")


def refusals(context: Context, limit: float) -> Measured:
    services = context.once(_Services)
    ours = mean(s.refused_share for s in services.of(OURS, limit, cached=True))
    beside = mean(s.refused_share for s in services.of(SDK, limit, cached=False))
    return Measured(100 * ours, f"SDK retries {100 * beside:.1f} %; published 8.5 → 0 %")


_WHAT = "100 users, 30 % repeats, limiter + cache"
ROWS = [
    Row(
        name="users-errors",
        what=f"{_WHAT}, two limits: % of the questions that fail",
        op="<=",
        bound=0,
        measure=errors,
    ),
    Row(
        name="users-average",
        what=f"{_WHAT}: average latency ÷ that of SDK retries",
        op="<=",
        bound=1,
        measure=average,
    ),
    Row(
        name="users-p99",
        what=f"{_WHAT}: p99 latency ÷ that of SDK retries",
        op="<=",
        bound=1,
        measure=longest,
    ),
    Row(
        name="users-tokens",
        what=f"{_WHAT}: tokens per question ÷ those without a cache",
        op="<=",
        bound=0.75,
        measure=tokens,
    ),
    Row(
        name="users-429",
        what=f"{_WHAT}: % 429s per attempt",
        op="<=",
        bound=0.5,
        measure=partial(refusals, limit=ENOUGH),
    ),
    Row(
        name="users-half-429",
        what=f"{_WHAT}, at half the limit: % 429s per attempt",
        op="<=",
        bound=0.5,
        measure=partial(refusals, limit=HALF),
    ),
]
