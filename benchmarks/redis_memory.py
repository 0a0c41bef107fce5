"""What entries cost on the server: a million in a thousand scopes, stored as processes store them.

Vectors are random: an index needs as much memory for them as for any others, and they cannot be
compressed. Answers are too short to be compressed, so that what is theirs can be told apart to the
byte.
"""

from __future__ import annotations

import os
import time
from hashlib import blake2b
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from accel_core.errors import StoreUnavailableError
from accel_core.ports import Entry
from benchmarks import cache_parts as parts
from benchmarks import redis_parts
from benchmarks.harness import Measured, Row, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from accel_core.ports import SharedStore
    from benchmarks.harness import Context

_DIMENSIONS = 384
_A_SCOPE = 1_000
_SAVED = 1_000
_TRIES = 5
_ANSWER_BYTES = 400
_SPARE_BYTES = 3_000
"""Memory that must be free for each entry before any is stored."""


def entry_bytes(context: Context, search: str) -> Measured:
    """Fill a server through the store's own `save`, and ask it what it holds."""
    entries = context.pick(1_000_000, 50_000)
    _require(entries * _SPARE_BYTES)
    encoder = parts.KnownEncoder()
    with (
        redis_parts.running() as server,
        redis_parts.joined(server.url, encoder, search=search) as accel,
        server.client() as client,
    ):
        store = accel._built.tiers._far
        assert store is not None
        before, began_s, theirs = _held(client), time.perf_counter(), 0
        for number, page in enumerate(_pages(entries, encoder.name, context.seed)):
            _save(store, page)
            theirs += sum(len(entry.text.encode()) + len(entry.payload) for entry in page)
            context.report((number + 1) * _SAVED / entries)
        seconds = time.perf_counter() - began_s
        held, resident = (now - then for now, then in zip(_held(client), before, strict=True))
    note = (
        f"{entries:,} entries; with answers and texts {held / entries:.0f}, as the system counts"
        f" {resident / entries:.0f}; {entries / seconds:,.0f} stored a second"
    )
    return Measured((held - theirs) / entries, note)


def _save(store: SharedStore, page: list[Entry]) -> None:
    """Save `page`, again where a busy server was late: among a thousand scripts one may be."""
    for _ in range(_TRIES):
        try:
            return store.save(page)
        except StoreUnavailableError:
            continue
    raise UnavailableError("the server is too slow to be filled")


def _pages(entries: int, encoder: str, seed: int) -> Iterator[list[Entry]]:
    """Make entries as processes do, many scopes at a time."""
    dice, bits = np.random.default_rng(seed), Random(seed)
    scopes = [_digest(f"scope {number}") for number in range(entries // _A_SCOPE)]
    created_s = time.time()
    for start in range(0, entries, _SAVED):
        vectors = dice.normal(size=(_SAVED, _DIMENSIONS))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        yield [
            Entry(
                key=_digest(f"key {number}"),
                scope=scopes[number % len(scopes)],
                tenant=_digest(f"tenant {number % len(scopes) // 10}"),
                text=f"What should I know about subject {number} of what I have ordered?",
                payload=b'"%s"' % bits.randbytes(_ANSWER_BYTES // 2).hex().encode(),
                created_s=created_s,
                expires_s=created_s + 86_400,
                source="gpt-4o-mini",
                encoder=encoder,
                vector=vector.astype("<f2").tobytes(),
            )
            for number, vector in enumerate(vectors, start)
        ]


def _digest(name: str) -> bytes:
    """Return a name as long as those of requests."""
    return blake2b(name.encode(), digest_size=24).digest()


def _held(client: redis.Redis) -> tuple[int, int]:
    """Return the bytes that the server has allocated, and those the system counts."""
    told = client.info("memory")
    return int(told["used_memory"]), int(told["used_memory_rss"])


def _require(needed_bytes: int) -> None:
    try:
        free_bytes = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return  # an operating system that does not say
    if free_bytes < needed_bytes:
        raise UnavailableError(
            f"needs {needed_bytes / 1e9:.1f} GB free, there are {free_bytes / 1e9:.1f}: --quick"
        )


ROWS = [
    Row(
        name=f"entry-bytes-{search.replace('_', '-')}",
        what=f"server memory of an entry beyond answer and text, {kind}, 1,000 in each scope",
        op="<=",
        bound=2_500,
        measure=lambda context, search=search: entry_bytes(context, search),
    )
    for search, kind in (
        ("query_engine", "query engine with f16"),
        ("vector_sets", "vector sets with int8"),
    )
]
