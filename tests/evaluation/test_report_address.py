"""``accel report`` of an address: what is asked is what was named, and no token is shown."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from accel_core.cli.main import app
from tests.evaluation.test_report import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def serving(answer: Callable[[str], Answer]) -> Iterator[tuple[str, list[str]]]:
    """Serve what `answer` says of each path; yield the address, and what is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            code, headers, body = answer(self.path)
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def report(*arguments: object, code: int = 0) -> str:
    """Run ``accel report``, and return what it said."""
    result = CliRunner().invoke(app, ["report", *map(str, arguments)], terminal_width=500)
    assert result.exit_code == code, (result.output, result.exception)
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("path", ["/metrics", ""])
def test_nobody_else_is_asked(code: int, path: str) -> None:
    """Whoever sends on to another host, port or scheme is refused, and both are named."""
    with serving(lambda _: (200, {}, metrics())) as (other, asked):
        for to in (other, other.replace("127.0.0.1", "localhost"), "https://u:pw@127.0.0.1:1"):
            with serving(lambda _, to=to: (code, {"Location": f"{to}/metrics?t=sec"}, b"")) as (
                url,
                _,
            ):
                said = report(f"{url}{path}", code=2)
            bare = to.replace("u:pw@", "")
            assert said.startswith(f"accel: {url}{path}")
            assert f" sends on to {bare}, which is not asked" in said
            assert "name that address" in said
            assert "pw" not in said
            assert "sec" not in said
        assert asked == []


def test_another_path_of_the_same_server_is_asked() -> None:
    """As one that ends with a stroke; one that sends round in a circle is left."""

    def answer(path: str) -> Answer:
        if path == "/metrics/":
            return 200, {}, metrics()
        return 302, {"Location": "/metrics/" if path == "/metrics" else "/round/metrics"}, b""

    with serving(answer) as (url, _):
        assert json.loads(report(f"{url}/metrics", "--json"))["outcomes"]["semantic"] == 4
        assert "answers 302" in report(f"{url}/round/metrics", code=2)


def test_token_of_a_query_is_sent_and_not_shown(tmp_path: Path) -> None:
    """Not on the page, not as JSON, not in a message."""
    out = tmp_path / "r.html"

    def answer(path: str) -> Answer:
        return 200 if "token=hunter2" in path else 403, {}, metrics()

    with serving(answer) as (url, asked):
        source = f"{url}/metrics?token=hunter2&format=text#hunter2"
        report(source, "-o", out)
        found = json.loads(report(source, "--json"))
        refused = report(source.replace("token", "t=hunter2&u"), code=2)
    assert found["sources"] == [f"{url}/metrics?token=…&format=…"]
    assert "answers 403" in refused
    assert "hunter2" not in json.dumps(found) + refused + out.read_text()
    assert asked[0] == "/metrics?token=hunter2&format=text"
    assert "hunter2" not in report(source, code=2)  # nobody answers there any more


def test_prometheus_is_asked_below_its_address_with_its_query() -> None:
    """Behind a proxy that wants a token, and under a path."""

    def answer(path: str) -> Answer:
        if not path.startswith("/prom/api/v1/") or "token=hunter2" not in path:
            return 404, {}, b""
        rows = [{"metric": {"outcome": "hit", "reason": "exact"}, "value": [1.0, "2"]}]
        found: list[Any] = rows if "query?" in path and "accel_requests_total" in path else []
        return 200, {}, json.dumps({"status": "success", "data": {"result": found}}).encode()

    with serving(answer) as (url, _):
        told = json.loads(report(f"{url}/prom/?token=hunter2", "--json"))
    assert told["outcomes"]["exact"] == 2
    assert told["sources"] == [f"{url}/prom/?token=…"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"status": "success"}',
        b'{"status": "success", "data": {"result": [{"metric": {}}]}}',
        b'{"status": "success", "data": {"result": [{"metric": [], "value": [1, "2"]}]}}',
        b'{"status": "success", "data": {"result": [{"metric": {}, "value": ["x", {}]}]}}',
        b'{"status": "success", "data": {"result": 7}}',
        b"[" * 100_000,
        b'{"status": "success", "data": {"result": [{"metric": {}, "value": [1, "1e400"]}]}}',
    ],
    ids=lambda body: body[-60:].decode(),
)
def test_answer_that_no_prometheus_gives_is_told(body: bytes) -> None:
    """Wherever in it the mistake is."""

    def answer(path: str) -> Answer:
        known = b'{"status": "success", "data": {"result": []}}'
        return 200, {}, known if "vector" in path and body[:1] == b"{" else body

    with serving(answer) as (url, _):
        said = report(url, code=2)
    assert url in said
    assert any(
        words in said
        for words in ("answers what Prometheus does not", "no metrics", "has no accel")
    )


@pytest.mark.parametrize(
    "line",
    [
        'accel_request_seconds_bucket{outcome="hit",le="soon"} 3',
        'accel_request_seconds_bucket{outcome="hit"} 3',
        'accel_request_seconds_bucket{outcome="hit",le="+Inf"} 3',
        'accel_request_seconds_bucket{outcome="hit",le="-1"} 3',
        'accel_request_seconds_bucket{outcome="hit",le="NaN"} 3',
        'accel_request_seconds_bucket{outcome="hit",le="0.1"} -3',
        'accel_requests_total{outcome="hit"} -7',
        'accel_requests_total{outcome="hit"} 1e308',
        'accel_tokens_total{kind="saved"} NaN',
        'accel_requests_total{outcome="<b>",reason="\\u202e"} 1',
    ],
)
@pytest.mark.parametrize("how", ["--json", "-o"])
def test_impossible_series_is_left_out_or_told(line: str, how: str, tmp_path: Path) -> None:
    """A page is made of the others."""
    body = b'accel_requests_total{outcome="miss"} 2\n' + line.encode() + b"\n"
    with serving(lambda _: (200, {}, body)) as (url, _):
        where = [how] if how == "--json" else [how, str(tmp_path / "r.html")]
        report(f"{url}/metrics", *where)
