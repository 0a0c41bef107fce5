"""``accel audit`` of logs with what no application means: it neither ends nor waits for them."""

from __future__ import annotations

import gzip
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.audit import records
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


def test_log_may_span_centuries(tmp_path: Path) -> None:
    """From what a stamp can say first to what it can say last."""
    line = json.dumps({**CALL, "at": 9.9e10})
    found = audited(tmp_path / "log.jsonl", line)
    assert found.tally.asked.calls == 3


def test_braces_that_close_nothing_are_passed(tmp_path: Path) -> None:
    """Each is looked at once, however many there are."""
    found = audited(tmp_path / "log.jsonl", "{x\n" + "}\n" * 20_000)
    assert found.tally.asked.calls == 2
    assert sum(found.seen.broken.values()) == 20_000


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_line_that_is_too_long_is_left_out(
    pack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is never held whole; a list may be longer than any line, and values of it not."""
    monkeypatch.setattr(records, "_MOST_LETTERS", 4_000)
    monkeypatch.setattr(records, "_CHUNK", 500)
    call, long = json.dumps(CALL), json.dumps({**CALL, "answer": "x" * 9_000})
    path = tmp_path / "log.json"
    for text, places in ((f"{call}\n{long}\n{call}\n", 1), (f"[{','.join([call] * 99)}]", 0)):
        path.write_bytes(pack(text.encode()))
        found = audit([path], None, Terms())
        assert found.tally.asked.calls == (99 if text[0] == "[" else 2)
        assert len(found.seen.places) == places
    path.write_bytes(pack(f"[{call}, {long}, {call}]".encode()))
    found = audit([path], None, Terms())
    assert found.tally.asked.calls == 1
    assert found.seen.places == [
        "log.json, line 1: is no JSON, or cut off: nothing behind it was read"
    ]


@pytest.mark.parametrize("kind", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_file_of_any_editor_is_read(kind: str, end: str, tmp_path: Path) -> None:
    """With whatever its lines end, and whichever mark it begins with."""
    path = tmp_path / "log.jsonl"
    mark = "\ufeff" if kind.endswith("e") else ""
    path.write_bytes((mark + end.join([json.dumps({**CALL, "answer": "ä €"})] * 3)).encode(kind))
    found = audit([path], None, Terms())
    assert (found.tally.asked.calls, found.seen.broken) == (3, {})


def test_file_that_is_named_twice_counts_once(tmp_path: Path) -> None:
    """Whichever way it is spelled."""
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(CALL))
    (tmp_path / "link.jsonl").symlink_to(path)
    again = tmp_path / "." / ".." / tmp_path.name / "log.jsonl"
    found = audit([path, again, tmp_path / "link.jsonl"], None, Terms())
    assert found.tally.asked.calls == 1


def test_pipe_is_refused_at_once(tmp_path: Path) -> None:
    """Nobody may ever write to it."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match=r"pipe cannot be read \(it is no regular file\)"):
        audit([tmp_path / "pipe"], None, Terms())


def test_problem_does_not_quote_a_whole_book(tmp_path: Path) -> None:
    """What is wrong with a place is told in a line."""
    value = {"key": "k", "value": {"intValue": "never " * 9_000}}
    span = {"attributes": [value]}
    line = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    path = tmp_path / "log.jsonl"
    path.write_text(f"{line}\n")
    with pytest.raises(FileError) as told:
        audit([path], None, Terms())
    assert len(str(told.value)) < 600


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
