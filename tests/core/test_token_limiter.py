"""The limiter in both colours: order, bounds, cancellation, several loops and threads."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from accel_core import events
from accel_core.drive import virtual_time
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.errors import ConfigError, LimitExceededError, RequestTooLargeError
from accel_core.policy.limits.account import Limits, Shown
from accel_core.policy.limits.charge import Demand, Usage
from accel_core.policy.limits.concurrency import Concurrency
from accel_core.policy.limits.provider_profile import PROFILES
from accel_core.policy.limits.tiers import Tiers
from accel_core.testing.doubles import ManualClock
from accel_core.token_limiter import Lease, TokenLimiter

if TYPE_CHECKING:
    from collections.abc import Callable

TOKENS = 1
FULL = Demand(0, 6_000)


def limiter(
    clock: ManualClock | Callable[[], float],
    limits: Limits | None = None,
    *,
    max_wait_s: float = 600.0,
    tiers: Tiers | None = None,
    concurrency: Concurrency | None = None,
    seen: list[Any] | None = None,
) -> TokenLimiter:
    return TokenLimiter(
        limits or Limits(tokens_per_minute=6_000),
        PROFILES["openai"],
        max_wait_s=max_wait_s,
        tiers=tiers or Tiers(),
        concurrency=concurrency,
        colours=(BlockingIo(), AsyncIo()),
        emit=(seen if seen is not None else []).append,
        mono_now=clock if callable(clock) else lambda: clock.now_s,
        lock=threading.Lock,
    )


def reserved(made: TokenLimiter, demand: Demand, colour: str, **options: Any) -> Lease:
    if colour == "sync":
        return made.reserve(demand, **options)
    return asyncio.run(made.areserve(demand, **options))


colours = pytest.mark.parametrize("colour", ["sync", "async"])


@colours
def test_what_fits_goes_at_once_and_what_was_not_used_comes_back(colour: str) -> None:
    made = limiter(ManualClock())
    lease = reserved(made, Demand(5_900, 100), colour)
    assert made.eta_s(Demand(1_000, 0)) == pytest.approx(10.0)
    lease.settle(Usage(2_900, 50))
    assert made.eta_s(Demand(1_000, 0)) == 0.0
    assert made.state().under_way == 0


@colours
def test_a_cancelled_lease_gives_everything_back_once(colour: str) -> None:
    made = limiter(ManualClock())
    lease = reserved(made, FULL, colour)
    lease.cancel()
    lease.cancel()
    lease.settle(Usage(5_000, 0))
    assert made.eta_s(FULL) == 0.0


@colours
def test_what_can_never_fit_is_refused_at_once(colour: str) -> None:
    with pytest.raises(RequestTooLargeError, match="shorten the prompt") as raised:
        reserved(limiter(ManualClock()), Demand(6_000, 1), colour)
    assert (raised.value.unit, raised.value.limit) == ("tokens", 6_000)


@colours
def test_what_cannot_fit_in_time_is_refused_at_the_door(colour: str) -> None:
    seen: list[Any] = []
    made = limiter(ManualClock(), seen=seen)
    reserved(made, FULL, colour)
    with pytest.raises(LimitExceededError) as raised:
        reserved(made, Demand(1_000, 0), colour, timeout_s=5.0)
    assert raised.value.retry_after_s == pytest.approx(10.0)
    assert made.state().waiting == 0
    assert events.LimitRejected(pytest.approx(10.0), "best_effort") in seen


@colours
def test_now_or_not_at_all(colour: str) -> None:
    made = limiter(ManualClock())
    assert reserved(made, FULL, colour, timeout_s=0.0).waited_s == 0.0
    with pytest.raises(LimitExceededError):
        reserved(made, Demand(1, 0), colour, timeout_s=0.0)


@colours
def test_a_tier_bounds_the_wait(colour: str) -> None:
    made = limiter(ManualClock())
    reserved(made, FULL, colour)
    with pytest.raises(LimitExceededError):
        reserved(made, Demand(100, 0), colour, tier="platinum")
    attained = made.state().attained["platinum"]
    assert (attained.rejected, attained.share) == (1, 0.0)


@colours
def test_an_unknown_tier_is_refused_by_name(colour: str) -> None:
    with pytest.raises(ConfigError, match="unobtainium"):
        reserved(limiter(ManualClock()), Demand(1), colour, tier="unobtainium")


def test_a_task_waits_until_its_turn_and_not_longer() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen: list[Any] = []
        made = limiter(loop.time, Limits(tokens_per_minute=60_000), seen=seen)
        await made.areserve(Demand(0, 60_000))
        began_s = loop.time()
        lease = await made.areserve(Demand(0, 50))
        assert 0.045 < loop.time() - began_s < 1.0
        assert lease.waited_s == pytest.approx(0.05, abs=0.03)
        assert any(isinstance(event, events.LimitWaited) for event in seen)

    asyncio.run(main())


def test_a_thread_that_waits_is_woken_by_what_comes_back() -> None:
    clock = ManualClock()
    made = limiter(clock)
    first = made.reserve(FULL)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(made.reserve, FULL)
        while not made.state().waiting:
            pass
        first.cancel()
        assert waiting.result(10).waited_s == 0.0


def test_a_refused_call_keeps_its_place() -> None:
    async def main() -> None:
        clock = ManualClock()
        made = limiter(clock)
        first = await made.areserve(FULL)
        order: list[str] = []

        async def call(name: str, again: Lease | None = None) -> None:
            lease = await made.areserve(Demand(0, 3_000), again=again)
            order.append(name)
            lease.cancel()

        later = asyncio.create_task(call("later"))
        await asyncio.sleep(0)
        first.refused([Shown(TOKENS, 6_000, 0)], retry_after_s=1.0)
        sooner = asyncio.create_task(call("refused", first))
        await asyncio.sleep(0)
        clock.advance(61.0)
        made.reserve(Demand(0, 0)).cancel()
        await asyncio.gather(later, sooner)
        assert order == ["refused", "later"]

    asyncio.run(main())


def test_a_cancelled_waiter_leaves_nothing_and_the_next_is_served() -> None:
    async def main() -> None:
        made = limiter(ManualClock())
        first = await made.areserve(FULL)
        large = asyncio.create_task(made.areserve(FULL))
        small = asyncio.create_task(made.areserve(Demand(0, 10)))
        while made.state().waiting < 2:
            await asyncio.sleep(0)
        large.cancel()
        first.cancel()
        assert (await small).charge.tokens == 10
        with pytest.raises(asyncio.CancelledError):
            await large
        assert made.state().waiting == 0
        assert made.state().under_way == 1

    asyncio.run(main())


def test_whoever_becomes_first_by_anothers_leaving_goes_at_its_turn() -> None:
    """Also where it has to wait longer than who left, and nothing else happens."""

    async def main() -> None:
        now = asyncio.get_running_loop().time
        made = limiter(now)
        await made.areserve(FULL)
        small = asyncio.create_task(made.areserve(Demand(0, 100)))
        large = asyncio.create_task(made.areserve(Demand(0, 5_000)))
        await asyncio.sleep(0.5)
        small.cancel()
        await large
        assert now() == pytest.approx(50.0, abs=0.01)

    virtual_time.run(main())


def test_a_waiter_that_is_granted_while_it_is_cancelled_gives_back() -> None:
    async def main() -> None:
        made = limiter(ManualClock())
        first = await made.areserve(FULL)
        waiting = asyncio.create_task(made.areserve(FULL))
        while not made.state().waiting:
            await asyncio.sleep(0)
        first.cancel()  # grants the waiter, which has not run since
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert made.state().under_way == 0
        assert made.eta_s(FULL) == 0.0

    asyncio.run(main())


def test_blocking_code_on_a_running_loop_goes_at_once_and_leaves_a_debt() -> None:
    async def main() -> None:
        made = limiter(ManualClock())
        made.reserve(FULL)
        assert made.reserve(FULL).waited_s == 0.0
        assert made.eta_s(Demand(1, 0)) > 60.0

    asyncio.run(main())


def test_two_loops_and_threads_share_one_limiter() -> None:
    made = limiter(
        time.monotonic,
        Limits(tokens_per_minute=6_000_000, requests_per_minute=600_000, concurrent_requests=4),
    )
    most = [0]
    done: list[int] = []

    def note() -> None:
        most[0] = max(most[0], made.state().under_way)
        done.append(1)

    async def task() -> None:
        lease = await made.areserve(Demand(900, 100))
        note()
        await asyncio.sleep(0)
        lease.settle(Usage(800, 10))

    async def crowd() -> None:
        await asyncio.gather(*(task() for _ in range(100)))

    def thread() -> None:
        for _ in range(50):
            lease = made.reserve(Demand(900, 100))
            note()
            lease.settle(Usage(800, 10))

    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(lambda: asyncio.run(crowd())) for _ in range(2)]
        running += [pool.submit(thread) for _ in range(4)]
        for one in running:
            one.result(60)
    assert len(done) == 400
    assert most[0] <= 4
    state = made.state()
    assert (state.waiting, state.under_way) == (0, 0)


def test_an_overload_and_a_refusal_leave_room_for_fewer_at_once() -> None:
    for end in (lambda lease: lease.failed(overloaded=True), lambda lease: lease.refused()):
        made = limiter(ManualClock(), Limits(), concurrency=Concurrency(start=10))
        leases = [made.reserve(Demand(1)) for _ in range(10)]
        leases[0].failed()
        assert made.state().slots == 10
        end(leases[1])
        assert made.state().slots == 6


@pytest.mark.slow
def test_ten_thousand_cancellations_timeouts_and_failures_leak_nothing() -> None:
    dice = random.Random(7)
    ends: list[Callable[[Lease], None]] = [
        lambda lease: lease.settle(Usage(dice.randrange(3_000), 50)),
        lambda lease: lease.refused([Shown(TOKENS, 60_000, 0)], dice.choice([None, 0.1])),
        lambda lease: lease.cancel(),
    ]

    async def main() -> None:
        clock = ManualClock()
        made = limiter(
            clock, Limits(tokens_per_minute=60_000, concurrent_requests=8), max_wait_s=50.0
        )

        async def call() -> None:
            with suppress(LimitExceededError):
                demand = Demand(dice.randrange(2_000), 100)
                timeout_s = dice.choice([None, 0.0, 2.0, 20.0])
                lease = await made.areserve(demand, timeout_s=timeout_s)
                try:
                    for _ in range(dice.randrange(4)):
                        await asyncio.sleep(0)
                except asyncio.CancelledError:
                    lease.cancel()
                    raise
                dice.choice(ends)(lease)

        tasks: set[asyncio.Task[None]] = set()
        for _ in range(10_000):
            task = asyncio.create_task(call())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            clock.advance(dice.random() * 0.2)
            if dice.random() < 0.3 and tasks:
                dice.choice(sorted(tasks, key=id)).cancel()
            await asyncio.sleep(0)
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        state = made.state()
        assert (state.waiting, state.under_way) == (0, 0)
        clock.advance(10_000.0)
        assert made.eta_s(Demand(60_000, 0)) == 0.0

    asyncio.run(main())


def test_a_caller_without_a_loop_to_wait_on_leaves_the_queue() -> None:
    """Where a task cannot be woken, waiting is an error, and nobody waits behind it."""
    made = limiter(ManualClock())
    made.reserve(FULL)
    waiting = made.areserve(FULL)
    with pytest.raises(RuntimeError, match="no running event loop"):
        waiting.send(None)
    assert made.state().waiting == 0
