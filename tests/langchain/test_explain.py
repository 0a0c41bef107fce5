"""`Accel.explain` over real LangChain clients: why, in one call, and nothing changes by asking."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import HumanMessage

from accel_core.errors import TenantRequiredError
from accel_core.policy.scopes import Difference
from accel_core.testing.encoders import HashEncoder
from langchain_accel import AccelCache, accelerate

if TYPE_CHECKING:
    from accel_core.accel import Accel
    from accel_core.explanation import Explanation
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Asyncio, Colour, MakeAccel, MakeChat, Recorder

QUESTION = "How long does a refund take?"
LIKE_IT = "How long does one refund take?"
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def explained(colour: Colour, accel: Accel, *asked: Any, **options: Any) -> Explanation:
    if colour.name == "sync":
        return accel.explain(*asked, **options)
    waiting: Asyncio = colour  # type: ignore[assignment]
    found: Explanation = waiting.run(accel.aexplain(*asked, **options))
    return found


class TestAnswers:
    """What is said of an answer, from that answer."""

    def test_fresh_and_replayed(self, accel: Accel, chat: MakeChat, colour: Colour) -> None:
        """A fresh answer was a miss, and is stored by now; its replay says it was served."""
        llm = accelerate(chat(), accel)
        fresh, replayed = (colour.invoke(llm, QUESTION) for _ in range(2))
        miss, hit = (explained(colour, accel, one) for one in (fresh, replayed))
        assert (miss.outcome, miss.reason, hit.outcome, hit.reason) == (
            "miss", "no_entry", "hit", "exact",
        )  # fmt: skip
        assert miss.entry is not None
        assert hit.entry is not None
        assert (hit.entry.id, hit.entry.model) == (miss.entry.id, miss.entry.model)
        assert hit.entry.id == replayed.response_metadata["accel"]["id"]
        assert 0 < hit.entry.expires_in_s <= 3600
        by_id = explained(colour, accel, hit.entry.id)
        assert (by_id.outcome, by_id.question, by_id.model) == ("hit", QUESTION, "gpt-4o-mini")

    def test_what_was_near_a_fresh_answer(
        self, accel: Accel, chat: MakeChat, colour: Colour
    ) -> None:
        """Though it is stored itself by now, its neighbours are those that were not served."""
        llm = accelerate(chat(), accel)
        colour.invoke(llm, QUESTION)
        accel.flush()
        found = explained(colour, accel, colour.invoke(llm, "How long does a delivery take?"))
        assert (found.outcome, found.reason) == ("miss", "below_threshold")
        assert [one.text for one in found.candidates] == [QUESTION]
        assert found.similarity == pytest.approx(found.candidates[0].similarity)

    def test_that_is_gone(self, accel: Accel, chat: MakeChat, colour: Colour) -> None:
        """What it says of itself is left, and a note."""
        llm = accelerate(chat(), accel)
        colour.invoke(llm, QUESTION)
        hit = colour.invoke(llm, QUESTION)
        accel.invalidate()
        found = explained(colour, accel, hit)
        assert (found.outcome, found.reason, found.entry) == ("hit", "exact", None)
        assert found.notes

    def test_that_passed_by(self, accel: Accel, chat: MakeChat, colour: Colour) -> None:
        """It says so itself."""
        answer = colour.invoke(accelerate(chat(temperature=1.0), accel), QUESTION)
        found = explained(colour, accel, answer)
        assert (found.outcome, found.reason) == ("bypass", "temperature")
        assert "max_temperature" in str(found)

    def test_that_is_none(self, accel: Accel) -> None:
        """What cannot be explained is refused with what can."""
        with pytest.raises(TypeError, match=r"explain\(llm, messages\)"):
            accel.explain(HumanMessage(QUESTION))
        with pytest.raises(ValueError, match="hex"):
            accel.explain("no id")


class TestRequests:
    """What is said of a call that was not made."""

    @pytest.mark.parametrize("way", ["accelerated", "cache"])
    def test_is_named_as_the_call_is(
        self, way: str, accel: Accel, chat: MakeChat, colour: Colour
    ) -> None:
        """A text, messages and a call's own settings name what the call names."""
        cache = AccelCache(accel)
        llm: Any = accelerate(chat(), accel) if way == "accelerated" else chat(cache=cache)

        def why(*asked: Any, **options: Any) -> str:
            if way == "accelerated":
                return explained(colour, accel, llm, *asked, **options).outcome
            return cache.explain(llm, *asked, **options).outcome

        config: Any = {"metadata": {"accel_namespace": "shop"}}
        for asked in ((QUESTION,), ([("system", "Be kind."), ("user", "Hi")],), ("Bye", config)):
            assert why(*asked) == "miss"
            colour.invoke(llm, *asked)
            assert why(*asked) == "hit", asked
        assert why("Bye") == "miss"
        assert why(QUESTION, stop=["."]) == "miss"

    def test_with_tools_bound(self, accel: Accel, chat: MakeChat, colour: Colour) -> None:
        """What is bound to a model counts as in its call."""
        bare = accelerate(chat(), accel)
        bound = bare.bind_tools([TOOL]).with_config({"tags": ["shop"]})
        colour.invoke(bound, QUESTION)
        assert explained(colour, accel, bound, QUESTION).outcome == "hit"
        found = explained(colour, accel, bare, QUESTION)
        assert found.outcome == "miss"
        assert found.elsewhere[0].differs == (Difference("tools"),)

    def test_what_differs_in_other_scopes(
        self, accel: Accel, chat: MakeChat, colour: Colour
    ) -> None:
        """The same question is known with another temperature, system prompt and history."""
        colour.invoke(accelerate(chat(temperature=0.0), accel), QUESTION)
        warm = accelerate(chat(temperature=0.2), accel)
        found = explained(colour, accel, warm, QUESTION)
        (same,) = found.elsewhere
        assert same.same_text
        assert same.differs == (Difference("temperature", "0.2", "0.0"),)
        assert "temperature '0.2' here, '0.0' there" in str(found)
        asked = [("system", "Today is Monday."), ("user", LIKE_IT)]
        colour.invoke(warm, [("system", "Today is Sunday."), ("user", QUESTION)])
        first = explained(colour, accel, warm, asked).elsewhere[0]
        assert [part.part for part in first.differs] == ["system prompt"]
        assert "Monday" in first.differs[0].asked
        assert not first.same_text

    def test_controls_and_rules(self, accel: Accel, chat: MakeChat, colour: Colour) -> None:
        """Bypasses, wishes, problems and never-cache rules are named."""
        llm = accelerate(chat(), accel)
        colour.invoke(llm, QUESTION)
        config: Any = {"tags": ["accel:refresh"], "metadata": {"accel_ttl_s": "soon"}}
        refreshed = explained(colour, accel, llm, QUESTION, config)
        assert (refreshed.outcome, refreshed.reason) == ("miss", "refresh")
        assert refreshed.controls == ("refresh=True",)
        assert "accel_ttl_s" in refreshed.notes[0]
        skipped = explained(colour, accel, llm, QUESTION, {"tags": ["accel:no-cache"]})
        assert (skipped.outcome, skipped.reason) == ("bypass", "no_cache")
        never = explained(colour, accel, llm, "Where is my order?")
        assert (never.outcome, never.reason) == ("miss", "personal")
        assert "never-cache rule" in str(never)

    def test_a_calibrated_decision(
        self, make_accel: MakeAccel, chat: MakeChat, colour: Colour
    ) -> None:
        """Probability, threshold, and every gate that refuses, of what was near."""
        accel = make_accel(encoder=None)
        llm = accelerate(chat(), accel)
        colour.invoke(llm, QUESTION)
        accel.flush()
        served = explained(colour, accel, llm, "How long will a refund take?")
        assert (served.outcome, served.reason) == ("hit", "calibrated")
        refused = explained(colour, accel, llm, "How long do 3 refunds take?")
        assert refused.outcome == "miss"
        assert "number" in refused.candidates[0].gates
        for found in (served, refused):
            assert found.threshold is not None
            assert found.threshold.measure == "probability"
            assert found.probability is not None
            assert (found.probability >= found.threshold.least) == (found.outcome == "hit")
        for asked, found in (
            ("How long will a refund take?", served),
            ("How long do 3 refunds take?", refused),
        ):
            told = colour.invoke(llm, asked).response_metadata["accel"]
            assert told["reason"] == found.reason
            assert told["similarity"] == pytest.approx(found.similarity, abs=1e-3)

    def test_a_verifier_is_not_asked(
        self, make_accel: MakeAccel, chat: MakeChat, colour: Colour
    ) -> None:
        """In the grey zone it says that one would be; what it said before holds."""
        asked: list[str] = []

        def verifier(question: str, stored: str, answer: str) -> bool:
            asked.append(question)
            return True

        accel = make_accel(
            {"cache": {"semantic": {"min_similarity": 0.99, "verifier": {"grey_from": 0.5}}}},
            verifier=verifier,
        )
        llm = accelerate(chat(), accel)
        colour.invoke(llm, QUESTION)
        accel.flush()
        grey = explained(colour, accel, llm, LIKE_IT)
        assert (grey.outcome, grey.reason, asked) == ("miss", "grey", [])
        told = colour.invoke(llm, LIKE_IT).response_metadata["accel"]
        assert (told["reason"], asked) == ("verified", [LIKE_IT])
        assert explained(colour, accel, llm, LIKE_IT).reason == "verified"
        assert asked == [LIKE_IT]

    @pytest.mark.parametrize("settings", [{"shadow": True}, {"max_wrong_hits": 0.02}])
    def test_trust_is_not_touched(
        self, settings: dict[str, Any], make_accel: MakeAccel, chat: MakeChat, colour: Colour
    ) -> None:
        """Nothing is explored by asking, however often."""
        accel = make_accel({"cache": {"semantic": settings}}, encoder=None)
        llm = accelerate(chat(), accel)
        colour.invoke(llm, QUESTION)
        accel.flush()
        evidence = accel._built.learning._evidence
        before = None if evidence is None else evidence._guarantee.export()
        for _ in range(3):
            found = explained(colour, accel, llm, "How long will a refund take?")
            assert (found.outcome, found.reason) == ("miss", "shadow")
        assert (None if evidence is None else evidence._guarantee.export()) == before


def test_nothing_changes(
    accel: Accel, chat: MakeChat, events: Recorder, server: ModelServer, colour: Colour
) -> None:
    """No event, no count, no call, no flight, no prompt remembered, nothing wanted."""
    llm = accelerate(chat(), accel)
    hit = [colour.invoke(llm, QUESTION) for _ in range(2)][1]
    accel.flush()
    memory: Any = accel._built.tiers._near._memory
    for slot in memory._slots.values():
        slot.visited = False
    told, stats, calls = list(events), accel.stats(), server.call_count
    named = dict(accel._named._requests)
    for asked in ((hit,), (llm, QUESTION), (llm, LIKE_IT), (llm, "What is new?")):
        explained(colour, accel, *asked)
        explained(colour, accel, llm.bind(stop=["."]), QUESTION, {"tags": ["accel:no-cache"]})
    accel.flush()
    assert (list(events), accel.stats(), server.call_count) == (told, stats, calls)
    assert accel._named._requests == named
    assert accel.cache._flights is not None
    assert len(accel.cache._flights) == 0
    assert not any(slot.visited for slot in memory._slots.values())


def test_another_tenants_is_as_if_it_were_not_there(
    accel: Accel, chat: MakeChat, colour: Colour
) -> None:
    """Neither by question, nor by id, nor by answer; and the one who asks sees its own."""
    llm, warm = accelerate(chat(), accel), accelerate(chat(temperature=0.2), accel)
    with accel.tenant("acme"):
        for model in (llm, warm):
            colour.invoke(model, QUESTION)
        hit = colour.invoke(llm, QUESTION)
    accel.flush()
    id_ = hit.response_metadata["accel"]["id"]
    for tenant in ("rival", "acme2"):
        with accel.tenant(tenant):
            found = explained(colour, accel, llm, LIKE_IT)
            assert (found.candidates, found.elsewhere, found.entry) == ((), (), None)
            by_id = explained(colour, accel, id_)
            assert (by_id.outcome, by_id.question, by_id.entry) == ("unknown", "", None)
            assert QUESTION not in json.dumps(explained(colour, accel, hit).to_json())
    outside = explained(colour, accel, llm, QUESTION)
    assert (outside.outcome, outside.elsewhere, outside.entry) == ("miss", (), None)
    with accel.tenant("acme"):
        assert explained(colour, accel, id_).question == QUESTION
        assert explained(colour, accel, llm, QUESTION).elsewhere[0].differs


def test_tenants_that_are_required(make_accel: MakeAccel, chat: MakeChat, colour: Colour) -> None:
    """Without one a call would pass by, and an answer is nobody's to ask about."""
    accel = make_accel({"security": {"tenant_required": True}})
    llm = accelerate(chat(), accel)
    assert explained(colour, accel, llm, QUESTION).reason == "tenant_required"
    with pytest.raises(TenantRequiredError):
        explained(colour, accel, "00" * 24)


def test_a_shared_store(
    make_accel: MakeAccel, chat: MakeChat, colour: Colour, tmp_path: Any
) -> None:
    """What another process stored is found, and not kept; a store that fails is a note."""
    settings = {"cache": {"store": {"kind": "sqlite", "path": str(tmp_path / "a.sqlite")}}}
    one, other = (make_accel(settings, encoder=HashEncoder()) for _ in range(2))
    colour.invoke(accelerate(chat(), one), QUESTION)
    one.flush()
    llm = accelerate(chat(), other)
    assert explained(colour, other, llm, QUESTION).outcome == "hit"
    near = explained(colour, other, llm, "How long does a delivery take?")
    assert [found.text for found in near.candidates] == [QUESTION]
    assert other._built.tiers._near.select(_everything()) == []

    def fails(*_: Any) -> Any:
        raise OSError("gone")

    other._built.tiers._far.fetch_many = fails  # type: ignore[union-attr, method-assign]
    found = explained(colour, other, llm, QUESTION)
    assert found.outcome == "miss"
    assert "OSError" in found.notes[0]


def _everything() -> Any:
    from accel_core.ports import Selector

    return Selector()


def test_as_text_json_and_table(accel: Accel, chat: MakeChat) -> None:
    """All three say the same; what somebody wrote is no markup in a notebook."""
    llm = accelerate(chat(), accel)
    llm.invoke("Is <b>bold</b> bold?")
    accel.flush()
    found = accel.explain(llm, "Is <b>bold</b> <script>bold</script>?")
    document = json.loads(json.dumps(found.to_json()))
    assert document["candidates"][0]["text"] == "Is <b>bold</b> bold?"
    assert document["because"] == found.because
    assert "<b>" not in found._repr_html_()
    assert "<script>" not in found._repr_html_()
    for line in ("nearest in its scope", "similarity", "served from"):
        assert line in str(found)
        assert line in found._repr_html_()
