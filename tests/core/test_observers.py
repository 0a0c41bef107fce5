"""Observers: nobody waits for one, and what they tell is bounded and holds nobody's words."""

from __future__ import annotations

import json
import logging
import os
import threading
import warnings
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as conventions
from prometheus_client import CollectorRegistry

from accel_core.accel import Accel
from accel_core.errors import ConfigError
from accel_core.events import (
    BackendFailed,
    CacheEvicted,
    CacheInvalidated,
    PathRun,
    PathsRaced,
    ToolCallBegun,
    ToolCallReused,
    ToolCallWasted,
)
from accel_core.events.requests import Parts, RequestEnded, Tokens
from accel_core.observer.ledger import Ledger
from accel_core.observer.otel import SCHEMA_URL, OtelObserver
from accel_core.observer.prices import load_prices
from accel_core.observer.prometheus import PrometheusObserver
from accel_core.observer.queued import Queued
from accel_core.observer.request_log import RequestLog
from accel_core.observer.requests import RequestTotals
from accel_core.policy.histogram import Histogram
from accel_core.policy.labels import OTHER, Labels
from accel_core.policy.prices import Price, PriceTable

if TYPE_CHECKING:
    from pathlib import Path

    from accel_core.events import Event

WAIT_S = 10.0
EVENT = CacheEvicted("e", "space")
ASKED = RequestEnded(
    "chat", "miss", "answered", "below_threshold", 2.0, 1_800_000_000.0,
    model="gpt-4o-mini", provider="openai", tenant="ab12", tags=("user@example.org",),
    service_tier="gold", streamed=True, similarity=0.71,
    parts=Parts(0.1, 0.05, queue_s=0.5, model_s=1.4, first_token_s=0.4, stream_s=1.0),
    attempts=2, used=Tokens(1_000_000.0, 11.0, 400_000.0),
)  # fmt: skip
HIT = RequestEnded(
    "chat", "hit", "answered", "calibrated", 0.01, 1_800_000_001.0,
    model="gpt-4o-mini", provider="openai", tier="semantic", entry_id="ff", similarity=0.97,
    age_s=60.0, saved=Tokens(100.0, 10.0), saved_s=2.0,
)  # fmt: skip


TOOL = RequestEnded(
    "execute_tool", "hit", "answered", "guessed", 0.0, 1_800_000_002.0, saved_s=0.5, name="track"
)
EARLY = [
    ToolCallBegun("track", "mined", 0.9),
    ToolCallBegun("find", "mined", 0.8),
    ToolCallReused("track", "mined", 0.5),
    ToolCallWasted("find", "mined", "unasked"),
]
RACE = PathsRaced("small", 1.0, (PathRun("small", "won"), PathRun("large", "cancelled")))


class Held:
    """Blocks at its first event until it is let go."""

    def __init__(self) -> None:
        self.entered, self.released = threading.Event(), threading.Event()
        self.seen: list[Event] = []

    def __call__(self, event: Event, /) -> None:
        self.entered.set()
        assert self.released.wait(WAIT_S)
        self.seen.append(event)


def test_events_reach_an_observer_in_order_and_by_another_thread() -> None:
    """What is queued is handed over whole, and `flush` waits for it."""
    seen: list[tuple[Event, str]] = []
    queued = Queued(lambda event: seen.append((event, threading.current_thread().name)))
    events = [CacheInvalidated(n) for n in range(500)]
    for event in events:
        queued(event)
    assert queued.flush(WAIT_S)
    assert [event for event, _ in seen] == events
    assert threading.current_thread().name not in {name for _, name in seen}
    queued.close(WAIT_S)


def test_one_that_blocks_holds_up_nobody_and_what_finds_no_room_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Callers go on, other observers see everything, and there is one warning."""
    held, seen = Held(), []
    blocked, other = Queued(held, max_queued=10), Queued(seen.append)
    blocked(EVENT)
    assert held.entered.wait(WAIT_S)
    for _ in range(30):
        blocked(EVENT)
        other(EVENT)
    assert other.flush(WAIT_S)
    assert len(seen) == 30
    assert blocked.dropped == 20
    held.released.set()
    assert blocked.flush(WAIT_S)
    assert len(held.seen) == 11
    warnings = [one.getMessage() for one in caplog.records]
    assert len(warnings) == 1
    assert "Held is too slow" in warnings[0]
    for one in (blocked, other):
        one.close(WAIT_S)


def test_one_that_raises_is_told_of_the_rest_and_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An error of an observer ends there."""
    seen: list[Event] = []

    def broken(event: Event) -> None:
        seen.append(event)
        raise ValueError("broken")

    accel = Accel(observers=[broken])
    for _ in range(3):
        accel.invalidate()
    accel.flush()
    assert len(seen) >= 3
    assert accel.stats().observers == {"broken": len(seen)}
    assert len([one for one in caplog.records if "broken" in one.getMessage()]) == 1
    accel.close()
    accel.invalidate()


def test_a_closed_observer_is_told_of_what_came_before() -> None:
    """Closing hands over what waits, within its time."""
    seen: list[Event] = []
    queued = Queued(seen.append)
    for _ in range(5):
        queued(EVENT)
    queued.close(WAIT_S)
    queued(EVENT)
    assert len(seen) == 5
    assert queued.dropped == 1


def an_end(ended_s: float, wall_s: float) -> RequestEnded:
    """Make the event of a request that ends at `ended_s`."""
    return HIT._replace(total_s=ended_s, ended_s=wall_s)


def a_ledger(*queued: Queued) -> Ledger:
    totals = RequestTotals(10, PriceTable)
    return Ledger(totals, None, queued, wall_now=lambda: 1_000.0, mono_now=lambda: 5.0)


def test_whoever_looks_sees_every_request_so_far() -> None:
    """What was put down is in the totals at once, by whichever thread it is entered."""
    ledger = a_ledger()

    def put() -> None:
        for _ in range(2_500):
            ledger.put(an_end)

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.snapshot().total.requests == 10_000
    ledger.close()


def test_requests_are_entered_without_anybody_looking() -> None:
    """A thread enters what was put down, with the moment it was, and what its caller captured."""
    told: list[tuple[Event, object]] = []
    done = threading.Event()
    caller = ContextVar("caller", default="nobody")
    caller.set("me")

    class Capturing:
        def capture(self) -> str:
            return caller.get()

        def __call__(self, event: Event, captured: object = None, /) -> None:
            told.append((event, captured))
            done.set()

    queued = Queued(Capturing())
    ledger = a_ledger(queued)
    ledger.put(an_end)
    assert done.wait(WAIT_S)
    ((event, captured),) = told
    assert isinstance(event, RequestEnded)
    assert (event.total_s, event.ended_s) == (5.0, 1_000.0)
    assert captured == "me"
    ledger.close()
    queued.close(WAIT_S)


def test_what_cannot_be_captured_is_counted_and_costs_nobody_a_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An observer that fails at capturing is told all the same; others and totals are whole."""
    told: list[object] = []

    class Failing:
        def capture(self) -> None:
            raise ValueError("no context")

        def __call__(self, event: Event, captured: object = None, /) -> None:
            told.append(captured)

    failing, other = Queued(Failing()), Queued(lambda _: told.append("other"))
    ledger = a_ledger(failing, other)
    for _ in range(2):
        ledger.put(an_end)
    assert ledger.snapshot().total.requests == 2
    for one in (failing, other):
        assert one.flush(WAIT_S)
        one.close(WAIT_S)
    assert sorted(map(str, told)) == ["None", "None", "other", "other"]
    assert failing.failed == 2
    assert len([one for one in caplog.records if "Failing" in one.getMessage()]) == 1
    ledger.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
def test_a_forked_child_starts_anew() -> None:
    """A child enters and tells its own requests, though no thread of its parent's lives in it."""
    seen: list[Event] = []
    with Accel(observers=[seen.append]) as accel:
        accel._observers.ledger.put(an_end)
        accel.flush()
        before = len(seen)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            accel._observers.ledger.put(an_end)
            accel.flush()
            os._exit(0 if len(seen) == before + 1 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@given(st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=200))
def test_quantiles_are_near_the_true_ones(durations_s: list[float]) -> None:
    """A quantile is within 7 % of the duration at its rank; the mean is exact."""
    histogram = Histogram()
    for duration_s in durations_s:
        histogram.add(duration_s)
    found = histogram.quantiles()
    ranked = sorted(durations_s)
    for share, quantile_s in ((0.5, found.p50_s), (0.95, found.p95_s), (0.99, found.p99_s)):
        rank = next(n for n in range(1, len(ranked) + 1) if n >= share * len(ranked))
        assert quantile_s == pytest.approx(ranked[rank - 1], rel=0.07)
    assert found.mean_s == pytest.approx(sum(durations_s) / len(durations_s))


def test_no_cost_is_guessed() -> None:
    """A model without a row, and cached input without a price, have no cost."""
    table = PriceTable([Price("m", 1.0, 2.0, None, "2026-06-21", "https://example.org")])
    assert table.cost("m", Tokens(1e6, 1e6)) == 3.0
    assert table.cost("m", Tokens(1e6, 1e6, 1.0)) is None
    assert table.cost("m-2", Tokens(1.0, 1.0)) is None


def test_prices_of_ones_own_count_before_those_shipped(tmp_path: Path) -> None:
    """A file adds models and replaces rows."""
    path = tmp_path / "prices.yaml"
    path.write_text(
        "prices:\n"
        "  - {model: gpt-4o, input: 1, output: 1, date: '2026-11-01', source: contract}\n"
        "  - {model: ours, input: 2, output: 3, date: '2026-11-01', source: contract}\n"
    )
    table = load_prices(str(path))
    assert table.cost("gpt-4o", Tokens(1e6, 1e6)) == 2.0
    assert table.cost("ours", Tokens(1e6, 1e6)) == 5.0
    assert table.cost("gpt-4o-mini", Tokens(1e6, 0.0)) == 0.15


@pytest.mark.parametrize(
    "row",
    ["{model: m}", "{model: m, input: -1, output: 1, date: d, source: s}", "[]",
     "{model: m, input: 1, output: 1, date: d, source: s, colour: red}",
     "{model: m, input: 1, output: 1, date: '', source: s}"],
)  # fmt: skip
def test_a_wrong_row_is_named(row: str, tmp_path: Path) -> None:
    """A mistake in a file of prices is told when the file is named, with the row."""
    path = tmp_path / "prices.yaml"
    path.write_text(f"prices:\n  - {row}\n")
    with pytest.raises(ConfigError, match="row 1"):
        Accel.from_mapping({"observe": {"prices": str(path)}})


def test_labels_are_bounded() -> None:
    """Whoever comes first keeps a label; the others share one."""
    labels = Labels(100)
    given_labels = [labels.of(f"m{n}") for n in range(1_000)]
    assert given_labels[:100] == [f"m{n}" for n in range(100)]
    assert set(given_labels[100:]) == {OTHER}


def test_totals_tell_models_apart_as_far_as_they_may() -> None:
    """Tokens of a model beyond the bound are counted, under another name."""
    totals = RequestTotals(1, PriceTable)
    for name in ("a", "b", "c"):
        totals.add(ASKED._replace(model=name))
    found = totals.snapshot()
    assert set(found.models) == {"a", OTHER}
    assert found.models[OTHER].used.output_tokens == 22
    assert found.total.requests == 3
    assert found.total.cost is None
    assert found.tiers["gold"].p50_s == pytest.approx(1.0, rel=0.07)


def samples(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    """Return what a registry would export, by name and labels."""
    return {
        (sample.name, ",".join(f"{key}={sample.labels[key]}" for key in sorted(sample.labels))):
            sample.value
        for family in registry.collect()
        for sample in family.samples
    }  # fmt: skip


def test_prometheus_is_told_of_requests() -> None:
    """Requests, tokens, dollars and times are there under their labels."""
    registry = CollectorRegistry()
    observer = PrometheusObserver(load_prices(), registry=registry)
    for event in (ASKED, HIT, HIT, BackendFailed("store", "fetch", "OSError"), EVENT, *EARLY, RACE):
        observer(event)
    found = samples(registry)
    labels = (
        "ending=answered,model=gpt-4o-mini,operation=chat,outcome=hit,reason=calibrated,tenant="
    )
    assert found["accel_requests_total", labels] == 2
    assert found["accel_attempts_total", "model=gpt-4o-mini,operation=chat"] == 2
    used = "direction=input,kind=used,model=gpt-4o-mini,operation=chat"
    assert found["accel_tokens_total", used] == 1_000_000
    spent = 0.6 * 0.15 + 0.4 * 0.075 + 11 * 0.6e-6
    dollars = found["accel_dollars_total", "kind=used,model=gpt-4o-mini,operation=chat"]
    assert dollars == pytest.approx(spent)
    assert found["accel_request_part_seconds_sum", "operation=chat,part=queue,tier=gold"] == 0.5
    token_s = found["accel_output_token_seconds_sum", "operation=chat,tier=gold"]
    assert token_s == pytest.approx(0.1)
    assert found["accel_backend_failures_total", "backend=store,operation=fetch"] == 1
    assert found["accel_tool_guesses_total", "predictor=mined"] == 2
    assert found["accel_tool_guesses_wasted_total", "reason=unasked"] == 1
    assert found["accel_tool_calls_reused_total", "predictor=mined"] == 1
    assert found["accel_tool_saved_seconds_total", "predictor=mined"] == 0.5
    assert found["accel_race_paths_total", "outcome=won,path=small"] == 1
    assert found["accel_race_paths_total", "outcome=cancelled,path=large"] == 1


def test_accelerators_of_one_process_share_metrics() -> None:
    """A second one, or one made anew with the same settings, goes on where the first one is."""
    registry = CollectorRegistry()
    for _ in range(2):
        PrometheusObserver(load_prices(), registry=registry)(HIT)
    labels = (
        "ending=answered,model=gpt-4o-mini,operation=chat,outcome=hit,reason=calibrated,tenant="
    )
    assert samples(registry)["accel_requests_total", labels] == 2
    settings = {"observe": {"prometheus": {"enabled": True}}}
    with Accel.from_mapping(settings), Accel.from_mapping(settings):
        pass


@pytest.mark.parametrize("max_tenants", [0, 20])
def test_series_stay_bounded(max_tenants: int) -> None:
    """10,000 tenants and 1,000 models make as many series as 100 models and the tenants named."""
    registry = CollectorRegistry()
    observer = PrometheusObserver(PriceTable(), max_tenants=max_tenants, registry=registry)
    for n in range(10_000):
        observer(ASKED._replace(model=f"m{n % 1_000}", tenant=f"t{n}"))
    found = samples(registry)
    names = {label for name, label in found if name == "accel_requests_total"}
    models = {label.split("model=")[1].split(",")[0] for label in names}
    tenants = {label.split("tenant=")[1] for label in names}
    assert len(models) == 101
    assert len(tenants) <= max_tenants + 1
    assert len(found) < 101 * (max_tenants + 1) * 2 + 1_000


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracers(spans: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider


def test_spans_lie_under_the_callers_own(
    tracers: TracerProvider, spans: InMemorySpanExporter
) -> None:
    """A request is a span of the caller's trace, with its own times, though made afterwards."""
    queued = Queued(OtelObserver(metrics=False, tracer_provider=tracers))
    with tracers.get_tracer("app").start_as_current_span("turn") as turn:
        queued(ASKED)
        queued(HIT)
    queued(HIT)
    assert queued.flush(WAIT_S)
    queued.close(WAIT_S)
    _, asked, hit, root = spans.get_finished_spans()
    for span in (asked, hit):
        assert span.parent is not None
        assert span.parent.span_id == turn.get_span_context().span_id
    assert root.parent is None
    assert (asked.name, asked.kind.name, hit.kind.name) == (
        "chat gpt-4o-mini",
        "CLIENT",
        "INTERNAL",
    )
    assert asked.end_time is not None
    assert asked.start_time is not None
    assert asked.end_time - asked.start_time == 2_000_000_000
    told = dict(asked.attributes or {})
    assert told["gen_ai.usage.input_tokens"] == 1_000_000
    assert told["gen_ai.provider.name"] == "openai"
    assert "gen_ai.usage.input_tokens" not in (hit.attributes or {})
    assert (hit.attributes or {})["accel.saved.output_tokens"] == 10
    assert [event.name for event in asked.events] == ["accel.cache.miss", "accel.limiter.wait"]
    assert asked.events[0].timestamp - asked.start_time == pytest.approx(1e8, rel=0.01)


def test_a_tool_call_that_was_guessed_says_so_in_the_callers_trace(
    tracers: TracerProvider, spans: InMemorySpanExporter
) -> None:
    """It is a span of its tool, no model's, with an event of its own for what was saved."""
    observer = OtelObserver(metrics=False, tracer_provider=tracers)
    observer(TOOL, None)
    (span,) = spans.get_finished_spans()
    told = dict(span.attributes or {})
    assert (span.name, told["gen_ai.tool.name"]) == ("execute_tool track", "track")
    assert told["accel.saved.duration_s"] == 0.5
    assert "gen_ai.request.model" not in told
    assert "gen_ai.provider.name" not in told
    (event,) = span.events
    assert event.name == "accel.speculation.reused"
    assert (event.attributes or {})["accel.cache.reason"] == "guessed"


@pytest.mark.parametrize(
    ("named", "told"),
    [("azure", "azure.ai.openai"), ("mistralai", "mistral_ai"), ("amazon_bedrock", "aws.bedrock"),
     ("anthropic", "anthropic"), ("own", "own"), ("", "_OTHER")],
)  # fmt: skip
def test_spans_follow_the_conventions(
    tracers: TracerProvider, spans: InMemorySpanExporter, named: str, told: str
) -> None:
    """Providers have the conventions' names; embeddings have no output, documents no provider."""
    observer = OtelObserver(metrics=False, tracer_provider=tracers)
    embedded = ASKED._replace(operation="embeddings", provider=named, used=Tokens(7.0, 0.0))
    found = RequestEnded("retrieval", "miss", "answered", "no_entry", 1.0, 1.0, name="Retriever")
    for event in (embedded, found):
        observer(event, None)
    vectors, documents = spans.get_finished_spans()
    assert vectors.instrumentation_scope is not None
    assert vectors.instrumentation_scope.schema_url == SCHEMA_URL
    attributes = dict(vectors.attributes or {})
    assert attributes["gen_ai.provider.name"] == told
    assert attributes["gen_ai.usage.input_tokens"] == 7
    assert "gen_ai.usage.output_tokens" not in attributes
    assert (documents.name, documents.kind.name) == ("retrieval Retriever", "INTERNAL")
    assert "gen_ai.provider.name" not in (documents.attributes or {})
    standard = {name for name in attributes if name.startswith("gen_ai.")}
    assert standard <= {
        value for name, value in vars(conventions).items() if name.startswith("GEN_AI_")
    }


def test_otel_attributes_stay_bounded() -> None:
    """A thousand models, providers, errors and operations make a hundred series each, at most."""
    reader = InMemoryMetricReader()
    observer = OtelObserver(spans=False, meter_provider=MeterProvider([reader]))
    for n in range(1_000):
        failed = ASKED._replace(
            ending="failed", error=f"Error{n}", provider=f"p{n}", reason=f"r{n}"
        )
        observer(failed._replace(model=f"m{n}", operation=f"o{n}"), None)
    data = reader.get_metrics_data()
    assert data is not None
    (metrics,) = (scope.metrics for scope in data.resource_metrics[0].scope_metrics)
    seen: dict[str, set[Any]] = {}
    for metric in metrics:
        for point in metric.data.data_points:
            for name, value in (point.attributes or {}).items():
                seen.setdefault(name, set()).add(value)
    assert max(map(len, seen.values())) == 101
    assert seen["gen_ai.operation.name"] == {OTHER}
    assert len(seen["gen_ai.provider.name"]) == 31


def test_otel_metrics(tracers: TracerProvider) -> None:
    """Durations and tokens are metrics of the conventions; a hit used no tokens."""
    reader = InMemoryMetricReader()
    observer = OtelObserver(spans=False, meter_provider=MeterProvider([reader]))
    for event in (ASKED, HIT, *EARLY, RACE):
        observer(event)
    data = reader.get_metrics_data()
    assert data is not None
    found: dict[str, Any] = {
        metric.name: metric.data.data_points
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
    }
    assert sum(point.count for point in found["gen_ai.client.operation.duration"]) == 2
    assert {point.sum for point in found["gen_ai.client.token.usage"]} == {1_000_000.0, 11.0}
    assert sum(point.value for point in found["accel.saved.tokens"]) == 110
    (guesses,), (wasted,), (reused,) = (
        found[f"accel.tool.{name}"] for name in ("guesses", "guesses.wasted", "calls.reused")
    )
    assert (guesses.value, guesses.attributes) == (2, {"accel.predictor": "mined"})
    assert (wasted.value, wasted.attributes) == (1, {"accel.reason": "unasked"})
    assert (reused.value, reused.attributes) == (1, {"accel.predictor": "mined"})
    assert {point.attributes["accel.outcome"] for point in found["accel.race.paths"]} == {
        "won", "cancelled",
    }  # fmt: skip


def test_log_lines_are_json_without_anybodys_words(caplog: pytest.LogCaptureFixture) -> None:
    """A line says what is known; tags, which may name people, only where they are asked for."""
    with caplog.at_level(logging.INFO, "accel.requests"):
        RequestLog()(ASKED)
        RequestLog(tags=True)(ASKED)
    plain, tagged = (json.loads(one.getMessage()) for one in caplog.records)
    assert plain["used"] == {
        "input_tokens": 1_000_000.0, "output_tokens": 11.0, "cached_input_tokens": 400_000.0,
    }  # fmt: skip
    assert plain["parts"]["queue_s"] == 0.5
    assert "tags" not in plain
    assert "saved" not in plain
    assert tagged["tags"] == ["user@example.org"]
    assert caplog.records[0].accel == plain  # type: ignore[attr-defined]


@pytest.mark.parametrize("wanted", ["prometheus", "otel"])
def test_a_configured_exporter_is_built(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the configuration names is told of requests, in the background."""
    section = {"prometheus": {"enabled": True}, "otel": {"spans": True, "metrics": True}}[wanted]
    registry = CollectorRegistry()
    monkeypatch.setattr("prometheus_client.REGISTRY", registry)
    with Accel.from_mapping({"observe": {wanted: section}}) as accel:
        assert any(wanted in one.name.lower() for one in accel._observers.queued)


def test_exporters_need_records() -> None:
    """A log of requests that nobody records is a mistake."""
    with pytest.raises(ConfigError, match=r"observe\.log\.enabled"):
        Accel.from_mapping({"observe": {"enabled": False, "log": {"enabled": True}}})
