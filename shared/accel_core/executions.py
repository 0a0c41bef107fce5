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

from accel_core.drive.flight import DECLINED, FAILED, Flight
from accel_core.drive.work import Work
from accel_core.policy.epochs import Epochs

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from contextlib import AbstractContextManager

    from accel_core.speculating import Tool
    from accel_core.tenancy import Tenant


class CallKey(NamedTuple):
    """Which call it is.

    Attributes:
        within: the session that alone may share it; None: every one of its tenant.
    """

    tenant: Tenant | None
    tool: Hashable
    arguments: str
    within: object = None

    @property
    def epoch_of(self) -> str | None:
        """Whose changes concern it: of every user of its tenant."""
        return None if self.tenant is None else self.tenant.id


class Origin(NamedTuple):
    """Who began an execution.

    Attributes:
        session: what stands for the session; compared by identity.
        predictor: who guessed it; ``""`` where the agent asked for it.
        confidence: of the guess.
        exact: whether the model had asked for it already.
        inside: the execution that it is part of.
        again: whether the session was given this very call's result a turn ago.
    """

    session: object
    predictor: str = ""
    confidence: float = 1.0
    exact: bool = False
    inside: Execution | None = None
    again: bool = False

    def alone(self) -> Origin:
        """Return it without what it was part of, which need not live as long."""
        return self if self.inside is None else self._replace(inside=None)


class Execution:
    """One execution of a call, whoever wanted it.

    Attributes:
        origin: who began it.
        epoch: the number of the last change when it began.
        ended_s: when it ended; None: it is under way.
        outcome: what it returned, once it has ended.
        lost: whether it answers no call any more.
        orphan: whether its session has ended while somebody waited for it.
        due_s: when it is to be stopped.
        waiting: how many calls wait for it.
        settled: whether it has been told what became of it; only of guesses it ever is.
        carried: says whether whoever carries it out still does.
        stop: stops it where that can be, from anywhere; a started thread goes on.
        work: lets a thread that goes on end where it would begin another step.
        withdraw_timer: takes back what would stop it later.
        waits_for: what it, or a call inside it, cannot end before.
    """

    __slots__ = (
        "began_s", "carried", "due_s", "ended_s", "epoch", "flight", "key", "lost", "origin",
        "orphan", "outcome", "settled", "static", "stop", "tool", "waiting", "waits_for",
        "withdraw_timer", "work",
    )  # fmt: skip

    def __init__(
        self, key: CallKey, tool: Tool, origin: Origin, epoch: int, began_s: float
    ) -> None:
        self.key, self.tool, self.static, self.origin = key, tool.name, tool.static, origin
        self.epoch, self.began_s = epoch, began_s
        self.ended_s: float | None = None
        self.outcome: Any = FAILED
        self.waiting = 0
        self.lost = self.orphan = False
        self.due_s = float("inf")
        # What the agent itself asked for is no guess to be judged.
        self.settled = not origin.predictor
        self.flight = Flight(b"", None, began_s, epoch)
        self.carried: Callable[[], bool] = lambda: True
        self.stop: Callable[[], object] = lambda: None
        self.work = Work()
        self.withdraw_timer: Callable[[], object] = lambda: None
        self.waits_for: list[Execution] = []


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


class Executions:
    """The table. Safe to share between threads, tasks and loops.

    Args:
        lifetimes: how long what is in it answers.
        most: results kept; the longest unused leave.
        lost: told of each guess that nobody used and nobody can use any more, and why: one of
            ``changed``, ``expired``, ``timeout``, ``evicted``, ``failed``, ``unasked``,
            ``closed``. Called without any lock.
        mono_now: monotonic clock, seconds.
        lock: makes the table's lock, re-entrant.
    """

    def __init__(
        self,
        lifetimes: Lifetimes,
        most: int,
        *,
        lost: Callable[[Execution, str], None],
        mono_now: Callable[[], float],
        lock: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._lifetimes, self._most = lifetimes, most
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
                if not (may_wait and execution.carried()) or _in_a_circle(execution, inside):
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
        execution.withdraw_timer()
        execution.flight.land(outcome)
        self._let_go(gone, "failed")

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
            if not useless and len(self._table) <= self._most:
                break
            (expired if useless else evicted).append(oldest)
            self._drop([oldest])
        return expired, evicted

    def _drop(self, gone: Iterable[Execution]) -> None:
        for execution in gone:
            execution.lost = True
            if self._table.get(execution.key) is execution:
                del self._table[execution.key]
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


def _in_a_circle(target: Execution, inside: Execution | None) -> bool:
    """Whether `target` waits, directly or not, for what `inside` is part of."""
    own: set[Execution] = set()
    while inside is not None:
        own.add(inside)
        inside = inside.origin.inside
    seen: set[Execution] = set()
    ahead = [target] if own else []
    while ahead:
        execution = ahead.pop()
        if execution in own:
            return True
        if execution not in seen:
            seen.add(execution)
            ahead.extend(execution.waits_for)
    return False
