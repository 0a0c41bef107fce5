"""Rows of the group ``speculation``: random agents, run with speculation and without.

Three agents at a time share a world, a speculator and its hostile predictors (`speculation_world`).
What each reads of its own numbers must be what it reads without speculation; what it reads of
numbers that others write must have been true at some moment between its asking and its being
answered.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from typing import TYPE_CHECKING

from accel_core import tenancy
from accel_core.drive import virtual_time
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo, run
from accel_core.policy.trajectory import Observed, Said
from accel_core.tool_speculator import SpeculationSettings, ToolSpeculator
from benchmarks.harness import Context, Measured, Row
from benchmarks.speculation_world import (
    MOST_TURNS,
    Agent,
    Counts,
    Desk,
    Drafting,
    Oracle,
    Pace,
    Refused,
    World,
    asked,
    seen_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from accel_core.policy.trajectory import ToolCall, Trajectory
    from accel_core.tool_speculator import Session

_TOGETHER = 3
"""Agents that share a world."""
_WORLDS = 8
"""That a speculator lives through."""
_TICKS = 5
"""Of the loop, in which what was cancelled ends."""


class Run:
    """One run of an agent; its observations are kept for the comparison."""

    def __init__(self, agent: Agent, desk: Desk, speculator: ToolSpeculator | None) -> None:
        self.agent, self.desk, self.speculator = agent, desk, speculator
        self.observed: list[Observed] = []
        self.exact: list[str] = []
        self.stopped = False

    async def go(self) -> None:
        """Run to the end, or to where it is cancelled."""
        session = None if self.speculator is None else self.speculator.session()
        with tenancy.tenant(self.agent.tenant):
            try:
                for turn in range(MOST_TURNS + 1):
                    calls = await self._model(session, turn)
                    if not calls or self.stopped:
                        break
                    await self._tools(session, calls, turn)
            finally:
                await self._end(session)

    def _trajectory(self) -> Trajectory:
        return (Said("user", str(self.agent.number)), *self.observed)

    async def _model(self, session: Session | None, turn: int) -> list[ToolCall]:
        pace, tools = self.desk.pace, self.desk.tools
        thinking = None
        if session is not None:
            think = session.athink if pace.coloured else session.think
            thinking = think(self._trajectory(), tools)
        calls = self.agent.asks(list(seen_in(self.observed)))
        await pace.spend(self.desk.dice.random())
        if self.agent.cancelled == turn and not self.agent.in_tool:
            self.stopped = True
            return []
        for call in calls:
            if thinking is not None and self.desk.dice.random() < 0.3:
                thinking.sealed(call)
                await pace.spend(self.desk.dice.random() / 4)
        if thinking is not None:
            thinking.answered(calls)
        return calls

    async def _tools(self, session: Session | None, calls: list[ToolCall], turn: int) -> None:
        if self.desk.pace.coloured:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._tool(session, call)) for call in calls]
                if self.agent.cancelled == turn:
                    await self.desk.pace.spend(self.desk.dice.random() / 2)
                    self.stopped = True
                    for task in tasks:
                        task.cancel()
            texts = [None if task.cancelled() else task.result() for task in tasks]
        else:
            texts = [await self._tool(session, call) for call in calls]
            self.stopped = self.agent.cancelled == turn
        if not self.stopped:
            self.observed += [
                Observed(call.tool, call.arguments, text or "", failed=False, turn=turn)
                for call, text in zip(calls, texts, strict=True)
            ]

    async def _tool(self, session: Session | None, call: ToolCall) -> str:
        """Make a call, and return what the agent goes on with; what others write is checked."""
        world, since = self.desk.world, self.desk.world.moment
        try:
            tool = self.desk.tools[call.tool]
            result = await asked(session, self.desk.pace, tool, call.arguments)
        except Refused as refused:
            return f"refused: {refused}"
        finally:
            if call.tool == "write":
                world.told(call.arguments["key"], call.arguments["value"])
        if call.tool in {"shared", "report"}:
            key, value = result["key"], result["value"]
            self.desk.counts.differing += not world.was(key, value, since)
            result["value"] = None  # an agent may do with its result what it likes
            return key
        text = str(result)
        if isinstance(result, dict):
            result.clear()
        return text

    async def _end(self, session: Session | None) -> None:
        if session is None:
            return
        if self.desk.pace.coloured and self.agent.number % 2:
            await session.aclose(self._trajectory())
        elif self.agent.number % 7:
            session.close(self._trajectory())


def _settings(dice: random.Random, timeout_s: float) -> SpeculationSettings:
    return SpeculationSettings(
        threshold=0.6,
        at_once=dice.choice([1, 3, 10]),
        window_s=dice.choice([0.0, 0.5, 5.0]),
        timeout_s=timeout_s,
        ttl_s=dice.choice([1.0, 30.0]),
        waste_share=dice.choice([0.5, 1.0]),
        audit_share=dice.choice([0.0, 0.3]),
        kept=dice.choice([3, 1000]),
    )


def _expected(agents: Sequence[Agent]) -> list[list[Observed]]:
    """Return what each agent sees without speculation, alone; of its own numbers it is the same."""

    async def spend(_: float) -> None: ...

    async def alone(agent: Agent) -> list[Observed]:
        world = World(0)
        desk = Desk(
            world,
            None,
            Pace(coloured=False, spend=spend, hang=lambda: spend(0)),
            random.Random(0),
            Counts(),
        )
        one = Run(agent, desk, None)
        await one.go()
        return one.observed

    return [run(alone(agent)) for agent in agents]


def _compare(runs: Sequence[Run], counts: Counts) -> None:
    for one, expected in zip(runs, _expected([one.agent for one in runs]), strict=True):
        counts.runs += 1
        counts.observations += len(expected)
        same = one.observed == expected
        counts.differing += not same


async def _async_worlds(seed: int, counts: Counts) -> None:
    """Run some worlds' agents as tasks of the running loop, in virtual time."""
    loop, dice = asyncio.get_running_loop(), random.Random(seed)

    async def hang() -> None:
        await asyncio.Event().wait()

    pace = Pace(coloured=True, spend=asyncio.sleep, hang=hang)
    oracle = Oracle(dice)
    speculator = ToolSpeculator(
        [oracle],
        drafters=[Drafting(oracle, pace, dice)] if dice.random() < 0.5 else [],
        settings=_settings(dice, 5.0),
        colours=(BlockingIo(), AsyncIo()),
        whose=tenancy.current,
        emit=counts,
        mono_now=loop.time,
        lock=threading.RLock,
        chance=dice.random,
    )
    for at in range(_WORLDS):
        world = World(at)
        runs = [
            Run(
                Agent(_numbered(seed, at, n)),
                Desk(world, speculator, pace, dice, counts),
                speculator,
            )
            for n in range(_TOGETHER)
        ]
        await asyncio.gather(*(one.go() for one in runs))
        _compare(runs, counts)
        for _ in range(_TICKS):
            await asyncio.sleep(0)
        counts.alive += len(asyncio.all_tasks()) - 1
    counts.alive += sum(not timer.cancelled() for timer in loop._scheduled)  # type: ignore[attr-defined]
    counts.alive += _under_way(speculator)


def _blocking_worlds(seed: int, counts: Counts) -> None:
    """Run some worlds' agents in threads, in real time."""
    dice, released = random.Random(seed), threading.Event()

    async def spend(share: float) -> None:
        for _ in range(int(3 * share)):
            time.sleep(0)  # lets another thread go first

    async def hang() -> None:
        released.wait()

    pace = Pace(coloured=False, spend=spend, hang=hang)
    speculator = ToolSpeculator(
        [Oracle(dice)],
        drafters=[Drafting(Oracle(dice), pace, dice)] if dice.random() < 0.5 else [],
        settings=_settings(dice, 0.02),
        colours=(BlockingIo(), AsyncIo()),
        whose=tenancy.current,
        emit=counts,
        mono_now=time.monotonic,
        lock=threading.RLock,
        chance=dice.random,
    )
    for at in range(_WORLDS):
        world = World(at)
        runs = [
            Run(
                Agent(_numbered(seed, at, n)),
                Desk(world, speculator, pace, dice, counts),
                speculator,
            )
            for n in range(_TOGETHER)
        ]
        threads = [threading.Thread(target=run, args=(one.go(),)) for one in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        _compare(runs, counts)
    released.set()
    counts.alive += _threads_left(10.0) + _under_way(speculator)


def _threads_left(patience_s: float) -> int:
    """Return how many threads of guesses go on for longer; one that ends may have begun another."""
    ends_s = time.monotonic() + patience_s
    while left := [each for each in threading.enumerate() if each.name == "accel-spawned"]:
        if time.monotonic() >= ends_s:
            break
        left[0].join(max(0.0, ends_s - time.monotonic()))
    return len(left)


def _under_way(speculator: ToolSpeculator) -> int:
    """Return how many guesses are, and how many calls somebody could still wait for."""
    return speculator.state().guesses_under_way + len(speculator._executions._under_way)


def _numbered(seed: int, world: int, agent: int) -> int:
    return (seed * _WORLDS + world) * _TOGETHER + agent


def fuzz(runs: int, seed: int, report: Callable[[float], None] = lambda _: None) -> Counts:
    """Run so many random agents, half of them in either colour, and return what happened."""
    counts = Counts()
    number = seed * 1_000_000
    while counts.runs < runs:
        if number % 2:
            _blocking_worlds(number, counts)
        else:
            virtual_time.run(_async_worlds(number, counts))
        number += 1
        report(counts.runs / runs)
    return counts


def _fuzzed(context: Context) -> Counts:
    return fuzz(context.pick(10_000, 1_000), context.seed, context.report)


def _note(counts: Counts) -> str:
    return (
        f"{counts.runs:,} runs, {counts.observations:,} observations, {counts.guesses:,} guesses, "
        f"{counts.adopted:,} calls answered by another"
    )


def _measured(name: str) -> Callable[[Context], Measured]:
    def measure(context: Context) -> Measured:
        counts = context.once(_fuzzed)
        return Measured(getattr(counts, name), _note(counts))

    return measure


ROWS = [
    Row(
        name="core-differing",
        what="observations that differ from the run without speculation, random agents",
        op="==",
        bound=0,
        measure=_measured("differing"),
    ),
    Row(
        name="core-side-effects",
        what="tools with side effects that were begun unasked, same runs",
        op="==",
        bound=0,
        measure=_measured("side_effects"),
    ),
    Row(
        name="core-alive",
        what="tasks, timers, threads and guesses left after those runs",
        op="==",
        bound=0,
        measure=_measured("alive"),
    ),
]
