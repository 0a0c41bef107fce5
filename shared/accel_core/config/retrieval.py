"""The settings of cached retrieval: the section ``retrieval`` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from accel_core.config.ranges import positive
from accel_core.config.retrieval_gate import RetrievalGateConfig
from accel_core.policy.freshness import Freshness


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalConfig:
    """Documents retrieved, and answers made of them, for as long as the documents are the same.

    Attributes:
        enabled: whether any are cached.
        semantic: whether other wordings of a question find them.
        max_documents: longer lists are not stored.
        max_entry_bytes: what is larger, question included, is not stored.
        freshness: lifetimes.
        gate: which messages are answered without searching.
    """

    enabled: bool = True
    semantic: bool = True
    max_documents: int = 1000
    max_entry_bytes: int = 4 << 20
    freshness: Freshness = field(default_factory=Freshness)
    gate: RetrievalGateConfig = field(default_factory=RetrievalGateConfig)

    def __post_init__(self) -> None:
        positive("max_documents", self.max_documents)
        positive("max_entry_bytes", self.max_entry_bytes)
