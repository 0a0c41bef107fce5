"""The only wiring: a configuration becomes a cache, with every plug-in loaded by name and lazily.

Nothing here touches the network or loads a model; an encoder that cannot be had is reported once,
with the remedy, and answers are then served exactly only.
"""

from __future__ import annotations

import importlib.util
import os
import random
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from accel_core import events
from accel_core.calibration.shipped import fingerprint, forest, read_calibration, shipped
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.drive.flight import FlightTable
from accel_core.encoder.batching import BatchingEncoder
from accel_core.errors import ConfigError
from accel_core.evidence import Evidence
from accel_core.files.learned import LearnedFile
from accel_core.files.shadow_log import ShadowLog
from accel_core.index.scoped import ScopedIndex
from accel_core.learning import Comparison, Learning
from accel_core.lexicon.english import English
from accel_core.payload import text_of
from accel_core.policy.calibration import EVERYTHING
from accel_core.policy.gated import Gated
from accel_core.policy.gates import chosen
from accel_core.policy.identity import Identifier
from accel_core.policy.promise import GuaranteeSettings
from accel_core.policy.resemblance import Decision
from accel_core.policy.same_answer import SameAnswer
from accel_core.policy.seal import Seal
from accel_core.policy.similarity import FixedThreshold
from accel_core.reports import Reports
from accel_core.semantic_cache import Policies, SemanticCache
from accel_core.store.memory import MemoryStore
from accel_core.tiers import Tiers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from accel_core.config import (
        AccelConfig,
        CacheConfig,
        EncoderConfig,
        SecurityConfig,
        SemanticConfig,
        StoreConfig,
    )
    from accel_core.policy.calibration import Calibration
    from accel_core.policy.gates import Gate
    from accel_core.policy.similarity import SimilarityPolicy
    from accel_core.ports import Comparer, Encoder, Entry, Observer, Store

_MIN_SECRET_BYTES = 32
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """Time and dice, injected so that tests need not wait.

    Attributes:
        wall_now: seconds since the epoch, for stamps that are stored.
        mono_now: monotonic seconds, for durations.
        chance: uniform in [0, 1).
    """

    wall_now: Callable[[], float] = time.time
    mono_now: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secret in use and the one before it."""

    current: bytes | None = None
    previous: bytes | None = None

    def __repr__(self) -> str:
        return f"Secrets(current={self.current is not None}, previous={self.previous is not None})"


def read_secrets(config: SecurityConfig) -> Secrets:
    """Read the secrets from the environment variables that `config` names.

    Raises:
        ConfigError: a variable is not set, or its secret is shorter than 32 bytes.
    """
    return Secrets(
        _secret("security.key_env", config.key_env),
        _secret("security.previous_key_env", config.previous_key_env),
    )


def _secret(place: str, variable: str | None) -> bytes | None:
    if variable is None:
        return None
    secret = os.environ.get(variable, "").encode()
    if len(secret) < _MIN_SECRET_BYTES:
        expected = f"must name a variable with a secret of at least {_MIN_SECRET_BYTES} bytes"
        raise ConfigError(place, variable, expected)
    return secret


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
    """
    settings = config.cache
    encoder, similarity, off = _semantic(config, emit, encoder, gates or {})
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
    evidence = _evidence(settings, encoder, gates or {}, same, emit)
    learning = _learning(settings.semantic, evidence, tiers, same, emit=emit, clocks=clocks)
    colours = (BlockingIo(), AsyncIo())
    cache = SemanticCache(
        tiers,
        FlightTable(settings.single_flight.lease_s, clocks.mono_now)
        if settings.single_flight.enabled
        else None,
        Policies(
            ttl=settings.ttl,
            admission=settings.admission,
            similarity=similarity,
            similarity_off=off,
            exact=settings.exact,
        ),
        colours=colours,
        learning=learning if evidence is not None or settings.semantic.shadow else None,
        emit=emit,
        wall_now=clocks.wall_now,
        chance=clocks.chance,
    )
    reports = Reports(
        tiers, cache.invalidations, learning, colours=colours, mono_now=clocks.mono_now
    )
    return cache, tiers, reports, learning


def _learning(
    settings: SemanticConfig,
    evidence: Evidence | None,
    tiers: Tiers,
    same: Comparer,
    *,
    emit: Observer,
    clocks: Clocks,
) -> Learning:
    """Return what explores and compares."""
    log = None if settings.shadow_log is None else ShadowLog(settings.shadow_log, emit=emit)
    return Learning(
        evidence,
        Comparison(same, text_of, tiers.later, log),
        shadow=settings.shadow,
        emit=emit,
        chance=clocks.chance,
    )


def _evidence(
    config: CacheConfig,
    encoder: Encoder | None,
    gates: Mapping[str, Gate],
    same: Comparer,
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
        "max_wrong_hits": promise.max_wrong_hits,
    }
    return Evidence(promise, LearnedFile(path, origin, emit=emit), lock=threading.Lock)


def _calibration(settings: SemanticConfig, encoder: Encoder) -> Calibration | None:
    """Return the configured calibration, or the one shipped for `encoder`, if any."""
    if settings.calibration is not None:
        return read_calibration(settings.calibration, encoder.name)
    return shipped(encoder.name) if settings.min_similarity is None else None


def build_identifier(secrets: Secrets) -> Identifier:
    """Return what names requests under `secrets`."""
    return Identifier(secrets.current, secrets.previous)


def _semantic(
    config: AccelConfig, emit: Observer, encoder: Encoder | None, gates: Mapping[str, Gate]
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
    policy = build_similarity(settings, encoder, gates)
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
    settings: SemanticConfig, encoder: Encoder, gates: Mapping[str, Gate] | None = None
) -> SimilarityPolicy | None:
    """Return what decides about `encoder`'s neighbours; None where it is not calibrated.

    With `max_wrong_hits` it chooses whatever no gate refuses: `Learning` has the last word.

    Args:
        settings: which decision, and which gates.
        encoder: whose cosines are judged.
        gates: the application's own, by name, asked after the package's.

    Raises:
        ConfigError: the calibration is not one of `encoder`'s, or a gate's name is wrong.
    """
    asked = chosen(settings.gates.skip, strict=settings.gates.strict, extra=gates or {})
    if not settings.gates.enabled:
        asked = dict(gates or {})
    threshold, calibration = settings.min_similarity, _calibration(settings, encoder)
    if calibration is not None:
        # Under a bound, outcomes decide what is served, and so need all that may be.
        open_to_all = None if settings.max_wrong_hits is None else EVERYTHING
        serve_from = open_to_all or settings.serve_from or calibration.serve_from
        calibration = replace(calibration, serve_from=serve_from)
        return Decision(forest(), _lexicon, asked).under(calibration, settings.max_words)
    threshold = encoder.min_similarity if threshold is None else threshold
    if threshold is None or settings.max_wrong_hits is not None:
        return None
    policy = FixedThreshold(min_similarity=threshold, max_words=settings.max_words)
    return Gated(policy, _lexicon, asked) if asked else policy
