"""What the policy of races promises, whatever its paths do."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from accel_core.policy.race import Race

if TYPE_CHECKING:
    from accel_core.events.races import PathOutcome

TIMEOUT_S = 8.0
ENDS: list[PathOutcome] = ["won", "refused", "failed"]
moments = st.integers(0, 15).map(lambda half: half / 2)


@dataclass
class Run:
    """A race carried out in time that nobody waits for; each path has a duration and an end."""

    race: Race
    ways: list[tuple[float, PathOutcome]]
    now_s: float = 0.0
    started_s: dict[int, float] = field(default_factory=dict)
    stopped_s: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ends: list[tuple[float, int]] = []
        while True:
            step = self.race.step(self.now_s)
            for path in step.stop:
                self.stopped_s[path] = self.now_s
            for path in step.start:
                assert path not in self.started_s
                self.started_s[path] = self.now_s
                heapq.heappush(ends, (self.now_s + self.ways[path][0], path))
            if self.race.over:
                break
            end_s = ends[0][0] if ends else float("inf")
            assert step.next_s is None or step.next_s > self.now_s
            self.now_s = min(end_s, float("inf") if step.next_s is None else step.next_s)
            assert self.now_s < float("inf")
            while ends and ends[0][0] <= self.now_s:
                path = heapq.heappop(ends)[1]
                self.race.ended(path, self.ways[path][1])
        self.over_s = self.now_s
        self.left = self.race.finish()


@st.composite
def runs(draw: st.DrawFn) -> Run:
    ways: list[tuple[float, PathOutcome]] = [
        (draw(st.integers(1, 40)) / 4, draw(st.sampled_from(ENDS)))
        for _ in range(draw(st.integers(2, 5)))
    ]
    # The standard path is never refused.
    ways[-1] = (ways[-1][0], draw(st.sampled_from(["won", "failed"])))
    after_s = [draw(moments) for _ in ways]
    return Run(Race(after_s, TIMEOUT_S), ways)


@given(runs())
def test_who_wins_had_won(run: Run) -> None:
    """Only an accepted answer or the standard one wins, in time, and nothing runs afterwards."""
    race = run.race
    winner = race.winner
    if winner is None:
        assert run.ways[race.standard][1] == "failed"
        assert "won" not in race.outcomes
    else:
        assert run.ways[winner][1] == "won"
        assert race.outcomes[winner] == "won"
        assert winner == race.standard or run.over_s <= TIMEOUT_S
    assert None not in race.outcomes
    assert all(race.outcomes[path] == "cancelled" for path in run.left)
    assert {path for path, one in enumerate(race.outcomes) if one == "unstarted"} == (
        set(range(len(run.ways))) - set(run.started_s)
    )


@given(runs())
def test_nobody_waits_longer_than_without_a_race(run: Run) -> None:
    """The standard path starts when it was to, or sooner, is never stopped, and ends the race."""
    race, (took_s, end) = run.race, run.ways[-1]
    if race.standard in run.started_s:
        assert run.started_s[race.standard] <= race._after_s[race.standard]
        assert race.standard not in run.stopped_s
        if end == "won":
            assert run.over_s <= run.started_s[race.standard] + took_s
    else:
        assert race.winner is not None
    if race.winner is None:
        assert run.over_s <= max(TIMEOUT_S, run.started_s[race.standard] + took_s)


@given(runs())
def test_paths_start_when_their_time_comes_or_nobody_runs(run: Run) -> None:
    """Nobody starts before its time while another runs, and the others end with theirs."""
    race = run.race
    for path, at_s in run.started_s.items():
        if at_s < race._after_s[path]:
            for other, other_s in run.started_s.items():
                ended_s = other_s + run.ways[other][0]
                assert other_s >= at_s or ended_s <= at_s
        assert path == race.standard or at_s < TIMEOUT_S
    assert all(at_s == TIMEOUT_S for at_s in run.stopped_s.values())
    assert all(race.outcomes[path] == "timed_out" for path in run.stopped_s)


def test_a_late_look_starts_nobody_whose_time_is_over() -> None:
    """A loop that stood still past the time-out asks the standard path alone."""
    race = Race([0.0, 1.0, 2.0], 3.0)
    race.step(0.0)
    step = race.step(5.0)
    assert (step.start, step.stop) == ([2], [0])
    assert race.outcomes == ["timed_out", "unstarted", None]


def test_an_end_after_the_stop_changes_nothing() -> None:
    """What was stopped and ends well all the same has not won."""
    race = Race([0.0, 0.0], 1.0)
    race.step(0.0)
    race.step(1.0)
    race.ended(0, "won")
    assert race.winner is None
    assert race.outcomes == ["timed_out", None]
