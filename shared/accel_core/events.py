"""What happened, as frozen values: the one language of logs, metrics, tests and reports.

An event holds no question and no answer: texts may be private. It names an entry by its id.
All durations are seconds; similarities are cosines in [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tier = Literal["exact", "semantic"]


@dataclass(frozen=True, slots=True)
class CacheHit:
    """A stored answer was served. ``shared`` says that the caller had waited for a leader."""

    tier: Tier
    entry_id: str
    similarity: float
    age_s: float
    shared: bool = False


@dataclass(frozen=True, slots=True)
class CacheMiss:
    """No stored answer was served; ``reason`` says why, in a fixed vocabulary.

    Reasons: ``no_entry``, ``below_threshold``, ``not_comparable`` (only an exact hit was possible),
    an encoder's distrust (``window``, ``unknown_tokens``, ``script``), ``no_encoder``,
    ``uncalibrated``, ``backend`` (something failed), ``declined`` (the leader's answer may not
    be shared).
    """

    reason: str
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class CacheBypassed:
    """The cache was not consulted.

    Reasons: ``temperature``, ``no_cache``, ``tenant_required``, ``disabled``, ``several_answers``.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class CacheStored:
    """An answer was stored; ``semantic`` says whether it may be served by meaning."""

    entry_id: str
    semantic: bool
    ttl_s: float


@dataclass(frozen=True, slots=True)
class CacheRefused:
    """An answer was not stored, for ``reason``.

    Reasons: ``empty``, ``truncated``, ``refused``, ``error``, ``too_large``, ``no_store``,
    ``unserialisable``, ``unsupported``.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class CacheEvicted:
    """An entry left for space (``reason="space"``) or age (``reason="expired"``)."""

    entry_id: str
    reason: Literal["space", "expired"]


@dataclass(frozen=True, slots=True)
class CacheInvalidated:
    """Entries were removed because somebody asked for it."""

    count: int


@dataclass(frozen=True, slots=True)
class BackendFailed:
    """A store, an index or an encoder failed; the call went on without it."""

    backend: str
    operation: str
    error: str


@dataclass(frozen=True, slots=True)
class SemanticUnavailable:
    """Answers are served exactly only; said once, with the remedy."""

    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class WriteDropped:
    """The background writer's queue was full and ``count`` of the oldest writes were dropped."""

    count: int


@dataclass(frozen=True, slots=True)
class ControlIgnored:
    """A per-call control had a value that cannot be used; the call went on without it."""

    name: str
    expected: str


Event = (
    CacheHit
    | CacheMiss
    | CacheBypassed
    | CacheStored
    | CacheRefused
    | CacheEvicted
    | CacheInvalidated
    | BackendFailed
    | SemanticUnavailable
    | WriteDropped
    | ControlIgnored
)
