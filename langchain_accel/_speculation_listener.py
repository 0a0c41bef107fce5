"""Hears what an agent's model is asked, what it writes, and what it has answered.

One listener serves one call of the application's, in which a model may be asked several times, at
once or again. Models that are asked for something else on the way (which tools to offer, say) are
not the agent's, and are told by the tools they are offered.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage

from accel_core.policy.trajectory import ToolCall

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from langchain_core.messages import BaseMessage

    from langchain_accel._speculation_turn import Asking, Turn


class Listener(BaseCallbackHandler):
    """Tells the turns of `asking`.

    Args:
        asking: begins turns.
        looped: whether the model is asked on an event loop.
    """

    run_inline = True
    raise_error = False
    ignore_chain = True
    ignore_agent = True
    ignore_retriever = True
    ignore_retry = True
    ignore_custom_event = True

    def __init__(self, asking: Asking, *, looped: bool) -> None:
        self._asking, self._looped = asking, looped
        self._turns: dict[UUID, Turn] = {}
        self._answered: Turn | None = None

    def on_chat_model_start(
        self, serialized: Any, messages: list[list[BaseMessage]], *, run_id: UUID, **more: Any
    ) -> None:
        """Begin what it will probably ask for."""
        if _offered(more.get("invocation_params") or {}, self._asking.tools):
            self._turns[run_id] = self._asking.begin(messages[0], looped=self._on_loop())

    def on_llm_start(self, serialized: Any, prompts: Any, **_: Any) -> None:
        """Plain language models ask for no tools."""

    def on_llm_new_token(self, token: Any, *, run_id: UUID, chunk: Any = None, **_: Any) -> None:
        """Begin what it has written to its end."""
        turn, message = self._turns.get(run_id), getattr(chunk, "message", None)
        if turn is not None and message is not None:
            turn.written(message)

    def on_stream_event(self, event: Any, *, run_id: UUID, **_: Any) -> None:
        """The same, where LangChain streams blocks."""
        turn, block = self._turns.get(run_id), event.get("content")
        if turn is None or event.get("event") != "content-block-finish":
            return
        if block["type"] == "tool_call":
            turn.sealed([ToolCall(block["name"], block["args"])])

    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        """Note what it asks for."""
        turn = self._turns.pop(run_id, None)
        message = getattr(response.generations[0][0], "message", None)
        if turn is not None and isinstance(message, AIMessage):
            turn.answered(message)
            self._answered = turn
        elif turn is not None:
            turn.failed()

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Nothing will be asked for."""
        turn = self._turns.pop(run_id, None)
        if turn is not None:
            turn.failed()

    def ended(self) -> None:
        """The run ends with what was answered last, though that asks for something."""
        if self._answered is not None:
            self._answered.ended()

    def close(self) -> None:
        """End the turns that LangChain said no end of: cancelled, or read no further."""
        for turn in tuple(self._turns.values()):
            turn.failed()
        self._turns.clear()

    def _on_loop(self) -> bool:
        """Whether there is a loop to begin guesses on; a thread that blocks its own has none."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return False
        return self._looped


def _offered(parameters: dict[str, Any], tools: Collection[str]) -> bool:
    """Whether a model is offered one of `tools`, as far as can be read."""
    offered = parameters.get("tools")
    if not offered or not isinstance(offered, (list, tuple)):
        return "response_format" not in parameters
    names = [_name(tool) for tool in offered]
    return None in names or not set(names).isdisjoint(tools)


def _name(tool: Any) -> str | None:
    if isinstance(tool, str):
        return tool
    if not isinstance(tool, dict):
        return getattr(tool, "name", None)
    function = tool.get("function")
    return (function if isinstance(function, dict) else tool).get("name")
