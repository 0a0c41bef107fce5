"""Calls begun before they are asked for: the run is as it would be without, and waits less."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest

from accel_core import tenancy
from accel_core.drive import blocking, work
from accel_core.events import (
    SpeculationSuspended,
    ToolCallAudited,
    ToolCallBegun,
    ToolCallReused,
    ToolCallWasted,
)
from accel_core.executions import Executions
from accel_core.policy.trajectory import Said, ToolCall
from accel_core.tenancy import Tenant
from accel_core.tool_calls import ToolCalls
from tests.core.speculation_rig import ASKED, Rig, Says, Scripted, guess, in_colour

if TYPE_CHECKING:
    from collections.abc import Callable

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
def test_what_an_agent_does_with_a_result_changes_no_other(colour: str) -> None:
    """Stored is a copy, and each who adopts it gets one."""

    async def scenario(rig: Rig) -> None:
        tool, session = rig.tool(), rig.speculator().session()
        first = await rig.call(session, tool, 7)
        first.append("mine")
        second = await rig.call(session, tool, 7)
        second.append("mine too")
        assert await rig.call(session, tool, 7) == [7, 1]
        session.close()

    in_colour(colour, scenario)


@BOTH
@pytest.mark.parametrize("begun", ["before", "within"])
def test_a_change_makes_worthless_what_began_before_its_end(colour: str, begun: str) -> None:
    async def scenario(rig: Rig) -> None:
        gate = rig.gate()
        tool, change = rig.tool(), rig.tool("change", free=False, fates=[gate])
        session = rig.speculator(Says(guess(7), guess(7, tool="change"))).session()
        if begun == "before":
            rig.think(session, tool, change)
            await rig.settle()
        changed = rig.beside(rig.call(session, change, 1))
        await change.begun[0].wait()
        if begun == "within":
            rig.think(session, tool, change)
            await tool.begun[0].wait()
            await rig.settle() if rig.coloured else None
        gate.open()
        await changed()
        assert await rig.call(session, tool, 7) == [7, 2]
        session.close()
        assert [call["id"] for call in change.calls] == [1]

    in_colour(colour, scenario)


@BOTH
def test_who_waits_for_what_a_change_made_worthless_does_not_wait_on(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        gate = rig.gate()
        tool, change = rig.tool(fates=[gate]), rig.tool("change", free=False)
        session = rig.speculator(Says(guess(7))).session()
        rig.think(session, tool, change)
        await tool.begun[0].wait()
        answer = rig.beside(rig.call(session, tool, 7))
        if rig.coloured:
            await rig.settle()
        else:
            while not session._executions.find(_key(session, tool, 7), session._own).waiting:  # type: ignore[union-attr]
                pass
        await rig.call(session, change, 1)
        assert await answer() == [7, 2]
        gate.open()
        session.close()

    in_colour(colour, scenario)


def _key(session: Any, tool: Any, id_: object) -> Any:
    return session._calls.named(tool, {"id": id_}, session._own).key


@BOTH
def test_a_static_tool_is_found_across_changes_and_runs(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        speculator = rig.speculator(static_ttl_s=600)
        schema, change = rig.tool("schema", static=True), rig.tool("change", free=False)
        session = speculator.session()
        await rig.call(session, schema, 1)
        await rig.call(session, change, 1)
        session.close()
        await rig.pass_s(500)
        other = speculator.session()
        assert await rig.call(other, schema, 1) == [1, 1]
        await rig.pass_s(101)
        assert await rig.call(other, schema, 1) == [1, 2]
        other.close()

    in_colour(colour, scenario)


@BOTH
def test_runs_share_a_call_within_the_reuse_window(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        rig.who = Tenant("north")
        speculator, gate = rig.speculator(reuse_s=2.0, ttl_s=30.0), rig.gate()
        tool = rig.tool(fates=[gate])
        one, other = speculator.session(), speculator.session()
        first = rig.beside(rig.call(one, tool, 7))
        await tool.begun[0].wait()
        second = rig.beside(rig.call(other, tool, 7))
        await rig.settle() if rig.coloured else None
        gate.open()
        assert [await first(), await second()] == [[7, 1], [7, 1]]
        await rig.pass_s(1.9)
        assert await rig.call(other, tool, 7) == [7, 1]
        await rig.pass_s(0.2)
        assert await rig.call(one, tool, 7) == [7, 1]
        assert await rig.call(other, tool, 7) == [7, 2]
        one.close()
        other.close()

    in_colour(colour, scenario)


@BOTH
def test_runs_of_nobody_in_particular_share_nothing(colour: str) -> None:
    """They may be two people's; what is static is the same for all."""

    async def scenario(rig: Rig) -> None:
        speculator, gate = rig.speculator(Says(guess(8))), rig.gate()
        tool, schema = rig.tool(fates=[gate]), rig.tool("schema", static=True)
        one, other = speculator.session(), speculator.session()
        first = rig.beside(rig.call(one, tool, 7))
        await tool.begun[0].wait()
        assert await rig.call(other, tool, 7) == [7, 2]
        gate.open()
        assert await first() == [7, 1]
        rig.think(one, tool)
        await rig.settle()
        assert await rig.call(other, tool, 8) == [8, 4]
        assert await rig.call(one, tool, 8) == [8, 3]
        assert [await rig.call(run, schema, 7) for run in (one, other)] == [[7, 1], [7, 1]]
        one.close()
        other.close()

    in_colour(colour, scenario)


@BOTH
def test_an_audit_in_the_midst_of_a_change_says_nothing(colour: str) -> None:
    """What was read before a change had its effect is right until that has ended."""

    class Midway(Scripted):
        async def run(self, arguments: Any) -> Any:
            before = await rigs[0].call(one, tool, 7)
            rigs[0].clock.chance = 0.0  # now every result is compared
            assert await rigs[0].call(one, tool, 7) != before
            return "changed"

    rigs: list[Rig] = []

    async def scenario(rig: Rig) -> None:
        nonlocal one, tool
        rigs.append(rig)
        speculator, tool = rig.speculator(), rig.tool()
        one = speculator.session()
        await rig.call(speculator.session(), Midway(rig, "change", free=False), 1)
        assert rig.seen.of(ToolCallAudited) == []
        assert rig.seen.of(SpeculationSuspended) == []
        assert await rig.call(one, tool, 8) == [8, 3]
        assert await rig.call(one, tool, 8) == [8, 4]  # is compared
        assert [event.same for event in rig.seen.of(ToolCallAudited)] == [False]

    one: Any = None
    tool: Any = None
    in_colour(colour, scenario)


@BOTH
def test_an_audit_as_a_change_ends_says_nothing(
    colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread's change may end between any two looks at whether something changed."""
    ending = contextlib.ExitStack()

    def ends_after(look: Callable[..., bool]) -> Callable[..., bool]:
        def looked(*args: Any) -> bool:
            seen = look(*args)
            ending.close()
            return seen

        return looked

    async def scenario(rig: Rig) -> None:
        speculator, tool = rig.speculator(), rig.tool()
        session = speculator.session()
        with monkeypatch.context() as looking:
            looking.setattr(Executions, "holds", ends_after(Executions.holds))
            looking.setattr(ToolCalls, "change_under_way", ends_after(ToolCalls.change_under_way))
            ending.enter_context(speculator.changing())
            assert await rig.call(session, tool, 7) == [7, 1]
            rig.clock.chance = 0.0  # now every result is compared
            assert await rig.call(session, tool, 7) == [7, 2]
        assert rig.seen.of(ToolCallAudited) == []
        assert rig.seen.of(SpeculationSuspended) == []

    in_colour(colour, scenario)


@BOTH
def test_a_change_under_tenants_it_sets_inside_is_one_of_each(colour: str) -> None:
    """Each of them is set, and left again, by the tool itself; what it calls may set others."""

    class Switching(Scripted):
        async def run(self, arguments: Any) -> Any:
            with tenancy.tenant("south"):
                await super().run(arguments)
                with tenancy.tenant("east", user="ann"):
                    return "changed"

    async def scenario(rig: Rig) -> None:
        tool, change = rig.tool(), Switching(rig, "change", free=False)
        session = rig.speculator().session()
        found = {}
        for name in ("north", "south", "east", "west"):
            with tenancy.tenant(name):
                found[name] = await rig.call(session, tool, 7)
        with tenancy.tenant("north"):
            await rig.call(session, change, 1)
        for name, before in found.items():
            with tenancy.tenant(name):
                same = await rig.call(session, tool, 7) == before
            assert same is (name == "west"), name
        session.close()

    in_colour(colour, scenario)


@BOTH
def test_a_change_that_sets_another_tenant_is_one_of_both(colour: str) -> None:
    """What was found while it was under way is worthless to both."""

    async def scenario(rig: Rig) -> None:
        tool, change = rig.tool(), rig.tool("change", free=False)
        session = rig.speculator().session()

        async def asked(tenant: str) -> Any:
            with tenancy.tenant(tenant):
                return await rig.call(session, tool, 7)

        with contextlib.ExitStack() as stack:

            async def moves(_: Any) -> None:
                assert [await asked("a"), await asked("b")] == [[7, 1], [7, 2]]
                stack.enter_context(tenancy.tenant("b"))

            change.run = moves  # type: ignore[method-assign]
            with tenancy.tenant("a"):
                await rig.call(session, change)
                stack.close()
        assert [await asked("a"), await asked("b")] == [[7, 3], [7, 4]]
        session.close()

    in_colour(colour, scenario)


@BOTH
def test_tools_named_anew_are_forgotten(colour: str) -> None:
    """What is known of tools stays bounded, and one that was found out stays known."""

    async def scenario(rig: Rig) -> None:
        speculator = rig.speculator()
        session = speculator.session()
        speculator._records.switch_off("found out", "different")
        for number in range(1_100):
            await rig.call(session, rig.tool(f"tool_{number}"))
        known = speculator.state().tools
        assert len(known) <= 1_000
        assert {"found out", "tool_1099"} <= set(known)
        assert "tool_0" not in known
        session.close()

    in_colour(colour, scenario)


@BOTH
def test_nothing_crosses_a_tenant_or_a_user(colour: str) -> None:
    """Nor does a change, unless nobody in particular made it."""

    async def scenario(rig: Rig) -> None:
        speculator = rig.speculator()
        tool, change = rig.tool(), rig.tool("change", free=False)
        session = speculator.session()

        async def asked(tenant: str, user: str = "") -> Any:
            with tenancy.tenant(tenant, user=user):
                return await rig.call(session, tool, 7)

        results = [await asked("a"), await asked("b"), await asked("a", "ann"), await asked("a")]
        assert results == [[7, 1], [7, 2], [7, 3], [7, 1]]
        with tenancy.tenant("b"):
            await rig.call(session, change, 1)
        assert [await asked("a"), await asked("a", "ann"), await asked("b")] == [
            [7, 1], [7, 3], [7, 4],
        ]  # fmt: skip
        await rig.call(session, change, 1)
        assert await asked("a") == [7, 5]
        session.close()

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


def test_a_guess_that_was_not_asked_for_goes_on_for_the_window() -> None:
    """Within it another decision may still want it; after it, it is cancelled."""

    async def scenario(rig: Rig) -> None:
        tool = rig.tool(fates=[rig.gate(), rig.gate(), gate := rig.gate()])
        speculator = rig.speculator(Says(guess(7), guess(8), guess(9)), window_s=0.5)
        session = speculator.session()
        rig.think(session, tool).answered([ToolCall("lookup", {"id": 7})])
        await rig.pass_s(0.4)
        assert tool.cancelled == 0
        answer = rig.beside(rig.call(session, tool, 9))
        await rig.pass_s(0.2)
        assert tool.cancelled == 1
        gate.open()
        assert await answer() == [9, 3]
        assert [event.reason for event in rig.seen.of(ToolCallWasted)] == ["unasked"]
        await session.aclose()
        assert tool.cancelled == 2
        assert rig.alive() == 0

    in_colour("async", scenario)


@BOTH
def test_a_call_that_hangs_holds_up_a_real_one_no_longer_than_its_time(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        gate = rig.gate()
        tool = rig.tool(fates=[gate])
        session = rig.speculator(Says(guess(7)), timeout_s=0.05).session()
        rig.think(session, tool)
        await tool.begun[0].wait()
        began_s = rig.now_s()
        assert await rig.call(session, tool, 7) == [7, 2]
        assert rig.now_s() - began_s <= 0.0501
        gate.open()
        await rig.settle()
        await session.aclose() if rig.coloured else session.close()
        assert rig.alive() == 0

    in_colour(colour, scenario)


@BOTH
def test_who_knows_how_long_a_tool_takes_waits_for_no_hanging_one(colour: str) -> None:
    """The real call waits for it four times as long as any took lately, or a second."""

    async def scenario(rig: Rig) -> None:
        tool = rig.tool(fates=[None] * 8 + [gate := rig.gate()])
        session = rig.speculator(Says(guess("x"))).session()
        for id_ in range(8):
            await rig.call(session, tool, id_)
        rig.think(session, tool)
        await tool.begun[8].wait()
        began_s = rig.now_s()
        assert await rig.call(session, tool, "x") == ["x", 10]
        assert rig.now_s() - began_s == pytest.approx(1.0 if rig.coloured else 0.0, abs=1e-4)
        gate.open()
        await rig.settle()
        session.close()

    in_colour(colour, scenario)


@BOTH
def test_a_session_has_no_more_guesses_under_way_than_it_may(colour: str) -> None:
    """Those that wait for room begin, the likeliest first, when others have ended."""

    async def scenario(rig: Rig) -> None:
        gates = [rig.gate() for _ in range(3)]
        tool = rig.tool(fates=gates)
        speculator = rig.speculator(
            Says(guess(1, 0.8), guess(2, 0.95), guess(3, 0.9)), at_once=2, window_s=0.0
        )
        session = speculator.session()
        thinking = rig.think(session, tool)
        await tool.begun[1].wait()
        assert [call["id"] for call in tool.calls] == [2, 3]
        gates[0].open()
        await tool.begun[2].wait()
        assert [call["id"] for call in tool.calls] == [2, 3, 1]
        thinking.answered([])
        for gate in gates:
            gate.open()
        await rig.settle()
        session.close()
        assert rig.alive() == 0

    in_colour(colour, scenario)


@BOTH
def test_real_calls_take_the_room_and_guesses_what_is_left(colour: str) -> None:
    """A guess waits while real calls of its tool are under way, and a real call for none."""

    async def scenario(rig: Rig) -> None:
        gate = rig.gate()
        tool = rig.tool(fates=[gate])
        session = rig.speculator(Says(guess(8)), tool_at_once=1).session()
        answer = rig.beside(rig.call(session, tool, 7))
        await tool.begun[0].wait()
        rig.think(session, tool)
        await rig.settle() if rig.coloured else None
        assert len(tool.calls) == 1
        gate.open()
        await answer()
        await tool.begun[1].wait()
        assert [call["id"] for call in tool.calls] == [7, 8]
        await rig.settle()
        session.close()

    in_colour(colour, scenario)


@BOTH
def test_guesses_of_a_minute_are_counted(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        tool = rig.tool()
        speculator = rig.speculator(Says(guess(1), guess(2), guess(3)), per_minute=2)
        session = speculator.session()
        rig.think(session, tool)
        await rig.settle()
        assert len(tool.calls) == 2
        await rig.pass_s(60.0)
        rig.think(session, tool)
        await rig.settle()
        assert len(tool.calls) == 4
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


def test_who_joined_a_call_that_is_cancelled_makes_it_himself() -> None:
    async def scenario(rig: Rig) -> None:
        tool, session = rig.tool(fates=[rig.gate()]), rig.speculator().session()
        leader = asyncio.ensure_future(rig.call(session, tool, 7))
        await tool.begun[0].wait()
        follower = asyncio.ensure_future(rig.call(session, tool, 7))
        await rig.settle()
        leader.cancel()
        assert await follower == [7, 2]
        with pytest.raises(asyncio.CancelledError):
            await leader
        session.close()
        assert rig.alive() == 0

    in_colour("async", scenario)


def test_a_call_cancelled_while_it_waits_for_a_guess_leaves_nothing_behind() -> None:
    async def scenario(rig: Rig) -> None:
        rig.who = Tenant("north")
        speculator = rig.speculator(Says(guess(7)))
        tool = rig.tool(fates=[rig.gate()])
        owner, other = speculator.session(), speculator.session()
        rig.think(owner, tool)
        waiting = asyncio.ensure_future(rig.call(other, tool, 7))
        await rig.settle()
        await owner.aclose()
        assert tool.cancelled == 0
        waiting.cancel()
        await rig.settle()
        assert tool.cancelled == 1
        other.close()
        assert rig.alive() == 0

    in_colour("async", scenario)


def test_a_guess_that_waits_for_another_ends_with_it() -> None:
    """A change tells who waits, and cancels both, in the same moment."""

    async def scenario(rig: Rig) -> None:
        rig.who = Tenant("north")
        speculator = rig.speculator(Says(guess(7), guess(8, tool="ask")))
        tool = rig.tool(fates=[rig.gate(), rig.gate()])
        inner, outer = speculator.session(), speculator.session()

        class Asking(type(tool)):  # type: ignore[misc]
            async def run(self, arguments: Any) -> Any:
                return await rig.call(inner, tool, 7)

        rig.think(outer, tool, Asking(rig, "ask"))
        await rig.settle()
        with speculator.changing():
            pass
        await rig.settle()
        assert (len(tool.calls), tool.cancelled, rig.alive()) == (1, 1, 0)
        outer.close()
        inner.close()

    in_colour("async", scenario)


@BOTH
def test_agents_inside_tools_wait_for_one_another_in_no_circle(colour: str) -> None:
    """Each of two tools asks, inside, for the call that the other is making."""

    async def scenario(rig: Rig) -> None:
        rig.who = Tenant("north")
        speculator = rig.speculator()
        meet = [rig.gate(), rig.gate()]
        inner: list[Any] = []

        class Asking(type(rig.tool())):  # type: ignore[misc]
            async def run(self, arguments: Any) -> Any:
                me = arguments["id"]
                self.calls.append(arguments)
                if len(self.calls) <= 2:
                    meet[me].open()
                    await meet[1 - me].wait()
                    session = speculator.session()
                    inner.append(await rig.call(session, self, 1 - me))
                    session.close()
                return [me]

        tool = Asking(rig, "ask")
        answers = [rig.beside(rig.call(speculator.session(), tool, me)) for me in range(2)]
        began_s = rig.now_s()
        assert [await answer() for answer in answers] == [[0], [1]]
        assert sorted(inner) == [[0], [1]]
        assert rig.now_s() == began_s
        assert len(tool.calls) == 3  # one of them joined, and one could not

    in_colour(colour, scenario)


@BOTH
def test_a_run_that_is_dropped_unclosed_leaves_nothing_under_way(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        gate = rig.gate()
        tool = rig.tool(fates=[gate])
        session = rig.speculator(Says(guess(7))).session()
        rig.think(session, tool)
        await tool.begun[0].wait()
        del session
        gc.collect()
        if not rig.coloured:
            gate.open()
        await rig.settle()
        assert tool.cancelled == rig.coloured
        assert rig.alive() == 0

    in_colour(colour, scenario)


def test_a_started_thread_is_left_to_end_and_counted() -> None:
    async def scenario(rig: Rig) -> None:
        gate = rig.gate()
        tool = rig.tool(fates=[gate])
        speculator = rig.speculator(Says(guess(7)))
        session = speculator.session()
        rig.think(session, tool)
        await tool.begun[0].wait()
        session.close()
        assert speculator.state().guesses_under_way == 1
        gate.open()
        await rig.settle()
        assert speculator.state() == (0, 0, speculator.state().tools)
        assert [event.reason for event in rig.seen.of(ToolCallWasted)] == ["closed"]

    in_colour("sync", scenario)


def test_a_thread_that_goes_on_begins_no_further_step() -> None:
    """A call that it would send, or wait in a limiter's queue for, ends it without a trace."""

    async def scenario(rig: Rig) -> None:
        gate, sent = rig.gate(), []

        class Sending(type(rig.tool())):  # type: ignore[misc]
            async def run(self, arguments: Any) -> Any:
                await super().run(arguments)
                work.check()
                sent.append(arguments)
                return []

        tool = Sending(rig, fates=[gate])
        session = rig.speculator(Says(guess(7))).session()
        rig.think(session, tool)
        await tool.begun[0].wait()
        session.close()
        gate.open()
        await rig.settle()
        assert sent == []
        assert rig.alive() == 0

    in_colour("sync", scenario)


@BOTH
def test_a_result_that_nobody_used_is_wasted_once(colour: str) -> None:
    """Of a guess that was used nothing is wasted, however often, and when it leaves."""

    async def scenario(rig: Rig) -> None:
        tool = rig.tool()
        speculator = rig.speculator(Says(guess(7), guess(8)))
        session = speculator.session()
        rig.think(session, tool)
        await rig.settle()
        for _ in range(3):
            await rig.call(session, tool, 7)
        session.close()
        state = speculator.state().tools["lookup"]
        assert (state.begun, state.used, state.wasted, state.reused) == (2, 1, 1, 3)
        assert len(rig.seen.of(ToolCallBegun)) == 2
        assert rig.seen.of(ToolCallWasted) == [("lookup", "says", "closed")]

    in_colour(colour, scenario)


@BOTH
def test_a_tool_whose_guesses_are_wasted_rests_and_is_tried_again(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        tool = rig.tool()
        speculator = rig.speculator(Says(*(guess(n) for n in range(40))), at_once=40, ttl_s=1.0)
        for _ in range(2):
            session = speculator.session()
            rig.think(session, tool)
            await rig.settle()
            session.close()
        assert rig.seen.of(SpeculationSuspended) == [("lookup", "wasteful")]
        assert len(tool.calls) == 40
        await rig.pass_s(61)
        session = speculator.session()
        rig.think(session, tool)
        await rig.settle()
        session.close()
        assert len(tool.calls) > 40
        assert len(rig.seen.of(SpeculationSuspended)) == 2

    in_colour(colour, scenario)


@BOTH
def test_the_auditor_finds_a_tool_that_moves_on(colour: str) -> None:
    """The agent is given what the real call returned, and the tool is shared no more."""

    async def scenario(rig: Rig) -> None:
        rig.clock.chance = 0.0
        page = rig.tool("page")
        speculator = rig.speculator(Says(guess(7, tool="page")))
        session = speculator.session()
        rig.think(session, page)
        await rig.settle()
        assert await rig.call(session, page, 7) == [7, 2]
        assert rig.seen.of(ToolCallAudited) == [("page", "says", False)]
        assert rig.seen.of(SpeculationSuspended) == [("page", "different")]
        rig.clock.chance = 0.999
        rig.think(session, page)
        await rig.settle()
        assert [(await rig.call(session, page, 7))[1] for _ in range(2)] == [3, 4]
        session.close()

    in_colour(colour, scenario)


@BOTH
def test_the_auditor_believes_a_tool_that_says_the_same(colour: str) -> None:
    async def scenario(rig: Rig) -> None:
        rig.clock.chance = 0.0
        tool = rig.tool(fates=[["same"], ["same"], ValueError("now it fails")])
        session = rig.speculator(Says(guess(7))).session()
        rig.think(session, tool)
        await rig.settle()
        assert await rig.call(session, tool, 7) == ["same"]
        with pytest.raises(ValueError, match="now it fails"):
            await rig.call(session, tool, 7)
        session.close()
        assert rig.seen.of(ToolCallAudited) == [("lookup", "says", True)]
        assert rig.seen.of(SpeculationSuspended) == []

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
def test_a_change_at_the_last_moment_is_not_missed(colour: str) -> None:
    """Something changes after the guess was found, while its result is copied."""

    async def scenario(rig: Rig) -> None:
        session = rig.speculator(Says(guess(7))).session()

        class Copying(type(rig.tool())):  # type: ignore[misc]
            changing = False

            def copied(self, result: Any) -> Any:
                if self.changing:
                    self.changing = False
                    session._calls.changes()
                return list(result)

        tool = Copying(rig)
        rig.think(session, tool)
        await rig.settle()
        tool.changing = True
        assert await rig.call(session, tool, 7) == [7, 2]
        session.close()

    in_colour(colour, scenario)


def test_a_guess_whose_run_ends_while_it_begins_is_stopped() -> None:
    async def scenario(rig: Rig) -> None:
        tool = rig.tool(fates=[rig.gate()])
        speculator = rig.speculator(Says(guess(7)))
        session = speculator.session()
        parts = session._guesses._shared
        session._guesses._shared = parts._replace(emit=lambda _: session.close())
        rig.think(session, tool)
        await rig.settle()
        assert rig.alive() == 0

    in_colour("async", scenario)


@BOTH
def test_a_guess_that_was_let_in_as_its_run_ended_takes_no_step(colour: str) -> None:
    """Another thread closes the session just before the guess stands in the table."""

    async def scenario(rig: Rig) -> None:
        gate, sent = rig.gate(), []

        class Sending(type(rig.tool())):  # type: ignore[misc]
            async def run(self, arguments: Any) -> Any:
                await super().run(arguments)
                work.check()
                sent.append(arguments)
                return []

        session = rig.speculator(Says(guess(7))).session()
        parts = session._guesses._shared

        class Closing:
            def __getattr__(self, name: str) -> Any:
                return getattr(parts.records, name)

            def admit(self, *args: Any, **kwargs: Any) -> Any:
                said = parts.records.admit(*args, **kwargs)
                session.close()
                return said

        session._guesses._shared = parts._replace(records=Closing())
        rig.think(session, Sending(rig, fates=[gate]))
        gate.open()
        await rig.settle()
        assert sent == []
        assert ("ToolCallWasted", "closed") in rig.fates()
        assert rig.alive() == 0

    in_colour(colour, scenario)


def test_a_call_of_a_blocking_tool_on_a_loop_takes_only_what_is_done() -> None:
    """Whoever blocks the loop waits for nobody: what is under way might need that loop."""

    async def main() -> None:
        rig = Rig(coloured=False)
        gate = threading.Event()
        tool, session = rig.tool(), rig.speculator(Says(guess(7))).session()
        tool.fates = [(held := rig.gate())]
        rig.think(session, tool)
        await asyncio.to_thread(lambda: blocking.run(tool.begun[0].wait()))
        assert session.call(tool, {"id": 7}, lambda: tool.run({"id": 7})) == [7, 2]
        held.open()
        gate.set()
        await asyncio.to_thread(lambda: blocking.run(rig.settle()))
        session.close()

    asyncio.run(main())


def _no_thread(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refuse(self: object) -> None:
        raise RuntimeError("can't start new thread")

    return lambda: monkeypatch.setattr(threading.Thread, "start", refuse)


def test_where_no_thread_can_be_had_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(rig: Rig) -> None:
        tool, speculator = rig.tool(), rig.speculator(Says(guess(7), guess(8)))
        session = speculator.session()
        _no_thread(monkeypatch)()
        rig.think(session, tool)
        monkeypatch.undo()
        assert await rig.call(session, tool, 7) == [7, 1]
        session.close()
        assert rig.alive() == 0
        assert [name for name, _ in rig.fates()].count("PredictorFailed") == 1

    in_colour("sync", scenario)


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
