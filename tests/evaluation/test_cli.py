"""The console command, on real encoders and this repository's own questions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from accel_core.accel import Accel
from accel_core.calibration.shipped import read_calibration
from accel_core.cli.main import app
from accel_core.errors import ConfigError
from accel_core.gate.trained import read_gate
from benchmarks.decision_data import NEAR_MISSES
from benchmarks.retrieval_gate import examples
from benchmarks.stream import QUESTIONS

if TYPE_CHECKING:
    from pathlib import Path

PAIRS = NEAR_MISSES / "seen.jsonl"


def run(*arguments: object) -> str:
    """Run ``accel`` and return what it printed."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: object) -> str:
    """Run ``accel``, which must fail, and return what it said."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 2, result.output
    return " ".join(result.output.split())


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_tells_how_often_a_hit_is_wrong(tmp_path: Path) -> None:
    """As a table, as JSON, and as a page that needs nothing from anywhere."""
    html = tmp_path / "page.html"
    told = json.loads(run("eval", QUESTIONS, "--json", "--html", html))
    assert told["repeats"] > 0
    assert 0 <= told["decision"]["wrong_share"] < told["cosine"]["wrong_share"]
    assert 0 < told["decision"]["recall"] <= 1
    assert told["curve"][0]["hit_ratio"] <= told["curve"][-1]["hit_ratio"]
    page = html.read_text()
    assert page.count("<polyline") == 4  # two curves, for a wide page and for a phone
    assert "://" not in page
    assert "wrong among hits" in run("eval", QUESTIONS)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("encoder", ["minilm", "static"])
def test_calibrates_any_encoder(tmp_path: Path, encoder: str) -> None:
    """What is written is read again, by its own encoder and by no other."""
    out = tmp_path / "calibration.json"
    told = " ".join(run("calibrate", PAIRS, "-o", out, "--encoder", encoder).split())
    assert "served" in told
    name = json.loads(out.read_text())["encoder"]
    assert read_calibration(str(out), name).questions > 1_000
    with pytest.raises(ConfigError, match="belongs to encoder"):
        read_calibration(str(out), "another")
    settings = {"calibration": str(out), "encoder": {"kind": encoder}}
    with Accel.from_mapping({"cache": {"semantic": settings}}) as accel:
        assert accel.stats().lookups == 0
    assert list(tmp_path.iterdir()) == [out]
    if encoder == "static":
        run("eval", PAIRS, "--encoder", "static", "--calibration", out)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": "x"}\n', "line 1 has no column 'b'"),
        ('{"a": "x", "b": "y", "same": 1}\n', "pairs of one kind only"),
    ],
)
def test_nothing_is_written_of_a_wrong_file(tmp_path: Path, text: str, message: str) -> None:
    """The mistake is named, and no file is left half-written."""
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(text)
    out = tmp_path / "calibration.json"
    assert message in refused("calibrate", pairs, "-o", out)
    assert not out.exists()


def test_wrong_options_are_named(tmp_path: Path) -> None:
    """With what belongs there."""
    assert "--max-wrong: must be between 0 and 1" in refused("calibrate", PAIRS, "--max-wrong", "2")
    assert "must be one of minilm, static" in refused("eval", PAIRS, "--encoder", "large")
    assert "is not calibrated; run: accel calibrate" in refused(
        "eval", PAIRS, "--encoder", "static"
    )
    assert "must be a readable JSON file" in refused(
        "eval", PAIRS, "--calibration", tmp_path / "none.json"
    )


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_too_few_pairs_are_said_so(tmp_path: Path) -> None:
    """Rather than fitted to."""
    few = tmp_path / "few.jsonl"
    few.write_text("".join(PAIRS.read_text().splitlines(keepends=True)[::20]))
    assert "give more pairs" in refused("calibrate", few, "-o", tmp_path / "out.json")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_trains_a_gate(tmp_path: Path) -> None:
    """What is written is read again; the report says what is saved and what is bounded."""
    out = tmp_path / "gate.json"
    rows = [{"text": need.text, "needed": need.needed} for need in examples()[::2]]
    messages = tmp_path / "messages.jsonl"
    messages.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    told = " ".join(run("train-gate", messages, "-o", out, "--encoder", "static").split())
    assert "of small talk are skipped" in told
    assert "at most 1.00%" in told
    name = json.loads(out.read_text())["encoder"]
    assert read_gate(str(out), name).questions > 299
    assert sorted(tmp_path.iterdir()) == [out, messages]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ('{"text": "x"}\n', [], "line 1 has no column 'needed'"),
        ('{"text": "x", "needed": 1}\n', [], "messages of one kind only"),
        ('{"text": "x", "needed": 1}\n{"text": "X", "needed": 0}\n', [], "contradicts line 1"),
        ('{"text": "x", "needed": 2}\n', [], "write 1 where it needs documents"),
        ("", ["--max-skipped", 0], "--max-skipped: must be between 0 and 1"),
        ("", ["--confidence", 1], "--confidence: must be in [0.5, 1)"),
        ("", ["--languages", "tlh"], "languages: must be of"),
    ],
)
def test_a_wrong_file_trains_nothing(
    tmp_path: Path, text: str, options: list[object], message: str
) -> None:
    """The mistake is named with its remedy."""
    messages, out = tmp_path / "messages.jsonl", tmp_path / "gate.json"
    messages.write_text(text)
    assert message in refused("train-gate", messages, "-o", out, *options)
    assert not out.exists()
