"""Retrieval cached for as long as its documents are the same: `RetrievalCache`, wired."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from accel_core.build.decision import build_similarity
from accel_core.corpora import Corpora
from accel_core.meaning import Meaning
from accel_core.policy.popularity import Popularity
from accel_core.ports import ChangeLog
from accel_core.retrieval_cache import Parts, RetrievalCache
from accel_core.retrieval_terms import RetrievalTerms
from accel_core.views import RetrievalViews

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from accel_core.clocks import Clocks
    from accel_core.config import AccelConfig
    from accel_core.drive.flight import FlightTable
    from accel_core.drive.invalidations import Invalidations
    from accel_core.leadership import Leadership
    from accel_core.policy.freshness import Freshness
    from accel_core.policy.gates import Gate
    from accel_core.ports import Encoder, Entry, Io, Observer, Store
    from accel_core.tiers import Tiers


class Shared(NamedTuple):
    """What the cache of retrieval shares with that of answers.

    One table of flights for both: whoever leads one must not wait for another.
    """

    tiers: Tiers
    flights: FlightTable
    leadership: Leadership
    invalidations: Invalidations
    colours: tuple[Io, Io]


def nearer(freshness: Freshness, clocks: Clocks) -> Callable[[Entry], Entry]:
    """Return what makes an entry as this process keeps it: fresh for a shorter time."""

    def shortened(entry: Entry) -> Entry:
        if entry.fresh_until_s is None:
            return entry
        until_s = freshness.near_until_s(
            entry.created_s, entry.fresh_until_s, clocks.wall_now(), clocks.chance()
        )
        return replace(entry, fresh_until_s=until_s)

    return shortened


def build_retrieval(
    config: AccelConfig,
    shared: Shared,
    emit: Observer,
    clocks: Clocks,
    *,
    encoder: Encoder | None,
    gates: Mapping[str, Gate],
    store: Store | None,
) -> tuple[RetrievalCache, Corpora, RetrievalViews]:
    """Wire a cache of retrieval, its corpora, and what only looks at it.

    Args:
        config: the configuration.
        shared: what it shares with the cache of answers.
        emit: receives every event.
        clocks: time and dice.
        encoder: of the semantic tier; None: there is none.
        gates: the application's own, by name.
        store: the shared store; its changes of corpora are followed where it numbers them.
    """
    settings = config.retrieval
    corpora = Corpora(
        store if isinstance(store, ChangeLog) else None,
        emit=emit,
        mono_now=clocks.mono_now,
        lock=threading.Lock,
        rests=lambda: shared.tiers.rests,
    )
    meaning = _meaning(config, shared.tiers, encoder, gates)
    terms = RetrievalTerms(
        settings.freshness,
        Popularity(),
        config.cache.never,
        comparable=meaning.comparable,
        max_entry_bytes=settings.max_entry_bytes,
        wall_now=clocks.wall_now,
        chance=lambda: 0.0,
    )
    cache = RetrievalCache(
        Parts(
            tiers=shared.tiers,
            flights=shared.flights,
            leadership=shared.leadership,
            invalidations=shared.invalidations,
            meaning=meaning,
            corpora=corpora,
            freshness=settings.freshness,
            popularity=Popularity(),
            never=config.cache.never,
        ),
        max_entry_bytes=settings.max_entry_bytes,
        # Without it nobody follows another caller, but what is renewed is renewed once.
        follows=config.cache.single_flight.enabled,
        colours=shared.colours,
        emit=emit,
        wall_now=clocks.wall_now,
        mono_now=clocks.mono_now,
        chance=clocks.chance,
    )
    return cache, corpora, RetrievalViews(corpora, meaning, terms)


def _meaning(
    config: AccelConfig, tiers: Tiers, encoder: Encoder | None, gates: Mapping[str, Gate]
) -> Meaning:
    """Return what finds other wordings: by the calibration alone, since no outcomes are compared.

    Nothing is served by meaning while answers are only watched.
    """
    semantic = config.cache.semantic
    if encoder is None or not config.retrieval.semantic or semantic.shadow:
        return Meaning(tiers, None)
    unbound = replace(
        semantic, max_wrong_hits=None, trust="calibrated", learned=None, shadow_log=None
    )
    return Meaning(tiers, build_similarity(unbound, encoder, gates))
