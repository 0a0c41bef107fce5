"""Retrieve again what was retrieved before, as long as the documents are what they were.

A lookup goes exact → single flight → shared store → meaning; whoever finds nothing retrieves, and
the others wait for that. What it finds is fresh, or due: then it is served once more while one
caller makes it anew in the background. What fails to be made anew is served while that is allowed.

Invariants: nothing is served by a lookup begun after a change of its documents returned, if its
making began before (`policy.corpus`), neither stale nor in spite of an error; one caller retrieves
at a time for one question; the application's error stays the application's error, and is not kept;
a store, index or encoder that fails costs speed and an event.

Flows are written once, over `Io`; no threads, loops or clocks are imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from accel_core import events
from accel_core.drive import blocking
from accel_core.drive.flight import DECLINED, FAILED
from accel_core.ports import Entry
from accel_core.recording import missed, timed
from accel_core.renewals import Renewals
from accel_core.retrieval import Gap, Made, Recalled, Sought
from accel_core.retrieval_terms import RetrievalTerms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from accel_core.corpora import Corpora
    from accel_core.drive.flight import Flight, FlightTable
    from accel_core.drive.invalidations import Invalidations
    from accel_core.leadership import Leadership
    from accel_core.meaning import Meaning
    from accel_core.policy.freshness import Freshness
    from accel_core.policy.identity import Request
    from accel_core.policy.never_cache import NeverCache
    from accel_core.policy.popularity import Popularity
    from accel_core.ports import Io, Observer
    from accel_core.retrieval import Ask, Form
    from accel_core.tiers import Tiers

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a retrieval cache is made of; the first four it shares with the cache of answers.

    Attributes:
        tiers: hold the entries.
        flights: the single-flight table.
        leadership: says which process leads a flight.
        invalidations: what was asked for before one is not stored after it.
        meaning: finds what was retrieved for other wordings.
        corpora: what changed.
        freshness: lifetimes.
        popularity: what is wanted lives longer.
        never: which questions deserve another answer each time.
    """

    tiers: Tiers
    flights: FlightTable
    leadership: Leadership
    invalidations: Invalidations
    meaning: Meaning
    corpora: Corpora
    freshness: Freshness
    popularity: Popularity
    never: NeverCache


class RetrievalCache:
    """What was retrieved, by question and by meaning.

    Args:
        parts: what it is made of.
        max_entry_bytes: what is larger is not stored.
        follows: whether a caller waits for another one who retrieves the same.
        colours: the blocking and the asyncio `Io`.
        emit: receives every event.
        wall_now: wall clock, seconds since the epoch.
        mono_now: monotonic clock, seconds.
        chance: uniform dice in [0, 1).
    """

    def __init__(
        self,
        parts: Parts,
        *,
        max_entry_bytes: int,
        follows: bool,
        colours: tuple[Io, Io],
        emit: Observer,
        wall_now: Callable[[], float],
        mono_now: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._tiers, self._flights, self._meaning = parts.tiers, parts.flights, parts.meaning
        self._leadership, self._renewals = parts.leadership, Renewals(parts.flights, emit)
        self._corpora, self._invalidations = parts.corpora, parts.invalidations
        self._popularity, self._never, self._follows = parts.popularity, parts.never, follows
        self._terms = RetrievalTerms(
            parts.freshness,
            parts.popularity,
            parts.never,
            comparable=parts.meaning.comparable,
            max_entry_bytes=max_entry_bytes,
            wall_now=wall_now,
            chance=chance,
        )
        self._blocking, self._aio = colours
        self._emit = emit
        self._wall_now, self._mono_now = wall_now, mono_now

    def read_through(self, ask: Ask, make: Callable[[], Awaitable[T]], form: Form[T]) -> T:
        """Return what is stored for `ask`, or what `make` makes, which is then stored.

        Args:
            ask: what is asked.
            make: retrieves; must not suspend. May run once more, in another thread, to renew.
            form: how its values are stored.
        """
        return blocking.run(self._read_through(self._blocking, ask, make, form))

    async def aread_through(self, ask: Ask, make: Callable[[], Awaitable[T]], form: Form[T]) -> T:
        """Async form of `read_through`; `make` may run once more, in another task."""
        return await self._read_through(self._aio, ask, make, form)

    def lookup(self, ask: Ask) -> Recalled | Gap:
        """Return what is stored for `ask`, or a gap to `store` in or `abandon`."""
        return blocking.run(self._lookup(self._blocking, ask, renews=False))

    async def alookup(self, ask: Ask) -> Recalled | Gap:
        """Async form of `lookup`."""
        return await self._lookup(self._aio, ask, renews=False)

    def store(self, ask: Ask, gap: Gap, made: Made | str, cost_s: float) -> None:
        """Store what was retrieved for `ask`, and end the flight of `gap`. Returns at once.

        Args:
            ask: what was asked.
            gap: what the lookup returned.
            made: what was retrieved, or the reason why it is not stored.
            cost_s: how long it took.
        """
        entry = made if isinstance(made, str) else self._terms.entry(ask, gap, made, cost_s)
        if isinstance(entry, Entry):
            self._leadership.land(gap.flight, entry)
            self._tiers.keep(entry, None if gap.flight is None else gap.flight.vector)
            # After keeping, so that an invalidation is either seen here or sees the entry.
            if gap.flight is None or not self._leadership.outdated(gap.flight, entry):
                lifetime_s = (entry.fresh_until_s or entry.expires_s) - entry.created_s
                self._emit(events.RetrievalStored(entry.id, lifetime_s))
                self._land(gap.flight, entry)
                return
            self._tiers.drop(entry)
            entry = "invalidated"
        self._emit(events.RetrievalRefused(entry))
        self._land(gap.flight, DECLINED)

    def abandon(self, gap: Gap) -> None:
        """End the flight of `gap`, whose caller gave up: a follower leads next."""
        self._land(gap.flight, FAILED)

    def after_fork(self) -> None:
        """Start anew in a child process."""
        self._flights.after_fork()
        self._meaning.after_fork()

    def reject(self, entry: Entry, error: Exception) -> None:
        """Drop an entry whose payload its adapter could not read."""
        self._tiers.drop(entry)
        self._emit(events.BackendFailed("payload", "read", type(error).__name__))

    async def _read_through(
        self, io: Io, ask: Ask, make: Callable[[], Awaitable[T]], form: Form[T]
    ) -> T:
        found = await self._lookup(io, ask, renews=True)
        if isinstance(found, Recalled):
            if found.renew is not None:
                self._renew(io, ask, found.renew, make, form)
            value = self._value(form, found)
            return await make() if value is None else value
        try:
            return await self._made(io, ask, found, make, form)
        finally:
            self.abandon(found)

    async def _made(
        self, io: Io, ask: Ask, gap: Gap, make: Callable[[], Awaitable[T]], form: Form[T]
    ) -> T:
        """Retrieve and store; where that fails, serve what may be served then."""
        began_s = self._mono_now()
        try:
            value = await make()
        except Exception:
            spare = await self._spare(io, ask)
            stored = None if spare is None else self._value(form, spare)
            # Followers who cannot be given it meet the error, or not, for themselves.
            self._land(gap.flight, DECLINED if stored is None else spare)
            if spare is None or stored is None:
                raise
            self._note(spare, ask)
            return stored
        self._keep(ask, gap, form, value, self._mono_now() - began_s)
        return value

    def _renew(
        self, io: Io, ask: Ask, gap: Gap, make: Callable[[], Awaitable[T]], form: Form[T]
    ) -> None:
        """Make an entry anew while it is served."""

        async def renew() -> None:
            began_s = self._mono_now()
            self._keep(ask, gap, form, await make(), self._mono_now() - began_s)

        self._renewals.begin(io, gap.flight, renew)

    def _value(self, form: Form[T], hit: Recalled) -> T | None:
        """Read a hit; None where it cannot be read, and is dropped."""
        try:
            return form.read(hit)
        except Exception as error:  # stored bytes may be anything
            self.reject(hit.entry, error)
            return None

    def _keep(self, ask: Ask, gap: Gap, form: Form[T], value: T, cost_s: float) -> None:
        try:
            made = form.spell(value)
        except Exception:  # foreign objects raise what they like when they are spelled
            made = "unserialisable"
        self.store(ask, gap, made, cost_s)

    async def _lookup(self, io: Io, ask: Ask, *, renews: bool) -> Recalled | Gap:
        if self._tiers.follows:
            await self._tiers.catch_up(io)
        mark = self._invalidations.mark
        states = await self._corpora.states(io, ask.corpora)
        if states is None:
            return self._note(Gap("backend", None), ask)
        sought = Sought(ask, states, mark)
        entry = self._terms.valid(self._tiers.near(ask.request.key), sought)
        found: Recalled | Gap | None = None
        if ask.controls.refresh:
            found = sought.gap("refresh")
        elif entry is not None and self._terms.phase(entry) == "fresh":
            found = self._terms.hit(entry)
        while found is None:
            found = await self._fly(io, sought, renews=renews)
        if isinstance(found, Gap):
            flight = found.flight or self._leadership.alone(sought.flight_key(), mark)
            found = found._replace(flight=self._leadership.begin(flight))
        return self._note(found, ask)

    async def _fly(self, io: Io, sought: Sought, *, renews: bool) -> Recalled | Gap | None:
        """Lead, follow, serve what is due, or search alone; None: the leader failed, try again."""
        due = self._terms.valid(self._tiers.near(sought.ask.request.key), sought)
        if due is not None and self._terms.phase(due) != "due":
            due = None
        if due is not None and renews:
            flight, leads = self._renewals.claim(sought.flight_key(), sought.mark)
        else:
            flight, leads = self._flights.claim(sought.flight_key(), io.owner(), sought.mark)
        if flight is not None and leads:
            return await self._lead(io, sought, flight, renews=renews)
        if due is not None:
            return self._terms.hit(due, stale="renewing")
        if flight is None or not self._follows or not io.may_wait():
            return await self._search(io, sought, None)
        with timed("shared_s"):
            landed = await io.join(flight, self._flights.remaining_s(flight))
        if landed is FAILED:
            return None
        if landed is DECLINED:
            return sought.gap("declined")
        hit = landed if isinstance(landed, Recalled) else self._terms.hit(landed)
        if self._leadership.outdated(flight, hit.entry):
            return None  # the leader began before that, this caller perhaps after
        return hit._replace(shared=True, renew=None)

    async def _lead(
        self, io: Io, sought: Sought, flight: Flight, *, renews: bool
    ) -> Recalled | Gap:
        """Search, and keep the flight open where something is to be made."""
        self._leadership.begin(flight)
        try:
            shares = self._follows and sought.ask.shared
            if shares:
                self._leadership.share(flight, sought.ask.request.key)
            found = await self._search(io, sought, flight)
            if shares and (isinstance(found, Gap) or found.stale):
                found = await self._take(io, sought, flight, found)
        except BaseException:
            self._land(flight, FAILED)
            raise
        if isinstance(found, Gap):
            return found._replace(flight=flight)
        if not found.stale:
            self._land(flight, found)
        if flight.landed:
            return found
        renewal = sought.gap("due", flight)
        return found._replace(renew=renewal) if renews else renewal

    async def _take(
        self, io: Io, sought: Sought, flight: Flight, found: Recalled | Gap
    ) -> Recalled | Gap:
        """Lead for all processes that share the store, or take what another one landed.

        What is due is served meanwhile, so nobody waits until it is made anew elsewhere.
        """

        def serves(entry: Entry) -> bool:
            valid = self._terms.valid(entry, sought)
            return valid is not None and self._terms.phase(valid) == "fresh"

        due = found.entry if isinstance(found, Recalled) else None
        made = await self._leadership.take(
            io, flight, sought.ask.request.key, serves, passed_over=due, waits=due is None
        )
        if isinstance(made, Entry):
            return self._terms.hit(made)._replace(shared=True)
        if made == "declined" or (made == "led" and due is not None):
            self._land(flight, DECLINED)
            return sought.gap("declined") if due is None else found
        return found

    async def _search(self, io: Io, sought: Sought, flight: Flight | None) -> Recalled | Gap:
        """Look in memory again, since another leader may have landed; then further away."""
        request = self._never.judge(sought.ask.request)
        entry = self._terms.valid(self._tiers.near(request.key), sought)
        keys = (request.key,) if sought.ask.shared else ()
        if entry is not None or not (
            self._meaning.comparable(request) and self._tiers.asks_at_once(keys)
        ):
            kept = await self._kept(io, sought, entry)
            if kept is not None:
                return kept
            keys = ()
        timely: list[Recalled] = []

        def serves(entry: Entry, _: Request) -> bool:
            return self._serves(entry, sought)

        def exactly(entry: Entry, _: Request) -> bool:
            hit = self._terms.timely(self._terms.valid(entry, sought))
            timely.extend([] if hit is None else [hit])
            return hit is not None

        found = await self._meaning.find(io, request, flight, serves, keys=keys, exactly=exactly)
        if found.entry is None:
            return sought.gap(found.reason, similarity=found.similarity)
        semantic = self._terms.hit(found.entry, "semantic", found.similarity or 0.0)
        return timely[0] if timely else semantic

    async def _kept(self, io: Io, sought: Sought, entry: Entry | None) -> Recalled | None:
        """Return what is served of `entry`, or of a fresher one in the shared store."""
        if sought.ask.shared and (entry is None or self._terms.phase(entry) != "fresh"):
            stored = await self._tiers.fetch(io, sought.ask.request.key)
            entry = self._terms.valid(stored, sought) or entry
        return self._terms.timely(entry)

    async def _spare(self, io: Io, ask: Ask) -> Recalled | None:
        """Return what may be served where retrieving failed, as the documents are now."""
        states = await self._corpora.states(io, ask.corpora)
        if states is None:
            return None
        sought = Sought(ask, states, self._invalidations.mark)
        entry = self._terms.valid(self._tiers.near(ask.request.key), sought)
        if entry is None and ask.shared:
            entry = self._terms.valid(await self._tiers.fetch(io, ask.request.key), sought)
        if entry is None or self._terms.phase(entry) == "over":
            return None
        return self._terms.hit(entry, stale="error")

    def _serves(self, entry: Entry, sought: Sought) -> bool:
        """Whether `entry` may be served by meaning; drops it when it never will again."""
        if entry.expires_s <= self._wall_now() or sought.outlived(entry):
            self._tiers.drop(entry)
            return False
        return self._terms.by_meaning(entry, sought)

    def _note(self, found: Recalled | Gap, ask: Ask) -> Recalled | Gap:
        """Report the outcome of a lookup, and count what is wanted."""
        self._popularity.note(ask.request.key)
        if isinstance(found, Gap):
            self._emit(events.RetrievalMiss(found.reason, found.similarity))
            missed(found.reason, found.similarity)
        else:
            self._emit(events.RetrievalHit(found.tier, found.entry.id, *found[2:6]))
        return found

    def _land(self, flight: Flight | None, outcome: object) -> None:
        if flight is not None:
            self._flights.land(flight, outcome)
