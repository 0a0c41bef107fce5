"""The only wiring: a configuration becomes what it describes, every plug-in loaded by name, lazily."""

from __future__ import annotations

from accel_core.build.answers import build_cache
from accel_core.build.clocks import Clocks
from accel_core.build.decision import build_similarity, shipped_decision
from accel_core.build.encoder import build_encoder, extra_of

__all__ = [
    "Clocks",
    "build_cache",
    "build_encoder",
    "build_similarity",
    "extra_of",
    "shipped_decision",
]
