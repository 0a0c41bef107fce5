"""A LangChain tool as the speculator sees it: called raw and unseen, its results copied.

A guess calls the tool's own method, below everything that LangChain does around a call: no
callbacks, no traces, no streams, and errors are raised rather than made into answers. Of a run of
LangGraph's it sees nothing, so that a tool which would interrupt the run, or write to its streams,
fails instead; nobody sees that, and the real call is made as ever.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.callbacks import AsyncCallbackManagerForToolRun, CallbackManagerForToolRun
from langchain_core.messages.tool import ToolOutputMixin
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool
from langchain_core.utils.pydantic import get_fields

from accel_core.drive.aio import in_own_thread
from langchain_accel._speculation_arguments import Arguments, validated
from langchain_accel._speculation_context import muted
from langchain_accel._speculation_same import Same

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from langchain_core.runnables import RunnableConfig

    from accel_core.permits import Permit

_GIVEN = ("RunnableConfig", "Runtime", "Injected")
"""In the annotations of what a run gives its tools beside their arguments."""
_UNSHARED = (str, bytes, int, float, bool, type(None))
"""Results that nobody can change."""


class Unadoptable(Exception):  # noqa: N818 - a value inside the package, never raised out of it
    """A result that no other call can be given."""


class Kind(NamedTuple):
    """What is known of a tool, whoever calls it.

    Attributes:
        tool: the application's own.
        permit: how it was declared free of side effects; None: it was not.
        own_arguments: whether it is called with its arguments alone, and nothing of the run's.
        asyncio: whether it has one for event loops.
    """

    tool: BaseTool
    permit: Permit | None
    own_arguments: bool
    asyncio: bool


def kind_of(tool: BaseTool, permit: Permit | None) -> Kind:
    """Look at `tool`."""
    func, coroutine = getattr(tool, "func", None), getattr(tool, "coroutine", None)
    made_of = [made for made in (func, coroutine) if made is not None]
    try:
        given = _hidden(tool) or any(map(_given, made_of or [tool._run, tool._arun]))
    except Exception:  # a schema that cannot be looked at
        given = True
    return Kind(
        tool,
        permit,
        not given,
        coroutine is not None if made_of else has_own_arun(type(tool)),
    )


def has_own_arun(kind: type[BaseTool]) -> bool:
    """Whether a class has a method for event loops, or LangChain's, which calls the other one."""
    return kind._arun is not BaseTool._arun


class CalledTool:
    """One tool in one colour, called in one run (`accel_core.speculating.Tool`).

    Args:
        kind: which tool.
        config: the run's configuration.
        rest: all that its result may depend on beside its arguments.
        barred: whether it is never called unasked, whoever permitted it.
        looped: whether it is called on an event loop.
    """

    __slots__ = (
        "_config", "_kind", "_looped", "free", "harmless", "identity", "name", "static",
    )  # fmt: skip

    def __init__(
        self, kind: Kind, config: RunnableConfig, rest: Hashable, *, barred: bool, looped: bool
    ) -> None:
        self._kind, self._config, self._looped = kind, config, looped
        self.name = kind.tool.name
        self.harmless = kind.permit is not None and not barred
        """Whether it changes nothing; it need not be `free`, which is called with its arguments
        alone."""
        self.free = self.harmless and kind.own_arguments
        self.static = kind.permit is not None and kind.permit.static
        # Its two methods need not do the same.
        method = "asyncio" if looped and kind.asyncio else "blocking"
        self.identity: Hashable = (Same(kind.tool), method, None if self.static else rest)

    @property
    def own(self) -> BaseTool:
        """The application's own tool."""
        return self._kind.tool

    def validated(self, arguments: Mapping[str, Any]) -> Arguments | None:
        """Return `arguments` as the tool will see them; None: it refuses them.

        Raises:
            Unidentifiable: one of them cannot be told from others.
        """
        return validated(self._kind.tool, arguments)

    async def run(self, arguments: Mapping[str, Any]) -> Any:
        """Call the tool's own method, muted.

        Raises:
            Exception: what it raises.
        """
        assert isinstance(arguments, Arguments), "what `validated` returned"
        context = muted(self._config)
        if not self._looped:
            return context.run(_run, self._kind.tool, arguments)
        if self._kind.asyncio:
            work = _arun(self._kind.tool, arguments)
            return await asyncio.create_task(work, context=context)
        # The loop's threads are for calls that were asked for: guesses that hang would keep them.
        return await in_own_thread(context.run, _run, self._kind.tool, arguments)

    def copied(self, result: Any) -> Any:
        """Return a copy of `result`.

        Raises:
            Unadoptable: it is an instruction to the graph, or the answer of one call by its id.
            Exception: it cannot be copied.
        """
        if isinstance(result, _UNSHARED):
            return result
        parts = result if isinstance(result, (list, tuple)) else (result,)
        if any(isinstance(part, ToolOutputMixin) for part in parts):
            raise Unadoptable(type(result).__name__)
        return copy.deepcopy(result)


def _run(tool: BaseTool, arguments: Arguments) -> Any:
    unheard = CallbackManagerForToolRun.get_noop_manager()
    given = _as_given(tool._run, unheard)
    return tool._run(*arguments.args, **arguments.kwargs, **given)


async def _arun(tool: BaseTool, arguments: Arguments) -> Any:
    unheard = AsyncCallbackManagerForToolRun.get_noop_manager()
    given = _as_given(tool._arun, unheard)
    return await tool._arun(*arguments.args, **arguments.kwargs, **given)


def _as_given(method: Callable[..., Any], manager: Any) -> dict[str, Any]:
    """Return what LangChain gives a tool's method beside the tool's arguments."""
    parameters = inspect.signature(method).parameters
    given: dict[str, Any] = {"run_manager": manager} if "run_manager" in parameters else {}
    return given | dict.fromkeys(config_parameters(method), ensure_config())


def config_parameters(method: Callable[..., Any]) -> list[str]:
    """Return the names by which a tool's method takes the run's configuration."""
    parameters = inspect.signature(method).parameters.values()
    return [p.name for p in parameters if "RunnableConfig" in str(p.annotation)]


def _given(method: Callable[..., Any]) -> bool:
    """Whether a tool's method is given something of the run's."""
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):  # nothing is known of it
        return True
    return any(given in str(p.annotation) for p in parameters for given in _GIVEN)


def _hidden(tool: BaseTool) -> bool:
    """Whether a tool has arguments that models do not see."""
    if getattr(tool, "_injected_args_keys", ()):
        return True
    if isinstance(tool.args_schema, dict):
        return False
    seen: Any = tool.tool_call_schema
    return bool(set(get_fields(tool.get_input_schema())) - set(get_fields(seen)))
