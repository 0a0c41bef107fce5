"""``accel audit`` of logs with what no application means: it neither ends nor waits for them."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.audit.page import page
from accel_core.audit.run import Terms, audit
from accel_core.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path

    from accel_core.audit.findings import Findings

CALL = {"question": "What is it?", "answer": "That.", "at": "2026-01-02T03:04:05Z", "took_s": 1}


def audited(path: Path, line: str) -> Findings:
    """Audit a log of a call, `line`, and the call again a minute later."""
    again = {**CALL, "at": "2026-01-02T03:05:05Z"}
    path.write_text(f"{json.dumps(CALL)}\n{line}\n{json.dumps(again)}\n")
    return audit([path], None, Terms())


@pytest.mark.parametrize(
    "hostile",
    [
        {"took_s": float("inf")},
        {"took_s": 1e300},
        {"took_s": -5},
        {"took_s": 10**400},
        {"at": 10**400},
        {"at": float("nan")},
        {"at": "0001-01-01T00:00:00+14:00"},
        {"at": "9999-12-31T23:59:59-14:00"},
        {"temperature": 10**400},
        {"status": float("inf")},
    ],
    ids=str,
)
def test_impossible_number_is_not_known(hostile: dict[str, Any], tmp_path: Path) -> None:
    """A call that has one counts, without that figure."""
    line = json.dumps({**CALL, "question": "And this?", **hostile})
    found = audited(tmp_path / "log.jsonl", line)
    assert (found.tally.asked.calls, found.tally.total.calls) == (3, 1)
    assert 2 <= found.tally.asked.seconds <= 3


@pytest.mark.parametrize(
    "line",
    ['{"answer": "Of nothing."}', '{"runs":[' * 450 + "{}" + "]}" * 450],
    ids=["plain", "deep"],
)
def test_record_without_a_question_is_left_out(line: str, tmp_path: Path) -> None:
    """It is told by its line, and the calls behind it are read."""
    found = audited(tmp_path / "log.jsonl", line)
    assert (found.tally.asked.calls, found.tally.total.calls) == (2, 1)
    assert sum(found.seen.broken.values()) == 1


def test_half_of_a_character_can_be_written(tmp_path: Path) -> None:
    """JSON may name one; a page says that something stood there."""
    found = audited(tmp_path / "log.jsonl", json.dumps({**CALL, "model": "m\ud800"}))
    assert "m?" in page("audit", found)
    assert page("audit", found).encode()


def test_damaged_gzip_is_told(tmp_path: Path) -> None:
    """Whatever of it is damaged."""
    packed = bytearray(gzip.compress(b"".join(b'{"question":"%d"}\n' % n for n in range(999))))
    for at in range(20, len(packed), 97):
        damaged = bytearray(packed)
        damaged[at] ^= 0xFF
        path = tmp_path / "log.jsonl.gz"
        path.write_bytes(damaged)
        with pytest.raises(FileError):
            audit([path], None, Terms())
