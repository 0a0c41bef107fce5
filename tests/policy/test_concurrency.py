"""How many calls at once: as many as are served at once, and as bring more in all."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_core.policy.limits.batch_scaling import BatchScaling
from accel_core.policy.limits.charge import Demand
from accel_core.policy.limits.concurrency import Concurrency

TICK_S = 0.05


@dataclass
class Server:
    """Works on so many calls at once, all the slower the more there are; the others wait.

    Attributes:
        seats: how many it works on.
        slope: share by which each call slows all down.
        knee: beyond so many, each slows all down four times as much again.
        streams: whether its first tokens are seen.
    """

    seats: int = 1_000
    slope: float = 0.0
    knee: int = 1_000
    streams: bool = True
    running: dict[int, float] = field(default_factory=dict)
    waiting: deque[int] = field(default_factory=deque)
    done: float = 0.0
    number: int = 0

    def run(self, made: Concurrency, from_s: float, until_s: float, callers: int = 300) -> float:
        """Let callers ask without a pause; return the tokens that came a second."""
        done, now_s = self.done, from_s
        while now_s < until_s:
            now_s += TICK_S
            n = len(self.running)
            pace_s = 0.01 * (1 + self.slope * n + 4 * self.slope * max(0, n - self.knee))
            for call in list(self.running):
                self.running[call] -= TICK_S / pace_s
                self.done += TICK_S / pace_s
                if self.running[call] <= 0.0:
                    del self.running[call]
                    made.ended(call, now_s, 150)
            made.review(now_s)
            while len(self.running) + len(self.waiting) < min(made.limit, callers):
                self.number += 1
                self.waiting.append(self.number)
                made.sent(self.number, Demand(100, streamed=self.streams), now_s)
            while self.waiting and len(self.running) < self.seats:
                call = self.waiting.popleft()
                self.running[call] = 150.0
                made.first_token(call, now_s + TICK_S)
        return (self.done - done) / (until_s - from_s)


def test_calls_wait_here_and_not_at_a_server_that_is_full() -> None:
    made, server = Concurrency(), Server(seats=40, slope=0.01)
    server.run(made, 0.0, 100.0)
    queued = []
    for second in range(100, 300):
        server.run(made, float(second), second + 1.0)
        queued.append(len(server.waiting))
    assert sum(queued) / len(queued) < 2.0
    assert 36 <= made.limit <= 44


def test_a_server_that_shrinks_and_grows_is_followed() -> None:
    made, server = Concurrency(), Server(seats=60)
    server.run(made, 0.0, 60.0)
    assert made.limit >= 54
    server.seats = 20
    server.run(made, 60.0, 100.0)
    assert 15 <= made.limit <= 22
    server.seats = 60
    server.run(made, 100.0, 240.0)
    assert made.limit >= 50


@pytest.mark.parametrize("streams", [True, False])
def test_beyond_the_knee_where_all_take_longer_nothing_is_gained(*, streams: bool) -> None:
    """It stays where most is done in all, though nothing waits for a first token there."""
    made, server = Concurrency(), Server(slope=0.01, knee=40, streams=streams)
    server.run(made, 0.0, 150.0)
    best = 40 / (0.01 * 1.4)
    assert server.run(made, 150.0, 350.0) > 0.9 * best
    assert made.limit < 70


def test_answers_that_come_whole_show_a_full_server_too() -> None:
    made, server = Concurrency(), Server(seats=30, streams=False)
    server.run(made, 0.0, 200.0)
    assert server.run(made, 200.0, 300.0) > 0.9 * 30 / 0.01
    assert made.limit < 60


def test_what_is_not_used_does_not_grow() -> None:
    made = Concurrency(start=20)
    Server().run(made, 0.0, 100.0, callers=5)
    assert made.limit == 20


def refusing(made: Concurrency, seats: int, until_s: float) -> tuple[int, int]:
    """Let callers ask a provider that refuses who is too many; return calls and refusals."""
    running: dict[int, float] = {}
    number = refusals = 0
    now_s = 0.0
    while now_s < until_s:
        now_s += TICK_S
        for call in [call for call, end_s in running.items() if end_s <= now_s]:
            del running[call]
            made.ended(call, now_s, 100)
        made.review(now_s)
        together = []
        while len(running) + len(together) < made.limit:
            number += 1
            made.sent(number, Demand(100), now_s)
            if len(running) < seats:
                running[number] = now_s + 2.0
            else:
                together.append(number)
        for call in together:
            refusals += 1
            made.refused(call, now_s)
            made.review(now_s)
    return number, refusals


def test_a_hidden_cap_is_kept_to_with_few_refusals() -> None:
    made = Concurrency()
    calls, refusals = refusing(made, 40, 400.0)
    assert refusals < 0.01 * calls
    assert calls > 0.9 * 40 / 2.05 * 400
    assert 30 <= made.limit <= 42


def test_calls_refused_together_cut_once_and_no_more_than_half() -> None:
    made = Concurrency(start=40)
    for call in range(40):
        made.sent(call, Demand(100, streamed=True), 0.0)
    for call in range(40):
        made.refused(call, 0.1)
        made.review(0.1)
    assert made.limit == int(0.85 * 20)


def test_calls_under_way_in_another_process_are_forgotten() -> None:
    made = Concurrency(start=10)
    for call in range(10):
        made.sent(call, Demand(100, streamed=True), 0.0)
    made.forget_calls()
    for second in range(1, 10):
        made.sent(second, Demand(100, streamed=True), float(second))
        made.first_token(second, second + 0.1)
        made.ended(second, second + 0.2, 100)
        made.review(second + 0.2)
    assert made.limit == 10


steps = st.tuples(
    st.sampled_from(["sent", "first", "ended", "refused"]), st.integers(0, 9), st.floats(0, 3)
)


@settings(max_examples=200)
@given(st.lists(steps, max_size=150))
def test_whatever_happens_the_limit_keeps_its_bounds(steps: list[tuple[str, int, float]]) -> None:
    made, now_s = Concurrency(start=4, least=2, most=12), 0.0
    for what, call, gap_s in steps:
        now_s += gap_s
        if what == "sent":
            made.sent(call, Demand(10, streamed=call % 2 == 0), now_s)
        elif what == "first":
            made.first_token(call, now_s)
        elif what == "ended":
            made.ended(call, now_s, 7 * gap_s)
        else:
            made.refused(call, now_s)
        assert 2 <= made.review(now_s) <= 12


@given(st.floats(0.0, 1.0), st.floats(10, 200), st.floats(0.001, 0.1))
def test_the_gain_is_one_less_how_steeply_the_time_per_token_rises(
    slope: float, at: float, token_s: float
) -> None:
    scaling = BatchScaling()
    for turn in range(1_500):
        n = at * (0.85 + 0.3 * (turn % 50) / 50)
        scaling.saw(n, token_s * n**slope)
    assert scaling.gain(at) == pytest.approx(1.0 - slope, abs=0.15)


def test_what_was_never_tried_counts_as_gain() -> None:
    scaling = BatchScaling()
    assert scaling.gain(8.0) == 1.0
    for _ in range(100):
        scaling.saw(8.0, 0.01)
    assert scaling.gain(8.0) > 0.9
    assert scaling.gain(80.0) == 1.0


def test_a_curve_that_changes_is_learned_anew() -> None:
    scaling = BatchScaling()
    for slope in (1.0, 0.0):
        for turn in range(3_000):
            n = 20.0 * (0.85 + 0.3 * (turn % 50) / 50)
            scaling.saw(n, 0.01 * n**slope)
        assert scaling.gain(20.0) == pytest.approx(1.0 - slope, abs=0.2)


def test_answers_of_a_word_let_it_grow_too() -> None:
    made = Concurrency(start=4, most=50)
    for second in range(1, 40):
        calls = range(1_000 * second, 1_000 * second + made.limit)
        for call in calls:
            made.sent(call, Demand(100), float(second))
        for call in calls:
            made.ended(call, second + 0.5, 1)
        made.review(second + 1.0)
    assert made.limit == 50
