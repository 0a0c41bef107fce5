"""What is told of each request, once, whatever became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openai
import pytest

from accel_core.events.requests import RequestEnded, Tokens
from accel_core.testing.replies import Reply
from llamaindex_accel import accelerate
from tests.llamaindex.support import ALL_METHODS, QUESTION, user

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.testing.doubles import RecordingObserver
    from accel_core.testing.model_server import ModelServer
    from tests.llamaindex.support import Caller

STATED = {"additional_kwargs": {"stream_options": {"include_usage": True}}}


@pytest.mark.parametrize("method", ALL_METHODS)
def test_an_answer_and_its_hit(
    method: str,
    *,
    make_llm: Callable[..., OpenAI],
    accel: Accel,
    observed: RecordingObserver,
    server: ModelServer,
    ask: Caller,
) -> None:
    """Each of the eight methods tells what it used, and its hit what it saved."""
    llm = accelerate(make_llm(**(STATED if "stream" in method else {})), accel)
    for _ in range(2):
        ask(llm, method, QUESTION)
    asked, hit = observed.of(RequestEnded)
    used = Tokens(float(server.usage.prompt_tokens), float(server.usage.completion_tokens))
    assert (asked.outcome, asked.ending, asked.reason) == ("miss", "answered", "no_entry")
    assert (asked.used, asked.attempts, asked.streamed) == (used, 1, "stream" in method)
    assert (hit.outcome, hit.reason, hit.saved, hit.attempts) == ("hit", "exact", used, 0)
    assert asked.model == hit.model == "gpt-4o-mini"
    assert asked.operation == ("chat" if "chat" in method else "text_completion")


@pytest.mark.parametrize("method", ALL_METHODS)
def test_a_failure(
    method: str, llm: OpenAI, server: ModelServer, observed: RecordingObserver, ask: Caller
) -> None:
    """A failure tells what was raised, by its class."""
    server._answer = lambda _: Reply(status=400, content="secret words")
    with pytest.raises(openai.BadRequestError):
        ask(llm, method, QUESTION)
    (asked,) = observed.of(RequestEnded)
    assert (asked.ending, asked.error, asked.used) == ("failed", "BadRequestError", None)


def test_a_stream_given_up(llm: OpenAI, observed: RecordingObserver) -> None:
    """A stream that its reader gives up was cancelled; what was seen of it is counted."""
    stream = llm.stream_chat(user(QUESTION))
    for _ in range(3):
        next(stream)
    stream.close()
    (asked,) = observed.of(RequestEnded)
    assert (asked.ending, asked.used) == ("cancelled", None)
    assert 1 <= asked.seen_tokens <= 3
