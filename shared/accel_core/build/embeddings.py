"""Wires what is kept beside answers: vectors, and the values of the frameworks' own caches.

They have a memory and a file of their own, so that a corpus of vectors displaces no answer and no
lookup of an answer waits while vectors are written.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from accel_core import events
from accel_core.build.store import build_store, unsearched
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.drive.flight import FlightTable
from accel_core.drive.invalidations import Invalidations
from accel_core.embedding_cache import EmbeddingCache
from accel_core.index.scoped import ScopedIndex
from accel_core.kept_values import KeptValues
from accel_core.store.memory import MemoryStore
from accel_core.tiers import Tiers

if TYPE_CHECKING:
    from accel_core.clocks import Clocks
    from accel_core.config import AccelConfig, StoreConfig
    from accel_core.policy.identity import Identifier
    from accel_core.ports import Entry, Observer
    from accel_core.secrecy import Secrets


class Kept(NamedTuple):
    """What `Accel` keeps beside answers."""

    embeddings: EmbeddingCache
    values: KeptValues


def build_embeddings(
    config: AccelConfig,
    secrets: Secrets,
    identifier: Identifier,
    emit: Observer,
    clocks: Clocks,
) -> Kept:
    """Wire the cache of vectors, and the values beside them, over the same tiers.

    Raises:
        StoreError: the configured store cannot be opened.
    """
    settings, flight = config.embeddings, config.cache.single_flight

    def evicted(entry: Entry) -> None:
        emit(events.CacheEvicted(entry.id, "space"))

    tiers = Tiers(
        MemoryStore(settings.memory.max_entries, settings.memory.max_bytes, on_evict=evicted),
        ScopedIndex(),
        None,
        build_store(beside(config.cache.store), secrets, emit, clocks),
        emit=emit,
        mono_now=clocks.mono_now,
    )
    colours = (BlockingIo(), AsyncIo())
    embeddings = EmbeddingCache(
        tiers,
        FlightTable(flight.lease_s, clocks.mono_now) if flight.enabled else None,
        settings.ttl,
        identifier,
        invalidations=Invalidations(),
        colours=colours,
        emit=emit,
        wall_now=clocks.wall_now,
        chance=clocks.chance,
    )
    values = KeptValues(
        tiers,
        settings.ttl,
        identifier,
        colours=colours,
        wall_now=clocks.wall_now,
        chance=clocks.chance,
    )
    return Kept(embeddings, values)


def beside(store: StoreConfig) -> StoreConfig:
    """Return the configuration of what lies beside the store of answers: a file, or a prefix."""
    path = str(Path(store.path).with_suffix(".embeddings.db"))
    return unsearched(replace(store, path=path, prefix=f"{store.prefix}-embeddings"))
