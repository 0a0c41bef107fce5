"""A speculator and scripted tools, spoken to in one colour: each scenario is written once."""

from __future__ import annotations

import asyncio
import collections
import threading
from typing import TYPE_CHECKING, Any

from accel_core import tenancy
from accel_core.drive import blocking, virtual_time
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.policy.trajectory import Guess, Said, ToolCall
from accel_core.testing.doubles import ManualClock, RecordingObserver
from accel_core.tool_speculator import SpeculationSettings, ToolSpeculator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence

    from accel_core.policy.trajectory import Trajectory
    from accel_core.tenancy import Tenant
    from accel_core.tool_speculator import Session, Thinking

ASKED = (Said("user", "where is my order?"),)
LONGEST_S = 20.0  # never reached by a test that passes


class Gate:
    """Waited for in one colour, opened from anywhere in it."""

    def __init__(self, *, coloured: bool) -> None:
        self._event: Any = asyncio.Event() if coloured else threading.Event()
        self._coloured = coloured

    def open(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        if self._coloured:
            await asyncio.wait_for(self._event.wait(), LONGEST_S * 100)
        else:
            assert self._event.wait(LONGEST_S)


class Scripted:
    """A tool in one colour. Its n-th call does what `fates` say, else returns its arguments.

    A fate is a gate that is waited for, an exception that is raised, or a result.
    """

    def __init__(
        self,
        rig: Rig,
        name: str = "lookup",
        *,
        free: bool = True,
        static: bool = False,
        fates: Sequence[object] = (),
    ) -> None:
        self.rig, self.name, self.identity = rig, name, name
        self.free, self.static = free, static
        self.fates = list(fates)
        self.begun = collections.defaultdict(rig.gate)
        self.calls: list[Mapping[str, Any]] = []
        self.cancelled = 0

    def validated(self, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return arguments if "wrong" not in arguments else None

    async def run(self, arguments: Mapping[str, Any]) -> Any:
        at = len(self.calls)
        self.calls.append(arguments)
        self.begun[at].open()
        fate = self.fates[at] if at < len(self.fates) else None
        if isinstance(fate, Gate):
            try:
                await fate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        elif isinstance(fate, BaseException):
            raise fate
        elif fate is not None:
            return fate
        return [arguments.get("id"), at + 1]

    def copied(self, result: Any) -> Any:
        return list(result)


class Says:
    """A predictor that always says the same."""

    def __init__(self, *guesses: Any, name: str = "says") -> None:
        self.name, self.guesses = name, guesses
        self.learned: list[Trajectory] = []

    def predict(self, trajectory: Trajectory, free: Collection[str]) -> Any:
        return self.guesses

    def learn(self, trajectory: Trajectory, free: Collection[str]) -> None:
        self.learned.append(trajectory)


def guess(id_: object, confidence: float = 0.9, tool: str = "lookup") -> Guess:
    """Return a guess at ``tool(id=id_)``."""
    return Guess(ToolCall(tool, {"id": id_}), confidence, "says")


class Rig:
    """One speculator in one colour."""

    def __init__(self, *, coloured: bool) -> None:
        self.coloured = coloured
        self.clock, self.seen = ManualClock(chance=0.999), RecordingObserver()
        self.speculators: list[ToolSpeculator] = []
        self.who: Tenant | None = None
        """Who asks, where no tenant is set."""

    def now_s(self) -> float:
        return asyncio.get_running_loop().time() if self.coloured else self.clock.now_s

    def speculator(
        self, *predictors: Any, drafters: Sequence[Any] = (), **settings: Any
    ) -> ToolSpeculator:
        made = ToolSpeculator(
            predictors,
            drafters=drafters,
            settings=SpeculationSettings(**settings),
            colours=(BlockingIo(), AsyncIo()),
            whose=lambda: tenancy.current() or self.who,
            emit=self.seen,
            mono_now=self.now_s,
            lock=threading.RLock,
            chance=lambda: self.clock.chance,
        )
        self.speculators.append(made)
        return made

    def tool(self, name: str = "lookup", **options: Any) -> Scripted:
        return Scripted(self, name, **options)

    def gate(self) -> Gate:
        return Gate(coloured=self.coloured)

    def think(self, session: Session, *tools: Scripted, about: Trajectory = ASKED) -> Thinking:
        begin = session.athink if self.coloured else session.think
        return begin(about, {tool.name: tool for tool in tools})

    async def call(
        self, session: Session, tool: Scripted, id_: object = 7, **arguments: Any
    ) -> Any:
        """Make a real call, as an agent's framework does."""
        asked = {"id": id_, **arguments}
        if self.coloured:
            return await session.acall(tool, asked, lambda: tool.run(asked))
        return session.call(tool, asked, lambda: tool.run(asked))

    def beside(self, flow: Coroutine[Any, Any, Any]) -> Callable[[], Awaitable[Any]]:
        """Carry out `flow` in a task or thread, and return what awaits its result."""
        if self.coloured:
            task = asyncio.create_task(flow)

            async def result() -> Any:
                return await task

            return result
        outcome: list[Any] = []
        thread = threading.Thread(target=lambda: outcome.append(blocking.run(flow)))
        thread.start()

        async def joined() -> Any:
            thread.join(LONGEST_S)
            return outcome[0]

        return joined

    async def settle(self) -> None:
        """Return when whatever can go on has gone on."""
        if self.coloured:
            for _ in range(30):
                await asyncio.sleep(0)
            return
        for thread in threading.enumerate():
            if thread.name == "accel-spawned" and thread is not threading.current_thread():
                thread.join(LONGEST_S)

    async def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        if self.coloured:
            await asyncio.sleep(seconds)
        else:
            self.clock.advance(seconds)

    def fates(self) -> list[tuple[str, str]]:
        """Return the events so far, shortened."""
        return [
            (type(event).__name__, str(getattr(event, "reason", ""))) for event in self.seen.events
        ]

    def alive(self) -> int:
        """Return how many guesses, tasks and timers there are."""
        found = sum(made.state().guesses_under_way for made in self.speculators)
        if self.coloured:
            loop: Any = asyncio.get_running_loop()
            found += len(asyncio.all_tasks()) - 1
            found += sum(not timer.cancelled() for timer in loop._scheduled)
        return found


def in_colour(colour: str, scenario: Callable[[Rig], Coroutine[Any, Any, None]]) -> None:
    """Carry out `scenario` in one colour."""
    if colour == "sync":
        blocking.run(scenario(Rig(coloured=False)))
    else:

        async def main() -> None:
            await scenario(Rig(coloured=True))

        virtual_time.run(main())
