"""The cache itself, in both colours: what is served, for how long, and what removes it."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from accel_core import events
from accel_core.accel import Accel
from accel_core.config import from_mapping
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.errors import StoreError, TenantRequiredError
from accel_core.policy.admission import Answer
from accel_core.policy.controls import DEFAULT, Controls
from accel_core.policy.identity import Prompt, Turn
from accel_core.secrecy import Secrets
from accel_core.semantic_cache import Hit, Miss
from accel_core.testing.doubles import ManualClock, RecordingObserver
from accel_core.testing.encoders import HashEncoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from accel_core.policy.identity import Request


class Rig:
    """An `Accel` with a hand-moved clock, spoken to in one colour."""

    def __init__(self, *, colour: str, close: ExitStack, **options: Any) -> None:
        self.clock = options.pop("clock", None) or ManualClock()
        self.seen = RecordingObserver()
        self.colour = colour
        options.setdefault("encoder", HashEncoder())
        config = from_mapping(options.pop("config", None))
        self.accel = close.enter_context(
            Accel(config, observers=[self.seen], clocks=self.clock.clocks(), **options)
        )

    def request(self, text: str, *, scope: str = "m", namespace: str = "") -> Request:
        """Name a request as an adapter does."""
        made = self.accel.identify(
            Prompt(
                "test", scope, (Turn("user", (text,)),),
                self.accel.current_tenant(), self.accel.namespace(namespace),
            )
        )  # fmt: skip
        assert made is not None
        return made

    def lookup(self, request: Request, controls: Controls = DEFAULT) -> Hit | Miss:
        """Look up in this rig's colour."""
        if self.colour == "sync":
            return self.accel.cache.lookup(request, controls)
        return asyncio.run(self.accel.cache.alookup(request, controls))

    def put(self, text: str, answer: str = "yes", **options: Any) -> str:
        """Store an answer and wait until it is everywhere; return its id."""
        controls = options.pop("controls", DEFAULT)
        request = self.request(text, **options)
        made = self.accel.cache.store(request, Answer(f'"{answer}"'.encode(), answer), controls)
        assert made is not None
        self.accel.flush()
        return made

    def hits(self, text: str, **options: Any) -> bool:
        """Look up and give up the flight a miss led."""
        found = self.lookup(self.request(text, **options))
        if isinstance(found, Miss):
            self.accel.cache.abandon(found.flight)
        return isinstance(found, Hit)

    def remove(self, **which: Any) -> list[str]:
        """Invalidate in this rig's colour."""
        if self.colour == "sync":
            return self.accel.invalidate(**which)
        return asyncio.run(self.accel.ainvalidate(**which))

    def forget(self, **whom: Any) -> tuple[str, ...]:
        """Forget in this rig's colour."""
        if self.colour == "sync":
            return self.accel.forget(**whom).removed
        return asyncio.run(self.accel.aforget(**whom)).removed


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Rig]]:
    """Make rigs of one colour; all are closed at the end."""
    with ExitStack() as close:
        yield lambda **options: Rig(colour=request.param, close=close, **options)


@pytest.fixture(params=["memory", "sqlite"])
def rig(request: pytest.FixtureRequest, make: Callable[..., Rig], tmp_path: Path) -> Rig:
    """A rig with memory alone, and one with SQLite behind it."""
    store = {"kind": "sqlite", "path": str(tmp_path / "cache.db")}
    return make(config={"cache": {"store": store}} if request.param == "sqlite" else None)


def sqlite(tmp_path: Path, **more: Any) -> dict[str, Any]:
    """Return a configuration with a shared file."""
    return {"cache": {"store": {"kind": "sqlite", "path": str(tmp_path / "cache.db")}}, **more}


def test_the_same_request_is_answered_exactly(rig: Rig) -> None:
    """What was stored is served to the very same request, with its age."""
    rig.put("what is the return policy", "30 days")
    rig.clock.advance(5)
    found = rig.lookup(rig.request("what is the return policy"))
    assert isinstance(found, Hit)
    assert (found.tier, found.similarity, found.age_s) == ("exact", 1.0, 5.0)
    assert found.entry.payload == b'"30 days"'


def test_another_wording_is_answered_by_meaning(rig: Rig) -> None:
    """A question near enough in the same scope is served the stored answer, and says how near."""
    stored = rig.put("what is the return policy")
    found = rig.lookup(rig.request("What is the return policy?"))
    assert isinstance(found, Hit)
    assert (found.tier, found.entry.id) == ("semantic", stored)
    assert found.similarity > 0.9
    assert rig.seen.of(events.CacheHit)[-1].entry_id == stored


def test_meaning_never_crosses_a_scope(rig: Rig) -> None:
    """The nearest question of another scope is no candidate."""
    rig.put("what is the return policy", scope="model a")
    assert not rig.hits("what is the return policy", scope="model b")
    assert not rig.hits("What is the return policy?", scope="model b")
    assert not rig.hits("what is the return policy", scope="model a", namespace="n")


def test_far_questions_miss_with_a_reason(rig: Rig) -> None:
    """A question that is not near enough misses, and the event says by how much."""
    rig.put("what is the return policy")
    assert not rig.hits("do you ship to norway")
    miss = rig.seen.of(events.CacheMiss)[-1]
    assert miss.reason == "below_threshold"
    assert miss.similarity is not None


def test_nothing_is_served_past_its_time(rig: Rig) -> None:
    """An entry is served until its lifetime ends, and never after, exactly or by meaning."""
    rig.put("what is the return policy")
    rig.clock.advance(3599)
    assert rig.hits("what is the return policy")
    rig.clock.advance(1)
    assert not rig.hits("what is the return policy")
    assert not rig.hits("What is the return policy?")
    assert rig.seen.of(events.CacheEvicted)[0].reason == "expired"


def test_lifetimes_are_jittered_downwards(make: Callable[..., Rig]) -> None:
    """Chance takes up to its share of a lifetime away, so entries do not expire together."""
    rig = make(clock=ManualClock(chance=0.999))
    rig.put("what is the return policy")
    rig.clock.advance(3600 * 0.9 + 10)
    assert not rig.hits("what is the return policy")


def test_a_hit_does_not_prolong_a_life(rig: Rig) -> None:
    """Expiry is fixed at storing: a popular wrong entry still leaves."""
    rig.put("what is the return policy")
    for _ in range(4):
        rig.clock.advance(899)
        assert rig.hits("what is the return policy")
    rig.clock.advance(10)
    assert not rig.hits("what is the return policy")


def test_a_call_can_shorten_a_lifetime_but_not_prolong_it(rig: Rig) -> None:
    """A call's own limit caps the lifetime; a longer one changes nothing."""
    rig.put("short life question", controls=Controls(ttl_s=10))
    rig.put("long life question", controls=Controls(ttl_s=1e9))
    rig.clock.advance(11)
    assert not rig.hits("short life question")
    rig.clock.advance(3600)
    assert not rig.hits("long life question")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(b'""', "  "), "empty"),
        (Answer(b'"x"', "x", finish_reasons=("length",)), "truncated"),
        (Answer(b'"x"', "x", finish_reasons=("MAX_TOKENS",)), "truncated"),
        (Answer(b'"x"', "x", finish_reasons=("content_filter",)), "refused"),
        (Answer(b'"x"', "x", refused=True), "refused"),
        (Answer(b"x" * (1 << 20), "x"), "too_large"),
    ],
)
def test_bad_answers_are_never_stored(rig: Rig, answer: Answer, reason: str) -> None:
    """An answer that would be wrong to say twice is refused, with a reason."""
    request = rig.request("a question")
    assert rig.accel.cache.store(request, answer) is None
    assert rig.seen.of(events.CacheRefused)[-1].reason == reason
    assert not rig.hits("a question")


def test_answers_with_tool_calls_are_served_exactly_only(rig: Rig) -> None:
    """An answer that asks for a tool is never given to another question."""
    request = rig.request("what is the weather in oslo")
    rig.accel.cache.store(request, Answer(b'"x"', "", tool_calls=True))
    rig.accel.flush()
    assert rig.hits("what is the weather in oslo")
    assert not rig.hits("in oslo what is the weather")


def test_long_questions_are_served_exactly_only(rig: Rig) -> None:
    """Beyond max_words a question is not compared by meaning, neither stored nor asked."""
    long = " ".join(f"word{n}" for n in range(65))
    rig.put(long)
    assert rig.hits(long)
    assert not rig.hits(" ".join(reversed(long.split())))


@pytest.mark.parametrize("dry_run", [True, False])
def test_invalidation_by_every_condition(rig: Rig, dry_run: bool) -> None:
    """Entries leave by id, tag, scope, namespace or all at once; a dry run only names them."""
    kept = rig.put("a question that stays", scope="other", namespace="elsewhere")
    first = rig.put("first question", controls=Controls(tags=("docs", "v1")))
    second = rig.put("second question", namespace="narrow")
    scope = rig.request("first question").scope.hex()
    conditions = {"id": [first], "tag": [first], "scope": [first], "namespace": [second]}
    wanted = {"id": first, "tag": "v1", "scope": scope, "namespace": "narrow"}
    for name, expected in conditions.items():
        assert rig.remove(dry_run=True, **{name: wanted[name]}) == expected
    if dry_run:
        assert rig.remove(dry_run=True) == sorted([kept, first, second])
        assert rig.hits("first question")
        return
    assert rig.remove(tag="v1") == [first]
    assert not rig.hits("first question")
    assert not rig.hits("question first")
    assert rig.hits("second question", namespace="narrow")
    assert rig.remove() == sorted([kept, second])
    assert not rig.hits("second question", namespace="narrow")


def test_conditions_are_joined(rig: Rig) -> None:
    """With several conditions only entries that meet all of them leave."""
    both = rig.put("one", namespace="n", controls=Controls(tags=("t",)))
    rig.put("two", namespace="n")
    rig.put("three", controls=Controls(tags=("t",)))
    assert rig.remove(namespace="n", tag="t") == [both]


@pytest.mark.parametrize("which", [{"id": "not hex"}, {"scope": "zz"}])
def test_ids_that_are_none_are_named(rig: Rig, which: dict[str, str]) -> None:
    """An id or scope that cannot be one raises ValueError rather than meaning nothing."""
    with pytest.raises(ValueError, match="hexadecimal"):
        rig.remove(**which)


def test_forgetting_people(rig: Rig) -> None:
    """A tenant, a user, a tag or a question is forgotten everywhere, with a receipt."""
    with rig.accel.tenant("acme", user="ann"):
        ann = rig.put("about ann", controls=Controls(user="ann"))
    with rig.accel.tenant("acme"):
        shared = rig.put("about acme")
    other = rig.put("about nobody")
    assert rig.forget(tenant="acme", user="ann", dry_run=True) == (ann,)
    assert rig.forget(user="ann") == (ann,)
    assert rig.forget(tenant="acme") == (shared,)
    assert rig.forget(text="about nobody") == (other,)
    assert not rig.hits("about nobody")
    for wrong in ({}, {"name": "x"}, {"user": "a", "tag": "b"}):
        with pytest.raises(TypeError, match="at least one"):
            rig.forget(**wrong)


def test_nothing_crosses_a_tenant(rig: Rig) -> None:
    """Neither an exact nor a near question of one tenant is answered, or removed, by another."""
    with rig.accel.tenant("acme"):
        stored = rig.put("what is our secret")
    assert not rig.hits("what is our secret")
    with rig.accel.tenant("other"):
        assert not rig.hits("what is our secret")
        assert not rig.hits("What is our secret?")
        assert rig.remove() == []
        assert rig.remove(id=stored) == []
        assert rig.forget(tenant="acme") == ()
    with rig.accel.tenant("acme"):
        assert rig.hits("what is our secret")
        assert rig.remove() == [stored]


def test_required_tenants_guard_administration(make: Callable[..., Rig]) -> None:
    """Where tenants are required, removing without one is an error, not everybody's loss."""
    rig = make(config={"security": {"tenant_required": True}})
    with pytest.raises(TenantRequiredError):
        rig.remove()
    assert rig.accel.controls({}, ()) is None
    assert rig.seen.of(events.CacheBypassed)[-1].reason == "tenant_required"


def test_an_answer_asked_for_before_an_invalidation_is_not_stored(rig: Rig) -> None:
    """What the model said from old knowledge does not come back after the knowledge was dropped."""
    request = rig.request("what is the price")
    missed = rig.lookup(request)
    assert isinstance(missed, Miss)
    rig.remove(namespace="")
    stored = rig.accel.cache.store(request, Answer(b'"old"', "old"), DEFAULT, missed.flight)
    assert stored is None
    assert rig.seen.of(events.CacheRefused)[-1].reason == "invalidated"
    rig.accel.flush()
    assert not rig.hits("what is the price")


@pytest.mark.parametrize("how", ["refresh", "alone", "within-another"])
def test_nor_is_one_that_nobody_waits_for(
    make: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The same holds where the caller leads no flight."""
    alone = {"cache": {"single_flight": {"enabled": False}}}
    rig = make(config=alone if how == "alone" else {})
    request = rig.request("what is the price")
    refresh = Controls(refresh=how == "refresh")

    if how == "within-another":  # who leads one never waits for another
        for colour in (AsyncIo, BlockingIo):
            monkeypatch.setattr(colour, "owner", lambda _: "the same")
        rig.lookup(request)
    missed = rig.lookup(request, refresh)
    assert isinstance(missed, Miss)
    rig.remove(namespace="")
    stored = rig.accel.cache.store(request, Answer(b'"old"', "old"), refresh, missed.flight)
    assert stored is None
    assert not rig.hits("what is the price")


def test_an_encoder_that_works_in_the_background_is_asked_again(
    make: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When its rest is over, whoever tries it first says that it is back."""
    rig = make()
    with monkeypatch.context() as broken:
        broken.setattr(HashEncoder, "encode", None)
        for number in range(3):
            rig.hits(f"what is thing {number} of them all")
    rig.put("where is the blue car")
    assert not rig.hits("Where is the blue car?")
    rig.clock.advance(30.0)
    rig.put("who painted the old bridge")
    assert rig.hits("Who painted the old bridge?")


def test_memory_lets_the_least_wanted_go(make: Callable[..., Rig]) -> None:
    """Memory holds what it may, reports what left, and forgets its meaning too."""
    rig = make(config={"cache": {"memory": {"max_entries": 3}}})
    for name in ("alpha", "beta", "gamma"):
        rig.put(f"tell me about {name} please")
    rig.hits("tell me about alpha please")
    rig.put("tell me about delta please")
    assert rig.hits("tell me about alpha please")
    assert not rig.hits("tell me about beta please")
    assert not rig.hits("please tell me about beta")
    assert rig.seen.of(events.CacheEvicted)[-1].reason == "space"


def test_a_restart_finds_what_was_stored(make: Callable[..., Rig], tmp_path: Path) -> None:
    """A file outlives its process: exact and near questions are answered after a restart."""
    first = make(config=sqlite(tmp_path))
    first.put("what is the return policy", "30 days")
    first.accel.close()
    second = make(config=sqlite(tmp_path))
    second.accel.flush()
    assert second.hits("what is the return policy")
    assert second.hits("What is the return policy?")


def test_processes_share_a_file(make: Callable[..., Rig], tmp_path: Path) -> None:
    """What one handle stores another serves; what one removes no other serves again."""
    one, two = make(config=sqlite(tmp_path)), make(config=sqlite(tmp_path))
    one.put("what is the return policy")
    assert two.hits("What is the return policy?")
    assert two.hits("what is the return policy")
    assert len(two.remove()) == 1
    assert not one.hits("what is the return policy")
    assert not one.hits("What is the return policy?")


def test_a_refreshed_answer_replaces_the_old_one_everywhere(
    make: Callable[..., Rig], tmp_path: Path
) -> None:
    """After a refresh in one process the other serves the new answer."""
    one, two = make(config=sqlite(tmp_path)), make(config=sqlite(tmp_path))
    one.put("what is the price", "10")
    assert two.hits("what is the price")
    one.put("what is the price", "12")
    found = two.lookup(two.request("what is the price"))
    assert isinstance(found, Hit)
    assert found.entry.payload == b'"12"'


def test_entries_survive_a_rotation_of_secrets(make: Callable[..., Rig], tmp_path: Path) -> None:
    """During rotation what was stored under the previous secret is still served, exactly."""
    old, new, other = (bytes([n]) * 32 for n in (1, 2, 3))
    first = make(config=sqlite(tmp_path), secrets=Secrets(old))
    first.put("what is the return policy")
    first.accel.close()
    second = make(config=sqlite(tmp_path), secrets=Secrets(new, old))
    assert second.hits("what is the return policy")
    third = make(config=sqlite(tmp_path), secrets=Secrets(other))
    assert not third.hits("what is the return policy")


def test_a_closed_cache_answers_nothing_and_harms_nothing(rig: Rig) -> None:
    """After close lookups miss, stores are dropped, and closing again does nothing."""
    rig.accel.close()
    rig.accel.close()
    assert not rig.hits("a question")
    rig.accel.cache.store(rig.request("a question"), Answer(b'"x"', "x"))


def test_a_shared_store_that_cannot_remove_says_so(
    make: Callable[..., Rig], tmp_path: Path
) -> None:
    """Invalidation is the one operation whose failure is raised: the entries are still there."""
    rig = make(config=sqlite(tmp_path))
    rig.put("what is the return policy")
    rig.accel.close()
    with pytest.raises(StoreError):
        rig.remove()


def test_no_encoder_is_said_once_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, make: Callable[..., Rig]
) -> None:
    """Without an encoder's libraries answers are exact only, said once with what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    rig = make(encoder=None)
    said = rig.seen.of(events.SemanticUnavailable)
    assert [(event.reason, event.remedy) for event in said] == [
        ("no_encoder", "pip install 'llm-accel[local]'")
    ]
    rig.put("what is the return policy")
    assert rig.hits("what is the return policy")
    assert not rig.hits("What is the return policy?")
    assert len(rig.seen.of(events.SemanticUnavailable)) == 1


def test_an_uncalibrated_encoder_gives_no_semantic_hits(make: Callable[..., Rig]) -> None:
    """A threshold belongs to one encoder: without one, exact only, until it is set."""
    rig = make(encoder=HashEncoder(min_similarity=None))
    rig.put("what is the return policy")
    assert not rig.hits("What is the return policy?")
    assert rig.seen.of(events.SemanticUnavailable)[0].reason == "uncalibrated"
    told = make(
        encoder=HashEncoder(min_similarity=None),
        config={"cache": {"semantic": {"min_similarity": 0.9}}},
    )
    told.put("what is the return policy")
    assert told.hits("What is the return policy?")
