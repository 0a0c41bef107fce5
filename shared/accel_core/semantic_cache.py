"""Answer again what was answered before: exactly, by meaning, or by waiting for whoever is at it.

A lookup goes exact → single flight → shared store → meaning. Whoever finds nothing leads a flight,
among all processes that share the store, asks the model, and ends the flight with `store` or
`abandon`; the others wait for that answer.
Storing never delays the answer: the entry is in memory at once, and its vector, its place in the
index and its copy in the shared store follow in the background.

Invariants: nothing is served past its time, across a scope, or after its invalidation returned; an
answer asked for before an invalidation is not stored after it; a store, index or encoder that fails
costs speed and an event, never the call.

The flow of a lookup is written once, over `Io`; `lookup` and `alookup` are its two colours. This
module imports neither threads nor loops nor clocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from accel_core import events
from accel_core.drive import blocking
from accel_core.drive.flight import DECLINED, FAILED
from accel_core.entries import entry_of
from accel_core.policy.controls import DEFAULT
from accel_core.ports import Entry
from accel_core.recording import timed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from accel_core.drive.flight import Flight, FlightTable
    from accel_core.drive.invalidations import Invalidations
    from accel_core.leadership import Leadership
    from accel_core.meaning import Meaning
    from accel_core.policy.admission import Admission, Answer
    from accel_core.policy.controls import Controls
    from accel_core.policy.expiry import TtlPolicy
    from accel_core.policy.identity import Request
    from accel_core.policy.never_cache import NeverCache
    from accel_core.ports import Io, Observer, Selector
    from accel_core.tiers import Tiers

T = TypeVar("T")


class Hit(NamedTuple):
    """A stored answer to serve. ``shared``: its caller waited for a leader; ``reason``: why."""

    entry: Entry
    tier: events.Tier
    similarity: float
    age_s: float
    shared: bool = False
    reason: str = "exact"


class Miss(NamedTuple):
    """No stored answer. ``flight``: the caller's, to `store` or `abandon`, led or its own alone."""

    reason: str
    flight: Flight | None = None
    similarity: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The decisions a cache takes, each a value of its own."""

    ttl: TtlPolicy
    admission: Admission
    never: NeverCache
    exact: bool = True


class SemanticCache:
    """Stored answers, by request and by meaning.

    Args:
        tiers: hold the entries: memory, index, encoder, shared store.
        flights: the single-flight table; None: every miss asks the model.
        policies: lifetime and admission.
        meaning: finds answers to other wordings.
        leadership: says which process leads a flight.
        invalidations: what was asked for before one is not stored after it.
        colours: the blocking and the asyncio `Io`.
        emit: receives every event.
        wall_now: wall clock, seconds since the epoch.
        chance: uniform dice in [0, 1), for TTL jitter.
    """

    def __init__(
        self,
        tiers: Tiers,
        flights: FlightTable | None,
        policies: Policies,
        meaning: Meaning,
        *,
        leadership: Leadership,
        invalidations: Invalidations,
        colours: tuple[Io, Io],
        emit: Observer,
        wall_now: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._tiers, self._flights, self._policies = tiers, flights, policies
        self._blocking, self._aio = colours
        self._emit, self._wall_now, self._chance = emit, wall_now, chance
        self._meaning, self._leadership = meaning, leadership
        self.invalidations = invalidations
        self._near = tiers.near
        self._memory_first = policies.exact and not tiers.follows

    def lookup(self, request: Request, controls: Controls = DEFAULT) -> Hit | Miss:
        """Return the stored answer to `request`, or a miss that may lead a flight."""
        hit = self.at_once(request, controls)
        return hit or blocking.run(self._lookup(self._blocking, request, controls))

    async def alookup(self, request: Request, controls: Controls = DEFAULT) -> Hit | Miss:
        """Async form of `lookup`."""
        return self.at_once(request, controls) or await self._lookup(self._aio, request, controls)

    def store(
        self,
        request: Request,
        answer: Answer,
        controls: Controls = DEFAULT,
        flight: Flight | None = None,
    ) -> str | None:
        """Store `answer` and return the entry's id, None if it was refused.

        Returns at once: only memory is written before it returns.

        Args:
            request: what was asked.
            answer: what the model said.
            controls: the call's wishes.
            flight: the flight its miss led, ended by this. Whoever else leads the same request
                is ended too when there is an entry to serve.
        """
        entry = self._admit(request, answer, controls)
        if entry is not None:
            self._leadership.land(flight, entry)
            self._tiers.keep(entry, flight.vector if flight is not None else None)
            # After keeping, so that an invalidation is either seen here or sees the entry.
            if flight is not None and self._leadership.outdated(flight, entry):
                self._tiers.drop(entry)
                self._emit(events.CacheRefused("invalidated"))
                entry = None
        if entry is None:
            self._land(flight, DECLINED)
            return None
        lifetime_s = entry.expires_s - entry.created_s
        self._emit(events.CacheStored(entry.id, entry.semantic, lifetime_s))
        self._land(flight, entry)
        self._learn(flight, entry)
        if self._flights is not None:
            self._land(self._flights.current(request.key), entry)
        return entry.id

    def refuse(self, reason: str, flight: Flight | None) -> None:
        """Report that an answer cannot be stored, and let every follower ask for itself."""
        self._emit(events.CacheRefused(reason))
        self._land(flight, DECLINED)

    def abandon(self, flight: Flight | None) -> None:
        """End a flight whose leader failed: a follower leads next. Nothing after it ended."""
        self._land(flight, FAILED)

    def reject(self, entry: Entry, error: Exception) -> None:
        """Drop an entry whose payload its adapter could not read."""
        self._tiers.drop(entry)
        self._emit(events.BackendFailed("payload", "read", type(error).__name__))

    def invalidate(self, meant: Sequence[Selector], *, dry_run: bool = False) -> list[str]:
        """Remove what any selector means, everywhere; return the ids, sorted.

        With `dry_run` nothing is removed. A shared store's failure is raised.
        """
        return blocking.run(self._invalidate(self._blocking, meant, dry_run=dry_run))

    async def ainvalidate(self, meant: Sequence[Selector], *, dry_run: bool = False) -> list[str]:
        """Async form of `invalidate`."""
        return await self._invalidate(self._aio, meant, dry_run=dry_run)

    async def acall(self, function: Callable[[], T]) -> T:
        """Call a blocking function of this cache's owner without blocking the loop."""
        return await self._aio.call(function)

    def close(self, timeout_s: float | None = None) -> None:
        """End what is under way, write what is queued, for `timeout_s` at most, and release all."""
        self._meaning.close()
        self._tiers.close(timeout_s)

    def after_fork(self) -> None:
        """Start anew in a child process."""
        if self._flights is not None:
            self._flights.after_fork()
        self._meaning.after_fork()

    def at_once(self, request: Request, controls: Controls) -> Hit | None:
        """Serve from memory where nothing needs to be waited for, so without a flow.

        This is the path of most hits; it says in one place what the flow says in several.
        """
        if controls.refresh or not self._memory_first:
            return None
        entry = self._near(request.key)
        if entry is None:
            return None
        age_s = self._wall_now() - entry.created_s
        if entry.created_s + age_s >= entry.expires_s:
            return None
        self._emit(events.CacheHit("exact", entry.key.hex(), 1.0, age_s))
        return Hit(entry, "exact", 1.0, age_s)

    async def _lookup(self, io: Io, request: Request, controls: Controls) -> Hit | Miss:
        mark = self.invalidations.mark
        found = Miss("refresh") if controls.refresh else await self._found(io, request)
        if isinstance(found, Miss):
            flight = found.flight or self._leadership.alone(request.key, mark)
            found = found._replace(flight=self._leadership.begin(flight))
        return self._note(found)

    async def _found(self, io: Io, request: Request) -> Hit | Miss:
        request = self._policies.never.judge(request)
        if self._tiers.follows:
            await self._tiers.catch_up(io)
        found: Hit | Miss | None = self._exact(request)
        while found is None:
            found = await self._fly(io, request)
        return found

    async def _fly(self, io: Io, request: Request) -> Hit | Miss | None:
        """Lead, follow, or search alone; None: the leader failed, so try again."""
        flights = self._flights
        if flights is None or (request.never and not request.never_ttl_s):
            return await self._search(io, request, None)
        flight, leads = flights.claim(request.key, io.owner(), self.invalidations.mark)
        if flight is None or not (leads or io.may_wait()):
            return await self._search(io, request, None)
        if leads:
            return await self._lead(io, request, flight)
        return await self._follow(io, flight, flights.remaining_s(flight))

    async def _lead(self, io: Io, request: Request, flight: Flight) -> Hit | Miss:
        """Search, and keep the flight open when there is nothing."""
        self._leadership.begin(flight)
        if self._policies.exact:
            self._leadership.share(flight, request.key)
        try:
            # Another leader may have landed between the first look and the claim.
            found = self._exact(request) or await self._search(io, request, flight)
            if isinstance(found, Miss) and self._policies.exact:
                found = await self._take(io, request, flight, found)
        except BaseException:
            self._land(flight, FAILED)
            raise
        if isinstance(found, Miss):
            return found._replace(flight=flight)
        self._land(flight, found)
        return found

    async def _take(self, io: Io, request: Request, flight: Flight, miss: Miss) -> Hit | Miss:
        """Lead for all processes that share the store, or take what another one landed."""

        def serves(entry: Entry) -> bool:
            return self._serves(entry, request)

        made = await self._leadership.take(io, flight, request.key, serves)
        if isinstance(made, Entry):
            return self._hit(made, "exact", 1.0)._replace(shared=True)
        if made == "declined":
            self._land(flight, DECLINED)  # its followers, too, ask for themselves
            return Miss("declined")
        return miss

    async def _follow(self, io: Io, flight: Flight, timeout_s: float) -> Hit | Miss | None:
        """Wait for the leader; None: it failed, so try to lead."""
        with timed("shared_s"):
            landed = await io.join(flight, timeout_s)
        if landed is FAILED:
            return None
        if landed is DECLINED:
            return Miss("declined")
        entry = landed.entry if isinstance(landed, Hit) else landed
        if self._leadership.outdated(flight, entry):
            return None  # the leader began before that, this caller perhaps after
        if isinstance(landed, Hit):
            return landed._replace(shared=True)
        return Hit(landed, "exact", 1.0, self._wall_now() - landed.created_s, shared=True)

    async def _search(self, io: Io, request: Request, flight: Flight | None) -> Hit | Miss:
        """Look beyond memory: in the shared store, and by meaning; at once where it can do both."""
        shared = self._policies.exact and self._tiers.shared
        keys = (request.key, *request.aliases) if shared else ()
        comparable = self._meaning.comparable(request)
        if not (comparable and self._tiers.asks_at_once(keys)):
            claiming = None if comparable or flight is None else flight.claiming
            found = await self._tiers.find_many(io, keys, claiming)
            for entry in found.values():
                if self._serves(entry, request):
                    return self._hit(entry, "exact", 1.0)
            keys = ()
        if request.never:
            return Miss(request.never)
        near = await self._meaning.find(io, request, flight, self._serves, keys=keys)
        if near.entry is None:
            return Miss(near.reason, similarity=near.similarity)
        hit = self._hit(near.entry, near.tier, near.similarity or 0.0)
        return hit._replace(reason=near.reason)

    def _exact(self, request: Request) -> Hit | None:
        """Look in memory for the very request."""
        if not self._policies.exact:
            return None
        entry = self._near(request.key)
        if entry is None or not self._serves(entry, request):
            return None
        return self._hit(entry, "exact", 1.0)

    def _serves(self, entry: Entry, request: Request) -> bool:
        """Whether `entry` is of this scope and in its time; drops it when it is too old."""
        if entry.expires_s <= self._wall_now():
            self._tiers.drop(entry)
            self._emit(events.CacheEvicted(entry.id, "expired"))
            return False
        return entry.scope == request.scope or entry.key in request.aliases

    def _hit(self, entry: Entry, tier: events.Tier, similarity: float) -> Hit:
        return Hit(entry, tier, similarity, self._wall_now() - entry.created_s)

    def _note(self, found: Hit | Miss) -> Hit | Miss:
        """Report the outcome of a lookup."""
        if isinstance(found, Hit):
            entry_id = found.entry.id
            self._emit(
                events.CacheHit(found.tier, entry_id, found.similarity, found.age_s, found.shared)
            )
        else:
            self._emit(events.CacheMiss(found.reason, found.similarity))
        return found

    def _learn(self, flight: Flight | None, entry: Entry) -> None:
        """Let what `flight` explored be compared with `entry`, unless it was removed meanwhile."""
        if flight is None or flight.ticket is None:
            return
        if not self._leadership.outdated(flight, flight.ticket.entry):
            self._meaning.answered(flight, entry)

    def _land(self, flight: Flight | None, outcome: object) -> None:
        if flight is not None and self._flights is not None:
            self._flights.land(flight, outcome)

    def _admit(self, request: Request, answer: Answer, controls: Controls) -> Entry | None:
        """Make the entry of `answer`, or report why there is none."""
        policies = self._policies
        request = policies.never.judge(request)
        reason = "no_store" if controls.no_store else None
        reason = reason or policies.admission.refuses_answer(answer, request.text)
        # An answer that asks for tools leaves to them what changes.
        never = request.never and not answer.tool_calls
        if never and not request.never_ttl_s:
            reason = reason or request.never
        if reason is not None:
            self._emit(events.CacheRefused(reason))
            return None
        lifetime_s = policies.ttl.lifetime_s(self._chance(), controls.ttl_s)
        if never:
            lifetime_s = min(lifetime_s, request.never_ttl_s)
        return entry_of(
            request,
            answer.payload,
            created_s=self._wall_now(),
            lifetime_s=lifetime_s,
            tags=controls.tags + controls.user_tags,
            semantic=not answer.tool_calls and self._meaning.comparable(request),
            cost_s=answer.cost_s,
        )

    async def _invalidate(self, io: Io, meant: Sequence[Selector], *, dry_run: bool) -> list[str]:
        if not dry_run:
            # Before removing, so that an answer under way is either removed here or refused later.
            self.invalidations.add(meant)
            await self._leadership.outdate(io, meant)
        keys: set[bytes] = set()
        for selector in meant:
            keys |= await self._tiers.select(io, selector)
        if not dry_run:
            self._meaning.forget(keys)
            await self._tiers.remove(io, keys)
            self._emit(events.CacheInvalidated(len(keys)))
        return sorted(key.hex() for key in keys)
