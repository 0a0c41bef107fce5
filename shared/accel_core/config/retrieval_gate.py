"""The settings of the gate in front of retrieval: the section ``retrieval.gate``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from accel_core.config.ranges import positive
from accel_core.errors import ConfigError
from accel_core.policy.small_talk import SmallTalk

_LANGUAGES = SmallTalk().languages


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalGateConfig:
    """Which messages are answered without searching documents.

    Attributes:
        kind: ``none`` always searches; ``rules`` skips small talk known by heart; ``trained`` also
            what a file of ``accel train-gate`` recognises.
        path: that file.
        languages: whose small talk ``rules`` know: ``de``, ``en``, ``es``, ``fr``; ``trained``
            takes those that it was trained beside.
        remembered: decisions kept in memory.
    """

    kind: Literal["none", "rules", "trained"] = "none"
    path: str | None = None
    languages: tuple[str, ...] = _LANGUAGES
    remembered: int = 10_000

    def __post_init__(self) -> None:
        if (self.kind == "trained") != bool(self.path):
            expected = "must name what accel train-gate wrote for kind 'trained', and only there"
            raise ConfigError("path", self.path, expected)
        SmallTalk(languages=self.languages)
        positive("remembered", self.remembered)
