"""The statistics file on a disk that fills up, under clocks that jump, taken away, and forked."""

from __future__ import annotations

import errno
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.accel import Accel
from accel_core.events import LimitWaited
from accel_core.files import private
from accel_core.files.statistics_file import BatchLostError, StatisticsFile, older_of
from tests.core.test_statistics_file import ASKED, NOW_S, file_at, written
from tests.forks import in_a_child

if TYPE_CHECKING:
    from collections.abc import Callable

_FULL = Path("/dev/full")
HALF = 1 << 17
"""Of the bytes of both files: two batches."""


def filled(path: Path, clock: Callable[[], float] = lambda: NOW_S) -> StatisticsFile:
    """Return a file that is as large as it may be, so that the next batch moves it."""
    path.write_bytes(b"{}\n" * (HALF // 3))
    return StatisticsFile(path, max_bytes=2 * HALF, texts=False, wall_now=clock)


def one(file: StatisticsFile, name: str = "gold") -> None:
    file(LimitWaited(1.0, name))
    file.settle()


def tiers(path: Path) -> list[str]:
    return [line["tier"] for line in written(path) if "tier" in line]


@pytest.mark.skipif(not _FULL.exists(), reason="the platform has no disk that is always full")
def test_a_full_disk_costs_a_batch_and_says_how_many_lines() -> None:
    """What could not be written is known by number, and is not tried again."""
    file = StatisticsFile(_FULL, max_bytes=1 << 24, texts=False, wall_now=lambda: NOW_S)
    for _ in range(3):
        file(ASKED)
    with pytest.raises(BatchLostError) as caught:
        file.settle()
    assert (caught.value.lost, caught.value.errno) == (3, errno.ENOSPC)
    file.settle()


def test_a_disk_that_is_full_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests go on; lines lost are counted one by one, warned of once, and told afterwards."""
    path, own = tmp_path / "f.jsonl", private.append

    def full(_: Path, __: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Accel.from_mapping({"observe": {"file": {"path": str(path)}}}) as accel:
        for append, count in ((full, 3), (full, 2), (own, 1)):
            monkeypatch.setattr(private, "append", append)
            for _ in range(count):
                accel._observers.emit(LimitWaited(1.0, "gold"))
            accel.flush()
        assert accel.stats().observers == {"StatisticsFile": 5}
        head, *lines = written(path)
    assert head["lost"] == {"StatisticsFile": 5}
    assert [line["is"] for line in lines] == ["LimitWaited"]
    assert sum("StatisticsFile failed" in text for text in caplog.messages) == 1


def test_a_batch_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    """A disk that takes half a batch leaves a torn line, which the next one does not join."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "f.jsonl"
    file = file_at(path)
    one(file, "before")

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limit = path.stat().st_size + 150
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        for _ in range(9):
            file(LimitWaited(1.0, "cut"))
        with pytest.raises(BatchLostError):
            file.settle()
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        one(file, "after")

    assert in_a_child(work, file._lock) == 0
    whole = []
    for line in path.read_bytes().splitlines():
        try:
            whole.append(json.loads(line or b"{}"))
        except ValueError:
            torn = line
    assert torn
    assert [line["tier"] for line in whole if "tier" in line and line["tier"] != "cut"] == [
        "before",
        "after",
    ]


@pytest.mark.parametrize("how", ["removed", "truncated", "renamed", "folder"])
def test_a_file_that_is_taken_away(tmp_path: Path, how: str) -> None:
    """Whoever removes, cuts, or renames it takes what was in it; what comes is in a new one."""
    path = tmp_path / "sub" / "f.jsonl"
    file = file_at(path)
    one(file, "before")
    if how == "truncated":
        os.truncate(path, 0)
    elif how == "renamed":
        path.rename(tmp_path / "taken.jsonl")
    else:
        path.unlink()
    if how == "folder":
        path.parent.rmdir()
    one(file, "after")
    assert tiers(path) == ["after"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_somebody_else_rotates_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken away between the look at its size and the move, it costs no batch."""
    path = tmp_path / "f.jsonl"
    file, own = filled(path), Path.replace

    def gone(self: Path, target: Any) -> Any:
        self.unlink()
        return own(self, target)

    monkeypatch.setattr(Path, "replace", gone)
    one(file)
    assert tiers(path) == ["gold"]


def test_a_lock_that_goes_while_it_is_looked_at_costs_no_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two processes that move the file at once, the slower one just writes."""
    path = tmp_path / "f.jsonl"
    file = filled(path)

    def held(*_: Any, **__: Any) -> None:
        raise FileExistsError

    monkeypatch.setattr(Path, "touch", held)
    one(file)
    assert path.read_bytes().count(b"gold") == 1


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0])
def test_a_clock_that_is_set_does_not_keep_the_file_from_moving(
    tmp_path: Path, jump_s: float
) -> None:
    """A lock that a process left behind when it ended is out of date, before or after the jump."""
    path = tmp_path / "f.jsonl"
    file = filled(path, lambda: NOW_S + jump_s)
    file._lock_file.touch()
    os.utime(file._lock_file, (NOW_S, NOW_S))
    one(file, "first")
    one(file, "second")
    assert tiers(path) == ["second"]
    assert older_of(path).stat().st_size > HALF
    assert not file._lock_file.exists()


def test_parent_and_child_write_one_file_each_his_own_lines(tmp_path: Path) -> None:
    """A fork in the midst of a batch doubles nothing, and loses nothing."""
    path = tmp_path / "f.jsonl"
    with Accel.from_mapping({"observe": {"file": {"path": str(path)}}}) as accel:
        _, file = accel._observers.file or (None, None)
        assert file is not None
        file(LimitWaited(1.0, "parent"))

        def work() -> None:
            accel._observers.emit(LimitWaited(1.0, "child"))
            accel.flush()

        assert in_a_child(work, file._lock) == 0
        accel._observers.emit(LimitWaited(1.0, "parent again"))
        accel.flush()
        lines = written(path)
    assert sorted(tiers(path)) == ["child", "parent", "parent again"]
    assert len({line["run"] for line in lines if "run" in line}) == 2
