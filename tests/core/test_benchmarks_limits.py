"""The scenarios of limiters: what they reproduce, that they repeat, and what they count."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.drive import virtual_time
from accel_core.testing.provider_rules import Hidden, Neighbour, openai
from benchmarks import limits_concurrency as concurrency
from benchmarks import limits_peers as peers
from benchmarks import limits_retries as retries
from benchmarks import limits_tiers as tiers
from benchmarks import limits_users as users
from benchmarks.harness import Context
from benchmarks.limits import GROUP
from benchmarks.limits_load import Load
from benchmarks.limits_protocol import Contender, Demand, RejectedError
from benchmarks.limits_reference import REFERENCE
from benchmarks.limits_results import Results, quantile
from benchmarks.limits_run import Outcome, Scenario, run

if TYPE_CHECKING:
    from benchmarks.limits_protocol import Limiter, Setting

OVERLOAD = Load(share=1.5)


def scenario(load: Load = OVERLOAD, until_s: float | None = 450.0, **rules: Any) -> Scenario:
    return Scenario(name="", rules=replace(openai(), **rules), load=load, until_s=until_s)


def test_a_fair_bucket_is_never_refused() -> None:
    """One bucket, first come, first served, uses all of a continuous limit, without a 429."""
    found = run(scenario(), REFERENCE, 1)
    assert found.utilisation > 0.99
    assert found.refused_share < 0.002


@pytest.mark.slow
def test_published_figures_come_out() -> None:
    """Peers meet the 429s that were published for them, in three kinds of scenario."""
    found = run(scenario(), peers.unlimited(), 1)
    assert 100 * found.refused_share == pytest.approx(71, abs=2)
    assert found.failed == pytest.approx(302, rel=0.1)
    found = run(scenario(hidden=Hidden()), peers.aiolimiter(60), 1)
    assert 100 * found.refused_share == pytest.approx(9.6, abs=1.5)
    found = run(scenario(neighbour=Neighbour(share=0.5)), peers.aiolimiter(60), 1)
    assert 100 * found.refused_share == pytest.approx(44.9, abs=2)
    assert found.utilisation == pytest.approx(0.5, abs=0.01)


def test_large_requests_are_starved_by_smallest_first() -> None:
    """First come, first served lets through the large ones that smallest first leaves waiting."""
    mixed = scenario(Load(share=1.5, large_share=0.04))
    fair, unfair = run(mixed, REFERENCE, 1), run(mixed, peers.aiolimiter(60), 1)
    assert fair.largest_served > 1.5 * unfair.largest_served


def summary(outcome: Outcome) -> list[object]:
    return [
        (one.call, one.attempts, one.refused, one.sent_s, one.status) for one in outcome.courses
    ]


def test_runs_repeat() -> None:
    """The same seed gives the same course of every call, another seed another."""
    short = scenario(Load(share=2.0, duration_s=60.0), until_s=60.0, hidden=Hidden())
    contender = peers.langchain()
    first, again, other = (run(short, contender, seed) for seed in (1, 1, 2))
    assert summary(first) == summary(again) != summary(other)


def test_langchain_gets_its_clock_back() -> None:
    """The peer whose clock is replaced for a run has its own one afterwards."""
    import time

    from langchain_core import rate_limiters

    run(scenario(Load(share=0.5, duration_s=5.0), until_s=None), peers.langchain(), 1)
    assert vars(rate_limiters)["time"] is time


class _Closed:
    """Takes nothing."""

    async def reserve(self, demand: object, **other: object) -> Any:
        raise RejectedError


def _closed(setting: Setting) -> Limiter:
    return _Closed()


def test_what_a_limiter_rejects_is_not_sent() -> None:
    """A rejected call ends at once, costs nothing and is no failure of the provider's."""
    found = run(
        scenario(Load(share=0.5, duration_s=20.0), until_s=None),
        Contender(name="closed", make=_closed),
        1,
    )
    assert {course.status for course in found.courses} == {0}
    assert (found.utilisation, found.refusals, found.failed) == (0.0, 0, 0)


def test_outcomes_are_kept() -> None:
    """Rows that read the same scenario share its runs."""
    results = Results(Context(quick=True))
    short = scenario(Load(share=0.5, duration_s=5.0), until_s=None)
    assert results.outcomes(short, REFERENCE) is results.outcomes(short, REFERENCE)
    assert results.figure(short, lambda one: one.failed, REFERENCE) == 0


def test_quantiles() -> None:
    """A quantile is one of the values."""
    assert [quantile([1, 2, 3], share) for share in (0, 0.5, 1)] == [1, 2, 3]
    assert quantile([], 0.5) == 0


def test_strict_priority_starves_whom_first_come_does_not() -> None:
    """Strict priority keeps the upper tiers in time at the cost of the lowest, FIFO none."""
    short = replace(tiers.OVERLOAD, load=tiers.TierLoad(share=1.15, count=1_500))
    strict, fifo = run(short, tiers.STRICT, 1), run(short, tiers.FIFO, 1)
    assert tiers.in_time_percent(strict, "platinum") > 90
    assert tiers.in_time_percent(fifo, "platinum") < 10
    assert tiers.in_time_percent(strict, "best_effort") < tiers.in_time_percent(fifo, "best_effort")


def test_more_at_once_costs_time_to_the_first_token() -> None:
    """More calls at once give more tokens per second, and a queue before the first of them."""
    few, many = (
        concurrency.closed_loop(concurrency.SELF_HOSTED, concurrency.fixed(limit), 1)
        for limit in (16, 128)
    )
    assert many.tokens_per_s > 1.2 * few.tokens_per_s
    assert quantile(many.first_s, 0.5) > 5 * quantile(few.first_s, 0.5)
    assert many.refused_share == few.failed == 0


def test_slots_are_conserved() -> None:
    """A caller who leaves while waiting, or at the moment of its turn, takes no slot with it."""

    async def main() -> int:
        slots, demand = concurrency.Slots(1, seed=1), Demand(1, 1)
        held = await slots.reserve(demand)
        waiting = [asyncio.create_task(slots.reserve(demand)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        held.cancel()
        waiting[1].cancel()
        await asyncio.sleep(0.1)
        (await waiting[2]).cancel()
        return slots.running

    assert virtual_time.run(main()) == 0


def test_retries_of_every_layer_multiply() -> None:
    """During an outage a stack of retries sends far more than the SDK alone."""
    sdk, nested = (run(retries.OUTAGE, one, 1) for one in (retries.SDK, retries.NESTED))
    assert retries.attempts_per_call(sdk) < 2
    assert retries.attempts_per_call(nested) > 2 * retries.attempts_per_call(sdk)


@pytest.mark.slow
def test_the_published_load_test() -> None:
    """At half of what users ask for, SDK retries fail nearly half of them, as was published."""
    found = users.serve(users.SDK, users.HALF, cached=False, seed=1)
    assert 100 * found.failed_share == pytest.approx(45, abs=8)
    assert 100 * found.refused_share == pytest.approx(76, abs=5)
    limited = users.serve(REFERENCE, users.HALF, cached=True, seed=1)
    assert limited.failed_share == 0


def test_every_row_is_measured_or_says_why_not() -> None:
    """Each line of the group has a name of its own and a bound."""
    names = [row.name for row in GROUP.rows]
    assert len(set(names)) == len(names) > 25
