"""The settings of a provider's limits: the section ``limits`` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

from accel_core.config.ranges import positive
from accel_core.errors import ConfigError
from accel_core.policy.limits.account import Limits
from accel_core.policy.limits.tiers import TARGETS_S

Provider = Literal["openai", "anthropic", "azure", "bedrock", "groq", "mistral", "vllm", "generic"]
AMOUNTS = tuple(amount.name for amount in fields(Limits))
"""The settings that are limits themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TiersConfig:
    """How soon calls of a tier want their first token, and their end; see `Limiter.tier`.

    Attributes:
        platinum_s: to the first token, as for the others; None: no target.
        platinum_deadline_s: to the end of the answer, as for the others; None: no deadline.
    """

    platinum_s: float | None = TARGETS_S["platinum"]
    gold_s: float | None = TARGETS_S["gold"]
    silver_s: float | None = TARGETS_S["silver"]
    bronze_s: float | None = TARGETS_S["bronze"]
    platinum_deadline_s: float | None = None
    gold_deadline_s: float | None = None
    silver_deadline_s: float | None = None
    bronze_deadline_s: float | None = None
    best_effort_deadline_s: float | None = None

    def __post_init__(self) -> None:
        for bound in fields(self):
            bound_s = getattr(self, bound.name)
            if bound_s is not None:
                positive(bound.name, bound_s)

    def targets(self) -> dict[str, float | None]:
        """Return the targets by tier."""
        return {
            "platinum": self.platinum_s,
            "gold": self.gold_s,
            "silver": self.silver_s,
            "bronze": self.bronze_s,
        }

    def deadlines(self) -> dict[str, float | None]:
        """Return the deadlines by tier."""
        return {
            "platinum": self.platinum_deadline_s,
            "gold": self.gold_deadline_s,
            "silver": self.silver_deadline_s,
            "bronze": self.bronze_deadline_s,
            "best_effort": self.best_effort_deadline_s,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryConfig:
    """How refused and failed calls are sent again.

    Attributes:
        max_attempts: of a call whose service fails, the first included.
        base_s: the longest first pause.
        cap_s: the longest of all.
        deadline_s: from the first attempt to the start of the last, for refusals as well.
        share: retries after failures that each call pays for, in [0, 1].
        allowance: retries beside it, each minute.
    """

    max_attempts: int = 4
    base_s: float = 0.5
    cap_s: float = 20.0
    deadline_s: float = 120.0
    share: float = 0.2
    allowance: float = 10.0

    def __post_init__(self) -> None:
        positive("max_attempts", self.max_attempts)
        positive("base_s", self.base_s)
        if not self.base_s <= self.cap_s < float("inf"):
            raise ConfigError("cap_s", self.cap_s, "must be at least base_s")
        if not self.deadline_s >= 0:
            raise ConfigError("deadline_s", self.deadline_s, "must be 0 or more")
        if not 0 <= self.share <= 1:
            raise ConfigError("share", self.share, "must be in [0, 1]")
        if not 0 <= self.allowance < float("inf"):
            raise ConfigError("allowance", self.allowance, "must be 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedLimitsConfig:
    """Where processes that use one key keep how much of its limits is left; see `RedisLevels`.

    Attributes:
        kind: ``none``: each process counts for itself; ``redis`` (extra ``redis``): on a server.
        url: the server; None: the one of ``cache.store``. Never shown: it may hold a password.
        name: whose limits: all that name the same share them, one name for each key. None: the
            provider's.
        when_away: while the server cannot be asked, ``degraded``: each process keeps to its share
            of the limits; ``closed``: nobody is let through.
    """

    kind: Literal["none", "redis"] = "none"
    url: str | None = field(default=None, repr=False)
    name: str | None = None
    when_away: Literal["degraded", "closed"] = "degraded"

    def __post_init__(self) -> None:
        if self.kind == "none" and self.url:
            raise ConfigError("kind", self.kind, "must be 'redis' where a url is given")
        if self.name == "":
            raise ConfigError("name", self.name, "must be a text, or left out")


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """The provider's limits, kept by waiting for room; see `Limiter`.

    Attributes:
        provider: how it counts; None: calls are not limited.
        adaptive_concurrency: whether to find how many calls may be under way at once; None: at
            ``vllm`` only.
        count_tokens: whether to count first prompts with tiktoken, where it is installed.
        max_wait_s: how long a call without a tier's target may wait.
        shared: where processes share the limits.
    """

    provider: Provider | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    input_tokens_per_minute: float | None = None
    output_tokens_per_minute: float | None = None
    requests_per_day: float | None = None
    tokens_per_day: float | None = None
    concurrent_requests: int | None = None
    adaptive_concurrency: bool | None = None
    count_tokens: bool = False
    max_wait_s: float = 120.0
    tiers: TiersConfig = field(default_factory=TiersConfig)
    retry: RetryConfig = field(default_factory=RetryConfig)
    shared: SharedLimitsConfig = field(default_factory=SharedLimitsConfig)

    def __post_init__(self) -> None:
        for name in AMOUNTS:
            amount = getattr(self, name)
            if amount is None:
                continue
            if not 0 < amount < float("inf"):
                raise ConfigError(name, amount, "must be a number above 0")
            if self.provider is None:
                raise ConfigError("provider", None, f"must be named beside {name}")
        if not 0 <= self.max_wait_s < float("inf"):
            raise ConfigError("max_wait_s", self.max_wait_s, "must be 0 or more")
        if self.shared.kind != "none" and self.provider is None:
            raise ConfigError("provider", None, "must be named where limits are shared")
