"""Scenarios: a load, a provider and a limiter in virtual time, and what came of every call.

A run is deterministic for a seed. A call's way: reserve, 15 ms and more up the wire, the
provider's word, the same way back; a refused call does what its lease says.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Protocol

from accel_core.drive import virtual_time
from accel_core.testing.provider import Admitted, SimulatedProvider
from accel_core.testing.provider_rules import Ask
from benchmarks.limits_protocol import Demand, RejectedError, Setting, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from accel_core.testing.provider_rules import ProviderRules
    from benchmarks.limits_load import Call
    from benchmarks.limits_protocol import Contender, Lease, Limiter

_ESTIMATE_SIGMA = 0.05


class Load(Protocol):
    """Calls of callers who do not wait for one another.

    Attributes:
        mean_tokens: that a call is charged.
        duration_s: of the arrivals.
    """

    @property
    def mean_tokens(self) -> float: ...
    @property
    def duration_s(self) -> float: ...
    def calls(self, seed: int) -> Iterable[Call]:
        """Return the calls in the order of their arrival."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What a limiter is put through.

    Attributes:
        name: also the key under which its outcomes are kept.
        rules: of the provider.
        profile: the name by which the limiter knows the provider.
        load: of the callers.
        until_s: when it ends; None: when every call has ended.
    """

    name: str
    rules: ProviderRules
    profile: str = "openai"
    load: Load
    until_s: float | None = 450.0


@dataclass(slots=True)
class Course:
    """What came of one call.

    Attributes:
        call: what was asked.
        attempts: times it was sent.
        refused: times it was answered with a 429.
        sent_s: when the attempt that was served was sent; None: none was.
        first_s: from that to its first token.
        per_token_s: its time per output token.
        ended_s: when it was over.
        status: 200, that of the refusal it ended with, 0 where the limiter took it not, None where
            it was still waiting at the end.
    """

    call: Call
    attempts: int = 0
    refused: int = 0
    sent_s: float | None = None
    first_s: float = 0.0
    per_token_s: float = 0.0
    ended_s: float | None = None
    status: int | None = None

    @property
    def wait_s(self) -> float:
        """Return how long it waited until it was sent for good."""
        assert self.sent_s is not None
        return self.sent_s - self.call.at_s


@dataclass
class Outcome:
    """What came of one run.

    Attributes:
        courses: of all calls that arrived, in the order of arrival.
        utilisation: share of the provider's rate that was used in the last two thirds.
    """

    courses: list[Course] = field(default_factory=list)
    utilisation: float = 0.0

    @property
    def refused_share(self) -> float:
        """Return the 429s per attempt."""
        return self.refusals / max(1, sum(course.attempts for course in self.courses))

    @property
    def refusals(self) -> int:
        """Return the number of 429s."""
        return sum(course.refused for course in self.courses)

    @property
    def told_429(self) -> int:
        """Return how many calls ended with a 429."""
        return sum(course.status == 429 for course in self.courses)

    @property
    def failed(self) -> int:
        """Return how many calls were sent and not served in the end."""
        return sum(course.status not in {None, 0, 200} for course in self.courses)

    @property
    def largest_served(self) -> int:
        """Return how many calls with a large prompt were served."""
        return len(self.waits_s(large=True))

    def waits_s(self, *, large: bool | None = None) -> list[float]:
        """Return the waits of the calls that were served, sorted; of the large ones only."""
        return sorted(
            course.wait_s
            for course in self.courses
            if course.sent_s is not None and large in {None, course.call.large}
        )


class World:
    """One provider, one limiter, and the wire between them; made inside a running loop."""

    def __init__(self, rules: ProviderRules, limiter: Limiter, seed: int) -> None:
        self.provider = SimulatedProvider(rules, seed=seed)
        self.limiter = limiter
        self._dice = Random(seed + 1)
        self._loop = asyncio.get_running_loop()

    async def make(self, call: Call, course: Course) -> None:
        """Carry out `call` as an application would, and note its course."""
        estimate = call.prompt_tokens * (1 + self._dice.gauss(0.0, _ESTIMATE_SIGMA))
        demand = Demand(max(1, round(estimate)), call.max_tokens)
        lease: Lease | None = None
        while course.status is None:
            try:
                lease = await self.limiter.reserve(demand, tier=call.tier, again=lease)
            except RejectedError:
                course.status = 0
                break
            delay_s = await self._send(call, course, lease)
            if delay_s is not None and delay_s > 0:
                await asyncio.sleep(delay_s)
        course.ended_s = self._loop.time()

    async def _send(self, call: Call, course: Course, lease: Lease) -> float | None:
        """Send `call` and return how long it is to wait if it is to be sent again."""
        sent_s = self._loop.time()
        course.attempts += 1
        await self._wire()
        ask = Ask(
            prompt_tokens=call.prompt_tokens,
            output_tokens=call.output_tokens,
            max_tokens=call.max_tokens,
        )
        verdict = self.provider.admit(ask, self._loop.time())
        if isinstance(verdict, Admitted):
            course.sent_s = sent_s
            await self._serve(verdict, course, lease)
            return None
        await self._wire()
        course.refused += verdict.status == 429
        delay_s = lease.refused(verdict.status, verdict.headers, verdict.body)
        if delay_s is None:
            course.status = verdict.status
        return delay_s

    async def _serve(self, running: Admitted, course: Course, lease: Lease) -> None:
        assert course.sent_s is not None
        await asyncio.sleep(running.course.first_s)
        await self._wire()
        course.first_s = self._loop.time() - course.sent_s
        course.per_token_s = running.course.token_s
        lease.heard(running.headers)
        await asyncio.sleep(
            max(0.0, running.admitted_at + running.course.end_s - self._loop.time())
        )
        used = self.provider.finish(running, self._loop.time())
        lease.settle(Usage(used.prompt_tokens, used.output_tokens), running.headers)
        course.status = 200

    async def _wire(self) -> None:
        await asyncio.sleep(0.015 + self._dice.lognormvariate(-4.6, 0.6))


def run(scenario: Scenario, contender: Contender, seed: int) -> Outcome:
    """Put `contender` through `scenario` in virtual time."""
    with contender.around():
        return virtual_time.run(_run(scenario, contender, seed))


async def _run(scenario: Scenario, contender: Contender, seed: int) -> Outcome:
    loop = asyncio.get_running_loop()
    setting = Setting(
        limits=scenario.rules.limits,
        profile=scenario.profile,
        mean_tokens=scenario.load.mean_tokens,
        seed=seed,
    )
    world = World(scenario.rules, contender.make(setting), seed)
    outcome, tasks = Outcome(), set[asyncio.Task[None]]()
    measuring = loop.create_task(_utilisation(world, scenario.until_s or scenario.load.duration_s))
    feeding = loop.create_task(_feed(world, scenario.load.calls(seed), outcome, tasks.add))
    outcome.utilisation = await measuring
    if scenario.until_s is None:
        await feeding
    else:
        for task in [feeding, *tasks]:
            task.cancel()
    ended = await asyncio.gather(feeding, *tasks, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error
    return outcome


async def _utilisation(world: World, end_s: float) -> float:
    """Return the share of the tokens that was used in the last two thirds of so many seconds."""
    provider = world.provider
    await asyncio.sleep(end_s / 3)
    before = provider.charged_in_all.get("tokens", 0.0)
    await asyncio.sleep(end_s * 2 / 3)
    used = provider.charged_in_all.get("tokens", 0.0) - before
    allowed = provider.rules.limits.get("tokens", 0.0) / 60 * end_s * 2 / 3
    # What was left of the first minute's bucket can make it more than all.
    return min(1.0, used / allowed) if allowed else 0.0


async def _feed(
    world: World,
    calls: Iterable[Call],
    outcome: Outcome,
    keep: Callable[[asyncio.Task[None]], None],
) -> None:
    loop = asyncio.get_running_loop()
    for call in calls:
        await asyncio.sleep(call.at_s - loop.time())
        course = Course(call)
        outcome.courses.append(course)
        keep(loop.create_task(world.make(call, course)))
