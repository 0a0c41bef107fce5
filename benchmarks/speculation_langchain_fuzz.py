"""Random agents of ``create_agent`` (`speculation_langchain_world`), with speculation and without.

Several agents share the middleware, the tools and the speculator; some are cut off in the midst of
a run. The predictor knows what they will ask for, and lies, and misbehaves; guesses fail and hang
where the real call would not.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from langchain.agents import create_agent
from langchain.agents.middleware import (
    ModelRetryMiddleware,
    ToolCallLimitMiddleware,
    ToolErrorMiddleware,
    ToolRetryMiddleware,
)

from accel_core.accel import Accel
from accel_core.clocks import Clocks
from accel_core.config import from_mapping
from accel_core.drive import virtual_time
from accel_core.testing.encoders import HashEncoder
from benchmarks.speculation_langchain_world import HARMLESS, Model, Oracle, World, without
from benchmarks.speculation_who import asked_by, owned_by
from langchain_accel import SpeculativeTools

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from langchain_core.messages import BaseMessage

_TOGETHER = 3
"""Agents that run at once."""
_BATCHES = 4
"""Of agents that one middleware lives through."""
_TICKS = 20
"""Of the loop, in which what was cancelled ends."""


@dataclass
class Counts:
    """What happened, and what must not."""

    inline: ClassVar[bool] = True

    runs: int = 0
    timed_out: int = 0
    observations: int = 0
    guesses: int = 0
    adopted: int = 0
    differing: int = 0
    side_effects: int = 0
    alive: int = 0
    differences: list[str] = field(default_factory=list)

    def __call__(self, event: object) -> None:
        """Count an event."""
        self.adopted += type(event).__name__ == "ToolCallReused"


def _middlewares(dice: random.Random) -> list[Any]:
    """Return some that others use, in any order."""
    found = [
        ToolRetryMiddleware(max_retries=1, initial_delay=0.0, on_failure="error"),
        ModelRetryMiddleware(max_retries=1, initial_delay=0.0, on_failure="error"),
        # Of all tools, it stops every guess.
        ToolCallLimitMiddleware(
            tool_name=None if dice.random() < 0.1 else dice.choice(["find", "counted"]),
            run_limit=dice.randint(3, 15),
        ),
        ToolErrorMiddleware(lambda error, _: f"handled {error}"),
    ]
    return dice.sample(found, dice.randint(0, len(found)))


def _shape(messages: Sequence[BaseMessage]) -> list[Any]:
    """Return a conversation without the ids that LangChain makes."""
    return [
        (
            m.type,
            m.content,
            getattr(m, "tool_calls", None),
            getattr(m, "tool_call_id", None),
            getattr(m, "status", None),
            getattr(m, "artifact", None),
        )
        for m in messages
    ]


@dataclass
class Told:
    """All that a run has told, and written.

    Attributes:
        cut_off: whether it ran out of time.
    """

    messages: list[Any] = field(default_factory=list)
    error: str = ""
    written: list[tuple[str, int]] = field(default_factory=list)
    cut_off: bool = False

    def up_to(self, other: Told) -> Told:
        """Return it as it would be if it had been cut off where `other` was."""
        messages, written = self.messages[: len(other.messages)], self.written[: len(other.written)]
        return Told(messages, other.error, written, cut_off=True)


class Bench:
    """Two agents of the same scripts and tools, one of them with speculation.

    Args:
        dice: of everything.
        counts: of what happens.
        clocks: the speculator's.
        spend: lets time pass, in seconds; async.
        wait: the same, in a thread.
        timeout_s: how long a guess may take.
    """

    def __init__(
        self,
        dice: random.Random,
        counts: Counts,
        clocks: Clocks,
        *,
        spend: Callable[[float], Awaitable[None]],
        wait: Callable[[float], object],
        timeout_s: float,
    ) -> None:
        self.counts, self.world = counts, World(dice, spend, wait)
        settings = {
            "threshold": 0.6,
            "at_once": dice.choice([1, 3, 10]),
            "window_s": dice.choice([0.0, 0.5]),
            "timeout_s": timeout_s,
            "waste_share": dice.choice([0.5, 1.0]),
            "audit_share": dice.choice([0.0, 0.2]),
        }
        config = from_mapping({"speculation": settings})
        self.accel = Accel(config, encoder=HashEncoder(), observers=[counts], clocks=clocks)
        ours = SpeculativeTools(HARMLESS, predictors=[Oracle(dice)], accel=self.accel)
        self.speculator = ours._speculation._runs.speculator
        streaming = dice.random() < 0.5
        model = Model(spend=spend, wait=wait, **({"streaming": True} if streaming else {}))
        others = _middlewares(dice)
        both = list(others)
        both.insert(dice.randint(0, len(others)), ours)
        tools = self.world.tools()
        self.plain = create_agent(model, tools, middleware=others)
        self.speculative = create_agent(model, tools, middleware=both)

    def under_way(self) -> int:
        """Return how many guesses are, and how many calls somebody could still wait for."""
        speculator = self.speculator
        return speculator.state().guesses_under_way + len(speculator._executions._under_way)

    def end(self) -> None:
        """Count what was begun unasked, and what is left."""
        self.counts.guesses += self.world.guesses
        self.counts.side_effects += self.world.unasked
        self.counts.alive += self.under_way()
        self.accel.close()

    async def acompare(self, number: int, timeout_s: float | None) -> None:
        """Run one agent with speculation, for `timeout_s` at most, and without, as tasks."""
        with_it = await self._arun(number, timeout_s, apart=False)
        self._compare(number, with_it, await self._arun(number))

    async def _arun(
        self, number: int, timeout_s: float | None = None, *, apart: bool = True
    ) -> Told:
        agent = self.plain if apart else self.speculative
        token, told = without.set(apart), Told()
        try:
            with asked_by(number):
                async with asyncio.timeout(timeout_s) as time:
                    async for state in agent.astream(_asked(number), stream_mode="values"):
                        told.messages = _shape(state["messages"])
        except (asyncio.CancelledError, Exception) as error:
            told.error, told.cut_off = repr(error), time.expired()
        finally:
            without.reset(token)
        return told

    def compare(self, number: int) -> None:
        """Run one agent with speculation and without, in this thread."""
        with_it = self._run(number, apart=False)
        self._compare(number, with_it, self._run(number))

    def _run(self, number: int, *, apart: bool = True) -> Told:
        agent = self.plain if apart else self.speculative
        token, told = without.set(apart), Told()
        try:
            with asked_by(number):
                for state in agent.stream(_asked(number), stream_mode="values"):
                    told.messages = _shape(state["messages"])
        except Exception as error:
            told.error = repr(error)
        finally:
            without.reset(token)
        return told

    def _compare(self, number: int, with_it: Told, plain: Told) -> None:
        """Count what the two runs of one agent have told, and written."""
        for told, apart in ((with_it, False), (plain, True)):
            told.written = [
                (key, value)
                for without_it, who, key, value in self.world.written
                if without_it is apart and owned_by(number, who, key)
            ]
        self.counts.runs += 1
        self.counts.timed_out += with_it.cut_off
        self.counts.observations += sum(message[0] == "tool" for message in plain.messages)
        expected = plain.up_to(with_it) if with_it.cut_off else plain
        if with_it != expected:
            self.counts.differing += 1
            self.counts.differences.append(f"{number}: {with_it}\n  {expected}")


def _asked(number: int) -> dict[str, Any]:
    return {"messages": [("user", str(number))]}


async def _async_runs(seed: int, counts: Counts) -> None:
    """Run some agents as tasks of the running loop, in virtual time."""
    loop, dice = asyncio.get_running_loop(), random.Random(seed)
    bench = Bench(
        dice,
        counts,
        Clocks(mono_now=loop.time, chance=dice.random),
        spend=asyncio.sleep,
        wait=lambda _: None,
        timeout_s=5.0,
    )
    for batch in range(_BATCHES):
        numbers = [_numbered(seed, batch, n) for n in range(_TOGETHER)]
        limits_s = [dice.uniform(0.0, 6.0) if dice.random() < 0.15 else None for _ in numbers]
        await asyncio.gather(*map(bench.acompare, numbers, limits_s))
    await asyncio.sleep(2.0)  # what was not asked for goes on for the window, and no longer
    for _ in range(_TICKS):
        await asyncio.sleep(0)
    counts.alive += len(asyncio.all_tasks()) - 1
    bench.end()


def _blocking_runs(seed: int, counts: Counts) -> None:
    """Run some agents in threads, in real time."""
    dice, released = random.Random(seed), threading.Event()

    def wait(seconds: float) -> None:
        if seconds > 60:
            released.wait()
        elif seconds > 0.5:
            time.sleep(0)  # lets another thread go first

    async def spend(_: float) -> None: ...

    clocks = Clocks(chance=dice.random)
    bench = Bench(dice, counts, clocks, spend=spend, wait=wait, timeout_s=0.05)
    for batch in range(_BATCHES):
        numbers = [_numbered(seed, batch, n) for n in range(_TOGETHER)]
        threads = [threading.Thread(target=bench.compare, args=(number,)) for number in numbers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    released.set()
    for thread in threading.enumerate():
        if thread.name in {"accel-spawned", "accel-learning"}:
            thread.join(10.0)
            counts.alive += thread.is_alive()
    bench.end()


def _numbered(seed: int, batch: int, agent: int) -> int:
    return (seed * _BATCHES + batch) * _TOGETHER + agent


def fuzz(runs: int, seed: int, report: Callable[[float], None] = lambda _: None) -> Counts:
    """Run so many random agents, half of them in either colour, and return what happened."""
    counts, number = Counts(), seed * 1_000_000
    while counts.runs < runs:
        if number % 2:
            _blocking_runs(number, counts)
        else:
            virtual_time.run(_async_runs(number, counts))
        number += 1
        report(counts.runs / runs)
    return counts
