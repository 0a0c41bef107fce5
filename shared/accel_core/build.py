"""The only wiring: a configuration becomes a cache, with every plug-in loaded by name and lazily.

Nothing here touches the network or loads a model; an encoder that cannot be had is reported once,
with the remedy, and answers are then served exactly only.
"""

from __future__ import annotations

import importlib.util
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accel_core import events
from accel_core.calibration.shipped import fingerprint, forest, read_calibration, shipped
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.drive.flight import FlightTable
from accel_core.drive.invalidations import Invalidations
from accel_core.encoder.batching import BatchingEncoder
from accel_core.errors import ConfigError
from accel_core.evidence import Evidence
from accel_core.files.learned import LearnedFile
from accel_core.files.shadow_log import ShadowLog
from accel_core.index.scoped import ScopedIndex
from accel_core.learning import Comparison, Learning
from accel_core.lexicon.english import English
from accel_core.meaning import Meaning
from accel_core.payload import text_of
from accel_core.policy.calibration import EVERYTHING
from accel_core.policy.gated import Gated
from accel_core.policy.gates import chosen
from accel_core.policy.promise import GuaranteeSettings
from accel_core.policy.resemblance import Decision
from accel_core.policy.same_answer import SameAnswer
from accel_core.policy.seal import Seal
from accel_core.policy.similarity import FixedThreshold
from accel_core.ports import Verifier
from accel_core.reports import Reports
from accel_core.semantic_cache import Policies, SemanticCache
from accel_core.store.memory import MemoryStore
from accel_core.tiers import Tiers
from accel_core.verification import Terms, Verification
from accel_core.verifier.function import FunctionVerifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accel_core.clocks import Clocks
    from accel_core.config import (
        AccelConfig,
        CacheConfig,
        EncoderConfig,
        SemanticConfig,
        StoreConfig,
    )
    from accel_core.policy.calibration import Calibration
    from accel_core.policy.gates import Gate
    from accel_core.policy.similarity import SimilarityPolicy
    from accel_core.ports import Comparer, Encoder, Entry, Judge, Observer, Store
    from accel_core.secrecy import Secrets

_lexicon = English()
"""One for all caches of the process: it is loaded at its first question."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_lexicon.after_fork)

_NEEDS = {
    "minilm": (
        ("tokenizers", "onnxruntime", "onnx", "safetensors"),
        ("tokenizers", "torch", "transformers", "safetensors"),
    ),
    "static": (("wordllama",),),
    "openai": (("openai",),),
}
"""Libraries of each encoder kind: any one group, whole, is enough."""

_EXTRAS = {"minilm": "local", "static": "static", "openai": "openai"}


def build_encoder(config: EncoderConfig, min_similarity: float | None) -> Encoder | None:
    """Return the encoder `config` names, not loaded yet; None when its libraries are missing."""
    groups = _NEEDS[config.kind]
    if not any(all(importlib.util.find_spec(name) for name in group) for group in groups):
        return None
    if config.kind == "minilm":
        from accel_core.encoder.minilm import MiniLMEncoder

        return MiniLMEncoder(config.model)
    if config.kind == "static":
        from accel_core.encoder.static import StaticEncoder

        return StaticEncoder()
    from accel_core.encoder.openai import OpenAIEncoder

    return OpenAIEncoder(config.model or "", min_similarity=min_similarity)


def build_store(
    config: StoreConfig, secrets: Secrets, emit: Observer, clocks: Clocks
) -> Store | None:
    """Open the shared store `config` names; None for none."""
    if config.kind == "none":
        return None
    from accel_core.store.sqlite import SqliteStore

    return SqliteStore(
        config.path,
        seal=Seal(secrets.current, secrets.previous),
        max_entries=config.max_entries,
        on_event=emit,
        wall_now=clocks.wall_now,
    )


def build_cache(
    config: AccelConfig,
    secrets: Secrets,
    emit: Observer,
    clocks: Clocks,
    *,
    encoder: Encoder | None = None,
    store: Store | None = None,
    gates: Mapping[str, Gate] | None = None,
    same_answer: Comparer | None = None,
    verifier: Verifier | Judge | None = None,
) -> tuple[SemanticCache, Tiers, Reports, Learning]:
    """Wire a cache.

    Args:
        config: the configuration.
        secrets: keys of digests and MACs.
        emit: receives every event.
        clocks: time and dice.
        encoder: used instead of the configured one.
        store: used instead of the configured one.
        gates: the application's own, by name.
        same_answer: whether two answers say the same, used instead of the package's.
        verifier: a second opinion on what is near, and not near enough.
    """
    settings = config.cache
    encoder, similarity, off = _semantic(
        config, emit, encoder, gates or {}, verified=verifier is not None
    )
    tiers: Tiers

    def evicted(entry: Entry) -> None:
        tiers.evicted(entry)

    tiers = Tiers(
        MemoryStore(settings.memory.max_entries, settings.memory.max_bytes, on_evict=evicted),
        ScopedIndex(),
        None if encoder is None else BatchingEncoder(encoder),
        store if store is not None else build_store(settings.store, secrets, emit, clocks),
        emit=emit,
        mono_now=clocks.mono_now,
    )
    same = same_answer or SameAnswer(tiers.cosine, _lexicon)
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
    cache = SemanticCache(
        tiers,
        FlightTable(settings.single_flight.lease_s, clocks.mono_now)
        if settings.single_flight.enabled
        else None,
        Policies(
            ttl=settings.ttl,
            admission=settings.admission,
            exact=settings.exact,
        ),
        Meaning(tiers, similarity, off=off, learning=learning, verification=verification),
        invalidations=invalidations,
        colours=colours,
        emit=emit,
        wall_now=clocks.wall_now,
        chance=clocks.chance,
    )
    reports = Reports(tiers, invalidations, learning, colours=colours, mono_now=clocks.mono_now)
    return cache, tiers, reports, learning


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
    calibration = None if encoder is None or path is None else _calibration(settings, encoder)
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


def _calibration(settings: SemanticConfig, encoder: Encoder) -> Calibration | None:
    """Return the configured calibration, or the one shipped for `encoder`, if any."""
    if settings.calibration is not None:
        return read_calibration(settings.calibration, encoder.name)
    return shipped(encoder.name) if settings.min_similarity is None else None


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


def _semantic(
    config: AccelConfig,
    emit: Observer,
    encoder: Encoder | None,
    gates: Mapping[str, Gate],
    *,
    verified: bool,
) -> tuple[Encoder | None, SimilarityPolicy | None, str]:
    """Return encoder, similarity policy and, where there is none, the reason."""
    settings = config.cache.semantic
    if not settings.enabled:
        return None, None, "disabled"
    encoder = encoder or build_encoder(settings.encoder, settings.min_similarity)
    if encoder is None:
        remedy = f"pip install 'llm-accel[{_EXTRAS[settings.encoder.kind]}]'"
        emit(events.SemanticUnavailable("no_encoder", remedy))
        return None, None, "no_encoder"
    policy = build_similarity(settings, encoder, gates, verified=verified)
    if policy is None:
        remedy = (
            f"accel calibrate PAIRS --encoder {encoder.name!r}, and name its file under"
            " cache.semantic.calibration; or set cache.semantic.min_similarity, without a bound"
        )
        emit(events.SemanticUnavailable("uncalibrated", remedy))
        return None, None, "uncalibrated"
    return encoder, policy, ""


def extra_of(kind: str) -> str:
    """Return the extra that installs the encoder of that kind."""
    return _EXTRAS[kind]


def shipped_decision() -> Decision:
    """Return what a calibration calibrates: the shipped forest, word knowledge, and gates."""
    return Decision(forest(), _lexicon, chosen((), strict=False, extra={}))


def build_similarity(
    settings: SemanticConfig,
    encoder: Encoder,
    gates: Mapping[str, Gate] | None = None,
    *,
    verified: bool = False,
) -> SimilarityPolicy | None:
    """Return what decides about `encoder`'s neighbours; None where it is not calibrated.

    With `max_wrong_hits` it chooses whatever no gate refuses: `Learning` has the last word. Beside
    a verifier that is what is probable enough to be verified.

    Args:
        settings: which decision, and which gates.
        encoder: whose cosines are judged.
        gates: the application's own, by name, asked after the package's.
        verified: whether there is a verifier.

    Raises:
        ConfigError: the calibration is not one of `encoder`'s, a gate's name is wrong, or nothing
            lies between `grey_from` and what is served.
    """
    asked = chosen(settings.gates.skip, strict=settings.gates.strict, extra=gates or {})
    if not settings.gates.enabled:
        asked = dict(gates or {})
    threshold, calibration = settings.min_similarity, _calibration(settings, encoder)
    if calibration is not None:
        serve_from = settings.serve_from or calibration.serve_from
        grey_from = (settings.verifier.grey_from or serve_from / 2) if verified else None
        if settings.max_wrong_hits is not None:
            # Outcomes decide what is served, and so need all that may be.
            serve_from, grey_from = grey_from or EVERYTHING, None
        calibration = replace(calibration, serve_from=serve_from)
        decision = Decision(forest(), _lexicon, asked)
        return decision.under(calibration, settings.max_words, grey_from)
    threshold = encoder.min_similarity if threshold is None else threshold
    if threshold is None or settings.max_wrong_hits is not None:
        return None
    grey_from = settings.verifier.grey_from if verified else None
    if verified and grey_from is None:
        expected = "must be set beside a plain threshold: a cosine has no scale of its own"
        raise ConfigError("cache.semantic.verifier.grey_from", grey_from, expected)
    policy = FixedThreshold(
        min_similarity=threshold, max_words=settings.max_words, grey_from=grey_from
    )
    return Gated(policy, _lexicon, asked) if asked else policy
