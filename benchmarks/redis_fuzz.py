"""What callers see of a store in which somebody else's hand writes: nothing.

Two processes share a server, and one keeps next to nothing in memory, so that it reads what
is there; three tenants use both. A hand (`redis_hand`) spoils what they store, and
they go on asking, storing, invalidating, changing documents. What a call may raise is a
`StoreError` where it promises that something is gone. With a key set, what is served is the answer
to that very question of that very tenant.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from accel_core.clocks import Clocks
from accel_core.errors import StoreError
from accel_core.policy.admission import Answer
from accel_core.secrecy import Secrets
from accel_core.semantic_cache import Hit, Miss
from accel_core.testing.encoders import HashEncoder
from benchmarks import cache_parts as parts
from benchmarks import redis_parts
from benchmarks.harness import Measured, Row
from benchmarks.redis_hand import Hand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.accel import Accel
    from benchmarks.harness import Context
    from tools.redis_server import RedisServer

_TENANTS = ("one", "two", "three")
_QUESTIONS = (
    "where is the blue car of my sister",
    "who painted the old bridge over there",
    "what does the green ticket cost today",
    "how long is the river behind our house",
    "which train goes to the northern harbour",
    "when does the small shop open again",
)
_ACTS_AT_ONCE, _TIMES = 20, 5
_KEY = b"a key that only these processes have."
_PASSED_S = 10.0
"""Longer than a store rests after it failed, so that it is asked again."""
_WAITS_S = 0.1
"""A lease outlives the leader whose answer the store could not take: the next call waits for it."""


@dataclass
class Seen:
    """What callers saw.

    Attributes:
        acts: of the hand.
        calls: of callers.
        hits: how many of those were answered.
        refusals: calls that say what they could not remove, and said so.
        wrong: what should not have been seen.
        longest_s: the longest call.
    """

    acts: int = 0
    calls: int = 0
    hits: int = 0
    refusals: int = 0
    wrong: list[str] = field(default_factory=list)
    longest_s: float = 0.0


def fuzz(
    server: RedisServer,
    acts: int,
    seed: int,
    *,
    search: str | None = None,
    report: Callable[[float], None] = lambda _: None,
) -> Seen:
    """Let the hand do `acts` things to what is stored on `server`, and return what callers saw."""
    seen = Seen()
    with server.client() as client:
        while seen.acts < acts:
            dice = Random(f"{seed} {seen.acts}")
            client.flushall()
            _episode(server, search, Hand(client, dice), dice, seen)
            report(seen.acts / acts)
    return seen


def _episode(server: RedisServer, search: str | None, hand: Hand, dice: Random, seen: Seen) -> None:
    """Fill a store, and spoil it time and again while it is used."""
    passed_s = 0.0
    options: dict[str, Any] = {
        "search": search,
        "semantic": parts.PLAIN,
        "secrets": Secrets(_KEY),
        "clocks": Clocks(mono_now=lambda: time.monotonic() + passed_s),
        "waits_s": _WAITS_S,
    }
    with (
        redis_parts.joined(server.url, HashEncoder(), **options) as one,
        redis_parts.joined(server.url, HashEncoder(), memory_entries=1, **options) as two,
    ):
        callers = [_Caller(accel, seen) for accel in (one, two)]
        for tenant in _TENANTS:
            for question in _QUESTIONS:
                callers[0].ask(tenant, question, question)
        callers[0].change_documents()
        one.flush()
        for _ in range(_TIMES):
            hand.act(_ACTS_AT_ONCE)
            seen.acts += _ACTS_AT_ONCE
            if dice.random() < 0.1:
                hand.drop_index()
            for caller in dice.choices(callers, k=12):
                caller.call(dice)
            passed_s += _PASSED_S


class _Caller:
    """What an application does in one process; all that it sees is noted."""

    def __init__(self, accel: Accel, seen: Seen) -> None:
        self._accel, self._seen = accel, seen

    def call(self, dice: Random) -> None:
        """Do something that applications do."""
        act = dice.random()
        if act < 0.94:
            tenant, question = dice.choice(_TENANTS), dice.choice(_QUESTIONS)
            words = question if dice.random() < 0.5 else question.upper() + "?"
            self.ask(tenant, question, words, later=dice.random() < 0.5)
        elif act < 0.95:
            self._noted(lambda: self._removed(self._accel.invalidate))
        elif act < 0.97:
            tenant = dice.choice(_TENANTS)
            self._noted(lambda: self._removed(lambda: self._accel.forget(tenant=tenant)))
        else:
            self.change_documents()

    def ask(self, tenant: str, question: str, words: str, *, later: bool = False) -> None:
        """Ask `question` in those words, in either colour, and store the answer to a miss."""
        self._noted(lambda: self._ask(tenant, question, words, later=later))

    def change_documents(self) -> None:
        """Say that documents changed."""
        corpus = self._accel.corpus("faq")
        self._noted(lambda: self._removed(lambda: corpus.changed(["a document"])))

    def _ask(self, tenant: str, question: str, words: str, *, later: bool) -> None:
        cache, right = self._accel.cache, f'"{question} of {tenant}"'
        with self._accel.tenant(tenant):
            asked = parts.request_of(self._accel, words)
            found = asyncio.run(cache.alookup(asked)) if later else cache.lookup(asked)
            if isinstance(found, Miss):
                cache.store(asked, Answer(right.encode(), right), flight=found.flight)
        if isinstance(found, Hit):
            self._seen.hits += 1
            if found.entry.payload != right.encode():
                self._seen.wrong.append(f"{right} was answered {found.entry.payload!r}")

    def _removed(self, remove: Callable[[], object]) -> None:
        try:
            remove()
        except StoreError:
            self._seen.refusals += 1

    def _noted(self, call: Callable[[], object]) -> None:
        self._seen.calls += 1
        began_s = time.perf_counter()
        try:
            call()
        except Exception:
            self._seen.wrong.append(traceback.format_exc())
        self._seen.longest_s = max(self._seen.longest_s, time.perf_counter() - began_s)


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep to ourselves what of all this would deserve somebody's attention."""
    logger = logging.getLogger("accel")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def fuzzed(context: Context) -> Measured:
    """Count exceptions that reached callers, and answers that were not theirs."""
    searches = ("query_engine", "vector_sets", "process")
    acts, seen = context.pick(100_000, 6_000) // len(searches), {}
    with _unlogged(), redis_parts.running() as server:
        for number, search in enumerate(searches):
            seen[search] = fuzz(
                server,
                acts,
                context.seed,
                search=search,
                report=lambda share, done=number: context.report((done + share) / len(searches)),
            )
    note = "; ".join(
        f"{search}: {one.acts:,} acts, {one.calls:,} calls, {one.hits:,} hits,"
        f" {one.refusals:,} said what may be left, longest {one.longest_s:.2f} s"
        for search, one in seen.items()
    )
    wrong = [what for one in seen.values() for what in one.wrong]
    return Measured(len(wrong), "; ".join([note, *wrong[:1]]))


ROWS = [
    Row(
        name="fuzz",
        what="writes of a foreign hand that raised to a caller, or had one served what is not his",
        op="<=",
        bound=0,
        measure=fuzzed,
    ),
]
