"""A small model asked for the calls that the large one, asked the same, will want.

It is given the conversation and the tools as they are at hand, which a trajectory is only a view
of; who begins a turn leaves them in the context that the drafter runs in.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index_instrumentation.dispatcher import active_instrument_tags, instrument_tags

from accel_core.errors import UnsupportedError
from accel_core.policy.trajectory import Guess, ToolCall

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from llama_index.core.tools.types import BaseTool

    from accel_core.policy.trajectory import Trajectory

TAG = "accel.speculation"
"""Instrument tag of everything that a draft emits, so that handlers can tell it from the agent's."""


class AtHand(NamedTuple):
    """What a model is asked.

    Attributes:
        messages: the conversation.
        tools: the application's own, by name.
        waits: whether an event loop runs it.
    """

    messages: Sequence[Any]
    tools: dict[str, BaseTool]
    waits: bool


at_hand: ContextVar[AtHand | None] = ContextVar("accel_llamaindex_at_hand", default=None)


class DraftModel:
    """A drafter: a `speculating.Drafter` of either colour.

    Args:
        llm: calls functions; not one that speculates itself.
        confidence: of its guesses, in [0, 1].

    Raises:
        UnsupportedError: `llm` does not call functions.
    """

    name = "draft"

    def __init__(self, llm: Any, confidence: float) -> None:
        if not isinstance(llm, FunctionCallingLLM):
            raise UnsupportedError(
                f"draft= takes an LLM that calls functions, such as OpenAI(...); got "
                f"{type(llm).__name__}"
            )
        self._llm, self._confidence = llm, confidence

    async def draft(self, trajectory: Trajectory, free: Collection[str]) -> Sequence[Guess]:
        """Return the calls it would make now, of the tools named `free`."""
        asked = at_hand.get()
        offered = [] if asked is None else [t for name, t in asked.tools.items() if name in free]
        if asked is None or not offered:
            return ()
        options: dict[str, Any] = {
            "chat_history": list(asked.messages),
            "allow_parallel_tool_calls": True,
        }
        with instrument_tags({**active_instrument_tags.get(), TAG: self.name}):
            if asked.waits:
                response = await self._llm.achat_with_tools(offered, **options)
            else:
                response = self._llm.chat_with_tools(offered, **options)
        calls = self._llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
        return [
            Guess(ToolCall(call.tool_name, call.tool_kwargs), self._confidence, self.name)
            for call in calls
        ]
