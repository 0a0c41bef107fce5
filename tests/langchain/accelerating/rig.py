"""What tests of accelerated models share: questions, prompts and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.tools import tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.testing.model_server import ModelServer

    Origin = Callable[[Any], str | None]

QUESTION = "What is the capital of France?"
ANSWER = f"Answer to: {QUESTION}"


@tool
def weather(place: str) -> str:
    """Tell the weather at a place."""
    return f"sunny in {place}"


def answer_with(server: ModelServer, reply: Callable[[dict[str, Any]], Any]) -> None:
    """Make the server answer by `reply` from now on."""
    server._answer = reply
