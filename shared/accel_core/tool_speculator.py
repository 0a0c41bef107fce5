"""Tool calls done before they are asked for; the run is as it would be without, and waits less.

A `Session` is one run of an agent. Before a model is asked, predictors guess what it will ask for,
and likely calls of tools that change nothing are begun; a real call takes the result of the very
same call, done or under way, or is executed as ever.

Invariants: only tools that are free of side effects are called unasked; what a real call is given
was begun after the last call that may have changed something, and is its own copy; errors of
guesses are seen by nobody; a real call waits for nothing but the same call under way, and for that
no longer than any call may take; nobody who executes a call waits for another in a circle; a
session that ended leaves nothing under way that can be stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from accel_core import events
from accel_core.executions import Executions, Lifetimes, Room
from accel_core.guessers import Guessers
from accel_core.guesses import GuessParts
from accel_core.policy.speculation import SpeculationSettings
from accel_core.steps import unrecorded
from accel_core.tool_calls import ToolCalls
from accel_core.tool_records import Budget, ToolRecords
from accel_core.tool_session import Session, SessionParts, Thinking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

    from accel_core.execution import Execution
    from accel_core.ports import Observer
    from accel_core.speculating import Drafter, Predictor, SpeculationIo
    from accel_core.steps import Begin
    from accel_core.tenancy import Tenant
    from accel_core.tool_records import ToolState

__all__ = ["Session", "SpeculationSettings", "SpeculatorState", "Thinking", "ToolSpeculator"]


class SpeculatorState(NamedTuple):
    """A snapshot.

    Attributes:
        guesses_under_way: also threads that nobody waits for any more, which go on to their end.
        kept: results, and calls under way.
        tools: what is known of each tool, by its name.
    """

    guesses_under_way: int
    kept: int
    tools: Mapping[str, ToolState]


class ToolSpeculator:
    """Speculation over one set of tools. Safe to share between threads, tasks, loops and runs.

    Args:
        predictors: who guesses, at once.
        drafters: who guesses by asking somebody, beside the model.
        settings: how far.
        colours: the blocking and the asyncio `SpeculationIo`.
        whose: returns who is asking; where it raises `TenantRequiredError`, nothing is shared.
        emit: receives events.
        mono_now: monotonic clock, seconds.
        lock: makes locks, re-entrant.
        chance: dice, uniform in [0, 1), that say which results are audited; none are without.
        begin: begins to record a real call.
    """

    def __init__(
        self,
        predictors: Iterable[Predictor] = (),
        *,
        drafters: Iterable[Drafter] = (),
        settings: SpeculationSettings,
        colours: tuple[SpeculationIo, SpeculationIo],
        whose: Callable[[], Tenant | None],
        emit: Observer,
        mono_now: Callable[[], float],
        lock: Callable[[], AbstractContextManager[object]],
        chance: Callable[[], float] = lambda: 1.0,
        begin: Begin = unrecorded,
    ) -> None:
        self.settings = settings
        guessers = Guessers(predictors, drafters, emit=emit, mono_now=mono_now)
        self._emit = emit
        self._records = ToolRecords(
            settings.acceptance(),
            Budget(
                settings.at_once_in_all,
                settings.tool_at_once,
                settings.per_minute,
                settings.audit_share,
            ),
            emit=emit,
            mono_now=mono_now,
            lock=lock,
        )
        self._executions = Executions(
            Lifetimes(settings.ttl_s, settings.reuse_s, settings.static_ttl_s, settings.timeout_s),
            Room(settings.kept, settings.kept_bytes),
            lost=self._lost,
            mono_now=mono_now,
            lock=lock,
        )
        self._shared = SessionParts(
            GuessParts(
                self._executions,
                self._records,
                guessers.grievances,
                emit,
                lock,
                settings.at_once,
                settings.window_s,
                settings.timeout_s,
            ),
            guessers,
            ToolCalls(self._executions, self._records, whose=whose, grievances=guessers.grievances),
            colours,
            settings.threshold,
            chance,
            begin,
        )

    def session(self) -> Session:
        """Return a session: one for every run of an agent. Close it at the end."""
        return Session(self._shared)

    def changing(self) -> AbstractContextManager[None]:
        """Note a change that is made past its sessions: it begins now, and ends at the end."""
        return self._shared.calls.changing()

    def state(self) -> SpeculatorState:
        """Return what is under way, and what is known of each tool."""
        return SpeculatorState(
            self._records.guesses_under_way(), len(self._executions), self._records.states()
        )

    def forget_texts(self) -> None:
        """Keep no result any longer."""
        self._executions.clear()

    def after_fork(self) -> None:
        """Start anew in a child process."""
        self._shared.calls.after_fork()
        self._executions.after_fork()
        self._records.after_fork()

    def _lost(self, execution: Execution, reason: str) -> None:
        origin, tool = execution.origin, execution.tool
        self._emit(events.ToolCallWasted(tool, origin.predictor, reason))
        self._records.settled(tool, origin.confidence, used=False, exact=origin.exact)
