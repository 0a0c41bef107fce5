"""What outcomes have taught: it survives restarts, is shared, and is not trusted blindly."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from accel_core import events
from accel_core.evidence import Evidence
from accel_core.files import private
from accel_core.files.learned import LearnedFile
from accel_core.policy.guarantee import Outcome
from accel_core.policy.promise import GuaranteeSettings
from accel_core.ports import Entry
from accel_core.semantic_cache import Hit
from accel_core.testing.doubles import RecordingObserver
from accel_core.testing.verifiers import WordsVerifier
from tests.core.support import BOUND, PROVEN, calibrated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.core.support import Rig

SETTINGS = GuaranteeSettings(max_wrong_hits=BOUND, trust="earned")
ORIGIN = {"encoder": "e", "calibration": "c", "max_wrong_hits": BOUND}
FOUND = Entry(key=b"key", scope=b"scope", payload=b"", created_s=0.0, expires_s=1.0)


def under_a_bound(path: Path, **more: Any) -> dict[str, Any]:
    return {"max_wrong_hits": BOUND, "trust": "earned", "learned": str(path)} | more


def counts(path: Path) -> Mapping[str, Any]:
    """Return what the file knows of all scopes together."""
    return json.loads(path.read_text())["learned"]["global"]  # type: ignore[no-any-return]


def test_a_restart_begins_where_the_last_one_ended(
    make: Callable[..., Rig], tmp_path: Path
) -> None:
    """A scope that had proven itself serves at once; the file holds no question."""
    path = tmp_path / "deep" / "learned.json"
    first = make(semantic=under_a_bound(path))
    first.repeats(PROVEN)
    first.accel.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "thing" not in path.read_text()
    again = make(semantic=under_a_bound(path))
    assert again.repeats(3) == 3
    assert again.repeats(3, scope="other") == 0
    assert not again.seen.of(events.LearnedIgnored)


def test_it_lies_beside_the_store(make: Callable[..., Rig], tmp_path: Path) -> None:
    """With SQLite what was stored and what was learned are there again, without a setting."""
    store = {"store": {"kind": "sqlite", "path": str(tmp_path / "cache.db")}}
    semantic = {"max_wrong_hits": BOUND, "trust": "earned"}
    first = make(semantic=semantic, cache=store)
    first.repeats(PROVEN)
    first.accel.close()
    assert (tmp_path / "cache.learned.json").is_file()
    again = make(semantic=semantic, cache=store)
    assert isinstance(again.ask("WHERE is thing3 of the place3", ""), Hit)


def test_without_a_place_nothing_is_kept(
    make: Callable[..., Rig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory alone leaves no file."""
    monkeypatch.chdir(tmp_path)
    rig = make()
    rig.repeats(3)
    rig.accel.close()
    assert not list(tmp_path.iterdir())


def test_reports_survive(make: Callable[..., Rig], tmp_path: Path) -> None:
    """An entry that was reported is still demoted after a restart."""
    store = {"store": {"kind": "sqlite", "path": str(tmp_path / "cache.db")}}
    semantic = {"max_wrong_hits": BOUND, "trust": "earned"}
    first = make(semantic=semantic, cache=store)
    first.repeats(PROVEN)
    hit = first.ask("WHERE is thing3 of the place3", "")
    assert isinstance(hit, Hit)
    assert first.report(hit.entry.id)
    first.accel.close()
    again = make(semantic=semantic, cache=store)
    assert again.ask("WHERE is thing3 of the place3", "").reason == "explored"  # type: ignore[union-attr]
    ratings = json.loads((tmp_path / "cache.learned.json").read_text())["learned"]["entries"]
    assert ratings[hit.entry.id] < 0


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"max_wrong_hits": 0.1}, "max_wrong_hits"),
        ({"gates": {"strict": True}}, "calibration"),
        ({"encoder": "another"}, "encoder"),
    ],
)
def test_what_was_learned_under_others_is_left_out(
    make: Callable[..., Rig], tmp_path: Path, other: dict[str, Any], reason: str
) -> None:
    """Another bound, decision or encoder starts cold, with an event, and keeps its own."""
    path = tmp_path / "learned.json"
    first = make(semantic=under_a_bound(path))
    first.repeats(PROVEN)
    first.accel.close()
    if "encoder" in other:
        spelled = json.loads(path.read_text())
        path.write_text(json.dumps(spelled | other))
        other = {}
    again = make(semantic=under_a_bound(path, **other))
    assert again.seen.of(events.LearnedIgnored) == [events.LearnedIgnored(str(path), reason)]
    assert again.repeats(3) == 0
    again.accel.close()
    assert max(counts(path)["seen"]) == 3


def test_another_judge_is_another_origin(make: Callable[..., Rig], tmp_path: Path) -> None:
    """Outcomes of another comparison prove nothing about this one's."""
    path = tmp_path / "learned.json"
    first = make(semantic=under_a_bound(path))
    first.repeats(3)
    first.accel.close()
    again = make(semantic=under_a_bound(path), same_answer=lambda *_: True)
    assert [one.reason for one in again.seen.of(events.LearnedIgnored)] == ["calibration"]


@pytest.mark.parametrize("names", [("", "mine"), ("mine", ""), ("mine", "another")])
def test_another_verifier_is_another_origin(
    make: Callable[..., Rig], tmp_path: Path, names: tuple[str, str]
) -> None:
    """Outcomes of what one verifier approved say nothing of what another, or none, lets through."""
    path = tmp_path / "learned.json"
    before, after = (WordsVerifier(name) if name else None for name in names)
    for _ in range(2):
        first = make(semantic=under_a_bound(path), verifier=before)
        first.repeats(3)
        first.accel.close()
        assert not first.seen.of(events.LearnedIgnored)
    again = make(semantic=under_a_bound(path), verifier=after)
    assert [one.reason for one in again.seen.of(events.LearnedIgnored)] == ["verifier"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"format": "1"}', "damaged"),
        ('{"format": 0}', "format"),
        (json.dumps({"format": 1, **ORIGIN}), "damaged"),
        (json.dumps({"format": 1, **ORIGIN, "learned": {"version": 1}}), "damaged"),
        (json.dumps({"format": 1, **ORIGIN, "encoder": "f", "learned": {}}), "encoder"),
    ],
)
def test_a_damaged_file_starts_cold(tmp_path: Path, text: str, reason: str) -> None:
    """With an event; the next writing replaces it."""
    path, seen = tmp_path / "learned.json", RecordingObserver()
    path.write_text(text)
    evidence = kept(path, seen)
    assert [one.reason for one in seen.of(events.LearnedIgnored)] == [reason]
    learn(evidence, 1)
    evidence.save()
    assert max(counts(path)["seen"]) == 1


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    """What a newer version has learned is not overwritten by an older one."""
    path, seen = tmp_path / "learned.json", RecordingObserver()
    path.write_text('{"format": 2}')
    evidence = kept(path, seen)
    learn(evidence, 100)
    evidence.save()
    assert path.read_text() == '{"format": 2}'
    assert [one.reason for one in seen.of(events.LearnedIgnored)] == ["format"]


def test_a_file_that_cannot_be_touched_is_an_event(
    make: Callable[..., Rig], tmp_path: Path
) -> None:
    """Learning goes on in memory; neither a call nor closing fails."""
    (tmp_path / "folder").write_text("in the way")
    rig = make(semantic=under_a_bound(tmp_path / "folder" / "learned.json"))
    rig.repeats(PROVEN)
    assert rig.repeats(3, start=200) == 3
    rig.accel.close()
    failed = {(one.backend, one.operation) for one in rig.seen.of(events.BackendFailed)}
    assert failed == {("learned", "read"), ("learned", "write")}


def test_it_is_written_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once in 64 outcomes, and where nothing was learned not at all."""
    written: list[int] = []
    put = private.replace
    monkeypatch.setattr(
        private, "replace", lambda path, data: written.append(len(data)) or put(path, data)
    )
    evidence = kept(tmp_path / "learned.json")
    learn(evidence, 63)
    assert not written
    learn(evidence, 1)
    assert len(written) == 1
    evidence.save()
    assert len(written) == 1
    learn(evidence, 1)
    evidence.save()
    assert len(written) == 2


def kept(path: Path, seen: RecordingObserver | None = None) -> Evidence:
    file = LearnedFile(path, ORIGIN, emit=seen or RecordingObserver())
    return Evidence(SETTINGS, file, lock=threading.Lock)


def learn(evidence: Evidence, times: int, *, right: bool = True, scope: bytes = b"scope") -> None:
    for number in range(times):
        evidence.observe(Outcome(0.99, scope, number.to_bytes(8, "big"), right))


def test_processes_learn_from_one_another(tmp_path: Path) -> None:
    """Every outcome counts once, whoever had it, and what one has proven the other serves."""
    path = tmp_path / "learned.json"
    one, other = kept(path), kept(path)
    assert other.would(0.99, FOUND).action == "explore"
    learn(one, PROVEN)
    one.save()
    learn(other, 2, scope=b"elsewhere")
    assert other.would(0.99, FOUND).action == "explore"
    other.save()
    assert other.would(0.99, FOUND).action == "serve"
    learn(one, 3)
    one.save()
    assert max(counts(path)["seen"]) == PROVEN + 5
    assert kept(path).would(0.99, FOUND).action == "serve"


def test_a_process_that_overtakes_another_loses_outcomes_at_most(tmp_path: Path) -> None:
    """What was in nobody's file when another wrote is still counted by its own process."""
    path = tmp_path / "learned.json"
    one, other = kept(path), kept(path)
    learn(one, 3)
    learn(other, 4)
    one.save()
    other.save()
    one.save()
    assert max(counts(path)["seen"]) == 7
    path.write_text("{")
    learn(one, 1)
    one.save()
    assert max(counts(path)["seen"]) == 4


def test_hits_before_a_report_count_before_it(tmp_path: Path) -> None:
    """Another process's alarm stands where one process's would that saw it all."""
    path = tmp_path / "learned.json"
    alone = Evidence(SETTINGS, lock=threading.Lock)
    one, other = kept(path), kept(path)
    for evidence in (alone, one):
        learn(evidence, 4 * PROVEN)
    one.save()
    learn(other, 1)
    other.save()
    learn(alone, 1)
    for evidence in (alone, one):
        for number, times in enumerate((2, 1, 3)):
            entry = replace(FOUND, key=f"entry{number}".encode())
            for _ in range(times):
                assert evidence.decide(0.999, entry, 0.99).action == "serve"
            assert number == 2 or evidence.demote(entry)
        assert not evidence.demote(replace(FOUND, key=b"unknown"))
    one.save()
    exported = [evidence._guarantee.export() for evidence in (alone, one)]
    alarms = [state["scopes"][b"scope".hex()]["alarm"] for state in exported]
    assert alarms[0] == pytest.approx(alarms[1])
    assert alarms[0] > 0


def test_a_child_leaves_to_its_parent_what_that_learned(tmp_path: Path) -> None:
    """After a fork no outcome is written twice."""
    path = tmp_path / "learned.json"
    evidence = kept(path)
    learn(evidence, 3)
    evidence.after_fork()
    evidence.save()
    assert not path.exists()


def test_who_is_forgotten_leaves_no_rating(make: Callable[..., Rig], tmp_path: Path) -> None:
    """The digest of a forgotten question leaves the file when `forget` returns."""
    path = tmp_path / "learned.json"
    rig = make(semantic=under_a_bound(path))
    rig.repeats(3, right=False)
    rig.accel.flush()
    digest = rig.request("where is thing1 of the place1").key.hex()
    assert digest in path.read_text()
    rig.accel.forget(text="where is thing1 of the place1")
    assert digest not in path.read_text()


WORKER = """
import sys, threading
from tests.core.test_learned import kept, learn
from pathlib import Path
evidence = kept(Path(sys.argv[1]))
for _ in range(5):
    learn(evidence, 10)
    evidence.save()
"""


@pytest.mark.slow
def test_real_processes_share_a_file(tmp_path: Path) -> None:
    """Whoever writes when, the file is whole, and holds outcomes of theirs and no more."""
    path = tmp_path / "learned.json"
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, str(path)]) for _ in range(3)]
    assert [worker.wait(50) for worker in workers] == [0, 0, 0]
    assert 50 <= max(counts(path)["seen"]) <= 150
    seen = RecordingObserver()
    assert kept(path, seen).would(0.9, FOUND)
    assert not seen.events
    assert [found.name for found in tmp_path.iterdir()] == ["learned.json"]


def test_a_calibrated_encoder_is_needed(make: Callable[..., Rig], tmp_path: Path) -> None:
    """Without one there is nothing to learn, and no file."""
    path = tmp_path / "learned.json"
    encoder = calibrated()
    encoder.name = "unknown"
    rig = make(semantic=under_a_bound(path), encoder=encoder)
    rig.repeats(2)
    rig.accel.close()
    assert not path.exists()
