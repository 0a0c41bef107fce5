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
"""Instrument tag of what a draft emits, so that handlers can tell it from the agent's."""
_CONFIDENCE = 0.8
"""Of a draft's calls, until the tool's own record says otherwise: enough to be begun."""


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
"""Set where a draft, or another guess, is carried out."""


class DraftModel:
    """A drafter: a `speculating.Drafter` of either colour.

    Args:
        llm: a small, fast one that calls functions; its cost comes on top.

    Raises:
        UnsupportedError: `llm` does not call functions.
    """

    name = "draft"

    def __init__(self, llm: Any) -> None:
        if not isinstance(llm, FunctionCallingLLM):
            raise UnsupportedError(
                f"draft= takes an LLM that calls functions, such as OpenAI(...); got "
                f"{type(llm).__name__}"
            )
        self._llm = llm

    async def draft(
        self,
        trajectory: Trajectory,  # noqa: ARG002 - a view of what is at hand
        free: Collection[str],
    ) -> Sequence[Guess]:
        """Return the calls it would make now, of the tools named `free`.

        Raises:
            Exception: what the model raises.
        """
        asked = at_hand.get()
        if asked is None or not free:
            return ()
        offered = list(asked.tools.values())
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
            Guess(ToolCall(call.tool_name, call.tool_kwargs), _CONFIDENCE, self.name)
            for call in calls
            if call.tool_name in free
        ]
