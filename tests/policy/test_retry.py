"""Retries: how soon, how often, and never more than their share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.errors import ConfigError
from accel_core.policy.limits.retry import Failed, RetryBudget, RetryPolicy, next_attempt

if TYPE_CHECKING:
    from accel_core.policy.limits.refusal import Kind

POLICY = RetryPolicy(max_attempts=4, base_s=1.0, cap_s=5.0, deadline_s=60.0)


def next_after(kind: Kind, attempts: int = 1, **more: Any) -> float | None:
    budget = more.pop("budget", None) or RetryBudget(now_s=0.0)
    dice = more.pop("dice", 0.5)
    failed = Failed(kind=kind, attempts=attempts, **{"started_s": 0.0, "now_s": 0.0, **more})
    return next_attempt(failed, POLICY, budget, dice)


@pytest.mark.parametrize("kind", ["final", "too_large", "rejected"])
def test_what_would_be_refused_again_is_not_tried_again(kind: Kind) -> None:
    """Also where the provider says when to come back."""
    assert next_after(kind) is None
    assert next_after(kind, retry_after_s=1.0) is None


def test_pauses_double_up_to_a_cap_and_are_drawn_from_nothing_on() -> None:
    """Full jitter: dice decide between none and all of it."""
    assert [POLICY.pause_s(attempts, 1.0) for attempts in (1, 2, 3, 4, 5, 999)] == [
        1.0,
        2.0,
        4.0,
        5.0,
        5.0,
        5.0,
    ]
    assert POLICY.pause_s(3, 0.25) == 1.0
    assert POLICY.pause_s(3, 0.0) == 0.0


def test_errors_pause_at_least_as_long_as_asked() -> None:
    """And a little more, each another little."""
    assert next_after("overloaded", dice=0.5) == 0.5
    assert next_after("overloaded", dice=0.5, retry_after_s=7.0) == 7.5


def test_a_limit_is_the_limiters_to_wait_out() -> None:
    """The call goes back to the queue at once, unless nobody knows how long it takes."""
    assert next_after("limit", retry_after_s=30.0) == 0.0
    assert next_after("limit", dice=0.5) == 0.5
    empty = RetryBudget(0.0, 0.0, now_s=0.0)
    assert next_after("limit", budget=empty, retry_after_s=30.0) == 0.0
    assert next_after("overloaded", budget=empty) is None


@pytest.mark.parametrize("kind", ["limit", "overloaded"])
def test_attempts_and_deadline_end_it(kind: Kind) -> None:
    """A wait that ends after the deadline is not begun, and costs the budget nothing."""
    assert next_after(kind, attempts=3) is not None
    assert (next_after(kind, attempts=4) is None) == (kind == "overloaded")
    assert next_after(kind, now_s=59.0, dice=0.5) == 0.5
    assert next_after(kind, now_s=9.0, dice=0.5, ends_s=10.0) == 0.5
    budget = RetryBudget(0.0, 5.0, now_s=0.0)
    assert next_after(kind, now_s=59.0, retry_after_s=2.0, budget=budget) is None
    assert next_after(kind, now_s=61.0, dice=0.0, budget=budget) is None
    assert next_after(kind, now_s=9.0, retry_after_s=1.0, ends_s=10.0, budget=budget) is None
    assert budget.balance == 5.0


@given(
    st.lists(st.tuples(st.booleans(), st.floats(-5, 20)), max_size=200),
    st.floats(0, 1),
    st.floats(0, 20),
)
def test_retries_are_a_share_of_calls_and_an_allowance(
    steps: list[tuple[bool, float]], share: float, allowance: float
) -> None:
    """Whatever the order of calls and retries, and whatever the clock does."""
    budget, now_s = RetryBudget(share, allowance, now_s=0.0), 0.0
    calls = retries = 0
    forward_s = 0.0
    for is_call, step_s in steps:
        now_s += step_s
        forward_s += max(0.0, step_s)
        if is_call:
            budget.call(now_s)
            calls += 1
        else:
            retries += budget.spend(now_s)
        assert budget.balance >= 0.0
    assert retries <= allowance + share * calls + allowance * forward_s / 60.0 + 1e-6


def test_in_an_outage_calls_are_not_multiplied() -> None:
    """A thousand calls that all fail make about two hundred retries, not three thousand."""
    budget, retries = RetryBudget(now_s=0.0), 0
    for call in range(1_000):
        now_s = call * 0.06
        budget.call(now_s)
        for attempts in range(1, POLICY.max_attempts + 1):
            wait_s = next_after("overloaded", attempts, budget=budget, started_s=now_s, now_s=now_s)
            if wait_s is None:
                break
            retries += 1
    assert 200 <= retries <= 221


def test_quiet_callers_may_retry_too() -> None:
    """The allowance comes back within a minute; what is saved has an end."""
    budget = RetryBudget(0.2, 3.0, now_s=0.0)
    assert [budget.spend(0.0) for _ in range(4)] == [True, True, True, False]
    assert budget.spend(21.0)
    for _ in range(10_000):
        budget.call(22.0)
    assert budget.balance == 30.0


@given(
    st.sampled_from(["limit", "final", "too_large", "overloaded", "rejected"]),
    st.integers(-5, 10**9),
    st.one_of(st.none(), st.floats(0, 1e9)),
    st.floats(allow_nan=False),
)
def test_no_wait_is_negative_or_ends_after_the_deadline(
    kind: Kind, attempts: int, retry_after_s: float | None, dice: float
) -> None:
    """Whatever the dice and the provider say."""
    wait_s = next_after(kind, attempts, retry_after_s=retry_after_s, dice=dice)
    assert wait_s is None or 0.0 <= wait_s <= 60.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_attempts": 0},
        {"base_s": 0.0},
        {"base_s": 30.0},
        {"cap_s": math.inf},
        {"deadline_s": -1.0},
        {"deadline_s": math.nan},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    """By name."""
    with pytest.raises(ConfigError):
        RetryPolicy(**wrong)
    with pytest.raises(ConfigError):
        RetryBudget(1.5, now_s=0.0)
    with pytest.raises(ConfigError):
        RetryBudget(0.1, -1.0, now_s=0.0)
