"""How far speculation goes: how likely a guess must be, how many there may be, how long they count.

The defaults are for tools that answer within seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from accel_core.errors import ConfigError
from accel_core.policy.acceptance import AcceptanceTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeculationSettings:
    """How far speculation goes.

    Attributes:
        threshold: confidence from which a guess is begun, in
            [0, 1].
        at_once: guesses of one session under way, at least 1.
        at_once_in_all: those of all sessions.
        tool_at_once: calls of one tool under way, real ones included, beyond which no guess of it
            is begun.
        per_minute: guesses begun in a minute, of all sessions.
        waste_share: share of a tool's guesses that may be wasted before it is guessed only where it
            is surer, or rests, in (0, 1].
        audit_share: share of adopted results that are compared with the real call's, in [0, 1].
        window_s: how long an unfinished guess that was not asked for goes on after the model has
            answered.
        timeout_s: how long a guess may take, and whoever waits for another's call may wait.
        ttl_s: how long a result is used by its own session.
        reuse_s: how long by another, and by its own for a call that it repeats in its next turn:
            who asks anew at once wants to know whether something has changed.
        static_ttl_s: how long that of a static tool.
        kept: results kept.
        kept_bytes: about how much memory they may hold together.
    """

    threshold: float = 0.7
    at_once: int = 3
    at_once_in_all: int = 64
    tool_at_once: int = 16
    per_minute: int = 1_000
    waste_share: float = 0.5
    audit_share: float = 0.02
    window_s: float = 0.5
    timeout_s: float = 30.0
    ttl_s: float = 30.0
    reuse_s: float = 2.0
    static_ttl_s: float = 600.0
    kept: int = 1_000
    kept_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        self.acceptance()
        for name in (
            "at_once",
            "at_once_in_all",
            "tool_at_once",
            "per_minute",
            "kept",
            "kept_bytes",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(name, getattr(self, name), "must be at least 1")
        if not 0 <= self.audit_share <= 1:
            raise ConfigError("audit_share", self.audit_share, "must be in [0, 1]")
        if not 0 < self.timeout_s < float("inf"):
            raise ConfigError("timeout_s", self.timeout_s, "must be above 0, and end")
        for name in ("window_s", "ttl_s", "reuse_s", "static_ttl_s"):
            if not getattr(self, name) >= 0:
                raise ConfigError(name, getattr(self, name), "must be 0 or more")

    def acceptance(self) -> AcceptanceTerms:
        """Return what guesses must be worth."""
        return AcceptanceTerms(threshold=self.threshold, waste_share=self.waste_share)
