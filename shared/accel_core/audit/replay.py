"""A log replayed through the caches as they are shipped, in virtual time.

Calls come at the times that the log has, ask the real cache, and where that has nothing take as
long as they took: so entries expire, concurrent calls share a flight, and full memories let go as
they would have. The loop's clock jumps (`drive.virtual_time`); nothing is asked of anybody.

Where no call has a time, they come one after the other at one moment: nothing expires, and nothing
is concurrent.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Literal, NamedTuple

from accel_core import build
from accel_core.audit.prepared import PreparedEncoder
from accel_core.audit.riskiest import Riskiest
from accel_core.clocks import Clocks
from accel_core.config import MemoryConfig, StoreConfig
from accel_core.drive import virtual_time
from accel_core.secrecy import Secrets
from accel_core.semantic_cache import Hit

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.audit.arrivals import Arrival, Arrivals
    from accel_core.audit.limits import LimitReplay
    from accel_core.audit.riskiest import RiskyHit
    from accel_core.config import AccelConfig
    from accel_core.ports import Encoder
    from accel_core.semantic_cache import Miss

Tier = Literal["exact", "shared", "semantic", ""]

_AT_ONCE = 4_096


class Outcome(NamedTuple):
    """What would have become of a call.

    Attributes:
        tier: where its answer would have come from: ``exact``; ``shared``, from a call under way;
            ``semantic``; ``""``: from the model.
        reason: why.
        waited_s: for the call under way, or for room within the limits.
        explained: whether a limit explains that the log's call was refused.
        turned_away: whether it would have found no room in time.
        same_words: of an answer by meaning, whether the log's own says the same word for word.
    """

    tier: Tier
    reason: str
    waited_s: float = 0.0
    explained: bool = False
    turned_away: bool = False
    same_words: bool = False


class Replay:
    """Replays calls. Use once.

    Args:
        config: of the caches; its store is left alone: memory holds everything, as configured.
        encoder: None: nothing is compared by meaning.
        tell: told what became of each call, in the order of their ends.
        limits: makes what keeps calls within limits, given a clock; None: none does.
    """

    def __init__(
        self,
        config: AccelConfig,
        encoder: Encoder | None,
        tell: Callable[[Arrival, Outcome], None],
        *,
        limits: Callable[[Callable[[], float]], LimitReplay] | None = None,
    ) -> None:
        self.config = replayed(config, semantic=encoder is not None)
        self._encoder = None if encoder is None else PreparedEncoder(encoder)
        self._tell, self._clock = tell, _Clock()
        self._limits = None if limits is None else limits(self._clock.now)
        clocks = Clocks(
            wall_now=self._clock.wall_now, mono_now=self._clock.now, chance=Random(0).random
        )
        observers = build.unobserved(clocks)
        self._built = build.build_caches(
            self.config, Secrets(), observers, clocks, encoder=self._encoder
        )
        semantic = self.config.cache.semantic
        policy = None if encoder is None else build.build_similarity(semantic, encoder)
        self._riskiest = Riskiest(policy, self._built.tiers, semantic.gates)

    def run(self, arrivals: Arrivals, report: Callable[[float], None]) -> list[RiskyHit]:
        """Replay all, and return the riskiest hits by meaning, the riskiest first.

        Args:
            arrivals: the calls.
            report: told the share done.
        """
        span_s = arrivals.span_s()
        self._clock.origin_s = 0.0 if span_s is None else span_s[0]
        try:
            main = self._all(arrivals, report, timed=span_s is not None)
            virtual_time.run(main, threads=False)
        finally:
            self._built.cache.close()
        return self._riskiest.found()

    async def _all(
        self, arrivals: Arrivals, report: Callable[[float], None], *, timed: bool
    ) -> None:
        done, self._clock.loop = 0, asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            for block in arrivals.in_order(_AT_ONCE):
                self._prepare(block, done, arrivals.count, report)
                for arrival in block:
                    early_s = arrival.at_s - self._clock.wall_now()
                    if timed and early_s > 0:
                        await asyncio.sleep(early_s)
                    if timed:
                        tasks.create_task(self._one(arrival))
                    else:
                        await self._one(arrival)
                    done += 1
                    if not done % 100:
                        report(done / arrivals.count)

    def _prepare(
        self, block: list[Arrival], done: int, total: int, report: Callable[[float], None]
    ) -> None:
        """Make the vectors that the calls of `block` will ask for."""
        if self._encoder is None:
            return
        words = self.config.cache.semantic.max_words
        asked = (one for one in block if self._bypassed(one) is None)
        texts = (a.request.text for a in asked if len(a.request.text.split()) <= words)
        # Half of a block's time, as far as a bar can tell.
        share = len(block) / total / 2
        self._encoder.prepare(texts, lambda part: report(done / total + share * part))

    async def _one(self, arrival: Arrival) -> None:
        explained = self._limits is not None and self._limits.sent(arrival)
        bypassed = self._bypassed(arrival)
        if bypassed is not None:
            asked = await self._ask(arrival)
            self._tell(arrival, asked._replace(reason=bypassed, explained=explained))
            return
        began_s = self._clock.now()
        found = await self._built.cache.alookup(arrival.request)
        if isinstance(found, Hit):
            outcome = Outcome(found.tier, found.reason, self._clock.now() - began_s)
            if found.shared:
                outcome = outcome._replace(tier="shared")
            elif found.tier == "semantic":
                same = await self._riskiest.look(arrival, found, self._encoder)
                outcome = outcome._replace(same_words=same)
        else:
            outcome = await self._made(arrival, found)
        self._tell(arrival, outcome._replace(explained=explained))

    async def _made(self, arrival: Arrival, miss: Miss) -> Outcome:
        """Let the model answer, and keep that; followers lead where it does not."""
        cache = self._built.cache
        try:
            asked = await self._ask(arrival)
            if arrival.answer is not None and not asked.turned_away:
                answer = arrival.answer._replace(cost_s=arrival.stated.took_s or 0.0)
                cache.store(arrival.request, answer, flight=miss.flight)
                self._built.tiers.flush()  # a clock that jumps gives the background no time
        finally:
            cache.abandon(miss.flight)
        return asked._replace(reason=miss.reason)

    async def _ask(self, arrival: Arrival) -> Outcome:
        """Wait for room where there are limits, and for as long as the model took."""
        lease, waited_s = None, 0.0
        if self._limits is not None:
            lease, waited_s = await self._limits.wait(arrival)
            if lease is None:
                return Outcome("", "", waited_s, turned_away=True)
        if arrival.stated.took_s:
            await asyncio.sleep(arrival.stated.took_s)
        if self._limits is not None and lease is not None:
            self._limits.settle(lease, arrival.stated)
        return Outcome("", "", waited_s)

    def _bypassed(self, arrival: Arrival) -> str | None:
        """Return why a call passes the cache by, as live calls do."""
        if self.config.security.tenant_required and not arrival.request.tenant:
            return "tenant_required"
        return self.config.cache.admission.refuses_request(arrival.stated.temperature)


class _Clock:
    """The clock of the loop that replays, which threads behind the cache read too."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.origin_s = 0.0

    def now(self) -> float:
        """Return the seconds since the first call of the log."""
        return 0.0 if self.loop is None else self.loop.time()

    def wall_now(self) -> float:
        """Return the log's time, in seconds since the epoch."""
        return self.origin_s + self.now()


def replayed(config: AccelConfig, *, semantic: bool) -> AccelConfig:
    """Return `config` without what is outside this process: stores, files, what is only watched.

    A store behind memory holds its entries in memory here.
    """
    cache = config.cache
    memory = cache.memory
    if cache.store.kind != "none":
        most = max(memory.max_entries, cache.store.max_entries)
        memory = MemoryConfig(max_entries=most, max_bytes=max(memory.max_bytes, 2 << 30))
    meaning = replace(
        cache.semantic,
        enabled=cache.semantic.enabled and semantic,
        shadow=False,
        shadow_log=None,
        learned=None,
    )
    made = replace(cache, memory=memory, store=StoreConfig(), semantic=meaning)
    return replace(config, cache=made)
