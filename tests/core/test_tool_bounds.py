"""Guesses have their bounds: how many, how long, and no longer than their run."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.drive import blocking, work
from accel_core.events import (
    SpeculationSuspended,
    ToolCallBegun,
    ToolCallWasted,
)
from accel_core.policy.trajectory import ToolCall
from accel_core.tenancy import Tenant
from tests.core.speculation_rig import Rig, Says, guess, in_colour

if TYPE_CHECKING:
    from collections.abc import Callable

BOTH = pytest.mark.parametrize("colour", ["sync", "async"])


def _no_thread(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refuse(self: object) -> None:
        raise RuntimeError("can't start new thread")

    return lambda: monkeypatch.setattr(threading.Thread, "start", refuse)


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
