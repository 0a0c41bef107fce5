"""A process's metrics, or a Prometheus server that has collected them, as a source.

A process tells totals since its start; a server tells also how they came about. What neither
tells (questions, near misses) stays None.
"""

from __future__ import annotations

import json
import math
import time
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from accel_core.errors import FileError, MissingExtraError
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

_PATIENCE_S = 10.0
_LONGEST_S = 60.0
"""Of one answer altogether: one that drips never keeps a read waiting."""
_MOST_BYTES, _CHUNK = 64 << 20, 1 << 20
_DAY_S = 86400.0
_TOKENS = "accel_tokens_total"
_SLOTS = 72
_REMEDY = (
    "name the /metrics of a process with observe.prometheus, or the address of a Prometheus server"
)
_OPEN = "name an address that needs none"


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
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise FileError(url, None, "is no address", _REMEDY) from error
    if "@" in parts.netloc:
        # It would stand in the page, in messages and in a server's answers.
        shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        raise FileError(shown, None, "is given with a name or a password, which is not sent", _OPEN)
    if not parts.path.endswith("metrics") and _is_server(url):
        return _Server(url, now_s, now_s - (since_s or now_s - _DAY_S)).report(progress)
    samples = list(_exposed(url, _fetched(url)))
    progress(1.0)
    if not any(sample.name == REQUESTS for sample in samples):
        raise FileError(url, None, f"tells no {REQUESTS}", _REMEDY)
    note = "Totals since the process began, which --since does not change."
    notes = (note,) if since_s is not None else ()
    return Report(sources=(url,), made_at_s=now_s, notes=notes, **sections_of(samples))


def _fetched(url: str) -> str:
    accepted = {"Accept": "text/plain;version=0.0.4, application/json"}
    request = Request(url, headers=accepted)  # noqa: S310 - http by its caller
    try:
        with urlopen(request, timeout=_PATIENCE_S) as answer:  # noqa: S310 - as above
            until_s, body = time.monotonic() + _LONGEST_S, bytearray()
            while part := answer.read1(_CHUNK):
                body += part
                if len(body) > _MOST_BYTES or time.monotonic() > until_s:
                    raise FileError(url, None, "goes on without an end", _REMEDY)
            return body.decode("utf-8", "replace")
    except HTTPError as error:
        error.close()
        raise FileError(url, None, f"answers {error.code} {error.reason}", _REMEDY) from error
    except (URLError, HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise FileError(url, None, f"does not answer ({reason})", "is it running?") from error


def _exposed(url: str, text: str) -> Iterator[Sample]:
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
        raise FileError(url, None, f"answers {what}", _REMEDY) from error


def _is_server(url: str) -> bool:
    try:
        found = json.loads(_fetched(f"{url.rstrip('/')}/api/v1/query?query=vector(1)"))
    except (FileError, ValueError):
        return False
    return isinstance(found, dict) and found.get("status") == "success"


def _outcome(labels: Mapping[str, str]) -> str:
    return outcome_of(labels) if of_model(Sample(REQUESTS, labels, 1.0)) else ""


def _tokens(labels: Mapping[str, str]) -> str:
    return f"{labels.get('kind')}_tokens" if of_model(Sample(_TOKENS, labels, 1.0)) else ""


class _Server:
    """A Prometheus server, asked about the last `span_s` seconds."""

    def __init__(self, url: str, now_s: float, span_s: float) -> None:
        self._url, self._now_s, self._span_s = url.rstrip("/"), now_s, max(60.0, span_s)

    def report(self, progress: Callable[[float], None]) -> Report:
        names = [*COUNTERS]
        names += [f"{name}_{part}" for name in HISTOGRAMS for part in ("bucket", "sum")]
        samples: list[Sample] = []
        for done, name in enumerate(names, 1):
            asked = f"increase({name}[{math.ceil(self._span_s)}s])"
            rows = self._ask("query", query=asked, time=self._now_s)
            samples += [Sample(name, one["metric"], float(one["value"][1])) for one in rows]
            progress(done / (len(names) + 1))
        if not any(sample.name == REQUESTS for sample in samples):
            problem = f"has no {REQUESTS} in the time that is asked for"
            raise FileError(self._url, None, problem, "see that it scrapes, or ask by --since")
        history = self._history()
        progress(1.0)
        return Report(
            sources=(self._url,),
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
                slot_of = counts.get(name_of(row["metric"]))
                for moment_s, value in row["values"] if slot_of is not None else ():
                    place = round((moment_s - start_s) / step_s) - 1
                    if slot_of is not None and 0 <= place < slots and value != "NaN":
                        slot_of[place] += float(value)
            return bool(rows)

        add(REQUESTS, "outcome, reason, operation", _outcome)
        add(_TOKENS, "kind, operation", _tokens)
        if not add(REFUSED, "tier", lambda _: "refused"):
            del counts["refused"]
        told = {name: tuple(values) for name, values in counts.items()}
        return History(start_s=start_s, step_s=step_s, counts=told)

    def _ask(self, how: str, **parameters: Any) -> list[dict[str, Any]]:
        url = f"{self._url}/api/v1/{how}?{urlencode(parameters)}"
        try:
            found = json.loads(_fetched(url))
            rows: list[dict[str, Any]] = found["data"]["result"]
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, FileError):
                raise
            problem = "answers what Prometheus does not"
            raise FileError(self._url, None, problem, _REMEDY) from error
        return rows
