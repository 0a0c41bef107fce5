"""Decide about hits by meaning from their outcomes, and get outcomes by comparing answers.

What the policy would look at is served, explored or refused. Explored is a miss whose flight
carries a `Ticket`; when the model's answer is stored through that flight, the entry that would have
been served and the new one are compared in the background, and `Guarantee` learns the outcome. In
shadow mode everything is explored and nothing is served. Where a verifier is asked, only what it
approved comes here (`verification`).

A calibration carries no outcomes, only a share and a threshold, and made-up ones would not be
evidence: the guarantee starts cold under either trust, and serves nothing before outcomes of this
cache. What is learned lives as long as the process.

An outcome is lost where the model failed, its answer was refused, or nobody can say whether the
two are the same. That must not depend on whether they are: a comparison that says None where it
should say wrong moves the bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from accel_core.events import CacheExplored
from accel_core.policy.guarantee import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from accel_core.drive.flight import Flight
    from accel_core.policy.guarantee import Guarantee
    from accel_core.policy.similarity import Verdict
    from accel_core.ports import Comparer, Entry, Observer

_SERVED = 10_000
"""Entries whose last hit is remembered, for reports."""


class Ticket(NamedTuple):
    """An explored candidate: the entry, how probable it was, and the weight of its outcome."""

    entry: Entry
    probability: float | None
    weight: float


class Comparison(NamedTuple):
    """How outcomes come about.

    Attributes:
        same: question, stored answer, new answer; None: cannot say.
        text_of: the text of a payload.
        later: carries out work in the background.
    """

    same: Comparer
    text_of: Callable[[bytes], str]
    later: Callable[[Callable[[], None]], None]


class Learning:
    """Owns a `Guarantee`, which has one owner at a time.

    Args:
        guarantee: decides; None: the policy's own decision stands, and shadow mode observes it.
        comparison: how outcomes come about.
        shadow: whether nothing is served.
        emit: receives every outcome as an event.
        chance: uniform dice in [0, 1).
        lock: makes the lock around the guarantee.
    """

    def __init__(
        self,
        guarantee: Guarantee | None,
        comparison: Comparison,
        *,
        shadow: bool,
        emit: Observer,
        chance: Callable[[], float],
        lock: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._guarantee, self._comparison, self._shadow = guarantee, comparison, shadow
        self._emit, self._chance, self._new_lock = emit, chance, lock
        self._lock = lock()
        self._served: dict[bytes, float] = {}

    def judge(self, entry: Entry, verdict: Verdict, flight: Flight | None) -> Verdict:
        """Decide about `entry`, which `verdict` would serve; explored, `flight` gets a ticket."""
        probability = verdict.probability
        if self._shadow:
            return self._explore("shadow", Ticket(entry, probability, 1.0), verdict, flight)
        if self._guarantee is None or probability is None:
            return verdict
        with self._lock:
            decision = self._guarantee.decide(probability, entry.scope, entry.key, self._chance())
            if decision.action == "serve":
                self._remember(entry.key, probability)
        if decision.action == "serve":
            return verdict
        if decision.action == "refuse":
            return verdict._replace(chosen=None, reason="improbable")
        return self._explore(
            "explored", Ticket(entry, probability, decision.weight), verdict, flight
        )

    def answered(self, ticket: Ticket, new: Entry) -> None:
        """Compare in the background what was explored with the model's own answer."""
        self._comparison.later(lambda: self._compare(ticket, new))

    def demote(self, entry: Entry) -> bool:
        """Learn that the last hit of `entry` was wrong; False: none is remembered."""
        if self._guarantee is None:
            return False
        with self._lock:
            probability = self._served.pop(entry.key, None)
            if probability is not None:
                self._guarantee.report_wrong(probability, entry.scope, entry.key)
        return probability is not None

    def after_fork(self) -> None:
        """Use a lock of this process."""
        self._lock = self._new_lock()

    def _explore(
        self, reason: str, ticket: Ticket, verdict: Verdict, flight: Flight | None
    ) -> Verdict:
        # Without a flight nobody brings the answer back; that is chance, and tells nothing.
        if flight is not None:
            flight.ticket = ticket
        return verdict._replace(chosen=None, reason=reason)

    def _remember(self, key: bytes, probability: float) -> None:
        self._served.pop(key, None)
        if len(self._served) >= _SERVED:
            del self._served[next(iter(self._served))]
        self._served[key] = probability

    def _compare(self, ticket: Ticket, new: Entry) -> None:
        old, (same, text_of, _) = ticket.entry, self._comparison
        # Of two comparable questions only an answer that asks for tools is not kept by meaning,
        # and that is another answer than a text.
        right = new.semantic and same(new.text, text_of(old.payload), text_of(new.payload))
        if right is None:
            return
        if self._guarantee is not None and ticket.probability is not None:
            outcome = Outcome(ticket.probability, old.scope, old.key, right, ticket.weight)
            with self._lock:
                self._guarantee.observe(outcome)
        self._emit(CacheExplored(old.id, right, ticket.probability))
