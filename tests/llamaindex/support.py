"""What the tests of this folder share: how methods are called, read and watched."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.instrumentation.event_handlers import BaseEventHandler

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

    from accel_core.accel import Accel

METHODS = {
    "chat": ("chat", "achat", "stream_chat", "astream_chat"),
    "complete": ("complete", "acomplete", "stream_complete", "astream_complete"),
}
ALL_METHODS = METHODS["chat"] + METHODS["complete"]
QUESTION = "What is the capital of France?"


def user(text: str) -> list[ChatMessage]:
    """Return a conversation of one question."""
    return [ChatMessage(role="user", content=text)]


class Caller:
    """Calls any of the eight methods and reads what it returns to its end."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Carry out `work` on the one loop, in the caller's context."""
        return self._runner.run(work, context=contextvars.copy_context())

    def __call__(self, llm: Any, method: str, asked: Any = QUESTION, **kwargs: Any) -> list[Any]:
        """Return all responses: one, or a stream's chunks; a text is asked as a question."""
        if isinstance(asked, str) and "chat" in method:
            asked = user(asked)
        function = getattr(llm, method)
        if not method.startswith("a"):
            found = function(asked, **kwargs)
            return list(found) if "stream" in method else [found]

        async def ask() -> list[Any]:
            found = await function(asked, **kwargs)
            return [chunk async for chunk in found] if "stream" in method else [found]

        return self.run(ask())  # type: ignore[no-any-return]

    def text(self, llm: Any, method: str, asked: Any = QUESTION, **kwargs: Any) -> str:
        """Return the answer's whole text."""
        return text_of(self(llm, method, asked, **kwargs)[-1])


def text_of(response: Any) -> str:
    """Return the text of either kind of response."""
    return str(response.message.content if hasattr(response, "message") else response.text)


def accel_of(llm: Any) -> Accel:
    """Return what an accelerated model answers from."""
    found: Accel = type(llm).__accel__
    return found


def in_flight(accel: Accel) -> int:
    """Return how many flights have not landed."""
    assert accel.cache._flights is not None
    return len(accel.cache._flights)


def origin(response: Any) -> str | None:
    """Return which tier a response came from; None: the model."""
    told: dict[str, Any] = response.additional_kwargs.get("accel", {})
    return told.get("cache")


class Watch(BaseEventHandler):
    """Keeps every event of LlamaIndex's instrumentation."""

    seen: list[Any] = []

    @classmethod
    def class_name(cls) -> str:
        return "Watch"

    def handle(self, event: Any, **_: Any) -> None:
        self.seen.append(event)

    def names(self) -> list[str]:
        """Return the events' names, oldest first, and forget them."""
        names = [event.class_name() for event in self.seen]
        self.seen.clear()
        return names
