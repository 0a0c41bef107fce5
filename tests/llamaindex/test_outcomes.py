"""LlamaIndex's answers as outcomes: explored ones are compared, a served one can be reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from accel_core.events import CacheExplored
from accel_core.payload import text_of
from accel_core.testing.replies import Reply
from llamaindex_accel import accelerate
from llamaindex_accel._answers import from_chat, from_completion
from tests.llamaindex.support import ALL_METHODS, Caller, origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.testing.doubles import RecordingObserver
    from accel_core.testing.model_server import ModelServer

QUESTION = "what is the capital of france"
AGAIN = "What is the capital of France?"
SHADOW = {"cache": {"semantic": {"shadow": True, "min_similarity": 0.9}}}


def chatted(*blocks: Any) -> Any:
    return from_chat(ChatResponse(message=ChatMessage(role="assistant", blocks=list(blocks))))


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (from_completion(CompletionResponse(text="plain")), "plain"),
        (chatted(TextBlock(text="in "), TextBlock(text="blocks")), "in blocks"),
        (chatted(ThinkingBlock(content="hm"), TextBlock(text="so")), "so"),
        (chatted(ToolCallBlock(tool_name="f", tool_kwargs={"text": "x"})), ""),
    ],
)
def test_a_stored_answer_is_read_as_its_text(answer: Any, text: str) -> None:
    """What is compared is what the answer says, without tool calls, thinking and metadata."""
    assert text_of(answer.payload) == text


@pytest.mark.parametrize("method", ALL_METHODS)
@pytest.mark.parametrize("right", [True, False])
def test_explored_answers_are_compared(
    *, make_llm: Callable[..., OpenAI], make_accel: Callable[..., Accel], ask: Caller,
    observed: RecordingObserver, server: ModelServer, method: str, right: bool,
) -> None:  # fmt: skip
    """Each method brings its answer back as an outcome; the model is always asked."""
    accel = make_accel(SHADOW)
    llm = accelerate(make_llm(), accel)
    server._answer = lambda body: Reply(content="Paris.")
    ask(llm, method, QUESTION)
    accel.flush()
    if not right:
        server._answer = lambda body: Reply(content="Lyon and 2 others.")
    ask(llm, method, AGAIN)
    accel.flush()
    assert [outcome.right for outcome in observed.of(CacheExplored)] == [right]
    assert len(server.calls) == 2


@pytest.mark.parametrize("method", ALL_METHODS)
def test_a_served_response_can_be_reported(
    llm: Any, accel: Accel, ask: Caller, method: str
) -> None:
    """The response of a hit names its entry, which is then no longer served by meaning."""
    fresh = ask(llm, method, QUESTION)[-1]
    accel.flush()
    served = ask(llm, method, AGAIN)[-1]
    assert origin(served) == "semantic"
    assert not accel.report_wrong(fresh)
    assert accel.report_wrong(served)
    assert origin(ask(llm, method, AGAIN)[-1]) is None
