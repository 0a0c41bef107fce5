"""Second opinions under way: batches, the background, what changes meanwhile, what is kept."""

from __future__ import annotations

import itertools
import string
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from accel_core import events
from accel_core.semantic_cache import Hit, Miss
from tests.core.verification.rig import BACKGROUND, GREY, OTHER, QUESTION, WAIT_S, Rig, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from accel_core.ports import Case


def test_what_waits_is_the_next_batch(make: Callable[..., Rig]) -> None:
    """While the verifier is at work others line up, and are judged together."""
    judge = Scripted(True)
    judge.open.clear()
    rig = make(judge, semantic=BACKGROUND)
    rig.put(QUESTION)
    rig.look(GREY)
    judge.wait_until_asked()
    wordings = [f"{QUESTION} then {n}" for n in "abcdefghij"]
    for text in wordings:
        rig.look(text)
    judge.open.set()
    rig.seen.wait_for(events.CacheVerified, 11)
    assert [len(batch) for batch in judge.batches] == [1, 8, 2]
    assert [case.asked for batch in judge.batches[1:] for case in batch] == wordings


def test_one_pair_is_judged_once_at_a_time(make: Callable[..., Rig]) -> None:
    """Identical questions at once share one verdict, without single flight too."""
    judge = Scripted(True)
    judge.open.clear()
    rig = make(judge, cache={"single_flight": {"enabled": False}})
    rig.put(QUESTION)
    with ThreadPoolExecutor(6) as pool:
        found = [pool.submit(rig.reason, GREY) for _ in range(6)]
        judge.wait_until_asked()
        judge.open.set()
        assert {one.result(WAIT_S) for one in found} == {"semantic"}
    assert len(judge.batches) == 1


def test_in_the_background_the_model_answers_now(make: Callable[..., Rig]) -> None:
    """The first time is a miss at once; what was approved is served the next time."""
    judge = Scripted(True)
    judge.open.clear()
    rig = make(judge, semantic=BACKGROUND)
    rig.put(QUESTION)
    assert rig.reason(GREY) == "verifying"
    assert rig.reason(GREY) == "verifying"
    judge.open.set()
    rig.seen.wait_for(events.CacheVerified)
    assert rig.reason(GREY) == "semantic"
    assert len(judge.batches) == 1


def test_in_the_background_a_no_is_remembered_too(make: Callable[..., Rig]) -> None:
    """And named from then on."""
    rig = make(Scripted(False), semantic=BACKGROUND)
    rig.put(QUESTION)
    assert rig.reason(GREY) == "verifying"
    rig.seen.wait_for(events.CacheVerified)
    assert rig.reason(GREY) == "verifier:scripted"


def test_a_queue_that_is_full_asks_nobody(make: Callable[..., Rig]) -> None:
    """A verifier far behind costs verdicts, never memory or time."""
    judge = Scripted(True)
    judge.open.clear()
    rig = make(judge, semantic=BACKGROUND)
    rig.put(QUESTION)
    rig.look(GREY)
    judge.wait_until_asked()
    for one, other in itertools.product(string.ascii_lowercase[:10], string.ascii_lowercase):
        rig.look(f"{QUESTION} then zq{one}{other}")
    assert [(one.backend, one.operation) for one in rig.seen.of(events.BackendFailed)] == [
        ("verifier", "queue")
    ] * 4
    rig.accel.forget(text=QUESTION)
    judge.open.set()


def test_a_removed_entry_takes_its_verdicts_along(make: Callable[..., Rig]) -> None:
    """What was approved before an invalidation is judged anew when it is stored again."""
    judge = Scripted(True, False)
    rig = make(judge)
    stored = rig.put(QUESTION)
    assert rig.reason(GREY) == "semantic"
    assert rig.accel.invalidate(id=stored) == [stored]
    assert rig.reason(GREY) == "no_entry"
    rig.put(QUESTION)
    assert rig.reason(GREY) == "verifier:scripted"


def test_another_answer_is_judged_anew(make: Callable[..., Rig]) -> None:
    """A verdict is on one answer, not on whatever is stored under its key later."""
    judge = Scripted(True)
    rig = make(judge)
    rig.put(QUESTION)
    assert rig.reason(GREY) == "semantic"
    rig.clock.advance(5)
    rig.put(QUESTION, "60 days")
    assert rig.reason(GREY) == "semantic"
    assert [batch[0].answer for batch in judge.batches] == ["30 days", "60 days"]


def test_another_answer_is_judged_anew_while_the_old_one_is_judged(
    make: Callable[..., Rig],
) -> None:
    """Whoever asks after the entry was stored anew does not get the verdict on the old answer."""
    judge = Scripted(True, False)
    judge.open.clear()
    rig = make(judge, semantic=BACKGROUND)
    rig.put(QUESTION)
    rig.look(GREY)
    judge.wait_until_asked()
    rig.clock.advance(5)
    rig.put(QUESTION, "60 days")
    rig.look(GREY)
    judge.open.set()
    rig.seen.wait_for(events.CacheVerified, 2)
    assert [batch[0].answer for batch in judge.batches] == ["30 days", "60 days"]
    assert rig.reason(GREY) == "verifier:scripted"


def test_what_was_removed_while_it_was_judged_is_not_served(make: Callable[..., Rig]) -> None:
    """Nor is the verdict kept: an invalidation that returned holds for who waits too."""
    judge = Scripted(True)
    rig = make(judge)
    stored = rig.put(QUESTION)

    def removing(cases: Sequence[Case]) -> list[bool]:
        rig.accel.invalidate(id=stored)
        return [True] * len(cases)

    judge.verdicts = [removing, False]
    assert rig.reason(GREY) == "no_entry"
    assert not rig.seen.of(events.CacheHit)
    rig.put(QUESTION)
    assert rig.reason(GREY) == "verifier:scripted"


def test_what_ran_out_while_it_was_judged_is_not_served(make: Callable[..., Rig]) -> None:
    """Nothing is served past its time, however long the verdict took."""
    judge = Scripted(True)
    rig = make(judge)
    rig.put(QUESTION)

    def hours_later(cases: Sequence[Case]) -> list[bool]:
        rig.clock.advance(10_000)
        return [True] * len(cases)

    judge.verdicts = [hours_later]
    assert rig.reason(GREY) == "no_entry"


def test_texts_that_wait_are_forgotten(make: Callable[..., Rig]) -> None:
    """When somebody is to be forgotten, no queued case is judged any more."""
    judge = Scripted(True)
    judge.open.clear()
    rig = make(judge, semantic=BACKGROUND)
    rig.put(QUESTION)
    rig.look(GREY)
    judge.wait_until_asked()
    rig.look(OTHER)
    rig.accel.forget(text="somebody else's")
    judge.open.set()
    rig.seen.wait_for(events.CacheVerified)
    assert [batch[0].asked for batch in judge.batches] == [GREY]
    assert rig.reason(OTHER) == "verifying"


def test_a_reported_entry_is_not_served_on_an_old_verdict(make: Callable[..., Rig]) -> None:
    """What was demoted to exact hits is no candidate, approved or not."""
    rig = make(Scripted(True))
    rig.put(QUESTION)
    found = rig.look(GREY)
    assert isinstance(found, Hit)
    assert rig.accel.report_wrong(found.entry.id)
    assert rig.reason(GREY) == "no_entry"


def test_an_approval_stays_in_its_tenant_and_scope(make: Callable[..., Rig]) -> None:
    """What one tenant's pair was granted, another's must be granted by itself."""
    judge = Scripted(True, False)
    rig = make(judge)
    with rig.accel.tenant("acme"):
        rig.put(QUESTION)
        assert rig.reason(GREY) == "semantic"
    with rig.accel.tenant("other"):
        assert rig.reason(GREY) == "no_entry"
        rig.put(QUESTION)
        assert rig.reason(GREY) == "verifier:scripted"
    with rig.accel.tenant("acme"):
        assert rig.reason(GREY) == "semantic"
        assert isinstance(rig.look(GREY, "another model"), Miss)
    assert len(judge.batches) == 2


def test_approvals_hold_for_entries_of_a_shared_file(
    make: Callable[..., Rig], tmp_path: Path
) -> None:
    """And end when another process removes or replaces the entry."""
    store = {"store": {"kind": "sqlite", "path": str(tmp_path / "cache.db")}}
    judge = Scripted(True, False)
    rig, other = make(judge, cache=store), make(None, cache=store)
    stored = other.put(QUESTION)
    assert [rig.reason(GREY) for _ in range(2)] == ["semantic"] * 2
    other.accel.invalidate(id=stored)
    assert rig.reason(GREY) == "no_entry"
    other.clock.advance(1)
    other.put(QUESTION)
    assert rig.reason(GREY) == "verifier:scripted"
