"""The settings of what is told of requests: recorded, logged, exported; a part of `tree`."""

from __future__ import annotations

from dataclasses import dataclass, field

from accel_core.config.ranges import positive
from accel_core.errors import ConfigError

_LEAST_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLogConfig:
    """A line of JSON for each request; see `observer.request_log`.

    Attributes:
        enabled: whether there is one.
        logger: the name of the standard logger that it is written to, at level INFO.
        tags: whether a line has the call's tags, which the application or its client chose.
    """

    enabled: bool = False
    logger: str = "accel.requests"
    tags: bool = False

    def __post_init__(self) -> None:
        if not self.logger:
            raise ConfigError("logger", self.logger, "must name one")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusConfig:
    """Metrics in prometheus_client's default registry (extra ``prometheus``).

    Attributes:
        enabled: whether they are kept.
    """

    enabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OtelConfig:
    """Spans and metrics through OpenTelemetry's global providers (extra ``otel``).

    Attributes:
        spans: whether each request is a span under the caller's own.
        metrics: whether metrics are kept.
    """

    spans: bool = False
    metrics: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsFileConfig:
    """A file of what happened, for ``accel report``; see `files.statistics_file`.

    Attributes:
        path: where; None: there is none.
        max_bytes: of it and the older one beside it, together.
        texts: whether it has questions in plain text: the most asked, and those that were near.
    """

    path: str | None = None
    max_bytes: int = 256 << 20
    texts: bool = False

    def __post_init__(self) -> None:
        if self.path == "":
            raise ConfigError("path", self.path, "must name a file")
        if not self.max_bytes >= _LEAST_FILE_BYTES:
            raise ConfigError("max_bytes", self.max_bytes, f"must be {_LEAST_FILE_BYTES:,} or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveConfig:
    """What is told of requests, and to whom.

    Attributes:
        enabled: whether requests are recorded at all; where not, only what the cache does is
            counted.
        max_queued: events that may wait for an observer; further ones are dropped, and counted.
        max_models: names of models that statistics and metrics tell apart; further ones are
            ``other``.
        max_tenants: tenants that metrics tell apart, by digest; 0: none is named.
        prices: a YAML file of prices, beside or instead of those that are shipped.
    """

    enabled: bool = True
    max_queued: int = 10_000
    max_models: int = 100
    max_tenants: int = 0
    prices: str | None = None
    log: RequestLogConfig = field(default_factory=RequestLogConfig)
    prometheus: PrometheusConfig = field(default_factory=PrometheusConfig)
    otel: OtelConfig = field(default_factory=OtelConfig)
    file: StatisticsFileConfig = field(default_factory=StatisticsFileConfig)

    def __post_init__(self) -> None:
        positive("max_queued", self.max_queued)
        positive("max_models", self.max_models)
        if not self.max_tenants >= 0:
            raise ConfigError("max_tenants", self.max_tenants, "must be 0 or more")
        if self.prices == "":
            raise ConfigError("prices", self.prices, "must name a file")
        exported = {
            "log.enabled": self.log.enabled,
            "prometheus.enabled": self.prometheus.enabled,
            "otel.spans": self.otel.spans,
            "otel.metrics": self.otel.metrics,
            "file.path": self.file.path,
        }
        for name, wanted in exported.items():
            if wanted and not self.enabled:
                raise ConfigError(name, wanted, "needs requests to be recorded: set enabled")
