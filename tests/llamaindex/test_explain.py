"""`Accel.explain` over real LlamaIndex clients: named as their own methods name a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index_instrumentation.dispatcher import instrument_tags

from accel_core.policy.scopes import Difference
from llamaindex_accel import accelerate
from tests.llamaindex.support import QUESTION, user

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.testing.doubles import RecordingObserver
    from accel_core.testing.model_server import ModelServer
    from tests.llamaindex.support import Caller


@pytest.fixture
def explain(accel: Accel, ask: Caller, runner_colour: str) -> Any:
    """Explain in one colour."""
    if runner_colour == "sync":
        return accel.explain
    return lambda *asked, **options: ask.run(accel.aexplain(*asked, **options))


@pytest.mark.parametrize("method", ["chat", "astream_chat", "complete", "acomplete"])
def test_a_call_and_its_answers(
    method: str, llm: OpenAI, accel: Accel, ask: Caller, explain: Any
) -> None:
    """A request is named as the method of its shape names it; its replay says it was served."""
    asked: Any = user(QUESTION) if "chat" in method else QUESTION
    assert explain(llm, asked).outcome == "miss"
    ask(llm, method)
    found = explain(llm, asked)
    assert (found.outcome, found.reason, found.question) == ("hit", "exact", QUESTION)
    replayed = ask(llm, method)[-1]
    assert explain(replayed).entry._replace(age_s=0, expires_in_s=0) == found.entry._replace(
        age_s=0, expires_in_s=0
    )
    other: Any = QUESTION if "chat" in method else user(QUESTION)
    assert explain(llm, other).elsewhere[0].differs[0].part == "kind of call"


def test_what_differs(
    make_llm: Callable[..., OpenAI], accel: Accel, ask: Caller, explain: Any
) -> None:
    """Temperature, tools and system prompt of the same question are told by name."""
    ask(accelerate(make_llm(), accel), "chat")
    warm = accelerate(make_llm(temperature=0.2), accel)
    (same,) = explain(warm, user(QUESTION)).elsewhere
    assert same.differs == (Difference("temperature", "0.2", "0.0"),)
    tools = [{"type": "function", "function": {"name": "look"}}]
    llm = accelerate(make_llm(), accel)
    assert explain(llm, user(QUESTION), tools=tools).elsewhere[0].differs == (Difference("tools"),)
    asked = [ChatMessage(role="system", content="Be kind."), *user(QUESTION)]
    assert explain(llm, asked).elsewhere[0].differs == (
        Difference("system prompt", "Be kind.", "unset"),
    )


def test_instrument_tags_and_tenants(llm: OpenAI, accel: Accel, ask: Caller, explain: Any) -> None:
    """The controls are those in force; another tenant's answer is as if it were not there."""
    with accel.tenant("acme"):
        ask(llm, "chat")
        assert explain(llm, user(QUESTION)).outcome == "hit"
    with accel.tenant("rival"):
        found = explain(llm, user(QUESTION))
        assert (found.outcome, found.entry, found.elsewhere) == ("miss", None, ())
    with instrument_tags({"accel:no-cache": True}):
        assert explain(llm, user(QUESTION)).reason == "no_cache"


def test_nothing_changes(
    llm: OpenAI,
    accel: Accel,
    ask: Caller,
    *,
    observed: RecordingObserver,
    server: ModelServer,
    explain: Any,
) -> None:
    """Neither a model is asked nor is anything told or counted."""
    ask(llm, "chat")
    accel.flush()
    before = list(observed.events), accel.stats(), server.call_count
    explain(llm, user(QUESTION))
    explain(llm, "What is the capital of Spain?", temperature=1.0)
    accel.flush()
    assert (list(observed.events), accel.stats(), server.call_count) == before
