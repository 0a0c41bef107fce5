"""Predictors, drafters and tools that misbehave: the run is as without, and it is told."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.events import PredictorFailed, SpeculationSuspended, ToolCallReused
from accel_core.policy.trajectory import Guess, ToolCall
from tests.core.speculation_rig import ASKED, Rig, Says, guess, in_colour

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from accel_core.policy.trajectory import Trajectory
    from tests.core.speculation_rig import Gate

BOTH = pytest.mark.parametrize("colour", ["sync", "async"])


class Raises(Says):
    name = "raises"

    def predict(self, trajectory: Trajectory, free: Collection[str]) -> Any:
        raise LookupError(f"secretly, the {len(self.learned)}th time")

    def learn(self, trajectory: Trajectory, free: Collection[str]) -> None:
        self.learned.append(trajectory)
        raise LookupError("no")


def call(tool: object = "lookup", arguments: object = None) -> Any:
    return ToolCall(tool, arguments)  # type: ignore[arg-type]


NONSENSE = [
    (None, "predict"),
    ([None, 7, "lookup", call()], "not_a_guess"),
    ([Guess(None, 0.9, "x")], "not_a_guess"),  # type: ignore[arg-type]
    ([Guess(call(arguments=["id"]), 0.9, "x")], "not_a_guess"),
    ([Guess(call(tool=["lookup"], arguments={}), 0.9, "x")], "not_a_guess"),
    ([guess(1, float("nan")), guess(1, 2.0), guess(1, -1.0)], "confidence"),
    ([guess(1, "much")], "confidence"),  # type: ignore[arg-type]
    ([guess(1, tool="elsewhere")] * 10_000, "unknown_tool"),
    ([guess(1, tool="change")], "unknown_tool"),
]


@BOTH
@pytest.mark.parametrize(("said", "reason"), NONSENSE)
def test_nonsense_is_told_once_and_changes_nothing(colour: str, said: Any, reason: str) -> None:
    async def scenario(rig: Rig) -> None:
        tool, change = rig.tool(), rig.tool("change", free=False)
        says = Says()
        says.guesses = said
        session = rig.speculator(says).session()
        for _ in range(3):
            rig.think(session, tool, change)
            await rig.settle()
        assert await rig.call(session, tool, 7) == [7, 1]
        session.close()
        assert change.calls == []
        assert [(e.predictor, e.reason) for e in rig.seen.of(PredictorFailed)] == [("says", reason)]
        assert rig.alive() == 0

    in_colour(colour, scenario)


@BOTH
def test_a_predictor_that_raises_rests_and_another_is_still_asked(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        tool, raises = rig.tool(), Raises()
        asked = 0

        def predict(trajectory: Trajectory, free: Collection[str]) -> Any:
            nonlocal asked
            asked += 1
            raise LookupError(f"the {asked}th time")

        raises.predict = predict  # type: ignore[method-assign]
        session = rig.speculator(raises, Says(guess(7))).session()
        for _ in range(10):
            rig.think(session, tool)
        await rig.settle()
        assert await rig.call(session, tool, 7) == [7, 1]
        session.close(ASKED)
        assert asked == 3
        told = rig.seen.of(PredictorFailed)
        assert [event.reason for event in told] == ["predict", "learn"]
        assert len(rig.seen.of(ToolCallReused)) == 1

    in_colour(colour, scenario)


@BOTH
def test_ten_thousand_guesses_and_endless_ones_are_looked_at_in_part(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        tool, says = rig.tool(), Says()
        says.guesses = (guess(n) for n in itertools.count())  # type: ignore[assignment]
        session = rig.speculator(says, Says(*(guess(n) for n in range(10_000)))).session()
        thinking = rig.think(session, tool)
        thinking.answered([])
        await rig.settle()
        assert len(tool.calls) <= 128
        assert await rig.call(session, tool, "x") == ["x", len(tool.calls)]
        session.close()
        await rig.settle()
        assert rig.alive() == 0

    in_colour(colour, scenario)


@BOTH
def test_the_same_call_for_ever_is_begun_once(colour: str) -> None:
    """Also where it fails each time: the tool then rests."""

    async def scenario(rig: Rig) -> None:
        tool = rig.tool()
        failing = rig.tool("failing", fates=[ValueError("no")] * 20)
        says = Says(*[guess(7)] * 50, *[guess(7, tool="failing")] * 50)
        session = rig.speculator(says).session()
        for _ in range(40):
            rig.think(session, tool, failing)
            await rig.settle()
        assert len(tool.calls) == 1
        assert len(failing.calls) == 10
        assert rig.seen.of(SpeculationSuspended) == [("failing", "wasteful")]
        session.close()

    in_colour(colour, scenario)


@BOTH
def test_a_predictor_that_takes_too_long_rests(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        tool, says, asked = rig.tool(), Says(guess(7)), 0
        speculator = rig.speculator(says)
        now_s = rig.now_s
        late_s = 0.0

        def predict(trajectory: Trajectory, free: Collection[str]) -> Any:
            nonlocal asked, late_s
            asked += 1
            late_s += 0.06
            return [guess(7)]

        for asked_one in speculator._shared.guessers._predictors:
            asked_one._mono_now = lambda: now_s() + late_s
        says.predict = predict  # type: ignore[method-assign]
        session = speculator.session()
        for _ in range(6):
            rig.think(session, tool)
        await rig.settle()
        session.close()
        assert asked == 3
        assert [event.reason for event in rig.seen.of(PredictorFailed)] == ["slow"]

    in_colour(colour, scenario)


class Awkward:
    """Mixed into a tool: what it is asked about itself, it raises."""

    def validated(self, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        raise ZeroDivisionError("in a validator")


class Uncopyable:
    def copied(self, result: Any) -> Any:
        raise TypeError("cannot copy a connection")


@BOTH
def test_a_tool_that_cannot_be_asked_is_called_as_ever(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        kind = type("Kind", (Awkward, type(rig.tool())), {})
        tool, session = kind(rig), rig.speculator(Says(guess(7))).session()
        for _ in range(3):
            rig.think(session, tool)
            await rig.settle()
        assert [await rig.call(session, tool, 7) for _ in range(2)] == [[7, 1], [7, 2]]
        assert not session.holds(tool, {"id": 7})
        session.close()
        assert [event.reason for event in rig.seen.of(PredictorFailed)] == ["tool"]

    in_colour(colour, scenario)


@BOTH
def test_results_that_cannot_be_copied_are_shared_with_nobody(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        kind = type("Kind", (Uncopyable, type(rig.tool())), {})
        tool, session = kind(rig), rig.speculator(Says(guess(7))).session()
        rig.think(session, tool)
        await rig.settle()
        assert [await rig.call(session, tool, 7) for _ in range(2)] == [[7, 2], [7, 3]]
        rig.think(session, tool)
        await rig.settle()
        assert len(tool.calls) == 3
        session.close()
        assert rig.seen.of(SpeculationSuspended) == [("lookup", "uncopyable")]

    in_colour(colour, scenario)


@BOTH
@pytest.mark.parametrize("arguments", [{"wrong": 1}, {"id": object()}, {"id": {1, object()}}])
def test_arguments_that_cannot_be_told_apart_are_shared_with_nobody(
    colour: str, arguments: dict[str, Any]
) -> None:
    async def scenario(rig: Rig) -> None:
        tool, session = rig.tool(), rig.speculator().session()
        asked = {"id": 7, **arguments}
        id_ = asked.pop("id")
        answers = [await rig.call(session, tool, id_, **asked) for _ in range(2)]
        assert [answer[1] for answer in answers] == [1, 2]
        session.close()

    in_colour(colour, scenario)


class Drafts:
    """A drafter that waits for its gate."""

    name = "drafts"

    def __init__(self, gate: Gate, *guesses: Guess) -> None:
        self.gate, self.guesses, self.asked = gate, guesses, 0

    async def draft(self, trajectory: Trajectory, free: Collection[str]) -> Any:
        self.asked += 1
        await self.gate.wait()
        if not self.guesses:
            raise ConnectionError("no model")
        return self.guesses


@BOTH
def test_what_a_drafter_says_in_time_is_begun(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        tool, gate = rig.tool(), rig.gate()
        session = rig.speculator(drafters=[Drafts(gate, guess(7))]).session()
        thinking = rig.think(session, tool)
        gate.open()
        await tool.begun[0].wait()
        thinking.answered([ToolCall("lookup", {"id": 7})])
        await rig.settle()
        assert await rig.call(session, tool, 7) == [7, 1]
        session.close()
        assert rig.seen.of(PredictorFailed) == []
        assert rig.alive() == 0

    in_colour(colour, scenario)


@BOTH
def test_a_drafter_slower_than_the_model_is_left_and_rests(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        tool, gate = rig.tool(), rig.gate()
        drafts = Drafts(gate, guess(7))
        session = rig.speculator(drafters=[drafts]).session()
        for _ in range(6):
            thinking = rig.think(session, tool)
            await rig.settle() if rig.coloured else None
            thinking.answered([])
        assert drafts.asked <= 3
        gate.open()
        await rig.settle()
        assert tool.calls == []
        await session.aclose() if rig.coloured else session.close()
        assert [event.reason for event in rig.seen.of(PredictorFailed)] == ["late"]
        assert rig.alive() == 0

    in_colour(colour, scenario)


@BOTH
def test_a_drafter_that_fails_is_told_of_once(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        tool, gate = rig.tool(), rig.gate()
        gate.open()
        session = rig.speculator(drafters=[Drafts(gate)]).session()
        for _ in range(3):
            thinking = rig.think(session, tool)
            await rig.settle()
            thinking.answered([])
        assert await rig.call(session, tool, 7) == [7, 1]
        session.close()
        assert [event.reason for event in rig.seen.of(PredictorFailed)] == ["draft"]

    in_colour(colour, scenario)


def test_a_run_that_ends_leaves_its_drafter() -> None:
    async def scenario(rig: Rig) -> None:
        session = rig.speculator(drafters=[Drafts(rig.gate(), guess(7))]).session()
        rig.think(session, rig.tool())
        await rig.settle()
        assert rig.alive() > 0
        await session.aclose()
        assert rig.alive() == 0
        rig.think(session, rig.tool()).answered([])
        assert rig.alive() == 0

    in_colour("async", scenario)


def test_under_another_loop_than_asyncios_calls_are_made_as_ever() -> None:
    """Guesses cannot be begun there, and who would have waited makes the call itself."""
    trio = pytest.importorskip("trio")
    rig = Rig(coloured=True)
    rig.now_s = lambda: 0.0  # type: ignore[method-assign]

    async def main() -> None:
        tool, session = rig.tool(), rig.speculator(Says(guess(7))).session()
        rig.think(session, tool)
        asked = {"id": 7}
        assert await session.acall(tool, asked, lambda: tool.run(asked)) == [7, 1]
        assert await session.acall(tool, asked, lambda: tool.run(asked)) == [7, 1]
        session.close()

    trio.run(main)
    assert [event.reason for event in rig.seen.of(PredictorFailed)] == ["begin"]
