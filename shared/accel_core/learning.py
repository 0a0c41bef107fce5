"""Decide about hits by meaning from their outcomes, and get outcomes by comparing answers.

What the policy would look at is served, explored or refused. Explored is a miss whose flight
carries a `Ticket`; when the model's answer is stored through that flight, the entry that would have
been served and the new one are compared in the background, and `Evidence` learns the outcome. In
shadow mode everything is explored and nothing is served. Where a verifier is asked, only what it
approved comes here to be served (`verification`).

Shadow mode also compares what the policy refuses, so that what it misses is seen; the guarantee
does not learn from that, since its candidates are what the policy lets through. What a calibration
puts below its lowest cosine is not read at all; under a plain threshold, which has no such floor,
every fourth refused neighbour is compared, by dice. What a verifier refuses is refused in this
sense. A verdict that nobody waits for in shadow mode is looked up when its candidate is compared:
an approval by then makes it one that the policy lets through, and none is a refusal.

A calibration carries no outcomes, only a share and a threshold, and made-up ones would not be
evidence: the guarantee starts cold under either trust, and serves nothing before outcomes of this
cache, or of the file that `Evidence` keeps.

An outcome is lost where the model failed, its answer was refused, or nobody can say whether the
two are the same. That must not depend on whether they are: a comparison that says None where it
should say wrong moves the bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from accel_core.events import CacheExplored
from accel_core.policy.compared import Compared
from accel_core.policy.guarantee import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from accel_core.drive.flight import Flight
    from accel_core.evidence import Evidence
    from accel_core.files.shadow_log import ShadowLog
    from accel_core.policy.guarantee import Decision
    from accel_core.policy.similarity import Candidate, Verdict
    from accel_core.ports import Comparer, Entry, Observer, Selector

_BELOW = 0.25
"""Share of what a plain threshold refuses that is compared in shadow mode."""


class Ticket(NamedTuple):
    """A candidate whose answer is to be compared with the model's.

    Attributes:
        entry: whose answer it is.
        similarity: cosine to the question.
        probability: that it is right, where that was worked out.
        served: whether it would have been served as configured.
        reason: why, or why not.
        refused: by the policy itself, or its verifier: the guarantee does not learn from it.
        awaited: refused as long as a verifier has not approved it.
        weight: of its outcome.
        share: of such candidates that are compared, in (0, 1].
    """

    entry: Entry
    similarity: float
    probability: float | None
    served: bool
    reason: str
    refused: bool = False
    awaited: bool = False
    weight: float = 1.0
    share: float = 1.0


class Comparison(NamedTuple):
    """How outcomes come about.

    Attributes:
        same: question, stored answer, new answer; None: cannot say.
        text_of: the text of a payload.
        later: carries out work in the background.
        log: gets a line for every comparison, or None.
        said: what a verifier has said, to which request's key, of which entry: whether it approves,
            and the reason; None: nothing.
    """

    same: Comparer
    text_of: Callable[[bytes], str]
    later: Callable[[Callable[[], None]], None]
    log: ShadowLog | None = None
    said: Callable[[bytes, Entry], tuple[bool, str] | None] | None = None


class Learning:
    """Chooses what is explored, and brings its outcomes home.

    Args:
        evidence: decides; None: the policy's own decision stands, and shadow mode observes it.
        comparison: how outcomes come about.
        shadow: whether nothing is served.
        emit: receives every outcome as an event.
        chance: uniform dice in [0, 1).
    """

    def __init__(
        self,
        evidence: Evidence | None,
        comparison: Comparison,
        *,
        shadow: bool,
        emit: Observer,
        chance: Callable[[], float],
    ) -> None:
        self._evidence, self._comparison, self._shadow = evidence, comparison, shadow
        self._emit, self._chance = emit, chance

    def judge(
        self,
        entries: Sequence[Entry],
        candidates: Sequence[Candidate],
        verdict: Verdict,
        flight: Flight | None,
    ) -> Verdict:
        """Decide about the candidate that `verdict` is about; explored, `flight` gets a ticket."""
        at = (verdict.grey or 0) if verdict.chosen is None else verdict.chosen
        entry, probability = entries[at], verdict.probability
        ticket = Ticket(
            entry, candidates[at].similarity, probability, served=True, reason=verdict.reason
        )
        if verdict.chosen is None:
            if self._shadow and self._chance() < (share := _share(verdict)):
                ticket = ticket._replace(served=False, refused=True, share=share)
                _board(flight, ticket._replace(awaited=verdict.grey is not None))
            return verdict
        if self._shadow:
            _board(flight, self._watched(ticket))
            return verdict._replace(chosen=None, reason="shadow")
        if self._evidence is None or probability is None:
            return verdict
        decision = self._evidence.decide(probability, entry, self._chance())
        if decision.action == "explore":
            _board(flight, _decided(ticket, decision))
            return verdict._replace(chosen=None, reason="explored")
        if decision.action == "refuse":
            return verdict._replace(chosen=None, reason="improbable")
        return verdict

    @property
    def by_outcomes(self) -> bool:
        """Whether outcomes decide, and no threshold."""
        return self._evidence is not None

    def foreseen(self, entries: Sequence[Entry], verdict: Verdict) -> Verdict:
        """Return what `judge` says where its dice do not explore, taking no note of anything."""
        if verdict.chosen is None:
            return verdict
        if self._shadow:
            return verdict._replace(chosen=None, reason="shadow")
        if self._evidence is None or verdict.probability is None:
            return verdict
        decision = self._evidence.would(verdict.probability, entries[verdict.chosen])
        if decision.action == "serve":
            return verdict._replace(reason=decision.reason)
        return verdict._replace(chosen=None, reason=decision.reason)

    def answered(self, ticket: Ticket, new: Entry) -> None:
        """Compare in the background what was explored with the model's own answer."""
        self._comparison.later(lambda: self._compare(ticket, new))

    def demote(self, entry: Entry) -> bool:
        """Learn that the last hit of `entry` was wrong; False: none is remembered."""
        return self._evidence is not None and self._evidence.demote(entry)

    def forget(self, meant: Sequence[Selector], removed: Collection[str]) -> None:
        """Forget what is kept of questions beside their entries; blocks.

        Args:
            meant: which questions.
            removed: ids of those whose entries were found and removed.

        Raises:
            StoreError: lines of the shadow log may still be there.
        """
        if self._evidence is not None:
            self._evidence.forget([bytes.fromhex(id_) for id_ in removed])
        if self._comparison.log is not None:
            self._comparison.log.forget(meant)

    def save(self) -> None:
        """Write what was learned, where it is kept; blocks."""
        if self._evidence is not None:
            self._evidence.save()

    def after_fork(self) -> None:
        """Use locks of this process."""
        if self._evidence is not None:
            self._evidence.after_fork()
        if self._comparison.log is not None:
            self._comparison.log.after_fork()

    def _watched(self, ticket: Ticket) -> Ticket:
        """Say of a candidate that the policy lets through whether it would have been served."""
        if self._evidence is None or ticket.probability is None:
            return ticket
        decision = self._evidence.would(ticket.probability, ticket.entry)
        # Everything is explored here, so all outcomes weigh the same.
        return _decided(ticket, decision)._replace(weight=1.0, share=1.0)

    def _ruled(self, ticket: Ticket, new: Entry) -> Ticket:
        """Say of a candidate whose verdict nobody waited for what became of it."""
        said = self._comparison.said
        ruling = None if said is None else said(new.key, ticket.entry)
        if ruling is None:
            return ticket._replace(reason="unverified")
        approved, reason = ruling
        if not approved:
            return ticket._replace(reason=reason)
        return self._watched(ticket._replace(served=True, refused=False, reason=reason))

    def _compare(self, ticket: Ticket, new: Entry) -> None:
        ticket = self._ruled(ticket, new) if ticket.awaited else ticket
        old, (same, text_of, _, log, _) = ticket.entry, self._comparison
        # Of two comparable questions only an answer that asks for tools is not kept by meaning,
        # and that is another answer than a text.
        said = new.semantic and same(new.text, text_of(old.payload), text_of(new.payload))
        right = None if said is None else bool(said)
        if log is not None:
            log.append(_line(ticket, new, right=right))
        if right is None:
            return
        probability = ticket.probability
        if self._evidence is not None and probability is not None and not ticket.refused:
            self._evidence.observe(Outcome(probability, old.scope, old.key, right, ticket.weight))
        similarity, served, reason = ticket.similarity, ticket.served, ticket.reason
        refused = ticket.refused
        self._emit(CacheExplored(old.id, right, probability, similarity, served, reason, refused))


def _line(ticket: Ticket, new: Entry, *, right: bool | None) -> Compared:
    old = ticket.entry
    return Compared(
        a=old.text,
        b=new.text,
        same=right,
        served=ticket.served,
        reason=ticket.reason,
        similarity=round(float(ticket.similarity), 6),
        probability=ticket.probability,
        share=ticket.share,
        at_s=new.created_s,
        id=old.id,
        tenant=new.tenant.hex(),
        namespace=new.namespace,
        tags=tuple(dict.fromkeys((*old.tags, *new.tags))),
    )


def _board(flight: Flight | None, ticket: Ticket) -> None:
    """Hand `flight` a ticket; without one nobody brings the answer back, which tells nothing."""
    if flight is not None:
        flight.ticket = ticket


def _decided(ticket: Ticket, decision: Decision) -> Ticket:
    served = decision.action == "serve" or decision.reason == "sampled"
    return ticket._replace(
        served=served, reason=decision.reason, weight=decision.weight, share=decision.share
    )


def _share(verdict: Verdict) -> float:
    """Return how often a candidate is compared that the policy refuses so."""
    if verdict.reason != "below_threshold":
        return 1.0
    return _BELOW if verdict.probability is None else 0.0
