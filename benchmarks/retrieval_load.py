"""Many users and few questions, in virtual time: how late the last of a hundred is, and the waves.

The load is that of a published system: 300 requests a second, a model that takes 800 ms, a search
that takes 120 ms, each question repeated five times in 30 seconds on average. Latencies are
lognormal; the search has a fixed number of workers, so that what is not cached queues.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
import math
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.clocks import Clocks
from accel_core.drive import virtual_time
from benchmarks.harness import Measured, Row
from benchmarks.retrieval_desk import Desk, opened

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from benchmarks.harness import Context

_PER_S = 300.0
_REPEATS, _WITHIN_S = 5, 30.0
_MODEL_S, _SEARCH_S, _SPREAD = 0.8, 0.12, 0.3
_SEARCHES_AT_ONCE = 48
_WARMED_PER_S = 20.0
_ELSE_S = 0.02
"""What every request takes besides: network, templates, the web framework."""


class Service:
    """The application behind the cache: searches, then asks the model."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._workers = asyncio.Semaphore(_SEARCHES_AT_ONCE)
        self.searches = 0

    def _takes_s(self, mean_s: float) -> float:
        return self._dice.lognormvariate(math.log(mean_s) - _SPREAD**2 / 2, _SPREAD)

    async def search(self) -> dict[str, Any]:
        self.searches += 1
        async with self._workers:
            await asyncio.sleep(self._takes_s(_SEARCH_S))
        return {"d1": "text"}

    async def answer(self, search: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        found = await search()
        await asyncio.sleep(self._takes_s(_MODEL_S))
        return found


class Zipf:
    """Questions, some asked far more often than others."""

    def __init__(self, dice: random.Random) -> None:
        self.count = int(_PER_S * _WITHIN_S / _REPEATS)
        self._dice = dice
        self._sums = list(itertools.accumulate(1.0 / rank for rank in range(1, self.count + 1)))

    def draw(self) -> str:
        at = bisect.bisect(self._sums, self._dice.random() * self._sums[-1])
        return f"question {min(at, self.count - 1)}"


class Outcome(NamedTuple):
    """What the users met, in seconds, and how often was searched."""

    p50_s: float
    p99_s: float
    searches: int


async def _run(
    seconds: float,
    seed: int,
    ask: Callable[[Service, str], Coroutine[Any, Any, object]],
    *,
    warm: bool,
) -> Outcome:
    dice = random.Random(seed)
    service, questions = Service(random.Random(seed + 1)), Zipf(random.Random(seed + 2))
    loop = asyncio.get_running_loop()
    if warm:
        filling = []
        for number in range(questions.count):
            await asyncio.sleep(1 / _WARMED_PER_S)
            filling.append(asyncio.create_task(ask(service, f"question {number}")))
        await asyncio.gather(*filling)
        service.searches = 0
    took_s: list[float] = []

    async def user(question: str) -> None:
        began_s = loop.time()
        await asyncio.sleep(_ELSE_S)
        await ask(service, question)
        took_s.append(loop.time() - began_s)

    users: list[asyncio.Task[None]] = []
    end_s = loop.time() + seconds
    while loop.time() < end_s:
        await asyncio.sleep(dice.expovariate(_PER_S))
        users.append(asyncio.create_task(user(questions.draw())))
    await asyncio.gather(*users)
    took_s.sort()
    return Outcome(took_s[len(took_s) // 2], took_s[len(took_s) * 99 // 100], service.searches)


async def _uncached(seconds: float, seed: int) -> Outcome:
    async def ask(service: Service, _: str) -> object:
        return await service.answer(service.search)

    return await _run(seconds, seed, ask, warm=False)


async def _cached(seconds: float, seed: int, path: str, *, warm: bool) -> Outcome:
    with opened(_clocks(seed), path=path) as accel:
        answers, documents = Desk(accel, kind="answers"), Desk(accel)

        async def ask(service: Service, question: str) -> object:
            async def search() -> dict[str, Any]:
                return await documents.aask(question, service.search)

            return await answers.aask(question, lambda: service.answer(search))

        return await _run(seconds, seed, ask, warm=warm)


def _clocks(seed: int) -> Clocks:
    loop = asyncio.get_running_loop()
    return Clocks(wall_now=loop.time, mono_now=loop.time, chance=random.Random(seed).random)


def published(context: Context) -> Measured:
    """Compare the published scenario with and without the cache."""
    seconds = float(context.pick(120, 40))
    plain = virtual_time.run(_uncached(seconds, context.seed))
    with tempfile.TemporaryDirectory() as folder:
        warm, cold = (
            virtual_time.run(
                _cached(seconds, context.seed, str(Path(folder) / name), warm=name == "warm")
            )
            for name in ("warm", "cold")
        )
    told = "; ".join(
        f"{name}: p50 {one.p50_s * 1e3:.0f}, p99 {one.p99_s * 1e3:.0f} ms, {one.searches} searches"
        for name, one in (("uncached", plain), ("warmed up", warm), ("cold start", cold))
    )
    return Measured(plain.p99_s / warm.p99_s, told)


async def _wave(jitter: float, entries: int, seed: int) -> int:
    """Return the most searches in one second when what was filled together ends."""
    loop = asyncio.get_running_loop()
    ttl = {"base_s": 60.0, "jitter": jitter}
    plain = {"near_ttl": ttl, "ttl": {"base_s": 600.0, "jitter": jitter}, "early": 0.0}
    by_second: dict[int, int] = {}

    async def search() -> dict[str, Any]:
        second = int(loop.time())
        by_second[second] = by_second.get(second, 0) + 1
        return {"d1": "text"}

    with opened(_clocks(seed), **plain, stale_s=0.0, hot_factor=1.0) as accel:
        desk = Desk(accel)
        for second in range(100):
            # Everybody asks everything once a second; at the first, the cache is filled.
            for number in range(entries):
                await desk.aask(f"question {number}", search)
            await asyncio.sleep(1.0)
            if second == 0:
                by_second.clear()
    return max(by_second.values())


def wave(context: Context) -> Measured:
    """Compare the load when a synchronised fill ends, with fixed and with jittered lifetimes."""
    entries = context.pick(2000, 400)
    fixed, jittered = (
        virtual_time.run(_wave(jitter, entries, context.seed)) for jitter in (0.0, 0.1)
    )
    told = f"{entries} entries: {fixed} searches in the second of their end, jittered {jittered}"
    return Measured(fixed / jittered, told)


ROWS = [
    Row(
        name="published-load-p99",
        what="300 requests/s, questions repeated 5 times in 30 s: p99 uncached ÷ cached",
        op=">=",
        bound=4.3,
        aim=6,
        measure=published,
    ),
    Row(
        name="expiry-wave",
        what="searches in the second after a synchronised fill ends, fixed TTL ÷ jittered",
        op=">=",
        bound=5,
        measure=wave,
    ),
]
