"""``accel warm``: on real files, stores and applications."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from accel_core import build
from accel_core.cli.main import app
from accel_core.clocks import Clocks
from accel_core.config import StoreConfig
from accel_core.policy.compared import Compared
from accel_core.policy.identity import Identifier
from accel_core.ports import Entry
from accel_core.secrecy import Secrets

if TYPE_CHECKING:
    from pathlib import Path

APP = """
import os
import signal
from accel_core.tenancy import current

class Engine:
    def query(self, question):
        if question == os.environ.get("INTERRUPT"):
            os.kill(os.getpid(), signal.SIGINT)
        if os.environ.get("DOWN") and question != "first":
            raise OSError("down")
        with open("asked.txt", "a") as file:
            print(question, current().id if current() else "-", sep="|", file=file)

engine = Engine()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with an application in it, from where the command is given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "warmed_app", raising=False)
    (tmp_path / "warmed_app.py").write_text(APP)
    return tmp_path


def accel(*arguments: object, code: int = 0) -> str:
    """Run ``accel warm`` and return what it said."""
    given = ["warm", "--app", "warmed_app:engine", "--rate", "500/s", *map(str, arguments)]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def asked(folder: Path) -> list[str]:
    path = folder / "asked.txt"
    return path.read_text().splitlines() if path.exists() else []


def test_a_file_is_asked_most_frequent_first(folder: Path) -> None:
    """A dry run asks nothing and says how long it would take."""
    rows = [{"question": "rare"}, {"question": "often", "count": 9}, "first", "often"]
    (folder / "q.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    told = accel("--from", "q.jsonl", "--top", 2, "--dry-run")
    assert "2 of 2 questions would be asked of warmed_app:engine.query, 0 are done" in told
    assert asked(folder) == []
    assert "2 questions answered" in accel("--from", "q.jsonl", "--top", 2)
    assert sorted(asked(folder)) == ["often|-", "rare|-"]


def test_what_failed_is_told_and_the_command_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With code 2 and the file that remembers; the same command asks the rest."""
    rows = [{"question": "first", "count": 2}, *(f"question {number}" for number in range(60))]
    (folder / "q.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    monkeypatch.setenv("DOWN", "1")
    told = accel("--from", "q.jsonl", "--max-failures", 5, code=2)
    assert "OSError: " in told
    assert "goes on from" in told
    assert asked(folder) == ["first|-"]
    monkeypatch.delenv("DOWN")
    assert "1 are done" in accel("--from", "q.jsonl", "--dry-run")
    assert "60 questions answered, 1 were before" in accel("--from", "q.jsonl")
    assert len(asked(folder)) == len(set(asked(folder))) == 61


def test_an_interrupted_command_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Ctrl-C lets what is under way finish, and says how to go on; nothing is asked twice."""
    (folder / "q.jsonl").write_text("\n".join(f'"question {number}"' for number in range(60)))
    monkeypatch.setenv("INTERRUPT", "question 9")
    # A shell without job control makes what it starts in the background deaf to Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    assert "interrupted: the same command goes on from" in accel("--from", "q.jsonl", code=130)
    assert 10 <= len(asked(folder)) < 60
    monkeypatch.delenv("INTERRUPT")
    accel("--from", "q.jsonl")
    assert sorted(asked(folder)) == sorted(f"question {number}|-" for number in range(60))


def test_a_store_warms_one_tenant(folder: Path) -> None:
    """Its own questions, in its name."""
    acme = Identifier().tenants("acme")[0]
    store = build.build_store(StoreConfig(kind="sqlite"), Secrets(), print, Clocks())
    assert store is not None
    store.save(
        [
            Entry(
                key=text.encode(), scope=b"s", tenant=owner, text=text, payload=b"{}",
                created_s=1.0, expires_s=9e9,
            )
            for owner, text in ((b"", "nobody's"), (acme, "acme's"))
        ]
    )  # fmt: skip
    store.close()
    accel("--from", "store", "--tenant", "acme")
    assert asked(folder) == ["acme's|acme"]
    accel("--from", "store")
    assert asked(folder) == ["acme's|acme", "nobody's|-"]


def test_the_shadow_log_is_a_source(folder: Path) -> None:
    """Where the configuration names it."""
    lines = [
        Compared(a="a", b=b, same=True, served=True, reason="calibrated", similarity=0.9)
        for b in ("twice", "once", "twice")
    ]
    acme = Identifier().tenants("acme")[0].hex()
    lines += [replace(lines[0], b="acme's", tenant=acme)] * 5
    (folder / "shadow.jsonl").write_text("\n".join(json.dumps(line.to_json()) for line in lines))
    settings = "cache: {semantic: {shadow: true, shadow_log: shadow.jsonl}}"
    (folder / "accel.yaml").write_text(settings)
    accel("--from", "log", "--config", "accel.yaml", "--top", 1)
    assert asked(folder) == ["twice|-"]
    accel("--from", "log", "--config", "accel.yaml", "--tenant", "acme")
    assert asked(folder) == ["twice|-", "acme's|acme"]
    assert "shadow_log as --config" in accel("--from", "log", code=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "none.jsonl"), "cannot be read"),
        (("--from", "store"), "there is no .accel/cache.db"),
        (("--from", "q.jsonl", "--rate", "fast"), "--rate: must be as 20/s"),
        (("--from", "q.jsonl", "--rate", "0/s"), "--rate: must be as 20/s"),
        (("--from", "q.jsonl", "--top", 0), "--top: must be at least 1"),
        (("--from", "q.jsonl", "--max-failures", 0), "max_failures: must be above 0"),
        (("--from", "q.jsonl", "--app", "warmed_app:nothing"), "must have an attribute"),
    ],
)
def test_mistakes_are_named(folder: Path, arguments: tuple[object, ...], message: str) -> None:
    """And nothing is asked."""
    (folder / "q.jsonl").write_text('"first"\n')
    assert message in accel(*arguments, code=2)
    assert asked(folder) == []
