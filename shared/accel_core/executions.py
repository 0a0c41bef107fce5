"""Tool calls under way and lately done, and which of them still tell what is.

Invariants: an execution is found only by the same tool, the same validated arguments and the same
tenant and user, and only while nothing may have changed since it began: each call that may change
something starts a new *epoch* of its tenant, at its start and at its end. Tools declared static are
found across epochs. What failed is found by nobody. Who executes a call waits for none that waits
for it. What becomes of each guess is told once.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.drive.flight import DECLINED, FAILED
from accel_core.execution import Execution, in_a_circle
from accel_core.policy.epochs import Epochs
from accel_core.policy.footprint import footprint_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from accel_core.execution import CallKey, Origin
    from accel_core.speculating import Tool
    from accel_core.tenancy import Tenant


class Lifetimes(NamedTuple):
    """How long executions answer calls, in seconds.

    Attributes:
        ttl_s: a result, in the session that it was made in.
        reuse_s: in others.
        static_ttl_s: in all of them, of a static tool.
        timeout_s: how long one that is under way is waited for.
    """

    ttl_s: float
    reuse_s: float
    static_ttl_s: float
    timeout_s: float


class Room(NamedTuple):
    """What may be kept.

    Attributes:
        most: results, and calls under way.
        most_bytes: about how much memory all results may hold; a larger one is kept for nobody but
            who waits for it.
    """

    most: int
    most_bytes: int


class Executions:
    """The table. Safe to share between threads, tasks and loops.

    Args:
        lifetimes: how long what is in it answers.
        room: how many results are kept, and how many bytes of them; the longest unused leave.
        lost: told of each guess that nobody used and nobody can use any more, and why: one of
            ``changed``, ``expired``, ``timeout``, ``evicted``, ``failed``, ``unasked``,
            ``closed``. Called without any lock.
        mono_now: monotonic clock, seconds.
        lock: makes the table's lock, re-entrant.
    """

    def __init__(
        self,
        lifetimes: Lifetimes,
        room: Room,
        *,
        lost: Callable[[Execution, str], None],
        mono_now: Callable[[], float],
        lock: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._lifetimes, self._room = lifetimes, room
        self._kept_bytes = 0
        self._lost, self.mono_now = lost, mono_now
        self._new_lock = lock
        self._lock = lock()
        self._table: OrderedDict[CallKey, Execution] = OrderedDict()
        self._under_way: dict[Execution, None] = {}
        self._guessed: dict[object, dict[Execution, None]] = {}
        """The guesses in the table, by session."""
        self._epochs = Epochs()

    def change(self, tenant: Tenant | None) -> None:
        """Start a new epoch; whoever waits for what began before it is told at once."""
        with self._lock:
            self._epochs.change(None if tenant is None else tenant.id)
            under_way = [each for each in self._under_way if not each.lost]
            gone = [each for each in under_way if not self._holds(each)]
            self._drop(gone)
        self._let_go(gone, "changed")

    def holds(self, execution: Execution) -> bool:
        """Whether it still tells what is."""
        with self._lock:
            return self._holds(execution)

    def find(self, key: CallKey, session: object, *, again: bool = False) -> Execution | None:
        """Return what would answer a call of `session`; `again` as of `claim`."""
        with self._lock:
            return self._find(key, session, again=again)

    def claim(
        self,
        key: CallKey,
        session: object,
        inside: Execution | None,
        *,
        may_wait: bool,
        again: bool = False,
    ) -> Execution | None:
        """Return what answers a call; the caller says `left` when it waits no longer.

        Args:
            key: which call.
            session: whose.
            inside: the execution that the call is part of.
            may_wait: whether the caller may wait for what is under way; it never may where that
                waits for `inside`, or stands in a loop that was left.
            again: whether the session was given this call's result a turn ago: who asks anew at
                once wants to know whether it has changed, so only `reuse_s` count then.
        """
        with self._lock:
            execution = self._find(key, session, again=again)
            if execution is None:
                return None
            if execution.ended_s is None:
                if not (may_wait and execution.carried()) or in_a_circle(execution, inside):
                    return None
                if inside is not None:
                    inside.waits_for.append(execution)
            execution.waiting += 1
            self._table.move_to_end(key)
            return execution

    def left(self, execution: Execution, inside: Execution | None) -> None:
        """Note that a call which claimed `execution` waits no longer."""
        with self._lock:
            execution.waiting -= 1
            if inside is not None and execution in inside.waits_for:
                inside.waits_for.remove(execution)
            forsaken = execution.orphan and not execution.waiting
        if forsaken:
            self.give_up(execution, "closed", awaited=False)

    def adopt(self, execution: Execution) -> tuple[bool, bool]:
        """Take the result of `execution` for a call.

        Returns:
            Whether it still tells what is, and whether it is the first use of a guess.
        """
        with self._lock:
            if not self._holds(execution):
                return False, False
            first, execution.settled = not execution.settled, True
            return True, first

    def begin(self, key: CallKey, tool: Tool, origin: Origin) -> Execution | None:
        """Note an execution that begins now; None: another one answers such a call, or will."""
        with self._lock:
            if self._find(key, origin.session, again=origin.again) is not None:
                return None
            displaced = self._table.get(key)
            if displaced is not None:
                self._drop([displaced])
            execution = Execution(key, tool, origin, self._epochs.now, self.mono_now())
            self._table[key] = execution
            self._table.move_to_end(key)
            self._under_way[execution] = None
            if origin.predictor:
                self._guessed.setdefault(origin.session, {})[execution] = None
            if origin.inside is not None:
                origin.inside.waits_for.append(execution)
            expired, evicted = self._tidied()
            if displaced is not None:
                expired.append(displaced)
        self._let_go(expired, "expired")
        self._let_go(evicted, "evicted")
        return execution

    def end(self, execution: Execution, outcome: Any) -> None:
        """Give whoever waits for it `outcome`; `FAILED` is found by nobody. Again does nothing."""
        size_bytes = 0 if outcome is FAILED else footprint_bytes(outcome)
        with self._lock:
            if execution.ended_s is not None:
                return
            execution.ended_s, execution.outcome = self.mono_now(), outcome
            self._under_way.pop(execution, None)
            inside, execution.origin = execution.origin.inside, execution.origin.alone()
            if inside is not None:
                inside.waits_for.remove(execution)
            gone = [execution] if outcome is FAILED else []
            self._drop(gone)
            evicted = self._made_room(execution, size_bytes)
        execution.withdraw_timer()
        execution.flight.land(outcome)
        self._let_go(gone, "failed")
        self._let_go(evicted, "evicted")

    def give_up(self, execution: Execution, reason: str, *, awaited: bool) -> bool:
        """Stop a guess that is under way, also an `awaited` one or not.

        Returns:
            Whether it goes on because somebody waits for it.
        """
        with self._lock:
            if execution.lost or execution.ended_s is not None:
                return False
            if execution.waiting and not awaited:
                return True
            self._drop([execution])
        self._let_go([execution], reason)
        return False

    def close(self, session: object) -> None:
        """Give up the guesses of `session`: those under way, and what nobody has asked for."""
        with self._lock:
            gone: list[Execution] = []
            for each in self._guessed.get(session, ()):
                if each.waiting:
                    each.orphan = True
                elif each.ended_s is None or not (each.settled or each.static):
                    gone.append(each)
            self._drop(gone)
        self._let_go(gone, "closed")

    def clear(self) -> None:
        """Keep no result."""
        with self._lock:
            gone = list(self._table.values())
            self._drop(gone)
        self._let_go(gone, "evicted")

    def after_fork(self) -> None:
        """Forget what the parent's threads and tasks execute: they do not exist here."""
        self._lock = self._new_lock()
        self._table.clear()
        self._kept_bytes = 0
        self._under_way.clear()
        self._guessed.clear()

    def __len__(self) -> int:
        return len(self._table)

    def _holds(self, execution: Execution) -> bool:
        return execution.static or self._epochs.holds(execution.key.epoch_of, execution.epoch)

    def _find(self, key: CallKey, session: object, *, again: bool) -> Execution | None:
        execution = self._table.get(key)
        if execution is None or not self._holds(execution):
            return None
        own = execution.origin.session is session and not again
        return execution if self._age_left_s(execution, own=own) >= 0 else None

    def _age_left_s(self, execution: Execution, *, own: bool) -> float:
        """Return how long it still answers calls: of its `own` session, or at all."""
        times, now_s = self._lifetimes, self.mono_now()
        if execution.ended_s is None:
            return times.timeout_s - (now_s - execution.began_s)
        fresh_s = times.static_ttl_s if execution.static else times.ttl_s if own else times.reuse_s
        return fresh_s - (now_s - execution.ended_s)

    def _tidied(self) -> tuple[list[Execution], list[Execution]]:
        """Let go of what nobody can use, of the longest unused, and of what is too much."""
        expired: list[Execution] = []
        evicted: list[Execution] = []
        while self._table:
            oldest = next(iter(self._table.values()))
            useless = not self._holds(oldest) or (self._age_left_s(oldest, own=True) < 0)
            if not useless and len(self._table) <= self._room.most:
                break
            (expired if useless else evicted).append(oldest)
            self._drop([oldest])
        return expired, evicted

    def _made_room(self, ended: Execution, size_bytes: int) -> list[Execution]:
        """Count the result of `ended`; let go of the longest unused until all of them fit."""
        if self._table.get(ended.key) is not ended:
            return []
        ended.size_bytes = size_bytes
        self._kept_bytes += size_bytes
        most_bytes = self._room.most_bytes
        gone: list[Execution] = [ended] if size_bytes > most_bytes else []
        self._drop(gone)
        for each in list(self._table.values()) if self._kept_bytes > most_bytes else ():
            if each.ended_s is not None:
                gone.append(each)
                self._drop([each])
            if self._kept_bytes <= most_bytes:
                break
        return [each for each in gone if not each.waiting]

    def _drop(self, gone: Iterable[Execution]) -> None:
        for execution in gone:
            execution.lost = True
            if self._table.get(execution.key) is execution:
                del self._table[execution.key]
                self._kept_bytes -= execution.size_bytes
            mine = self._guessed.get(execution.origin.session, {})
            mine.pop(execution, None)
            if not mine:
                self._guessed.pop(execution.origin.session, None)

    def _let_go(self, gone: Iterable[Execution], reason: str) -> None:
        """Stop what is under way and tell of the guesses among them; never under the lock."""
        for execution in gone:
            with self._lock:
                told, execution.settled = not execution.settled, True
                execution.lost = True
                under_way = execution.ended_s is None
                why = self._why(execution) if reason == "expired" else reason
            if under_way:
                execution.flight.land(DECLINED)
            if under_way and execution.origin.predictor:
                execution.withdraw_timer()
                execution.work.end()
                execution.stop()
            if told:
                self._lost(execution, why)

    def _why(self, execution: Execution) -> str:
        if not self._holds(execution):
            return "changed"
        return "timeout" if execution.ended_s is None else "expired"
