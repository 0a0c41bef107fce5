"""Tools of MCP servers, marked by what a trusted server says of them.

Annotations are a server's word, and the protocol calls them untrusted: nothing here reads them but
for the tools of a server that the application names. They are read where langchain-mcp-adapters
puts them (the tool's ``metadata`` itself), and where ``langchain.mcp`` does (inside, under ``mcp``,
``tool``, ``annotations``); hints that are not given are what the protocol says: a tool may change
something, and reaches the open world.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from accel_core.permits import speculatable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from langchain_core.tools import BaseTool

    Tool = TypeVar("Tool", bound=BaseTool)


def trust_mcp(tools: Iterable[Tool], *, open_world: bool = False) -> list[Tool]:
    """Return `tools`; those that their server calls read-only may be called unasked from now on.

    A call that is not asked for after all still tells the server what somebody may be about to ask.

    Args:
        tools: of one server that you trust, as ``client.get_tools(server_name=...)`` returns them.
        open_world: whether that also goes for tools that reach beyond the server, such as a search
            of the web, so that others are told, too.

    Example:
        >>> tools = trust_mcp(await client.get_tools(server_name="catalogue"))  # doctest: +SKIP
    """
    found = list(tools)
    for tool in found:
        hints = _hints(tool.metadata or {})
        reads_only = hints.get("readonlyhint") is True and not hints.get("destructivehint")
        stays = hints.get("openworldhint") is False
        if reads_only and (stays or open_world):
            speculatable(tool)
    return found


def _hints(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool's annotations, by their names in small letters alone."""
    found = dict(metadata)
    for path in (("annotations",), ("mcp", "tool", "annotations")):
        place: Any = metadata
        for step in path:
            place = place.get(step) if isinstance(place, dict) else None
        if isinstance(place, dict):
            found |= place
    return {re.sub("[^a-z]", "", str(name).lower()): value for name, value in found.items()}
