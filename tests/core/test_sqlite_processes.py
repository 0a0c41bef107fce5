"""`SqliteStore` among processes: several at once, forked, and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from accel_core.ports import Selector
from accel_core.store.sqlite import SqliteStore
from accel_core.testing.stores import StoreContract, digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

entry = StoreContract().make_entry

HEAD = """
import sys
from accel_core.ports import Entry
from accel_core.store.sqlite import SqliteStore

def entry(name):
    return Entry(key=name.encode(), scope=b"s", payload=b"p" * 500, tags=("t",),
                 created_s=0.0, expires_s=9e9, encoder="e", vector=b"v" * 768)

def said(word):
    print(word, flush=True)

said("ready")
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HEAD + script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert heard(process) == "ready"
    return process


def tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def end(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=30)


@pytest.mark.slow
def test_several_processes_write_one_file(tmp_path: Path) -> None:
    """Four processes that save at once lose nothing and are never told that it is busy."""
    path = tmp_path / "accel.db"
    script = """
name = sys.argv[2]
store = SqliteStore(sys.argv[1])
input()
for number in range(200):
    store.save([entry(f"{name}.{number}")])
    assert store.fetch(f"{name}.{number}".encode()) is not None
    if number % 4 == 3:
        assert store.remove([f"{name}.{number}".encode()]) == 1
store.close()
said("done")
"""
    writers = [start(script, str(path), str(number)) for number in range(4)]
    for writer in writers:
        tell(writer, "go")
    assert [heard(writer) for writer in writers] == ["done"] * 4
    for writer in writers:
        end(writer)
    with closing(SqliteStore(path)) as store:
        keys = set(store.select(Selector(tag="t")))
        assert keys == {f"{w}.{n}".encode() for w in range(4) for n in range(200) if n % 4 != 3}
        assert {place.key for place in store.changes(0, 1000).located} == keys


@pytest.mark.slow
def test_first_open_by_several_processes(tmp_path: Path) -> None:
    """Processes that create one file at the same moment all open the same complete database."""
    script = """
for line in sys.stdin:
    path, name = line.split()
    try:
        store = SqliteStore(path)
        store.save([entry(name)])
        store.close()
        said("ok")
    except Exception as error:
        said(repr(error))
"""
    workers = [start(script) for _ in range(4)]
    for turn in range(20):
        path = tmp_path / str(turn) / "accel.db"
        for number, worker in enumerate(workers):
            tell(worker, f"{path} {number}")
        assert [heard(worker) for worker in workers] == ["ok"] * 4
        with closing(SqliteStore(path)) as store:
            assert sorted(store.select(Selector())) == [b"0", b"1", b"2", b"3"]
        assert [file.name for file in path.parent.iterdir()] == ["accel.db"]
    for worker in workers:
        end(worker)


@pytest.mark.slow
def test_kill_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Whatever a save returned for is there after the process was killed in the midst of saves."""
    path = tmp_path / "accel.db"
    script = """
store = SqliteStore(sys.argv[1])
first = int(sys.argv[2])
for number in range(first, 10**9):
    store.save([entry(str(number)), entry(f"twin {number}")])
    said(number)
"""
    acknowledged = -1
    for _ in range(3):
        process = start(script, str(path), str(acknowledged + 1))
        for _ in range(40):
            acknowledged = int(heard(process))
        process.kill()
        output, _ = process.communicate(timeout=30)
        acknowledged = max([acknowledged, *map(int, output.split("\n")[:-1])])
        with closing(SqliteStore(path)) as store:
            for number in range(acknowledged + 1):
                assert store.fetch(str(number).encode()) is not None
            numbers = {key for key in store.select(Selector()) if not key.startswith(b"twin")}
            twins = {key[5:] for key in store.select(Selector()) if key.startswith(b"twin")}
            assert numbers == twins


def in_child(work: Callable[[], bool]) -> bool:
    """Run `work` in a forked child and return whether it returned True."""
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(20)
            os._exit(0 if work() else 1)
        except BaseException:
            os._exit(2)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork(tmp_path: Path) -> None:
    """A child reads, writes and closes over connections of its own, and the parent goes on."""
    with closing(SqliteStore(tmp_path / "accel.db")) as store:
        store.save([entry("parent's")])
        assert not store.stirred()
        lines = store._file._lines
        assert lines is not None

        def work() -> bool:
            found = store.fetch(digest("parent's")) == entry("parent's")
            quiet = not store.stirred()
            store.save([entry("child's")])
            opened = store._file._lines
            apart = opened is not None and opened.writer.connection is not lines.writer.connection
            store.close()
            # The parent's are still open: only a closed connection refuses this.
            return found and quiet and apart and lines.quick.connection.total_changes == 0

        assert in_child(work)
        assert store.stirred()
        assert store.fetch(digest("child's")) == entry("child's")
        store.save([entry("after")])
        assert len(store.changes(0, 10).located) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_while_others_hold_every_lock(tmp_path: Path) -> None:
    """A child forked in the midst of another thread's save neither waits nor sees half of it."""
    with closing(SqliteStore(tmp_path / "accel.db")) as store:
        holding, release = threading.Event(), threading.Event()

        def hold() -> None:
            file = store._file
            with file._opening, file.asking("t"), file.scanning("t"), file.writing("t") as writer:
                writer.execute("INSERT INTO removals VALUES (99, x'00')")
                holding.set()
                release.wait(30)

        thread = threading.Thread(target=hold)
        thread.start()
        holding.wait(30)
        try:
            assert in_child(lambda: store.fetch(b"k") is None and not store.changes(0, 9).removed)
        finally:
            release.set()
            thread.join()
        store.save([entry()])
        assert in_child(lambda: store.remove([digest("one")]) == 1)
