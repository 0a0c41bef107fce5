"""What became of documents that were asked for, and of what is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from accel_core.events.caching import Tier


class RetrievalHit(NamedTuple):
    """Documents, or an answer made of them, were served from the cache.

    ``stale``: ``renewing`` (it is being made anew), ``error`` (making it anew failed), or ``""``.
    ``shared``: its caller waited for another call in progress.
    """

    tier: Tier
    entry_id: str
    similarity: float
    age_s: float
    stale: str = ""
    shared: bool = False


class RetrievalMiss(NamedTuple):
    """Nothing was served; why, as of `CacheMiss`, or ``changed`` (the documents did)."""

    reason: str
    similarity: float | None = None


class RetrievalStored(NamedTuple):
    """Documents, or an answer made of them, were stored; fresh for `ttl_s` seconds."""

    entry_id: str
    ttl_s: float


class RetrievalRefused(NamedTuple):
    """They were not stored.

    Reasons: ``too_large``, ``no_store``, ``unserialisable``, ``empty`` (an answer that says
    nothing), ``invalidated``; ``volatile``, ``personal``, ``acting``.
    """

    reason: str


class RetrievalSkipped(NamedTuple):
    """A message was taken to need no documents, and nothing was searched.

    ``reason``: a kind of small talk (``greeting``, ``thanks``, ``conversation`` …) or ``trained``.
    ``probability``: that documents were needed, where a trained gate decided.
    """

    reason: str
    probability: float | None = None


class CorpusChanged(NamedTuple):
    """Documents changed: so many that were named, or None where it may concern everything."""

    documents: int | None
