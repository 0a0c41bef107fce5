"""Requests as spans and metrics of OpenTelemetry, by its semantic conventions for generative AI.

The names are those of the conventions 1.41.1 (`SCHEMA_URL`). Later releases leave them to a
repository of their own (open-telemetry/semantic-conventions-genai), which still changes them, and
has released none. So they stand here and nowhere else; what is ours begins with ``accel.``, and the
operation ``query``. No span holds a question, an answer or a tenant.

A span is made when its request has ended, in the background, with the times that it had, under the
span in which the request was made. Only that one's context is taken from the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context as contexts
from opentelemetry import metrics as meters
from opentelemetry import trace as traces
from opentelemetry.trace import SpanKind, StatusCode

from accel_core import events
from accel_core.events.requests import MODEL_OPERATIONS, OPERATIONS, RequestEnded
from accel_core.policy.labels import Labels, among

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, Tracer, TracerProvider

    from accel_core.events import Event

SCHEMA_URL = "https://opentelemetry.io/schemas/1.41.1"
_SCOPE = "accel_core"
_MOST_REASONS = _MOST_ERRORS = 100
_MOST_PROVIDERS = 30
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = tuple(4**power for power in range(14))
"""Bucket boundaries as the conventions advise."""

_OPERATION, _PROVIDER = "gen_ai.operation.name", "gen_ai.provider.name"
_MODEL, _KIND = "gen_ai.request.model", "gen_ai.token.type"
_INPUT, _OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
_CACHED, _STREAMED = "gen_ai.usage.cache_read.input_tokens", "gen_ai.request.stream"
_FIRST_CHUNK, _ERROR = "gen_ai.response.time_to_first_chunk", "error.type"
_TOOL = "gen_ai.tool.name"
_UNKNOWN_PROVIDER = "_OTHER"
_PROVIDERS = {
    "amazon_bedrock": "aws.bedrock", "bedrock": "aws.bedrock", "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai", "azure_ai": "azure.ai.inference",
    "azure_inference": "azure.ai.inference", "google_genai": "gcp.gemini", "gemini": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai", "vertex": "gcp.vertex_ai", "ibm": "ibm.watsonx.ai",
    "watsonx": "ibm.watsonx.ai", "mistral": "mistral_ai", "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai", "xai": "x_ai",
}  # fmt: skip
"""Where a framework's name of a provider is not the conventions' own."""
_PARTS = (
    "lookup_s", "encode_s", "shared_s", "verify_s", "queue_s", "backoff_s", "model_s", "embed_s",
    "retrieval_s", "tool_s",
)  # fmt: skip


class OtelObserver:
    """Tells OpenTelemetry of requests.

    Args:
        spans: whether each is a span.
        metrics: whether they are counted.
        max_models: models that metrics tell apart; spans name every one.
        tracer_provider: where spans go; None: the global one.
        meter_provider: where metrics go, likewise.
    """

    kinds = frozenset(
        {
            RequestEnded,
            events.ToolCallBegun,
            events.ToolCallReused,
            events.ToolCallWasted,
            events.PathsRaced,
        }
    )

    def __init__(
        self,
        *,
        spans: bool = True,
        metrics: bool = True,
        max_models: int = 100,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._tracer: Tracer | None = None
        if spans:
            self._tracer = traces.get_tracer(
                _SCOPE, tracer_provider=tracer_provider, schema_url=SCHEMA_URL
            )
        meter = meters.get_meter(_SCOPE, meter_provider=meter_provider, schema_url=SCHEMA_URL)
        self._metrics = _Metrics(meter, max_models) if metrics else None

    def capture(self) -> Context:
        """Return the caller's context."""
        return contexts.get_current()

    def __call__(self, event: Event, captured: Context | None = None, /) -> None:
        """Tell of a request that was made in the context `captured`; count what else happened."""
        if not isinstance(event, RequestEnded):
            if self._metrics is not None:
                self._metrics.count_other(event)
            return
        if self._tracer is not None:
            end_ns = int(event.ended_s * 1e9)
            span = self._tracer.start_span(
                f"{event.operation} {event.name or event.model}".strip(),
                captured,
                SpanKind.CLIENT if event.attempts else SpanKind.INTERNAL,
                _attributes(event),
                start_time=end_ns - int(event.total_s * 1e9),
            )
            _add_events(span, event, end_ns)
            if event.error:
                span.set_status(StatusCode.ERROR, event.error)
            span.end(end_ns)
        if self._metrics is not None:
            self._metrics.count(event)


def _provider(ended: RequestEnded) -> str:
    """Return who was asked, as the conventions call him; ``""``: nobody who has such a name."""
    if ended.provider:
        return _PROVIDERS.get(ended.provider, ended.provider)
    return _UNKNOWN_PROVIDER if ended.operation in MODEL_OPERATIONS else ""


def _attributes(ended: RequestEnded) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        _OPERATION: ended.operation,
        "accel.cache.outcome": ended.outcome,
        "accel.cache.reason": ended.reason,
        "accel.ending": ended.ending,
        "accel.attempts": ended.attempts,
    }
    known: dict[str, Any] = {
        _MODEL: ended.model,
        _PROVIDER: _provider(ended),
        _TOOL if ended.operation == "execute_tool" else "accel.name": ended.name,
        _STREAMED: ended.streamed,
        _ERROR: ended.error,
        "accel.cache.tier": ended.tier,
        "accel.cache.entry": ended.entry_id,
        "accel.service_tier": ended.service_tier,
        "accel.service_tier.attained": ended.attained,
    }
    if ended.used is not None:
        attributes[_INPUT] = int(ended.used.input_tokens)
        if ended.operation != "embeddings":  # whose answers are no tokens
            attributes[_OUTPUT] = int(ended.used.output_tokens)
        known[_CACHED] = int(ended.used.cached_input_tokens)
    if ended.saved is not None:
        attributes["accel.saved.input_tokens"] = int(ended.saved.input_tokens)
        attributes["accel.saved.output_tokens"] = int(ended.saved.output_tokens)
    measured = {
        "accel.cache.similarity": ended.similarity,
        "accel.cache.age_s": ended.age_s,
        "accel.saved.duration_s": ended.saved_s,
        _FIRST_CHUNK: ended.parts.first_token_s,
        "accel.time_per_output_token_s": ended.token_s,
    }
    attributes |= {name: value for name, value in known.items() if value}
    return attributes | {name: value for name, value in measured.items() if value is not None}


def _add_events(span: Span, ended: RequestEnded, end_ns: int) -> None:
    """Add what happened within a request, when it did."""
    began_ns = end_ns - int(ended.total_s * 1e9)
    parts = ended.parts
    decided_ns = end_ns if ended.outcome == "hit" else began_ns + int(parts.lookup_s * 1e9)
    decision: dict[str, Any] = {"accel.cache.reason": ended.reason}
    if ended.similarity is not None:
        decision["accel.cache.similarity"] = ended.similarity
    reused = ended.operation == "execute_tool" and ended.outcome == "hit"
    what = "speculation.reused" if reused else f"cache.{ended.outcome}"
    span.add_event(f"accel.{what}", decision, decided_ns)
    if parts.queue_s or parts.backoff_s:
        waits = {"accel.queue_s": parts.queue_s, "accel.backoff_s": parts.backoff_s}
        admitted_ns = decided_ns + int((parts.queue_s + parts.backoff_s) * 1e9)
        span.add_event("accel.limiter.wait", waits, admitted_ns)


class _Metrics:
    def __init__(self, meter: Any, max_models: int) -> None:
        self._models, self._reasons = Labels(max_models), Labels(_MOST_REASONS)
        self._providers, self._errors = Labels(_MOST_PROVIDERS), Labels(_MOST_ERRORS)
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="How long requests took.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._first_chunk = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            unit="s",
            description="From the sending of a request to the first part of its stream.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._parts = meter.create_histogram(
            "accel.request.part.duration",
            unit="s",
            description="Where the time of requests went.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Tokens that providers say were used.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._requests = meter.create_counter("accel.requests", description="Requests, by outcome.")
        self._attempts = meter.create_counter("accel.attempts", description="Providers asked.")
        self._saved_tokens = meter.create_counter("accel.saved.tokens", unit="{token}")
        self._saved_s = meter.create_counter("accel.saved.duration", unit="s")
        self._guesses = meter.create_counter("accel.tool.guesses")
        self._wasted = meter.create_counter("accel.tool.guesses.wasted")
        self._reused = meter.create_counter("accel.tool.calls.reused")
        self._raced = meter.create_counter("accel.race.paths")

    def count_other(self, event: Event) -> None:
        """Count what became of an early tool call, or of the paths of a race."""
        if isinstance(event, events.ToolCallBegun):
            self._guesses.add(1, {"accel.predictor": self._reasons.of(event.predictor)})
        elif isinstance(event, events.ToolCallWasted):
            self._wasted.add(1, {"accel.reason": event.reason})
        elif isinstance(event, events.ToolCallReused):
            self._reused.add(1, {"accel.predictor": self._reasons.of(event.predictor)})
        elif isinstance(event, events.PathsRaced):
            for path in event.paths:
                told = {"accel.path": self._reasons.of(path.name), "accel.outcome": path.outcome}
                self._raced.add(1, told)

    def count(self, ended: RequestEnded) -> None:
        """Count a request."""
        who = self._who(ended)
        outcome = {"accel.cache.outcome": ended.outcome}
        self._requests.add(
            1, who | outcome | {"accel.cache.reason": self._reasons.of(ended.reason)}
        )
        failed = {_ERROR: self._errors.of(ended.error)} if ended.error else {}
        self._duration.record(ended.total_s, who | failed | outcome)
        self._time(ended, who)
        if ended.attempts:
            self._attempts.add(ended.attempts, who)
        for told, tokens in (
            (self._tokens.record, ended.used),
            (self._saved_tokens.add, ended.saved),
        ):
            if tokens is not None:
                told(tokens.input_tokens, who | {_KIND: "input"})
                if ended.operation != "embeddings":
                    told(tokens.output_tokens, who | {_KIND: "output"})
        if ended.saved_s is not None:
            self._saved_s.add(max(0.0, ended.saved_s - ended.total_s), who)

    def _who(self, ended: RequestEnded) -> dict[str, str]:
        """Return what was asked of whom, in bounded many words."""
        who = {_OPERATION: among(OPERATIONS, ended.operation)}
        if provider := _provider(ended):
            who[_PROVIDER] = self._providers.of(provider)
        if ended.model:
            who[_MODEL] = self._models.of(ended.model)
        return who

    def _time(self, ended: RequestEnded, who: dict[str, str]) -> None:
        if ended.parts.first_token_s is not None:
            self._first_chunk.record(ended.parts.first_token_s, who)
        for part in _PARTS:
            spent_s = getattr(ended.parts, part)
            if spent_s:
                told = {_OPERATION: who[_OPERATION], "accel.part": part.removesuffix("_s")}
                self._parts.record(spent_s, told)
