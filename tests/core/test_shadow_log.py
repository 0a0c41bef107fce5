"""The shadow log: what is written of a comparison, for how long, and how it is forgotten."""

from __future__ import annotations

import asyncio
import json
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from accel_core import events
from accel_core.errors import StoreError
from accel_core.files import private
from accel_core.files.shadow_log import ShadowLog
from accel_core.policy.compared import Compared
from accel_core.ports import Selector
from accel_core.testing.encoders import HashEncoder
from tests.core.support import BOUND, PROVEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.core.support import Rig

COMPARED = Compared(
    a="what is the return policy", b="What is the return policy?", same=True, served=True,
    reason="threshold", similarity=0.97, tags=("user:ann",), tenant="aa",
)  # fmt: skip


def lines(path: Path) -> list[Compared]:
    return [Compared.from_json(json.loads(line)) for line in path.read_text().splitlines()]


def shadow(path: Path, **more: Any) -> dict[str, Any]:
    return {"shadow": True, "min_similarity": 0.9, "shadow_log": str(path)} | more


def test_every_comparison_is_a_line(make: Callable[..., Rig], tmp_path: Path) -> None:
    """Both questions, the decision and the verdict are written; no answer is."""
    path = tmp_path / "deep" / "shadow.jsonl"
    rig = make(semantic=shadow(path), encoder=HashEncoder())
    rig.ask("what is the return policy", "30 days", user="ann", tags=("docs",))
    rig.ask("What is the return policy?", "60 days", user="bob")
    (line,) = lines(path)
    assert (line.a, line.b) == ("what is the return policy", "What is the return policy?")
    assert (line.same, line.served, line.reason) == (False, True, "threshold")
    assert (line.probability, line.share, line.at_s) == (None, 1.0, rig.clock.now_s)
    assert line.similarity == pytest.approx(rig.seen.of(events.CacheExplored)[0].similarity)
    assert line.id == rig.request("what is the return policy").key.hex()
    assert line.tags == ("docs", "user:ann", "user:bob")
    assert "days" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_nothing_is_written_unless_it_is_asked_for(
    make: Callable[..., Rig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shadow mode alone leaves no file."""
    monkeypatch.chdir(tmp_path)
    rig = make(semantic={"shadow": True, "min_similarity": 0.9}, encoder=HashEncoder())
    rig.ask("what is the return policy", "30 days")
    rig.ask("What is the return policy?", "30 days")
    assert rig.seen.of(events.CacheExplored)
    assert not list(tmp_path.iterdir())


def test_what_nobody_can_judge_is_written_as_unknown(
    make: Callable[..., Rig], tmp_path: Path
) -> None:
    """It is no event and no outcome, but the report must know of it."""
    path = tmp_path / "shadow.jsonl"
    rig = make(semantic=shadow(path), encoder=HashEncoder(), same_answer=lambda *_: None)
    rig.ask("what is the return policy", "30 days")
    rig.ask("What is the return policy?", "30 days")
    assert [line.same for line in lines(path)] == [None]
    assert not rig.seen.of(events.CacheExplored)


def test_any_truth_value_is_written(make: Callable[..., Rig], tmp_path: Path) -> None:
    """An application's comparison may say yes and no in its library's own types."""
    path = tmp_path / "shadow.jsonl"
    same: Any = lambda *_: np.bool_(False)  # noqa: E731
    rig = make(semantic=shadow(path), encoder=HashEncoder(), same_answer=same)
    rig.ask("what is the return policy", "30 days")
    rig.ask("What is the return policy?", "30 days")
    assert [line.same for line in lines(path)] == [False]
    assert [outcome.right for outcome in rig.seen.of(events.CacheExplored)] == [False]


def test_under_a_bound_the_line_says_how_rarely_it_was_explored(
    make: Callable[..., Rig], tmp_path: Path
) -> None:
    """Without shadow mode, explored hits are a sample, and their lines say of how many."""
    path = tmp_path / "shadow.jsonl"
    settings = {"max_wrong_hits": BOUND, "trust": "earned", "shadow_log": str(path)}
    rig = make(semantic=settings)
    rig.repeats(PROVEN)
    rig.clock.chance = 0.0
    rig.repeats(1, start=200)
    first, *_, last = lines(path)
    assert (first.served, first.reason, first.share) == (False, "shadow", 1.0)
    assert (last.served, last.reason) == (True, "sampled")
    assert 0 < last.share < 0.2


def test_a_file_that_cannot_be_written_is_an_event(
    make: Callable[..., Rig], tmp_path: Path
) -> None:
    """The outcome is learned all the same, and the answer was never in the way."""
    (tmp_path / "folder").write_text("in the way")
    path = tmp_path / "folder" / "shadow.jsonl"
    rig = make(semantic=shadow(path), encoder=HashEncoder())
    rig.ask("what is the return policy", "30 days")
    rig.ask("What is the return policy?", "30 days")
    (failed,) = rig.seen.of(events.BackendFailed)
    assert (failed.backend, failed.operation) == ("shadow_log", "append")
    assert len(rig.seen.of(events.CacheExplored)) == 1


@pytest.mark.parametrize(
    ("whom", "left"),
    [
        ({"text": "What is the return policy?"}, 1),
        ({"text": "what is the return policy"}, 1),
        ({"user": "ann"}, 1),
        ({"user": "bob"}, 0),
        ({"tag": "nobody's"}, 2),
        ({"tenant": "acme"}, 0),
        ({"tenant": "other"}, 2),
    ],
)
def test_people_are_forgotten(
    make: Callable[..., Rig], tmp_path: Path, whom: dict[str, str], left: int
) -> None:
    """Lines go with the tenant, the user or the text, though their entries left long ago."""
    path = tmp_path / "shadow.jsonl"
    rig = make(semantic=shadow(path), encoder=HashEncoder(), tenant="acme")
    rig.ask("what is the return policy", "30 days", user="ann")
    rig.ask("What is the return policy?", "30 days", user="bob")
    rig.ask("do you ship to norway", "no", user="bob")
    rig.ask("Do you ship to norway?", "no", user="bob")
    rig.accel.invalidate()
    assert not rig.accel.forget(dry_run=True, **whom).removed
    assert len(lines(path)) == 2
    if rig.colour == "sync":
        if whom.get("tenant") == "other":
            with rig.accel.tenant("other"):
                rig.accel.forget(**whom)
        else:
            rig.accel.forget(**whom)
    else:
        with rig.accel.tenant(whom.get("tenant", "acme")):
            asyncio.run(rig.accel.aforget(**whom))
    assert len(lines(path)) == left


def test_the_file_is_bounded_and_keeps_one_older(tmp_path: Path) -> None:
    """A full file becomes the older one; what that held is gone."""
    size = len(json.dumps(COMPARED.to_json(), separators=(",", ":"))) + 1
    log = ShadowLog(tmp_path / "log.jsonl", emit=print, max_bytes=3 * size)
    for number in range(8):
        log.append(replace(COMPARED, at_s=float(number)))
    assert log.older.name == "log.1.jsonl"
    assert [line.at_s for line in lines(log.older)] == [3.0, 4.0, 5.0]
    assert [line.at_s for line in lines(log.path)] == [6.0, 7.0]
    log.forget([Selector(tag="user:ann")])
    assert not lines(log.older)
    assert not lines(log.path)


def test_a_file_taken_away_is_begun_anew(tmp_path: Path) -> None:
    """No process holds the file open, so its reader may move it, and other lines stay."""
    log = ShadowLog(tmp_path / "log.jsonl", emit=print)
    log.append(COMPARED)
    log.path.rename(tmp_path / "taken.jsonl")
    log.append(COMPARED)
    log.path.write_text(f"not JSON\n{log.path.read_text()}[]\n")
    log.forget([Selector(tenant=b"\xbb"), Selector(text="x")])
    assert len(log.path.read_text().splitlines()) == 3
    log.forget([Selector(tenant=b"\xaa", text=COMPARED.b)])
    assert log.path.read_text() == "not JSON\n[]\n"
    assert len(lines(tmp_path / "taken.jsonl")) == 1


def test_who_asks_to_be_forgotten_must_know_that_it_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that cannot be replaced is an error, and stays as it was."""
    log = ShadowLog(tmp_path / "log.jsonl", emit=print)
    log.append(COMPARED)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(private, "_write", full)
    with pytest.raises(StoreError, match="shadow_log failed to forget"):
        log.forget([Selector(text=COMPARED.a)])
    assert lines(log.path) == [COMPARED]
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_halves_of_characters_survive(tmp_path: Path) -> None:
    """A text that UTF-8 cannot say is written and read as it was."""
    log = ShadowLog(tmp_path / "log.jsonl", emit=print)
    log.append(replace(COMPARED, b="what \ud83d is it"))
    assert lines(log.path)[0].b == "what \ud83d is it"


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ({"shadow": 2}, "'shadow' is 2"),
        ({"a": "  "}, "'a' is '  '"),
        ({"same": 1}, "'same' is 1"),
        ({"probability": 1.5}, "'probability' is 1.5"),
        ({"share": 0}, "'share' is 0"),
        ({"similarity": True}, "'similarity' is True"),
        ({"tags": [1]}, r"'tags' is \[1\]"),
    ],
)
def test_a_line_that_is_none_is_named(damage: dict[str, Any], named: str) -> None:
    """With the field that is wrong."""
    with pytest.raises(ValueError, match=named):
        Compared.from_json(COMPARED.to_json() | damage)
