"""A second opinion on what is near, and not near enough; in both colours."""

from __future__ import annotations

import asyncio
import itertools
import os
import pickle
import string
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from accel_core import events
from accel_core.accel import Accel
from accel_core.config import from_mapping
from accel_core.errors import ConfigError
from accel_core.evaluation.shadow import reported
from accel_core.evaluation.shadow_labels import read_log
from accel_core.policy.admission import Answer
from accel_core.policy.controls import Controls
from accel_core.policy.identity import Prompt, Turn
from accel_core.semantic_cache import Hit, Miss
from accel_core.testing.doubles import ManualClock, RecordingObserver
from accel_core.testing.encoders import HashEncoder
from accel_core.testing.verifiers import WordsVerifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from accel_core.events import Event
    from accel_core.policy.identity import Request
    from accel_core.ports import Case

WAIT_S = 20.0  # never reached by a test that passes
QUESTION = "what is the return policy"
GREY = "tell me what the return policy is"  # cosine 0.84
OTHER = "what is your return policy"  # 0.78
NEAR = "What is the return policy?"  # 1.0
FAR = "do you ship to norway"
ZONE = {"min_similarity": 0.95, "verifier": {"grey_from": 0.7, "timeout_s": WAIT_S}}
BACKGROUND = {**ZONE, "verifier": {"grey_from": 0.7, "background": True}}


class Scripted:
    """Gives verdicts in order, the last one for ever; an exception is raised; a gate holds it."""

    name = "scripted"

    def __init__(self, *verdicts: Any) -> None:
        self.verdicts = list(verdicts) or [True]
        self.batches: list[list[Case]] = []
        self.open = threading.Event()
        self.open.set()
        self.begun = threading.Semaphore(0)

    def verify(self, cases: Sequence[Case]) -> list[bool | None]:
        self.batches.append(list(cases))
        self.begun.release()
        assert self.open.wait(WAIT_S)
        verdict = self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]
        if isinstance(verdict, BaseException):
            raise verdict
        return verdict(cases) if callable(verdict) else [verdict] * len(cases)  # type: ignore[no-any-return]

    def wait_until_asked(self) -> None:
        assert self.begun.acquire(timeout=WAIT_S)


class Watch(RecordingObserver):
    """Keeps every event, and lets a test wait for one."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def __call__(self, event: Event, /) -> None:
        with self._changed:
            super().__call__(event)
            self._changed.notify_all()

    def wait_for(self, kind: type[Any], count: int = 1) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.of(kind)) >= count, WAIT_S)


class Rig:
    """An `Accel` with a verifier, spoken to in one colour."""

    def __init__(self, *, colour: str, close: ExitStack, verifier: Any, **options: Any) -> None:
        self.clock, self.seen, self.colour = ManualClock(), Watch(), colour
        semantic = options.pop("semantic", ZONE)
        config = {"cache": {"semantic": semantic, **options.pop("cache", {})}}
        options.setdefault("encoder", HashEncoder())
        self.accel = close.enter_context(
            Accel(
                from_mapping(config), observers=[self.seen], clocks=self.clock.clocks(),
                verifier=verifier, **options,
            )
        )  # fmt: skip

    def request(self, text: str, scope: str = "m") -> Request:
        """Name a request as an adapter does."""
        turns = (Turn("user", (text,)),)
        made = self.accel.identify(Prompt("test", scope, turns, self.accel.current_tenant(), ""))
        assert made is not None
        return made

    def put(self, text: str, answer: str = "30 days", scope: str = "m") -> str:
        """Store an answer and wait until it is everywhere."""
        given = Answer(f'"{answer}"'.encode(), answer)
        made = self.accel.cache.store(self.request(text, scope), given)
        assert made is not None
        self.accel.flush()
        return made

    def find(self, text: str, scope: str = "m") -> Hit | Miss:
        """Look up, and leave open the flight a miss leads."""
        request, cache = self.request(text, scope), self.accel.cache
        if self.colour == "sync":
            return cache.lookup(request)
        return asyncio.run(cache.alookup(request))

    def look(self, text: str, scope: str = "m") -> Hit | Miss:
        """Look up, and give up the flight a miss led."""
        found = self.find(text, scope)
        if isinstance(found, Miss):
            self.accel.cache.abandon(found.flight)
        return found

    def reason(self, text: str) -> str:
        """Look up and return why it was a miss; ``tier`` of a hit."""
        found = self.look(text)
        return found.reason if isinstance(found, Miss) else found.tier


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Rig]]:
    """Make rigs of one colour; all are closed at the end."""
    with ExitStack() as close:
        yield lambda verifier, **options: Rig(
            colour=request.param, close=close, verifier=verifier, **options
        )


def test_a_yes_serves(make: Callable[..., Rig]) -> None:
    """Between the thresholds the verifier sees both questions and the answer, and decides."""
    judge = Scripted(True)
    rig = make(judge)
    stored = rig.put(QUESTION)
    found = rig.look(GREY)
    assert isinstance(found, Hit)
    assert (found.tier, found.entry.id) == ("semantic", stored)
    assert judge.batches == [[(GREY, QUESTION, "30 days")]]
    assert rig.seen.of(events.CacheVerified) == [events.CacheVerified(stored, "scripted", True)]
    stats = rig.accel.stats()
    assert (stats.semantic_hits, stats.verified, stats.disapproved) == (1, 1, 0)


def test_a_no_refuses_by_name(make: Callable[..., Rig]) -> None:
    """A refusal names the verifier, and is not asked for twice."""
    judge = Scripted(False)
    rig = make(judge)
    rig.put(QUESTION)
    assert [rig.reason(GREY) for _ in range(3)] == ["verifier:scripted"] * 3
    assert len(judge.batches) == 1
    assert rig.accel.stats().disapproved == 1
    assert rig.accel.stats().misses["verifier:scripted"] == 3


def test_a_yes_is_not_asked_for_twice(make: Callable[..., Rig]) -> None:
    """The same pair is judged once; another question about the same entry by itself."""
    judge = Scripted(True)
    rig = make(judge)
    rig.put(QUESTION)
    assert [rig.reason(text) for text in (GREY, GREY, OTHER, OTHER)] == ["semantic"] * 4
    assert [batch[0].asked for batch in judge.batches] == [GREY, OTHER]


def test_no_verdict_serves_nothing_and_is_asked_for_again(make: Callable[..., Rig]) -> None:
    """None is a miss, no failure, and not remembered."""
    judge = Scripted(None, True)
    rig = make(judge)
    rig.put(QUESTION)
    assert rig.reason(GREY) == "unverified"
    assert rig.reason(GREY) == "semantic"
    assert not rig.seen.of(events.BackendFailed)


@pytest.mark.parametrize(
    "wrong",
    [
        ValueError(f"about {GREY}"),
        TimeoutError(),
        SystemExit(),
        lambda cases: [],
        lambda cases: [True, True],
        lambda cases: None,
        lambda cases: [1] * len(cases),
        lambda cases: ["no"] * len(cases),
    ],
)
def test_what_is_no_verdict_serves_nothing(make: Callable[..., Rig], wrong: Any) -> None:
    """An exception, a wrong count, a value that only looks like a verdict: a miss and an event."""
    rig = make(Scripted(wrong))
    rig.put(QUESTION)
    assert rig.reason(GREY) == "unverified"
    (failed,) = rig.seen.of(events.BackendFailed)
    assert (failed.backend, failed.operation) == ("verifier", "verify")
    assert "return policy" not in failed.error
    assert not rig.seen.of(events.CacheVerified)


def test_a_failing_verifier_rests(make: Callable[..., Rig]) -> None:
    """After three failures in a row it is left alone for half a minute, then tried again."""
    judge = Scripted(OSError(), OSError(), OSError(), True)
    rig = make(judge)
    rig.put(QUESTION)
    assert {rig.reason(GREY) for _ in range(6)} == {"unverified"}
    assert len(judge.batches) == 3
    rig.clock.advance(31)
    assert rig.reason(GREY) == "semantic"


def test_nobody_waits_longer_than_said(make: Callable[..., Rig]) -> None:
    """A verdict that comes too late serves nobody, and holds the next time."""
    judge = Scripted(True)
    judge.open.clear()
    rig = make(judge, semantic={**ZONE, "verifier": {"grey_from": 0.7, "timeout_s": 0.05}})
    rig.put(QUESTION)
    assert rig.reason(GREY) == "unverified"
    (failed,) = rig.seen.of(events.BackendFailed)
    assert "too late" in failed.error
    judge.open.set()
    rig.seen.wait_for(events.CacheVerified)
    assert rig.reason(GREY) == "semantic"
    assert len(judge.batches) == 1


def test_a_verifier_that_is_always_late_rests(make: Callable[..., Rig]) -> None:
    """Lookups stop waiting for a verifier that never answers in time."""
    judge = Scripted(True)
    judge.open.clear()
    rig = make(judge, semantic={**ZONE, "verifier": {"grey_from": 0.7, "timeout_s": 0.05}})
    rig.put(QUESTION)
    for _ in range(6):
        assert rig.reason(GREY) == "unverified"
        rig.clock.advance(1)
    assert len(rig.seen.of(events.BackendFailed)) == 3
    judge.open.set()


def test_a_sync_caller_on_a_loop_never_waits() -> None:
    """It misses at once; the verdict that follows holds the next time."""
    judge = Scripted(True)
    judge.open.clear()
    with ExitStack() as close:
        rig = Rig(colour="sync", close=close, verifier=judge)
        rig.put(QUESTION)

        async def ask() -> str:
            return rig.reason(GREY)

        assert asyncio.run(ask()) == "verifying"
        judge.open.set()
        rig.seen.wait_for(events.CacheVerified)
        assert asyncio.run(ask()) == "semantic"


def test_a_cancelled_caller_harms_nobody() -> None:
    """Its flight fails, and whoever asks next gets the verdict."""
    judge = Scripted(True)
    judge.open.clear()
    with ExitStack() as close:
        rig = Rig(colour="async", close=close, verifier=judge)
        rig.put(QUESTION)

        async def ask() -> Hit | Miss:
            cache, request = rig.accel.cache, rig.request(GREY)
            leader = asyncio.create_task(cache.alookup(request))
            await asyncio.to_thread(judge.wait_until_asked)
            follower = asyncio.create_task(cache.alookup(request))
            await asyncio.sleep(0)
            leader.cancel()
            judge.open.set()
            assert (await asyncio.gather(leader, return_exceptions=True))[0] is not None
            return await follower

        assert isinstance(asyncio.run(ask()), Hit)


def test_outside_the_zone_nobody_is_asked(make: Callable[..., Rig]) -> None:
    """Near enough is served, too far is refused, both without the verifier."""
    judge = Scripted(True)
    rig = make(judge)
    rig.put(QUESTION)
    assert rig.reason(NEAR) == "semantic"
    assert rig.reason(FAR) == "below_threshold"
    assert not judge.batches


@pytest.mark.parametrize(
    ("stored", "asked", "reason"),
    [
        ("population of spain in 2019", "what was the population of spain in 2021", "gate:number"),
        ("what is my balance right now", "tell me what my balance is right now", "personal"),
    ],
)
def test_gates_and_rules_come_first(
    make: Callable[..., Rig], stored: str, asked: str, reason: str
) -> None:
    """What a gate refuses, or must not be said twice, no verifier is asked about."""
    judge = Scripted(True)
    rig = make(judge, semantic={**ZONE, "verifier": {"grey_from": 0.1}})
    rig.accel.cache.store(rig.request(stored), Answer(b'"so"', "so"))
    rig.accel.flush()
    assert rig.reason(asked) == reason
    assert not judge.batches


def calibrated() -> HashEncoder:
    """Return an encoder that is taken for the calibrated one, so that probabilities are known."""
    encoder = HashEncoder()
    encoder.name = "all-MiniLM-L6-v2"
    return encoder


def test_the_calibrated_decision_has_a_zone_by_itself(make: Callable[..., Rig]) -> None:
    """With no more than a verifier given, it is asked from half the probability that serves."""
    judge = Scripted(False)
    rig = make(judge, semantic={"serve_from": 0.999999}, encoder=calibrated())
    rig.put(QUESTION)
    assert rig.reason(NEAR) == "verifier:scripted"
    assert rig.reason("what is the return policy in 2019") == "improbable"
    rig.put("population of spain in 2019")
    opened = {"serve_from": 0.999999, "verifier": {"grey_from": 1e-9}}
    other = make(judge, semantic=opened, encoder=calibrated())
    other.put("population of spain in 2019")
    assert other.reason("Population of Spain in 2021?") == "gate:number"
    assert len(judge.batches) == 1


def test_what_cannot_verify_is_refused() -> None:
    """Neither a function nor anything with a name that verifies."""
    with pytest.raises(ConfigError, match="a function"):
        Accel(verifier="judge")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("semantic", "path"),
    [
        ({"min_similarity": 0.9}, "cache.semantic.verifier.grey_from"),
        ({"min_similarity": 0.7, "verifier": {"grey_from": 0.7}},
         "cache.semantic.verifier.grey_from"),
        ({"verifier": {"grey_from": 1.0}}, "cache.semantic.verifier.grey_from"),
        ({"verifier": {"grey_from": 0.9}}, "grey_from"),
        ({"verifier": {"timeout_s": 0}}, "cache.semantic.verifier.timeout_s"),
        ({"verifier": {"max_batch": 0}}, "cache.semantic.verifier.max_batch"),
    ],
)  # fmt: skip
def test_a_zone_that_cannot_be_is_refused(semantic: dict[str, Any], path: str) -> None:
    """A threshold without a zone, or a zone above it, is named with its place."""
    with pytest.raises(ConfigError) as caught:
        Accel.from_mapping(
            {"cache": {"semantic": semantic}}, encoder=calibrated(), verifier=Scripted()
        )
    assert caught.value.path == path


def test_without_a_verifier_there_is_no_zone(make: Callable[..., Rig]) -> None:
    """Its settings alone change nothing."""
    rig = make(None)
    rig.put(QUESTION)
    assert rig.reason(GREY) == "below_threshold"
    assert rig.reason(NEAR) == "semantic"


def test_a_function_is_a_verifier(make: Callable[..., Rig]) -> None:
    """A function of the three texts will do, under its own name."""

    def about_policy(asked: str, stored: str, answer: str) -> bool | None:
        return "tell me" in asked and answer == "30 days"

    rig = make(about_policy)
    rig.put(QUESTION)
    assert rig.reason(GREY) == "semantic"
    assert rig.reason(OTHER) == "verifier:about_policy"


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


def test_what_a_verifier_asks_passes_every_cache(make: Callable[..., Rig]) -> None:
    """A verifier whose model is cached here neither waits for itself nor is answered from here."""
    asked: list[Any] = []

    def judge(question: str, stored: str, answer: str) -> bool:
        asked.append(rig.accel.controls(None, None))
        with ThreadPoolExecutor(1) as pool:
            asked.append(pool.submit(rig.accel.controls, None, None).result() is not None)
        return True

    rig = make(judge)
    rig.put(QUESTION)
    assert rig.reason(GREY) == "semantic"
    assert asked == [None, True]
    assert events.CacheBypassed("verifying") in rig.seen.events
    assert rig.accel.controls(None, None) is not None


def test_closing_ends_what_waits(make: Callable[..., Rig]) -> None:
    """Nobody hangs on a verdict that nobody will give."""
    judge = Scripted(True)
    judge.open.clear()
    rig = make(judge, cache={"single_flight": {"enabled": False}})
    rig.put(QUESTION)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(rig.reason, GREY)
        judge.wait_until_asked()
        second = pool.submit(rig.reason, OTHER)
        closing = threading.Thread(target=rig.accel.close)
        closing.start()
        assert second.result(WAIT_S) == "unverified"
        judge.open.set()
        assert first.result(WAIT_S) in {"semantic", "unverified", "no_entry"}
        closing.join(WAIT_S)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_verifies_for_itself() -> None:
    """Beside a parent whose verifier is at work; what was remembered holds."""
    judge = Scripted(True)
    with ExitStack() as close:
        rig = Rig(colour="sync", close=close, verifier=judge)
        rig.put(QUESTION)
        assert rig.reason(GREY) == "semantic"
        judge.open.clear()
        waiting = threading.Thread(target=rig.reason, args=(OTHER,))
        waiting.start()
        judge.wait_until_asked()
        judge.wait_until_asked()
        child = os.fork()
        if child == 0:
            judge.open = threading.Event()
            judge.open.set()
            judge.verdicts = [False]
            rig.put(QUESTION)
            wanted = ["semantic", "verifier:scripted"]
            os._exit(0 if [rig.reason(GREY), rig.reason(OTHER)] == wanted else 1)
        judge.open.set()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        waiting.join(WAIT_S)


def test_the_verifier_crosses_to_another_process() -> None:
    """A pickled `Accel` keeps its verifier."""
    with Accel(verifier=WordsVerifier("mine")) as accel:
        _, (portable,) = accel.__reduce__()
    assert pickle.loads(pickle.dumps(portable)).verifier.name == "mine"
    assert "WordsVerifier" in repr(accel.cache._meaning._verification._desk)  # type: ignore[union-attr]
