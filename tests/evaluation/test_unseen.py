"""Characters that nobody sees cannot change what is seen: on pages, on terminals, in JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml
from typer.testing import CliRunner

from accel_core.audit.settings import _spelled
from accel_core.cli.main import app
from accel_core.page import document, parts, tag
from tests.evaluation.test_report import browser
from tests.evaluation.test_report_hostile import MISS, written
from tests.evaluation.test_shadow_report import compared
from tests.evaluation.test_shadow_report import written as log_of

if TYPE_CHECKING:
    from pathlib import Path

TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
EVIL = f"pay \u202e001\u202c euros \u2067now\u2069 \x1b]0;title\x07\x1b[2Jgone {TURNING}"
HEBREW = "מה המחיר"


def unseen(text: str) -> set[str]:
    """Return what of `text` is a control, or turns something round."""
    return set(text) & {*TURNING, "\x1b", "\x07"}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a log for ``accel audit`` with such texts, also where it is broken."""
    asked = [
        {"question": f"How do I reset my password? {EVIL}", "answer": EVIL, "model": EVIL},
        {"question": f"How can I reset my password? {EVIL}", "answer": EVIL, "model": EVIL},
        {"question": "x", "answer": "y", "temperature": 2.0},
    ]
    lines = [json.dumps(one, ensure_ascii=False) for one in asked]
    path = tmp_path / f"lo\u202eg{EVIL[-3:]}.jsonl"
    path.write_text("\n".join([*lines, '{"answer": "Of nothing"}', EVIL]) + "\n")
    return path


@pytest.mark.parametrize("how", [[], ["--json"]], ids=["tables", "json"])
def test_audit_shows_what_is_there(log: Path, tmp_path: Path, how: list[str]) -> None:
    """Spelled, in what it prints and in all three files."""
    out = tmp_path / "made"
    result = CliRunner().invoke(app, ["audit", str(log), "-o", str(out), *how])
    assert result.exit_code == 0, (result.output, result.exception)
    assert not unseen(result.output)
    for path in out.iterdir():
        assert not unseen(path.read_text()), path
    assert "\\u202e001\\u202c euros" in (out / "audit.html").read_text()
    assert json.loads((out / "audit.json").read_text())["models"][EVIL]["asked"]["calls"] == 2


def test_report_shows_what_is_there(tmp_path: Path) -> None:
    """On its page, and in messages that quote a file's name."""
    near = {"is": "Looked", "id": "a", "near_id": "b", "reason": "grey", "similarity": 0.9,
            "text": EVIL, "near_text": EVIL}  # fmt: skip
    path = written(tmp_path / "s\u202e.jsonl", {**MISS, "model": EVIL}, near)
    out = tmp_path / "r.html"
    for arguments in ([str(path), "-o", str(out), "--texts"], [f"{path}{EVIL}"]):
        result = CliRunner().invoke(app, ["report", *arguments])
        assert not unseen(result.output)
    assert not unseen(out.read_text())
    assert "\\u202e001" in out.read_text()


def test_shadow_report_shows_what_is_there(tmp_path: Path) -> None:
    """It prints questions, too."""
    line = compared(1, a=EVIL, b=EVIL, same=False, reason=EVIL)
    path = log_of(tmp_path / "shadow.jsonl", [line])
    for how in ([], ["--json"]):
        result = CliRunner().invoke(app, ["shadow-report", str(path), *how])
        assert result.exit_code == 0, result.output
        assert "u202e" in result.output
        assert not unseen(result.output)


def test_settings_are_read_as_they_were() -> None:
    """Where they are spelled, and letters of all languages stay what they are."""
    for value in (EVIL, [EVIL, HEBREW], {"a": EVIL}):
        spelled = _spelled(value)
        assert not unseen(spelled)
        assert yaml.safe_load(spelled) == value
    assert HEBREW in _spelled(HEBREW)


def test_letters_from_right_to_left_stay_in_their_place(tmp_path: Path) -> None:
    """The browser draws names in the order of the text, and what stands behind them behind them."""
    path = tmp_path / "page.html"
    names = parts.listed([HEBREW, f"{HEBREW} 7", "3 last"])
    path.write_text(document("x", [tag("p", names), tag("p", tag("code", EVIL))]))
    with browser() as page:
        page.show(1200)
        page.open(path)
        lefts = page.evaluate(
            "[...document.querySelectorAll('bdi')].map(one => one.getBoundingClientRect().left)"
        )
        assert lefts == sorted(lefts)
        shown = page.evaluate("document.querySelector('code').innerText")
        assert not unseen(shown)
        assert "\\u202e001\\u202c" in shown
