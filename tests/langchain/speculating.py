"""What tests of speculation share: a scripted model, tools that note their calls, a predictor."""

from __future__ import annotations

import itertools
import json
import threading
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import StructuredTool
from pydantic import Field

from accel_core.policy.trajectory import Guess, Observed, ToolCall

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence

    from langchain_core.messages import BaseMessage

    from accel_core.policy.trajectory import Trajectory

Wanted = tuple[str, dict[str, Any]]
WAIT_S = 5.0
_ids = itertools.count()


def asking(*calls: Wanted) -> AIMessage:
    """Return an answer that asks for `calls`, by ids that no other has."""
    return AIMessage(
        "",
        tool_calls=[
            {"name": name, "args": args, "id": f"call_{next(_ids)}", "type": "tool_call"}
            for name, args in calls
        ],
    )


def turn_of(messages: Sequence[BaseMessage]) -> int:
    """Return how often the model has asked for tools since the user spoke."""
    last = max(i for i, message in enumerate(messages) if message.type == "human")
    return sum(1 for m in messages[last:] if isinstance(m, AIMessage) and m.tool_calls)


def told(messages: Sequence[BaseMessage]) -> str:
    """Return what the tools returned, one after the other."""
    return "|".join(str(m.content) for m in messages if isinstance(m, ToolMessage))


class Scripted(BaseChatModel):
    """Asks for the calls of one turn after another, and then tells what the tools returned.

    Attributes:
        turns: what it asks for, turn by turn; with a callable, by what it is asked.
        before: called before it answers; where it streams, before each part.
    """

    turns: Any
    before: Any = Field(default=lambda: None)
    asked: list[Any] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.bind(tools=[{"name": tool.name} for tool in tools])

    def answer(self, messages: Sequence[BaseMessage]) -> AIMessage:
        self.asked.append(list(messages))
        if callable(self.turns):
            return self.turns(messages)  # type: ignore[no-any-return]
        at = turn_of(messages)
        if at < len(self.turns):
            return asking(*self.turns[at])
        return AIMessage(f"done: {told(messages)}")

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> ChatResult:
        self.before()
        return ChatResult(generations=[ChatGeneration(message=self.answer(messages))])


class Streaming(Scripted):
    """The same, in parts: each call's name, its arguments in two, and then the next."""

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in parts(self.answer(messages)):
            self.before()
            made = ChatGenerationChunk(message=chunk)
            if run_manager is not None:
                run_manager.on_llm_new_token(str(chunk.content), chunk=made)
            yield made

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in parts(self.answer(messages)):
            await self.abefore()
            made = ChatGenerationChunk(message=chunk)
            if run_manager is not None:
                await run_manager.on_llm_new_token(str(chunk.content), chunk=made)
            yield made

    async def abefore(self) -> None:
        import asyncio

        await asyncio.to_thread(self.before)


def parts(answer: AIMessage) -> Iterator[AIMessageChunk]:
    """Cut an answer as providers do."""
    for word in str(answer.content).split():
        yield AIMessageChunk(f"{word} ")
    for index, call in enumerate(answer.tool_calls):
        text = json.dumps(call["args"])
        cuts = [(call["name"], "", call["id"]), (None, text[:5], None), (None, text[5:], None)]
        for name, args, id_ in cuts:
            chunk = {"name": name, "args": args, "id": id_, "index": index}
            yield AIMessageChunk("", tool_call_chunks=[{**chunk, "type": "tool_call_chunk"}])
    yield AIMessageChunk("", chunk_position="last")


class Lookup:
    """A tool in both colours that notes its calls, and may be made to wait.

    Args:
        name: of the tool.
        result: what it returns, from its argument.
    """

    def __init__(
        self, name: str = "lookup", result: Callable[[str], Any] = lambda key: f"<{key}>"
    ) -> None:
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self.called = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self._result = result

        def blocking(key: str) -> Any:
            """Look something up."""
            self._note(key)
            self.gate.wait(WAIT_S)
            return self._result(key)

        async def looped(key: str) -> Any:
            """Look something up."""
            import asyncio

            self._note(key)
            try:
                while not self.gate.is_set():
                    await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                self.cancelled.append(key)
                raise
            return self._result(key)

        self.tool = StructuredTool.from_function(func=blocking, coroutine=looped, name=name)

    def _note(self, key: str) -> None:
        self.begun.append(key)
        self.called.set()


class Says:
    """Guesses the same calls whenever nothing was called yet, or by a function."""

    name = "says"

    def __init__(self, *calls: Wanted, by: Callable[[Trajectory], list[Wanted]] | None = None):
        self.by = by or (lambda seen: [] if seen and isinstance(seen[-1], Observed) else [*calls])
        self.learned: list[Trajectory] = []

    def predict(self, trajectory: Trajectory, free: Collection[str]) -> list[Guess]:
        return [
            Guess(ToolCall(name, args), 0.9, self.name)
            for name, args in self.by(trajectory)
            if name in free
        ]

    def learn(self, trajectory: Trajectory, free: Collection[str]) -> None:
        self.learned.append(trajectory)


def learned() -> None:
    """Wait until the runs that have ended were learned from."""
    for thread in threading.enumerate():
        if thread.name == "accel-learning":
            thread.join(WAIT_S)


class Trace(BaseCallbackHandler):
    """Notes the runs of tools."""

    def __init__(self) -> None:
        self.tools: list[tuple[Any, ...]] = []

    def on_tool_start(
        self,
        serialized: Any,
        input_str: str,
        *,
        tags: Any = None,
        metadata: Any = None,
        **more: Any,
    ) -> None:
        node = (metadata or {}).get("langgraph_node")
        self.tools.append(
            (serialized["name"], more.get("tool_call_id"), node, "speculated" in (tags or ()))
        )


def shape(messages: Sequence[BaseMessage]) -> list[Any]:
    """Return a conversation without what differs from run to run."""
    ids: dict[str, int] = {}
    for message in messages:
        for call in getattr(message, "tool_calls", ()):
            ids.setdefault(call["id"], len(ids))
    return [
        (
            m.type,
            m.content,
            getattr(m, "status", None),
            getattr(m, "artifact", None),
            ids.get(getattr(m, "tool_call_id", "")),
            [(c["name"], c["args"], ids[c["id"]]) for c in getattr(m, "tool_calls", ())],
        )
        for m in messages
    ]
