"""Entries on a Redis server (6 or later, or Valkey), shared by all processes that reach it.

Nothing beyond plain Redis is needed: entries by key, with their expiry; which entries there are,
what others changed, and the changes of corpora. A server that can search finds what is near by
itself (`redis_search`); otherwise each process does, over the entries it was told of. Each change
is one script (`redis_changes`), hence whole or not at all, and numbered by the server.

What others do is pushed (`redis_news`), so a lookup costs one round trip where memory has nothing,
and none where it has. A push may be lost with its connection without anybody's knowing, so what was
not confirmed for a second is asked for again: that is how long a removed entry may at most be
served by another process that reaches the server.

An entry is kept as `codec` bytes, and what is served is what they, and
their seal, say. Bytes that are not the entry asked for, and names of another kind, are a miss and
an event. Every other failure is a `StoreError`, within the deadline, and the caller goes on without
the store.
"""

from __future__ import annotations

import time
from functools import partial
from itertools import chain, starmap
from typing import TYPE_CHECKING, Any, TypeVar

from accel_core.errors import StoreError
from accel_core.events import BackendFailed, StoreSwept
from accel_core.policy.corpus import MAX_NAMED
from accel_core.policy.seal import Seal
from accel_core.ports import Changes, CorpusChanges, Located
from accel_core.searching import Nearby
from accel_core.store.redis_changes import CHANGES, PLACE, REMOVE, SAVE, Page
from accel_core.store.redis_corpora import ADD_CHANGE, READ_CHANGES
from accel_core.store.redis_flights import RedisFlights
from accel_core.store.redis_link import RedisLink
from accel_core.store.redis_news import RedisNews
from accel_core.store.redis_rows import RedisRows, Row
from accel_core.store.redis_scripts import Names, expires_ms, place
from accel_core.store.redis_search import RedisSearch
from accel_core.store.redis_selection import SELECT, conditions, fingerprint
from accel_core.vectors import coarse_cosine

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence

    from accel_core.events import Event
    from accel_core.inspection import Stored
    from accel_core.leases import Lease, Wanted
    from accel_core.ports import Entry, Observer, Selector, Vector
    from accel_core.store.redis_access import Server
    from accel_core.store.redis_scripts import Script
    from accel_core.store.redis_search import Search

T = TypeVar("T")

# A revision handed out holds two: how far removals were told, and how far entries were. They
# differ while a reader pages through the entries of a state whose removals it already has.
_HALF = 1 << 62

_CONFIRM_S = 1.0
"""How long the pushed news are believed before the server is asked again."""

# The server does nothing else while a script runs: a page is a millisecond or so.
_SAVED = 64
_PLACED = 8
"""Where the server searches: placing one takes half a millisecond."""
_REMOVED = 256
_READ = 128
_LEARNED = 1_000
_SELECTED = 500


class RedisStore:
    """A bounded `SearchingStore` and `ChangeLog` on a server, with `SharedFlights`.

    Args:
        server: a URL (``redis://``, ``rediss://`` for TLS, ``unix://``; user and password in it,
            percent-encoded), of any node where it is a cluster, or a client of redis-py, whose
            place, user and certificates are taken over, and not its deadlines.
        prefix: what its names begin with; stores of different prefixes share nothing.
        search: who searches by meaning: the server's ``query_engine`` or its ``vector_sets``, each
            ``process`` for itself, or ``auto``: the first of these that there is.
        seal: signs what is stored and refuses what was not signed; None: neither.
        max_entries: the most entries held; expired ones leave first, then the oldest.
        lookup_timeout_s: the longest wait for a connection, and for each answer, in a lookup.
        write_timeout_s: the same for everything else.
        on_event: told of bytes that were refused, of a server that cannot be reached at first or
            cannot search, and of what was cleaned away.
        mono_now: monotonic clock, seconds.

    Raises:
        ConfigError: the URL, or the prefix, is none.
    """

    blocking = True

    def __init__(
        self,
        server: Server,
        *,
        prefix: str = "accel",
        search: Search = "auto",
        seal: Seal | None = None,
        max_entries: int = 100_000,
        lookup_timeout_s: float = 0.05,
        write_timeout_s: float = 1.0,
        on_event: Observer | None = None,
        mono_now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seal = seal if seal is not None else Seal()
        self._prefix, self._max_entries = prefix, max_entries
        self._on_event, self._mono_now = on_event, mono_now
        self._names = Names(prefix)
        self._link = RedisLink(
            server, lookup_timeout_s=lookup_timeout_s, write_timeout_s=write_timeout_s
        )
        self._news = RedisNews(self._link, self._names.news)
        self._search = RedisSearch(self._link, self._names, search, self._emit)
        self._rows = RedisRows(self._seal, partial(self._tell, "read"))
        self._flights = flights = RedisFlights(
            self._link, self._names, read=self._rows.entries, report=self._tell, mono_now=mono_now
        )
        self.claim, self.land, self.end = flights.claim, flights.land, flights.end
        self.outdate, self.mark, self.outdated = flights.outdate, flights.mark, flights.outdated
        # Others' changes up to this revision were told, later ones are pushed by this connection;
        # as of then.
        self._known, self._by, self._confirmed_s = 0, 0, float("-inf")
        self._invalidations = 0
        self._glances, self._glanced_s = 0, float("-inf")
        self._checked = 0
        self._begin()

    def fetch(self, key: bytes) -> Entry | None:
        """Return the entry under `key`, or None; bytes that are not that entry are None."""
        return self.fetch_many([key]).get(key)

    def fetch_many(self, keys: Collection[bytes]) -> dict[bytes, Entry]:
        """Return the entries under `keys` by their key; bytes that are not that entry are left out.

        One round trip, however many there are.
        """
        if not keys:
            return {}
        return {entry.key: entry for entry in self._rows.entries(self._search.fetch(keys))}

    def inspect(self, keys: Collection[bytes]) -> dict[bytes, Stored]:
        """Return what is kept under `keys` by their key, readable or not, and no event."""
        if not keys:
            return {}
        return {row.key: self._rows.inspected(row) for row in self._search.fetch(keys)}

    def searches(self) -> bool:
        """Whether the server searches by meaning, as far as is known by now."""
        return self._search.on_server

    def find(
        self,
        keys: Sequence[bytes],
        scope: bytes,
        encoder: str,
        vector: Vector | None,
        limit: int,
        *,
        spare: int = 0,
        beside: Sequence[bytes] = (),
        wanted: Wanted | None = None,
    ) -> Nearby:
        """Return the entries under `keys`, and those nearest to `vector`, in one round trip."""
        find = partial(
            self._search.find, keys, scope, encoder, vector, limit, spare=spare, beside=beside
        )
        rows, claimed = self._flights.claim_by(find, wanted)
        if rows.swept:
            self._emit(StoreSwept("redis", 0, rows.swept))
        exact = [entry for entry, _ in self._rows.bare(rows.exact)]
        return Nearby(exact, self._near(rows.near, scope, encoder, vector), claimed)

    def save(self, entries: Sequence[Entry]) -> None:
        """Store `entries`, replacing those with the same key; expired ones are removed."""
        self._listen()
        self._search.prepare()
        for page in _pages(entries, _PLACED if self._search.on_server else _SAVED):
            leases = self._flights.landing(page)
            rows = [part for row in map(self._row, page, leases) for part in row]
            left, outdated, swept, problem, late, reached = self._change(
                "save", SAVE, self._search.by, self._max_entries, *rows
            )
            self._flights.landed(page)
            if left or outdated:
                # Entries left for these, or are outdated, and who saved does not know which.
                self._by = 0
            if left or swept:
                self._emit(StoreSwept("redis", left, swept))
            for refused in (problem, reached and self._place(starmap(Row, late), reached)):
                if refused:
                    self._tell("search by meaning", refused.decode(errors="replace"))

    def select(self, selector: Selector) -> list[bytes]:
        """Return the keys of the entries that `selector` means, changing nothing.

        Looks at all entries, page by page; what is stored meanwhile may be among them or not.
        """
        meant: dict[bytes, None] = {}
        key = selector.key or b""
        after: object = 0
        looked = _SELECTED
        while looked == _SELECTED:
            after, looked, found = self._link.ask_at_length(
                "select",
                SELECT,
                [self._names.order],
                *(self._names.entries, after, _SELECTED, key),
                *conditions(selector),
            )
            meant.update(dict.fromkeys(found))
        return list(meant)

    def remove(self, keys: Collection[bytes]) -> int:
        """Remove `keys` and return how many were there."""
        return self._remove([(key, "") for key in keys])

    def discard(self, entries: Sequence[Entry]) -> None:
        """Remove `entries`, and leave what was stored under a key of theirs later."""
        self._remove([(entry.key, entry.created_s) for entry in entries])

    def stirred(self) -> bool:
        """Whether there may be changes that `changes` has not told, other than this store's own."""
        heard = self._news.heard()
        return (
            heard is None
            or heard.connection != self._by
            or heard.revision > self._known
            or heard.outdated != self._invalidations
            or self._mono_now() - self._confirmed_s > _CONFIRM_S
        )

    def changes(self, since: int, limit: int) -> Changes:
        """Return up to `limit` entries stored after revision `since`, and all removals after it.

        What a reader holds under such a key, too, is out of date. `removed` also names entries
        that were replaced by one that cannot be located. A reset starts again from the beginning
        and includes its first entries.
        """
        # Before anything is read, so that whatever is not read is pushed.
        now_s, connection, heard = self._mono_now(), self._listen(), self._news.heard()
        bodies = not self._search.on_server
        told, after = divmod(since, _HALF)
        page = self._page(told, after, limit, first=True, bodies=bodies)
        revision, removed, reset, stored = page.revision, page.removed, page.reset, page.stored
        while not page.last and len(stored) < limit:
            left = limit - len(stored)
            page = self._page(revision, page.after, left, first=False, bodies=bodies)
            stored += page.stored
        after = page.after
        if page.last:
            after = page.revision
            self._known, self._by, self._confirmed_s = revision, connection, now_s
            self._invalidations = 0 if heard is None else heard.outdated
        reached = revision * _HALF + after
        if not bodies:
            return Changes([], removed, reached, reset, stored)
        located = [
            Located(entry.key, entry.scope, entry.encoder, entry.vector)
            for entry in self._rows.entries(starmap(Row, stored))
            if entry.vector is not None
        ]
        return Changes(located, removed, reached, reset)

    def glance(self) -> Hashable:
        """Return a value that differs when another process may have changed something."""
        heard = self._news.heard()
        if heard is None:
            return object()
        now_s = self._mono_now()
        if now_s - self._glanced_s > _CONFIRM_S:
            self._glances, self._glanced_s = self._glances + 1, now_s
        return heard.connection, heard.corpora, self._glances

    def read_changes(self, corpus: bytes, since: int) -> CorpusChanges:
        """Return what happened to `corpus` after revision `since`; all 0 where nothing ever did."""
        self._listen()
        names = self._names.corpus(corpus)[:2]
        revision, everything, changed = self._link.ask(
            "read changes of", READ_CHANGES, names, since
        )
        documents = dict(zip(changed[::2], map(int, changed[1::2]), strict=True))
        return CorpusChanges(int(revision), int(everything), documents)

    def add_change(self, corpus: bytes, documents: Collection[bytes] | None) -> None:
        """Number a change of `corpus`; None for `documents`: it may concern everything."""
        named = documents is not None and len(documents) <= MAX_NAMED
        self._link.publish(
            "change",
            ADD_CHANGE,
            self._names.corpus(corpus),
            *(self._news.writer, int(named), *(documents if documents and named else ())),
        )
        self._glances += 1

    def flush(self) -> None:
        """Do nothing: a save returns when the server has it."""

    def close(self) -> None:
        """Close the connections. Calling it again does nothing."""
        self._flights.close()
        self._news.close()
        self._link.close()

    def __repr__(self) -> str:
        return f"RedisStore({self._link!r}, prefix={self._prefix!r}, seal={self._seal!r})"

    def _begin(self) -> None:
        """Be ready for the first lookup; without the server it will be a miss."""
        try:
            self._listen()
        except StoreError as error:
            self._tell(error.operation, error.detail)

    def _listen(self) -> int:
        """Return the number of the connection that news come by, and check a new server."""
        connection = self._news.listen()
        if connection != self._checked:
            self._search.look()
            self._checked = connection
            policy = self._link.eviction_policy()
            if policy.startswith("allkeys"):
                problem = "may drop what finds entries, and forget() would miss some"
                self._tell("rely on", f"maxmemory-policy {policy} {problem}: set volatile-lru")
        return connection

    def _change(self, operation: str, script: Script, *arguments: Any) -> Any:
        return self._link.publish(
            operation,
            script,
            self._names.kept,
            *(self._names.entries, self._news.writer, self._search.sets, *arguments),
        )

    def _remove(self, meant: Sequence[tuple[bytes, object]]) -> int:
        """Remove entries by key, and by when they were stored where that is given."""
        pages = _pages(meant, _REMOVED)
        return sum(self._change("remove", REMOVE, *chain(*page)) for page in pages)

    def _page(self, told: int, after: int, limit: int, *, first: bool, bodies: bool) -> Page:
        most = min(limit, _READ if bodies else _LEARNED)
        revision, reset, removed, reached, looked, stored, last, records = self._link.ask(
            "read changes of",
            CHANGES,
            self._names.kept,
            *(self._names.entries, self._news.writer, self._search.sets),
            *(told, after, most, int(first), int(bodies), self._flights.mark()),
        )
        removed += self._flights.hear(int(last), records)
        return Page(int(revision), bool(reset), removed, int(reached), looked < most, stored)

    def _row(self, entry: Entry, lease: Lease | None) -> tuple[Any, ...]:
        """Spell `entry` for `SAVE`, and the lease that it ends."""
        body, vector = self._rows.spelled(entry)
        where = place(entry.scope, entry.encoder) if vector else b""
        row = (entry.key, body, expires_ms(entry), fingerprint(entry), where)
        return *row, self._search.spelled(vector), *self._flights.spelled(lease)

    def _near(
        self, rows: Sequence[Row], scope: bytes, encoder: str, vector: Vector | None
    ) -> list[tuple[Entry, float]]:
        """Return the entries of a place, and how near they are."""
        if vector is None:
            return []
        read = self._rows.bare(rows)
        # A place is a digest of both, and by hand anything can be written there.
        there = [pair for pair in read if (pair[0].scope, pair[0].encoder) == (scope, encoder)]
        if len(there) < len(read):
            self._tell("read", f"{len(read) - len(there)} entries are refused: scope")
        near = ((entry, coarse_cosine(small, vector)) for entry, small in there)
        return [(entry, cosine) for entry, cosine in near if cosine is not None]

    def _place(self, late: Iterable[Row], reached: bytes) -> Any:
        """Give entries, stored when nothing searched, their place, up to a revision."""
        rows = [
            (entry.key, place(entry.scope, entry.encoder), self._search.spelled(entry.vector))
            for entry in self._rows.entries(late)
            if entry.vector
        ]
        return self._change("place", PLACE, self._search.by, reached, *chain(*rows))

    def _tell(self, operation: str, what: str) -> None:
        self._emit(BackendFailed("redis", operation, what))

    def _emit(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)


def _pages(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
