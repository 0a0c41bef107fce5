"""A second opinion on what is near, and not near enough: when it is asked, and what it decides."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from accel_core import events
from accel_core.accel import Accel
from accel_core.errors import ConfigError
from accel_core.policy.admission import Answer
from accel_core.semantic_cache import Hit, Miss
from tests.core.verification.rig import GREY, NEAR, OTHER, QUESTION, ZONE, Rig, Scripted, calibrated

if TYPE_CHECKING:
    from collections.abc import Callable


FAR = "do you ship to norway"


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
