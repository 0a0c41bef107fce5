"""A second model that guesses what the first one will ask for, while that is still thinking.

It is asked the same, with the same tools, unheard and untraced. What it asks for is a guess like
any other: worth what its guesses proved to be worth, and never a call of a tool that may change
something.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.messages import AIMessage
from langchain_core.runnables.config import ensure_config

from accel_core.policy.trajectory import Guess
from langchain_accel._speculation_context import muted
from langchain_accel._speculation_messages import calls_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.tools import BaseTool

    from accel_core.policy.trajectory import Trajectory

_CONFIDENCE = 0.8
"""Of a draft's calls, until the tool's own record says otherwise: enough to be begun."""


class Question(NamedTuple):
    """What the agent's model is asked."""

    messages: Sequence[BaseMessage]
    tools: Sequence[BaseTool]


question: ContextVar[Question | None] = ContextVar("accel_question", default=None)
"""Set while guesses are asked for; who drafts is asked in a copy of that context."""


class DraftModel:
    """Guesses by asking a chat model (`accel_core.speculating.Drafter`).

    Args:
        model: a small, fast one; its cost comes on top.
    """

    name = "draft"

    def __init__(self, model: BaseChatModel) -> None:
        self._model = model

    async def draft(self, trajectory: Trajectory, free: Collection[str]) -> Sequence[Guess]:
        """Return what the model would ask for.

        Raises:
            Exception: what the model raises.
        """
        asked = question.get()
        if asked is None or not free:
            return []
        answer = await self._answer(asked)
        calls = calls_of(answer) if isinstance(answer, AIMessage) else []
        return [Guess(call, _CONFIDENCE, self.name) for call in calls if call.tool in free]

    async def _answer(self, asked: Question) -> Any:
        model = self._model.bind_tools(asked.tools)
        context, messages = muted(ensure_config()), list(asked.messages)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return context.run(model.invoke, messages)
        return await asyncio.create_task(model.ainvoke(messages), context=context)
