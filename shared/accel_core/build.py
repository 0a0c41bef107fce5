"""The only wiring: a configuration becomes a cache, with every plug-in loaded by name and lazily.

Nothing here touches the network or loads a model; an encoder that cannot be had is reported once,
with the remedy, and answers are then served exactly only.
"""

from __future__ import annotations

import importlib.util
import os
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accel_core import events
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.drive.flight import FlightTable
from accel_core.encoder.batching import BatchingEncoder
from accel_core.errors import ConfigError
from accel_core.index.scoped import ScopedIndex
from accel_core.policy.identity import Identifier
from accel_core.policy.seal import Seal
from accel_core.policy.similarity import FixedThreshold
from accel_core.semantic_cache import Policies, SemanticCache
from accel_core.store.memory import MemoryStore
from accel_core.tiers import Tiers

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.config import AccelConfig, EncoderConfig, SecurityConfig, StoreConfig
    from accel_core.ports import Encoder, Entry, Observer, Store

_MIN_SECRET_BYTES = 32

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
) -> tuple[SemanticCache, Tiers]:
    """Wire a cache.

    Args:
        config: the configuration.
        secrets: keys of digests and MACs.
        emit: receives every event.
        clocks: time and dice.
        encoder: used instead of the configured one.
        store: used instead of the configured one.
    """
    settings = config.cache
    encoder, similarity, off = _semantic(config, emit, encoder)
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
        colours=(BlockingIo(), AsyncIo()),
        emit=emit,
        wall_now=clocks.wall_now,
        chance=clocks.chance,
    )
    return cache, tiers


def build_identifier(secrets: Secrets) -> Identifier:
    """Return what names requests under `secrets`."""
    return Identifier(secrets.current, secrets.previous)


def _semantic(
    config: AccelConfig, emit: Observer, encoder: Encoder | None
) -> tuple[Encoder | None, FixedThreshold | None, str]:
    """Return encoder, similarity policy and, where there is none, the reason."""
    settings = config.cache.semantic
    if not settings.enabled:
        return None, None, "disabled"
    encoder = encoder or build_encoder(settings.encoder, settings.min_similarity)
    if encoder is None:
        remedy = f"pip install 'llm-accel[{_EXTRAS[settings.encoder.kind]}]'"
        emit(events.SemanticUnavailable("no_encoder", remedy))
        return None, None, "no_encoder"
    threshold = settings.min_similarity
    if threshold is None:
        threshold = encoder.min_similarity
    if threshold is None:
        remedy = f"set cache.semantic.min_similarity for encoder {encoder.name!r}"
        emit(events.SemanticUnavailable("uncalibrated", remedy))
        return None, None, "uncalibrated"
    policy = FixedThreshold(min_similarity=threshold, max_words=settings.max_words)
    return encoder, policy, ""
