"""Copies of tools whose execution passes the speculator, and tools as the speculator sees them.

A `FunctionTool` stays of its class: the copy's function is replaced, so what is shared is what the
function returned, and LlamaIndex makes the output, calls the callbacks and opens the span of every
real call, and of no guess. Any other tool becomes an instance of a generated subclass of its class,
and what is shared is a copy of its output.

Invariant: a call with arguments that cannot be told by name, or that hold an object without a
spelling, such as a workflow's context, is executed as ever.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from llama_index.core.tools import AsyncBaseTool, FunctionTool
from llama_index.core.tools.function_tool import sync_to_async
from llama_index.core.tools.types import BaseToolAsyncAdapter

from accel_core.drive.aio import in_own_thread
from accel_core.subclasses import generated, subclass
from llamaindex_accel._speculative_view import Facts, ToolInColour

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterator

    from llama_index.core.tools.types import BaseTool

    from accel_core.permits import Permit
    from accel_core.tool_speculator import Session
    from llamaindex_accel._speculative_runs import Made, Runs

_COPIED = "__accel_speculated__"
"""Attribute of a copy: its `Copied`."""

_CALLS = ("__call__", "call", "acall")


class Copied(NamedTuple):
    """What was copied, and how the speculator sees it.

    Attributes:
        original: the application's tool.
        runs: those that its calls belong to.
        blocking: the tool in the blocking colour.
        aio: in asyncio's.
    """

    original: BaseTool
    runs: Runs
    blocking: ToolInColour
    aio: ToolInColour


def copied_of(tool: object) -> Copied | None:
    """Return what `tool` is a copy of; None: it is none."""
    if isinstance(tool, BaseToolAsyncAdapter):  # agents put it around a tool without an async side
        tool = tool.base_tool
    found = getattr(tool, _COPIED, None)
    return found if isinstance(found, Copied) else None


def original_of(tool: BaseTool) -> BaseTool:
    """Return the application's own tool."""
    copied = copied_of(tool)
    return tool if copied is None else copied.original


def copy_of(tool: BaseTool, permit: Permit | None, runs: Runs, *, barred: bool) -> BaseTool:
    """Return a copy of `tool` whose calls pass the session of the run they are made in.

    Args:
        tool: the application's own.
        permit: None: it is only called when it is asked for.
        runs: those that its calls may belong to.
        barred: whether it is only called when it is asked for, and changes nothing all the same.
    """
    # A method of its own need not call the function, and a change must not go unnoticed.
    told = isinstance(tool, FunctionTool) and (
        permit is not None
        or all(_defined(type(tool), name) is _defined(FunctionTool, name) for name in _CALLS)
    )
    make = _function_copy if told else _method_copy
    barred = barred or getattr(tool, "requires_context", False)
    return make(tool, permit, runs, barred=barred)


class _Parameters:
    """Tells the arguments of a function by their names.

    Args:
        function: a function, or a method of an object.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        try:
            self._signature: inspect.Signature | None = inspect.signature(function)
        except (TypeError, ValueError):  # it tells none
            self._signature = None

    def named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return all arguments by name, defaults filled; None: not all have one, or do not fit."""
        if self._signature is None:
            return None if args else dict(kwargs)
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError:
            return None
        bound.apply_defaults()
        arguments = dict(bound.arguments)
        for name, parameter in self._signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments |= arguments.pop(name)
            elif parameter.kind is parameter.VAR_POSITIONAL:
                if arguments.pop(name):
                    return None
            elif parameter.kind is parameter.POSITIONAL_ONLY:
                return None
        return arguments


def _fits(tool: BaseTool, arguments: Mapping[str, Any], hidden: Mapping[str, Any]) -> bool:
    """Whether `arguments` are what the model is told that the tool takes; `hidden` are not told."""
    schema = tool.metadata.fn_schema
    if schema is None:
        return True
    told = {key: arguments[key] for key in arguments if key not in hidden}
    try:
        # Validators may write into what is inside.
        schema.model_validate(copy.deepcopy(told))
    except Exception:  # an application's validators raise what they like
        return False
    return True


def _spelled(value: Any) -> bool:
    """Whether the spelling of `value` tells all of it: a model leaves out fields, stars secrets."""
    if isinstance(value, Mapping):
        return all(map(_spelled, value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(_spelled, value))
    return not (hasattr(value, "model_dump") or isinstance(value, type))


def _function_copy(tool: Any, permit: Permit | None, runs: Runs, *, barred: bool) -> BaseTool:
    parameters = _Parameters(tool.real_fn)

    def validated(arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        given = {**tool._field_defaults, **tool.partial_params, **arguments}
        if barred or not _fits(tool, given, tool.partial_params):
            return None
        named = parameters.named((), given)
        return named if _spelled(named) else None

    made_of_fn = getattr(tool._async_fn, "__module__", "") == FunctionTool.__module__
    functions = (tool.real_fn,) if made_of_fn else (tool.real_fn, tool._async_fn)
    name, identity = tool.metadata.get_name(), _identity(functions, tool)
    hidden = {*tool.partial_params, tool.ctx_param_name}
    facts = Facts(name, identity, permit, validated, hidden)
    blocking = ToolInColour(facts, _awaitable(tool._fn))
    aio = ToolInColour(facts, _threaded(tool._fn) if made_of_fn else tool._async_fn)
    made = copy.copy(tool)
    made._fn = _passing(runs, blocking, parameters, tool._fn)
    ends_unseen = made_of_fn and permit is None
    waited = sync_to_async(_ending(runs, tool._fn)) if ends_unseen else tool._async_fn
    made._async_fn = _apassing(runs, aio, parameters, waited)
    vars(made)[_COPIED] = Copied(tool, runs, blocking, aio)
    return made  # type: ignore[no-any-return]


def _method_copy(tool: Any, permit: Permit | None, runs: Runs, *, barred: bool) -> BaseTool:
    made = copy.copy(tool)
    quiet = _quiet(made)
    waits = isinstance(tool, AsyncBaseTool)
    call = quiet.call if waits else quiet.__call__
    acall = quiet.acall if waits else _threaded(call)
    parameters = _Parameters(acall if waits else call)

    def validated(arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if barred or not _fits(tool, arguments, {}):
            return None
        return parameters.named((), arguments)

    facts = Facts(tool.metadata.get_name(), _Itself(tool), permit, validated)
    blocking = ToolInColour(facts, _succeeding(_awaitable(call)))
    aio = ToolInColour(facts, _succeeding(acall))
    kind: type = generated(runs.accel, (_COPIED, type(tool)), lambda: _subclass(type(tool)))
    object.__setattr__(made, "__class__", kind)  # a frozen model would refuse
    vars(made)[_COPIED] = Copied(tool, runs, blocking, aio)
    return made  # type: ignore[no-any-return]


def _subclass(base: Any) -> type:
    """Return a subclass of `base` whose instances hold their `Copied`.

    Its methods are in a span, as those of `base` are, so they call what is inside of those.
    """
    first = "call" if issubclass(base, AsyncBaseTool) else "__call__"

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        inside = functools.partial(_unspanned(base, first), self)
        copied: Copied = vars(self)[_COPIED]
        return _passing(copied.runs, copied.blocking, _Parameters(inside), inside)(*args, **kwargs)

    async def acall(self: Any, *args: Any, **kwargs: Any) -> Any:
        inside = functools.partial(_unspanned(base, "acall"), self)
        copied: Copied = vars(self)[_COPIED]
        return await _apassing(copied.runs, copied.aio, _Parameters(inside), inside)(
            *args, **kwargs
        )

    methods = {first: call} if first == "__call__" else {first: call, "acall": acall}
    for name, method in methods.items():
        # Named alike, as spans are named; not marked alike, since it is to be in one.
        functools.update_wrapper(method, _unspanned(base, name), updated=())
    return subclass(base, methods)


def _quiet(tool: Any) -> Any:
    """Return a view of `tool` whose calls, of one another too, are in no span."""
    quiet = copy.copy(tool)
    object.__setattr__(quiet, "__dict__", vars(tool))
    kind: Any = type(tool)
    methods = {name: _unspanned(kind, name) for name in _CALLS if hasattr(kind, name)}
    object.__setattr__(quiet, "__class__", subclass(kind, methods))
    return quiet


def _passing(
    runs: Runs, tool: ToolInColour, parameters: _Parameters, function: Callable[..., Any]
) -> Callable[..., Any]:
    """Return `function` as it is called through the session of the run."""

    @functools.wraps(function)
    def passing(*args: Any, **kwargs: Any) -> Any:
        async def execute() -> Any:
            return function(*args, **kwargs)

        arguments = parameters.named(args, kwargs)
        with _calling(runs, tool, arguments, kwargs) as (session, made):
            if session is None or arguments is None:
                made.result = function(*args, **kwargs)
            else:
                made.result = session.call(tool, arguments, execute)
        return made.result

    return passing


def _apassing(
    runs: Runs, tool: ToolInColour, parameters: _Parameters, function: Callable[..., Any]
) -> Callable[..., Any]:
    """Async form of `_passing`."""

    @functools.wraps(function)
    async def passing(*args: Any, **kwargs: Any) -> Any:
        async def execute() -> Any:
            return await function(*args, **kwargs)

        arguments = parameters.named(args, kwargs)
        with _calling(runs, tool, arguments, kwargs) as (session, made):
            if session is None or arguments is None:
                made.result = await function(*args, **kwargs)
            else:
                made.result = await session.acall(tool, arguments, execute)
        return made.result

    return passing


def _ending(runs: Runs, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`, whose end in a thread is a change: who asked may have left before."""

    @functools.wraps(function)
    def ending(*args: Any, **kwargs: Any) -> Any:
        with runs.changing():
            return function(*args, **kwargs)

    return ending


@contextmanager
def _calling(
    runs: Runs,
    tool: ToolInColour,
    arguments: Mapping[str, Any] | None,
    kwargs: Mapping[str, Any],
) -> Iterator[tuple[Session | None, Made]]:
    """Note a real call; give the session it may be shared in, or None."""
    run = runs.current()
    given = kwargs if arguments is None else arguments
    shown = {name: given[name] for name in given if name not in tool.hidden}
    with run.making(tool.name, shown) as made:
        if tool.free:
            yield None if run.blind else run.session, made
        else:
            with runs.changing():
                yield None, made


def _identity(functions: tuple[Any, ...], tool: object) -> Hashable:
    """Return what tells the tool from others: its functions, which two may share, or itself.

    Methods are equal where their objects are the very same.
    """
    if all(inspect.isfunction(each) or inspect.ismethod(each) for each in functions):
        return functions
    return _Itself(tool)


class _Itself:
    """An object that may not be hashable, by which one it is."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other._value is self._value

    def __hash__(self) -> int:
        return id(self._value)


def _defined(kind: type, name: str) -> Any:
    """Return the method of `kind` as its class holds it: wrappers are made anew at each access."""
    return next(vars(each)[name] for each in kind.__mro__ if name in vars(each))


def _unspanned(kind: type, name: str) -> Callable[..., Any]:
    """Return the method of `kind` without the span that LlamaIndex's decorator puts around it."""
    method = _defined(kind, name)
    inside: Callable[..., Any] = getattr(method, "__wrapped__", method)
    return inside


def _awaitable(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    async def awaitable(**arguments: Any) -> Any:
        return function(**arguments)

    return awaitable


def _threaded(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Return `function` in a thread of its own.

    The loop's threads are for calls that were asked for: guesses that hang would keep them.
    """
    return functools.partial(in_own_thread, function)


def _succeeding(execute: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return `execute`, which raises where the tool's output says that it failed."""

    async def succeeding(**arguments: Any) -> Any:
        output = await execute(**arguments)
        if getattr(output, "is_error", False):
            raise RuntimeError(str(output))
        return output

    return succeeding
