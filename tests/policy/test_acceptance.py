"""Which guesses are worth making, which results are checked, and what a change makes worthless."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.errors import ConfigError
from accel_core.policy.acceptance import Acceptance, AcceptanceTerms, wilson_lower
from accel_core.policy.audits import audit_probability, same_result
from accel_core.policy.epochs import Epochs
from accel_core.policy.speculation import SpeculationSettings

SHARES = st.floats(0, 1)
OUTCOMES = st.lists(st.tuples(SHARES, st.booleans(), st.floats(0, 100)), max_size=120)


@given(trials=st.integers(1, 10_000), data=st.data())
def test_wilsons_lower_end_is_below_the_share_and_near_it_for_many(
    trials: int, data: st.DataObject
) -> None:
    used = data.draw(st.integers(0, trials))
    low = wilson_lower(used, trials)
    assert 0 <= low <= used / trials + 1e-12
    assert used / trials - low <= 1.2816 / math.sqrt(trials) + 1e-9
    assert wilson_lower(10 * used, 10 * trials) >= low - 1e-12


def test_wilsons_lower_end_is_the_published_one() -> None:
    """Against the interval of 81 in 263 at 95 % (Newcombe 1998, table I): 0.2553."""
    assert wilson_lower(81, 263, z=1.959964) == pytest.approx(0.2553, abs=5e-5)
    assert wilson_lower(0, 0) == 0


@given(SHARES, OUTCOMES)
def test_a_threshold_is_never_below_the_configured_one(
    threshold: float, outcomes: list[tuple[float, bool, float]]
) -> None:
    judged, now_s = Acceptance(AcceptanceTerms(threshold=threshold)), 0.0
    for confidence, used, later_s in outcomes:
        now_s += later_s
        judged.noted(confidence, used=used, now_s=now_s)
        assert judged.threshold(now_s) >= threshold
        assert not judged.allows(math.nextafter(threshold, -1), now_s)
    # What was long ago is forgotten.
    assert judged.threshold(now_s + 1e6) == threshold
    assert judged.allows(threshold, now_s + 1e6)


@given(OUTCOMES, SHARES)
def test_a_guess_that_is_used_makes_no_threshold_higher(
    outcomes: list[tuple[float, bool, float]], confidence: float
) -> None:
    told = [Acceptance(AcceptanceTerms(waste_share=0.99)) for _ in range(2)]
    for judged in told:
        for each, used, _ in outcomes:
            judged.noted(each, used=used, now_s=0.0)
        for _ in range(20):
            judged.noted(0.999, used=False, now_s=0.0)
    before = told[0].threshold(0.0)
    for _ in range(200):
        told[1].noted(confidence, used=True, now_s=0.0)
    assert told[1].threshold(0.0) <= before


def test_exaggerated_confidences_raise_the_threshold_to_where_they_hold() -> None:
    """Guesses at 0.72 are used a tenth of the time, those at 0.92 nearly always."""
    judged = Acceptance(AcceptanceTerms(threshold=0.7))
    for n in range(40):
        judged.noted(0.92, used=n % 20 != 19, now_s=0.0)
        judged.noted(0.72, used=n % 10 == 0, now_s=0.0)
    assert not judged.allows(0.72, 0.0)
    assert judged.allows(0.92, 0.0)
    # After some half-lives too little is known to hold it against them.
    assert judged.allows(0.72, 4_000.0)


def test_a_tool_that_wastes_rests_longer_each_time_and_is_tried_sparingly() -> None:
    judged, now_s, rests = Acceptance(AcceptanceTerms(threshold=0.0)), 0.0, []
    tries = []
    for _ in range(9):
        tried = 0
        while judged.allows(0.9, now_s):
            tried += 1
            judged.noted(0.9, used=False, now_s=now_s)
        tries.append(tried)
        began_s = now_s
        while judged.resting(now_s):
            now_s += 1.0
        rests.append(now_s - began_s)
    assert tries == [10, 3, 3, 3, 3, 3, 3, 3, 3]
    assert rests == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_a_tool_that_makes_good_is_on_trial_no_longer() -> None:
    judged, now_s = Acceptance(AcceptanceTerms(threshold=0.0)), 0.0
    for _ in range(10):
        rests = judged.noted(0.9, used=False, now_s=now_s)
    assert rests
    now_s = 61.0
    for _ in range(12):
        assert not judged.noted(0.9, used=True, now_s=now_s)
    for _ in range(12):
        assert not judged.noted(0.9, used=False, now_s=now_s)
    assert judged.noted(0.9, used=False, now_s=now_s)
    assert judged.allows(0.9, now_s + 60.0)


@pytest.mark.parametrize("settings", [
    {"threshold": 1.1}, {"threshold": math.nan}, {"waste_share": 0.0}, {"at_once": 0},
    {"audit_share": -0.1}, {"timeout_s": math.inf}, {"timeout_s": 0.0}, {"window_s": -1.0},
    {"ttl_s": math.nan}, {"kept": 0}, {"per_minute": 0},
])  # fmt: skip
def test_a_wrong_setting_is_named(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        SpeculationSettings(**settings)  # type: ignore[arg-type]


@given(st.integers(0, 10_000), SHARES)
def test_what_is_trusted_seldom_is_checked_more_often(adopted: int, share: float) -> None:
    now, later = audit_probability(adopted, share), audit_probability(adopted + 1, share)
    assert (now == later == 0) if share == 0 else share <= later <= now <= max(share, 0.25)


class Opaque:
    pass


class Moody:
    def __eq__(self, other: object) -> bool:
        raise ValueError("truth value is ambiguous")

    __hash__ = None  # type: ignore[assignment]


def test_results_are_compared_by_what_they_say() -> None:
    assert same_result({"a": [1, 2.5], "b": None}, {"b": None, "a": [1, 2.5]})
    assert same_result({"a": 1}, {"a": 1.5}) is False
    assert same_result(1, True) is False
    assert same_result([Opaque], [1]) is False
    assert same_result(range(3), range(3))
    assert same_result(Opaque(), Opaque()) is None
    assert same_result(Moody(), Moody()) is None


TENANTS = st.sampled_from(["a", "b", "c", "d", None])


@given(st.lists(st.tuples(TENANTS, TENANTS), max_size=40), st.integers(1, 5))
def test_what_holds_was_changed_by_nobody_since(
    steps: list[tuple[str | None, str | None]], most: int
) -> None:
    """Against a model that forgets nothing; bounded memory may only make it worthless too early."""
    epochs, changes = Epochs(most), []
    begun: list[tuple[str | None, int, int]] = []
    for changer, beginner in steps:
        epochs.change(changer)
        changes.append(changer)
        begun.append((beginner, epochs.now, len(changes)))
        for tenant, epoch, at in begun:
            since = changes[at:]
            touched = bool(since) if tenant is None else tenant in since or None in since
            if touched:
                assert not epochs.holds(tenant, epoch)
            elif most >= 4:
                assert epochs.holds(tenant, epoch)
        assert len(epochs._last) <= most
