"""One run of an agent: what is begun while its models think, and what its real calls are given.

Invariants: a real call waits for nothing but the same call under way, and for that no longer than
any call may take; what it is given was begun after the last call that may have changed something,
and is its own copy; whatever goes wrong with a shared one, it is executed as ever.
"""

from __future__ import annotations

import weakref
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from accel_core import events
from accel_core.drive import blocking
from accel_core.drive.flight import DECLINED, FAILED
from accel_core.execution import CallKey, Execution, Origin
from accel_core.guesses import Guessed, Guesses, GuessParts, inside
from accel_core.policy.audits import same_result
from accel_core.recording import missed, reused, timed
from accel_core.speculating import Compared

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from accel_core.guessers import Asked, Guessers
    from accel_core.policy.trajectory import Guess, ToolCall, Trajectory
    from accel_core.speculating import SpeculationIo, Tool
    from accel_core.steps import Begin
    from accel_core.tool_calls import ToolCalls

T = TypeVar("T")

_STREAM = "stream"
"""What calls that the model has written to their end are counted under."""
_GRACE_S = 1.0
"""How long `Session.aclose` waits for what it has cancelled."""
_MISSING: Any = object()


class SessionParts(NamedTuple):
    """What the sessions of one speculator share.

    Attributes:
        threshold: confidence below which no guess is looked at.
        chance: dice, uniform in [0, 1).
        begin: begins to record a real call.
    """

    guesses: GuessParts
    guessers: Guessers
    calls: ToolCalls
    colours: tuple[SpeculationIo, SpeculationIo]
    threshold: float
    chance: Callable[[], float]
    begin: Begin


class Session:
    """One run of an agent."""

    def __init__(self, shared: SessionParts) -> None:
        self._shared, self._calls = shared, shared.calls
        self._blocking, self._aio = shared.colours
        self._executions, self._records = shared.guesses.executions, shared.guesses.records
        # What stands for the session in the table, so that a result does not keep it alive.
        self._own = object()
        self._guesses = Guesses(shared.guesses, self._own)
        self._free: frozenset[str] = frozenset()
        # What was given in this turn, and in the one before.
        self._given: set[CallKey] = set()
        self._given_before: set[CallKey] = set()
        self._thinking: Thinking | None = None
        self._closed = False
        self._finalizer = weakref.finalize(self, self._guesses.abandon)
        self._finalizer.atexit = False

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
        if not self._calls.free(tool):
            return False
        named = self._calls.named(tool, arguments, self._own)
        if named is None:
            return False
        again = named.key in self._given_before
        return self._executions.find(named.key, self._own, again=again) is not None

    def close(self, trajectory: Trajectory = ()) -> None:
        """End the run: stop what nobody wants, and let predictors learn from `trajectory`."""
        if self._closed:
            return
        self._closed = True
        self._finalizer.detach()
        if self._thinking is not None:
            self._thinking.end()
        self._guesses.close()
        if trajectory:
            self.learn(trajectory)

    def learn(self, trajectory: Trajectory) -> None:
        """Let predictors learn from the run, which has ended; it takes them some ten ms."""
        # An ending may be told of where the run's context is not: its tenant is who taught this.
        context = copy_context() if self._thinking is None else self._thinking.context.copy()
        context.run(self._shared.guessers.learn, trajectory, self._free)

    async def aclose(self, trajectory: Trajectory = ()) -> None:
        """As `close`; what was cancelled has ended then, or had a second to."""
        self.close(trajectory)
        await self._guesses.ended(self._aio, _GRACE_S)

    def _think(
        self, io: SpeculationIo, trajectory: Trajectory, tools: Mapping[str, Tool]
    ) -> Thinking:
        if self._thinking is not None:
            self._thinking.end()
        self._given_before, self._given = self._given, set()
        # Nor does anybody want any longer what was asked for and never claimed.
        self._guesses.answered(())
        free = frozenset(name for name, tool in tools.items() if self._calls.free(tool))
        # For what is learned at the end, a tool that was found out was never free.
        self._free = frozenset(
            name for name in self._free | free if not self._records.differs(name)
        )
        thinking = Thinking(self._shared, self._guesses, io, tools)
        if not self._closed:
            self._thinking = thinking
            thinking.begin(trajectory, free)
        return thinking

    async def _call(
        self,
        io: SpeculationIo,
        tool: Tool,
        arguments: Mapping[str, Any],
        execute: Callable[[], Awaitable[T]],
    ) -> T:
        with self._shared.begin("execute_tool", name=tool.name) as step:
            return await self._given_to(io, tool, arguments, step.asking(execute))

    async def _given_to(
        self,
        io: SpeculationIo,
        tool: Tool,
        arguments: Mapping[str, Any],
        execute: Callable[[], Awaitable[T]],
    ) -> T:
        """Give a real call what it may adopt, or execute it."""
        if not self._calls.free(tool):
            missed("changing")
            return await self._changing(execute)
        named = self._calls.named(tool, arguments, self._own)
        if named is None:
            missed("unnamed")
            return await self._alone(tool, execute)
        missed("no_entry")
        key, within = named.key, inside.get()
        self._given.add(key)
        again = key in self._given_before
        execution = self._executions.claim(
            key, self._own, within, may_wait=io.may_wait(), again=again
        )
        if execution is not None:
            try:
                result = await self._adopted(io, tool, execution, execute)
            finally:
                self._executions.left(execution, within)
            if result is not _MISSING:
                found: T = result
                return found
        return await self._executed(io, key, tool, execute)

    async def _adopted(
        self,
        io: SpeculationIo,
        tool: Tool,
        execution: Execution,
        execute: Callable[[], Awaitable[Any]],
    ) -> Any:
        """Return a copy of what `execution` returns; `_MISSING` where that cannot be had."""
        asked_s = self._executions.mono_now()
        outcome = await self._outcome(io, execution, asked_s)
        if outcome is FAILED or outcome is DECLINED:
            return _MISSING
        try:
            copied = tool.copied(outcome)
        except Exception:  # somebody's objects
            self._records.switch_off(tool.name, "uncopyable")
            return _MISSING
        holds, first = self._executions.adopt(execution)
        if not holds:
            return _MISSING
        origin = execution.origin
        if first:
            self._records.settled(tool.name, origin.confidence, used=True, exact=origin.exact)
        if self._records.audit_due(tool.name, self._shared.chance()):
            return await self._audited(tool, execution, copied, execute)
        ended_s = asked_s if execution.ended_s is None else execution.ended_s
        saved_s = max(0.0, min(asked_s, ended_s) - execution.began_s)
        self._records.reused(tool.name, saved_s)
        self._shared.guesses.emit(events.ToolCallReused(tool.name, origin.predictor, saved_s))
        reason, took_s = "guessed" if origin.predictor else "earlier", ended_s - execution.began_s
        reused(reason, took_s, shared=ended_s > asked_s)
        return copied

    async def _outcome(self, io: SpeculationIo, execution: Execution, now_s: float) -> Any:
        if execution.ended_s is not None:
            return execution.outcome
        left_s = execution.began_s + self._shared.guesses.timeout_s - now_s
        patience_s = min(left_s, self._records.patience_s(execution.tool))
        try:
            with timed("shared_s"):
                return await io.join(execution.flight, max(0.0, patience_s))
        except RuntimeError as error:  # no loop of asyncio runs here
            self._shared.guesses.grievances.raised(execution.tool, "join", error)
            return DECLINED

    async def _audited(
        self,
        tool: Tool,
        execution: Execution,
        adopted: Any,
        execute: Callable[[], Awaitable[Any]],
    ) -> Any:
        """Make the call, as without speculation, and compare what would have been adopted."""
        missed("audited")
        shared = self._shared.guesses
        result = await self._alone(tool, execute)
        # Something changed meanwhile, or is about to have: in the midst of it both are right.
        # In this order, for a change of another thread may end between the two looks.
        if self._calls.change_under_way() or not self._executions.holds(execution):
            return result
        try:
            compare = tool.same if isinstance(tool, Compared) else same_result
            same = compare(adopted, result)
        except Exception as error:  # somebody's code
            shared.grievances.raised(tool.name, "tool", error)
            return result
        if same is not None:
            predictor = execution.origin.predictor
            shared.emit(events.ToolCallAudited(tool.name, predictor, same))
        if same is False:
            self._records.switch_off(tool.name, "different")
            self._calls.changes()
        return result

    async def _changing(self, execute: Callable[[], Awaitable[T]]) -> T:
        with self._calls.changing():
            return await execute()

    async def _executed(
        self, io: SpeculationIo, key: CallKey, tool: Tool, execute: Callable[[], Awaitable[T]]
    ) -> T:
        again = key in self._given_before
        execution = self._executions.begin(
            key, tool, Origin(self._own, inside=inside.get(), again=again)
        )
        if execution is None:
            return await self._alone(tool, execute)
        execution.carried = io.carrier()
        outcome: Any = FAILED
        token = inside.set(execution)
        try:
            result = await self._alone(tool, execute)
            outcome = self._kept(tool, result)
            return result
        finally:
            inside.reset(token)
            self._executions.end(execution, outcome)

    def _kept(self, tool: Tool, result: Any) -> Any:
        try:
            return tool.copied(result)
        except Exception:  # somebody's objects
            self._records.switch_off(tool.name, "uncopyable")
            return FAILED

    async def _alone(self, tool: Tool, execute: Callable[[], Awaitable[T]]) -> T:
        """Execute a call; guesses of the same tool that wait for room leave it some."""
        began_s = self._executions.mono_now()
        self._records.real_begins(tool.name)
        try:
            result = await execute()
            self._records.took(tool.name, self._executions.mono_now() - began_s)
            return result
        finally:
            self._records.real_ended(tool.name)
            self._guesses.proceed()


class Thinking:
    """A model at work, and what was begun meanwhile."""

    def __init__(
        self,
        shared: SessionParts,
        guesses: Guesses,
        io: SpeculationIo,
        tools: Mapping[str, Tool],
    ) -> None:
        self._shared, self._guesses = shared, guesses
        self._io, self._tools = io, tools
        self.context = copy_context()
        self._drafts: list[Callable[[], object]] = []
        self._still_drafting: set[Asked] = set()
        self._done = False

    def begin(self, trajectory: Trajectory, free: frozenset[str]) -> None:
        """Ask who guesses, and begin what is likely enough, as many at once as may be."""
        guessers = self._shared.guessers
        self._add(guessers.predict(trajectory, free))
        for asked in guessers.drafters:
            if asked.allowed():
                self._still_drafting.add(asked)
                stop = self._guesses.draft(self._io, self._draft(asked, trajectory, free))
                if stop is None:
                    self._still_drafting.discard(asked)
                else:
                    self._drafts.append(stop)

    def sealed(self, call: ToolCall) -> None:
        """Begin `call`, which the model has written to its end and will ask for."""
        guessed = self._guessed(call, _STREAM, 1.0)
        if guessed is not None and not self._done:
            self._guesses.begin(guessed._replace(exact=True))

    def answered(self, calls: Sequence[ToolCall]) -> None:
        """End the thinking: the model has asked for `calls`, or for none."""
        if self._done:
            return
        self.end()
        wanted = {guessed.key for call in calls if (guessed := self._guessed(call, "", 1.0))}
        self._guesses.answered(wanted)

    def end(self) -> None:
        """Leave who still guesses: the model has answered, or nobody waits for it any more."""
        self._done = True
        for leave in self._drafts:
            leave()
        for asked in tuple(self._still_drafting):
            asked.late()
        self._drafts.clear()
        self._still_drafting.clear()

    async def _draft(self, asked: Asked, trajectory: Trajectory, free: frozenset[str]) -> None:
        found = await self._shared.guessers.draft(asked, trajectory, free)
        self._still_drafting.discard(asked)
        if not self._done:
            self._add(found)

    def _add(self, guesses: Iterable[Guess]) -> None:
        threshold = self._shared.threshold
        found = (
            self._guessed(guess.call, guess.predictor, guess.confidence)
            for guess in guesses
            if guess.confidence >= threshold
        )
        unlike = {guessed.key: guessed for guessed in reversed([g for g in found if g is not None])}
        self._guesses.add(reversed(unlike.values()))

    def _guessed(self, call: ToolCall, predictor: str, confidence: float) -> Guessed | None:
        tool, calls = self._tools.get(call.tool), self._shared.calls
        if tool is None or not calls.free(tool):
            return None
        named = calls.named(tool, call.arguments, self._guesses.session)
        if named is None:
            return None
        return Guessed(self.context, self._io, tool, *named, predictor, confidence)
