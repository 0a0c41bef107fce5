"""Peers: limiters that people use today, as they use them, behind the scenarios' protocol.

Real classes where there are any. All of them go on after a 429 as the OpenAI SDK does (0.5 s,
doubled up to 8 s, or the ``retry-after`` of up to a minute), and ask the limiter again.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from benchmarks.limits_protocol import Contender

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from benchmarks.limits_protocol import Demand, Lease, Limiter, Setting, Usage

_LONGEST_RETRY_AFTER_S = 60.0


class Backoff:
    """What an SDK does after a refusal.

    Args:
        seed: of its dice.
        tries: attempts per call; None: until it is served.
        listens: whether it does what ``retry-after`` says.
    """

    def __init__(self, seed: int, *, tries: int | None = None, listens: bool = True) -> None:
        self._dice, self.tries, self.listens = Random(seed), tries, listens

    def delay_s(self, attempts: int, headers: Mapping[str, str]) -> float | None:
        """Return the delay after so many attempts, None where it was the last."""
        if self.tries is not None and attempts >= self.tries:
            return None
        if self.listens:
            told_s = _told_s(headers)
            if told_s is not None and 0 < told_s <= _LONGEST_RETRY_AFTER_S:
                return told_s
        longest_s = min(0.5 * 2.0 ** (attempts - 1), 8.0)
        return longest_s * (1 - 0.25 * self._dice.random())


def _told_s(headers: Mapping[str, str]) -> float | None:
    if "retry-after-ms" in headers:
        return float(headers["retry-after-ms"]) / 1000
    return float(headers["retry-after"]) if "retry-after" in headers else None


class PeerLease:
    """A lease of a limiter that hears of nothing after it has let a call through."""

    def __init__(self, backoff: Backoff, attempts: int) -> None:
        self._backoff, self.attempts = backoff, attempts

    def heard(self, headers: Mapping[str, str]) -> None:
        """Do nothing."""

    def settle(self, usage: Usage, headers: Mapping[str, str]) -> None:
        """Do nothing."""

    def refused(
        self,
        status: int,  # noqa: ARG002 - an SDK treats them alike
        headers: Mapping[str, str],
        body: Mapping[str, Any],  # noqa: ARG002
    ) -> float | None:
        """Return what the SDK waits."""
        return self._backoff.delay_s(self.attempts, headers)

    def cancel(self) -> None:
        """Do nothing."""


class Peer:
    """A limiter made of one awaited function of the tokens."""

    def __init__(self, acquire: Callable[[int], Awaitable[Any]], backoff: Backoff) -> None:
        self._acquire, self._backoff = acquire, backoff

    async def reserve(
        self,
        demand: Demand,
        *,
        tier: str | None = None,  # noqa: ARG002 - peers know none
        again: Lease | None = None,
    ) -> PeerLease:
        """Return once the peer lets the call through."""
        await self._acquire(demand.prompt_tokens + demand.max_tokens)
        attempts = again.attempts if isinstance(again, PeerLease) else 0
        return PeerLease(self._backoff, attempts + 1)


async def _at_once(_: int) -> None:
    return


def unlimited(
    *, tries: int | None = 6, listens: bool = False, name: str = "none + backoff"
) -> Contender:
    """Return no limiter at all, but so many tries."""

    def make(setting: Setting) -> Limiter:
        return Peer(_at_once, Backoff(setting.seed, tries=tries, listens=listens))

    return Contender(name=name, make=make)


def aiolimiter(window_s: float) -> Contender:
    """Return aiolimiter with the rate per `window_s`; what is larger is clamped to it."""

    def make(setting: Setting) -> Limiter:
        from aiolimiter import AsyncLimiter

        capacity = setting.limits["tokens"] * window_s / 60
        limiter = AsyncLimiter(capacity, window_s)
        return Peer(lambda n: limiter.acquire(min(n, capacity)), Backoff(setting.seed))

    return Contender(name=f"aiolimiter {window_s:g} s", make=make)


def langchain(bucket: float = 10) -> Contender:
    """Return langchain-core's limiter with the requests per second that the mean size allows."""

    def make(setting: Setting) -> Limiter:
        from langchain_core.rate_limiters import InMemoryRateLimiter

        limiter = InMemoryRateLimiter(
            requests_per_second=setting.limits["tokens"] / 60 / setting.mean_tokens,
            check_every_n_seconds=0.1,
            max_bucket_size=bucket,
        )
        return Peer(lambda _: limiter.aacquire(), Backoff(setting.seed))

    return Contender(name="langchain-core", make=make, around=_langchain_in_virtual_time, slow=True)


@contextmanager
def _langchain_in_virtual_time() -> Iterator[None]:
    """Let langchain-core's limiter read the clock of the running loop."""
    from langchain_core import rate_limiters

    there = SimpleNamespace(monotonic=lambda: asyncio.get_running_loop().time(), sleep=time.sleep)
    vars(rate_limiters)["time"] = there
    try:
        yield
    finally:
        vars(rate_limiters)["time"] = time


PEERS = (unlimited(), aiolimiter(60.0), aiolimiter(1.0), langchain())
"""Those that the throughput scenarios are compared with."""
