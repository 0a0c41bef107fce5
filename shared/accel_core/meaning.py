"""The semantic half of a lookup: the nearest entries of the scope, and what is decided about them.

Nothing is served here but what the similarity policy chose or a verifier approved and, where
outcomes are learned from, `Learning` let pass. Encoder, index and verifier fail into a reason,
never into the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from accel_core.policy.looked import Looked
from accel_core.policy.similarity import Candidate, Verdict
from accel_core.tiers import Around

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from accel_core.drive.flight import Flight
    from accel_core.events import Tier
    from accel_core.learning import Learning
    from accel_core.policy.identity import Request
    from accel_core.policy.similarity import AccountablePolicy, Threshold
    from accel_core.ports import Entry, Io
    from accel_core.tiers import Tiers
    from accel_core.verification import Verification

    Serves = Callable[[Entry, Request], bool]
    """Whether an entry may be served to a request."""


class Found(NamedTuple):
    """The entry to serve, or None and the reason; and how near the nearest one is.

    ``tier``: ``exact`` where the entry is one of those that were asked for by their key. ``near``:
    the entry that was decided about, with the probability that it is right where that is known.
    """

    entry: Entry | None
    reason: str
    similarity: float | None = None
    tier: Tier = "semantic"
    near: Entry | None = None
    probability: float | None = None


class Foreseen(NamedTuple):
    """What `Meaning.find` would say.

    Attributes:
        verdict: what would be decided, ``grey`` where a verifier would be asked.
        near: the nearest entries with their cosines, and all gates that refuse them.
        threshold: from where on is served; None: nothing is, or by outcomes.
    """

    verdict: Verdict
    near: Sequence[tuple[Entry, float, tuple[str, ...]]] = ()
    threshold: Threshold | None = None


class Meaning:
    """Finds answers to other wordings.

    Args:
        tiers: hold the entries.
        policy: decides between the nearest questions; None: nothing is served by meaning.
        off: why there is no policy.
        learning: decides from outcomes about what would be served, and watches, or None.
        verification: asks a verifier about what the policy alone may not serve, or None.
        looked: told of every lookup, with its texts; None: nobody is.
    """

    def __init__(
        self,
        tiers: Tiers,
        policy: AccountablePolicy | None,
        *,
        off: str = "disabled",
        learning: Learning | None = None,
        verification: Verification | None = None,
        looked: Callable[[Looked], None] | None = None,
    ) -> None:
        self._tiers, self._policy, self._off = tiers, policy, off
        self._learning, self._verification = learning, verification
        self._looked = looked

    def comparable(self, request: Request) -> bool:
        """Whether other questions may be compared with this one by meaning."""
        if self._policy is None or not request.text or request.never or request.exact:
            return False
        return self._policy.comparable(request.text)

    async def find(
        self,
        io: Io,
        request: Request,
        flight: Flight | None,
        serves: Serves,
        *,
        keys: Sequence[bytes] = (),
        exactly: Serves | None = None,
    ) -> Found:
        """Return the entry that answers `request`, or why there is none.

        Args:
            io: the caller's colour.
            request: what is asked.
            flight: is given the question's vector, the ticket of what is explored, and its lease
                where it wants that, and nothing is near.
            serves: whether an entry is of the request's scope and in its time.
            keys: of entries that the shared store was not asked for yet (`Tiers.asks_at_once`).
            exactly: whether one of those is served; None: as `serves` says.
        """
        found = await self._find(io, request, flight, serves, keys=keys, exactly=exactly or serves)
        if self._looked is not None:
            self._looked(_told(request, found))
        return found

    async def _find(
        self,
        io: Io,
        request: Request,
        flight: Flight | None,
        serves: Serves,
        *,
        keys: Sequence[bytes],
        exactly: Serves,
    ) -> Found:
        if self._policy is None:
            return Found(None, self._off)
        if not self.comparable(request):
            return Found(None, "not_comparable")
        claiming = None if flight is None else flight.claiming
        sensed = await self._tiers.sense(io, request.text)
        if isinstance(sensed, str):
            kept = await self._tiers.find_many(io, keys, claiming)
            return _first(kept.values(), request, exactly) or Found(None, sensed)
        if flight is not None:
            flight.vector = sensed
        around = await self._tiers.around(
            io,
            request.scope,
            sensed,
            self._policy.candidates,
            keys=keys,
            claiming=claiming,
            floor=self._policy.floor,
        )
        found = _first(around.exact, request, exactly)
        if found is None:
            found = await self._among(io, request, flight, around, serves)
        if found.entry is not None:
            # Candidates that were only looked at are not wanted; the one that is served is.
            self._tiers.want(found.entry, around)
        return found

    async def foresee(self, io: Io, request: Request, serves: Serves) -> Foreseen:
        """Say what `find` would, and about what; nothing is asked, counted or kept for it.

        Args:
            io: the caller's colour.
            request: what is asked.
            serves: whether an entry is of the request's scope and in its time.

        Raises:
            Exception: the shared store failed.
        """
        policy = self._policy
        if policy is None:
            return Foreseen(Verdict(None, self._off))
        if not self.comparable(request):
            return Foreseen(Verdict(None, "not_comparable"))
        sensed = await self._tiers.sense(io, request.text)
        if isinstance(sensed, str):
            return Foreseen(Verdict(None, sensed))
        near = await self._tiers.looking.around(io, request.scope, sensed, policy.candidates)
        entries, candidates = _candidates(policy, request, Around([], near), serves)
        verdict = await self._decide(io, policy, request.text, candidates)
        if self._verification is not None:
            verdict = self._verification.foreseen(request, entries, verdict)
        threshold: Threshold | None = policy.threshold
        if self._learning is not None:
            verdict = self._learning.foreseen(entries, verdict)
            threshold = None if self._learning.by_outcomes else threshold

        def refusing() -> list[tuple[str, ...]]:
            return [policy.refusing(request.text, entry.text) for entry in entries]

        gates = await io.call(refusing)
        cosines = [candidate.similarity for candidate in candidates]
        return Foreseen(verdict, list(zip(entries, cosines, gates, strict=True)), threshold)

    def answered(self, flight: Flight, entry: Entry) -> None:
        """Let what `flight` explored be compared with `entry`, the model's own answer."""
        if self._learning is not None:
            self._learning.answered(flight.ticket, entry)

    def forget(self, keys: Collection[bytes]) -> None:
        """Forget what is remembered about the entries under `keys`."""
        if self._verification is not None:
            self._verification.forget(keys)

    def close(self) -> None:
        """End what is under way."""
        if self._verification is not None:
            self._verification.close()

    def after_fork(self) -> None:
        """Start anew in a child process."""
        if self._learning is not None:
            self._learning.after_fork()
        if self._verification is not None:
            self._verification.after_fork()

    async def _among(
        self, io: Io, request: Request, flight: Flight | None, around: Around, serves: Serves
    ) -> Found:
        """Decide among what is near."""
        assert self._policy is not None
        entries, candidates = _candidates(self._policy, request, around, serves)
        verdict = await self._decide(io, self._policy, request.text, candidates)
        if self._verification is not None:
            verdict = await self._verification.judge(io, request, entries, verdict)
            if verdict.reason == "verified" and not await self._still(
                io, request, entries[verdict.chosen or 0], serves
            ):
                return Found(None, "no_entry", candidates[0].similarity)
        if self._learning is not None and entries:
            verdict = self._learning.judge(entries, candidates, verdict, flight)
        if verdict.chosen is None:
            best, near = (candidates[0].similarity, entries[0]) if candidates else (None, None)
            return Found(None, verdict.reason, best, near=near, probability=verdict.probability)
        similarity, entry = candidates[verdict.chosen].similarity, entries[verdict.chosen]
        return Found(entry, verdict.reason, similarity, near=entry, probability=verdict.probability)

    async def _still(self, io: Io, request: Request, entry: Entry, serves: Serves) -> bool:
        """Whether `entry` may be served after its verdict was waited for."""
        if self._tiers.follows:
            await self._tiers.catch_up(io)
        found = await self._tiers.find(io, entry.key)
        if found is None or not found.semantic or found.created_s != entry.created_s:
            return False
        return serves(found, request)

    async def _decide(
        self, io: Io, policy: AccountablePolicy, text: str, candidates: Sequence[Candidate]
    ) -> Verdict:
        if policy.ready:
            return policy.decide(text, candidates)
        return await io.call(policy.decide, text, candidates)


def _told(request: Request, found: Found) -> Looked:
    """Return what is told of a lookup: neither what it was for, nor anybody's answer."""
    near = found.near
    return Looked(
        key=request.key,
        text=request.text,
        tenant=request.tenant,
        reason=found.reason,
        served=found.entry is not None,
        near_key=None if near is None else near.key,
        near_text="" if near is None else near.text,
        similarity=None if near is None else found.similarity,
        probability=found.probability,
    )


def _first(entries: Iterable[Entry], request: Request, exactly: Serves) -> Found | None:
    """Return the first of `entries` that may be served."""
    for entry in entries:
        if exactly(entry, request):
            return Found(entry, "exact", 1.0, "exact")
    return None


def _candidates(
    policy: AccountablePolicy,
    request: Request,
    around: Around,
    serves: Serves,
) -> tuple[list[Entry], list[Candidate]]:
    """Return the nearest entries of the scope that may be served, nearest first."""
    entries: list[Entry] = []
    candidates: list[Candidate] = []
    for entry, similarity in around.near:
        if entry.semantic and serves(entry, request):
            entries.append(entry)
            candidates.append(Candidate(entry.text, similarity))
            if len(entries) == policy.candidates:
                break
    return entries, candidates
