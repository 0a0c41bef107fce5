"""The scenarios of limiters: what they reproduce, that they repeat, and what they count."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.testing.provider_rules import Hidden, Neighbour, openai
from benchmarks import limits_peers as peers
from benchmarks.harness import Context
from benchmarks.limits_load import Load
from benchmarks.limits_protocol import Contender, RejectedError
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
