"""Answers cached exactly and by meaning: everything behind `SemanticCache`, wired.

Nothing here touches the network or loads a model; an encoder that cannot be had is reported once,
with the remedy, and answers are then served exactly only.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.build.decision import build_semantic, calibration_of, lexicon
from accel_core.build.gate import build_gate
from accel_core.build.retrieval import Shared, build_retrieval, nearer
from accel_core.build.store import build_store, unsearched
from accel_core.calibration.shipped import fingerprint
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.drive.flight import FlightTable
from accel_core.drive.invalidations import Invalidations
from accel_core.encoder.batching import BatchingEncoder
from accel_core.errors import ConfigError
from accel_core.evidence import Evidence
from accel_core.explaining import Explainer, Retrieving
from accel_core.files.learned import LearnedFile
from accel_core.files.shadow_log import ShadowLog
from accel_core.index.scoped import ScopedIndex
from accel_core.leadership import Leadership
from accel_core.learning import Comparison, Learning
from accel_core.leases import SharedFlights
from accel_core.meaning import Meaning
from accel_core.payload import text_of
from accel_core.policy.promise import GuaranteeSettings
from accel_core.policy.same_answer import SameAnswer
from accel_core.ports import Verifier
from accel_core.reports import Reports
from accel_core.semantic_cache import Policies, SemanticCache
from accel_core.store.memory import MemoryStore
from accel_core.tiers import Tiers
from accel_core.verification import Terms, Verification
from accel_core.verifier.function import FunctionVerifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accel_core.build.observers import Observers
    from accel_core.clocks import Clocks
    from accel_core.config import AccelConfig, CacheConfig, SemanticConfig
    from accel_core.corpora import Corpora
    from accel_core.policy.gates import Gate
    from accel_core.ports import Comparer, Encoder, Entry, Io, Judge, Observer, RetrievalGate, Store
    from accel_core.retrieval_cache import RetrievalCache
    from accel_core.retrieval_gate import RetrievalDecisions
    from accel_core.secrecy import Secrets


class Built(NamedTuple):
    """What is behind an `Accel`."""

    cache: SemanticCache
    explainer: Explainer
    retrieval: RetrievalCache
    gate: RetrievalDecisions | None
    corpora: Corpora
    colours: tuple[Io, Io]
    tiers: Tiers
    reports: Reports
    learning: Learning


def build_caches(
    config: AccelConfig,
    secrets: Secrets,
    observers: Observers,
    clocks: Clocks,
    *,
    encoder: Encoder | None = None,
    store: Store | None = None,
    gates: Mapping[str, Gate] | None = None,
    same_answer: Comparer | None = None,
    verifier: Verifier | Judge | None = None,
    gate: RetrievalGate | None = None,
) -> Built:
    """Wire the caches.

    Args:
        config: the configuration.
        secrets: keys of digests and MACs.
        observers: receive every event.
        clocks: time and dice.
        encoder: used instead of the configured one.
        store: used instead of the configured one.
        gates: the application's own, by name.
        same_answer: whether two answers say the same, used instead of the package's.
        verifier: a second opinion on what is near, and not near enough.
        gate: says which messages need retrieval, used instead of the configured one.
    """
    settings, emit = config.cache, observers.emit
    encoder, similarity, off = build_semantic(
        config, emit, encoder, gates or {}, verified=verifier is not None
    )
    if store is None:
        wanted = settings.store if encoder is not None else unsearched(settings.store)
        store = build_store(wanted, secrets, emit, clocks)
    sensor = None if encoder is None else BatchingEncoder(encoder)
    tiers: Tiers

    def evicted(entry: Entry) -> None:
        tiers.evicted(entry)

    tiers = Tiers(
        MemoryStore(settings.memory.max_entries, settings.memory.max_bytes, on_evict=evicted),
        ScopedIndex(),
        sensor,
        store,
        emit=emit,
        mono_now=clocks.mono_now,
        nearer=nearer(config.retrieval.freshness, clocks),
    )
    same = same_answer or SameAnswer(tiers.cosine, lexicon)
    invalidations = Invalidations()
    verification = _verification(settings.semantic, verifier, invalidations, emit, clocks)
    evidence = _evidence(
        settings, encoder, gates=gates or {}, same=same, verification=verification, emit=emit
    )
    learning = _learning(
        settings.semantic,
        evidence,
        tiers,
        same=same,
        verification=verification,
        emit=emit,
        clocks=clocks,
    )
    colours = (BlockingIo(), AsyncIo())
    single_flight = settings.single_flight
    leases = store if isinstance(store, SharedFlights) else None
    flights = FlightTable(single_flight.lease_s, clocks.mono_now, leases)
    leadership = Leadership(flights, leases, tiers, invalidations)
    policies = Policies(
        ttl=settings.ttl, admission=settings.admission, never=settings.never, exact=settings.exact
    )
    meaning = Meaning(
        tiers,
        similarity,
        off=off,
        learning=learning,
        verification=verification,
        looked=observers.looked,
    )
    together = flights if single_flight.enabled else None
    cache = SemanticCache(
        tiers,
        together,
        policies,
        meaning,
        leadership=leadership,
        invalidations=invalidations,
        colours=colours,
        emit=emit,
        wall_now=clocks.wall_now,
        chance=clocks.chance,
    )
    retrieval, corpora, views = build_retrieval(
        config,
        Shared(tiers, flights, leadership, invalidations, colours),
        emit,
        clocks,
        encoder=encoder,
        gates=gates or {},
        store=store,
    )
    reports = Reports(
        tiers, invalidations, learning, colours=colours, emit=emit, mono_now=clocks.mono_now
    )
    decisions = build_gate(
        config.retrieval.gate, sensor, emit=emit, mono_now=clocks.mono_now, gate=gate
    )
    explainer = Explainer(
        tiers,
        meaning,
        policies,
        Retrieving(views, flights, decisions),
        flights=together,
        colours=colours,
        wall_now=clocks.wall_now,
    )
    return Built(cache, explainer, retrieval, decisions, corpora, colours, tiers, reports, learning)


def _learning(
    settings: SemanticConfig,
    evidence: Evidence | None,
    tiers: Tiers,
    *,
    same: Comparer,
    verification: Verification | None,
    emit: Observer,
    clocks: Clocks,
) -> Learning:
    """Return what explores and compares."""
    log = None if settings.shadow_log is None else ShadowLog(settings.shadow_log, emit=emit)
    said = None if verification is None else verification.said
    return Learning(
        evidence,
        Comparison(same, text_of, tiers.later, log, said),
        shadow=settings.shadow,
        emit=emit,
        chance=clocks.chance,
    )


def _evidence(
    config: CacheConfig,
    encoder: Encoder | None,
    *,
    gates: Mapping[str, Gate],
    same: Comparer,
    verification: Verification | None,
    emit: Observer,
) -> Evidence | None:
    """Return what was and will be learned; None where there is no bound to learn for."""
    settings, store = config.semantic, config.store
    if settings.max_wrong_hits is None:
        return None
    promise = GuaranteeSettings(max_wrong_hits=settings.max_wrong_hits, trust=settings.trust)
    path: str | Path | None = settings.learned
    if path is None and store.kind == "sqlite":
        path = Path(store.path).with_suffix(".learned.json")
    calibration = None if encoder is None or path is None else calibration_of(settings, encoder)
    if encoder is None or path is None or calibration is None:
        return Evidence(promise, lock=threading.Lock)
    judge = getattr(same, "__qualname__", type(same).__qualname__)
    origin = {
        "encoder": encoder.name,
        "calibration": fingerprint(calibration, settings.gates, sorted(gates), judge),
        "verifier": None if verification is None else verification.name,
        "max_wrong_hits": promise.max_wrong_hits,
    }
    return Evidence(promise, LearnedFile(path, origin, emit=emit), lock=threading.Lock)


def _verification(
    settings: SemanticConfig,
    verifier: Verifier | Judge | None,
    invalidations: Invalidations,
    emit: Observer,
    clocks: Clocks,
) -> Verification | None:
    """Return what asks `verifier`; None where there is none."""
    if verifier is None:
        return None
    asked = settings.verifier
    return Verification(
        _as_verifier(verifier),
        Terms(
            timeout_s=asked.timeout_s,
            max_batch=asked.max_batch,
            background=asked.background,
            everything=settings.max_wrong_hits is not None,
            shadow=settings.shadow,
        ),
        invalidations=invalidations,
        text_of=text_of,
        emit=emit,
        mono_now=clocks.mono_now,
        lock=threading.Lock,
    )


def _as_verifier(given: Any) -> Verifier:
    if isinstance(given, Verifier):
        return given
    if not callable(given):
        expected = "must be a function of three texts, or have a name and verify"
        raise ConfigError("verifier", given, expected)
    return FunctionVerifier(given)
