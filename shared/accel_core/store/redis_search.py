"""Search by meaning on a Redis server: what it can, and the one question of a lookup.

Two servers search: one with the *query engine* (RediSearch; Redis 8, Redis Stack), over one index
for all vectors, with the place (scope and encoder) as a condition of the
query itself; and one with *vector sets* (Redis 8), by a set of each place. Any other leaves it to
the processes.

The query engine is asked without the condition first: where enough of the nearest are of the place,
those are its nearest. Otherwise with it, and then every vector of the place is compared, which is
exact. Measured with RediSearch 2.10 over 10,000 entries of one place, its graph (HNSW) takes 0.3 ms
without the condition and 1.9 ms with it, and comparing all (FLAT) 1.3 ms.

Indexed are vectors shortened (`vectors.shortened`); the whole ones are in the entries' bytes.
Whatever the server says only finds: what is served is what an entry's bytes, and their seal, say,
and nearness is worked out from them.
"""

from __future__ import annotations

import re
from struct import Struct
from typing import TYPE_CHECKING, Literal, NamedTuple

from accel_core.events import BackendFailed, SearchUnavailable
from accel_core.store.redis_rows import Row
from accel_core.store.redis_scripts import place
from accel_core.store.redis_search_scripts import (
    CREATE_INDEX,
    FETCH,
    FIND_BY_INDEX,
    FIND_BY_KEYS,
    FIND_IN_SET,
    PROBE,
)
from accel_core.vectors import shortened, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from accel_core.events import Event
    from accel_core.ports import Vector
    from accel_core.store.redis_link import RedisLink
    from accel_core.store.redis_scripts import Names

Search = Literal["auto", "query_engine", "vector_sets", "process"]

_FINDS = {"query_engine": FIND_BY_INDEX, "vector_sets": FIND_IN_SET, "process": FIND_BY_KEYS}

_LENGTH = Struct("<I")

_OTHERWISE = "or pin cache.store.search: process"
_REMEDY = f"use Redis 8, {_OTHERWISE}"
_RIGHTS = f"give the user the rights that docs/stores.md names, {_OTHERWISE}"


class Claim(NamedTuple):
    """A lease that a search is to take, as its script is told; as it is: none.

    Attributes:
        flight: name of the lease.
        key: of the entry that there must not be.
        token: of who takes it.
        channel: where this process listens; empty where it does not.
        lease_ms: how long it is.
        below: the cosine that the nearest must be below.
    """

    flight: str = ""
    key: bytes = b""
    token: str = ""
    channel: str = ""
    lease_ms: int = 0
    below: float = -1.0


class Rows(NamedTuple):
    """What one question of a lookup gave.

    Attributes:
        exact: the entries under the keys that were asked for.
        near: the nearest of the place, in no order.
        swept: vectors without an entry that were met, and removed.
        claimed: what became of the claim, as `redis_flight_scripts.TAKE` says; empty: nothing.
    """

    exact: list[Row]
    near: list[Row]
    swept: int
    claimed: list[bytes]


class RedisSearch:
    """How one server is asked for what is near.

    Args:
        link: the way to the server.
        names: of what one store keeps there.
        wanted: ``auto`` takes what the server has; anything else is taken for granted.
        emit: told what a server lacks, and what failed.

    Attributes:
        by: who searches; ``process`` until the server was asked.
    """

    def __init__(
        self, link: RedisLink, names: Names, wanted: Search, emit: Callable[[Event], None]
    ) -> None:
        self._link, self._names, self._wanted, self._emit = link, names, wanted, emit
        self.by: Search = "process" if wanted == "auto" else wanted
        self._is_indexed = False
        self._missing = ""

    def look(self) -> None:
        """Ask a server, perhaps another one than before, what it can.

        Raises:
            StoreError: it cannot be asked.
        """
        self._is_indexed = False
        if self._wanted == "process":
            return
        refusals = self._probe()
        if self._wanted == "auto":
            self.by = next((kind for kind, refusal in refusals.items() if not refusal), "process")
        missing = "; ".join(refusals.values()) if self.by == "process" else refusals[self.by]
        if not missing or missing == self._missing:
            return
        self._missing = missing
        if self.by == "process":
            remedy = _RIGHTS if "permission" in missing else _REMEDY
            self._emit(SearchUnavailable("redis", missing, remedy))
        else:
            remedy = "cache.store.search: auto takes what there is"
            self._failed(f"{self.by} is pinned: {missing} ({remedy})")

    @property
    def on_server(self) -> bool:
        """Whether the server searches."""
        return self.by != "process"

    @property
    def sets(self) -> str:
        """What names of vector sets begin with; nothing where none are used."""
        return self._names.near if self.by == "vector_sets" else ""

    def spelled(self, packed: bytes) -> bytes:
        """Return a float16 vector shortened, as who searches takes it; nothing for nobody."""
        if not (packed and self.on_server):
            return b""
        return self._spelled(shortened(unpack(packed)))

    def prepare(self) -> None:
        """See to it that vectors are indexed.

        Raises:
            StoreError: the server cannot be asked.
        """
        if self.by != "query_engine" or self._is_indexed:
            return
        refusal = self._link.ask(
            "index", CREATE_INDEX, [self._names.lone], self._names.index, self._names.entries
        ).decode()
        # Two processes may begin at once.
        if refusal and "already exists" not in refusal:
            self._failed(refusal)
            return
        self._is_indexed = True

    def find(
        self,
        keys: Sequence[bytes],
        scope: bytes,
        encoder: str,
        vector: Vector | None,
        limit: int,
        *,
        spare: int,
        beside: Sequence[bytes],
        claim: Claim,
    ) -> Rows:
        """Return the entries under `keys`, and those nearest to `vector`; one command.

        Args:
            keys: of entries wanted whatever their vectors.
            scope: of the nearest.
            encoder: of their vectors.
            vector: float32; None where nothing is searched for.
            limit: how many of the nearest.
            spare: how many further ones; those that may be near enough, where that is claimed.
            beside: keys of what the process found nearest, where it searches.
            claim: made in the same script where nothing is found that could be served.

        Raises:
            StoreError: the server cannot be asked.
        """
        by: Search = "process" if vector is None else self.by
        short = whole = b""
        if vector is not None and by != "process":
            short, whole = self._spelled(shortened(vector)), vector.astype("<f4").tobytes()
        prefix = self._names.index if by == "query_engine" else self._names.near
        names = [self._names.lone, self._names.counter, claim.flight or self._names.lone]
        answer = self._link.ask(
            "find",
            _FINDS[by],
            [name.encode() for name in names] + [self._names.entries + key for key in beside],
            *(self._names.entries, place(scope, encoder)),
            *(short, limit + spare, prefix, *claim, whole, limit, *keys),
        )
        exact, near, swept, problem, *claimed = _parts(answer)
        if problem:
            self._mend(problem.decode(errors="replace"))
        return Rows(list(_rows(exact)), list(_rows(near)), int(swept), claimed)

    def fetch(self, keys: Collection[bytes]) -> list[Row]:
        """Return the entries under `keys`; one command.

        Raises:
            StoreError: the server cannot be asked.
        """
        # By their names: in a cluster an entry may be on its way to another node.
        names = [self._names.entries + key for key in keys]
        rows = self._link.ask("fetch", FETCH, names)
        return [Row(key, *row) for key, row in zip(keys, rows, strict=True) if row]

    def _probe(self) -> dict[Search, str]:
        """Return what stands against each way of searching, the better one first."""
        answers = self._link.ask("describe", PROBE, [self._names.near], self._names.index)
        engine, sets = (_refusal(answer.decode(errors="replace")) for answer in answers)
        if _no_index(engine):
            engine = f"it indexes database 0, not {self._link.database}" * bool(self._link.database)
        return {
            "query_engine": engine and f"query engine: {engine}",
            "vector_sets": sets and f"vector sets: {sets}",
        }

    def _mend(self, problem: str) -> None:
        """Make an index that is gone, or not there yet; say what else prevents a search."""
        if _no_index(problem):
            self._is_indexed = False
            self.prepare()
        else:
            self._failed(problem)

    def _failed(self, problem: str) -> None:
        self._emit(BackendFailed("redis", "search by meaning", problem))

    def _spelled(self, short: Vector) -> bytes:
        return short.astype("<f2" if self.by == "query_engine" else "<f4").tobytes()


def _parts(joined: bytes) -> Iterator[bytes]:
    """Take apart what the scripts that find put together."""
    end = 0
    while end < len(joined):
        start = end + _LENGTH.size
        end = start + _LENGTH.unpack_from(joined, end)[0]
        yield joined[start:end]


def _rows(joined: bytes) -> Iterator[Row]:
    parts = _parts(joined)
    return map(Row, parts, parts)


def _refusal(answer: str) -> str:
    """Return `answer` so that it can be told; servers word an unknown command differently."""
    unknown = re.search(r"unknown (\S+ )?command", answer, re.IGNORECASE)
    return "the server has none" if unknown else answer


def _no_index(problem: str) -> bool:
    """Whether that is all that `problem` says. Servers word it differently."""
    return any(said in problem.lower() for said in ("no such index", "unknown index"))
