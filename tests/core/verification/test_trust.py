"""Second opinions beside outcomes: under a bound, and in shadow mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from accel_core import events
from accel_core.evaluation.shadow import reported
from accel_core.evaluation.shadow_labels import read_log
from accel_core.policy.admission import Answer
from accel_core.policy.controls import Controls
from accel_core.semantic_cache import Hit, Miss
from tests.core.verification.rig import (
    BACKGROUND,
    GREY,
    NEAR,
    OTHER,
    QUESTION,
    ZONE,
    Rig,
    Scripted,
    calibrated,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


BOUND = {"max_wrong_hits": 0.2, "trust": "earned"}


def repeats(rig: Rig, count: int, start: int = 0, *, right: bool = True) -> int:
    """Ask `count` questions, each again otherwise written; return the hits of those."""
    hits = 0
    for n in range(start, start + count):
        question = f"where is thing{n} of the place{n}"
        rig.put(question, f"in room {n}")
        request = rig.request(question.upper() + "?")
        found = rig.accel.cache.lookup(request)
        if isinstance(found, Miss):
            answer = f"in room {n if right else n + 1}"
            given = Answer(f'"{answer}"'.encode(), answer)
            rig.accel.cache.store(request, given, Controls(), found.flight)
            rig.accel.flush()
        hits += isinstance(found, Hit)
    return hits


def test_under_a_bound_it_stands_before_the_outcomes(make: Callable[..., Rig]) -> None:
    """What it approves must still be proven; what it does not is neither served nor explored."""
    judge = Scripted(True)
    rig = make(judge, semantic=BOUND, encoder=calibrated())
    rig.clock.chance = 0.99
    assert repeats(rig, 5) == 0
    assert (rig.accel.stats().explored, len(judge.batches)) == (5, 5)
    repeats(rig, 80, 5)
    assert repeats(rig, 5, 200) == 5
    judge.verdicts = [False]
    explored = rig.accel.stats().explored
    assert repeats(rig, 5, 300) == 0
    judge.verdicts = [OSError()]
    assert repeats(rig, 5, 400) == 0
    assert rig.accel.stats().explored == explored
    assert rig.accel.stats().misses["unverified"] == 5


def test_the_very_same_words_need_no_verdict(make: Callable[..., Rig]) -> None:
    """Where every candidate is verified, the same question is not another one."""
    judge = Scripted(False)
    rig = make(judge, semantic=BOUND, encoder=calibrated(), cache={"exact": False})
    rig.put(QUESTION)
    assert rig.reason(QUESTION) == "explored"
    assert not judge.batches


def test_under_a_bound_a_lenient_verifier_earns_nothing(make: Callable[..., Rig]) -> None:
    """Its yes is no outcome: where answers differ, nothing comes to be served."""
    rig = make(Scripted(True), semantic=BOUND, encoder=calibrated())
    rig.clock.chance = 0.99
    assert repeats(rig, 80, right=False) == 0
    assert rig.accel.stats().explored_wrong == 80


def test_in_shadow_mode_an_approval_is_only_looked_at(make: Callable[..., Rig]) -> None:
    """What it would serve is explored instead, once its verdict is there."""
    rig = make(Scripted(True), semantic={**ZONE, "shadow": True})
    rig.put(QUESTION)
    assert rig.reason(GREY) == "verifying"
    rig.seen.wait_for(events.CacheVerified)
    assert rig.reason(GREY) == "shadow"


SHADOW = {**ZONE, "shadow": True}


def answered(
    rig: Rig, text: str, answer: str, *, after: Callable[[], None]
) -> events.CacheExplored:
    """Look up, store the model's answer `after` something, and return the comparison."""
    found = rig.find(text)
    assert isinstance(found, Miss)
    after()
    given = Answer(f'"{answer}"'.encode(), answer)
    rig.accel.cache.store(rig.request(text), given, flight=found.flight)
    rig.accel.flush()
    outcome: events.CacheExplored = rig.seen.of(events.CacheExplored)[-1]
    return outcome


@pytest.mark.parametrize(
    ("verdict", "answer", "served", "reason"),
    [
        (True, "30 days", True, "verified"),
        (True, "60 days", True, "verified"),
        (False, "30 days", False, "verifier:scripted"),
        (False, "60 days", False, "verifier:scripted"),
    ],
)
def test_in_shadow_mode_a_verdict_is_compared(
    make: Callable[..., Rig], verdict: bool, answer: str, served: bool, reason: str
) -> None:
    """What the verifier said while the model was asked is what would have been served, or not."""
    rig = make(Scripted(verdict), semantic=SHADOW)
    stored = rig.put(QUESTION)
    outcome = answered(rig, GREY, answer, after=lambda: rig.seen.wait_for(events.CacheVerified))
    assert (outcome.entry_id, outcome.right) == (stored, answer == "30 days")
    assert (outcome.served, outcome.refused, outcome.reason) == (served, not served, reason)
    stats = rig.accel.stats()
    assert stats.semantic_hits == 0
    assert (stats.would_hits, stats.would_hits_wrong) == (served, served and answer != "30 days")
    assert stats.missed == (not served and answer == "30 days")


def test_in_shadow_mode_nobody_waits_for_a_verdict(make: Callable[..., Rig]) -> None:
    """A verifier that is still at work when the model has answered said nothing."""
    judge = Scripted(True)
    judge.open.clear()
    rig = make(judge, semantic=SHADOW)
    rig.put(QUESTION)
    outcome = answered(rig, GREY, "30 days", after=judge.wait_until_asked)
    assert (outcome.served, outcome.refused, outcome.reason) == (False, True, "unverified")
    assert not rig.seen.of(events.CacheVerified)
    assert not rig.seen.of(events.BackendFailed)
    judge.open.set()


def test_in_shadow_mode_the_background_serves_next_time_only(make: Callable[..., Rig]) -> None:
    """As configured nobody would have had it now, whenever the verdict comes."""
    rig = make(Scripted(True), semantic={**BACKGROUND, "shadow": True})
    rig.put(QUESTION)
    outcome = answered(rig, GREY, "30 days", after=lambda: rig.seen.wait_for(events.CacheVerified))
    assert (outcome.served, outcome.refused, outcome.reason) == (False, True, "verifying")


def test_in_shadow_mode_a_verifier_that_fails_rests(make: Callable[..., Rig]) -> None:
    """Though nobody waits for it, three failures in a row are enough."""
    judge = Scripted(OSError())
    rig = make(judge, semantic=SHADOW)
    rig.put(QUESTION)
    for count, text in enumerate((GREY, OTHER, f"{GREY} please"), 1):
        assert rig.reason(text) == "verifying"
        rig.seen.wait_for(events.BackendFailed, count)
    assert rig.reason(GREY) == "unverified"
    assert len(judge.batches) == 3


def test_in_shadow_mode_a_bound_learns_from_what_is_approved(make: Callable[..., Rig]) -> None:
    """A candidate that is approved by the comparison is one of the guarantee's; others are not."""
    judge = Scripted(False)
    rig = make(judge, semantic={**BOUND, "shadow": True}, encoder=calibrated())

    def learned() -> float:
        learning: Any = rig.accel.cache._meaning._learning
        return max(learning._evidence._guarantee.export()["global"]["seen"])

    rig.put(QUESTION)
    refused = answered(rig, NEAR, "30 days", after=lambda: rig.seen.wait_for(events.CacheVerified))
    assert (refused.refused, refused.reason, learned()) == (True, "verifier:scripted", 0)
    judge.verdicts = [True]
    rig.put("where is the station", "in the north")
    approved = answered(
        rig, "Where is the station?", "in the north",
        after=lambda: rig.seen.wait_for(events.CacheVerified, 2),
    )  # fmt: skip
    assert (approved.refused, approved.served, approved.reason) == (False, False, "shadow")
    assert learned() == 1


def test_in_shadow_mode_the_log_says_what_the_verifier_said(
    make: Callable[..., Rig], tmp_path: Path
) -> None:
    """A line names its refusal, and what it approved counts as served."""
    path = tmp_path / "shadow.jsonl"
    rig = make(Scripted(False, True), semantic={**SHADOW, "shadow_log": str(path)})
    rig.put(QUESTION)
    answered(rig, GREY, "30 days", after=lambda: rig.seen.wait_for(events.CacheVerified))
    rig.accel.invalidate(id=rig.request(GREY).key.hex())
    answered(rig, OTHER, "30 days", after=lambda: rig.seen.wait_for(events.CacheVerified, 2))
    report = reported([line for _, line in read_log(path)])
    assert report.reasons == {
        "verified": (True, (1, 0, 0)),
        "verifier:scripted": (False, (1, 0, 0)),
    }
    assert report.missed == 1
