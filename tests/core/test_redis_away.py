"""Limits that processes share on a server that cannot be asked for a while, and its return."""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accel_core.policy.limits.charge import NOTHING
from accel_core.policy.limits.limit_store import Limit
from accel_core.store.redis_levels import REST_S
from accel_core.store.redis_reserve import LIVE_S
from accel_core.testing.limit_stores import tokens
from tests.redis_server import RedisServer
from tests.stepped_levels import ServersClock, Wire, stepped
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.store.redis_levels import RedisLevels

    Made = tuple[ServersClock, Callable[..., RedisLevels]]

AMOUNT, RATE_PER_S = 600.0, 10.0
TOKENS = Limit(1, 60.0, AMOUNT, RATE_PER_S)


@pytest.fixture(scope="module", params=BUILDS, ids=lambda build: build.name)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(request.param) as server:
        yield server


@pytest.fixture
def made(server: RedisServer) -> Iterator[Made]:
    with stepped(server) as made:
        yield made


@pytest.fixture
def first_server() -> Iterator[Made]:
    """As `made`, on one server only, for what takes many examples."""
    with RedisServer(BUILDS[0]) as server, stepped(server) as made:
        yield made


class Process:
    """One that shares the limit: its handle, and the wire to the server."""

    def __init__(self, made: Made, name: str, **options: Any) -> None:
        self.clock, make = made
        self.levels = make(name, **options)
        self.levels.shape([TOKENS], self.clock.now_s)
        self.wire = Wire(self.levels)

    def wait_s(self, amount: float, max_wait_s: float = 0.0) -> float:
        return self.levels.reserve(tokens(amount), self.clock.now_s, max_wait_s).wait_s

    def asks(self) -> Any:
        return self.levels.reserve(NOTHING, self.clock.now_s, 0.0)

    @property
    def left(self) -> float:
        (level,) = self.asks().levels
        return float(level)


def four(made: Made, **options: Any) -> list[Process]:
    """Return four processes that know of one another, having just asked."""
    name = token_hex(8)
    processes = [Process(made, name, **options) for _ in range(4)]
    for process in processes * 2:
        process.asks()
    return processes


def cut(processes: list[Process], *, is_cut: bool = True) -> None:
    for process in processes:
        process.wire.is_cut = is_cut


def test_each_goes_on_with_its_share(made: Made) -> None:
    """A quarter of what was left, and a quarter of what is refilled."""
    clock, processes = made[0], four(made)
    assert processes[0].wait_s(200.0) == 0.0
    for process in processes:
        assert process.left == pytest.approx(400.0)
    cut(processes)
    for process in processes:
        assert process.wait_s(100.0) == 0.0
        assert process.wait_s(10.0) == pytest.approx(4.0)
    clock.advance(4.0)
    assert all(process.wait_s(10.0) == pytest.approx(0.0) for process in processes)
    assert all(process.wait_s(10.0) == pytest.approx(4.0) for process in processes)


def test_what_is_settled_meanwhile_counts_for_the_share(made: Made) -> None:
    processes = four(made)
    one = processes[0]
    cut(processes)
    assert one.wait_s(150.0) == 0.0
    one.levels.settle(tokens(150.0), tokens(30.0))
    assert one.wait_s(120.0) == 0.0
    assert one.wait_s(1.0) > 0.0


@pytest.mark.parametrize("loses_data", [False, True])
def test_back_the_level_is_what_their_shares_have_left(made: Made, loses_data: bool) -> None:
    """Whether the server was frozen or started anew; never more on the way there."""
    clock, processes = made[0], four(made)
    cut(processes)
    for process, amount in zip(processes, (150.0, 100.0, 50.0, 0.0), strict=True):
        assert process.wait_s(amount) == 0.0
    clock.advance(REST_S)
    if loses_data:
        clock.lose_data()
    cut(processes, is_cut=False)
    # 20 were refilled, for the last one in vain: its share was full.
    lefts = [process.left for process in processes]
    assert lefts == pytest.approx([5.0, 60.0, 165.0, 315.0])


def test_what_the_last_to_come_back_takes_is_charged(made: Made) -> None:
    """While others ask again it still takes of its share, which they are given as well."""
    clock, processes = made[0], four(made)
    early, late = processes[:3], processes[3]
    assert late.wait_s(600.0) == 0.0
    for process in processes:
        process.asks()
    cut(processes)
    for process in processes:
        process.asks()
    clock.advance(REST_S)
    cut(early, is_cut=False)
    for process in early:
        process.asks()
    clock.advance(10.0)
    assert late.wait_s(25.0) == 0.0
    assert early[0].left == pytest.approx(3 * 5.0 + 100.0)
    late.wire.is_cut = False
    clock.advance(REST_S)
    assert late.left == pytest.approx(4 * 5.0 + 120.0 - 25.0)


def test_who_was_away_alone_has_what_it_took_charged(made: Made) -> None:
    """The others have asked all the time: the level is theirs, and less by that."""
    clock, processes = made[0], four(made)
    away, *others = processes
    for process in others:
        assert process.wait_s(100.0) == 0.0
    away.wire.is_cut = True
    assert away.wait_s(100.0) == 0.0
    clock.advance(REST_S)
    assert others[0].left == pytest.approx(320.0)
    away.wire.is_cut = False
    assert away.left == pytest.approx(220.0)


def test_what_arrives_too_late_takes_nothing(made: Made) -> None:
    """A frozen server is sent what nobody waits for any more, and carries it out when it thaws."""
    clock, processes = made[0], four(made)
    cut(processes)
    for _ in range(5):
        assert processes[0].wait_s(10.0) == 0.0
        clock.advance(30.0)
    left = processes[0].left
    assert len(processes[0].wire.late) == 6
    cut(processes, is_cut=False)
    clock.advance(30.0)
    processes[0].wire.deliver()
    assert left == processes[0].left == pytest.approx(150.0)
    for process in processes[1:]:
        assert process.left >= 150.0


def test_a_server_whose_clock_is_put_forward_is_believed(made: Made) -> None:
    clock, processes = made[0], four(made)
    one = processes[0]
    one.levels._mono_now = lambda: 0.0
    one.asks()
    clock.advance(3_600.0)
    assert one.asks().share is None


def test_an_answer_that_is_lost_counts_against_us_at_most(made: Made) -> None:
    """Its shares are not added twice."""
    clock, processes = made[0], four(made)
    cut(processes)
    for process in processes:
        assert process.wait_s(150.0) == 0.0
    clock.advance(REST_S)
    cut(processes, is_cut=False)
    processes[0].wire.loses_answers = True
    processes[0].asks()
    processes[0].wire.loses_answers = False
    for process in processes[1:]:
        process.asks()
    clock.advance(REST_S)
    assert processes[0].left <= 4 * 5.0 + RATE_PER_S * REST_S


def test_closed_nobody_is_let_through(made: Made) -> None:
    """And back, everything is there that would have been."""
    clock, processes = made[0], four(made, when_away="closed")
    assert processes[0].wait_s(500.0) == 0.0
    for process in processes:
        process.asks()
    cut(processes)
    for process in processes:
        answer = process.levels.reserve(tokens(1.0), clock.now_s, 7.0)
        assert (answer.wait_s > 7.0, answer.share) == (True, 0.0)
    clock.advance(5.0)
    cut(processes, is_cut=False)
    clock.lose_data()
    for process in processes:
        left = process.left
    assert left == pytest.approx(150.0)


def test_who_asks_nothing_for_a_minute_is_not_counted(made: Made) -> None:
    """A process that died, too: nothing of it lasts longer."""
    clock, (one, *_) = made[0], four(made)
    assert one.asks().processes == 4
    clock.advance(LIVE_S - 1.0)
    assert one.asks().processes == 4
    clock.advance(1.0)
    assert one.asks().processes == 1


def test_who_leaves_is_not_counted(made: Made) -> None:
    one, other, *_ = four(made)
    other.levels.close()
    assert one.asks().processes == 3


def test_a_server_that_is_away_is_asked_every_two_seconds(made: Made) -> None:
    clock, processes = made[0], four(made)
    one = processes[0]
    cut(processes)
    answers = []
    for _ in range(40):
        answers.append(one.asks())
        clock.advance(REST_S / 10)
    assert len(one.wire.late) == sum(bool(answer.problem) for answer in answers) == 4
    assert all(answer.share == 0.25 for answer in answers)


_steps = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["take", "take", "take", "settle", "cut", "join", "lose", "lost answer"]),
        st.floats(0.0, 200.0),
        st.floats(0.0, 5.0),
    ),
    max_size=40,
)


@settings(
    deadline=None,
    database=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=_steps)
def test_never_more_than_the_limit_whatever_happens_to_the_server(
    first_server: Made, steps: list[tuple[int, str, float, float]]
) -> None:
    """Outages of all, lost data and lost answers; what was too much is owed when all are back."""
    clock, processes = first_server[0], four(first_server)
    began_s, taken = clock.now_s, 0.0
    for which, what, amount, gap_s in steps:
        process = processes[which]
        if what == "take" and process.wait_s(amount) == 0.0:
            taken += amount
        elif what == "settle" and process.wait_s(amount) == 0.0:
            process.levels.settle(tokens(amount), tokens(amount / 2))
            taken += amount / 2
        elif what == "cut":
            clock.advance(REST_S)
            for one in processes:
                one.wire.loses_answers = False
                one.asks()  # so that all know how much is left
            cut(processes)
        elif what == "join":
            cut(processes, is_cut=False)
        elif what == "lose" and process.wire.is_cut:
            clock.lose_data()
        process.wire.loses_answers = what == "lost answer"
        clock.advance(gap_s)
    cut(processes, is_cut=False)
    clock.advance(REST_S)
    for one in processes:
        one.wire.loses_answers = False
        left = one.left
    assert taken + left <= AMOUNT + RATE_PER_S * (clock.now_s - began_s) + 1.0
