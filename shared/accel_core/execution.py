"""One execution of a tool call: which call, who began it, what became of it, what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.drive.flight import FAILED, Flight
from accel_core.drive.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

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
        size_bytes: about how much memory its outcome holds, once it has ended.
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
        "orphan", "outcome", "settled", "size_bytes", "static", "stop", "tool", "waiting",
        "waits_for", "withdraw_timer", "work",
    )  # fmt: skip

    def __init__(
        self, key: CallKey, tool: Tool, origin: Origin, epoch: int, began_s: float
    ) -> None:
        self.key, self.tool, self.static, self.origin = key, tool.name, tool.static, origin
        self.epoch, self.began_s = epoch, began_s
        self.ended_s: float | None = None
        self.outcome: Any = FAILED
        self.waiting = self.size_bytes = 0
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


def in_a_circle(target: Execution, inside: Execution | None) -> bool:
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
