"""A breaker asks a backend that is away rarely, one caller at a time, and finds it again soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from accel_core.policy.breaker import Breaker, store_breaker

if TYPE_CHECKING:
    from collections.abc import Callable

REST_S, FIRST_S = 1.0, 0.05
STEP_S = 0.005

lengths_s = st.floats(0.01, 10.0)
thresholds = st.integers(1, 5)


def backing_off(threshold: int = 1) -> Breaker:
    return Breaker(threshold, REST_S, FIRST_S)


def tries(breaker: Breaker, away: Callable[[float], bool], end_s: float) -> list[float]:
    """Return when a backend was asked by calls that come every `STEP_S`."""
    asked = []
    for step in range(int(end_s / STEP_S)):
        now_s = step * STEP_S
        if breaker.allows(now_s):
            asked.append(now_s)
            if away(now_s):
                breaker.failed(now_s)
            else:
                breaker.succeeded()
    return asked


@given(thresholds)
def test_closed_until_the_threshold(threshold: int) -> None:
    """It takes `threshold` failures in a row, between which no success was."""
    breaker = backing_off(threshold)
    for _ in range(3):
        for _ in range(threshold - 1):
            assert not breaker.failed(0.0)
        assert breaker.closed
        assert breaker.due_in_s(0.0) == 0.0
        breaker.succeeded()
    for _ in range(threshold - 1):
        breaker.failed(0.0)
    assert breaker.failed(0.0)
    assert not breaker.closed
    assert not breaker.allows(0.0)
    assert breaker.due_in_s(0.0) == FIRST_S


@given(away_s=lengths_s, threshold=thresholds)
def test_one_that_is_away_costs_a_try_a_rest(away_s: float, threshold: int) -> None:
    """However often it is called, a backend that is away is asked some times and once a rest."""
    asked = tries(backing_off(threshold), lambda now_s: now_s < away_s, away_s)
    doublings = 6
    assert len(asked) <= threshold + doublings + away_s / REST_S


@given(away_s=lengths_s, threshold=thresholds)
def test_one_that_is_back_is_found_within_a_rest(away_s: float, threshold: int) -> None:
    """It is asked again within the longest rest, and then by everybody."""
    end_s = away_s + 2 * REST_S
    asked = tries(backing_off(threshold), lambda now_s: now_s < away_s, end_s)
    back = [now_s for now_s in asked if now_s >= away_s]
    assert back[0] <= away_s + REST_S + STEP_S
    assert len(back) >= (end_s - back[0]) / STEP_S - 2


@given(every_s=st.floats(0.5, 5.0))
def test_hiccups_cost_little(every_s: float) -> None:
    """Of a backend that fails now and then, a tenth of the time at most is lost."""
    state = [0.0]

    def hiccup(now_s: float) -> bool:
        failing = now_s - state[0] >= every_s
        if failing:
            state[0] = now_s
        return failing

    end_s = 60.0
    asked = tries(backing_off(), hiccup, end_s)
    assert len(asked) >= 0.89 * end_s / STEP_S


@given(st.floats(0.0, 1e6))
def test_one_tries_and_the_others_wait_for_it(now_s: float) -> None:
    """After a rest one caller asks; until it has told how it went, nobody else does."""
    breaker = backing_off()
    breaker.failed(now_s)
    now_s += FIRST_S
    assert breaker.allows(now_s)
    assert not breaker.allows(now_s)
    assert breaker.failed(now_s)
    assert not breaker.allows(now_s + 1.9 * FIRST_S)
    assert breaker.allows(now_s + 2.1 * FIRST_S)
    breaker.succeeded()
    assert breaker.closed
    assert breaker.allows(now_s)


def test_who_tries_and_never_tells_is_forgotten() -> None:
    """A caller that was cancelled while it tried keeps others off for the longest rest."""
    breaker = backing_off()
    breaker.failed(0.0)
    assert breaker.allows(0.1)
    assert not breaker.allows(1.0)
    assert breaker.allows(1.2)


def test_late_failures_do_not_lengthen_a_rest() -> None:
    """Calls that were under way when it opened tell nothing new."""
    breaker = store_breaker()
    assert breaker.failed(0.0)
    for _ in range(20):
        assert not breaker.failed(0.04)
    assert breaker.allows(0.05)


def test_rests_are_equal_unless_asked() -> None:
    """Without a first rest each is the longest."""
    breaker = Breaker(threshold=1, rest_s=30.0)
    for number in range(3):
        assert breaker.allows(31.0 * number)
        breaker.failed(31.0 * number)
        assert breaker.due_in_s(31.0 * number) == 30.0
