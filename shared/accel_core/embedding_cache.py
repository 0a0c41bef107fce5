"""Vectors again: texts that were embedded before, or are being embedded now, are not sent again.

One call brings many texts. Those in memory are served; of the rest, those that another call is
asking for are waited for, and what is left goes to the store, and then to the model, as one smaller
batch. Vectors come back float for float as the model gave them; what is no list of finite floats
passes through unkept.

Invariants: a call never waits for another while one waits for it, so it asks for its own texts
first; every flight it leads ends with it, whatever the model does; nothing is served past its time,
across a scope, or after its invalidation returned; a failing store costs speed and an event.

Written once over `Io`; imports neither threads nor loops nor clocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from accel_core import events
from accel_core.drive import blocking
from accel_core.drive.flight import DECLINED, FAILED
from accel_core.entries import entry_of
from accel_core.policy.canonical import Unidentifiable, canonical_json
from accel_core.policy.exact_vector import read_vector, spell_vector
from accel_core.policy.identity import Turn
from accel_core.recording import missed, timed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from accel_core.drive.flight import Flight, FlightTable
    from accel_core.drive.invalidations import Invalidations
    from accel_core.policy.controls import Controls
    from accel_core.policy.expiry import TtlPolicy
    from accel_core.policy.identity import Identifier, Prompt, Request
    from accel_core.ports import Entry, Io, Observer, Selector
    from accel_core.tiers import Tiers

    Embed = Callable[[list[str]], Sequence[Any]]
    """Asks the model: one vector for each text, in order."""
    AsyncEmbed = Callable[[list[str]], Awaitable[Sequence[Any]]]


T = TypeVar("T")

_QUICK = 16
"""Texts named, read or kept on the loop itself: some milliseconds with 1,536 numbers each."""


class _Round(NamedTuple):
    """What one pass over the missing texts does about each."""

    asked: dict[bytes, tuple[Request, Flight | None]]
    followed: list[tuple[Request, Flight]]


class _Call:
    """One call's texts: who they are, what was found, and how."""

    def __init__(self, requests: list[Request], texts: list[str], tags: tuple[str, ...]) -> None:
        self.requests = requests
        self.tags = tags
        self.texts = {r.key: text for r, text in zip(requests, texts, strict=True)}
        self.found: dict[bytes, Any] = {}
        self.alone: set[bytes] = set()
        self.asked = self.shared = 0

    @property
    def missing(self) -> list[Request]:
        """The requests without a vector, each once."""
        distinct = {request.key: request for request in self.requests}
        return [request for key, request in distinct.items() if key not in self.found]

    def vectors(self) -> list[Any]:
        """Return a vector for each text, none of them the same list."""
        given: set[bytes] = set()
        vectors: list[Any] = []
        for request in self.requests:
            vector = self.found[request.key]
            vectors.append(copy(vector) if request.key in given else vector)
            given.add(request.key)
        return vectors

    def served(self) -> events.EmbeddingsServed:
        """Say how the vectors were found."""
        cached = len(self.found) - self.asked - self.shared
        return events.EmbeddingsServed(cached, self.shared, self.asked)


class _Miscounted(Exception):  # noqa: N818 - inside this module; the model is then asked plainly
    """The model did not return one vector for each text."""


class EmbeddingCache:
    """Vectors by model, purpose and text.

    Args:
        tiers: hold the entries, in memory and in a store behind it.
        flights: the single-flight table; None: every miss asks the model.
        ttl: lifetime of entries.
        identifier: names requests.
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
        ttl: TtlPolicy,
        identifier: Identifier,
        *,
        invalidations: Invalidations,
        colours: tuple[Io, Io],
        emit: Observer,
        wall_now: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._tiers, self._flights, self._ttl = tiers, flights, ttl
        self._identifier, self._invalidations = identifier, invalidations
        self._blocking, self._aio = colours
        self._emit, self._wall_now, self._chance = emit, wall_now, chance

    def vectors(
        self, prompt: Prompt, texts: list[str], controls: Controls, embed: Embed
    ) -> Sequence[Any]:
        """Return one vector for each of `texts`, in order.

        Args:
            prompt: model and purpose, tenant and namespace; without turns.
            texts: what to embed.
            controls: whom the vectors concern.
            embed: asks the model, with the texts that are missing.

        Raises:
            Exception: what the model raised.
        """

        async def ask(missing: list[str]) -> Sequence[Any]:
            return embed(missing)

        return blocking.run(self._vectors(self._blocking, prompt, texts, controls, ask))

    async def avectors(
        self, prompt: Prompt, texts: list[str], controls: Controls, embed: AsyncEmbed
    ) -> Sequence[Any]:
        """Async form of `vectors`."""
        return await self._vectors(self._aio, prompt, texts, controls, embed)

    def invalidate(self, meant: Sequence[Selector], *, dry_run: bool = False) -> list[str]:
        """Remove what any selector means, everywhere; return the ids, sorted.

        With `dry_run` nothing is removed. A store's failure is raised.
        """
        return blocking.run(self._invalidate(self._blocking, meant, dry_run=dry_run))

    async def ainvalidate(self, meant: Sequence[Selector], *, dry_run: bool = False) -> list[str]:
        """Async form of `invalidate`."""
        return await self._invalidate(self._aio, meant, dry_run=dry_run)

    def flush(self) -> bool:
        """Return when everything kept so far is where it belongs, durably; whether it is."""
        return self._tiers.flush()

    def close(self, timeout_s: float | None = None) -> None:
        """Write what is queued, for `timeout_s` at most, and release the store."""
        self._tiers.close(timeout_s)

    def after_fork(self) -> None:
        """Start anew in a child process."""
        self._tiers.after_fork()
        if self._flights is not None:
            self._flights.after_fork()

    async def _vectors(
        self, io: Io, prompt: Prompt, texts: list[str], controls: Controls, embed: AsyncEmbed
    ) -> Sequence[Any]:
        try:
            requests = await _called(io, len(texts), self._named, prompt, texts)
        except Unidentifiable:
            self._emit(events.CacheBypassed("unidentifiable"))
            missed("unidentifiable")
            return await embed(texts)
        call = _Call(requests, texts, controls.user_tags)
        await self._tiers.catch_up(io)
        await _called(io, len(texts), self._serve, call, self._near(call.missing))
        missed("no_entry")
        try:
            while missing := call.missing:
                await self._fly(io, call, missing, embed)
        except _Miscounted:
            self._emit(events.CacheRefused("unsupported"))
            return await embed(texts)
        self._emit(call.served())
        return call.vectors()

    def _named(self, prompt: Prompt, texts: list[str]) -> list[Request]:
        # Spelled once: the model is the same for every text.
        shared = prompt._replace(model=canonical_json(prompt.model))
        identify = self._identifier.identify
        return [identify(shared._replace(turns=(Turn("user", (text,)),))) for text in texts]

    async def _fly(self, io: Io, call: _Call, missing: list[Request], embed: AsyncEmbed) -> None:
        """Ask for what nobody asks for, then wait for the rest; what failed there stays missing."""
        mark = self._invalidations.mark
        flown = self._claim(io, call, missing, mark)
        try:
            await self._ask(io, call, flown.asked, mark, embed)
        finally:
            for _, flight in flown.asked.values():
                self._land(flight, FAILED)  # nothing where it landed before
        for request, flight in flown.followed:
            with timed("shared_s"):
                landed = await io.join(flight, self._remaining_s(flight))
            if landed is DECLINED:
                call.alone.add(request.key)
            elif landed is not FAILED:
                call.shared += self._serve(call, [landed])

    def _claim(self, io: Io, call: _Call, missing: list[Request], mark: int) -> _Round:
        """Say which of `missing` this call asks for itself, and which it waits for."""
        flown = _Round({}, [])
        flights = self._flights
        # Those in the air first: who leads may not follow any more.
        for request in sorted(missing, key=lambda r: not flights or not flights.current(r.key)):
            flight, leads = None, False
            if flights is not None and request.key not in call.alone:
                flight, leads = flights.claim(request.key, io.owner(), mark)
            if flight is not None and not leads and io.may_wait():
                flown.followed.append((request, flight))
            else:
                flown.asked[request.key] = (request, flight if leads else None)
        return flown

    async def _ask(
        self,
        io: Io,
        call: _Call,
        asked: dict[bytes, tuple[Request, Flight | None]],
        mark: int,
        embed: AsyncEmbed,
    ) -> None:
        """Find in the store, or ask the model for, what `asked` holds, and land its flights."""
        if not asked:
            return
        requests = [request for request, _ in asked.values()]
        # Another leader may have landed between the first look and the claim.
        entries = self._near(requests)
        if self._tiers.shared:
            found = {entry.key for entry in entries}
            rest = [request for request in requests if request.key not in found]
            entries += await io.call(self._stored, rest)
        await _called(io, len(entries), self._serve, call, entries)
        for entry in entries:
            self._land(asked[entry.key][1], entry)
        rest = [request for request in requests if request.key not in call.found]
        if not rest:
            return
        answer = await embed([call.texts[request.key] for request in rest])
        vectors = list(answer) if isinstance(answer, Iterable) else []
        if len(vectors) != len(rest):
            raise _Miscounted
        call.asked += len(rest)
        flights = [asked[request.key][1] for request in rest]
        await _called(io, len(rest), self._keep_all, call, rest, vectors, flights, mark)

    def _near(self, requests: Iterable[Request]) -> list[Entry]:
        """Return the entries of `requests` that are in memory and in their time."""
        found = (self._tiers.near(request.key) for request in requests)
        return [entry for entry in found if entry is not None and self._lives(entry)]

    def _stored(self, requests: list[Request]) -> list[Entry]:
        """Return the entries of `requests` that are in the store and in their time; blocks."""
        found: list[Entry] = []
        for request in requests:
            for key in (request.key, *request.aliases):
                entry = blocking.run(self._tiers.find(self._blocking, key))
                if entry is not None and self._lives(entry):
                    found.append(_as(request, entry))
                    break
        return found

    def _lives(self, entry: Entry) -> bool:
        """Whether `entry` is in its time; drops it when it is too old."""
        if entry.expires_s > self._wall_now():
            return True
        self._tiers.drop(entry)
        self._emit(events.CacheEvicted(entry.id, "expired"))
        return False

    def _serve(self, call: _Call, entries: Iterable[Entry]) -> int:
        """Take the vectors of `entries`; return of how many. One that cannot be read is dropped."""
        served = 0
        for entry in entries:
            try:
                call.found[entry.key] = read_vector(entry.payload)
                served += 1
            except ValueError as error:
                self._tiers.drop(entry)
                self._emit(events.BackendFailed("payload", "read", type(error).__name__))
        return served

    def _keep_all(
        self,
        call: _Call,
        requests: list[Request],
        vectors: list[Any],
        flights: list[Flight | None],
        mark: int,
    ) -> None:
        """Take `vectors`, keep them, and land their flights."""
        for request, vector, flight in zip(requests, vectors, flights, strict=True):
            call.found[request.key] = vector
            kept = self._keep(request, vector, call.tags, mark)
            self._land(flight, DECLINED if kept is None else kept)

    def _keep(
        self, request: Request, vector: Any, tags: tuple[str, ...], mark: int
    ) -> Entry | None:
        """Keep `vector` and return its entry; None where it may not be kept."""
        payload = spell_vector(vector)
        if payload is None:
            self._emit(events.CacheRefused("unsupported"))
            return None
        entry = entry_of(
            request,
            payload,
            created_s=self._wall_now(),
            lifetime_s=self._ttl.lifetime_s(self._chance()),
            tags=tags,
        )
        self._tiers.keep(entry, None)
        # After keeping, so that an invalidation is either seen here or sees the entry.
        if self._invalidations.since(mark, entry):
            self._tiers.drop(entry)
            self._emit(events.CacheRefused("invalidated"))
            return None
        return entry

    async def _invalidate(self, io: Io, meant: Sequence[Selector], *, dry_run: bool) -> list[str]:
        if not dry_run:
            # Before removing, so that a vector under way is either removed here or refused later.
            self._invalidations.add(meant)
        keys: set[bytes] = set()
        for selector in meant:
            keys |= await self._tiers.select(io, selector)
        if keys and not dry_run:
            await self._tiers.remove(io, keys)
            self._emit(events.CacheInvalidated(len(keys)))
        return sorted(key.hex() for key in keys)

    def _remaining_s(self, flight: Flight) -> float:
        return 0.0 if self._flights is None else self._flights.remaining_s(flight)

    def _land(self, flight: Flight | None, outcome: object) -> None:
        if flight is not None and self._flights is not None:
            self._flights.land(flight, outcome)


async def _called(io: Io, texts: int, function: Callable[..., T], *args: Any) -> T:
    """Call `function`; off the loop where it works on many texts, for each takes a while."""
    return await io.call(function, *args) if texts > _QUICK else function(*args)


def _as(request: Request, entry: Entry) -> Entry:
    """Return `entry` under the key of `request`: it may lie under an earlier secret's."""
    return entry if entry.key == request.key else replace(entry, key=request.key)
