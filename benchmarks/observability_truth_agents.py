"""Agents of both frameworks that speculate, half of whose guesses are wrong, for `truth`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from langchain.agents import create_agent
from langchain_core.tools import tool
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool

from accel_core.permits import speculatable
from accel_core.policy.trajectory import Guess, ToolCall
from accel_core.testing.replies import Reply
from langchain_accel import SpeculativeTools
from llamaindex_accel import speculate

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from langchain_core.language_models import BaseChatModel
    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.policy.trajectory import Trajectory

REQUESTS = 2
"""What one run asks its model: which tool to call, and for the answer."""
WANTED = ToolCall("find", {"what": "this"})
_WRONG = ToolCall("find", {"what": "that"})


class Finds:
    """The tool's work, counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.calls = 0

    def __call__(self, what: str) -> str:
        """Find something."""
        with self._lock:
            self.calls += 1
        return f"{what} was found"


class _Both:
    """Guesses the call that is wanted, and one that nobody wants."""

    name = "both"

    def predict(self, trajectory: Trajectory, free: Collection[str]) -> Sequence[Guess]:
        del trajectory
        return [Guess(call, 0.9, self.name) for call in (WANTED, _WRONG) if call.tool in free]

    def learn(self, trajectory: Trajectory, free: Collection[str]) -> None:
        """Stay as it is."""


def reply(request: dict[str, Any]) -> Reply:
    """Return the answer to an agent's model: a call, and after its result an answer."""
    if request["messages"][-1]["role"] == "tool":
        return Reply(content="here it is")
    return Reply(tool_calls=((WANTED.tool, dict(WANTED.arguments)),))


class Agents:
    """An agent of each framework.

    Args:
        model: LangChain's, accelerated.
        llm: LlamaIndex's, accelerated.
        accel: what both are accelerated by.
    """

    def __init__(self, model: BaseChatModel, llm: OpenAI, accel: Accel) -> None:
        self.finds = Finds()

        @tool
        @speculatable
        def find(what: str) -> str:
            """Find something."""
            return self.finds(what)

        self._langchain = create_agent(
            model, [find], middleware=[SpeculativeTools(predictors=[_Both()], accel=accel)]
        )
        free = speculatable(FunctionTool.from_defaults(self.finds, name="find"))
        tools, thinking = speculate([free], llm, accel, predictors=[_Both()])
        self._llamaindex = FunctionAgent(tools=list(tools), llm=thinking, streaming=False)

    async def run(self, way: str, question: str) -> None:
        """Have the agent of `way` answer `question`."""
        if way == "langchain":
            await self._langchain.ainvoke({"messages": [("user", question)]})
        else:
            await self._llamaindex.run(question)
