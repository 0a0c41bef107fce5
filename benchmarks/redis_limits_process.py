"""One of the processes of `redis_limits`: many tasks that call as often as one limiter lets them.

Run as ``python -m benchmarks.redis_limits_process SETTINGS``, a line of JSON with the fields of
`Settings`; prints one, with the fields of `Seen`. It begins when all have come, which they count on
the server.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from random import Random
from typing import TYPE_CHECKING

import redis

from accel_core import events
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.policy.limits.account import Limits
from accel_core.policy.limits.charge import Demand
from accel_core.policy.limits.provider_profile import profile_named
from accel_core.policy.limits.tiers import Tiers
from accel_core.store.redis_levels import RedisLevels
from accel_core.token_limiter import TokenLimiter

if TYPE_CHECKING:
    from accel_core.events import Event

_PATIENT_S = 1e6
_TIMEOUT_S = 2.0
"""How long the server may take to answer: what a busy machine delays is not what is measured."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What each task calls for.

    Attributes:
        tokens: of a small call, from and to.
        large_share: of the calls are large.
        large_tokens: of those.
        answer_s: that an answer takes at most.
    """

    tokens: tuple[int, int] = (100, 900)
    large_share: float = 0.03
    large_tokens: int = 3_000
    answer_s: float = 0.2


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a process is told.

    Attributes:
        url: the server.
        name: whose limits.
        ready: the name under which processes are counted that have come.
        go: the list that has one stamp for each of them: when to begin, `time.monotonic`.
        seed: of its dice.
        tokens_per_minute: the limit.
        tasks: that call one after another.
        seconds: for how long.
        load: what they call for.
    """

    url: str
    name: str
    ready: str
    go: str
    seed: int
    tokens_per_minute: float
    tasks: int
    seconds: float
    load: Load = field(default_factory=Load)


@dataclass(kw_only=True)
class Seen:
    """What a process tells; stamps are of `time.monotonic`, which processes of a machine share.

    Attributes:
        calls: of each that was let through, when, the tokens it took, and how long it waited.
        alone: when the server was found away.
        shared: when it was found back.
    """

    calls: list[tuple[float, float, float]] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    shared: list[float] = field(default_factory=list)

    def event(self, event: Event, /) -> None:
        """Note when the limits were away, and back."""
        if isinstance(event, events.LimitsAlone):
            self.alone.append(time.monotonic())
        elif isinstance(event, events.LimitsShared):
            self.shared.append(time.monotonic())


def limiter(url: str, name: str, tokens_per_minute: float, seen: Seen) -> TokenLimiter:
    """Return a limiter of one of the processes that share `name`."""
    return TokenLimiter(
        Limits(tokens_per_minute=tokens_per_minute, requests_per_minute=tokens_per_minute),
        profile_named("generic"),
        max_wait_s=_PATIENT_S,
        tiers=Tiers(),
        colours=(BlockingIo(), AsyncIo()),
        emit=seen.event,
        mono_now=time.monotonic,
        lock=threading.RLock,
        shared=RedisLevels(url, name, timeout_s=_TIMEOUT_S),
    )


async def _run(settings: Settings) -> Seen:
    seen, dice, load = Seen(), Random(settings.seed), settings.load
    shared = limiter(settings.url, settings.name, settings.tokens_per_minute, seen)
    await shared.areserve(Demand(0, 0))  # so that all know of one another
    with redis.Redis.from_url(settings.url, decode_responses=True) as client:
        client.incr(settings.ready)
        _, stamp = client.blpop([settings.go], timeout=120)
    begins_s = float(stamp)
    ends_s = begins_s + settings.seconds
    await asyncio.sleep(begins_s - time.monotonic())

    async def task() -> None:
        while True:
            large = dice.random() < load.large_share
            tokens = load.large_tokens if large else dice.randint(*load.tokens)
            lease = await shared.areserve(Demand(0, tokens))
            if lease.granted_s > ends_s:
                return
            seen.calls.append((lease.granted_s, lease.charge.tokens, lease.waited_s))
            await asyncio.sleep(dice.random() * load.answer_s)
            lease.settle()

    tasks = [asyncio.create_task(task()) for _ in range(settings.tasks)]
    _, late = await asyncio.wait(tasks, timeout=ends_s - time.monotonic())
    for one in late:
        one.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return seen


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    told["load"] = Load(**told["load"])
    print(json.dumps(asdict(asyncio.run(_run(Settings(**told))))))
