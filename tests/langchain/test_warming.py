"""Warming real LangChain clients: users are then answered from the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.prompts import ChatPromptTemplate

from accel_core import awarm, warm
from langchain_accel import accelerate

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_openai import ChatOpenAI

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer

QUESTIONS = ["What is Rome?", "What is Paris?", "What is Oslo?"]


class NoWait:
    """A pacer that never waits."""

    async def turn(self) -> None: ...
    def answered(self) -> None: ...
    def refused(self, retry_after_s: float) -> None: ...


def warmed(colour: Any, target: Any, **options: Any) -> int:
    """Warm `target` in a colour and return how many were asked."""
    if colour.name == "sync":
        return warm(target, QUESTIONS, pacer=NoWait(), **options).asked
    return int(colour.run(awarm(target, QUESTIONS, pacer=NoWait(), **options)).asked)


def test_a_warmed_model_answers_users_from_the_cache(
    colour: Any, chat: Callable[..., ChatOpenAI], accel: Accel, server: ModelServer, origin: Any
) -> None:
    """And so does a chain that is given its question under a name."""
    model = accelerate(chat(), accel)
    assert warmed(colour, model) == 3
    assert server.call_count == 3
    assert origin(colour.invoke(model, QUESTIONS[1])) == "exact"
    chain = ChatPromptTemplate.from_messages([("human", "{question}")]) | model
    assert warmed(colour, chain, key="question") == 3
    assert server.call_count == 3
