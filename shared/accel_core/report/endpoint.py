"""A process's metrics, or a Prometheus server that has collected them, as a source.

A process tells totals since its start; a server tells also how they came about. What neither
tells (questions, near misses) stays None.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.errors import FileError, MissingExtraError
from accel_core.report.fetching import REMEDY, SentOnError, below, fetched, named, shown
from accel_core.report.samples import (
    COUNTERS,
    HISTOGRAMS,
    REFUSED,
    REQUESTS,
    Sample,
    of_model,
    outcome_of,
    sections_of,
)
from accel_core.report.values import OUTCOMES, History, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from urllib.parse import SplitResult

_DAY_S = 86400.0
_TOKENS = "accel_tokens_total"
_SLOTS = 72


def read_endpoint(
    url: str, *, since_s: float | None, now_s: float, progress: Callable[[float], None]
) -> Report:
    """Return what metrics at `url` tell.

    Args:
        url: ``http://…/metrics``, or a Prometheus server's address.
        since_s: how far a server is asked back; None: a day.
        now_s: seconds since the epoch.
        progress: told how much is read, in [0, 1].

    Raises:
        FileError: nobody answers there, or what answers is something else.
        MissingExtraError: prometheus_client is not installed.
    """
    parts = named(url)
    if not parts.path.endswith("metrics") and _is_server(parts):
        span_s = now_s - (since_s or now_s - _DAY_S)
        return _Server(parts, now_s, span_s).report(progress)
    source = shown(parts)
    samples = list(_exposed(source, fetched(parts)))
    progress(1.0)
    if not any(sample.name == REQUESTS for sample in samples):
        raise FileError(source, None, f"tells no {REQUESTS}", REMEDY)
    note = "Totals since the process began, which --since does not change."
    notes = (note,) if since_s is not None else ()
    return Report(sources=(source,), made_at_s=now_s, notes=notes, **sections_of(samples))


def _exposed(source: str, text: str) -> Iterator[Sample]:
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError as error:
        raise MissingExtraError("prometheus", "accel report of an endpoint") from error
    try:
        for family in text_string_to_metric_families(text):
            if family.type == "counter":
                # One with labels has no sample before it is raised, and says 0 all the same.
                yield Sample(f"{family.name}_total", {}, 0.0)
            for sample in family.samples:
                yield Sample(sample.name, sample.labels, float(sample.value))
    except (ValueError, KeyError, IndexError) as error:
        what = "HTML" if text.lstrip()[:1] == "<" else "no metrics"
        raise FileError(source, None, f"answers {what}", REMEDY) from error


def _is_server(parts: SplitResult) -> bool:
    try:
        found = json.loads(fetched(below(parts, "/api/v1/query", query="vector(1)")))
    except SentOnError:
        raise
    except (FileError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("status") == "success"


def _outcome(labels: Mapping[str, str]) -> str:
    return outcome_of(labels) if of_model(Sample(REQUESTS, labels, 1.0)) else ""


def _tokens(labels: Mapping[str, str]) -> str:
    return f"{labels.get('kind')}_tokens" if of_model(Sample(_TOKENS, labels, 1.0)) else ""


class _Server:
    """A Prometheus server, asked about the last `span_s` seconds."""

    def __init__(self, parts: SplitResult, now_s: float, span_s: float) -> None:
        self._parts, self._source = parts, shown(parts)
        self._now_s, self._span_s = now_s, max(60.0, span_s)

    def report(self, progress: Callable[[float], None]) -> Report:
        names = [*COUNTERS]
        names += [f"{name}_{part}" for name in HISTOGRAMS for part in ("bucket", "sum")]
        samples: list[Sample] = []
        for done, name in enumerate(names, 1):
            asked = f"increase({name}[{math.ceil(self._span_s)}s])"
            rows = self._ask("query", query=asked, time=self._now_s)
            samples += [Sample(name, one.labels, value) for one in rows for _, value in one.values]
            progress(done / (len(names) + 1))
        if not any(sample.name == REQUESTS for sample in samples):
            problem = f"has no {REQUESTS} in the time that is asked for"
            raise FileError(self._source, None, problem, "see that it scrapes, or ask by --since")
        history = self._history()
        progress(1.0)
        return Report(
            sources=(self._source,),
            made_at_s=self._now_s,
            from_s=self._now_s - self._span_s,
            until_s=self._now_s,
            history=history,
            **sections_of(samples),
        )

    def _history(self) -> History:
        step_s = max(60.0, math.ceil(self._span_s / _SLOTS / 60.0) * 60.0)
        slots = math.ceil(self._span_s / step_s)
        start_s = self._now_s - slots * step_s
        counts: dict[str, list[float]] = {
            name: [0.0] * slots for name in (*OUTCOMES, "used_tokens", "saved_tokens", "refused")
        }

        def add(metric: str, by: str, name_of: Callable[[Mapping[str, str]], str]) -> bool:
            asked = f"sum by ({by}) (increase({metric}[{step_s:.0f}s]))"
            rows = self._ask(
                "query_range", query=asked, start=start_s + step_s, end=self._now_s, step=step_s
            )
            for row in rows:
                slot_of = counts.get(name_of(row.labels))
                for moment_s, value in row.values if slot_of is not None else ():
                    place = round((moment_s - start_s) / step_s) - 1
                    if slot_of is not None and 0 <= place < slots:
                        slot_of[place] += value
            return bool(rows)

        add(REQUESTS, "outcome, reason, operation", _outcome)
        add(_TOKENS, "kind, operation", _tokens)
        if not add(REFUSED, "tier", lambda _: "refused"):
            del counts["refused"]
        told = {name: tuple(values) for name, values in counts.items()}
        return History(start_s=start_s, step_s=step_s, counts=told)

    def _ask(self, how: str, **parameters: object) -> list[_Row]:
        """Ask a query, and return its series.

        Raises:
            FileError: the answer is none of Prometheus.
        """
        try:
            found = json.loads(fetched(below(self._parts, f"/api/v1/{how}", **parameters)))
            return [_row(one) for one in found["data"]["result"]]
        except FileError:
            raise
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as e:
            problem = "answers what Prometheus does not"
            raise FileError(self._source, None, problem, REMEDY) from e


class _Row(NamedTuple):
    """A series of an answer: its labels, and its values with their moments."""

    labels: dict[str, str]
    values: list[tuple[float, float]]


def _row(told: dict[str, Any]) -> _Row:
    spelled = told["values"] if "values" in told else [told["value"]]
    labels = {str(name): str(value) for name, value in told["metric"].items()}
    values = [(float(moment_s), float(value)) for moment_s, value in spelled]
    return _Row(labels, [one for one in values if all(map(math.isfinite, one))])
