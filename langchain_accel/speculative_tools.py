"""`SpeculativeTools`: tool calls of an agent done before they are asked for.

One middleware for ``create_agent``. Around the model it hears what is asked and written, and calls
of tools that change nothing are begun meanwhile; around a tool it puts a copy in the tool's place,
whose call is answered by what was begun, or made as ever. All else is LangChain's: the copy is run
in the node of the tools, by the same handler, with the same id, callbacks and errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain.agents.middleware import AgentMiddleware

from accel_core.permits import names_of
from langchain_accel._speculation_beside import being_made
from langchain_accel._speculation_wiring import name_of, speculation_of

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Callable, Iterable

    from langchain.agents.middleware import ModelRequest, ModelResponse
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import ToolMessage
    from langchain_core.tools import BaseTool
    from langgraph.prebuilt.tool_node import ToolCallRequest
    from langgraph.types import Command

    from accel_core.accel import Accel
    from accel_core.speculating import Predictor
    from langchain_accel._speculation_listener import Listener

    Result = ToolMessage | Command[Any]


class SpeculativeTools(AgentMiddleware):
    """Begins likely tool calls while the model thinks.

    Only tools that were declared free of side effects are ever called unasked: by `speculatable`,
    by `trust_mcp`, or by their names here. Never called unasked, though declared, are tools that
    are given something of the run (its state, store, runtime or configuration, or the id of the
    call), that another middleware lets somebody approve or counts the calls of, or that stand in
    `never`. A call is given another one's result only if tool, validated arguments and tenant are
    the same, and no tool that may have changed something was called in between.

    May stand anywhere among other middlewares, and serves any number of runs at once.

    Args:
        allowed: names of further tools that are free of side effects, or such tools.
        never: names of tools, or tools, that are not called unasked, whatever they were declared.
        predictors: who guesses; None: who learns from every run that ends.
        learned: a file of what they know already, as ``accel learn-tools`` writes it.
        draft: a small, fast model that is asked beside the agent's, and whose calls are guesses.
        accel: the configured object; None takes this process's default.

    Raises:
        ConfigError: both `predictors` and `learned` are given.
        FileError: `learned` is not such a file.
        UnsupportedError: an argument is of the wrong kind; the message names what works.

    Example:
        >>> agent = create_agent(model, tools, middleware=[SpeculativeTools()])  # doctest: +SKIP
    """

    def __init__(
        self,
        allowed: Iterable[BaseTool | str] = (),
        *,
        never: Iterable[BaseTool | str] = (),
        predictors: Iterable[Predictor] | None = None,
        learned: str | os.PathLike[str] | None = None,
        draft: BaseChatModel | None = None,
        accel: Accel | None = None,
    ) -> None:
        super().__init__()
        self.tools = []
        self._named = {
            "allowed": names_of("allowed", allowed, name_of),
            "never": names_of("never", never, name_of),
        }
        self._speculation = speculation_of(
            self._named["allowed"], predictors, learned, draft, accel
        )
        self._speculation.bar(self._named["never"])
        self._seen = self._paused = self._checked = False
        self._tools: set[str] = set()

    @property
    def name(self) -> str:
        """The middleware's name in the graph and in traces."""
        beside = being_made()
        if beside is not None:
            self._seen, self._paused = True, self._paused or beside.paused
            self._speculation.bar(beside.held_back)
            self._tools |= beside.tools
        return super().name

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Begin likely calls while the model is asked."""
        if not self._guesses():
            return handler(request)
        with self._speculation.hearing(request.tools, None, looped=False) as listener:
            return _ended(handler(request), listener)

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Async form of `wrap_model_call`."""
        if not self._guesses():
            return await handler(request)
        with self._speculation.hearing(request.tools, None, looped=True) as listener:
            return _ended(await handler(request), listener)

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Result]
    ) -> Result:
        """Answer the call by what was begun, or make it."""
        return handler(self._answered(request))

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Result]]
    ) -> Result:
        """Async form of `wrap_tool_call`."""
        return await handler(self._answered(request))

    def _answered(self, request: ToolCallRequest) -> ToolCallRequest:
        tool = request.tool
        return request if tool is None else request.override(tool=self._speculation.copied(tool))

    def _guesses(self) -> bool:
        """Whether anything may be begun unasked: not while nobody knows who must approve it."""
        if self._seen and not self._checked:
            self._checked = True  # by now all agents are made that it serves, as a rule
            self._speculation.check(self._named, self._tools)
        return self._seen and not self._paused


def _ended(response: ModelResponse[Any], listener: Listener) -> ModelResponse[Any]:
    """Say so where the response ends the run by asking for the form of its answer."""
    held = getattr(response, "model_response", response)
    if getattr(held, "structured_response", None) is not None:
        listener.ended()
    return response
