"""Which tools the other middlewares of an agent hold back.

A guess is made before anybody is asked for approval, so a tool that needs one is never guessed,
whoever declared it harmless. ``create_agent`` tells a middleware nothing of the others, and what
stands in its graph cannot be reached from within; but it asks each for its name, and what it was
given is then one or two frames away. Where that cannot be read, nobody is guessed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

_FRAMES = 4


class Beside(NamedTuple):
    """What an agent is made of, as far as guesses are concerned.

    Attributes:
        held_back: names of tools that need an approval, or whose calls are counted.
        paused: whether the agent stops before its tools, so that somebody may look, or the calls of
            all of them are counted.
        tools: names of all its tools.
    """

    held_back: frozenset[str]
    paused: bool
    tools: frozenset[str]


def being_made() -> Beside | None:
    """Return what the agent is made of that is being made; None: none is, as far as can be seen."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_FRAMES):
        if frame is None:
            return None
        given = frame.f_locals
        if frame.f_code.co_name == "create_agent" and "middleware" in given:
            pauses = (given.get("interrupt_before"), given.get("interrupt_after"))
            middlewares = given["middleware"]
            paused = any(map(_before_tools, pauses)) or any(map(_counts_all, middlewares))
            return Beside(held_back(middlewares), paused, _names(given.get("tools"), middlewares))
        frame = frame.f_back
    return None


def held_back(middlewares: Iterable[Any]) -> frozenset[str]:
    """Return the tools that middlewares let somebody approve, or whose calls they count."""
    names: set[str] = set()
    for middleware in middlewares:
        approved = getattr(middleware, "interrupt_on", None)
        if isinstance(approved, dict):
            names.update(name for name, how in approved.items() if how)
        counted = getattr(middleware, "tool_name", None)
        if isinstance(counted, str):
            names.add(counted)
    return frozenset(names)


def _names(tools: Any, middlewares: Iterable[Any]) -> frozenset[str]:
    """Return the names that a model calls the agent's tools by, its middlewares' among them."""
    given = [tools, *(getattr(middleware, "tools", None) for middleware in middlewares)]
    found = {_name(tool) for some in given for tool in some or ()}
    return frozenset(name for name in found if name)


def _name(tool: Any) -> str:
    if isinstance(tool, dict):
        return str(tool.get("name") or tool.get("function", {}).get("name", ""))
    return str(getattr(tool, "name", "") or getattr(tool, "__name__", ""))


def _counts_all(middleware: Any) -> bool:
    """Whether it is a `ToolCallLimitMiddleware` of every tool."""
    return hasattr(middleware, "run_limit") and getattr(middleware, "tool_name", "") is None


def _before_tools(nodes: Any) -> bool:
    named = isinstance(nodes, (list, tuple)) and not {"model", "tools"}.isdisjoint(nodes)
    return nodes == "*" or named
