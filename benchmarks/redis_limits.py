"""Eight processes on one limiter over Redis: what they use of the limit together, and never more.

Ten thousand tokens a second; eight processes of twenty-five tasks offer about ten times as much, of
small calls and a few large. The key's burst is spent before they begin but for half a second's
worth, since a whole minute's would hide what comes after. Real processes, a real server, real time.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.policy.limits.charge import Demand
from benchmarks import children
from benchmarks.harness import Measured, Row, UnavailableError
from benchmarks.redis_limits_process import Seen, Settings, limiter
from tests.redis_server import RedisServer
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from accel_core.token_limiter import TokenLimiter
    from benchmarks.harness import Context

PROCESSES, TASKS = 8, 25
RATE_PER_S, BURST_S = 10_000.0, 0.5
_BEGIN_S = 0.5
_AWAY_FROM, _AWAY_TO = 0.3, 0.6
"""When the server is away, as shares of the time."""


class Shared(NamedTuple):
    """One run.

    Attributes:
        seen: what each process saw.
        began_s: when they began.
        seconds: how long they called.
        commands: reservations the server carried out meanwhile; None: it was started anew.
        back_s: when it answered again; None: it was never away.
    """

    seen: list[Seen]
    began_s: float
    seconds: float
    commands: int | None
    back_s: float | None

    @property
    def calls(self) -> list[tuple[float, float, float]]:
        """All that were let through, in order."""
        return sorted(tuple(call) for one in self.seen for call in one.calls)

    @property
    def used(self) -> float:
        """Tokens admitted ÷ (rate · T + burst)."""
        admitted = sum(tokens for _, tokens, _ in self.calls)
        return admitted / (RATE_PER_S * (self.seconds + BURST_S))

    @property
    def worst_s(self) -> float:
        """By how much the fullest stretch of time went over the limit, in seconds of its rate."""
        burst = RATE_PER_S * BURST_S
        left, at_s, worst = burst, self.began_s, 0.0
        for when_s, tokens, _ in self.calls:
            left = min(burst, left + RATE_PER_S * (when_s - at_s)) - tokens
            at_s, worst = when_s, min(worst, left)
        return max(0.0, -worst) / RATE_PER_S

    @property
    def commands_per_call(self) -> float:
        """Reservations the server carried out for each call that was let through."""
        assert self.commands is not None
        return self.commands / len(self.calls)

    def waited_s(self, share: float) -> float:
        """Return a quantile of the waits."""
        waits_s = sorted(wait_s for _, _, wait_s in self.calls)
        return waits_s[min(len(waits_s) - 1, int(share * len(waits_s)))]

    def __str__(self) -> str:
        each = sorted(sum(tokens for _, tokens, _ in one.calls) for one in self.seen)
        return (
            f"{len(self.calls)} calls in {self.seconds:g} s; fullest stretch"
            f" +{self.worst_s:.2f} s of the rate; wait p50/p99/longest"
            f" {self.waited_s(0.5):.1f}/{self.waited_s(0.99):.1f}/{self.waited_s(1.0):.1f} s;"
            f" a process's part {each[0] / sum(each):.0%} to {each[-1] / sum(each):.0%}"
        )


def steady(context: Context) -> Shared:
    """Run them with the server there all the time."""
    return run(float(context.pick(30, 10)), seed=context.seed)


def away(context: Context) -> Shared:
    """Run them with the server killed on the way, and started anew, empty."""

    def kill(server: RedisServer, began_s: float, seconds: float) -> float:
        time.sleep(began_s + _AWAY_FROM * seconds - time.monotonic())
        server.kill()
        time.sleep(began_s + _AWAY_TO * seconds - time.monotonic())
        server.start()
        return time.monotonic()

    return run(float(context.pick(40, 20)), seed=context.seed, meanwhile=kill)


def by_peer(context: Context) -> Shared:
    """Run as many processes by throttled-py, as `steady` does ours."""

    def process(settings: Mapping[str, Any]) -> Seen:
        with children.Peer("throttled", "throttled_limit.py") as peer:
            return Seen(**peer.ask(**settings, burst_s=BURST_S))

    seconds = float(context.pick(30, 10))
    return run(seconds, seed=context.seed, process=process, begin=_go)


def _ours(settings: Mapping[str, Any]) -> Seen:
    return Seen(**children.measure("benchmarks.redis_limits_process", json.dumps(settings)))


def run(
    seconds: float,
    *,
    processes: int = PROCESSES,
    seed: int = 1,
    meanwhile: Callable[[RedisServer, float, float], float | None] = lambda *_: None,
    process: Callable[[Mapping[str, Any]], Seen] = _ours,
    begin: Callable[[RedisServer, Settings, int], float] | None = None,
) -> Shared:
    """Let `processes` call for so many seconds.

    Args:
        seconds: that they call.
        processes: of `TASKS` tasks each.
        seed: of their dice.
        meanwhile: called with the server, when they began, and `seconds`; returns when the server
            was back, if it was away.
        process: carries out one of them.
        begin: lets them begin and returns when; None: when ours have spent their burst.
    """
    with RedisServer(BUILDS[0]) as server, server.client() as client:
        settings = Settings(
            url=server.url,
            name="a key",
            ready="ready",
            go="go",
            seed=seed,
            tokens_per_minute=60.0 * RATE_PER_S,
            tasks=TASKS,
            seconds=seconds,
        )
        with ThreadPoolExecutor(processes) as pool:
            told = [
                pool.submit(process, {**asdict(settings), "seed": seed + number})
                for number in range(processes)
            ]
            while int(client.get(settings.ready) or 0) < processes:
                assert not any(one.done() for one in told), [one.result() for one in told]
                time.sleep(0.05)
            client.config_resetstat()
            began_s = (begin or _begin)(server, settings, processes)
            back_s = meanwhile(server, began_s, seconds)
            seen = [one.result() for one in told]
        commands = None if back_s else _commands(client)
        return Shared(seen, began_s, seconds, commands, back_s)


def _go(server: RedisServer, settings: Settings, processes: int) -> float:
    began_s = time.monotonic() + _BEGIN_S
    with server.client() as client:
        client.rpush(settings.go, *[began_s] * processes)
    return began_s


def _begin(server: RedisServer, settings: Settings, processes: int) -> float:
    """Spend the burst but for its rest, and let the processes begin; return when."""
    spends = limiter(server.url, settings.name, settings.tokens_per_minute, Seen())
    began_s = _go(server, settings, processes)
    time.sleep(began_s - 0.1 - time.monotonic())
    # Only a tenth of a second later: what is refilled until then is left beside the rest.
    burst = 60.0 * RATE_PER_S
    spends.reserve(Demand(0, burst - RATE_PER_S * (BURST_S - 0.1))).settle()
    return began_s


def _commands(client: Any) -> int:
    return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])


def used(context: Context) -> Measured:
    found = context.once(steady)
    return Measured(found.used, str(found))


def commands(context: Context) -> Measured:
    return _beside(context, lambda one: one.commands_per_call)


def longest_wait(context: Context) -> Measured:
    return _beside(context, lambda one: one.waited_s(1.0) / one.waited_s(0.5))


def _beside(context: Context, figure: Callable[[Shared], float]) -> Measured:
    try:
        peer = context.once(by_peer)
        told = f"throttled-py (GCRA) {figure(peer):.3g}: {peer.used:.3f} of the limit, {peer}"
    except UnavailableError as error:
        told = str(error)
    ours = context.once(steady)
    return Measured(figure(ours), f"ours: {ours}; {told}")


def used_away(context: Context) -> Measured:
    found = context.once(away)
    return Measured(found.used, f"away from {_AWAY_FROM:.0%} to {_AWAY_TO:.0%} of it; {found}")


def back(context: Context) -> Measured:
    found = context.once(away)
    assert found.back_s is not None
    took_s = [
        min(at_s for at_s in one.shared if at_s > found.back_s) - found.back_s for one in found.seen
    ]
    told = ", ".join(f"{one_s:.1f}" for one_s in sorted(took_s))
    return Measured(max(took_s), f"the processes after {told} s")


def added(context: Context) -> Measured:
    """Measure what the server adds to a call that need not wait, in its thread."""
    calls = context.pick(3_000, 500)
    with RedisServer(BUILDS[0]) as server:
        shared = limiter(server.url, "a key", 1e12, Seen())
        with server.client() as client:
            pairs = [(_timed(lambda: _reserved(shared)), _timed(client.ping)) for _ in range(calls)]
    took_s, pings_s = map(sorted, zip(*pairs, strict=True))
    told = f"p99 {1e3 * took_s[int(0.99 * calls)]:.2f}; a PING {1e3 * median(pings_s):.2f} ms"
    return Measured(1e3 * median(took_s), f"two limits, blocking; {told}")


def _reserved(limiter: TokenLimiter) -> None:
    limiter.reserve(Demand(0, 500)).settle()


def _timed(call: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    call()
    return time.perf_counter() - began_s


_WHAT = f"{PROCESSES} processes on one limiter"

ROWS = [
    Row(
        name="limits-shared-most",
        what=f"{_WHAT}: admitted ÷ (rate·T + burst)",
        op="<=",
        bound=1.0,
        measure=used,
    ),
    Row(
        name="limits-shared-least",
        what=f"{_WHAT}: admitted ÷ (rate·T + burst)",
        op=">=",
        bound=0.99,
        measure=used,
    ),
    Row(
        name="limits-shared-commands",
        what=f"{_WHAT}: commands to the server for each admitted call",
        op="<=",
        bound=2.5,
        measure=commands,
    ),
    Row(
        name="limits-shared-fair",
        what=f"{_WHAT}: longest wait ÷ the usual one",
        op="<=",
        bound=5,
        measure=longest_wait,
    ),
    Row(
        name="limits-away-most",
        what=f"{_WHAT}, the server killed and started anew: admitted ÷ (rate·T + burst)",
        op="<=",
        bound=1.0,
        measure=used_away,
    ),
    Row(
        name="limits-away-least",
        what=f"{_WHAT}, the server killed and started anew: admitted ÷ (rate·T + burst)",
        op=">=",
        bound=0.9,
        measure=used_away,
    ),
    Row(
        name="limits-back",
        what=f"{_WHAT}: seconds until all share again after the server is back",
        op="<=",
        bound=5,
        measure=back,
    ),
    Row(
        name="limits-shared-added",
        what="a limiter over Redis: what it adds to a call with room, p50, ms",
        op="<=",
        bound=1,
        measure=added,
    ),
]
