"""`explain` over real retrievers and plain language models: what a call made now would get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from accel_core.policy.scopes import Difference
from langchain_accel import AccelCache, accelerate
from tests.langchain.retrieving import QUESTION, Listed, asked, documents, filled

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.explanation import Explanation
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Asyncio, Clock, Colour, MakeAccel, MakeChat, Recorder

LIKE_IT = "when is one refund paid"


@pytest.fixture(name="why")
def _why(colour: Colour) -> Callable[..., Explanation]:
    """Explain in one colour."""

    def why(holder: Accel | AccelCache, *asked: Any, **options: Any) -> Explanation:
        if colour.name == "sync":
            return holder.explain(*asked, **options)
        waiting: Asyncio = colour  # type: ignore[assignment]
        found: Explanation = waiting.run(holder.aexplain(*asked, **options))
        return found

    return why


class TestRetrievers:
    """A retriever's question, named as its own call names it."""

    def test_before_and_after_the_call(self, accel: Accel, colour: Colour, why: Any) -> None:
        """Unknown, found again, and not found again once the documents have changed."""
        store = filled()
        fast = accelerate(store.as_retriever(), accel)
        assert (why(accel, fast, QUESTION).outcome, asked(store)) == ("miss", [])
        colour.invoke(fast, QUESTION)
        found = why(accel, fast, QUESTION)
        assert (found.outcome, found.reason, found.question) == ("hit", "exact", QUESTION)
        assert found.entry is not None
        store.add_documents(documents(more="Refunds of gifts take longer."))
        gone = why(accel, fast, QUESTION)
        assert (gone.outcome, gone.entry) == ("miss", None)
        assert "documents changed" in gone.notes[0]
        assert asked(store) == [QUESTION]

    def test_other_wordings_and_other_settings(
        self, accel: Accel, colour: Colour, why: Any
    ) -> None:
        """What was found for a near question is a candidate; another `k` is another scope."""
        store = filled()
        fast = accelerate(store.as_retriever(search_kwargs={"k": 2}), accel)
        colour.invoke(fast, QUESTION)
        accel.flush()
        near = why(accel, fast, LIKE_IT)
        assert [one.text for one in near.candidates] == [QUESTION]
        assert near.threshold is not None
        wider = accelerate(store.as_retriever(search_kwargs={"k": 3}), accel)
        (same,) = why(accel, wider, QUESTION).elsewhere
        assert same.differs == (Difference("k", "3", "2"),)

    def test_it_says_what_the_lookup_does(
        self, make_accel: MakeAccel, colour: Colour, why: Any
    ) -> None:
        """Of near and far wordings alike, with a calibrated encoder."""
        accel = make_accel(encoder=None)
        store = filled()
        fast = accelerate(store.as_retriever(), accel)
        colour.invoke(fast, "How long does a refund take?")
        accel.flush()
        outcomes = []
        for question in ("How long will a refund take?", "How long do 3 refunds take?", "Is it?"):
            found, searched = why(accel, fast, question), len(asked(store))
            colour.invoke(fast, question)
            assert (len(asked(store)) == searched) == (found.outcome == "hit"), question
            outcomes.append((found.outcome, found.reason))
        assert outcomes[0] == ("hit", "calibrated")
        assert [outcome for outcome, _ in outcomes[1:]] == ["miss", "miss"]

    def test_what_is_due_is_renewed(
        self, make_accel: MakeAccel, clock: Clock, colour: Colour, why: Any
    ) -> None:
        """After its freshness it is served once more; after that it is not."""
        freshness = {"near_ttl": {"base_s": 60}, "stale_if_error_s": 60}
        accel = make_accel({"retrieval": {"freshness": freshness}}, clocks=clock.clocks())
        fast = accelerate(Listed(), accel)
        colour.invoke(fast, QUESTION)
        for later_s, expected in ((59, "exact"), (10, "renewing"), (40, "")):
            clock.now += later_s
            found = why(accel, fast, QUESTION)
            assert (found.outcome, found.reason if expected else "") == (
                "hit" if expected else "miss", expected,
            )  # fmt: skip

    def test_small_talk_and_wishes(self, make_accel: MakeAccel, colour: Colour, why: Any) -> None:
        """A greeting is not searched for, a call's own wishes hold, and what is bound counts."""
        accel = make_accel({"retrieval": {"gate": {"kind": "rules"}}})
        fast = accelerate(filled().as_retriever(), accel)
        greeted = why(accel, fast, "hello there!")
        assert (greeted.outcome, greeted.reason.partition(":")[0]) == ("bypass", "gated")
        assert "retrieval.gate" in greeted.because
        assert not accel.stats().retrieval_skipped
        colour.invoke(fast, QUESTION)
        skipped: Any = {"tags": ["accel:no-cache"]}
        assert why(accel, fast, QUESTION, skipped).reason == "no_cache"
        bound = fast.with_config({"tags": ["accel:refresh"]})
        assert why(accel, bound, QUESTION).reason == "refresh"
        assert why(accel, fast, ["no text"]).reason == "unidentifiable"

    def test_nobody_elses(self, accel: Accel, colour: Colour, why: Any) -> None:
        """What another tenant found is as if it were not there."""
        fast = accelerate(filled().as_retriever(), accel)
        with accel.tenant("acme"):
            colour.invoke(fast, QUESTION)
            accel.flush()
            assert why(accel, fast, QUESTION).outcome == "hit"
        with accel.tenant("rival"):
            found = why(accel, fast, LIKE_IT)
        assert (found.outcome, found.candidates, found.elsewhere) == ("miss", (), ())

    def test_nothing_changes(
        self, accel: Accel, colour: Colour, events: Recorder, why: Any
    ) -> None:
        """No event, no count, no search, no flight, nothing wanted."""
        store = filled()
        fast = accelerate(store.as_retriever(), accel)
        colour.invoke(fast, QUESTION)
        accel.flush()
        wanted = dict(accel.retrieval._popularity.__dict__)
        before = list(events), accel.stats(), list(asked(store)), dict(accel._named._requests)
        for question in (QUESTION, LIKE_IT, "another"):
            why(accel, fast, question)
        accel.flush()
        after = list(events), accel.stats(), list(asked(store)), dict(accel._named._requests)
        assert after == before
        assert accel.retrieval._popularity.__dict__ == wanted
        assert len(accel.retrieval._flights) == 0

    def test_documents_by_name_in_a_shared_store(
        self,
        make_accel: MakeAccel,
        colour: Colour,
        why: Any,
        *,
        tmp_path: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Another process's finding is told; a store that cannot say what changed is a miss."""
        settings = {"cache": {"store": {"kind": "sqlite", "path": str(tmp_path / "a.sqlite")}}}
        one, other = (make_accel(settings) for _ in range(2))
        colour.invoke(accelerate(Listed(), one, corpus="shop"), QUESTION)
        one.flush()
        fast = accelerate(Listed(), other, corpus="shop")
        assert why(other, fast, QUESTION).outcome == "hit"
        one.corpus("shop").changed()
        assert why(other, fast, QUESTION).outcome == "miss"
        with monkeypatch.context() as patched:
            patched.setattr(other._built.corpora, "_rests", lambda: True)
            resting = why(other, fast, QUESTION)
        assert (resting.reason, len(resting.notes)) == ("backend", 1)
        assert "rests" in resting.notes[0]

        def fails(*_: Any) -> Any:
            raise OSError("gone")

        other._built.corpora._log.read_changes = fails  # type: ignore[union-attr, method-assign]
        other._built.corpora._seen.clear()
        found = why(other, fast, QUESTION)
        assert (found.outcome, found.reason) == ("miss", "backend")
        assert "OSError" in found.notes[0]


class TestPlainModels:
    """A plain language model's prompt, named as LangChain names it to its cache."""

    def test_before_and_after_the_call(
        self,
        accel: Accel,
        llm: Callable[..., OpenAI],
        server: ModelServer,
        *,
        colour: Colour,
        events: Recorder,
        why: Any,
    ) -> None:
        """The very prompt is a hit; another `stop` or temperature is another scope."""
        cache = AccelCache(accel)
        model = llm(cache=cache)
        before = list(events)
        assert why(cache, model, QUESTION).outcome == "miss"
        assert (list(events), server.call_count) == (before, 0)
        colour.invoke(model, QUESTION, stop=["."])
        found = why(cache, model, QUESTION, stop=["."])
        assert (found.outcome, found.reason, found.question) == ("hit", "exact", QUESTION)
        assert why(cache, model.bind(stop=["."]), QUESTION).outcome == "hit"
        for unlike in (why(cache, model, QUESTION), why(cache, llm(temperature=0.2), QUESTION)):
            assert unlike.outcome == "miss"
            assert unlike.elsewhere[0].same_text
        assert why(cache, llm(temperature=1.0), QUESTION).reason == "temperature"
        assert server.call_count == 1

    def test_chat_models_are_named_as_ever(
        self, accel: Accel, chat: MakeChat, colour: Colour, why: Any
    ) -> None:
        """In both colours; and what is no model is refused with what can be explained."""
        cache = AccelCache(accel)
        model = chat(cache=cache)
        colour.invoke(model, QUESTION)
        assert why(cache, model, QUESTION).outcome == "hit"
        assert why(cache, model.bind(stop=["."]), QUESTION).outcome == "miss"
        with pytest.raises(TypeError, match="retriever or query engine"):
            why(cache, filled().as_retriever(), QUESTION)
