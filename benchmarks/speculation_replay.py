"""Recorded runs, replayed through the speculator in virtual time.

A model takes `Pace.model_s` for every answer and a tool `Pace.tool_s` for every call; calls of one
answer are made side by side. What a call returns is what was recorded: a replay measures waiting
and work, not answers.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.drive import virtual_time
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.policy.prediction import habits
from accel_core.policy.prediction.known import canonical
from accel_core.policy.trajectory import Observed, ToolCall
from accel_core.tool_speculator import SpeculationSettings, ToolSpeculator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from accel_core.policy.trajectory import Trajectory
    from accel_core.prediction.fitting import Run
    from accel_core.speculating import Predictor
    from accel_core.tool_session import Session


class Pace(NamedTuple):
    """How long an answer of the model and a call of a tool take, seconds."""

    model_s: float = 1.0
    tool_s: float = 0.25


class Tally(NamedTuple):
    """What came of a replay.

    Attributes:
        reads, served: real calls of reading tools, and those that executed nothing themselves.
        begun, used: guesses begun, and those whose result a real call took.
        waited_s: what reads waited for their results, in sum.
    """

    reads: int = 0
    served: int = 0
    begun: int = 0
    used: int = 0
    waited_s: float = 0.0

    @property
    def served_share(self) -> float:
        return self.served / max(1, self.reads)

    @property
    def used_share(self) -> float:
        return self.used / max(1, self.begun)

    @property
    def wasted_per_100_reads(self) -> float:
        return 100 * (self.begun - self.used) / max(1, self.reads)


class _Tool:
    """A recorded tool, as the speculator sees it in one run."""

    static = False

    def __init__(self, name: str, replay: _Replay) -> None:
        self.name, self._replay = name, replay
        self.identity = name, id(replay)
        self.free = name in replay.free

    def validated(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return dict(arguments)

    async def run(self, arguments: Mapping[str, Any]) -> str:
        self._replay.guessed[canonical(self.name, arguments)] = False
        self._replay.begun += 1
        await asyncio.sleep(self._replay.pace.tool_s)
        return ""

    def copied(self, result: Any) -> Any:
        return result


class _Replay:
    """One run, replayed."""

    def __init__(
        self, events: Trajectory, reads: frozenset[str], free: frozenset[str], pace: Pace
    ) -> None:
        self.events, self.reads_of, self.free, self.pace = events, reads, free, pace
        self.guessed: dict[tuple[str, str], bool] = {}
        self.begun = self.used = self.reads = self.served = 0
        self.waited_s = 0.0
        called = {event.tool for event in events if isinstance(event, Observed)}
        self.tools = {name: _Tool(name, self) for name in called | free}

    async def go(self, session: Session) -> None:
        for place in habits.decisions(self.events):
            thinking = session.athink(self.events[:place], self.tools)
            await asyncio.sleep(self.pace.model_s)
            calls = habits.answered(self.events, place)
            thinking.answered([ToolCall(event.tool, event.arguments) for event in calls])
            await asyncio.gather(*(self._real(session, event) for event in calls))
        await session.aclose()

    async def _real(self, session: Session, event: Observed) -> None:
        executed = False

        async def execute() -> str:
            nonlocal executed
            executed = True
            await asyncio.sleep(self.pace.tool_s)
            return ""

        began_s = asyncio.get_running_loop().time()
        await session.acall(self.tools[event.tool], event.arguments, execute)
        if event.tool in self.reads_of:
            self.reads += 1
            self.served += not executed
            self.waited_s += asyncio.get_running_loop().time() - began_s
        key = canonical(event.tool, event.arguments)
        if not executed and self.guessed.get(key) is False:
            self.guessed[key] = True
            self.used += 1


def replay(
    runs: Sequence[Run],
    predictors: Sequence[Predictor],
    reads: frozenset[str],
    free: frozenset[str],
    *,
    pace: Pace = Pace(),  # noqa: B008
    threshold: float = SpeculationSettings().threshold,
) -> Tally:
    """Replay `runs` one after the other, without learning from them."""
    return virtual_time.run(_replayed(runs, predictors, (reads, free), pace, threshold))


async def _replayed(
    runs: Sequence[Run],
    predictors: Sequence[Predictor],
    tools: tuple[frozenset[str], frozenset[str]],
    pace: Pace,
    threshold: float,
) -> Tally:
    loop = asyncio.get_running_loop()
    speculator = ToolSpeculator(
        predictors,
        settings=SpeculationSettings(threshold=threshold),
        colours=(BlockingIo(), AsyncIo()),
        whose=lambda: None,
        emit=lambda _: None,
        mono_now=loop.time,
        lock=threading.RLock,
    )
    done = []
    for run in runs:
        one = _Replay(run.events, *tools, pace)
        await one.go(speculator.session())
        done.append(one)
    return Tally(
        *(sum(getattr(one, name) for one in done) for name in Tally._fields)  # type: ignore[arg-type]
    )
