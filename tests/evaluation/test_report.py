"""``accel report``: what it shows is what happened, in a real browser and as JSON."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from typer.testing import CliRunner

from accel_core import events
from accel_core.cli.main import app
from accel_core.events.requests import Parts, RequestEnded, Tokens
from accel_core.files.statistics_file import StatisticsFile
from accel_core.observer.prices import load_prices
from accel_core.observer.prometheus import PrometheusObserver
from accel_core.policy.looked import Looked
from accel_core.ports import Entry
from accel_core.report.samples import Sample, sections_of
from accel_core.store.sqlite import SqliteStore
from tools.headless import BrowserMissingError, Page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW_S = 1_800_000_000.0
EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
SECRET = "How long does Mr Smith's refund take?"
HIT = RequestEnded(
    "chat", "hit", "answered", "calibrated", 0.002, NOW_S, model="gpt-4o-mini", tier="semantic",
    service_tier="gold", entry_id="0a" * 32, saved=Tokens(1_000_000.0, 0.0), saved_s=2.002,
)  # fmt: skip
MISS = RequestEnded(
    "chat", "miss", "answered", "improbable", 2.0, NOW_S + 60, model="gpt-4o-mini",
    service_tier="gold", entry_id="0b" * 32,
    parts=Parts(lookup_s=0.01, model_s=1.9, first_token_s=1.0, stream_s=0.9), streamed=True,
    attempts=1, used=Tokens(100.0, 10.0),
)  # fmt: skip
OTHERS = (
    MISS._replace(operation="retrieval", parts=Parts(retrieval_s=0.3), used=None),
    events.LimitWaited(0.5, "gold"),
    events.LimitRefused("gold", 1.0),
    events.LimitRejected(30.0, "silver"),
    events.ToolCallBegun("find_order", "learned", 0.9),
    events.ToolCallBegun("find_order", "learned", 0.9),
    events.ToolCallReused("find_order", "learned", 0.75),
    events.ToolCallWasted("find_order", "learned", "unasked"),
    events.RetrievalHit("exact", "ff", 1.0, 3.0),
    events.RetrievalMiss("changed"),
    events.EmbeddingsServed(5, 1, 2),
    events.HitReported("0a" * 32, True),
    events.CacheExplored("0a", False, 0.9, 0.9),
    events.CacheRefused("truncated"),
    events.BackendFailed("redis", "fetch", "a secret"),
)
NEAR = Looked(
    b"\x0b" * 32, SECRET, b"", "improbable",
    near_key=b"\x0a" * 32, near_text=EVIL, similarity=0.91, probability=0.62,
)  # fmt: skip


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A statistics file of ten requests, six of them hits, with texts."""
    file = StatisticsFile(
        tmp_path / "s.jsonl", max_bytes=1 << 24, texts=True, wall_now=lambda: NOW_S + 60,
        lost=lambda: {"Slow": 3},
    )  # fmt: skip
    told = [HIT] * 4 + [HIT._replace(tier="exact", reason="exact")] * 2 + [MISS] * 3
    bypass = MISS._replace(outcome="bypass", reason="temperature", ending="failed", entry_id="")
    for event in (*told, bypass, *OTHERS, NEAR):
        file(event)
    file.settle()
    return file.path


def run(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["report", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())


def found(*arguments: object) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run(*arguments, "--json"))
    return told


def test_json_is_what_happened(written: Path) -> None:
    """Each section, from lines alone."""
    told = found(written)
    assert told["outcomes"] == {"exact": 2, "semantic": 4, "miss": 3, "bypass": 1}
    assert told["endings"] == {"answered": 9, "failed": 1}
    assert told["hit_rate"] == pytest.approx(6 / 9)
    assert (told["from_s"], told["until_s"]) == (NOW_S, NOW_S + 60)
    model = told["models"]["gpt-4o-mini"]
    assert (model["requests"], model["hits"], model["attempts"]) == (10, 6, 4)
    assert model["saved"]["input_tokens"] == 6e6
    assert model["saved_cost"] == pytest.approx(6 * 0.15)
    assert model["saved_s"] == pytest.approx(12.0)
    assert told["latency"]["hit"]["p50_s"] == pytest.approx(0.002, rel=0.04)
    assert told["latency"]["without"]["samples"] == 10
    gold = told["tiers"]["gold"]
    assert (gold["target_s"], gold["attained"]) == (2.0, 1.0)
    assert told["reasons"] == {
        "miss": {"improbable": 3}, "bypass": {"temperature": 1}, "unstored": {"truncated": 1},
        "evicted": {}, "wasted": {"unasked": 1},
    }  # fmt: skip
    assert told["near"]["counts"] == {"0.6": 1}
    assert told["questions"][0] == {"id": "0a" * 8, "asked": 6, "hits": 6, "text": None}
    assert told["wrong"]["reported"] == told["wrong"]["compared_wrong"] == 1
    assert (told["limits"]["refused"], told["limits"]["rejected"]) == (1, {"silver": 1})
    tool = told["tools"]["find_order"]
    assert (tool["begun"], tool["used"], tool["wasted"], tool["saved_s"]) == (2, 1, 1, 0.75)
    assert told["guesses"] == {"learned": {"begun": 2, "used": 1, "saved_s": 0.75}}
    assert told["retrieval"]["vectors_cached"] == 6
    assert told["parts"]["token_s"]["p50_s"] == pytest.approx(0.1, rel=0.04)
    assert told["parts"]["retrieval_s"]["samples"] == 1
    assert told["failures"] == {"redis.fetch": 1}
    assert told["losses"] == {"observers": {"Slow": 3}, "unreadable_lines": 0, "writes": 0}
    assert told["entries"] is None
    assert sum(told["history"]["counts"]["semantic"]) == 4


def test_texts_are_shown_where_they_are_asked_for(written: Path, tmp_path: Path) -> None:
    """On the page and in the JSON; markup in them is text."""
    out = tmp_path / "r.html"
    run(written, "--out", out)
    assert "Smith" not in out.read_text() + json.dumps(found(written))
    run(written, "--out", out, "--texts")
    assert "Mr Smith&#x27;s refund" in out.read_text()
    assert "<script" not in out.read_text()
    assert "<img" not in out.read_text()
    assert found(written, "--texts")["near"]["pairs"][0]["nearest"] == EVIL


@contextmanager
def browser() -> Iterator[Page]:
    try:
        page = Page().__enter__()
    except BrowserMissingError as missing:
        required = os.environ.get("ACCEL_REQUIRE_SERVERS")
        pytest.fail(str(missing)) if required else pytest.skip(str(missing))
    try:
        yield page
    finally:
        page.__exit__(None, None, None)


def test_a_real_browser_shows_the_figures_and_nothing_else(written: Path, tmp_path: Path) -> None:
    """No error, no request, every figure; on a phone nothing beyond its edge; dark where wished."""
    full, endpoint = tmp_path / "full.html", tmp_path / "endpoint.html"
    run(written, "--out", full, "--texts")
    with served(metrics()) as url:
        run(f"{url}/metrics", "--out", endpoint)
    with browser() as page:
        for path in (full, endpoint):
            page.show(1200)
            page.open(path)
            assert page.errors == []
            assert page.requests == [path.as_uri()]
            tiles = page.evaluate("[...document.querySelectorAll('.tile')].map(t => t.innerText)")
            shown = dict(re.match(r"(.+)\n(.+)\n", tile).groups() for tile in tiles)  # type: ignore[union-attr]
            assert shown["Hit rate"] == "66.7%"
            assert shown["Calls saved"] == "6"
            assert shown["Tokens saved"] == "6M"
            assert shown["Money saved"] == "$0.90"
            assert shown["Time saved"] == "12 s"
            page.show(360)
            assert page.evaluate("document.documentElement.scrollWidth") == 360
            assert page.evaluate("document.fonts.size") == 0
        page.open(full)
        body = page.evaluate("document.body.innerText")
        assert EVIL in body
        assert SECRET in body
        drawn = page.evaluate("document.querySelectorAll('svg polyline, svg rect').length")
        assert drawn > 20
        background = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(background)
        page.show(360, dark=True)
        assert page.evaluate(background) != light


def test_what_a_script_would_do_is_forbidden(tmp_path: Path) -> None:
    """Were something not escaped, the policy would keep it from running: the browser says so."""
    from accel_core.page import Markup, document

    path = tmp_path / "evil.html"
    path.write_text(document("x", [Markup("<p>x</p><script>document.title='ran'</script>")]))
    with browser() as page:
        page.open(path)
        assert page.evaluate("document.title") == "x"
        assert "Content Security Policy" in page.errors[0]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not a statistics file, or is empty; name what observe.file.path wrote"),
        (b'{"another": "log"}\n[1]\n"x"\n7\n', "is not a statistics file"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "is not a statistics file"),
        (b'{"accel_statistics":2,"run":"a","at_s":1}\n', "line 1 is of version 2"),
    ],
)
def test_another_file_is_refused_by_name(tmp_path: Path, content: bytes, says: str) -> None:
    """With its place and the remedy."""
    path = tmp_path / "f.jsonl"
    path.write_bytes(content)
    assert says in run(path, code=2)
    assert "is not there" in run(tmp_path / "absent.jsonl", code=2)


def test_torn_lines_are_counted_and_the_rest_is_read(written: Path) -> None:
    """Whatever stands in them."""
    with written.open("ab") as file:
        file.write(b'{"is":"LimitWaited"}\n{"is":"ThingsOfTomorrow","x":1}\n{"is":"RequestEn')
    told = found(written)
    assert told["losses"]["unreadable_lines"] == 2
    assert told["outcomes"]["semantic"] == 4


def test_since_leaves_out_what_was_before(written: Path) -> None:
    """And says what it takes."""
    assert found(written, "--since", "2027-01-15T08:00:30")["outcomes"]["semantic"] == 0
    assert "--since: must be as 24h, 7d or 2026-06-21, got 'never'" in run(
        written, "--since", "never", code=2
    )


def metrics() -> bytes:
    """What a process exposes after the same requests."""
    registry = CollectorRegistry()
    observer = PrometheusObserver(load_prices(), registry=registry)
    for ended in [HIT] * 4 + [HIT._replace(reason="exact")] * 2 + [MISS] * 3:
        observer(ended)
    observer(MISS._replace(outcome="bypass", reason="temperature", ending="failed"))
    refused = events.LimitRefused("gold", 1.0)
    for event in (events.LimitRejected(3.0, "silver"), refused, *OTHERS):
        if type(event) in observer.kinds:
            observer(event)
    return generate_latest(registry)


@contextmanager
def served(*answers: bytes | dict[str, Any]) -> Iterator[str]:
    """A server whose ``/metrics`` is the first answer, and whose API finds what the second says."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = parse_qs(parts.query).get("query", [""])[0]
            body: bytes | None = answers[0] if isinstance(answers[0], bytes) else None
            if parts.path.startswith("/api/"):
                known = answers[1] if len(answers) > 1 else None
                body = None
                if isinstance(known, dict):
                    rows = next((rows for name, rows in known.items() if name in asked), [])
                    rows = [row for row in rows if ("values" in row) == ("range" in parts.path)]
                    body = json.dumps({"status": "success", "data": {"result": rows}}).encode()
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_an_endpoint_tells_totals_and_no_more() -> None:
    """What it cannot tell is null, not 0."""
    with served(metrics()) as url:
        told = found(f"{url}/metrics")
    assert told["outcomes"] == {"exact": 2, "semantic": 4, "miss": 3, "bypass": 1}
    assert told["models"]["gpt-4o-mini"]["saved_cost"] == pytest.approx(0.9)
    assert told["latency"]["hit"]["samples"] == 6
    assert 0.001 < told["latency"]["hit"]["p50_s"] <= 0.005
    assert told["limits"]["rejected"] == {"silver": 2}
    assert told["limits"]["refused"] == 2
    gold = told["tiers"]["gold"]
    assert (gold["durations"]["samples"], gold["whole"], gold["attained"]) == (10, True, None)
    assert gold["durations"]["p95_s"] > 1
    assert told["guesses"] == {"learned": {"begun": 2, "used": 1, "saved_s": 0.75}}
    assert told["reasons"]["wasted"] == {"unasked": 1}
    assert 0.05 < told["parts"]["token_s"]["p50_s"] <= 0.1
    assert told["parts"]["retrieval_s"]["samples"] == 1
    for untold in ("history", "near", "questions", "wrong", "tools", "entries", "losses"):
        assert told[untold] is None
    assert told["races"]["paths"] == {}


def test_series_mean_the_same_with_and_without_an_operation() -> None:
    """Those of later versions have one, which backends' failures always had."""
    old = [
        Sample("accel_request_part_seconds_bucket", {"part": "queue", "le": "0.5"}, 2.0),
        Sample("accel_output_token_seconds_bucket", {"tier": "", "le": "0.5"}, 2.0),
        Sample("accel_tokens_total", {"kind": "used", "direction": "input", "model": "m"}, 5.0),
    ]
    named = [
        one._replace(labels={**one.labels, "operation": operation})
        for one in old
        for operation in ("chat", "embeddings")
    ]
    failed = Sample("accel_backend_failures_total", {"backend": "b", "operation": "f"}, 1.0)
    assert sections_of([*old, failed]) == sections_of([*named, failed])
    assert sections_of([failed])["failures"] == {"b.f": 1}


def test_what_was_in_time_is_the_limiters_word(tmp_path: Path) -> None:
    """Where it tells; those that it turned away were not in time."""
    head = {"accel_statistics": 1, "run": "r", "at_s": NOW_S}
    ended = {"is": "RequestEnded", "outcome": "miss", "ending": "answered", "total_s": 9.0,
             "ended_s": NOW_S, "service_tier": "gold"}  # fmt: skip
    fates = ["kept", "kept", "late", "rejected"]
    lines = [head, *({**ended, "attained": fate} for fate in fates), {**ended, "attained": "?"}]
    path = tmp_path / "s.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    told = found(path)
    assert told["tiers"]["gold"]["attained"] == 0.5
    assert told["losses"]["unreadable_lines"] == 1
    series = [Sample("accel_request_seconds_bucket", {"tier": "gold", "le": "1"}, 4.0)]
    labels = ({"tier": "gold", "attained": fate, "operation": "chat"} for fate in fates)
    counted = [Sample("accel_limited_requests_total", of, 1.0) for of in labels]
    assert sections_of(series + counted)["tiers"]["gold"].attained == 0.5
    assert sections_of(series)["tiers"]["gold"].attained is None


def test_counter_that_nobody_names_is_not_told() -> None:
    """One that is named, and was never raised, says 0."""
    without = sections_of([])
    assert without["limits"].refused is without["guesses"] is without["tiers"] is None
    names = ("accel_limit_refused_total", "accel_tool_guesses_total")
    known = sections_of([Sample(name, {}, 0.0) for name in names])
    assert (known["limits"].refused, known["guesses"]) == (0, {})


def test_a_prometheus_server_also_tells_how_it_came_about() -> None:
    """By its query API."""
    hit = {"outcome": "hit", "reason": "exact", "ending": "answered", "model": "m"}
    rows = [
        {"metric": hit, "value": [NOW_S, "6.2"]},
        {"metric": {**hit, "outcome": "miss"}, "value": [NOW_S, "NaN"]},
    ]
    refused = [{"metric": {"tier": "gold"}, "value": [NOW_S, "3"]},
               {"metric": {"tier": "gold"}, "values": [[time.time(), "3"]]}]  # fmt: skip
    tiers = [
        {"metric": {"tier": "gold", "outcome": "hit", "le": le}, "value": [NOW_S, count]}
        for le, count in (("0.5", "3"), ("+Inf", "4"))
    ]
    known = {
        "accel_requests_total": rows, "accel_limit_refused_total": refused,
        "accel_request_seconds_bucket": tiers,
    }  # fmt: skip
    with served(b"<!doctype html>", known) as url:
        told = found(url, "--since", "1h")
    assert told["limits"]["refused"] == sum(told["history"]["counts"]["refused"]) == 3
    assert told["tiers"]["gold"]["durations"]["samples"] == 4
    assert told["guesses"] is None
    assert told["outcomes"] == {"exact": 6, "semantic": 0, "miss": 0, "bypass": 0}
    history = told["history"]
    assert history["step_s"] * len(history["counts"]["exact"]) == pytest.approx(3600)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<!doctype html><p>hello", "answers HTML"),
        (b"python_info 1\n", "tells no accel_requests_total"),
        ({}, "answers 404"),
    ],
)
def test_another_endpoint_is_refused_by_name(body: bytes | dict[str, Any], says: str) -> None:
    """With what it answered and the remedy; one that is away likewise."""
    with served(body) as url:
        said = run(f"{url}/metrics", code=2)
        assert says in said
        assert "name the /metrics of a process" in said
    assert "does not answer" in run(f"{url}/metrics", code=2)


def test_a_store_tells_what_it_holds_and_names_questions(written: Path, tmp_path: Path) -> None:
    """Beside a statistics file it says what its ids are."""
    path = tmp_path / "cache.db"
    store = SqliteStore(path)
    entry = Entry(
        key=b"\x0a" * 32, scope=b"s" * 32, tenant=b"", namespace="shop", text=SECRET,
        payload=b"{}", created_s=NOW_S, expires_s=NOW_S + 1e9, source="gpt-4o-mini",
    )  # fmt: skip
    store.save([entry])
    store.close()
    told = found(path)
    assert told["entries"]["count"] == 1
    assert told["entries"]["namespaces"] == {"shop": 1}
    assert told["outcomes"] is None
    assert "Smith" not in json.dumps(told)
    both = found(written, path, "--texts")
    assert both["questions"][0]["text"] == EVIL  # the file's own comes first
    assert both["entries"]["newest"][0][3] == SECRET
    settings = tmp_path / "accel.yaml"
    settings.write_text(
        f"observe: {{file: {{path: {written}}}}}\ncache: {{store: {{kind: sqlite, path: {path}}}}}"
    )
    configured = found("--config", settings)
    assert configured["outcomes"]["semantic"] == 4
    assert configured["entries"]["count"] == 1
