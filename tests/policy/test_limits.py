"""Layers, reservations and accounts: what they admit, keep, give back and learn."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_core.errors import ConfigError
from accel_core.policy.limits.account import Account, Limits, Shown
from accel_core.policy.limits.charge import NOTHING, Charge, Demand, Usage
from accel_core.policy.limits.header_view import HeaderView
from accel_core.policy.limits.hidden_limit import Form, Sent, infer
from accel_core.policy.limits.layers import Bucket, Window
from accel_core.policy.limits.provider_profile import PROFILES, profile_named
from accel_core.policy.limits.reservations import Place, Reservations, State

TOKENS = 1
LATER_S = 1e6

amounts = st.floats(1, 1_000)
gaps_s = st.floats(0, 5)


def tokens(amount: float) -> Charge:
    return Charge(1.0, amount, amount, 0.0)


def place(amount: float, now_s: float, deadline_s: float = LATER_S) -> Place:
    made = Place(tokens(amount), now_s)
    made.order, made.expires_s = (deadline_s, 0), LATER_S
    return made


def asked(reservations: Reservations, amount: float, now_s: float, **more: float) -> Place:
    made = place(amount, now_s, **more)
    reservations.ask(made, now_s)
    return made


@given(st.lists(st.tuples(gaps_s, amounts), max_size=60), st.floats(1, 100))
def test_over_any_time_a_bucket_admits_at_most_its_capacity_and_what_it_refilled(
    steps: list[tuple[float, float]], rate_per_s: float
) -> None:
    bucket, now_s = Bucket(TOKENS, rate_per_s, 1_000.0, 0.0), 0.0
    admitted: list[tuple[float, float]] = []
    for gap_s, amount in steps:
        now_s += gap_s
        if bucket.wait_s(tokens(amount), now_s) <= 0.0:
            bucket.take(tokens(amount))
            admitted.append((now_s, amount))
    for start, (from_s, _) in enumerate(admitted):
        for end in range(start, len(admitted)):
            total = sum(amount for _, amount in admitted[start : end + 1])
            assert total <= 1_000.001 + rate_per_s * (admitted[end][0] - from_s)


@given(st.floats(1, 5_000), st.floats(0, 1_000))
def test_what_a_bucket_asks_to_wait_is_enough_and_not_more(amount: float, taken: float) -> None:
    bucket = Bucket(TOKENS, 10.0, 1_000.0, 0.0)
    bucket.take(tokens(taken))
    wait_s = bucket.wait_s(tokens(amount), 0.0)
    assert bucket.wait_s(tokens(amount), wait_s) == 0.0
    if wait_s > 0.01:
        bucket = Bucket(TOKENS, 10.0, 1_000.0, 0.0)
        bucket.take(tokens(taken))
        assert bucket.wait_s(tokens(amount), wait_s * 0.99) > 0.0


def test_more_than_a_full_bucket_passes_when_it_is_full_and_leaves_a_debt() -> None:
    bucket = Bucket(TOKENS, 100.0, 100.0, 0.0)
    assert bucket.wait_s(tokens(250), 0.0) == 0.0
    bucket.take(tokens(250))
    assert bucket.wait_s(tokens(50), 0.0) == pytest.approx(2.0)
    assert bucket.wait_s(tokens(250), 0.0) == pytest.approx(2.5)


def test_a_clock_that_jumps_back_neither_refills_nor_hangs() -> None:
    bucket = Bucket(TOKENS, 10.0, 100.0, 1_000.0)
    bucket.take(tokens(100))
    assert bucket.wait_s(tokens(10), 400.0) == pytest.approx(1.0)
    assert bucket.wait_s(tokens(10), 401.0) == 0.0
    window = Window(TOKENS, length_s=1.0, start_s=0.0, amount=100.0, guard_s=0.0)
    window.wait_s(tokens(1), 1_000.5)
    window.take(tokens(100))
    assert window.wait_s(tokens(50), 400.5) <= 1.0
    assert window.wait_s(tokens(50), 401.5) == 0.0


@given(st.lists(st.tuples(gaps_s, st.floats(1, 300)), max_size=60))
def test_no_window_admits_more_than_its_amount(steps: list[tuple[float, float]]) -> None:
    window, now_s = Window(TOKENS, length_s=2.0, start_s=0.3, amount=300.0, guard_s=0.1), 0.0
    used: dict[float, float] = {}
    for gap_s, amount in steps:
        now_s += gap_s
        if window.wait_s(tokens(amount), now_s) <= 0.0:
            window.take(tokens(amount))
            number, into_s = divmod(now_s - 0.3, 2.0)
            assert 0.1 <= into_s <= 1.9
            used[number] = used.get(number, 0.0) + amount
    assert all(total <= 300.001 for total in used.values())


@given(st.floats(0, 10), st.floats(1, 900))
def test_a_window_lets_through_after_what_it_asks_to_wait(now_s: float, amount: float) -> None:
    window = Window(TOKENS, length_s=1.0, start_s=0.25, amount=300.0, guard_s=0.1)
    for _ in range(6):
        wait_s = window.wait_s(tokens(amount), now_s)
        if wait_s <= 0.0:
            break
        now_s += wait_s + 1e-9
    assert window.wait_s(tokens(amount), now_s) <= 0.0


def test_a_charge_is_taken_from_every_limit_or_from_none() -> None:
    plenty, little = Bucket(0, 1.0, 10.0, 0.0), Bucket(TOKENS, 1.0, 100.0, 0.0)
    reservations = Reservations([plenty, little])
    assert asked(reservations, 90, 0.0).state is State.GRANTED
    assert asked(reservations, 50, 0.0).state is State.WAITING
    assert (plenty.level, little.level) == (9.0, 10.0)


def test_nobody_overtakes_the_first_however_little_it_needs() -> None:
    reservations = Reservations([Bucket(TOKENS, 10.0, 100.0, 0.0)])
    asked(reservations, 100, 0.0)
    large = asked(reservations, 90, 0.0)
    small = asked(reservations, 1, 1.0)
    assert reservations.advance(1.0) == []
    assert reservations.advance(9.0) == [large]
    assert reservations.advance(9.2) == [small]


def test_who_must_be_served_sooner_goes_first() -> None:
    reservations = Reservations([Bucket(TOKENS, 10.0, 100.0, 0.0)])
    asked(reservations, 100, 0.0)
    patient = asked(reservations, 50, 0.0, deadline_s=60.0)
    urgent = asked(reservations, 50, 0.0, deadline_s=6.0)
    assert reservations.first is urgent
    assert reservations.eta_s(tokens(50), 0.0, patient.order) == pytest.approx(10.0)
    assert reservations.advance(5.0) == [urgent]
    assert reservations.advance(10.0) == [patient]


def test_what_a_window_has_left_goes_to_whoever_fits() -> None:
    window = Window(TOKENS, length_s=1.0, start_s=0.0, amount=100.0, guard_s=0.0)
    reservations = Reservations([window])
    asked(reservations, 60, 0.0)
    first, small, fitting = (asked(reservations, amount, 0.1) for amount in (70, 20, 40))
    assert reservations.advance(0.1) == [fitting]
    assert reservations.advance(1.0) == [first, small]


def test_a_refused_call_gets_its_place_back() -> None:
    reservations = Reservations([Bucket(TOKENS, 10.0, 100.0, 0.0)])
    early = asked(reservations, 100, 0.0)
    late = asked(reservations, 10, 0.0)
    reservations.settle(early, NOTHING, 0.0)
    again = place(100, 0.0)
    reservations.ask(again, 0.0, early)
    assert reservations.first is again
    assert reservations.advance(0.0) == [again]
    assert late.state is State.WAITING


def test_slots_bound_what_is_under_way() -> None:
    reservations = Reservations(slots=1)
    running, waiting = asked(reservations, 1, 0.0), asked(reservations, 1, 0.0)
    assert reservations.turn_s(waiting, 0.0) == LATER_S
    assert reservations.eta_s(tokens(1), 0.0, waiting.order) > 0.0
    reservations.settle(running, NOTHING, 2.0)
    assert reservations.advance(2.0) == [waiting]


def test_who_waited_too_long_expires_and_holds_nothing() -> None:
    bucket = Bucket(TOKENS, 1.0, 100.0, 0.0)
    reservations = Reservations([bucket])
    asked(reservations, 100, 0.0)
    hurried = Place(tokens(50), 0.0)
    hurried.expires_s = 5.0
    reservations.ask(hurried, 0.0)
    assert reservations.turn_s(hurried, 0.0) == 5.0
    assert reservations.advance(5.0) == [hurried]
    assert hurried.state is State.EXPIRED
    assert bucket.level == pytest.approx(0.0)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.sampled_from(["ask", "leave", "settle", "again", "wait"]), amounts, gaps_s),
        max_size=80,
    )
)
def test_whatever_happens_in_whatever_order_nothing_leaks(
    steps: list[tuple[str, float, float]],
) -> None:
    bucket, now_s = Bucket(TOKENS, 1e-9, 5_000.0, 0.0), 0.0
    reservations = Reservations([bucket], slots=3)
    held: list[Place] = []
    spent = 0.0
    for action, amount, gap_s in steps:
        now_s += gap_s
        if action == "ask":
            held.append(asked(reservations, amount, now_s))
        elif held:
            one = held[int(amount) % len(held)]
            if action == "leave":
                reservations.leave(one, now_s)
                held.remove(one)
            elif action in {"settle", "again"} and one.state is State.GRANTED:
                used = min(amount, one.charge.tokens)
                reservations.settle(one, tokens(used), now_s)
                spent += used
                held.remove(one)
                if action == "again":
                    again = place(one.charge.tokens, now_s)
                    reservations.ask(again, now_s, one)
                    held.append(again)
        reservations.advance(now_s)
    for one in held:
        reservations.leave(one, now_s)
    assert reservations.in_use == len(reservations.queue) == 0
    assert bucket.level == pytest.approx(5_000.0 - spent, abs=1e-3)


def test_a_settled_place_settles_once() -> None:
    bucket = Bucket(TOKENS, 1.0, 100.0, 0.0)
    reservations = Reservations([bucket])
    one = asked(reservations, 80, 0.0)
    for _ in range(3):
        reservations.settle(one, tokens(30), 0.0)
        reservations.leave(one, 0.0)
    assert bucket.level == 70.0
    assert reservations.in_use == 0


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_a_limit_that_is_none_is_refused_by_name(value: float) -> None:
    with pytest.raises(ConfigError, match=r"limits\.tokens_per_minute"):
        Limits(tokens_per_minute=value)


def granted(account: Account, amount: float, now_s: float) -> Place:
    one = asked(account.reservations, amount, now_s)
    assert one.state is State.GRANTED
    return one


def test_headers_lower_the_level_to_what_others_left() -> None:
    account = Account(Limits(tokens_per_minute=6_000), 0.0)
    one = granted(account, 100, 0.0)
    account.look(one, [Shown(TOKENS, 6_000, 500)], 1.0)
    assert account.reservations.eta_s(tokens(400), 1.0, (0.0, 0.0)) == 0.0
    assert account.reservations.eta_s(tokens(1_500), 1.0, (0.0, 0.0)) == pytest.approx(9.6, abs=0.5)


def test_limits_that_nobody_stated_are_taken_from_the_first_header() -> None:
    account = Account(Limits(), 0.0)
    one = granted(account, 10_000, 0.0)
    account.look(one, [Shown(TOKENS, 60_000, 1_000)], 0.5)
    assert asked(account.reservations, 2_000, 0.5).state is State.WAITING


@pytest.mark.parametrize(
    ("limit", "remaining"),
    [(-5.0, 10.0), (0.0, 0.0), (50.0, 1e12), (float("inf"), 5.0), (6_000, None)],
)
def test_headers_that_cannot_be_true_change_nothing(
    limit: float | None, remaining: float | None
) -> None:
    account = Account(Limits(tokens_per_minute=6_000), 0.0)
    one = granted(account, 100, 0.0)
    account.look(one, [Shown(TOKENS, limit, remaining)], 0.0)
    assert asked(account.reservations, 5_000, 0.0).state is State.GRANTED


def test_what_remains_of_a_stated_limit_counts_where_its_header_is_missing() -> None:
    account = Account(Limits(tokens_per_minute=6_000), 0.0)
    one = granted(account, 100, 0.0)
    account.look(one, [Shown(TOKENS, None, 5)], 0.0)
    assert asked(account.reservations, 500, 0.0).state is State.WAITING


def test_a_limit_named_in_a_refusal_refuses_the_next_call_that_is_too_large() -> None:
    account = Account(Limits(), 0.0)
    assert account.too_large(tokens(16_008)) is None
    account.take_over([Shown(TOKENS, 9_000, 9_000)])
    assert account.too_large(tokens(16_008)) == ("tokens", 9_000)


def test_no_refusal_closes_a_key_for_longer_than_a_minute() -> None:
    account = Account(Limits(), 0.0)
    account.refused(granted(account, 1, 0.0), NOTHING, [], 0.0, retry_after_s=86_400.0)
    assert account.reservations.eta_s(tokens(1), 0.0, (0.0, 0.0)) == 60.0


def test_rounding_of_a_days_header_is_nobody_elses_use() -> None:
    view = HeaderView(0, 14_400 / 86_400, 14_400.0, 0.0)
    for used in range(1, 51):
        now_s = 3.0 * used
        sums = (float(used), 0.0, 0.0, 0.0)
        left = round(14_400 - used + now_s / 6 - 0.5)
        view.see(now_s, sums, left, sums, now_s)
    assert view.share_of_others < 0.3


def test_a_negative_rest_is_nothing_and_never_a_hang() -> None:
    account = Account(Limits(tokens_per_minute=6_000), 0.0)
    one = granted(account, 100, 0.0)
    account.look(one, [Shown(TOKENS, 6_000, -1e9)], 0.0)
    assert 0.0 < account.reservations.eta_s(tokens(100), 0.0, (0.0, 0.0)) <= 60.0


def test_a_late_answer_to_an_early_call_does_not_raise_the_level() -> None:
    account = Account(Limits(tokens_per_minute=6_000), 0.0)
    early, late = granted(account, 100, 0.0), granted(account, 100, 10.0)
    account.look(late, [Shown(TOKENS, 6_000, 200)], 10.5)
    account.look(early, [Shown(TOKENS, 6_000, 5_900)], 11.0)
    assert account.reservations.eta_s(tokens(1_000), 11.0, (0.0, 0.0)) > 1.0


def test_others_share_is_seen_and_forgotten() -> None:
    view, now_s, remaining, total = HeaderView(TOKENS, 100.0, 6_000.0, 0.0), 0.0, 3_000.0, 0.0
    for share in (0.5, 0.0):
        for _ in range(60):
            now_s += 1.0
            total += 40.0
            remaining = min(6_000.0, remaining + 100.0 * (1.0 - share) - 40.0)
            sums = (0.0, total, 0.0, 0.0)
            view.see(now_s, sums, remaining, sums, now_s)
        assert view.share_of_others == pytest.approx(share, abs=0.05)


def sent_at(rate_per_s: float, form: Form, seconds: int) -> list[Sent]:
    """Send 300 tokens at a steady pace to a provider that enforces `form`."""
    log, level, at_s, used, window = [], form.amount, 0.0, 0.0, None
    while at_s < seconds:
        if form.start_s is None:
            refused = level < 300
        else:
            if (now := (at_s - form.start_s) // form.length_s) != window:
                used, window = 0.0, now
            refused = used + 300 > form.amount
        if not refused:
            level, used = level - 300, used + 300
        log.append(Sent(at_s, tokens(300), refused))
        at_s += 300 / rate_per_s
        level = min(form.amount, level + 300 / rate_per_s * form.amount / form.length_s)
    return log


@pytest.mark.parametrize("length_s", [1.0, 10.0])
def test_a_hidden_bucket_is_recognised_by_what_it_refuses(length_s: float) -> None:
    truth = Form(TOKENS, 1_000.0 * length_s, length_s, None)
    found = infer(sent_at(2_000, truth, int(20 * length_s)), [(0, 20.0), (TOKENS, 1_000.0)])
    assert found == truth


@pytest.mark.parametrize("phase", [0.0, 0.31, 0.74])
def test_a_hidden_window_is_recognised_with_its_phase(phase: float) -> None:
    truth = Form(TOKENS, 1_000.0, 1.0, phase)
    found = infer(sent_at(1_700, truth, 30), [(TOKENS, 1_000.0)])
    assert found is not None
    assert found.start_s is not None
    assert found.length_s == 1.0
    off = abs((found.start_s - phase + 0.5) % 1.0 - 0.5)
    assert off < 0.15


def test_refusals_without_a_pattern_are_no_limit() -> None:
    log = [Sent(float(second), tokens(10), refused=second % 7 == 3) for second in range(100)]
    assert infer(log, [(0, 20.0), (TOKENS, 1_000.0)]) is None
    assert infer([], [(TOKENS, 1_000.0)]) is None


def test_refusals_without_headers_slow_down_and_recover() -> None:
    account = Account(Limits(requests_per_minute=6_000), 0.0)
    [bucket] = account.levels.buckets
    for second in range(20):
        one = granted(account, 10, 3.0 * second)
        account.refused(one, NOTHING, [], 3.0 * second)
    assert 15.0 < bucket.rate_per_s < 50.0
    one = granted(account, 10, 1_000.0)
    account.look(one, [], 1_000.0)
    assert bucket.rate_per_s == 100.0


def test_profiles_charge_as_documented() -> None:
    demand, usage = Demand(1_000, 500), Usage(900, 100, 300)
    openai, anthropic = PROFILES["openai"], PROFILES["anthropic"]
    assert openai.charge(demand).tokens == 1_500
    assert openai.charged(demand, usage).tokens == 1_400
    assert PROFILES["azure"].charged(demand, usage).tokens == 1_000
    assert anthropic.charged(demand, usage).input_tokens == 600
    assert anthropic.charged(demand, usage).output_tokens == 100
    assert PROFILES["bedrock"].charged_when_refused == NOTHING
    with pytest.raises(ConfigError, match="anthropic"):
        profile_named("acme")


@given(st.floats(1, 1e5), st.floats(1, 1e4), st.floats(0, 1e5), st.floats(0, 1e4))
def test_what_was_reserved_less_what_was_given_back_is_what_was_charged(
    estimate: float, maximum: float, read: float, produced: float
) -> None:
    for profile in PROFILES.values():
        demand, usage = Demand(estimate, maximum), Usage(read, min(produced, maximum))
        bucket = Bucket(TOKENS, 1e-9, 1e9, 0.0)
        reservations = Reservations([bucket])
        one = Place(profile.charge(demand), 0.0)
        reservations.ask(one, 0.0)
        reservations.settle(one, profile.charged(demand, usage), 0.0)
        spent = 1e9 - bucket.level
        assert spent == pytest.approx(profile.charged(demand, usage).tokens, abs=1e-3)


def served_percent(others: float, from_s: float, until_s: float, account: Account) -> float:
    """Offer more than all of a hidden bucket that others use too; return the % that is served."""
    level, last_s, now_s, served, sent = 100.0, from_s, from_s, 0, 0
    while now_s < until_s:
        now_s += 0.05
        one = asked(account.reservations, 40, now_s)
        if one.state is not State.GRANTED:
            account.reservations.leave(one, now_s)
            continue
        level = min(100.0, level + (now_s - last_s) * 100.0 * (1.0 - others))
        last_s, sent = now_s, sent + 1
        if level >= 40.0:
            level, served = level - 40.0, served + 1
            account.look(one, [Shown(TOKENS, 6_000, 5_900)], now_s)
            account.reservations.settle(one, tokens(40), now_s)
        else:
            account.refused(one, NOTHING, [Shown(TOKENS, 6_000, 5_900)], now_s)
    return 100.0 * served / sent


def test_others_who_use_a_hidden_bucket_are_left_their_share() -> None:
    account = Account(Limits(tokens_per_minute=6_000), 0.0)
    served_percent(0.0, 0.0, 60.0, account)
    assert account.hidden == Form(TOKENS, 100.0, 1.0, None)
    assert served_percent(0.4, 60.0, 120.0, account) > 80.0
    assert served_percent(0.4, 120.0, 300.0, account) > 88.0
    served_percent(0.0, 300.0, 700.0, account)
    before = account.reservations.total[TOKENS]
    served_percent(0.0, 700.0, 800.0, account)
    assert account.reservations.total[TOKENS] - before > 0.95 * 100.0 * 100.0
