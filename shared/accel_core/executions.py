"""Tool calls under way and lately done, and which of them still tell what is.

Invariants: an execution is found only by the same tool, the same validated arguments and the same
tenant, and only while no call that may change something has begun or ended since it began: each
such call starts a new *epoch* of its tenant. Tools declared static are found across epochs. What
failed is found by nobody.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.drive.flight import FAILED, Flight

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from contextlib import AbstractContextManager

    from accel_core.speculating import Tool


class CallKey(NamedTuple):
    """Which call it is."""

    tenant: Hashable
    tool: Hashable
    arguments: str


class Execution:
    """One execution of a call, whoever wanted it.

    Attributes:
        session: who began it.
        predictor: who guessed it; ``""`` where the agent asked for it.
        claimed: how many calls it has answered, or will.
        ended_s: when it ended; None: it is under way.
    """

    __slots__ = (
        "began_s", "claimed", "ended_s", "epoch", "flight", "key", "predictor", "session", "static",
        "stop", "tool",
    )  # fmt: skip

    def __init__(  # noqa: PLR0917 - made in one place
        self, key: CallKey, tool: Tool, session: object, predictor: str, epoch: int, began_s: float
    ) -> None:
        self.key, self.tool, self.static = key, tool.name, tool.static
        self.session, self.predictor = session, predictor
        self.epoch, self.began_s = epoch, began_s
        self.ended_s: float | None = None
        self.claimed = 0
        self.flight = Flight(b"", None, began_s, epoch)
        self.stop: Callable[[], object] = lambda: None


class Executions:
    """The table.

    Args:
        ttl_s: how long a result is found by the session that it was made in.
        reuse_s: how long by others.
        static_ttl_s: how long by everybody, of a static tool.
        most: results kept; the longest unused leave.
        mono_now: monotonic clock, seconds.
        lock: makes the table's lock.
    """

    def __init__(
        self,
        *,
        ttl_s: float,
        reuse_s: float,
        static_ttl_s: float,
        most: int,
        mono_now: Callable[[], float],
        lock: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._ttl_s, self._reuse_s, self._static_ttl_s = ttl_s, reuse_s, static_ttl_s
        self._most, self._mono_now = most, mono_now
        self._lock = lock()
        self._table: OrderedDict[CallKey, Execution] = OrderedDict()
        self._epochs: dict[Hashable, int] = {}

    def new_epoch(self, tenant: Hashable) -> list[Execution]:
        """Forget what tells of before, and return the guesses under way that nobody can use."""
        with self._lock:
            self._epochs[tenant] = self._epochs.get(tenant, 0) + 1
            gone = [e for e in self._table.values() if e.key.tenant == tenant and not e.static]
            for execution in gone:
                del self._table[execution.key]
        return [e for e in gone if e.ended_s is None and e.predictor]

    def holds(self, execution: Execution) -> bool:
        """Whether it still tells what is."""
        return execution.static or execution.epoch == self._epochs.get(execution.key.tenant, 0)

    def find(self, key: CallKey, session: object) -> Execution | None:
        """Return what answers a call of `session`, done or under way."""
        with self._lock:
            return self._find(key, session)

    def claim(self, key: CallKey, session: object) -> Execution | None:
        """As `find`, for a call that will wait for it."""
        with self._lock:
            execution = self._find(key, session)
            if execution is not None:
                execution.claimed += 1
                self._table.move_to_end(key)
            return execution

    def begin(
        self, key: CallKey, tool: Tool, session: object, predictor: str = ""
    ) -> Execution | None:
        """Note an execution that begins now; None: one under way answers, or will."""
        with self._lock:
            if self._find(key, session) is not None:
                return None
            execution = Execution(
                key, tool, session, predictor, self._epochs.get(key.tenant, 0), self._mono_now()
            )
            self._table[key] = execution
            self._table.move_to_end(key)
            while len(self._table) > self._most:
                self._table.popitem(last=False)
            return execution

    def end(self, execution: Execution, outcome: Any) -> None:
        """Give whoever waits for it `outcome`; `FAILED` is found by nobody. Again does nothing."""
        with self._lock:
            if execution.ended_s is not None:
                return
            execution.ended_s = self._mono_now()
            if outcome is FAILED and self._table.get(execution.key) is execution:
                del self._table[execution.key]
        execution.flight.land(outcome)

    def left_by(self, session: object) -> list[Execution]:
        """Return the guesses of `session` under way that nobody claimed."""
        with self._lock:
            return [
                e
                for e in self._table.values()
                if e.session is session and e.predictor and e.ended_s is None and not e.claimed
            ]

    def _find(self, key: CallKey, session: object) -> Execution | None:
        execution = self._table.get(key)
        if execution is None or not self.holds(execution):
            return None
        if execution.ended_s is None:
            return execution
        age_s = self._mono_now() - execution.ended_s
        fresh_s = (
            self._static_ttl_s
            if execution.static
            else self._ttl_s
            if execution.session is session
            else self._reuse_s
        )
        return execution if age_s <= fresh_s else None
