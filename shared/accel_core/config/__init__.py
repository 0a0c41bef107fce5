"""The configuration tree: what can be set, its defaults, and how it is read from YAML."""

from __future__ import annotations

from accel_core.config.limits import LimitsConfig
from accel_core.config.load import from_mapping, from_yaml
from accel_core.config.observe import ObserveConfig
from accel_core.config.retrieval import RetrievalConfig
from accel_core.config.retrieval_gate import RetrievalGateConfig
from accel_core.config.speculation import SpeculationConfig
from accel_core.config.tree import (
    AccelConfig,
    CacheConfig,
    EncoderConfig,
    EncoderKind,
    GateConfig,
    MemoryConfig,
    SecurityConfig,
    SemanticConfig,
    SingleFlightConfig,
    StoreConfig,
    VerifierConfig,
)

__all__ = [
    "AccelConfig",
    "CacheConfig",
    "EncoderConfig",
    "EncoderKind",
    "GateConfig",
    "LimitsConfig",
    "MemoryConfig",
    "ObserveConfig",
    "RetrievalConfig",
    "RetrievalGateConfig",
    "SecurityConfig",
    "SemanticConfig",
    "SingleFlightConfig",
    "SpeculationConfig",
    "StoreConfig",
    "VerifierConfig",
    "from_mapping",
    "from_yaml",
]
