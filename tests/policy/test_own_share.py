"""What a process takes of limits it shares while it cannot ask for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.policy.limits.charge import NOTHING, Charge
from accel_core.policy.limits.limit_store import Limit
from accel_core.policy.limits.own_share import OwnShare

TOKENS = Limit(1, 60.0, 600.0, 10.0)

_steps = st.lists(
    st.tuples(st.integers(0, 3), st.floats(0.0, 300.0), st.floats(0.0, 20.0)), max_size=60
)


def tokens(amount: float) -> Charge:
    return Charge(1.0, amount, 0.0, 0.0)


def left_alone(processes: int, level: float, heard_s: float = 0.0, now_s: float = 0.0) -> OwnShare:
    share = OwnShare()
    share.shape([TOKENS], heard_s)
    share.heard([level], processes, heard_s)
    share.leave(now_s)
    return share


@given(steps=_steps, level=st.floats(-300.0, 600.0))
def test_shares_together_are_never_more_than_the_limit(
    steps: list[tuple[int, float, float]], level: float
) -> None:
    """Of four processes that go on alone, over any time; none takes more than it is full."""
    shares = [left_alone(4, level) for _ in range(4)]
    now_s, taken = 0.0, 0.0
    for which, amount, gap_s in steps:
        now_s += gap_s
        if amount <= 150.0 and not shares[which].reserve(tokens(amount), now_s, 0.0).wait_s:
            taken += amount
        assert taken <= max(0.0, level) + 10.0 * now_s + 1e-6


@given(steps=_steps)
def test_what_is_told_is_what_was_taken_and_what_is_left(
    steps: list[tuple[int, float, float]],
) -> None:
    share, taken, now_s = left_alone(3, 300.0), 0.0, 0.0
    for back, amount, gap_s in steps:
        now_s += gap_s
        if not share.reserve(tokens(amount), now_s, 0.0).wait_s:
            share.settle(Charge(0.0, amount * back / 3, 0.0, 0.0))
            taken += amount * (1 - back / 3)
    (known,) = share.known(now_s)
    assert known.taken == pytest.approx(taken, abs=1e-6)
    assert known.level <= min(200.0, 100.0 - taken + 10.0 / 3 * now_s) + 1e-6


@pytest.mark.parametrize(
    ("level", "passed_s", "left"),
    [(600.0, 0.0, 600.0), (600.0, 20.0, 400.0), (600.0, 90.0, -10.0), (-50.0, 0.0, -50.0),
     (-50.0, 0.5, -55.0), (-50.0, 30.0, -60.0)],
)  # fmt: skip
def test_what_was_heard_long_ago_counts_less(level: float, passed_s: float, left: float) -> None:
    """As others may have taken it at twice the rate; a second's worth below nothing at most."""
    (known,) = left_alone(4, level, now_s=passed_s).known(passed_s)
    assert known == pytest.approx((left / 4, 0.0))


def test_who_was_never_answered_has_the_whole() -> None:
    share = OwnShare()
    share.shape([TOKENS], 0.0)
    share.leave(0.0)
    assert share.reserve(tokens(600.0), 0.0, 0.0).share == 1.0
    assert share.reserve(tokens(10.0), 0.0, 0.0).wait_s == pytest.approx(1.0)


def test_a_call_larger_than_the_share_goes_when_it_is_full() -> None:
    """And leaves a debt."""
    share = left_alone(4, 600.0)
    assert share.reserve(tokens(400.0), 0.0, 0.0).wait_s == 0.0
    assert share.reserve(tokens(100.0), 0.0, 0.0).wait_s == pytest.approx(140.0)


def test_limits_that_change_meanwhile_change_the_share() -> None:
    share = left_alone(4, 600.0)
    share.reserve(tokens(150.0), 0.0, 0.0)
    share.shape([TOKENS._replace(rate_per_s=20.0), Limit(0, 60.0, 8.0, 1.0)], 0.0)
    assert share.reserve(tokens(10.0), 0.0, 0.0).wait_s == pytest.approx(2.0)
    assert share.reserve(Charge(2.0, 0.0, 0.0, 0.0), 0.0, 0.0).wait_s == 0.0
    assert share.reserve(Charge(1.0, 0.0, 0.0, 0.0), 0.0, 0.0).wait_s == pytest.approx(4.0)


def test_back_it_knows_what_it_is_told() -> None:
    """And what may have been refilled since."""
    share = left_alone(4, 600.0)
    share.reserve(tokens(100.0), 0.0, 0.0)
    share.heard([200.0], 2, 5.0)
    assert not share.is_alone
    assert share.known(8.0) == [(230.0, 0.0)]
    share.leave(5.0)
    assert share.reserve(NOTHING, 5.0, 0.0).levels == (100.0,)
