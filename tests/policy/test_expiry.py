"""Lifetimes stay in their bounds, whatever the dice."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from accel_core.errors import ConfigError
from accel_core.policy.expiry import TtlPolicy

BASES = st.floats(min_value=1e-3, max_value=1e9)
JITTERS = st.floats(0, 1, exclude_max=True)
CHANCES = st.floats(0, 1, exclude_max=True)
LIMITS = st.none() | st.floats(min_value=1e-3, max_value=1e12)


@given(BASES, JITTERS, CHANCES)
def test_within_its_bounds(base_s: float, jitter: float, chance: float) -> None:
    """A lifetime is at most the base, and less than it by the jitter's share at most."""
    lifetime_s = TtlPolicy(base_s=base_s, jitter=jitter).lifetime_s(chance)
    assert 0 < lifetime_s <= base_s
    assert lifetime_s >= base_s * (1 - jitter) * (1 - 1e-9)


@given(BASES, JITTERS, CHANCES, LIMITS)
def test_a_call_only_shortens(
    base_s: float, jitter: float, chance: float, at_most_s: float | None
) -> None:
    """A call's own limit makes no lifetime longer, and is never exceeded."""
    policy = TtlPolicy(base_s=base_s, jitter=jitter)
    lifetime_s = policy.lifetime_s(chance, at_most_s)
    assert lifetime_s <= policy.lifetime_s(chance)
    assert at_most_s is None or lifetime_s <= at_most_s
    assert lifetime_s > 0


@given(BASES, JITTERS, CHANCES, CHANCES)
def test_falls_with_chance(base_s: float, jitter: float, one: float, other: float) -> None:
    """The higher the dice, the shorter the life; without dice it is the base."""
    assume(one <= other)
    policy = TtlPolicy(base_s=base_s, jitter=jitter)
    assert policy.lifetime_s(one) >= policy.lifetime_s(other)
    assert policy.lifetime_s(0.0) == base_s


@given(BASES, CHANCES)
def test_without_jitter(base_s: float, chance: float) -> None:
    """Without jitter every life is the same."""
    assert TtlPolicy(base_s=base_s, jitter=0).lifetime_s(chance) == base_s


def test_spread() -> None:
    """Entries of one moment expire all over the jitter's share, not together."""
    policy = TtlPolicy(base_s=1000, jitter=0.1)
    lifetimes = [policy.lifetime_s(n / 100) for n in range(100)]
    assert len(set(lifetimes)) == 100
    assert math.isclose(min(lifetimes), 901)
    assert max(lifetimes) == 1000


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_s": 0},
        {"base_s": -1},
        {"base_s": math.nan},
        {"jitter": -0.1},
        {"jitter": 1},
        {"jitter": math.nan},
    ],
    ids=str,
)
def test_wrong_settings(wrong: dict[str, float]) -> None:
    """A setting out of range is an error that names it."""
    with pytest.raises(ConfigError) as raised:
        TtlPolicy(**wrong)
    assert raised.value.path == next(iter(wrong))
