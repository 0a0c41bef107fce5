"""Tool calls done before they are asked for; the run is as it would be without, and waits less.

A `Session` is one run of an agent. Before a model is asked, predictors guess what it will ask for,
and likely calls of tools that change nothing are begun; a real call takes the result of the very
same call, done or under way, or is executed as ever.

Invariants: only tools that are free of side effects are called unasked; what a real call is given
was begun after the last call that may have changed something; errors of guesses are seen by nobody;
nobody who executes a call waits for another in a circle; a session that ended leaves nothing under
way that can be stopped.
"""

from __future__ import annotations

import contextvars
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from accel_core import events
from accel_core.drive import blocking
from accel_core.drive.flight import DECLINED, FAILED
from accel_core.executions import CallKey, Execution, Executions
from accel_core.policy.canonical import Unidentifiable, canonical_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from accel_core.policy.trajectory import Guess, ToolCall, Trajectory
    from accel_core.ports import Io, Observer
    from accel_core.speculating import Predictor, Tool

T = TypeVar("T")

_MOST_GUESSES = 64
"""Looked at of one predictor's, most confident first; the rest is noise."""
_STREAM = "stream"

_executing: contextvars.ContextVar[bool] = contextvars.ContextVar("accel_executing", default=False)
"""Set inside a tool: what it calls joins nothing that is under way, so no two wait in a circle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeculationSettings:
    """How far speculation goes.

    Attributes:
        threshold: confidence from which a guess is begun, in [0, 1].
        at_once: guesses of one session under way, at least 1.
        window_s: how long an unfinished guess that was not asked for goes on after the model has
            answered.
        timeout_s: how long a guess may take.
        ttl_s: how long a result is used by its own session.
        reuse_s: how long by another.
        static_ttl_s: how long that of a static tool.
        kept: results kept.
    """

    threshold: float = 0.7
    at_once: int = 3
    window_s: float = 0.5
    timeout_s: float = 30.0
    ttl_s: float = 30.0
    reuse_s: float = 2.0
    static_ttl_s: float = 600.0
    kept: int = 1_000


class ToolSpeculator:
    """Speculation over one set of tools. Safe to share between threads, tasks, loops and runs.

    Args:
        predictors: who guesses.
        settings: how far.
        colours: the blocking and the asyncio `Io`.
        whose: returns who is asking.
        emit: receives events.
        mono_now: monotonic clock, seconds.
        lock: makes locks.
    """

    def __init__(
        self,
        predictors: Iterable[Predictor],
        *,
        settings: SpeculationSettings,
        colours: tuple[Io, Io],
        whose: Callable[[], Hashable],
        emit: Observer,
        mono_now: Callable[[], float],
        lock: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self.predictors = tuple(predictors)
        self.settings, self.colours = settings, colours
        self.whose, self.emit, self.mono_now = whose, emit, mono_now
        self.executions = Executions(
            ttl_s=settings.ttl_s,
            reuse_s=settings.reuse_s,
            static_ttl_s=settings.static_ttl_s,
            most=settings.kept,
            mono_now=mono_now,
            lock=lock,
        )

    def session(self) -> Session:
        """Return a session: one for every run of an agent. Close it at the end."""
        return Session(self)

    def key(self, tool: Tool, arguments: Mapping[str, Any]) -> CallKey | None:
        """Return which call it is; None: its arguments are wrong, or cannot be told from others."""
        try:
            validated = tool.validated(arguments)
            if validated is None:
                return None
            return CallKey(self.whose(), tool.identity, canonical_json(validated))
        except Unidentifiable:
            return None


class Session:
    """One run of an agent."""

    def __init__(self, speculator: ToolSpeculator) -> None:
        self._speculator = speculator
        self._blocking, self._aio = speculator.colours
        self._executions = speculator.executions
        self._free: frozenset[str] = frozenset()
        self._closed = False

    def think(self, trajectory: Trajectory, tools: Mapping[str, Tool]) -> Thinking:
        """Begin what the model, asked now, will probably ask for; in threads. Does not wait.

        Args:
            trajectory: what is known.
            tools: those of the agent by their names, in the blocking colour.
        """
        return self._think(self._blocking, trajectory, tools)

    def athink(self, trajectory: Trajectory, tools: Mapping[str, Tool]) -> Thinking:
        """As `think`, in tasks of the running loop."""
        return self._think(self._aio, trajectory, tools)

    def call(
        self, tool: Tool, arguments: Mapping[str, Any], execute: Callable[[], Awaitable[T]]
    ) -> T:
        """Return what the call that the agent asked for returns.

        Args:
            tool: which one.
            arguments: as the agent gave them.
            execute: the call itself; awaiting it must not suspend.
        """
        return blocking.run(self._call(self._blocking, tool, arguments, execute))

    async def acall(
        self, tool: Tool, arguments: Mapping[str, Any], execute: Callable[[], Awaitable[T]]
    ) -> T:
        """Async form of `call`."""
        return await self._call(self._aio, tool, arguments, execute)

    def holds(self, tool: Tool, arguments: Mapping[str, Any]) -> bool:
        """Whether `call` would find it done, or under way."""
        key = self._speculator.key(tool, arguments)
        return key is not None and self._executions.find(key, self) is not None

    def close(self, trajectory: Trajectory = ()) -> None:
        """End the run: stop what nobody wants, and let predictors learn from `trajectory`."""
        if self._closed:
            return
        self._closed = True
        for execution in self._executions.left_by(self):
            execution.stop()
        for predictor in self._speculator.predictors:
            if trajectory:
                try:
                    predictor.learn(trajectory, self._free)
                except Exception as error:  # somebody's code: the run is over, and was right
                    self._failed(predictor.name, "learn", error)

    def _think(self, io: Io, trajectory: Trajectory, tools: Mapping[str, Tool]) -> Thinking:
        self._free = frozenset(name for name, tool in tools.items() if tool.free)
        thinking = Thinking(self._speculator, self, io, tools)
        thinking.begin(self._guesses(trajectory))
        return thinking

    def _guesses(self, trajectory: Trajectory) -> list[Guess]:
        found: list[Guess] = []
        for predictor in self._speculator.predictors:
            try:
                found.extend(islice(predictor.predict(trajectory, self._free), _MOST_GUESSES))
            except Exception as error:  # somebody's code: the run goes on without its guesses
                self._failed(predictor.name, "predict", error)
        return sorted(found, key=lambda guess: -guess.confidence)

    async def _call(
        self,
        io: Io,
        tool: Tool,
        arguments: Mapping[str, Any],
        execute: Callable[[], Awaitable[T]],
    ) -> T:
        if not tool.free:
            return await self._changing(execute)
        key = self._speculator.key(tool, arguments)
        if key is None:
            return await execute()
        execution = self._executions.claim(key, self)
        if execution is not None and self._may_join(io, execution):
            asked_s = self._speculator.mono_now()
            outcome = await io.join(execution.flight, self._speculator.settings.timeout_s)
            if (
                outcome is not FAILED
                and outcome is not DECLINED
                and self._executions.holds(execution)
            ):
                self._used(execution, asked_s)
                copied: T = tool.copied(outcome)
                return copied
        return await self._executed(key, tool, execute)

    async def _changing(self, execute: Callable[[], Awaitable[T]]) -> T:
        tenant = self._speculator.whose()
        self._stop(self._executions.new_epoch(tenant))
        try:
            return await execute()
        finally:
            self._stop(self._executions.new_epoch(tenant))

    async def _executed(self, key: CallKey, tool: Tool, execute: Callable[[], Awaitable[T]]) -> T:
        execution = self._executions.begin(key, tool, self)
        if execution is None:
            return await execute()
        outcome: Any = FAILED
        token = _executing.set(True)
        try:
            result = await execute()
            outcome = tool.copied(result)
            return result
        finally:
            _executing.reset(token)
            self._executions.end(execution, outcome)

    def _may_join(self, io: Io, execution: Execution) -> bool:
        return execution.ended_s is not None or (io.may_wait() and not _executing.get())

    def _stop(self, executions: Sequence[Execution]) -> None:
        for execution in executions:
            execution.stop()

    def _used(self, execution: Execution, asked_s: float) -> None:
        ended_s = execution.ended_s or self._speculator.mono_now()
        saved_s = max(0.0, min(asked_s, ended_s) - execution.began_s)
        self._speculator.emit(events.ToolCallReused(execution.tool, execution.predictor, saved_s))

    def _failed(self, predictor: str, operation: str, error: Exception) -> None:
        self._speculator.emit(
            events.BackendFailed(predictor, operation, f"{type(error).__name__}: {error}")
        )


class Thinking:
    """A model at work, and what was begun meanwhile."""

    def __init__(
        self, speculator: ToolSpeculator, session: Session, io: Io, tools: Mapping[str, Tool]
    ) -> None:
        self._speculator, self._session = speculator, session
        self._io, self._tools = io, tools
        self._backlog: list[Guess] = []
        self._running: set[Execution] = set()

    def begin(self, guesses: Iterable[Guess]) -> None:
        """Begin those of `guesses` that are likely enough, as many at once as may be."""
        threshold = self._speculator.settings.threshold
        self._backlog.extend(guess for guess in guesses if guess.confidence >= threshold)
        self._next()

    def sealed(self, call: ToolCall) -> None:
        """Begin `call`, which the model has written to its end and will ask for."""
        self._start(call, _STREAM)

    def answered(self, calls: Sequence[ToolCall]) -> None:
        """End the thinking: the model has asked for `calls`, or for none."""
        self._backlog.clear()
        wanted = {self._key(call) for call in calls}
        for execution in tuple(self._running):
            if execution.key not in wanted and not execution.claimed:
                execution.stop()

    def _next(self) -> None:
        while self._backlog and len(self._running) < self._speculator.settings.at_once:
            guess = self._backlog.pop(0)
            self._start(guess.call, guess.predictor)

    def _start(self, call: ToolCall, predictor: str) -> None:
        tool = self._tools.get(call.tool)
        key = self._key(call)
        if tool is None or key is None:
            return
        execution = self._speculator.executions.begin(key, tool, self._session, predictor)
        if execution is None:
            return
        self._running.add(execution)
        flow = self._run(execution, tool, call.arguments)
        try:
            execution.stop = self._io.spawn(flow, lambda: self._ended(execution))
        except RuntimeError:  # no thread is to be had
            flow.close()
            self._ended(execution)

    async def _run(self, execution: Execution, tool: Tool, arguments: Mapping[str, Any]) -> None:
        _executing.set(True)
        validated = tool.validated(arguments)
        if validated is None:
            return
        try:
            outcome = await tool.run(validated)
        except Exception:  # the real call will meet it
            return
        self._speculator.executions.end(execution, outcome)

    def _ended(self, execution: Execution) -> None:
        self._speculator.executions.end(execution, FAILED)
        self._running.discard(execution)
        self._next()

    def _key(self, call: ToolCall) -> CallKey | None:
        tool = self._tools.get(call.tool)
        if tool is None or not tool.free:
            return None
        return self._speculator.key(tool, call.arguments)
