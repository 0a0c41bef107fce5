"""Copies of tools whose calls may be answered by ones that were begun before.

The copy is of a generated subclass of the tool's own class. Overridden are `run` and `arun`, which
note what is called in which run, and the methods that they come to once everything is validated,
`_run` and `_arun`: there the speculator decides whether the tool's own method runs, or its result
is at hand. All that LangChain does around a call happens as ever: callbacks, errors handled,
artifacts, the id of the call.

State lives on the generated class, not on the instance: tools are copied by whoever holds them.
"""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.runnables.config import ensure_config

from accel_core import events
from accel_core.errors import in_words
from accel_core.policy.canonical import Unidentifiable
from accel_core.subclasses import subclass
from langchain_accel._speculation_arguments import Arguments
from langchain_accel._speculation_context import around, paused
from langchain_accel._speculation_tool import config_parameters, has_own_arun

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from langchain_core.runnables import RunnableConfig
    from langchain_core.tools import BaseTool

    from accel_core.tool_speculator import Session
    from langchain_accel._speculation_known import KnownTools
    from langchain_accel._speculation_runs import Runs
    from langchain_accel._speculation_tool import CalledTool

TAG = "speculated"
"""On the run of a tool whose call was begun before it was asked for."""
_MARK = "__accel_speculation__"
_STATE = ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
"""All that an instance of a Pydantic model holds."""
_MOST = 1_000


class _Call(NamedTuple):
    """A call on its way to the tool's own method."""

    copy: BaseTool
    tool: CalledTool
    session: Session
    config: RunnableConfig
    runs: Runs
    known: KnownTools

    @contextmanager
    def made(self) -> Iterator[None]:
        """Let what the tool's own method calls pass; a tool that asks somebody is barred."""
        token = _calling.set(None)
        error: BaseException | None = None
        harmless = self.tool.harmless
        try:
            # The tool may set tenants.
            with nullcontext() if harmless else self.runs.changing():
                yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            _calling.reset(token)
            if harmless and paused(self.config, error):
                self.known.bar([self.tool.name])


_calling: ContextVar[_Call | None] = ContextVar("accel_calling", default=None)


class Copies:
    """Those of one speculator's tools. Safe to share between threads.

    Args:
        runs: those of their agents.
        known: what is known of the tools.
    """

    def __init__(self, runs: Runs, known: KnownTools) -> None:
        self._runs, self._known = runs, known
        self._lock = threading.Lock()
        self._copies: OrderedDict[int, tuple[BaseTool, BaseTool]] = OrderedDict()
        self._generated: dict[type[BaseTool], type[BaseTool]] = {}

    def of(self, tool: BaseTool) -> BaseTool:
        """Return the copy of `tool`; itself, where it is one, or cannot be copied."""
        if hasattr(type(tool), _MARK):
            return tool
        with self._lock:
            known = self._copies.get(id(tool))
            if known is not None:
                return known[1]
            try:
                made = _view(tool, self._subclass(type(tool)))
            except Exception as error:  # somebody's class: its calls are made as ever
                detail = f"{tool.name}: {in_words(error)}"
                self._runs.emit(events.BackendFailed("speculation", "copy", detail))
                made = tool
            self._known.note(made, self._known.kind(tool))
            self._copies[id(tool)] = (tool, made)
            while len(self._copies) > _MOST:
                self._copies.popitem(last=False)
            return made

    @contextmanager
    def calling(
        self, copy: BaseTool, tool_input: Any, options: dict[str, Any], *, looped: bool
    ) -> Iterator[None]:
        """Note a call of `copy`, and tag it in `options` where it was begun before."""
        config = ensure_config(options.get("config"))
        kind = self._known.kind(copy)
        tool = self._known.called(kind, config, around(config), looped=looped)
        session = self._runs.sessions.begun(options.get("tool_call_id"))
        if session is None:
            session = self._runs.speculator.session()
        if isinstance(tool_input, dict) and session.holds(tool, tool_input):
            options["tags"] = [*(options.get("tags") or ()), TAG]
        token = _calling.set(_Call(copy, tool, session, config, self._runs, self._known))
        try:
            yield
        finally:
            _calling.reset(token)

    def _subclass(self, base: type[BaseTool]) -> type[BaseTool]:
        made = self._generated.get(base)
        if made is None:
            made = self._generated[base] = _subclass(base, self)
        return made


def _view(tool: BaseTool, kind: type[BaseTool]) -> BaseTool:
    """Return a `kind` that is `tool` otherwise: what is set on one of them is set on both."""
    made = object.__new__(kind)
    for name in _STATE:
        object.__setattr__(made, name, getattr(tool, name))
    return made


def _own(tool: BaseTool) -> BaseTool:
    """Return a copy of `tool`, a copy, of the application's own class."""
    made = tool.model_copy()
    object.__setattr__(made, "__class__", type(tool).__mro__[1])
    return made


def _itself(tool: BaseTool) -> BaseTool:
    return tool


def _subclass(base: type[BaseTool], copies: Copies) -> type[BaseTool]:
    namespace: dict[str, Any] = {
        "run": _make_run(base, copies),
        "arun": _make_arun(base, copies),
        "_run": _make_own_run(base),
    }
    if has_own_arun(base):
        namespace["_arun"] = _make_own_arun(base)
    for name, method in namespace.items():
        functools.update_wrapper(method, getattr(base, name))
    # In another process there is nothing that calls could go through.
    namespace["__reduce__"] = lambda self: (_itself, (_own(self),))
    return subclass(base, {**namespace, _MARK: copies})


def _make_run(base: type[BaseTool], copies: Copies) -> Callable[..., Any]:
    def run(self: BaseTool, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        with copies.calling(self, tool_input, kwargs, looped=False):
            return base.run(self, tool_input, *args, **kwargs)

    return run


def _make_arun(base: type[BaseTool], copies: Copies) -> Callable[..., Any]:
    async def arun(self: BaseTool, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        with copies.calling(self, tool_input, kwargs, looped=True):
            return await base.arun(self, tool_input, *args, **kwargs)

    return arun


def _make_own_run(base: type[BaseTool]) -> Callable[..., Any]:
    given = _given(base._run)

    def _run(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        call = _taken(self)
        arguments = None if call is None else _arguments(call.tool, given, args, kwargs)
        if call is None or arguments is None:
            return base._run(self, *args, **kwargs)

        async def execute() -> Any:
            with call.made():
                return base._run(self, *args, **kwargs)

        return call.session.call(call.tool, arguments, execute)

    return _run


def _make_own_arun(base: type[BaseTool]) -> Callable[..., Awaitable[Any]]:
    given = _given(base._arun)

    async def _arun(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        call = _taken(self)
        arguments = None if call is None else _arguments(call.tool, given, args, kwargs)
        if call is None or arguments is None:
            return await base._arun(self, *args, **kwargs)

        async def execute() -> Any:
            with call.made():
                return await base._arun(self, *args, **kwargs)

        return await call.session.acall(call.tool, arguments, execute)

    return _arun


def _given(method: Callable[..., Any]) -> frozenset[str]:
    """Return what LangChain gives a tool's method beside the tool's arguments."""
    return frozenset(["run_manager", *config_parameters(method)])


def _taken(tool: BaseTool) -> _Call | None:
    """Return the call that came to `tool`; None: one of its methods calls another."""
    call = _calling.get()
    return call if call is not None and call.copy is tool else None


def _arguments(
    tool: CalledTool, given: frozenset[str], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any] | None:
    """Return what tells the call from others; None: it is nobody else's business."""
    if not tool.harmless:
        return {}
    if not tool.free:
        return None
    try:
        return Arguments(args, {name: v for name, v in kwargs.items() if name not in given})
    except Unidentifiable:
        return None
