"""LangChain's answers as outcomes: explored ones are compared, and a served one can be reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation

from accel_core.events import CacheExplored
from accel_core.payload import text_of
from accel_core.testing.replies import Reply
from langchain_accel import AccelCache, accelerate
from langchain_accel._answers import to_answer

if TYPE_CHECKING:
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeAccel, MakeChat, Recorder

QUESTION = "what is the capital of france"
AGAIN = "What is the capital of France?"
SHADOW = {"cache": {"semantic": {"shadow": True, "min_similarity": 0.9}}}


def says(content: Any, **fields: Any) -> ChatGeneration:
    return ChatGeneration(message=AIMessage(content=content, **fields))


@pytest.mark.parametrize(
    ("generations", "text"),
    [
        ([Generation(text="plain")], "plain"),
        ([says("a text")], "a text"),
        ([says([{"type": "text", "text": "in "}, "blocks"])], "in blocks"),
        ([says([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "so"}])], "so"),
        ([says("one"), says("two")], "one\ntwo"),
        ([says("", tool_calls=[{"name": "f", "args": {"text": "x"}, "id": "1"}])], ""),
    ],
)
def test_a_stored_answer_is_read_as_its_text(generations: list[Any], text: str) -> None:
    """What is compared is what the answer says, without tool calls, thinking and metadata."""
    answer = to_answer(generations)
    assert answer is not None
    assert text_of(answer.payload) == text


@pytest.mark.parametrize("way", ["cache", "model", "stream"])
@pytest.mark.parametrize("right", [True, False])
def test_explored_answers_are_compared(
    *, chat: MakeChat, make_accel: MakeAccel, events: Recorder, server: ModelServer,
    colour: Colour, way: str, right: bool,
) -> None:  # fmt: skip
    """Every way of asking brings its answer back as an outcome; the model is always asked."""
    accel = make_accel(SHADOW)
    model: Any = chat(cache=AccelCache(accel)) if way == "cache" else accelerate(chat(), accel)
    server._answer = lambda body: Reply(content="Paris.")
    ask = colour.stream if way == "stream" else colour.invoke
    ask(model, QUESTION)
    accel.flush()
    if not right:
        server._answer = lambda body: Reply(content="Lyon and 2 others.")
    ask(model, AGAIN)
    accel.flush()
    assert [outcome.right for outcome in events.of(CacheExplored)] == [right]
    assert len(server.calls) == 2


def test_a_served_message_can_be_reported(
    chat: MakeChat, make_accel: MakeAccel, server: ModelServer, colour: Colour
) -> None:
    """The message of a hit names its entry, which is then no longer served by meaning."""
    accel = make_accel()
    model = accelerate(chat(), accel)
    fresh = colour.invoke(model, QUESTION)
    accel.flush()
    served = colour.invoke(model, AGAIN)
    assert served.response_metadata["accel"]["cache"] == "semantic"
    assert not accel.report_wrong(fresh)
    assert accel.report_wrong(served)
    assert colour.invoke(model, AGAIN).response_metadata["accel"]["cache"] == "miss"
    assert len(server.calls) == 2
