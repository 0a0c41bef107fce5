"""One limit, several limiters, as processes that share its levels: in both colours."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from accel_core import events
from accel_core.drive import virtual_time
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.errors import LimitExceededError
from accel_core.policy.limits.account import Limits, Shown
from accel_core.policy.limits.charge import Demand, Usage
from accel_core.policy.limits.limit_store import Reserved
from accel_core.policy.limits.provider_profile import PROFILES
from accel_core.policy.limits.tiers import Tiers
from accel_core.testing.doubles import ManualClock, RecordingObserver
from accel_core.token_limiter import Lease, TokenLimiter
from tests.shared_levels import DistantIo, RemoteLevels, Server, SteppedIo

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.policy.limits.limit_store import LimitStore
    from accel_core.ports import Io, Observer

CAPACITY, RATE_PER_S = 6_000.0, 100.0
ROUND_TRIP_S = 0.002
UNTIL_S = 1_800.0
FULL = Demand(0, CAPACITY)


def limiter(
    shared: LimitStore,
    clock: ManualClock | Callable[[], float],
    io: Io | None = None,
    *,
    blocking: Io | None = None,
    seen: Observer | None = None,
    limits: Limits | None = None,
    provider: str = "openai",
) -> TokenLimiter:
    if io is None and isinstance(clock, ManualClock):
        io = SteppedIo(clock)
    assert io is not None
    return TokenLimiter(
        limits or Limits(tokens_per_minute=CAPACITY),
        PROFILES[provider],
        max_wait_s=600.0,
        tiers=Tiers(),
        colours=(blocking or io, io),
        emit=seen or RecordingObserver(),
        mono_now=(lambda: clock.now_s) if isinstance(clock, ManualClock) else clock,
        lock=threading.RLock,
        shared=shared,
    )


def two_processes(clock: ManualClock, **options: Any) -> tuple[Server, TokenLimiter, TokenLimiter]:
    server = Server(lambda: clock.now_s)
    one, other = (limiter(RemoteLevels(server), clock, **options) for _ in range(2))
    return server, one, other


Admitted = list[tuple[float, float]]


def share_of_limit(admitted: Admitted) -> float:
    """Return the share of the rate that was used after the first third of the time.

    Never more than the limit in any window of time, from the first call on.
    """
    left, at_s = CAPACITY, 0.0
    for when_s, amount in sorted(admitted):
        left, at_s = min(CAPACITY, left + RATE_PER_S * (when_s - at_s)) - amount, when_s
        assert left >= -RATE_PER_S * ROUND_TRIP_S
    used = sum(amount for when_s, amount in admitted if UNTIL_S / 3 < when_s <= UNTIL_S)
    return used / (RATE_PER_S * UNTIL_S * 2 / 3)


def async_processes(processes: int, provider: str, output: float) -> Admitted:
    admitted: Admitted = []

    async def caller(made: TokenLimiter, dice: Random) -> None:
        now = asyncio.get_running_loop().time
        while True:
            lease = await made.areserve(Demand(dice.randrange(50, 500), 400))
            admitted.append((now(), charged(lease, output)))
            await asyncio.sleep(dice.random())
            lease.settle(Usage(lease.demand.input_tokens, output))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = Server(loop.time)
        made = [
            limiter(RemoteLevels(server), loop.time, DistantIo(ROUND_TRIP_S), provider=provider)
            for _ in range(processes)
        ]
        tasks = [loop.create_task(caller(one, Random(n))) for n in range(8) for one in made]
        await asyncio.sleep(UNTIL_S)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(error, asyncio.CancelledError) for error in ended), ended

    virtual_time.run(main())
    return admitted


def sync_processes(processes: int, provider: str, output: float) -> Admitted:
    clock, dice, admitted = ManualClock(0.0), Random(1), Admitted()
    server, io = Server(lambda: clock.now_s), SteppedIo(clock, ROUND_TRIP_S)
    made = [limiter(RemoteLevels(server), clock, io, provider=provider) for _ in range(processes)]
    while clock.now_s < UNTIL_S:
        lease = dice.choice(made).reserve(Demand(dice.randrange(50, 500), 400))
        admitted.append((clock.now_s, charged(lease, output)))
        lease.settle(Usage(lease.demand.input_tokens, output))
    return admitted


def charged(lease: Lease, output: float) -> float:
    """Return what the call is charged in the end."""
    return lease._limiter.profile.charged(
        lease.demand, Usage(lease.demand.input_tokens, output)
    ).tokens


@pytest.mark.parametrize("run", [async_processes, sync_processes])
@pytest.mark.parametrize("processes", [2, 5])
def test_together_they_use_the_limit_and_never_more(run: Any, processes: int) -> None:
    share = share_of_limit(run(processes, "openai", 40.0))
    assert 0.99 <= share <= 1.01


@pytest.mark.parametrize("run", [async_processes, sync_processes])
def test_what_one_gives_back_the_other_uses(run: Any) -> None:
    """Azure gives output back that was not produced: 40 of the 400 tokens reserved are."""
    share = share_of_limit(run(2, "azure", 40.0))
    assert 0.99 <= share <= 1.01


def reserved(made: TokenLimiter, demand: Demand, colour: str, **options: Any) -> Lease:
    if colour == "sync":
        return made.reserve(demand, **options)
    return asyncio.run(made.areserve(demand, **options))


colours = pytest.mark.parametrize("colour", ["sync", "async"])


@colours
def test_now_or_not_at_all_is_asked_of_the_store(colour: str) -> None:
    """What another process left is all there is; nothing is taken where it is too little."""
    server, one, other = two_processes(ManualClock())
    lease = reserved(one, Demand(0, 5_000), colour, timeout_s=0.0)
    assert lease.waited_s == 0.0
    with pytest.raises(LimitExceededError):
        reserved(other, Demand(0, 2_000), colour, timeout_s=0.0)
    with pytest.raises(LimitExceededError):  # known since, and turned away at the door
        reserved(other, Demand(0, 2_000), colour, timeout_s=5.0)
    assert server.asked == 2
    lease.cancel()
    reserved(one, Demand(0, 0), colour)
    assert reserved(other, Demand(0, 2_000), colour, timeout_s=10.0).charge.tokens == 2_000


@colours
def test_a_store_that_fails_is_told_of_and_rests_while_our_own_levels_decide(colour: str) -> None:
    clock, seen = ManualClock(), RecordingObserver()
    server = Server(lambda: clock.now_s)
    made = limiter(RemoteLevels(server), clock, seen=seen)
    server.away = ConnectionError("refused")
    for _ in range(6):
        reserved(made, Demand(0, 1_000), colour)
    assert server.asked == 1
    # What others' errors say may hold anything.
    failed = events.BackendFailed("limits", "reserve", "ConnectionError")
    assert seen.of(events.BackendFailed) == [failed]
    with pytest.raises(LimitExceededError):
        reserved(made, Demand(0, 1_000), colour, timeout_s=9.0)
    server.away = None
    clock.advance(1.0)
    reserved(made, Demand(0, 1_000), colour)
    assert server.asked == 2


@colours
def test_what_was_taken_while_the_store_was_away_is_not_given_back_to_it(colour: str) -> None:
    clock = ManualClock()
    server, one, other = two_processes(clock)
    reserved(other, FULL, colour)
    server.away = ConnectionError("refused")
    lease = reserved(one, FULL, colour)
    server.away = None
    clock.advance(0.1)
    lease.cancel()
    with pytest.raises(LimitExceededError):
        reserved(one, Demand(0, 100), colour, timeout_s=0.5)


class Answering:
    """A store that answers as it is told to, and takes nothing."""

    def __init__(self, *answers: Reserved) -> None:
        self._answers, self.asked_s = list(answers), list[float]()

    def shape(self, limits: Any, now_s: float) -> None: ...
    def settle(self, held: Any, charged: Any) -> None: ...
    def hold_off(self, until_s: float, now_s: float) -> None: ...
    def close(self) -> None: ...
    def reserve(self, charge: Any, now_s: float, max_wait_s: float) -> Reserved:
        self.asked_s.append(now_s)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@colours
def test_a_store_may_let_nobody_through_when_it_cannot_know(colour: str) -> None:
    """It is asked again when it said, until the caller's time is over."""

    class Closed(Answering):
        def reserve(self, charge: Any, now_s: float, max_wait_s: float) -> Reserved:
            super().reserve(charge, now_s, max_wait_s)
            return Reserved(max_wait_s + 1.0)

    closed, clock = Closed(Reserved(0.0)), ManualClock()
    made = limiter(closed, clock)
    with pytest.raises(LimitExceededError):
        reserved(made, Demand(0, 10), colour, timeout_s=5.5)
    assert len(closed.asked_s) == 6


@colours
def test_being_left_alone_and_being_back_are_told_once(colour: str) -> None:
    alone, shared = Reserved(0.0, (), 4, share=0.25), Reserved(0.0, (), 3)
    store = Answering(shared, alone._replace(problem="gone"), alone, shared, shared)
    seen = RecordingObserver()
    made = limiter(store, ManualClock(), seen=seen)
    for _ in range(5):
        reserved(made, Demand(0, 10), colour)
    told = [event for event in seen.events if not isinstance(event, events.LimitWaited)]
    assert told == [
        events.BackendFailed("limits", "reserve", "gone"),
        events.LimitsAlone(4, 0.25),
        events.LimitsShared(3),
    ]


@colours
def test_whoever_waits_for_a_share_has_the_store_asked_every_second(colour: str) -> None:
    """So that it does not wait for its turn of a share where the whole is there again."""
    clock = ManualClock(0.0)
    alone = Reserved(50.0, (0.0,), 4, share=0.25)
    store = Answering(alone, alone, alone, Reserved(0.0))
    made = limiter(store, clock)
    assert reserved(made, Demand(0, 100), colour).waited_s == pytest.approx(3.0)
    assert store.asked_s == pytest.approx([0.0, 1.0, 2.0, 3.0])


@colours
def test_slots_are_divided_by_the_processes(colour: str) -> None:
    """Each has one at least."""
    limits = Limits(tokens_per_minute=CAPACITY, concurrent_requests=10)
    store = Answering(Reserved(0.0, (), 4), Reserved(0.0, (), 50), Reserved(0.0, (), 1))
    made = limiter(store, ManualClock(), limits=limits)
    slots = []
    for _ in range(3):
        reserved(made, Demand(0, 10), colour).settle()
        slots.append(made.state().slots)
    assert slots == [2, 1, 10]


def test_a_refusal_that_says_for_how_long_holds_all_back() -> None:
    """Told as soon as the refused call lines up again, not when it may go."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server, io = Server(loop.time), DistantIo(ROUND_TRIP_S)
        one, other = (limiter(RemoteLevels(server), loop.time, io) for _ in range(2))
        lease = await one.areserve(Demand(0, 10))
        lease.refused(retry_after_s=20.0)
        again = loop.create_task(one.areserve(Demand(0, 10), again=lease))
        await asyncio.sleep(1.0)
        began_s = loop.time()
        assert (await other.areserve(Demand(0, 10))).granted_s - began_s == pytest.approx(
            19.0, abs=0.01
        )
        await again
        assert server.asked <= 6

    virtual_time.run(main())


def test_whoever_is_cancelled_while_the_store_is_asked_holds_nothing() -> None:
    clock, answers = ManualClock(), threading.Event()
    server = Server(lambda: clock.now_s)

    class Slow(RemoteLevels):
        def reserve(self, *asked: Any) -> Reserved:
            answer = super().reserve(*asked)
            assert answers.wait(10)
            return answer

    store = Slow(server)
    made = limiter(store, clock, AsyncIo())

    async def main() -> None:
        task = asyncio.create_task(made.areserve(FULL))
        while not server.asked:
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert made.state().under_way == made.state().waiting == 0
        answers.set()
        while not any(store._given):
            await asyncio.sleep(0)
        assert (await made.areserve(FULL, timeout_s=30.0)).waited_s == 0.0

    asyncio.run(main())


def test_blocking_code_on_a_running_loop_leaves_a_debt_for_all() -> None:
    async def main() -> None:
        server, one, other = two_processes(ManualClock(), blocking=BlockingIo())
        one.reserve(FULL)
        one.reserve(FULL)
        assert server.asked == 0
        assert (await one.areserve(Demand(0, 100))).waited_s == pytest.approx(61.0)
        assert (await other.areserve(Demand(0, 100))).waited_s == pytest.approx(1.0)

    asyncio.run(main())


def test_a_large_call_is_not_starved_by_small_ones_of_another_process() -> None:
    """It waits at most twice as long as it would in one queue with them."""
    waited_s: list[float] = []

    async def small(made: TokenLimiter) -> None:
        while True:
            (await made.areserve(Demand(0, 20))).settle()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server, io = Server(loop.time), DistantIo(ROUND_TRIP_S)
        one, other = (limiter(RemoteLevels(server), loop.time, io) for _ in range(2))
        await one.areserve(FULL)
        tasks = [loop.create_task(small(other)) for _ in range(4)]
        await asyncio.sleep(1.0)
        began_s = loop.time()
        await one.areserve(Demand(0, 3_000))
        waited_s.append(loop.time() - began_s)
        for task in tasks:
            task.cancel()

    virtual_time.run(main())
    assert 29.0 < waited_s[0] < 65.0


def test_slots_are_waited_for_before_the_store_is_asked() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = Server(loop.time)
        limits = Limits(tokens_per_minute=CAPACITY, concurrent_requests=1)
        made = limiter(RemoteLevels(server), loop.time, DistantIo(ROUND_TRIP_S), limits=limits)
        first = await made.areserve(Demand(0, 10))
        tasks = [loop.create_task(made.areserve(Demand(0, 10))) for _ in range(3)]
        await asyncio.sleep(10.0)
        assert (server.asked, made.state().under_way, made.state().waiting) == (1, 1, 3)
        first.settle()
        for task in tasks:
            lease = await task
            assert made.state().under_way == 1
            await asyncio.sleep(10.0)
            lease.settle()
        assert server.asked == 4

    virtual_time.run(main())


def test_limits_learned_by_one_process_hold_for_what_it_takes_of_all() -> None:
    """Each learns them from its own responses, and they are one and the same limit."""
    _, one, other = two_processes(ManualClock(), limits=Limits())
    for made in (one, other):
        made.reserve(Demand(0, 100)).settle(shown=[Shown(1, CAPACITY, 5_900.0)])
    one.reserve(Demand(0, 5_000))
    with pytest.raises(LimitExceededError):
        other.reserve(Demand(0, 2_000), timeout_s=1.0)
