"""The statistics file: shared by processes, bounded, torn at one line at most, nobody's words."""

from __future__ import annotations

import json
import multiprocessing
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.accel import Accel
from accel_core.errors import ConfigError
from accel_core.events import BackendFailed, LimitWaited
from accel_core.events.requests import Parts, RequestEnded, Tokens
from accel_core.files.statistics_file import StatisticsFile, older_of
from accel_core.policy.looked import Looked
from accel_core.ports import Selector

if TYPE_CHECKING:
    from pathlib import Path

NOW_S = 1_800_000_000.0
TENANT = bytes(range(32))
ASKED = RequestEnded(
    "chat", "miss", "answered", "improbable", 2.0, NOW_S,
    model="gpt-4o-mini", tenant=TENANT.hex(), tags=("user@example.org",), entry_id="ab" * 32,
    parts=Parts(lookup_s=0.1, model_s=1.9), attempts=1, used=Tokens(100.0, 10.0),
)  # fmt: skip
NEAR = Looked(
    b"\x01" * 32, "How long is a refund?", TENANT, "improbable",
    near_key=b"\x02" * 32, near_text="How is a refund made?", similarity=0.87, probability=0.41,
)  # fmt: skip


def written(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file that are whole."""
    return [json.loads(line) for line in path.read_bytes().splitlines() if line.strip()]


def file_at(path: Path, max_bytes: int = 1 << 24, *, texts: bool = False) -> StatisticsFile:
    return StatisticsFile(path, max_bytes=max_bytes, texts=texts, wall_now=lambda: NOW_S)


def test_a_line_holds_what_is_so_and_nobodys_words(tmp_path: Path) -> None:
    """Defaults, tags, errors' texts and questions are left out; the file is its owner's."""
    file = file_at(tmp_path / "f.jsonl")
    for event in (ASKED, NEAR, BackendFailed("redis", "fetch", "redis://user:secret@host")):
        file(event)
    file.settle()
    head, asked, near, failed = written(file.path)
    assert (head["accel_statistics"], head["at_s"]) == (1, NOW_S)
    assert asked == {
        "is": "RequestEnded", "operation": "chat", "outcome": "miss", "ending": "answered",
        "reason": "improbable", "total_s": 2.0, "ended_s": NOW_S, "model": "gpt-4o-mini",
        "tenant": TENANT.hex(), "entry_id": "ab" * 8, "attempts": 1,
        "parts": {"lookup_s": 0.1, "model_s": 1.9},
        "used": {"input_tokens": 100.0, "output_tokens": 10.0},
    }  # fmt: skip
    assert near == {
        "is": "Looked", "id": "01" * 8, "near_id": "02" * 8, "tenant": TENANT.hex(),
        "reason": "improbable", "similarity": 0.87, "probability": 0.41,
    }  # fmt: skip
    assert failed == {"is": "BackendFailed", "backend": "redis", "operation": "fetch"}
    assert file.path.stat().st_mode & 0o077 == 0


def test_texts_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    """Each question once; halves of characters do no harm."""
    file = file_at(tmp_path / "f.jsonl", texts=True)
    file(NEAR)
    served = NEAR._replace(key=b"\x03" * 32, text="half \ud800", served=True)
    file(served)
    file(served)
    file.settle()
    _, near, hit = written(file.path)
    assert (near["text"], near["near_text"]) == (NEAR.text, NEAR.near_text)
    assert hit["text"] == "half ?"


def test_two_files_are_kept_and_stay_within_their_bytes(tmp_path: Path) -> None:
    """The older one has what came before; what it had is gone."""
    file = file_at(tmp_path / "f.jsonl", 1 << 20)
    for number in range(30_000):
        file(LimitWaited(float(number), "gold"))
    file.settle()
    sizes = [path.stat().st_size for path in (file.older, file.path)]
    assert sum(sizes) <= 1 << 20
    assert sizes[0] > 400_000
    waits = [line["wait_s"] for path in (older_of(file.path), file.path)
             for line in written(path) if "wait_s" in line]  # fmt: skip
    assert waits == [float(number) for number in range(30_000 - len(waits), 30_000)]


def _write(path: Path, name: str, count: int) -> None:
    file = file_at(path, 2 << 20)
    for number in range(count):
        file(LimitWaited(float(number), name))
        if number % 50 == 0:
            file.settle()
    file.settle()


def test_processes_share_a_file_and_no_line_is_lost(tmp_path: Path) -> None:
    """Though they make it move in the midst of it."""
    path = tmp_path / "f.jsonl"
    context = multiprocessing.get_context("spawn")
    ones = [context.Process(target=_write, args=(path, f"w{n}", 8_000)) for n in range(3)]
    for one in ones:
        one.start()
    for one in ones:
        one.join(50)
        assert one.exitcode == 0
    assert older_of(path).exists()
    seen = [
        (line["tier"], line["wait_s"])
        for part in (older_of(path), path) for line in written(part) if "tier" in line
    ]  # fmt: skip
    assert sorted(seen) == [(f"w{n}", float(number)) for n in range(3) for number in range(8_000)]


def test_a_torn_line_is_that_line_alone(tmp_path: Path) -> None:
    """Whoever writes next begins on a line of his own."""
    file = file_at(tmp_path / "f.jsonl")
    file.path.write_bytes(b'{"is":"LimitWaited","wait')
    file(LimitWaited(1.0, "gold"))
    file.settle()
    torn, *whole = file.path.read_bytes().splitlines()
    assert torn == b'{"is":"LimitWaited","wait'
    assert [json.loads(line).get("wait_s") for line in whole] == [None, 1.0]


@pytest.mark.parametrize("meant", [Selector(tenant=TENANT), Selector(text=NEAR.text)])
def test_people_are_forgotten_in_both_files(tmp_path: Path, meant: Selector) -> None:
    """What they asked goes, also by the ids of their entries; requests stay, as counts."""
    file = file_at(tmp_path / "f.jsonl", texts=True)
    other = NEAR._replace(key=b"\x05" * 32, tenant=b"", text="Another?", near_text="One more?")
    for event in (ASKED, NEAR, other):
        file(event)
    file.settle()
    file.path.replace(file.older)
    file(ASKED)
    file.settle()
    file.forget([meant], ["ab" * 32])
    left = [line for path in (file.older, file.path) for line in written(path) if "is" in line]
    assert [line.get("text") for line in left] == [None, "Another?", None]
    requests = [line for line in left if line["is"] == "RequestEnded"]
    assert not any("entry_id" in line for line in requests)
    assert not any("tenant" in line for line in requests)


def test_accel_writes_it_behind_the_callers_back(tmp_path: Path) -> None:
    """Configured, it is there after `flush`; without records it is refused by name."""
    path = tmp_path / "f.jsonl"
    with Accel.from_mapping({"observe": {"file": {"path": str(path)}}}) as accel:
        accel.begin("chat").end()
        accel.report_wrong("ab" * 32)
        accel.flush()
        told = {line.get("is"): line for line in written(path)}
    assert told["RequestEnded"]["operation"] == "chat"
    assert told["HitReported"] == {"is": "HitReported", "entry_id": "ab" * 8, "demoted": False}
    with pytest.raises(ConfigError, match=r"observe\.file\.path.*set enabled"):
        Accel.from_mapping({"observe": {"enabled": False, "file": {"path": str(path)}}})


def test_a_disk_that_fails_costs_the_batch_and_is_counted(tmp_path: Path) -> None:
    """The request goes on; the loss is in `stats().observers`, and in the file once it is back."""
    path = tmp_path / "sub" / "f.jsonl"
    path.parent.write_bytes(b"")
    with Accel.from_mapping({"observe": {"file": {"path": str(path)}}}) as accel:
        for _ in range(2):
            accel.begin("chat").end()
            accel.flush()
            if path.parent.is_file():
                assert accel.stats().observers == {"StatisticsFile": 1}
                path.parent.unlink()
        head, _ = written(path)
    assert head["lost"] == {"StatisticsFile": 1}
