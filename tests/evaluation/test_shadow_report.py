"""``accel shadow-report``: what a log shows, what it proves, and what is wrong with one."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.accel import Accel
from accel_core.evaluation.labelled import read_pairs
from accel_core.evaluation.shadow import reported
from accel_core.evaluation.shadow_labels import is_log, read_labels
from accel_core.policy.admission import Answer
from accel_core.policy.compared import Compared
from accel_core.policy.confidence import upper_bound
from accel_core.policy.identity import Prompt, Turn
from accel_core.testing.encoders import HashEncoder
from tests.evaluation.test_cli import PAIRS, refused, run

if TYPE_CHECKING:
    from pathlib import Path


def compared(number: int, **fields: Any) -> Compared:
    made = Compared(
        a=f"what is {number}", b=f"What is {number}?", same=True, served=True,
        reason="calibrated", similarity=0.95, probability=0.9,
    )  # fmt: skip
    return replace(made, **fields)


def written(path: Path, lines: list[Compared]) -> Path:
    path.write_text("".join(f"{json.dumps(line.to_json())}\n" for line in lines))
    return path


def test_counts_what_would_have_been_served() -> None:
    """Right, wrong and unknown ones, by reason and by probability, and what was missed."""
    lines = [compared(n, probability=0.96) for n in range(90)]
    lines += [compared(n, same=False, probability=0.9 + n / 1_000) for n in range(10)]
    lines += [compared(n, same=None) for n in range(5)]
    lines += [
        compared(n, served=False, reason="improbable", probability=0.6, same=n < 4)
        for n in range(20)
    ]
    lines += [compared(n, served=False, reason="gate:number", same=False) for n in range(3)]
    found = reported(lines, examples=3)
    assert (found.compared.times, found.served.times) == (128, 105)
    assert found.served == (90, 10, 5)
    assert found.wrong_share == pytest.approx(0.1)
    assert 0.1 < found.at_most < 0.25
    assert found.missed == 4
    assert list(found.reasons) == ["calibrated", "improbable", "gate:number"]
    assert found.reasons["gate:number"] == (False, (0, 3, 0))
    assert {low: tally.times for low, tally in found.bands.items()} == {0.5: 20, 0.9: 18, 0.95: 90}
    assert [line.probability for line in found.worst] == [0.909, 0.908, 0.907]


def test_a_sample_weighs_by_its_rarity() -> None:
    """Hits that were looked at once in ten times count ten times the others."""
    lines = [compared(n, reason="sampled", share=0.1, same=n > 0) for n in range(10)]
    lines += [compared(n, reason="sampled", share=1.0, same=False) for n in range(10)]
    lines += [compared(n, served=False, reason="below_threshold", share=0.25) for n in range(3)]
    found = reported(lines)
    assert found.wrong_share == pytest.approx(20 / 110)
    assert found.missed == pytest.approx(12)
    # A weight below one is less evidence: eleven outcomes, not twenty.
    assert found.at_most == pytest.approx(upper_bound(11, 2, 0.05))


def test_nothing_is_proven_by_little() -> None:
    """Without evidence the bound is no bound, and no threshold is named."""
    found = reported([compared(1, served=False, reason="improbable")])
    assert (found.wrong_share, found.at_most, found.threshold) == (None, pytest.approx(1.0), None)


@pytest.mark.parametrize("seed", range(3))
def test_the_threshold_keeps_what_is_asked_for(seed: int) -> None:
    """It is the loosest that evidence proves, and what a gate refuses does not count for it."""
    dice = Random(seed)
    lines = []
    for number in range(4_000):
        probability = dice.random()
        right = dice.random() < probability
        lines.append(compared(number, probability=probability, same=right))
    lines += [compared(n, probability=0.99, same=False, reason="gate:date") for n in range(500)]
    found = reported(lines, max_wrong_hits=0.1)
    assert found.threshold is not None
    # From t up (1 - t) / 2 are wrong, so 0.8 would do; proof wants room.
    assert 0.8 <= found.threshold.least <= 0.95
    assert 0 < found.threshold.kept < 0.5
    assert reported(lines, max_wrong_hits=0.005).threshold is None


def test_hardly_ever_proves_what_is_not_so() -> None:
    """Where one in ten is wrong at any score, a bound of one in ten is met by chance only."""
    found = 0
    for seed in range(100):
        dice = Random(seed)
        lines = [
            compared(n, probability=dice.random(), same=dice.random() >= 0.1) for n in range(300)
        ]
        found += reported(lines, max_wrong_hits=0.1).threshold is not None
    assert found <= 8


def test_a_plain_threshold_has_cosines_only() -> None:
    """Then bands and threshold are about these."""
    lines = [compared(n, probability=None, similarity=0.99, reason="threshold") for n in range(300)]
    found = reported(lines)
    assert (found.score, list(found.bands)) == ("similarity", [0.98])
    assert found.threshold is not None


def test_the_command_tells_a_log_of_shadow_mode(tmp_path: Path) -> None:
    """What shadow mode writes is told as tables and as JSON, several files at once."""
    log = tmp_path / "shadow.jsonl"
    settings = {"shadow": True, "min_similarity": 0.9, "shadow_log": str(log)}
    with Accel.from_mapping({"cache": {"semantic": settings}}, encoder=HashEncoder()) as accel:
        for number in range(10):
            question = f"where is [thing{number}] of the place{number}"
            for text, said in ((question, "a"), (f"{question.upper()}?", "b")):
                turns = (Turn("user", (text,)),)
                request = accel.identify(Prompt("test", "m", turns, None, ""))
                assert request is not None
                found: Any = accel.cache.lookup(request)
                answer = Answer(json.dumps(said).encode(), said)
                accel.cache.store(request, answer, flight=found.flight)
                accel.flush()
    told = run("shadow-report", log, "--examples", 1)
    assert "would have served" in told
    assert "stored  where is [thing" in told
    assert "No min_similarity is proven" in " ".join(told.split())
    report = json.loads(run("shadow-report", log, log, "--json"))
    assert report["served"]["wrong"] == 20
    assert report["wrong_share"] == 1.0
    assert len(report["worst"]) == 5


def test_a_proven_threshold_is_told(tmp_path: Path) -> None:
    """With the share of right answers that it keeps."""
    log = written(tmp_path / "log.jsonl", [compared(n, probability=0.999) for n in range(500)])
    told = " ".join(run("shadow-report", log, "--max-wrong-hits", 0.1).split())
    assert "stays under 10.0% wrong hits, with 95% confidence, and serves 100.0%" in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no comparison; set cache.semantic.shadow"),
        ("{\n", "line 1 is not JSON; drop the line"),
        ("\n[]\n", "line 2 is not a JSON object"),
        ('{"a": "x", "b": "y", "same": 1}\n', "line 1 is no comparison: 'shadow' is None"),
        ('{"shadow": 9}\n', "'shadow' is 9 and should be 1"),
        ('{"shadow": 1, "a": "x"}\n', "line 1 is no comparison: there is no 'b'"),
    ],
)
def test_what_is_wrong_with_a_log_is_named(tmp_path: Path, text: str, message: str) -> None:
    """With its line and a remedy."""
    log = tmp_path / "log.jsonl"
    log.write_text(text)
    assert message in refused("shadow-report", log)


def test_wrong_options_and_files_are_named(tmp_path: Path) -> None:
    """With what belongs there."""
    log = written(tmp_path / "log.jsonl", [compared(1)])
    assert "--max-wrong-hits: must be" in refused("shadow-report", log, "--max-wrong-hits", 0)
    assert "--confidence: must be" in refused("shadow-report", log, "--confidence", 1)
    assert "cannot be read" in refused("shadow-report", tmp_path / "none.jsonl")
    log.write_bytes(b"\xff")
    assert "cannot be read" in refused("shadow-report", log)


def test_a_log_is_labelled_pairs(tmp_path: Path) -> None:
    """What nobody could judge and what contradicts itself is left out and counted."""
    lines = [compared(1), compared(2, same=False), compared(3, same=None)]
    lines += [compared(4), compared(4, same=False), compared(1)]
    found = read_labels(written(tmp_path / "log.jsonl", lines))
    assert [(pair.a, pair.same) for pair in found.pairs] == [
        ("what is 1", True),
        ("what is 2", False),
    ]
    assert (found.unknown, found.contradictory) == (1, 2)
    assert not is_log(PAIRS)
    assert not is_log(tmp_path / "none.jsonl")
    one_kind = written(tmp_path / "kind.jsonl", lines[:1])
    assert "holds comparisons of one kind only; let it grow" in refused(
        "calibrate", one_kind, "-o", tmp_path / "out.json"
    )


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_calibrates_on_labels_from_shadow_mode(tmp_path: Path) -> None:
    """A log and a file of the same pairs give the same calibration."""
    pairs = read_pairs(PAIRS)
    lines = [compared(n, a=pair.a, b=pair.b, same=pair.same) for n, pair in enumerate(pairs)]
    log = written(tmp_path / "log.jsonl", [*lines, compared(0, same=None)])
    outs = [tmp_path / name for name in ("pairs.json", "log.json")]
    run("calibrate", PAIRS, "-o", outs[0], "--encoder", "static")
    told = run("calibrate", log, "-o", outs[1], "--encoder", "static")
    assert "left out: 1 comparisons that nobody could judge" in " ".join(told.split())
    assert outs[0].read_text() == outs[1].read_text()
    evaluated = run("eval", log, "--encoder", "static", "--calibration", outs[1])
    assert "wrong among hits" in evaluated
