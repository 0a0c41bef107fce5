"""Requests as metrics for Prometheus; names and labels are in docs/observability.md.

Labels are bounded: models and tenants are told apart up to a number, then are ``other``; so are
reasons, a fixed vocabulary with the application's own names of gates and verifiers. Operations are
those of `OPERATIONS`, so that times and tokens of models, retrievers and tools are never mixed.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import prometheus_client as client

from accel_core import events
from accel_core.events.requests import MODEL_OPERATIONS, OPERATIONS, RequestEnded
from accel_core.policy.labels import Labels, among

if TYPE_CHECKING:
    from accel_core.events import Event
    from accel_core.policy.prices import PriceTable

_MOST_REASONS = 100
_MOST_NAMES = 100
_KEPT = "_accel_metrics"
"""Attribute of a registry: it lives as long as its metrics."""
_SECONDS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_PARTS = (
    "lookup_s", "encode_s", "shared_s", "verify_s", "queue_s", "backoff_s", "model_s",
    "first_token_s", "embed_s", "retrieval_s", "tool_s",
)  # fmt: skip


class PrometheusObserver:
    """Keeps metrics in a registry; what several observers of one registry count adds up.

    Args:
        prices: what tokens cost.
        max_models: models that are told apart.
        max_tenants: tenants that are; 0: they are not a label's value at all.
        registry: where metrics are kept; None: prometheus_client's default one.
    """

    kinds = frozenset(
        {
            RequestEnded,
            events.BackendFailed,
            events.CacheEvicted,
            events.LimitRefused,
            events.LimitRejected,
            events.ToolCallBegun,
            events.ToolCallReused,
            events.ToolCallWasted,
            events.PathsRaced,
        }
    )

    def __init__(
        self,
        prices: PriceTable,
        *,
        max_models: int = 100,
        max_tenants: int = 0,
        registry: client.CollectorRegistry | None = None,
    ) -> None:
        self._prices = prices
        self._models, self._reasons = Labels(max_models), Labels(_MOST_REASONS)
        self._tools, self._paths = Labels(_MOST_NAMES), Labels(_MOST_NAMES)
        self._predictors = Labels(_MOST_NAMES)
        self._tenants = Labels(max_tenants) if max_tenants else None
        self._metrics = _metrics_of(registry or client.REGISTRY)

    def __call__(self, event: Event, /) -> None:
        """Count `event`."""
        metrics = self._metrics
        if isinstance(event, RequestEnded):
            self._count(event)
        elif isinstance(event, events.BackendFailed):
            metrics.failures.labels(event.backend, event.operation).inc()
        elif isinstance(event, events.CacheEvicted):
            metrics.evicted.labels(event.reason).inc()
        elif isinstance(event, events.LimitRefused):
            metrics.refused.labels(event.tier).inc()
        elif isinstance(event, events.LimitRejected):
            metrics.rejected.labels(event.tier).inc()
        elif isinstance(event, events.PathsRaced):
            for path in event.paths:
                metrics.raced.labels(self._paths.of(path.name), path.outcome).inc()
        else:
            self._guess(event)

    def _guess(self, event: Event) -> None:
        metrics = self._metrics
        if isinstance(event, events.ToolCallBegun):
            metrics.guesses.labels(self._predictors.of(event.predictor)).inc()
        elif isinstance(event, events.ToolCallWasted):
            metrics.wasted.labels(event.reason).inc()
        elif isinstance(event, events.ToolCallReused):
            predictor = self._predictors.of(event.predictor)
            metrics.reused.labels(predictor).inc()
            metrics.tool_saved.labels(predictor).inc(max(0.0, event.saved_s))

    def _count(self, ended: RequestEnded) -> None:
        metrics, model = self._metrics, self._models.of(ended.model)
        operation = among(OPERATIONS, ended.operation)
        # Of two names with a meaning of their own the part that is the application's is bounded.
        reason = self._reasons.of(ended.reason)
        tenant = "" if self._tenants is None or not ended.tenant else self._tenants.of(ended.tenant)
        metrics.requests.labels(operation, ended.outcome, ended.ending, reason, model, tenant).inc()
        if operation == "execute_tool":
            metrics.tool_calls.labels(self._tools.of(ended.name), ended.outcome).inc()
        self._time(ended, operation)
        if operation in MODEL_OPERATIONS:
            self._charge(ended, operation, model)

    def _time(self, ended: RequestEnded, operation: str) -> None:
        metrics, tier = self._metrics, ended.service_tier
        metrics.took.labels(operation, ended.outcome, tier).observe(ended.total_s)
        for part in _PARTS:
            spent_s = getattr(ended.parts, part)
            if spent_s:
                metrics.parts.labels(operation, part.removesuffix("_s"), tier).observe(spent_s)
        if ended.token_s is not None:
            metrics.token.labels(operation, tier).observe(ended.token_s)
        if ended.attained:
            metrics.attained.labels(operation, tier, ended.attained).inc()

    def _charge(self, ended: RequestEnded, operation: str, model: str) -> None:
        metrics = self._metrics
        if ended.attempts:
            metrics.attempts.labels(operation, model).inc(ended.attempts)
        for kind, tokens in (("used", ended.used), ("saved", ended.saved)):
            if tokens is None:
                continue
            metrics.tokens.labels(operation, kind, "input", model).inc(tokens.input_tokens)
            if operation != "embeddings":  # whose answers are no tokens
                metrics.tokens.labels(operation, kind, "output", model).inc(tokens.output_tokens)
            cost = self._prices.cost(ended.model, tokens)
            if cost is not None:
                metrics.dollars.labels(operation, kind, model).inc(cost)
        if ended.saved_s is not None:
            saved_s = max(0.0, ended.saved_s - ended.total_s)
            metrics.saved_seconds.labels(operation, model).inc(saved_s)
        if ended.attempts and ended.used is None and ended.ending != "failed":
            metrics.unstated.labels(operation, model).inc()


_making = threading.Lock()


def _metrics_of(registry: client.CollectorRegistry) -> _Metrics:
    """Return the metrics of `registry`, which may have each name once: made with its first user."""
    with _making:
        made: _Metrics | None = getattr(registry, _KEPT, None)
        if made is None:
            made = _Metrics(registry)
            setattr(registry, _KEPT, made)
        return made


class _Metrics:
    """The metrics of one registry."""

    def __init__(self, registry: client.CollectorRegistry) -> None:
        def counter(name: str, what: str, *labels: str) -> client.Counter:
            return client.Counter(f"accel_{name}", what, labels, registry=registry)

        def histogram(name: str, what: str, *labels: str) -> client.Histogram:
            return client.Histogram(
                f"accel_{name}", what, labels, registry=registry, buckets=_SECONDS
            )

        self.requests = counter(
            "requests", "Requests of the application.",
            "operation", "outcome", "ending", "reason", "model", "tenant",
        )  # fmt: skip
        self.took = histogram(
            "request_seconds", "How long requests took.", "operation", "outcome", "tier"
        )
        self.parts = histogram(
            "request_part_seconds", "Where the time went.", "operation", "part", "tier"
        )
        self.token = histogram(
            "output_token_seconds", "Time for each token of a stream after its first.",
            "operation", "tier",
        )  # fmt: skip
        self.attained = counter(
            "limited_requests", "Whether a limiter's calls kept their tier's target.",
            "operation", "tier", "attained",
        )  # fmt: skip
        self.attempts = counter("attempts", "How often providers were asked.", "operation", "model")
        self.tokens = counter(
            "tokens", "Tokens used and saved.", "operation", "kind", "direction", "model"
        )
        self.dollars = counter("dollars", "Costs spent and saved.", "operation", "kind", "model")
        self.saved_seconds = counter("saved_seconds", "Time saved by hits.", "operation", "model")
        self.unstated = counter(
            "unstated_answers", "Answers without stated usage.", "operation", "model"
        )
        self.failures = counter("backend_failures", "Failures of backends.", "backend", "operation")
        self.evicted = counter("evicted", "Entries that left.", "reason")
        self.refused = counter("limit_refused", "Calls that providers refused for a limit.", "tier")
        self.rejected = counter("limit_rejected", "Calls that a limit turned away.", "tier")
        self.tool_calls = counter("tool_calls", "Tool calls asked for.", "tool", "outcome")
        self.guesses = counter("tool_guesses", "Tool calls begun unasked.", "predictor")
        self.wasted = counter("tool_guesses_wasted", "Those that were in vain.", "reason")
        self.reused = counter("tool_calls_reused", "Tool calls given earlier ones.", "predictor")
        self.raced = counter("race_paths", "What became of paths of races.", "path", "outcome")
        self.tool_saved = counter("tool_saved_seconds", "Time saved by early tools.", "predictor")
