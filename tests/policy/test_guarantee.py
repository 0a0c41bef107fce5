from __future__ import annotations

import json
import random
from math import inf, log, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.errors import ConfigError
from accel_core.policy.confidence import Alarm, Doubt, upper_bound
from accel_core.policy.guarantee import Decision, Guarantee, Outcome
from accel_core.policy.promise import GuaranteeSettings

SCOPE, OTHER, ENTRY = b"scope", b"other", b"entry"
ALPHA = 0.05

counts = st.tuples(st.floats(0, 5_000), st.floats(0, 1)).map(
    lambda pair: (pair[0], pair[0] * pair[1])
)


def guarantee(bound: float = 0.05, **more: object) -> Guarantee:
    return Guarantee(GuaranteeSettings(max_wrong_hits=bound, **more))  # type: ignore[arg-type]


def ask(
    mode: Guarantee,
    dice: random.Random,
    times: int,
    wrong: float,
    *,
    scope: bytes = SCOPE,
    score: float = 0.995,
) -> tuple[int, int]:
    """Ask `times` about fresh entries, wrong with probability `wrong`; return hits, wrong hits."""
    hits = bad = 0
    for _ in range(times):
        entry, right = dice.randbytes(8), dice.random() >= wrong
        decision = mode.decide(score, scope, entry, dice.random())
        if decision.action == "serve":
            hits += 1
            bad += not right
        elif decision.action == "explore":
            mode.observe(Outcome(score, scope, entry, right, decision.weight))
    return hits, bad


@given(counts, st.floats(0.01, 1))
def test_the_bound_is_monotone(seen_and_wrong: tuple[float, float], weight: float) -> None:
    """A right outcome never raises the bound, a wrong one never lowers it, whatever they weigh."""
    seen, wrong = seen_and_wrong
    bound = upper_bound(seen, wrong, ALPHA)
    assert upper_bound(seen + weight, wrong, ALPHA) <= bound + 1e-9
    assert upper_bound(seen + weight, wrong + weight, ALPHA) >= bound - 1e-9


@given(counts, st.floats(0.001, 0.5))
def test_the_bound_and_the_evidence_agree(seen_and_wrong: tuple[float, float], rate: float) -> None:
    """A share is refuted exactly where the bound lies below it."""
    seen, wrong = seen_and_wrong
    bound = upper_bound(seen, wrong, ALPHA)
    if abs(bound - rate) > 1e-9:
        refuted = Doubt(rate).refuted(seen, wrong, -log(ALPHA))
        assert refuted == (bound < rate) == (Doubt(rate).evidence(seen, wrong) >= -log(ALPHA))


def test_the_bound_covers_at_all_times() -> None:
    """In no more than 5 % of runs does the true share ever exceed a bound looked at each time."""
    dice, exceeded = random.Random(1), 0
    for _ in range(400):
        doubt, wrong = Doubt(0.05), 0
        for seen in range(1, 1_001):
            wrong += dice.random() < 0.05
            if doubt.evidence(seen, wrong) >= -log(ALPHA):
                exceeded += 1
                break
    assert exceeded <= 0.05 * 400


@pytest.mark.parametrize("weighted", [True, False])
def test_the_bound_covers_uneven_samples(weighted: bool) -> None:
    """Outcomes looked at unevenly exceed the bound as seldom, if and only if they are weighted."""
    # A tenth of the candidates, wrong half of the time, is looked at one time in ten; the others
    # always, and they are right.
    dice, exceeded, share = random.Random(2), 0, 0.05
    for _ in range(100):
        doubt, seen, wrong = Doubt(share), 0.0, 0.0
        for _ in range(2_000):
            hard = dice.random() < 0.1
            if hard and dice.random() >= 0.1:
                continue
            weight = 0.1 if weighted and not hard else 1.0
            seen += weight
            wrong += weight * (hard and dice.random() < 0.5)
            if doubt.refuted(seen, wrong, -log(ALPHA)):
                exceeded += 1
                break
    assert (exceeded <= 5) if weighted else (exceeded > 90)


def test_the_bound_comes_near_the_truth() -> None:
    """A thousand outcomes, ten of them wrong, bound the share below two and a half percent."""
    assert 0.01 < upper_bound(1_000, 10, ALPHA) < 0.025
    assert upper_bound(0, 0, ALPHA) == 1.0


def test_the_alarm_rings_for_what_is_worse_and_not_for_what_is_allowed() -> None:
    """Five times the allowed share rings within some hundred outcomes, half of it hardly ever."""
    alarm = Alarm(0.02, limit=log(1_000))

    def rings(share: float, times: int) -> bool:
        dice, level = random.Random(3), 0.0
        for _ in range(times):
            level = alarm.right(level)
            if dice.random() < share:
                level = alarm.wrong(level)
            if level == inf:
                return True
        return False

    assert rings(0.1, 300)
    assert not rings(0.01, 3_000)


@pytest.mark.parametrize("trust", ["calibrated", "earned"])
def test_a_scope_begins_in_shadow(trust: str) -> None:
    """Without evidence everything promising is explored, and nothing is served."""
    mode = guarantee(trust=trust)
    assert mode.decide(1.0, SCOPE, ENTRY, 0.99) == Decision("explore", "shadow")
    assert mode.decide(0.3, SCOPE, ENTRY, 0.99).action == "refuse"
    assert mode.decide(nan, SCOPE, ENTRY, 0.99).action == "refuse"
    assert mode.decide(1.5, SCOPE, ENTRY, 0.99).action == "refuse"


@pytest.mark.parametrize("trust", ["calibrated", "earned"])
def test_a_good_scope_switches_itself_on(trust: str) -> None:
    """A scope whose candidates are right is served from, after its own evidence alone."""
    mode, dice = guarantee(trust=trust), random.Random(4)
    ask(mode, dice, 300, wrong=0.005)
    assert mode.decide(0.995, SCOPE, ENTRY, 0.99) == Decision("serve", "proven")
    hits, _ = ask(mode, dice, 1_000, wrong=0.005)
    assert hits > 700


@pytest.mark.parametrize("seed", range(5))
def test_a_bad_scope_switches_itself_off(seed: int) -> None:
    """What turns bad is no longer served, and is again when it is good again."""
    mode, dice = guarantee(trust="earned", explore_min=0.1), random.Random(seed)
    ask(mode, dice, 1_000, wrong=0.0)
    assert mode.decide(0.995, SCOPE, ENTRY, 0.99).action == "serve"
    ask(mode, dice, 2_000, wrong=0.3)
    assert ask(mode, dice, 500, wrong=0.3) == (0, 0)
    ask(mode, dice, 4_000, wrong=0.0)
    assert mode.decide(0.995, SCOPE, ENTRY, 0.99).action == "serve"


@pytest.mark.slow
def test_a_scope_worse_than_the_bound_is_hardly_ever_served() -> None:
    """Of scopes that are twice as bad as allowed, no more than 5 % are ever switched on."""
    on = 0
    for seed in range(100):
        hits, _ = ask(guarantee(trust="earned"), random.Random(seed), 1_500, wrong=0.1)
        on += hits > 0
    assert on <= 5


@pytest.mark.slow
def test_restarts_do_not_loosen_the_bound() -> None:
    """Stopped and restored after every ten questions, bad scopes are switched on no more often."""
    on = 0
    for seed in range(60):
        mode, dice, hits = guarantee(trust="earned"), random.Random(seed), 0
        for _ in range(100):
            hits += ask(mode, dice, 10, wrong=0.1)[0]
            mode = Guarantee.restored(mode.settings, json.loads(json.dumps(mode.export())))
        on += hits > 0
    assert on <= 3


def test_only_what_is_proven_is_served() -> None:
    """Where low scores are wrong often, high ones are served and low ones are not."""
    mode, dice = guarantee(), random.Random(5)
    for _ in range(1_000):
        ask(mode, dice, 1, wrong=0.0, score=0.995)
        ask(mode, dice, 1, wrong=0.3, score=0.8)
    assert mode.decide(0.995, SCOPE, ENTRY, 0.99).reason == "proven"
    assert mode.decide(0.8, SCOPE, ENTRY, 0.99).reason == "unproven"
    served = [row.served for row in mode.bounds(SCOPE)]
    assert served == sorted(served, reverse=True)
    assert any(served)
    assert all(row.upper_bound <= 0.05 for row in mode.bounds(SCOPE) if row.served)


def test_what_was_never_seen_is_not_served() -> None:
    """Proof about high scores says nothing about lower ones, though no outcome speaks against."""
    mode = guarantee()
    ask(mode, random.Random(13), 2_000, wrong=0.0)
    assert mode.decide(0.995, SCOPE, ENTRY, 0.99).reason == "proven"
    assert mode.decide(0.8, SCOPE, ENTRY, 0.99).reason == "unproven"


def test_calibration_is_a_head_start_and_no_more() -> None:
    """A calibrated scope needs few own outcomes, an earned one many, and a bad one shows early."""
    outcomes = [(0.995, True)] * 5_000
    earned, calibrated, bad = guarantee(trust="earned"), guarantee(), guarantee()
    for mode in (earned, calibrated, bad):
        mode.warm(outcomes)
        assert mode.decide(0.995, SCOPE, ENTRY, 0.99).action == "explore"
    ask(earned, random.Random(6), 21, wrong=0.0)
    ask(calibrated, random.Random(6), 21, wrong=0.0)
    assert earned.decide(0.995, SCOPE, ENTRY, 0.99).action == "explore"
    assert calibrated.decide(0.995, SCOPE, ENTRY, 0.99).action == "serve"
    hits, _ = ask(bad, random.Random(6), 1_000, wrong=0.2)
    assert hits < 20


def test_scopes_help_one_another_unless_trust_is_earned() -> None:
    """One scope's outcomes are a head start for another, but its misfortune is its own."""
    mode, dice = guarantee(), random.Random(7)
    ask(mode, dice, 2_000, wrong=0.0)
    assert mode.decide(0.995, OTHER, ENTRY, 0.99).action == "serve"
    for _ in range(40):
        mode.report_wrong(0.995, OTHER, dice.randbytes(8))
    assert mode.decide(0.995, OTHER, ENTRY, 0.99).action == "explore"
    assert mode.decide(0.995, SCOPE, ENTRY, 0.99).action == "serve"
    lone = guarantee(trust="earned")
    ask(lone, dice, 2_000, wrong=0.0)
    assert lone.decide(0.995, OTHER, ENTRY, 0.99).action == "explore"


def test_exploring_grows_rare() -> None:
    """Would-be hits are explored less and less, and never not at all."""
    mode, dice = guarantee(explore_min=0.02), random.Random(8)
    explored = []
    for _ in range(4):
        hits, _ = ask(mode, dice, 2_000, wrong=0.0)
        explored.append(2_000 - hits)
    assert explored[0] > explored[-1]
    sampled = mode.decide(0.995, SCOPE, ENTRY, 0.0199)
    assert sampled[:3] == ("explore", "sampled", 1.0)
    assert 0.02 <= sampled.share < 0.03


def test_one_report_demotes_an_entry_and_does_not_erase_it() -> None:
    """After a report an entry needs a better score, and right outcomes win it back."""
    mode, dice = guarantee(), random.Random(9)
    ask(mode, dice, 3_000, wrong=0.0, score=0.95)
    assert mode.decide(0.95, SCOPE, ENTRY, 0.99).action == "serve"
    mode.report_wrong(0.95, SCOPE, ENTRY)
    assert mode.decide(0.95, SCOPE, ENTRY, 0.99)[:2] == ("explore", "demoted")
    assert mode.decide(0.999, SCOPE, ENTRY, 0.99).action == "serve"
    assert mode.decide(0.95, SCOPE, b"another", 0.99).action == "serve"
    for _ in range(20):
        mode.observe(Outcome(0.95, SCOPE, ENTRY, right=True, weight=0.02))
    assert mode.decide(0.95, SCOPE, ENTRY, 0.99).action == "serve"


def test_a_wrong_outcome_that_was_expected_hardly_demotes() -> None:
    """An entry is not blamed for being the nearest to a question far away."""
    mode, dice = guarantee(), random.Random(10)
    ask(mode, dice, 3_000, wrong=0.0, score=0.97)
    mode.observe(Outcome(0.02, SCOPE, ENTRY, right=False))
    assert mode.decide(0.97, SCOPE, ENTRY, 0.99).action == "serve"


@given(
    st.lists(st.tuples(st.sampled_from([0.999, 0.97, 0.9, 0.6]), st.booleans()), max_size=60),
    st.integers(0, 59),
    st.sampled_from([0.999, 0.97, 0.9, 0.6]),
)
def test_reports_only_tighten(outcomes: list[tuple[float, bool]], at: int, reported: float) -> None:
    """No report raises what is served, nor lowers a bound."""
    mode = guarantee(bound=0.2, confidence=0.5)
    mode.warm([(0.99, True)] * 200)
    for score, right in outcomes[:at]:
        mode.observe(Outcome(score, SCOPE, ENTRY, right))
    before = mode.bounds(SCOPE)
    mode.report_wrong(reported, SCOPE, ENTRY)
    for old, new in zip(before, mode.bounds(SCOPE), strict=True):
        assert new.upper_bound >= old.upper_bound - 1e-9
        assert old.served or not new.served


def test_many_reports_end_what_calibration_began() -> None:
    """A scope whose hits are reported too often must earn everything, without calibration."""
    mode, dice = guarantee(), random.Random(11)
    mode.warm([(0.995, True)] * 5_000)
    ask(mode, dice, 40, wrong=0.0)
    for _ in range(60):
        if mode.decide(0.995, SCOPE, dice.randbytes(8), 0.99).action == "serve":
            mode.report_wrong(0.995, SCOPE, dice.randbytes(8))
    assert mode.decide(0.995, SCOPE, ENTRY, 0.99).reason == "shadow"
    assert mode.decide(0.995, OTHER, ENTRY, 0.99).action == "serve"
    ask(mode, dice, 400, wrong=0.0)
    assert mode.decide(0.995, SCOPE, ENTRY, 0.99).action == "serve"


actions = st.lists(
    st.tuples(
        st.sampled_from(["decide", "right", "wrong", "report"]),
        st.floats(0, 1),
        st.sampled_from([b"a", b"b", b"c"]),
        st.binary(min_size=1, max_size=1),
    ),
    max_size=60,
)


@given(actions)
def test_what_is_exported_decides_alike(done: list[tuple[str, float, bytes, bytes]]) -> None:
    """An export through JSON restores the same decisions and the same export."""
    mode = guarantee(bound=0.2, confidence=0.5)
    mode.warm([(0.95, True)] * 100)
    for action, score, scope, entry in done:
        if action == "decide":
            mode.decide(score, scope, entry, 0.5)
        elif action == "report":
            mode.report_wrong(score, scope, entry)
        else:
            mode.observe(Outcome(score, scope, entry, action == "right"))
    state = json.loads(json.dumps(mode.export()))
    again = Guarantee.restored(mode.settings, state)
    assert again.export() == state
    for scope in (b"a", b"b", b"c"):
        assert again.bounds(scope) == mode.bounds(scope)
        for score in (0.99, 0.9, 0.7):
            assert again.decide(score, scope, b"x", 0.5) == mode.decide(score, scope, b"x", 0.5)


def test_what_would_be_served_is_told_without_a_trace() -> None:
    """Asking what would be served explores nothing and changes nothing."""
    mode = guarantee()
    assert mode.would(0.995, SCOPE, ENTRY) == Decision("explore", "shadow")
    ask(mode, random.Random(3), 400, wrong=0.0)
    for _ in range(3):
        mode.report_wrong(0.995, SCOPE, b"another")
    before = mode.export()
    assert mode.would(0.995, SCOPE, ENTRY) == Decision("serve", "proven")
    assert mode.would(0.2, SCOPE, ENTRY).action == "refuse"
    assert mode.export() == before


def test_hits_count_alike_one_by_one_and_together() -> None:
    """Hits of another process lower the alarm as they did there."""
    apart, together = (guarantee() for _ in range(2))
    for mode in (apart, together):
        ask(mode, random.Random(3), 400, wrong=0.0)
        for _ in range(4):
            mode.report_wrong(0.999, SCOPE, b"another")
    for _ in range(7):
        assert apart.decide(0.9999, SCOPE, ENTRY, 0.99).action == "serve"
    together.served(SCOPE, 7)
    alarms = [mode.export()["scopes"][SCOPE.hex()]["alarm"] for mode in (apart, together)]
    assert alarms[0] == pytest.approx(alarms[1])
    assert alarms[0] > 0


def test_trust_that_must_be_earned_is_not_restored_as_calibrated() -> None:
    """A scope that spoke for others stands for itself once trust is to be earned."""
    mode = guarantee()
    ask(mode, random.Random(3), 400, wrong=0.0)
    mode.decide(0.995, OTHER, ENTRY, 0.99)
    earned = GuaranteeSettings(max_wrong_hits=0.05, trust="earned")
    again = Guarantee.restored(earned, mode.export())
    assert mode.would(0.995, OTHER, ENTRY).action == "serve"
    assert again.would(0.995, OTHER, ENTRY).action == "explore"
    assert again.would(0.995, SCOPE, ENTRY).action == "serve"


def test_an_entry_is_forgotten() -> None:
    """What a forgotten entry's outcomes taught about it leaves no trace of it."""
    mode = guarantee()
    mode.observe(Outcome(0.99, SCOPE, ENTRY, right=False))
    mode.forget([ENTRY, b"unknown"])
    assert not mode.export()["entries"]


def test_memory_is_bounded() -> None:
    """The scopes asked least recently and the entries judged least recently are forgotten."""
    mode, dice = guarantee(max_scopes=3, max_entries=5), random.Random(12)
    for number in range(50):
        scope = bytes([number])
        mode.decide(0.99, b"kept", ENTRY, 0.5)
        mode.observe(Outcome(0.99, scope, dice.randbytes(8), right=False))
    state = mode.export()
    assert list(state["scopes"]) == [b.hex() for b in (bytes([48]), b"kept", bytes([49]))]
    assert len(state["entries"]) == 5
    smaller = GuaranteeSettings(max_wrong_hits=0.05, max_scopes=1, max_entries=2)
    cut = Guarantee.restored(smaller, state).export()
    assert list(cut["scopes"]) == [bytes([49]).hex()]
    assert list(cut["entries"]) == list(state["entries"])[-2:]


def test_counts_forget() -> None:
    """No threshold remembers more outcomes than the setting allows."""
    mode = guarantee(memory=8)
    for _ in range(1_000):
        mode.observe(Outcome(0.999, SCOPE, ENTRY, right=True))
    assert max(mode.export()["scopes"][SCOPE.hex()]["seen"]) <= 8 / 0.05 + 1e-9


@pytest.mark.parametrize(
    "damage",
    [
        {"version": 2},
        {"max_wrong_hits": 0.01},
        {"global": {"seen": [1.0], "wrong": [0.0]}},
        {"calibration": {"seen": None, "wrong": None}},
        {"entries": {"zz": 1.0}},
        {"entries": {"00": nan}},
        {"entries": []},
        {"scopes": {"00": {}}},
    ],
)
def test_a_damaged_state_is_refused(damage: dict[str, object]) -> None:
    """A state that is damaged or of another bound is an error that names itself."""
    mode = guarantee()
    mode.decide(0.99, SCOPE, ENTRY, 0.5)
    with pytest.raises(ConfigError, match=r"guarantee\.state"):
        Guarantee.restored(mode.settings, mode.export() | damage)


@pytest.mark.parametrize("wrong", [-1.0, 2.0, nan, inf])
def test_impossible_counts_are_refused(wrong: float) -> None:
    """More wrong outcomes than outcomes, or no number, is a damaged state."""
    mode = guarantee()
    state = mode.export()
    state["global"]["wrong"][0] = wrong
    with pytest.raises(ConfigError, match=r"guarantee\.state"):
        Guarantee.restored(mode.settings, state)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_wrong_hits", 0.0),
        ("max_wrong_hits", 0.3),
        ("max_wrong_hits", nan),
        ("confidence", 1.0),
        ("confidence", 0.2),
        ("trust", "blind"),
        ("pooled", -1.0),
        ("pooled", inf),
        ("memory", 1.0),
        ("explore_max", 0.0),
        ("explore_max", 1.1),
        ("explore_min", 0.0),
        ("explore_min", 0.9),
        ("max_scopes", 0),
        ("max_entries", 0),
    ],
)
def test_bad_settings_are_named(name: str, value: object) -> None:
    """A setting out of range is refused by name."""
    with pytest.raises(ConfigError, match=name):
        GuaranteeSettings(**{"max_wrong_hits": 0.02, name: value})  # type: ignore[arg-type]
