"""``accel audit``, on a real encoder: its tables, its page, its files, and what it refuses."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from accel_core import config
from accel_core.cli.main import app
from tests.audit.test_replay import Said, record
from tests.evaluation.test_report import browser

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = '<script>alert("x")</script>[red]'


def run(*arguments: object, code: int = 0) -> str:
    """Run ``accel audit`` and return what it printed."""
    result = CliRunner().invoke(app, ["audit", *map(str, arguments)], terminal_width=200)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a log with a repeat in other words, one that is the same, and a text to be escaped."""
    asked = [
        Said("How do I reset my password?", 0.0, answer=f"Like this {HOSTILE}"),
        Said("How can I reset my password?", 10.0, answer="Like that"),
        Said("How do I reset my password?", 20.0),
        Said(HOSTILE, 30.0),
        Said("Three?", 40.0, limited=True),
    ]
    path = tmp_path / f"log {HOSTILE.replace('/', '')}.jsonl"
    path.write_text("".join(f"{json.dumps(record(said))}\n" for said in asked) + "nonsense\n")
    return path


def test_says_what_would_have_been_saved(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As tables, JSON, a page and settings; no text is markup, and no network is asked."""

    def refuse(*_: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    out = tmp_path / "made"
    told = run(log, "-o", out)
    assert "the same in other words" in told
    assert "50.0% of the calls" in told
    assert "1 calls were refused for a limit" in told
    found = json.loads((out / "audit.json").read_text())
    assert {tier: one["calls"] for tier, one in found["tiers"].items()} == {
        "exact": 1, "shared": 0, "semantic": 1,
    }  # fmt: skip
    assert found["read"]["broken"] == {"is no JSON": 1}
    (risky,) = found["riskiest"]
    assert risky["logged"] == "Like that"
    assert HOSTILE in risky["served"]
    page = (out / "audit.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")
    config.from_yaml(out / "accel.yaml")
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o600}
    assert (
        json.loads(run(log, "-o", out, "--json", "--encoder", "none").partition("\nwritten")[0])[
            "tiers"
        ]["semantic"]["calls"]
        == 0
    )


def test_a_real_browser_shows_the_page_and_nothing_else(log: Path, tmp_path: Path) -> None:
    """No error, no request, the figures, texts as texts; on a phone nothing beyond its edge."""
    out = tmp_path / "made"
    run(log, "-o", out)
    with browser() as page:
        page.show(1200)
        page.open(out / "audit.html")
        assert page.errors == []
        assert page.requests == [(out / "audit.html").as_uri()]
        shown = page.evaluate("document.querySelector('main').innerText")
        assert "50.0%" in shown
        assert HOSTILE in shown
        assert page.evaluate("document.querySelectorAll('svg rect').length") > 10
        page.show(360)
        assert page.evaluate("document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "csv"], "--format: must be one of"),
        (["--tokens-per-minute", "-1"], "limits.tokens_per_minute"),
        (["--tokens-per-minute", "9", "--provider", "me"], "limits.provider"),
        (["--format", "langsmith"], "holds no call that can be replayed"),
        (["--encoder", "hash"], "--encoder: must be one of"),
        (["--config", "missing.yaml"], "must be a readable file"),
    ],
)
def test_mistakes_end_it_with_a_remedy(
    log: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    """Nothing is written then."""
    out = tmp_path / "made"
    assert message in " ".join(run(log, "-o", out, *arguments, code=2).split())
    assert not out.exists()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """So is a folder."""
    for path in (tmp_path / "missing.jsonl", tmp_path):
        assert "cannot be read" in " ".join(run(path, code=2).split())


def test_a_folder_that_cannot_be_made_is_told_before_the_wait(log: Path, tmp_path: Path) -> None:
    """One where a file is, or would be below one."""
    file = tmp_path / "file"
    file.write_text("mine")
    for out in (file, file / "below" / "it"):
        told = run(log, "-o", out, code=2)
        assert "is no folder that can be made; name another by --out" in " ".join(told.split())
    assert file.read_text() == "mine"


def test_an_encoder_that_sends_questions_away_is_refused(log: Path, tmp_path: Path) -> None:
    """Though a configuration names it."""
    settings = tmp_path / "accel.yaml"
    settings.write_text(
        "cache: {semantic: {min_similarity: 0.9, encoder: {kind: openai, model: m}}}"
    )
    told = run(log, "--config", settings, "--encoder", "config", code=2)
    assert "would send the questions out" in " ".join(told.split())
