"""Entries on a Redis server (6 or later, or Valkey), shared by all processes that reach it.

Nothing beyond plain Redis is needed: entries by key, with their expiry; which entries there are,
what others changed, and the changes of corpora. Search by meaning stays in each process, over the
entries it was told of. Names and scripts are in `redis_scripts`; each change is one script, hence
whole or not at all, and numbered by the server.

What others do is pushed (`redis_news`), so a lookup costs one round trip where memory has nothing,
and none where it has. A push may be lost with its connection without anybody's knowing, so what was
not confirmed for a second is asked for again: that is how long a removed entry may at most be
served by another process that reaches the server.

An entry is kept as `codec` bytes, and what is served is what they, and their seal, say. Bytes that
are not the entry asked for are a miss and an event. Every other failure is a `StoreError`, within
the deadline, and the caller goes on without the store.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from accel_core.errors import StoreError
from accel_core.events import BackendFailed
from accel_core.policy.corpus import MAX_NAMED
from accel_core.policy.seal import Seal
from accel_core.ports import Changes, CorpusChanges, Located
from accel_core.store import codec, redis_scripts
from accel_core.store.redis_link import RedisLink
from accel_core.store.redis_news import RedisNews
from accel_core.store.redis_scripts import Names, conditions, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence

    import redis

    from accel_core.inspection import Stored
    from accel_core.ports import Entry, Observer, Selector
    from accel_core.store.redis_scripts import Script

T = TypeVar("T")

# A revision handed out holds two: how far removals were told, and how far entries were. They
# differ while a reader pages through the entries of a state whose removals it already has.
_HALF = 1 << 62

_CONFIRM_S = 1.0
"""How long the pushed news are believed before the server is asked again."""

# The server does nothing else while a script runs: a page is a millisecond or so.
_SAVED = 64
_REMOVED = 256
_READ = 128
_SELECTED = 500

_LATEST_MS = 1 << 52
"""Expiry stamps stay below, which float64 and Redis hold exactly; it is the year 144,683."""


class RedisStore:
    """A bounded `SharedStore` and `ChangeLog` on a server.

    Args:
        server: a URL (``redis://``, ``rediss://`` for TLS, ``unix://``; user and password in it,
            percent-encoded), or a client, whose place, user and certificates are taken over, and
            not its deadlines.
        prefix: what its names begin with; stores of different prefixes share nothing.
        seal: signs what is stored and refuses what was not signed; None: neither.
        max_entries: the most entries held; expired ones leave first, then the oldest.
        lookup_timeout_s: the longest wait for a connection, and for each answer, in a lookup.
        write_timeout_s: the same for everything else.
        on_event: told of bytes that were refused, and of a server that cannot be reached at first.
        mono_now: monotonic clock, seconds.

    Raises:
        ConfigError: the URL, or the prefix, is none.
    """

    blocking = True

    def __init__(
        self,
        server: str | redis.Redis,
        *,
        prefix: str = "accel",
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
        self._news = RedisNews(self._link.connection, self._names.news)
        # Others' changes up to this revision were told, later ones are pushed by this connection;
        # as of then.
        self._known, self._by, self._confirmed_s = 0, 0, float("-inf")
        self._glances, self._glanced_s = 0, float("-inf")
        self._checked = 0
        self._begin()

    def fetch(self, key: bytes) -> Entry | None:
        """Return the entry under `key`, or None; bytes that are not that entry are None."""
        body = self._link.get("fetch", self._names.entry + key.hex())
        return None if body is None else self._entries([(key, body)]).get(key)

    def fetch_many(self, keys: Collection[bytes]) -> dict[bytes, Entry]:
        """Return the entries under `keys` by their key; bytes that are not that entry are left out.

        One round trip, however many there are.
        """
        return self._entries(self._bodies(keys))

    def inspect(self, keys: Collection[bytes]) -> dict[bytes, Stored]:
        """Return what is kept under `keys` by their key, readable or not, and no event."""
        return {key: codec.inspected(body, key, self._seal) for key, body in self._bodies(keys)}

    def save(self, entries: Sequence[Entry]) -> None:
        """Store `entries`, replacing those with the same key; expired ones are removed."""
        for page in _pages(entries, _SAVED):
            rows: list[Any] = []
            for entry in page:
                expires_ms = int(min(entry.expires_s * 1000, _LATEST_MS))
                body = codec.encode(entry, self._seal)
                rows += (entry.key.hex(), body, expires_ms, fingerprint(entry))
            if self._change("save", redis_scripts.SAVE, self._max_entries, *rows):
                # Entries left for these, and who saved does not know which.
                self._by = 0

    def select(self, selector: Selector) -> list[bytes]:
        """Return the keys of the entries that `selector` means, changing nothing.

        Looks at all entries, page by page; what is stored meanwhile may be among them or not.
        """
        meant: dict[bytes, None] = {}
        key = "" if selector.key is None else selector.key.hex()
        after: object = 0
        looked = _SELECTED
        while looked == _SELECTED:
            after, looked, found = self._link.ask_at_length(
                "select",
                redis_scripts.SELECT,
                self._names.entries,
                *(self._names.entry, self._news.writer, after, _SELECTED, key),
                *conditions(selector),
            )
            meant.update(dict.fromkeys(_keys(found)))
        return list(meant)

    def remove(self, keys: Collection[bytes]) -> int:
        """Remove `keys` and return how many were there."""
        pages = _pages(list(keys), _REMOVED)
        return sum(
            self._change("remove", redis_scripts.REMOVE, *(key.hex() for key in page))
            for page in pages
        )

    def stirred(self) -> bool:
        """Whether there may be changes that `changes` has not told, other than this store's own."""
        heard = self._news.heard()
        return (
            heard is None
            or heard.connection != self._by
            or heard.revision > self._known
            or self._mono_now() - self._confirmed_s > _CONFIRM_S
        )

    def changes(self, since: int, limit: int) -> Changes:
        """Return up to `limit` entries located after revision `since`, and all removals after it.

        What a reader holds under a located key, too, is out of date. `removed` also names entries
        that were replaced by one that cannot be located. A reset starts again from the beginning
        and includes its first entries.
        """
        # Before anything is read, so that whatever is not read is pushed.
        now_s, connection = self._mono_now(), self._listen()
        told, after = divmod(since, _HALF)
        page = self._page(told, after, limit, first=True)
        revision, removed, reset = page.revision, page.removed, page.reset
        bodies = page.bodies
        while not page.last and len(bodies) < limit:
            page = self._page(revision, page.after, limit - len(bodies), first=False)
            bodies += page.bodies
        after = page.after
        if page.last:
            after = page.revision
            self._known, self._by, self._confirmed_s = revision, connection, now_s
        return Changes(self._located(bodies), removed, revision * _HALF + after, reset)

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
            "read changes of", redis_scripts.READ_CHANGES, names, since
        )
        documents = dict(zip(changed[::2], map(int, changed[1::2]), strict=True))
        return CorpusChanges(int(revision), int(everything), documents)

    def add_change(self, corpus: bytes, documents: Collection[bytes] | None) -> None:
        """Number a change of `corpus`; None for `documents`: it may concern everything."""
        named = documents is not None and len(documents) <= MAX_NAMED
        self._link.publish(
            "change",
            redis_scripts.ADD_CHANGE,
            self._names.corpus(corpus),
            *(
                self._news.writer,
                int(named),
                *(documents if documents is not None and named else ()),
            ),
        )
        self._glances += 1

    def flush(self) -> None:
        """Do nothing: a save returns when the server has it."""

    def close(self) -> None:
        """Close the connections. Calling it again does nothing."""
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
            self._checked = connection
            policy = self._link.eviction_policy()
            if policy.startswith("allkeys"):
                problem = "may drop what finds entries, and forget() would miss some"
                self._tell("rely on", f"maxmemory-policy {policy} {problem}: set volatile-lru")
        return connection

    def _change(self, operation: str, script: Script, *arguments: Any) -> int:
        changed: int = self._link.publish(
            operation, script, self._names.entries, self._names.entry, self._news.writer, *arguments
        )
        return changed

    def _page(self, told: int, after: int, limit: int, *, first: bool) -> _Page:
        most = min(limit, _READ)
        revision, reset, removed, reached, looked, located = self._link.ask(
            "read changes of",
            redis_scripts.CHANGES,
            self._names.entries,
            *(self._names.entry, self._news.writer, told, after, most, int(first)),
        )
        bodies = list(zip(located[::2], located[1::2], strict=True))
        last = looked < most
        return _Page(int(revision), bool(reset), _keys(removed), int(reached), last, bodies)

    def _bodies(self, keys: Collection[bytes]) -> list[tuple[bytes, bytes]]:
        """Return each of `keys` that is there, and its bytes."""
        if not keys:
            return []
        bodies = self._link.get_all("fetch", [self._names.entry + key.hex() for key in keys])
        return [(key, body) for key, body in zip(keys, bodies, strict=True) if body is not None]

    def _entries(self, bodies: Iterable[tuple[bytes, bytes]]) -> dict[bytes, Entry]:
        """Return what is readable of keys and bytes."""
        entries: dict[bytes, Entry] = {}
        for key, body in bodies:
            entry = self._readable(body, key)
            if isinstance(entry, str):
                self._tell("read", f"the stored bytes of {key.hex()} are refused: {entry}")
            else:
                entries[key] = entry
        return entries

    def _located(self, bodies: Sequence[tuple[bytes, bytes]]) -> list[Located]:
        located: list[Located] = []
        for name, body in bodies:
            entry = next((self._readable(body, key) for key in _keys([name])), "key")
            if not isinstance(entry, str) and entry.vector is not None:
                located.append(Located(entry.key, entry.scope, entry.encoder, entry.vector))
        if len(located) < len(bodies):
            self._tell(
                "read", f"the stored bytes of {len(bodies) - len(located)} entries are refused"
            )
        return located

    def _readable(self, body: object, key: bytes) -> Entry | str:
        entry = codec.decode(body, self._seal)
        # A sealed entry copied under another key would verify.
        return entry if isinstance(entry, str) or entry.key == key else "key"

    def _tell(self, operation: str, what: str) -> None:
        if self._on_event is not None:
            self._on_event(BackendFailed("redis", operation, what))


class _Page(NamedTuple):
    """Some of the changes, as of one moment.

    Attributes:
        revision: the last one given.
        reset: whether the history asked for is gone.
        removed: keys that were removed.
        after: the revision of the last entry looked at.
        last: whether there are no later ones.
        bodies: name and bytes of each entry that can be located.
    """

    revision: int
    reset: bool
    removed: list[bytes]
    after: int
    last: bool
    bodies: list[tuple[bytes, bytes]]


def _keys(names: Iterable[bytes]) -> list[bytes]:
    """Return the keys that `names` spell, without what somebody else put there."""
    keys = []
    for name in names:
        with suppress(ValueError):
            keys.append(bytes.fromhex(name.decode()))
    return keys


def _pages(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
