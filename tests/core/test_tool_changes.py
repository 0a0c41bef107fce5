"""Results of calls that may have changed, or are somebody else's, are served to nobody."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from accel_core import tenancy
from accel_core.events import (
    SpeculationSuspended,
    ToolCallAudited,
)
from accel_core.executions import Executions
from accel_core.tenancy import Tenant
from accel_core.tool_calls import ToolCalls
from tests.core.speculation_rig import Rig, Says, Scripted, guess, in_colour

if TYPE_CHECKING:
    from collections.abc import Callable

BOTH = pytest.mark.parametrize("colour", ["sync", "async"])


def _key(session: Any, tool: Any, id_: object) -> Any:
    return session._calls.named(tool, {"id": id_}, session._own).key


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
