"""Tools as the speculator sees them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping

    from accel_core.permits import Permit


class Facts(NamedTuple):
    """What both colours of a tool share.

    Attributes:
        permit: None: it is only called when it is asked for.
        validated: see `Tool.validated`.
        hidden: names of arguments that no model is told of, nor whoever learns.
    """

    name: str
    identity: Hashable
    permit: Permit | None
    validated: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
    hidden: Collection[str] = ()


class ToolInColour:
    """One tool in one colour: a `speculating.Tool`.

    Args:
        facts: what it is.
        execute: calls it by the names of its arguments; awaiting that suspends in one colour only.
    """

    __slots__ = ("_execute", "free", "hidden", "identity", "name", "static", "validated")

    def __init__(self, facts: Facts, execute: Callable[..., Awaitable[Any]]) -> None:
        self.name, self.identity, self.validated = facts.name, facts.identity, facts.validated
        self.hidden = facts.hidden
        self.free = facts.permit is not None
        self.static = facts.permit is not None and facts.permit.static
        self._execute = execute

    async def run(self, arguments: Mapping[str, Any]) -> Any:
        """Call it; arguments are its own to change."""
        return await self._execute(**copy.deepcopy(dict(arguments)))

    def copied(self, result: Any) -> Any:
        """Return a deep copy.

        Raises:
            Exception: there can be none, for example of a connection.
        """
        return copy.deepcopy(result)
