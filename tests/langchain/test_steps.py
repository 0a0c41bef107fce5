"""What is told of embeddings, retrievals and tool calls: each is a request, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from accel_core.events.requests import RequestEnded
from benchmarks.speculation_langchain import create_agent
from langchain_accel import SpeculativeTools, accelerate
from tests.langchain.retrieving import QUESTION, Counting, Listed, filled
from tests.langchain.speculating import Lookup, Says, Scripted

if TYPE_CHECKING:
    from accel_core.accel import Accel
    from tests.langchain.conftest import Asyncio, Colour, MakeAccel, Recorder


def embedded(colour: Colour, model: Any, texts: list[str]) -> Any:
    if colour.name == "sync":
        return model.embed_documents(texts)
    waiting: Asyncio = colour  # type: ignore[assignment]
    return waiting.run(model.aembed_documents(texts))


def ended(events: Recorder, operation: str) -> list[RequestEnded]:
    return [one for one in events.of(RequestEnded) if one.operation == operation]


def test_embeddings(accel: Accel, events: Recorder, colour: Colour) -> None:
    """A batch whose vectors are all there is a hit; one text that is not makes it a miss."""
    model = accelerate(Counting(), accel)
    model.model = "bag-of-words"
    with accel.tenant("acme"):
        for texts in (["one", "two"], ["two", "one"], ["one", "three"]):
            embedded(colour, model, texts)
    first, again, more = ended(events, "embeddings")
    assert [one.outcome for one in (first, again, more)] == ["miss", "hit", "miss"]
    assert [one.reason for one in (first, again, more)] == ["no_entry", "exact", "no_entry"]
    assert {one.model for one in (first, again, more)} == {"bag-of-words"}
    assert first.tenant == again.tenant != ""
    assert 0 < first.parts.embed_s <= first.total_s
    assert (first.parts.model_s, again.parts.embed_s, again.attempts) == (0, 0, 0)
    total = accel.stats().requests
    assert total.models["bag-of-words"].requests == 3
    assert total.parts["embed_s"].samples == 2
    assert "model_s" not in total.parts


def test_embeddings_that_are_none(accel: Accel, events: Recorder, colour: Colour) -> None:
    """What is not to be cached is a bypass, and what fails a failure; neither is told twice."""

    class Broken(Counting):
        def embed_documents(self, texts: list[str]) -> Any:
            raise ConnectionError("gone")

    broken = accelerate(Broken(), accel)
    with pytest.raises(ConnectionError):
        embedded(colour, broken, ["one"])
    accel.close()
    embedded(colour, accelerate(Counting(), accel), ["one"])
    failed, passed = ended(events, "embeddings")
    assert (failed.outcome, failed.ending, failed.error) == ("miss", "failed", "ConnectionError")
    assert (passed.outcome, passed.ending, passed.reason) == ("bypass", "answered", "disabled")


def test_retrieval(accel: Accel, events: Recorder, colour: Colour) -> None:
    """A retrieval is a request of its retriever's name; found again, it says what that saved."""
    retriever = accelerate(filled().as_retriever(), accel)
    for _ in range(2):
        colour.invoke(retriever, QUESTION, {"tags": ["shop"]})
    asked, hit = ended(events, "retrieval")
    assert (asked.outcome, asked.reason, hit.outcome, hit.reason) == (
        "miss", "no_entry", "hit", "exact",
    )  # fmt: skip
    assert {asked.name, hit.name} == {"VectorStoreRetriever"}
    assert {asked.model, hit.model, asked.attempts, hit.attempts} == {"", 0}
    assert "shop" in asked.tags
    assert 0 < asked.parts.retrieval_s <= asked.total_s
    assert asked.parts.lookup_s > 0
    stats = accel.stats().requests
    assert stats.endings == {"retrieval.miss.answered": 1, "retrieval.hit.answered": 1}
    assert stats.models == {}, "a retriever is no model"
    assert stats.saved_s.keys() == {"retrieval"}


def test_a_retriever_that_fails_or_passes_by(
    accel: Accel, events: Recorder, colour: Colour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its error is its own, and told by its class; what passes the cache by says why."""
    retriever = accelerate(Listed(), accel, corpus="list")
    colour.invoke(retriever, QUESTION, {"tags": ["accel:no-cache"]})
    monkeypatch.setattr(Listed, "failure", OSError("no index"))
    with pytest.raises(OSError, match="no index"):
        colour.invoke(retriever, QUESTION)
    passed, failed = ended(events, "retrieval")
    assert (passed.outcome, passed.reason, passed.ending) == ("bypass", "no_cache", "answered")
    assert (failed.ending, failed.error) == ("failed", "OSError")


def test_tool_calls(make_accel: MakeAccel, events: Recorder, colour: Colour) -> None:
    """A call that was guessed is a hit that says what it saved; another one how long it took."""
    accel = make_accel({"speculation": {"audit_share": 0.0}})
    lookup, other = Lookup(), Lookup("other")

    def before() -> None:
        assert lookup.called.wait(10.0)

    turns = [[("lookup", {"key": "a"})], [("other", {"key": "b"})]]
    tools = SpeculativeTools(["lookup"], predictors=[Says(("lookup", {"key": "a"}))], accel=accel)
    model = Scripted(turns=turns, before=before)
    agent = create_agent(model, [lookup.tool, other.tool], middleware=[tools])
    colour.invoke(agent, {"messages": [("user", "look")]})
    told = {one.name: one for one in ended(events, "execute_tool")}
    assert sorted(told) == ["lookup", "other"]
    hit, executed = told["lookup"], told["other"]
    assert (hit.outcome, hit.reason, hit.parts.tool_s) == ("hit", "guessed", 0)
    assert hit.saved_s is not None
    assert hit.saved_s > 0
    assert (executed.outcome, executed.reason) == ("miss", "changing")
    assert 0 < executed.parts.tool_s <= executed.total_s
    assert accel.stats().requests.models == {}
    assert accel.stats().requests.endings["execute_tool.hit.answered"] == 1
