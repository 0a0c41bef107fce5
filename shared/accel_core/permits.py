"""Which tools may be called unasked: those that a developer marked, or named, and no others.

A mark is kept in the tool's own ``__dict__``, so that it goes with every copy a framework makes of
it and ends with it. A function's mark is not: a decorator copies its function's ``__dict__`` onto
what it makes (`functools.wraps`), and nobody marked that.
"""

from __future__ import annotations

import types
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

from accel_core import events
from accel_core.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

T = TypeVar("T")

_MARK = "__accel_speculatable__"
_functions: weakref.WeakKeyDictionary[types.FunctionType, Permit] = weakref.WeakKeyDictionary()


class Permit(NamedTuple):
    """What a developer said of a tool: calling it changes nothing.

    Attributes:
        static: it also returns the same for a while, whoever asks and whatever else happens.
    """

    static: bool = False


@overload
def speculatable(tool: T, /, *, static: bool = False) -> T: ...


@overload
def speculatable(*, static: bool = False) -> Callable[[T], T]: ...


def speculatable(tool: Any = None, /, *, static: bool = False) -> Any:
    """Mark `tool`, a tool or the function that one is made of, as free of side effects; return it.

    Whether the call is made once, twice or in vain must make no difference: nothing is written,
    sent, charged, or moved on, as the cursor behind "next page" would be. An unused call still
    tells its host what somebody may be about to ask.

    Args:
        tool: marked in place; without it, what is returned is a decorator.
        static: whether it returns the same for a while whatever happens, such as a schema or a
            catalogue, so that its results outlast calls that change something, and runs.

    Raises:
        TypeError: it cannot be marked: a class, a method of one object, or what keeps no
            attributes.

    Example:
        >>> @speculatable
        ... def order_status(order_id: str) -> str: ...
        >>> permit_of(order_status)
        Permit(static=False)
    """
    if tool is None:
        return lambda marked: speculatable(marked, static=static)
    permit = Permit(static)
    if isinstance(tool, types.FunctionType):
        _functions[tool] = permit
        return tool
    if isinstance(tool, (type, types.MethodType)):
        kind = "class" if isinstance(tool, type) else "bound method"
        msg = (
            f"{tool!r} is a {kind}: mark the tool that is made of it, or the function in its class"
        )
        raise TypeError(msg)
    try:
        # Not by setattr: a Pydantic model takes no attribute that is no field of it.
        vars(tool)[_MARK] = permit
    except TypeError:
        msg = f"a {type(tool).__name__} keeps no mark: allow it by name (speculation.tools)"
        raise TypeError(msg) from None
    return tool


def permit_of(tool: object) -> Permit | None:
    """Return how `tool` was marked; None: it was not. A method is marked as its function is."""
    function = tool.__func__ if isinstance(tool, types.MethodType) else tool
    if isinstance(function, types.FunctionType):
        return _functions.get(function)
    if isinstance(tool, type):
        return None
    found = getattr(tool, "__dict__", {}).get(_MARK)
    return found if isinstance(found, Permit) else None


def names_of(
    argument: str, given: Iterable[object], named: Callable[[Any], str | None]
) -> list[str]:
    """Return the names that an argument lists, as texts or as tools.

    Args:
        argument: what it is called, for the error.
        given: what it lists.
        named: returns a tool's name; None: it is no tool.

    Raises:
        UnsupportedError: it is one text, whose letters would be taken for names, or holds what is
            neither a name nor a tool.
    """
    if isinstance(given, str):
        msg = f"{argument}= takes a list of names, such as [{given!r}]; got the text {given!r}"
        raise UnsupportedError(msg)
    found = []
    for each in given:
        name = each if isinstance(each, str) else named(each)
        if name is None:
            msg = f"{argument}= takes names of tools, or tools; got {each!r}"
            raise UnsupportedError(msg)
        found.append(name)
    return found


def unknown(
    lists: Mapping[str, Collection[str]], tools: Collection[str]
) -> list[events.ToolsUnknown]:
    """Return what is to be told of names in `lists`, by argument, that none of `tools` has."""
    found = {
        argument: tuple(name for name in names if name not in tools)
        for argument, names in lists.items()
    }
    known = tuple(sorted(tools))
    return [events.ToolsUnknown(each, names, known) for each, names in found.items() if names]


class Permits:
    """Who may be called unasked, by mark or by name.

    Args:
        tools: names of tools that are free of side effects.
        static: names of those that also return the same for a while; free without being named in
            `tools`.
        enabled: whether anyone may, marked or named.
    """

    def __init__(
        self, tools: Collection[str] = (), static: Collection[str] = (), *, enabled: bool = True
    ) -> None:
        self._enabled = enabled
        self._static = frozenset(static)
        self._tools = self._static | frozenset(tools)

    def find(self, name: str, *marked: object) -> Permit | None:
        """Return the permit of a tool; None: it is only called when it is asked for.

        Args:
            name: what models call it by.
            *marked: the tool and what it is made of, such as its function; one mark is enough.
        """
        if not self._enabled:
            return None
        found = [permit for permit in map(permit_of, marked) if permit is not None]
        if name in self._tools:
            found.append(Permit(name in self._static))
        return Permit(any(permit.static for permit in found)) if found else None
