"""How long what was retrieved is of use: bounded, jittered, and made anew before it ends."""

from __future__ import annotations

import random
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.errors import ConfigError
from accel_core.policy.expiry import TtlPolicy
from accel_core.policy.freshness import Freshness
from accel_core.policy.popularity import Popularity

CHANCES = st.floats(0, 1, exclude_max=True)
SECONDS = st.floats(0, 1e6)


@given(CHANCES, st.integers(0, 10_000), st.booleans(), st.none() | st.floats(1e-3, 1e6))
def test_lifetimes_stay_in_their_bounds(
    chance: float, hits: int, empty: bool, at_most_s: float | None
) -> None:
    """No fame, no dice and no call make an entry live longer than the settings allow."""
    policy = Freshness(hot_factor=4.0)
    lifetime_s = policy.lifetime_s(chance, hits=hits, empty=empty, at_most_s=at_most_s)
    longest = policy.empty_ttl_s if empty else policy.ttl.base_s * 4.0
    assert 0 < lifetime_s <= min(longest, at_most_s or longest)


@given(CHANCES, st.integers(0, 100), st.integers(0, 100))
def test_what_is_asked_for_more_lives_longer(chance: float, hits: int, more: int) -> None:
    """Fame never shortens a life."""
    policy = Freshness()
    assert policy.lifetime_s(chance, hits=hits + more) >= policy.lifetime_s(chance, hits=hits)


@given(SECONDS, SECONDS, SECONDS, CHANCES)
def test_near_is_never_fresher_than_far(
    created_s: float, lifetime_s: float, later_s: float, chance: float
) -> None:
    """What this process keeps is fresh for at most as long as the store says."""
    until_s = created_s + lifetime_s
    policy = Freshness()
    near_s = policy.near_until_s(created_s, until_s, created_s + later_s, chance)
    assert near_s <= until_s
    factor = max(1.0, (until_s - created_s) / policy.ttl.base_s)
    assert near_s <= created_s + later_s + policy.near_ttl.base_s * factor


@given(SECONDS, SECONDS, CHANCES)
def test_phases_follow_one_another(age_s: float, cost_s: float, chance: float) -> None:
    """Fresh, due, spare, over: time never turns back."""
    policy = Freshness(stale_s=30.0, stale_if_error_s=300.0)
    order = ["fresh", "due", "spare", "over"]
    before = policy.phase(1000.0, age_s, cost_s, chance)
    after = policy.phase(1000.0, age_s + 10.0, cost_s, chance)
    assert order.index(after) >= order.index(before)
    assert policy.phase(1000.0, 1000.0, cost_s, chance) == "due"
    assert policy.phase(1000.0, 1030.0, cost_s, chance) == "spare"
    assert policy.phase(1000.0, 1300.0, cost_s, chance) == "over"


@pytest.mark.parametrize(("left_s", "share"), [(10.0, 0.0), (2.0, 0.14), (1.0, 0.37), (0.1, 0.9)])
def test_an_expensive_entry_is_made_anew_early(left_s: float, share: float) -> None:
    """The chance that a lookup finds it due is exp(-left / cost), as in the paper."""
    dice = random.Random(1)
    policy = Freshness()
    due = sum(
        policy.phase(1000.0, 1000.0 - left_s, 1.0, dice.random()) == "due" for _ in range(5000)
    )
    assert due / 5000 == pytest.approx(share, abs=0.02)


def test_never_early_where_that_is_off() -> None:
    """An eagerness of 0 makes nothing anew before its end."""
    policy = Freshness(early=0.0)
    assert policy.phase(1000.0, 999.999, 1e6, 0.999999) == "fresh"


@pytest.mark.parametrize(
    "settings",
    [
        {"empty_ttl_s": -1.0},
        {"stale_s": float("nan")},
        {"stale_if_error_s": float("inf")},
        {"early": -0.1},
        {"hot_factor": 0.5},
    ],
)
def test_wrong_settings_are_named(settings: dict[str, float]) -> None:
    """A value out of range is an error that names the setting."""
    with pytest.raises(ConfigError, match=next(iter(settings))):
        Freshness(**settings)


def test_jitter_spreads_what_was_stored_together() -> None:
    """A thousand entries of one moment do not end in one moment."""
    dice = random.Random(2)
    policy = Freshness(ttl=TtlPolicy(base_s=600.0, jitter=0.1))
    ends = sorted(policy.lifetime_s(dice.random()) for _ in range(1000))
    assert ends[-1] - ends[0] > 0.09 * 600.0
    most = max(sum(1 for end in ends if start <= end < start + 1) for start in range(540, 600))
    assert most < 40


@given(st.lists(st.integers(0, 50), max_size=300))
def test_popularity_never_counts_too_little(asked: list[int]) -> None:
    """Within a period a count is at least the truth, and of a lone key exactly that."""
    keys = [random.Random(number).randbytes(24) for number in range(51)]
    popularity = Popularity()
    for number in asked:
        popularity.note(keys[number])
    for number in set(asked):
        assert popularity.count(keys[number]) >= asked.count(number)
    assert popularity.count(b"\xff" * 24) <= len(asked)


def test_old_fame_fades() -> None:
    """What nobody asks for any more is forgotten after some periods."""
    popularity = Popularity(width=64)
    dice = random.Random(3)
    once = dice.randbytes(24)
    for _ in range(200):
        popularity.note(once)
    famous = popularity.count(once)
    for _ in range(640 * 12):
        popularity.note(b"\0" * 24)
    assert popularity.count(once) < famous / 100


class _Raced(array):  # type: ignore[type-arg]
    """Counts of which another thread counts one more after every look."""

    def __getitem__(self, place: Any) -> Any:
        count = super().__getitem__(place)
        super().__setitem__(place, min(255, count + 1))
        return count


def test_two_threads_that_count_the_same_raise_nothing() -> None:
    """A count is full whichever thread fills it."""
    popularity = Popularity(width=64)
    popularity._rows = [_Raced("B", bytes(64)) for _ in range(4)]
    for _ in range(300):
        popularity.note(b"\0" * 24)
    assert popularity.count(b"\0" * 24) == 255
