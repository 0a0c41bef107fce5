"""``accel report`` of what it should not trust: what is named twice, secrets, hostile lines."""

from __future__ import annotations

import json
import stat
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from accel_core.cli.main import app
from accel_core.report.samples import REQUESTS, Sample, sections_of

if TYPE_CHECKING:
    from pathlib import Path

HEAD = {"accel_statistics": 1, "run": "r", "at_s": 1_760_000_000.0}
MISS = {
    "is": "RequestEnded",
    "outcome": "miss",
    "ending": "answered",
    "total_s": 1.0,
    "ended_s": 1_760_000_000.0,
}


def written(path: Path, *lines: Any) -> Path:
    """Write a statistics file; texts are lines as they are."""
    spelled = (one if isinstance(one, str) else json.dumps(one) for one in (HEAD, *lines))
    path.write_text("".join(f"{line}\n" for line in spelled))
    return path


def reported(*sources: object, code: int = 0) -> Any:
    """Return what ``accel report --json`` prints; where it fails, its output."""
    result = CliRunner().invoke(app, ["report", "--json", *map(str, sources)])
    assert result.exit_code == code, (result.output, result.exception)
    return result.output if code else json.loads(result.stdout)


def test_part_that_is_named_twice_counts_once(tmp_path: Path) -> None:
    """A pattern names the older part, too, and another spelling the same file."""
    older = written(tmp_path / "stats.1.jsonl", MISS)
    file = written(tmp_path / "stats.jsonl", MISS, MISS)
    again = tmp_path / "." / ".." / tmp_path.name / "stats.jsonl"
    assert reported(older, file, again)["outcomes"]["miss"] == 3


def test_password_of_an_address_is_not_shown() -> None:
    """Nor is it sent: such an address is refused, without the password."""
    for path in ("/metrics", ""):
        said = reported(f"http://bob:hunter2@127.0.0.1:9{path}", code=2)
        assert "hunter2" not in said
        assert "password" in said
    assert "is no address" in reported("http://[metrics", code=2)


@pytest.mark.parametrize(
    "hostile",
    [
        {**MISS, "total_s": "x"},
        {**MISS, "total_s": {}},
        {**MISS, "ended_s": 1e300},
        {**MISS, "parts": {"model_s": "x"}},
        {**MISS, "outcome": "hit", "tier": "used_tokens"},
        {**MISS, "ending": None},
        {"is": "RequestEnded", "outcome": "miss", "model": "m"},
        {"is": "Looked", "id": "a", "near_id": "b", "reason": "grey", "similarity": 1e308},
        {"is": "LimitWaited", "wait_s": "x"},
        {"is": "ToolCallBegun", "tool": 5},
        {"is": "SpeculationSuspended", "tool": "t", "reason": 5},
        {"is": "EmbeddingsServed", "cached": "x", "shared": 0, "asked": 1},
        {**HEAD, "lost": {"observer": "x"}},
        "[" * 100_000,
        '{"is": "RequestEnded", "outcome": "miss", "ending": "answered", "total_s": 1e400}',
    ],
    ids=lambda one: str(one)[:60],
)
def test_line_that_is_wrong_is_left_out_whole(hostile: Any, tmp_path: Path) -> None:
    """It is counted as unreadable, and no sum has a part of it."""
    path = written(tmp_path / "stats.jsonl", MISS, hostile, {**HEAD, "run": "s"}, MISS)
    found = reported(path)
    assert found["losses"]["unreadable_lines"] == 1
    assert found["outcomes"] == {"exact": 0, "semantic": 0, "miss": 2, "bypass": 0}
    assert sum(one["requests"] for one in found["models"].values()) == 2
    out = tmp_path / "report.html"
    result = CliRunner().invoke(app, ["report", str(path), "-o", str(out)])
    assert result.exit_code == 0, result.exception


def test_steps_beside_models_are_no_calls_saved(tmp_path: Path) -> None:
    """A vector, a document or a tool's result that was there spares no call of a model."""
    steps = [
        {**MISS, "outcome": "hit", "operation": name}
        for name in ("embeddings", "retrieval", "execute_tool")
    ]
    asked = [{**MISS, "operation": "chat"}, {**MISS, "operation": "text_completion"}]
    found = reported(written(tmp_path / "stats.jsonl", *asked, *steps))
    assert found["outcomes"] == {"exact": 0, "semantic": 0, "miss": 2, "bypass": 0}
    labels = ({"outcome": "hit", "reason": "exact", "operation": name} for name in ("chat", "x"))
    samples = [Sample(REQUESTS, of, 1.0) for of in labels]
    assert sections_of(samples)["outcomes"]["exact"] == 1


def test_page_is_its_owners_alone(tmp_path: Path) -> None:
    """It may hold questions."""
    out = tmp_path / "page.html"
    path = written(tmp_path / "stats.jsonl", MISS)
    CliRunner().invoke(app, ["report", "--texts", str(path), "-o", str(out)])
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


class Endless(BaseHTTPRequestHandler):
    """Answers without an end."""

    def do_GET(self) -> None:
        """Send comments until the reader is gone."""
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(b"# nothing\n" * 100)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_answer_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is it read for ever, nor is its beginning taken for the whole."""
    monkeypatch.setattr("accel_core.report.fetching._MOST_BYTES", 100_000)
    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        said = reported(f"http://127.0.0.1:{server.server_port}/metrics", code=2)
        server.shutdown()
    assert "goes on without an end" in " ".join(said.split())
