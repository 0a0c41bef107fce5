"""What is known of each tool, by its name: calls under way, fates of guesses, whether it is off.

Invariants: real calls are counted and never held back; a guess is admitted only where the calls of
its tool under way, real ones included, leave room; a tool whose adopted result differed from the
real one is shared no more.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from typing import TYPE_CHECKING, Literal, NamedTuple

from accel_core import events
from accel_core.policy.acceptance import Acceptance
from accel_core.policy.audits import audit_probability
from accel_core.policy.quota import Quota

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from accel_core.policy.acceptance import AcceptanceTerms
    from accel_core.ports import Observer

_MOST_TOOLS = 1_000
"""Remembered; some applications name tools anew for every request."""
_LATELY, _KNOWN = 16, 8
_PATIENCE, _LEAST_PATIENCE_S = 4.0, 1.0
"""Generous: who stops waiting for a call that is only slow has waited in vain."""

Admission = Literal["begin", "later", "never"]


class Budget(NamedTuple):
    """How many guesses there may be.

    Attributes:
        at_once: under way, of all sessions.
        tool_at_once: calls of one tool under way, real ones included, beyond which none is begun.
        per_minute: begun.
        audit_share: share of adopted results that are compared with the real call's.
    """

    at_once: int
    tool_at_once: int
    per_minute: int
    audit_share: float


class ToolState(NamedTuple):
    """What is known of a tool.

    Attributes:
        begun: guesses begun.
        used: of them, those that answered a call.
        wasted: of them, those that never will.
        reused: calls answered, by guesses and by other calls.
        saved_s: how much sooner they were, together.
        threshold: confidence from which guesses are begun now; above 1: none are.
        off: why it is switched off: ``different``, ``uncopyable``, ``wasteful``, or ``""``.
    """

    begun: int
    used: int
    wasted: int
    reused: int
    saved_s: float
    threshold: float
    off: str


class _Record:
    __slots__ = (
        "acceptance", "checked", "counts", "guesses", "lately_s", "off", "real", "saved_s",
    )  # fmt: skip

    def __init__(self, terms: AcceptanceTerms) -> None:
        self.acceptance = Acceptance(terms)
        self.real = self.guesses = self.checked = 0
        self.counts: Counter[str] = Counter()
        self.saved_s = 0.0
        self.lately_s: deque[float] = deque(maxlen=_LATELY)
        self.off = ""


class ToolRecords:
    """The records of one speculator's tools. Safe to share between threads.

    Args:
        terms: what guesses must be worth.
        budget: how many there may be.
        emit: receives events.
        mono_now: monotonic clock, seconds.
        lock: makes locks, re-entrant.
    """

    def __init__(
        self,
        terms: AcceptanceTerms,
        budget: Budget,
        *,
        emit: Observer,
        mono_now: Callable[[], float],
        lock: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._terms, self._budget = terms, budget
        self._emit, self._mono_now, self._new_lock = emit, mono_now, lock
        self._lock = lock()
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self._guesses = 0
        self._minute = Quota(budget.per_minute, 60.0)

    def admit(self, tool: str, confidence: float, *, exact: bool) -> Admission:
        """Say whether a guess may be begun; where it may, it counts until `ended`.

        Args:
            tool: its tool's name.
            confidence: of the guess.
            exact: whether it is certain to be asked for, so that no budget but room holds it back.
        """
        now_s, budget = self._mono_now(), self._budget
        with self._lock:
            record = self._record(tool)
            if record.off or not (exact or record.acceptance.allows(confidence, now_s)):
                return "never"
            full = record.real + record.guesses >= budget.tool_at_once
            if full or self._guesses >= budget.at_once:
                return "later"
            if not exact and not self._minute.allows(b"", now_s):
                return "never"
            record.guesses += 1
            self._guesses += 1
        return "begin"

    def begun(self, tool: str) -> None:
        """Note that a guess that was admitted has begun."""
        with self._lock:
            self._record(tool).counts["begun"] += 1

    def ended(self, tool: str) -> None:
        """Note that a guess is under way no longer, or was not begun after all."""
        with self._lock:
            self._record(tool).guesses -= 1
            self._guesses -= 1

    def settled(self, tool: str, confidence: float, *, used: bool, exact: bool) -> None:
        """Note what became of a guess; a tool that wastes too many rests, with an event."""
        now_s = self._mono_now()
        with self._lock:
            record = self._record(tool)
            record.counts["used" if used else "wasted"] += 1
            rests = not exact and record.acceptance.noted(confidence, used=used, now_s=now_s)
        if rests:
            self._emit(events.SpeculationSuspended(tool, "wasteful"))

    def reused(self, tool: str, saved_s: float) -> None:
        """Note that a call was answered by another, so much sooner."""
        with self._lock:
            record = self._record(tool)
            record.counts["reused"] += 1
            record.saved_s += saved_s

    def real_begins(self, tool: str) -> None:
        """Note that a call which the agent asked for is executed."""
        with self._lock:
            self._record(tool).real += 1

    def real_ended(self, tool: str) -> None:
        """Note that it is no longer."""
        with self._lock:
            self._record(tool).real -= 1

    def took(self, tool: str, duration_s: float) -> None:
        """Note how long a call took that succeeded."""
        with self._lock:
            self._record(tool).lately_s.append(duration_s)

    def patience_s(self, tool: str) -> float:
        """Return how long a call should wait for another, rather than be executed itself.

        Four times as long as any took lately, so that one that hangs holds up nobody for long, and
        one that is slow is still waited for; infinity while too few are known.
        """
        with self._lock:
            lately_s = self._record(tool).lately_s
            if len(lately_s) < _KNOWN:
                return float("inf")
            return max(_PATIENCE * max(lately_s), _LEAST_PATIENCE_S)

    def audit_due(self, tool: str, chance: float) -> bool:
        """Whether the result about to be adopted should be compared; `chance` is in [0, 1)."""
        with self._lock:
            record = self._record(tool)
            due = chance < audit_probability(record.checked, self._budget.audit_share)
            record.checked += 1
            return due

    def switch_off(self, tool: str, reason: str) -> None:
        """Make no more guesses of a tool: ``different``, ``uncopyable``; an event tells, once."""
        with self._lock:
            record = self._record(tool)
            if record.off in {"different", reason}:
                return
            record.off = reason
        self._emit(events.SpeculationSuspended(tool, reason))

    def differs(self, tool: str) -> bool:
        """Whether a result of it was found to differ, so that its calls may change something."""
        record = self._records.get(tool)
        return record is not None and record.off == "different"

    def guesses_under_way(self) -> int:
        """Return how many guesses are under way, threads that nobody waits for included."""
        return self._guesses

    def states(self) -> dict[str, ToolState]:
        """Return what is known of each tool."""
        now_s = self._mono_now()
        with self._lock:
            return {name: _state(record, now_s) for name, record in self._records.items()}

    def after_fork(self) -> None:
        """Forget what is under way in the parent."""
        self._lock = self._new_lock()
        self._guesses = 0
        for record in self._records.values():
            record.real = record.guesses = 0

    def _record(self, tool: str) -> _Record:
        record = self._records.get(tool)
        if record is None:
            record = self._records[tool] = _Record(self._terms)
            if len(self._records) > _MOST_TOOLS:
                self._forget_one()
        self._records.move_to_end(tool)
        return record

    def _forget_one(self) -> None:
        """Forget the longest unused of those of which nothing is under way, and nothing is held."""
        for name, record in self._records.items():
            if not (record.real or record.guesses or record.off == "different"):
                del self._records[name]
                return


def _state(record: _Record, now_s: float) -> ToolState:
    counts = record.counts
    return ToolState(
        counts["begun"],
        counts["used"],
        counts["wasted"],
        counts["reused"],
        record.saved_s,
        record.acceptance.threshold(now_s),
        record.off or ("wasteful" if record.acceptance.resting(now_s) else ""),
    )
