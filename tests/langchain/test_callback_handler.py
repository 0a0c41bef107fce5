"""A handler for people who hand callbacks around: what calls used and saved, and whose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool

from accel_core.testing.replies import Reply
from langchain_accel import AccelCache, AccelCallbackHandler, accelerate

if TYPE_CHECKING:
    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeChat

QUESTION = "What is the capital of France?"


@pytest.mark.parametrize("way", ["accelerated", "cache"])
def test_what_was_used_and_saved(
    way: str, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
) -> None:
    """Calls, hits, tokens and dollars are what the server counted; a hit saved its answer's."""
    model = accelerate(chat(), accel) if way == "accelerated" else chat(cache=AccelCache(accel))
    handler = AccelCallbackHandler()
    for _ in range(3):
        colour.invoke(model, QUESTION, {"callbacks": [handler]})
    total = handler.total
    assert (total.calls, total.hits, total.failures) == (3, 2, 0)
    assert total.tokens.input_tokens == server.usage.prompt_tokens
    assert total.tokens.output_tokens == server.usage.completion_tokens
    assert total.saved_tokens.input_tokens == 2 * server.usage.prompt_tokens
    assert total.saved_s > 0
    assert total.cost == pytest.approx(6 * 0.15e-6 + 8 * 0.6e-6)
    assert total.saved_cost == pytest.approx(2 * total.cost)


def test_streams(accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour) -> None:
    """A stream counts as an answer does."""
    model, handler = accelerate(chat(stream_usage=True), accel), AccelCallbackHandler()
    for _ in range(2):
        list(colour.stream(model, QUESTION, {"callbacks": [handler]}))
    assert (handler.total.calls, handler.total.hits) == (2, 1)
    assert handler.total.tokens.output_tokens == server.usage.completion_tokens
    assert handler.total.saved_tokens.output_tokens == server.usage.completion_tokens


def test_by_run_tag_and_tenant(accel: Accel, chat: MakeChat, colour: Colour) -> None:
    """Calls inside a chain are that run's; tags and tenants are those of the call."""
    model, handler = accelerate(chat(), accel), AccelCallbackHandler()

    def twice(question: str) -> Any:
        return model.invoke(question).content + model.invoke(question.upper()).content

    async def atwice(question: str) -> Any:
        first = await model.ainvoke(question)
        return first.content + (await model.ainvoke(question.upper())).content

    chain = RunnableLambda(twice, atwice)
    with accel.tenant("acme"):
        colour.invoke(chain, QUESTION, {"callbacks": [handler], "tags": ["report"]})
    with accel.tenant("umbrella"):
        colour.invoke(chain, QUESTION, {"callbacks": [handler]})
    assert [run.calls for run in handler.runs.values()] == [2, 2]
    assert handler.tags["report"].calls == 2
    assert {name: used.calls for name, used in handler.tenants.items()} == {
        "acme": 2,
        "umbrella": 2,
    }
    assert not handler._roots
    assert not handler._asked


def test_calls_inside_a_tool_belong_to_the_run(
    accel: Accel, chat: MakeChat, colour: Colour
) -> None:
    """A tool's own calls are of the run that called the tool."""
    model, handler = accelerate(chat(), accel), AccelCallbackHandler()

    @tool
    def consult(question: str) -> str:
        """Ask somebody else."""
        return str(model.invoke(question).content)

    colour.invoke(consult, {"question": QUESTION}, {"callbacks": [handler]})
    assert [run.calls for run in handler.runs.values()] == [1]


def test_failures(accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour) -> None:
    """A call that raises is a failure and costs nothing that anybody stated."""
    server._answer = lambda _: Reply(status=400)
    handler = AccelCallbackHandler()
    with pytest.raises(openai.BadRequestError):
        colour.invoke(accelerate(chat(), accel), QUESTION, {"callbacks": [handler]})
    assert (handler.total.calls, handler.total.failures, handler.total.cost) == (0, 1, 0.0)


def test_a_model_without_a_price_has_no_cost(accel: Accel, chat: MakeChat, colour: Colour) -> None:
    """Nothing is guessed, and a sum that holds what is not known is not known."""
    handler = AccelCallbackHandler()
    for name in ("gpt-4o-mini", "nobody-knows"):
        model = accelerate(chat(model=name), accel)
        colour.invoke(model, QUESTION, {"callbacks": [handler]})
    assert handler.total.cost is None
    assert handler.total.tokens.input_tokens == 12
