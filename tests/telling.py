"""All that is told of requests, by every observer there is: what leaves a process, as text."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, generate_latest

from accel_core.observer.otel import OtelObserver
from accel_core.observer.prices import load_prices
from accel_core.observer.prometheus import PrometheusObserver
from accel_core.observer.request_log import RequestLog

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SECRETS = ("acme-tenant", "ann-user", "how long does a parcel", "echo:", "sk-secret", "hunter2",
           "tag-of-ann", "note-of-ann")  # fmt: skip
"""What the application and its users own: names, questions, answers, keys."""

ADDRESS = "https://ann:hunter2@models.example/v1?key=sk-secret"
QUESTION = "how long does a parcel take"


class Telling:
    """Observers with everything on, as they are by default: tenants are labels, too.

    Args:
        folder: where the statistics file is.
        caplog: hears every logger.
    """

    def __init__(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        self._file, self._caplog = folder / "statistics.jsonl", caplog
        caplog.set_level(logging.DEBUG, "accel")
        self._registry, self._spans = CollectorRegistry(), InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.observers: list[Any] = [
            PrometheusObserver(load_prices(), max_tenants=10, registry=self._registry),
            OtelObserver(tracer_provider=tracers, meter_provider=MeterProvider([self._reader])),
            RequestLog(),
        ]
        self.settings: dict[str, Any] = {"observe": {"file": {"path": str(self._file)}}}

    def texts(self) -> dict[str, str]:
        """Return what was told so far, by where."""
        data = self._reader.get_metrics_data()
        assert data is not None
        return {
            "log": "\n".join(
                f"{one.getMessage()} {one.exc_text} {one.__dict__.get('accel')}"
                for one in self._caplog.records
                if one.name.startswith("accel")
            ),
            "prometheus": generate_latest(self._registry).decode(),
            "spans": "".join(span.to_json() for span in self._spans.get_finished_spans()),
            "metrics": data.to_json(),
            "file": self._file.read_text(),
        }

    def leaks(self) -> list[tuple[str, str]]:
        """Return which secret stands where."""
        texts = self.texts()
        assert all(texts.values()), "something was told everywhere"
        return [(name, one) for name, text in texts.items() for one in SECRETS if one in text]
