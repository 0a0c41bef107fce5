"""Calls begun before they are asked for: the run is as it would be without, and waits less."""

from __future__ import annotations

from typing import Any

import pytest

from accel_core import tenancy
from accel_core.events import (
    ToolCallReused,
    ToolCallWasted,
)
from accel_core.policy.trajectory import Said, ToolCall
from tests.core.speculation_rig import ASKED, Rig, Says, guess, in_colour

BOTH = pytest.mark.parametrize("colour", ["sync", "async"])


@BOTH
def test_a_guess_answers_the_call_that_it_guessed_and_no_other(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        tool, session = rig.tool(), rig.speculator(Says(guess(7), guess(8, 0.6))).session()
        rig.think(session, tool)
        await rig.settle()
        assert await rig.call(session, tool, 7) == [7, 1]
        assert await rig.call(session, tool, 8) == [8, 2]
        session.close()
        assert [event.predictor for event in rig.seen.of(ToolCallReused)] == ["says"]
        assert rig.alive() == 0

    in_colour(colour, scenario)


@BOTH
def test_a_call_waits_for_its_guess_that_is_under_way(colour: str) -> None:
    """What was saved is no more than the guess had been under way when it was asked for."""

    async def scenario(rig: Rig) -> None:
        gate = rig.gate()
        tool, session = rig.tool(fates=[gate]), rig.speculator(Says(guess(7))).session()
        rig.think(session, tool)
        await tool.begun[0].wait()
        await rig.pass_s(3.0)
        answer = rig.beside(rig.call(session, tool, 7))
        if rig.coloured:
            await rig.settle()
        gate.open()
        assert await answer() == [7, 1]
        session.close()
        assert rig.seen.of(ToolCallReused)[0].saved_s == pytest.approx(3.0)

    in_colour(colour, scenario)


@BOTH
@pytest.mark.parametrize("fate", [ValueError("no"), SystemExit(3)])
def test_what_a_guess_raises_is_seen_by_nobody(colour: str, fate: BaseException) -> None:
    async def scenario(rig: Rig) -> None:
        tool, session = rig.tool(fates=[fate]), rig.speculator(Says(guess(7))).session()
        rig.think(session, tool)
        await rig.settle()
        assert await rig.call(session, tool, 7) == [7, 2]
        session.close()
        assert [event.reason for event in rig.seen.of(ToolCallWasted)] == ["failed"]

    in_colour(colour, scenario)


@BOTH
def test_a_real_call_that_fails_fails_as_ever_and_is_shared_with_nobody(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        tool, session = rig.tool(fates=[ValueError("no")]), rig.speculator().session()
        with pytest.raises(ValueError, match="no"):
            await rig.call(session, tool, 7)
        assert await rig.call(session, tool, 7) == [7, 2]
        session.close()

    in_colour(colour, scenario)


@BOTH
def test_a_call_that_the_model_has_written_to_its_end_is_begun_at_once(colour: str) -> None:
    """Whatever the threshold is, and how many guesses there are; nobody judges it by its fate."""

    async def scenario(rig: Rig) -> None:
        tool, other = rig.tool(fates=[gate := rig.gate()]), rig.tool("other")
        speculator = rig.speculator(Says(guess(1)), at_once=1, threshold=0.7)
        session = speculator.session()
        thinking = rig.think(session, tool, other)
        await tool.begun[0].wait()
        thinking.sealed(ToolCall("other", {"id": 5}))
        await other.begun[0].wait()
        thinking.answered([ToolCall("other", {"id": 5})])
        assert await rig.call(session, other, 5) == [5, 1]
        gate.open()
        await rig.settle()
        session.close()
        assert [event.predictor for event in rig.seen.of(ToolCallReused)] == ["stream"]

    in_colour(colour, scenario)


@BOTH
def test_only_free_tools_are_called_unasked(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        tool, change = rig.tool(), rig.tool("change", free=False)
        session = rig.speculator(Says(guess(7, tool="change", confidence=1.0))).session()
        thinking = rig.think(session, tool, change)
        thinking.sealed(ToolCall("change", {"id": 7}))
        thinking.answered([ToolCall("change", {"id": 7})])
        await rig.settle()
        assert change.calls == []
        assert not session.holds(change, {"id": 7})
        session.close()

    in_colour(colour, scenario)


@BOTH
def test_the_same_call_asked_for_twice_at_once_is_made_once(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        gate = rig.gate()
        tool, session = rig.tool(fates=[gate]), rig.speculator().session()
        answers = [rig.beside(rig.call(session, tool, 7))]
        await tool.begun[0].wait()
        answers.append(rig.beside(rig.call(session, tool, 7)))
        await rig.settle() if rig.coloured else None
        assert session.holds(tool, {"id": 7})
        gate.open()
        assert [await answer() for answer in answers] == [[7, 1], [7, 1]]
        session.close()

    in_colour(colour, scenario)


@BOTH
def test_predictors_learn_from_a_run_that_was_closed(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        says = Says(guess(7))
        session = rig.speculator(says).session()
        told = (*ASKED, Said("assistant", "there"))
        await session.aclose(told) if rig.coloured else session.close(told)
        session.close(told)
        assert says.learned == [told]

    in_colour(colour, scenario)


def test_a_guess_runs_in_the_context_of_who_asked() -> None:
    """Also one that waited for room, which another guess's thread begins."""

    async def scenario(rig: Rig) -> None:
        seen: list[Any] = []

        gate = rig.gate()

        class Whose(type(rig.tool())):  # type: ignore[misc]
            async def run(self, arguments: Any) -> Any:
                seen.append(tenancy.current())
                await gate.wait()
                tenancy._current.set(tenancy.Tenant("south"))
                return []

        session = rig.speculator(Says(guess(1), guess(2)), at_once=1).session()
        with tenancy.tenant("north"):
            rig.think(session, Whose(rig))
        gate.open()
        await rig.settle()
        await rig.settle()
        session.close()
        assert [tenant.id for tenant in seen] == ["north", "north"]

    for colour in ("sync", "async"):
        in_colour(colour, scenario)


@BOTH
def test_a_call_that_is_repeated_at_once_is_made_anew(colour: str) -> None:
    """Who polls is told what is; who comes back to a call after another is told what was."""

    async def scenario(rig: Rig) -> None:
        speculator, tool = rig.speculator(reuse_s=2.0, ttl_s=30.0), rig.tool()
        session = speculator.session()
        seen = []
        for asked in (7, 7, 8, 7):
            rig.think(session, tool)
            assert session.holds(tool, {"id": asked}) is (len(seen) == 3)
            seen.append(await rig.call(session, tool, asked))
            await rig.pass_s(2.5)
        assert seen == [[7, 1], [7, 2], [8, 3], [7, 2]]
        session.close()

    in_colour(colour, scenario)
