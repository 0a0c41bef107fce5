"""The only wiring: a configuration becomes what it describes; plug-ins are loaded lazily."""

from __future__ import annotations

from accel_core.build.answers import Built, build_caches
from accel_core.build.decision import build_similarity, shipped_decision
from accel_core.build.embeddings import beside, build_embeddings
from accel_core.build.encoder import build_encoder, extra_of
from accel_core.build.observers import Observers, build_observers, unobserved
from accel_core.build.speculation import build_permits, build_speculator
from accel_core.build.store import build_store

__all__ = [
    "Built",
    "Observers",
    "beside",
    "build_caches",
    "build_embeddings",
    "build_encoder",
    "build_observers",
    "build_permits",
    "build_similarity",
    "build_speculator",
    "build_store",
    "extra_of",
    "shipped_decision",
    "unobserved",
]
