"""The guesses of one session: those that wait for room, and those under way.

Invariants: no more of them are under way at once than the session may have; a guess is stopped when
its time is over, when the model asked for something else and the window has passed, or when the
session ends, unless a call waits for it; what a guess raises goes no further. A session's owner may
drop it unclosed: nothing here keeps it, and `abandon` may run in the midst of anything.
"""

from __future__ import annotations

from contextvars import Context, ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core import events
from accel_core.drive.flight import FAILED
from accel_core.drive.work import Unwanted, work_on
from accel_core.execution import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
    from contextlib import AbstractContextManager

    from accel_core.execution import CallKey, Execution
    from accel_core.executions import Executions
    from accel_core.guessers import Grievances
    from accel_core.ports import Observer, Signal
    from accel_core.speculating import SpeculationIo, Tool
    from accel_core.tool_records import ToolRecords

inside: ContextVar[Execution | None] = ContextVar("accel_inside", default=None)
"""The execution that the caller is part of, so that no two wait for each other."""


class GuessParts(NamedTuple):
    """What the guesses of all sessions share.

    Attributes:
        at_once: guesses of one session under way.
        window_s: how long one that was not asked for goes on.
        timeout_s: how long any may take.
    """

    executions: Executions
    records: ToolRecords
    grievances: Grievances
    emit: Observer
    lock: Callable[[], AbstractContextManager[object]]
    at_once: int
    window_s: float
    timeout_s: float


class Guessed(NamedTuple):
    """A call that may be made unasked.

    Attributes:
        context: it is carried out in a copy of this.
        exact: whether the model has asked for it already.
    """

    context: Context
    io: SpeculationIo
    tool: Tool
    key: CallKey
    arguments: Mapping[str, Any]
    predictor: str
    confidence: float
    exact: bool = False


class Guesses:
    """Those of one session. Safe to share between threads and tasks.

    Args:
        shared: with other sessions.
        session: what stands for the session in the table; kept as an attribute.
    """

    def __init__(self, shared: GuessParts, session: object) -> None:
        self._shared, self.session = shared, session
        self._lock = shared.lock()
        self._backlog: list[Guessed] = []
        self._running: dict[Execution, SpeculationIo] = {}
        self._drafts: dict[object, Callable[[], object]] = {}
        self._reserved = 0
        self._idle: list[Signal] = []
        self._closed = False

    def add(self, guesses: Iterable[Guessed]) -> None:
        """Begin `guesses` in their order, as soon as there is room for each."""
        with self._lock:
            if not self._closed:
                self._backlog.extend(guesses)
        self.proceed()

    def proceed(self) -> None:
        """Begin what there is room for."""
        while (guessed := self._next()) is not None:
            try:
                self._begin(guessed)
            finally:
                with self._lock:
                    self._reserved -= 1

    def begin(self, exact: Guessed) -> None:
        """Begin a call that the model has asked for, whatever else is under way."""
        name = exact.tool.name
        if not self._closed and self._shared.records.admit(name, 1.0, exact=True) == "begin":
            self._begin(exact)

    def draft(
        self, io: SpeculationIo, flow: Coroutine[Any, Any, None]
    ) -> Callable[[], object] | None:
        """Carry out `flow`, which adds guesses; return what stops it, None where it cannot be."""
        token = object()

        def ended() -> None:
            with self._lock:
                self._drafts.pop(token, None)
            self._tell_idle()

        self._drafts[token] = lambda: None
        try:
            stop = io.spawn(flow, ended)
        except RuntimeError as error:
            flow.close()
            ended()
            self._shared.grievances.raised("drafts", "begin", error)
            return None
        with self._lock:
            if token in self._drafts:
                self._drafts[token] = stop
        return stop

    def answered(self, wanted: Collection[CallKey]) -> None:
        """Forget what has not begun; what has, and is not `wanted`, goes on for the window."""
        with self._lock:
            self._backlog.clear()
            unasked = [each for each in self._running if each.key not in wanted]
        for execution in unasked:
            self._end_in(execution, self._shared.window_s, "unasked")

    def close(self) -> None:
        """Stop everything that nobody waits for."""
        with self._lock:
            self._closed = True
            self._backlog.clear()
            drafts = list(self._drafts.values())
        for stop in drafts:
            stop()
        self._shared.executions.close(self.session)

    def abandon(self) -> None:
        """As `close`, for a session that was garbage-collected: nothing is locked or emitted."""
        self._closed, self._backlog = True, []
        for execution in self._running.copy():
            execution.orphan = True
            if not execution.waiting:
                execution.stop()
        for stop in self._drafts.copy().values():
            stop()

    async def ended(self, io: SpeculationIo, timeout_s: float) -> None:
        """Return when nothing of this session is under way that nobody waits for."""
        signal = io.signal()
        with self._lock:
            self._idle.append(signal)
            if self._is_idle():
                return
        await signal.wait(timeout_s)

    def _next(self) -> Guessed | None:
        """Take the first of those that wait for which there is room now, and reserve it."""
        shared = self._shared
        with self._lock:
            waiting: list[Guessed] = []
            found = None
            for at, guessed in enumerate(self._backlog):
                if self._closed or len(self._running) + self._reserved >= shared.at_once:
                    waiting += self._backlog[at:]
                    break
                if shared.executions.find(guessed.key, self.session) is not None:
                    continue
                name, confidence = guessed.tool.name, guessed.confidence
                admission = shared.records.admit(name, confidence, exact=False)
                if admission == "begin":
                    found = guessed
                    waiting += self._backlog[at + 1 :]
                    self._reserved += 1
                    break
                if admission == "later":
                    waiting.append(guessed)
            self._backlog = waiting
            return found

    def _begin(self, guessed: Guessed) -> None:
        shared, name = self._shared, guessed.tool.name
        origin = Origin(self.session, guessed.predictor, guessed.confidence, guessed.exact)
        execution = shared.executions.begin(guessed.key, guessed.tool, origin)
        if execution is None:
            shared.records.ended(name)
            return
        with self._lock:
            self._running[execution] = guessed.io
        shared.records.begun(name)
        shared.emit(events.ToolCallBegun(name, guessed.predictor, guessed.confidence))
        flow = self._run(execution, guessed)
        try:
            execution.stop = guessed.context.copy().run(
                guessed.io.spawn, flow, lambda: self._ended(execution)
            )
        except RuntimeError as error:  # no thread is to be had, or no loop runs
            flow.close()
            shared.grievances.raised(guessed.predictor, "begin", error)
            self._over(execution)
            return
        execution.carried = guessed.io.carrier()
        self._end_in(execution, shared.timeout_s, "timeout")
        if execution.lost:
            execution.stop()
        if self._closed:  # perhaps before it stood in the table
            shared.executions.close(self.session)

    async def _run(self, execution: Execution, guessed: Guessed) -> None:
        shared, tool = self._shared, guessed.tool
        inside.set(execution)
        # Its own, for it may serve others than who asked the model.
        work_on(execution.work)
        try:
            result = await tool.run(guessed.arguments)
        except (Exception, SystemExit, Unwanted):  # the real call will meet it; `_ended` tells
            return
        shared.records.took(tool.name, shared.executions.mono_now() - execution.began_s)
        try:
            kept = tool.copied(result)
        except Exception:  # somebody's objects
            shared.records.switch_off(tool.name, "uncopyable")
            return
        shared.executions.end(execution, kept)

    def _ended(self, execution: Execution) -> None:
        self._over(execution)
        self.proceed()

    def _over(self, execution: Execution) -> None:
        self._shared.executions.end(execution, FAILED)
        with self._lock:
            self._running.pop(execution, None)
        self._shared.records.ended(execution.tool)
        self._tell_idle()

    def _end_in(self, execution: Execution, delay_s: float, reason: str) -> None:
        """Stop `execution` after `delay_s`, or when its time is over, if that is sooner."""
        now_s = self._shared.executions.mono_now()
        last_s = execution.began_s + self._shared.timeout_s
        due_s, reason = min((now_s + delay_s, reason), (last_s, "timeout"))
        io = self._running.get(execution)
        if io is None or execution.lost or due_s >= execution.due_s:
            return
        execution.due_s = due_s
        execution.withdraw_timer()
        try:
            timer = io.later(due_s - now_s, partial(self._time_up, execution, reason))
        except RuntimeError:  # another thread's loop: nobody can stop it here later, so now
            self._time_up(execution, reason)
            return
        execution.withdraw_timer = timer
        if execution.flight.landed:  # meanwhile, in another thread
            timer()

    def _time_up(self, execution: Execution, reason: str) -> None:
        last = reason == "timeout"
        if self._shared.executions.give_up(execution, reason, awaited=last):
            execution.due_s = float("inf")
            self._end_in(execution, self._shared.timeout_s, "timeout")

    def _is_idle(self) -> bool:
        return not self._drafts and all(each.waiting for each in self._running)

    def _tell_idle(self) -> None:
        with self._lock:
            told = self._idle if self._is_idle() else ()
        for signal in told:
            signal.set()
