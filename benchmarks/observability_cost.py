"""What observers cost a hit, and what a bad one does to everybody else."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

from langchain_openai import ChatOpenAI
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from accel_core.accel import Accel
from accel_core.config import from_mapping
from accel_core.events.requests import (
    MODEL_OPERATIONS,
    OPERATIONS,
    Parts,
    RequestEnded,
    Tokens,
)
from accel_core.observer.otel import OtelObserver
from accel_core.observer.prices import load_prices
from accel_core.observer.prometheus import PrometheusObserver
from accel_core.observer.request_log import RequestLog
from accel_core.testing.model_server import ModelServer
from benchmarks.harness import Context, Measured, Row
from benchmarks.timing import ratio, timed
from langchain_accel import accelerate
from llamaindex_accel import accelerate as accelerate_llm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.events import Event

_QUESTION = "What is the capital of France?"
_TENANTS, _MODELS = 10_000, 1_000


def _silent() -> logging.Logger:
    """Return a logger whose lines are made, and go nowhere."""
    logger = logging.getLogger("benchmarks.requests")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [logging.NullHandler()]
    return logger


@contextmanager
def _watched(tracers: TracerProvider) -> Iterator[Accel]:
    """Yield what tells every observer that is shipped."""
    meters = MeterProvider([InMemoryMetricReader()])
    observers: list[Any] = [
        RequestLog(_silent().name),
        PrometheusObserver(load_prices(), registry=CollectorRegistry()),
        OtelObserver(tracer_provider=tracers, meter_provider=meters),
    ]
    with TemporaryDirectory() as folder:
        file = {"path": f"{folder}/statistics.jsonl", "texts": True}
        with Accel(from_mapping({"observe": {"file": file}}), observers=observers) as accel:
            yield accel
            lost = accel.stats().observers
    assert not lost, f"events were lost: {lost}"


def _langchain(url: str, accel: Accel) -> Callable[[], object]:
    key = SecretStr("none")
    model = ChatOpenAI(model="gpt-4o-mini", base_url=url, api_key=key, temperature=0)
    fast = accelerate(model, accel)
    return lambda: fast.invoke(_QUESTION)


def _llamaindex(url: str, accel: Accel) -> Callable[[], object]:
    fast = accelerate_llm(
        OpenAI(model="gpt-4o-mini", api_base=url, api_key="none", temperature=0), accel
    )
    messages = [ChatMessage(content=_QUESTION)]
    return lambda: fast.chat(messages)


def _overhead(context: Context, client: Callable[[str, Accel], Callable[[], object]]) -> Measured:
    """Compare hits with all observers, inside a span, and with nothing recorded."""
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    off = Accel.from_mapping({"observe": {"enabled": False}})
    with ModelServer() as server, off, _watched(tracers) as on:
        ours, bare = client(server.url, on), client(server.url, off)
        with tracers.get_tracer("app").start_as_current_span("turn"):
            ours(), bare()
            calls = server.call_count
            pairs = [
                (_p50_s(ours), _p50_s(bare)) if n % 2 else _swapped(ours, bare)
                for n in range(context.pick(60, 20))
            ]
        assert server.call_count == calls, "not every measured call was a hit"
    ratios = sorted(on_s / off_s for on_s, off_s in pairs)
    on_us, off_us = (sorted(pair[n] for pair in pairs)[len(pairs) // 2] * 1e6 for n in (0, 1))
    low, value, high = quantiles(ratios, n=4)
    note = f"p50 {on_us:.1f} against {off_us:.1f} µs (half of the rounds {low:.3f} to {high:.3f})"
    return Measured(value, note)


def _swapped(ours: Callable[[], object], bare: Callable[[], object]) -> tuple[float, float]:
    off_s = _p50_s(bare)
    return _p50_s(ours), off_s


def _p50_s(call: Callable[[], object], calls: int = 101) -> float:
    times_s = []
    for _ in range(calls):
        began_s = perf_counter()
        call()
        times_s.append(perf_counter() - began_s)
    return sorted(times_s)[calls // 2]


def langchain_overhead(context: Context) -> Measured:
    return _overhead(context, _langchain)


def llamaindex_overhead(context: Context) -> Measured:
    return _overhead(context, _llamaindex)


class _Counted(logging.Handler):
    """Counts warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Count a line."""
        self.lines.append(record.getMessage())


def _raising(_: Event) -> None:
    raise ValueError("a bug")


def _blocking(_: Event) -> None:
    sleep(1.0)


def _slow(_: Event) -> None:
    sleep(0.01)


def bad_observers(context: Context) -> Measured:
    """Ask through an observer that raises, one that blocks for 1 s and a slow one at a time."""
    counted = _Counted()
    logger = logging.getLogger("accel")
    logger.addHandler(counted)
    propagates, logger.propagate = logger.propagate, False
    notes, worst = [], 0.0
    try:
        for bad in (_raising, _blocking, _slow):
            counted.lines.clear()
            found = _beside(context, bad)
            worst = max(worst, found)
            notes.append(f"{bad.__name__[1:]} {found:.3f}, {len(counted.lines)} warnings")
            if len(counted.lines) > 1:
                return Measured(float("inf"), f"warned more than once: {counted.lines}")
    finally:
        logger.removeHandler(counted)
        logger.propagate = propagates
    return Measured(worst, "; ".join(notes))


def _beside(context: Context, bad: Callable[[Event], None]) -> float:
    """Return the time of a hit beside a bad observer ÷ without one; a good one sees everything."""
    seen: list[Event] = []
    settings = {"observe": {"max_queued": 1_000}}
    both = Accel.from_mapping(settings, observers=[bad, seen.append])
    with ModelServer() as server, Accel() as plain:
        ours, bare = _langchain(server.url, both), _langchain(server.url, plain)
        found = ratio(timed(ours), timed(bare), rounds=context.pick(100, 40), calls=20)
        both._observers.ledger.enter()
        both._observers.queued[1].flush(10.0)
        requests = sum(isinstance(event, RequestEnded) for event in seen)
        assert requests == both.stats().requests.total.requests, "another observer lost events"
        threading.Thread(target=both.close, daemon=True).start()  # what blocks is not waited for
    return found.value


def cardinality(context: Context) -> Measured:  # noqa: ARG001
    """Tell Prometheus of 10,000 tenants and 1,000 models, all bounds at their defaults.

    Of every operation: a third of the models each of chat, completions and embeddings, and as many
    names of tools, retrievers and engines.
    """
    registry = CollectorRegistry()
    observer = PrometheusObserver(load_prices(), registry=registry)
    used = Tokens(10.0, 10.0)
    named = sorted(OPERATIONS - MODEL_OPERATIONS)
    for n in range(_TENANTS):
        of, tenant = n % _MODELS, f"{n:048x}"
        asked = RequestEnded(
            sorted(MODEL_OPERATIONS)[of % 3], "miss", "answered", "no_entry", 0.1, 0.0,
            f"model-{of}", tenant=tenant, parts=Parts(lookup_s=0.1, model_s=0.1),
        )  # fmt: skip
        observer(asked._replace(used=used, attempts=1))
        observer(asked._replace(outcome="hit", reason="exact", saved=used))
        step = asked._replace(operation=named[of % 3], model="", name=f"name-{of}")
        observer(step._replace(parts=Parts(lookup_s=0.1, retrieval_s=0.1)))
    series = sum(len(family.samples) for family in registry.collect())
    return Measured(series, f"{_TENANTS} tenants, {_MODELS} models: {series} series")


ROWS = [
    Row(
        name="overhead-langchain",
        what="exact hit of accelerate(ChatOpenAI), all observers on ÷ nothing recorded, p50",
        op="<=",
        bound=1.05,
        measure=langchain_overhead,
    ),
    Row(
        name="overhead-llamaindex",
        what="the same of accelerate(OpenAI).chat",
        op="<=",
        bound=1.05,
        measure=llamaindex_overhead,
    ),
    Row(
        name="bad-observers",
        what="hit beside an observer that raises, blocks for 1 s or is slow ÷ without; worst of 3",
        op="<=",
        bound=1.1,
        aim=1.05,
        measure=bad_observers,
    ),
    Row(
        name="cardinality",
        what="series under 10,000 tenants and 1,000 models",
        op="<=",
        bound=2_500,
        measure=cardinality,
    ),
]
