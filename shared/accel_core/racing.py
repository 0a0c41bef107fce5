"""`race`: several ways to an answer side by side, of which the first acceptable one is returned.

The last path is the standard one: what the caller would have asked without a race. Invariants: an
answer that was not accepted is never returned, except the standard path's, which the caller would
have had; what the standard path raises reaches the caller, unless another path was accepted. Every
path runs in the caller's context, in a task or thread of its own, and has ended when the race
returns; only a thread cannot be cut off, and goes on to its next step (`drive.work`).
"""

from __future__ import annotations

import inspect
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from accel_core import events
from accel_core.drive import aio, blocking, work
from accel_core.drive.colour import is_async
from accel_core.errors import ConfigError, UnsupportedError
from accel_core.events.races import PathRun, PathsRaced
from accel_core.policy.race import Race

if TYPE_CHECKING:
    from accel_core.events.races import PathOutcome
    from accel_core.ports import Io, Observer

T = TypeVar("T")

Accept = Callable[[Any], "bool | Awaitable[bool]"]
"""Whether an answer is good enough to be returned at once."""

TIMEOUT_S = 30.0
_GRACE_S = 1.0
"""How long an answer waits for cancelled paths to end; they need to close a connection at most."""
_LONG_S = 3600.0
"""A wait that an end interrupts."""
_TICK_S = 0.001
"""The shortest wait, or rounding could end one before its moment again and again."""


class Path(NamedTuple):
    """One way to an answer.

    Attributes:
        name: as events have it.
        run: goes it, in its caller's colour.
    """

    name: str
    run: Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a race is run by.

    Attributes:
        accept: asked of every answer but the standard path's.
        timeout_s: when all but the standard path are stopped, in seconds since the race began.
        after_s: when each path starts, likewise.
    """

    accept: Accept
    timeout_s: float
    after_s: tuple[float, ...]


def terms(paths: int, accept: Accept, timeout_s: float, after_s: Sequence[float]) -> Terms:
    """Return the terms of a race of so many `paths`; no `after_s` starts all at once.

    Raises:
        ConfigError: fewer than two paths, or a time is out of range.
        TypeError: `accept` cannot be called.
    """
    if not callable(accept):
        raise TypeError(f"race(accept=) takes a function of the answer, got {accept!r}")
    if paths < 2:
        raise ConfigError("race.paths", paths, "must be two paths or more, the standard one last")
    if not 0 < timeout_s < math.inf:
        raise ConfigError("race.timeout_s", timeout_s, "must be a number of seconds above 0")
    times = (after_s,) if isinstance(after_s, int | float) else tuple(after_s) or (0.0,) * paths
    if len(times) != paths or not all(0 <= one < timeout_s for one in times):
        expected = f"must be {paths} numbers of seconds, one a path, from 0 to below {timeout_s:g}"
        raise ConfigError("race.after_s", after_s, expected)
    return Terms(accept, timeout_s, times)


def named(paths: Mapping[str, T] | Iterable[T], name_of: Callable[[T], str]) -> dict[str, T]:
    """Return `paths` by name, in order; those that come without are named by `name_of`.

    The second of a name is ``name 2``.

    Raises:
        UnsupportedError: `paths` is one thing; or a model, whose fields can be iterated over.
    """
    if hasattr(type(paths), "model_fields") or not isinstance(paths, Iterable):
        raise UnsupportedError(
            f"race(paths) takes a list or mapping of paths, such as [small, large]; got one "
            f"{type(paths).__name__}"
        )
    if isinstance(paths, Mapping):
        return dict(paths)
    found: dict[str, T] = {}
    for path in paths:
        name = first = name_of(path)
        times = 1
        while name in found:
            times += 1
            name = f"{first} {times}"
        found[name] = path
    return found


class Racing:
    """Runs races.

    Args:
        emit: receives what became of each.
        mono_now: monotonic clock, seconds.
    """

    def __init__(self, emit: Observer, mono_now: Callable[[], float]) -> None:
        self._emit, self._mono_now = emit, mono_now

    def run(self, paths: Sequence[Path], agreed: Terms) -> Any:
        """Return the first acceptable answer; every path in a thread of its own.

        Raises:
            UnsupportedError: `accept` is a coroutine function.
            BaseException: what the standard path raised.
        """
        accept = agreed.accept
        if is_async(accept):
            raise UnsupportedError(_COROUTINE)

        async def accepts(answer: Any) -> bool:
            verdict = accept(answer)
            if inspect.isawaitable(verdict):
                if isinstance(verdict, Coroutine):
                    verdict.close()
                raise UnsupportedError(_COROUTINE)
            return bool(verdict)

        return blocking.run(self._race(_BLOCKING, paths, agreed, accepts))

    async def arun(self, paths: Sequence[Path], agreed: Terms) -> Any:
        """Async form of `run`: every path in a task of its own, an `accept` that may block apart.

        Raises:
            BaseException: what the standard path raised.
        """
        accept = agreed.accept
        blocks = not is_async(accept)

        async def accepts(answer: Any) -> bool:
            verdict = await _AIO.call(accept, answer) if blocks else accept(answer)
            return bool(await verdict if inspect.isawaitable(verdict) else verdict)

        return await self._race(_AIO, paths, agreed, accepts)

    async def _race(
        self,
        io: Io,
        paths: Sequence[Path],
        agreed: Terms,
        accepts: Callable[[Any], Awaitable[bool]],
    ) -> Any:
        async def checked(answer: Any) -> bool:
            try:
                return await accepts(answer)
            except Exception as error:
                self._emit(events.BackendFailed("race", "accept", type(error).__name__))
                raise

        contest = _Contest(io, paths, agreed, checked, self._mono_now)
        try:
            return await contest.answer()
        finally:
            try:
                await contest.settle()
            finally:
                self._emit(contest.told())


_BLOCKING, _AIO = blocking.BlockingIo(), aio.AsyncIo()

_COROUTINE = (
    "race(accept=) gives a coroutine, and this is a sync call: use the async one (ainvoke(), "
    "arun()), or a function that returns a bool"
)


class _Runner:
    """One path of one race, and what became of it."""

    __slots__ = ("answer", "began_s", "ended_s", "error", "outcome", "path", "stop", "work")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.work = work.Work(part_of=work.current())
        self.stop: Callable[[], bool] = lambda: False
        self.outcome: PathOutcome = "failed"
        self.answer: Any = None
        self.error: BaseException | None = None
        self.began_s: float | None = None
        self.ended_s: float | None = None

    def told(self, outcome: PathOutcome | None, now_s: float) -> PathRun:
        """Return what is told of it, `outcome` being what the race made of it."""
        if self.began_s is None or outcome is None:
            return PathRun(self.path.name, "unstarted")
        running = self.ended_s is None
        took_s = (now_s if self.ended_s is None else self.ended_s) - self.began_s
        error = type(self.error).__name__ if outcome == "failed" else ""
        return PathRun(self.path.name, outcome, self.began_s, took_s, error, running)


class _Contest:
    """One race: its policy, carried out by the flow that waits for the answer."""

    def __init__(
        self,
        io: Io,
        paths: Sequence[Path],
        agreed: Terms,
        accepts: Callable[[Any], Awaitable[bool]],
        mono_now: Callable[[], float],
    ) -> None:
        self._io, self._accepts, self._mono_now = io, accepts, mono_now
        self._race = Race(agreed.after_s, agreed.timeout_s)
        self._runners = [_Runner(path) for path in paths]
        self._ended: deque[int] = deque()
        self._stopping: list[_Runner] = []
        self._signal = io.signal()
        self._began_s = mono_now()

    async def answer(self) -> Any:
        """Return the first acceptable answer, or raise what the standard path raised."""
        while True:
            step = self._race.step(self._now_s())
            self._stop(step.stop)
            for place in step.start:
                await self._start(place)
            if self._race.over:
                break
            wait_s = _LONG_S if step.next_s is None else step.next_s - self._now_s()
            await self._signal.wait(max(_TICK_S, wait_s))
            self._take_note()
        if self._race.winner is None:
            raise self._runners[-1].error or RuntimeError("the standard path was never carried out")
        return self._runners[self._race.winner].answer

    async def settle(self) -> None:
        """Stop what still runs; return when what can be stopped has ended, or soon after."""
        self._stop(self._race.finish())
        until_s = self._now_s() + _GRACE_S
        while any(one.ended_s is None for one in self._stopping) and self._now_s() < until_s:
            await self._signal.wait(until_s - self._now_s())

    def told(self) -> PathsRaced:
        """Return what became of the race, and let go of what its paths returned and raised."""
        now_s, winner = self._now_s(), self._race.winner
        outcomes = zip(self._runners, self._race.outcomes, strict=True)
        runs = tuple(runner.told(outcome, now_s) for runner, outcome in outcomes)
        for runner in self._runners:
            runner.answer = runner.error = None
        return PathsRaced("" if winner is None else runs[winner].name, now_s, runs)

    async def _start(self, place: int) -> None:
        runner = self._runners[place]
        runner.began_s = self._now_s()
        flow = self._carry(place, runner)
        try:
            runner.stop = self._io.spawn(flow, lambda: self._has_ended(place))
        except RuntimeError as error:  # no thread is to be had
            flow.close()
            if place == self._race.standard:
                await self._carry(place, runner)
            else:
                runner.error = error
            self._has_ended(place)

    async def _carry(self, place: int, runner: _Runner) -> None:
        """Go one path; whoever waits for the answer learns how that ended."""
        try:
            work.work_on(runner.work)
            work.check()
            answer = await runner.path.run()
            work.check()
            if place == self._race.standard or await self._accepts(answer):
                runner.answer, runner.outcome = answer, "won"
            else:
                runner.outcome = "refused"
        except BaseException as error:
            runner.error = error

    def _has_ended(self, place: int) -> None:
        self._runners[place].ended_s = self._now_s()
        self._ended.append(place)
        self._signal.set()

    def _take_note(self) -> None:
        while self._ended:
            place = self._ended.popleft()
            runner = self._runners[place]
            if isinstance(runner.error, (KeyboardInterrupt, SystemExit)):
                raise runner.error
            self._race.ended(place, runner.outcome)

    def _stop(self, places: Iterable[int]) -> None:
        for place in places:
            runner = self._runners[place]
            runner.work.end()
            if runner.stop():
                self._stopping.append(runner)

    def _now_s(self) -> float:
        return self._mono_now() - self._began_s
