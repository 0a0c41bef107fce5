"""Which call it is, whose, and whether it may change something.

Invariants: two calls are the same only where tool, validated arguments, tenant and user are; of
nobody in particular they are so within one run alone, since two runs may be two people's, unless
the tool is static. Where that cannot be told, or a tool cannot be asked, the call is named nothing
and shared with nobody.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.errors import TenantRequiredError
from accel_core.execution import CallKey
from accel_core.policy.canonical import Unidentifiable, canonical_json
from accel_core.tenancy import as_each_inside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from accel_core.executions import Executions
    from accel_core.guessers import Grievances
    from accel_core.speculating import Tool
    from accel_core.tenancy import Tenant
    from accel_core.tool_records import ToolRecords


class Named(NamedTuple):
    """A call that can be told from others, and its validated arguments."""

    key: CallKey
    arguments: Mapping[str, Any]


class ToolCalls:
    """The calls that one speculator sees.

    Args:
        executions: those under way and lately done.
        records: what is known of each tool.
        whose: returns who is asking; where it raises `TenantRequiredError`, nothing is shared.
        grievances: told what tools raise when they are asked about themselves.
    """

    def __init__(
        self,
        executions: Executions,
        records: ToolRecords,
        *,
        whose: Callable[[], Tenant | None],
        grievances: Grievances,
    ) -> None:
        self._executions, self._records = executions, records
        self._whose, self._grievances = whose, grievances
        # One for each change under way: a list is counted up and down without a lock.
        self._changing: list[None] = []

    def free(self, tool: Tool) -> bool:
        """Whether calling `tool` changes nothing, as declared and not found otherwise."""
        return tool.free and not self._records.differs(tool.name)

    def named(self, tool: Tool, arguments: Mapping[str, Any], session: object) -> Named | None:
        """Return which call of `session` it is; None: it is wrong, or is shared with nobody."""
        try:
            validated = tool.validated(arguments)
            if validated is None:
                return None
            whose = self._whose()
            own = session if whose is None and not tool.static else None
            key = CallKey(whose, tool.identity, canonical_json(validated), own)
            hash(key)
        except (Unidentifiable, TenantRequiredError):
            return None
        except Exception as error:  # somebody's code: the call is made as ever
            self._grievances.raised(tool.name, "tool", error)
            return None
        return Named(key, validated)

    def changes(self) -> None:
        """Note that something of who is asking may change now, or has."""
        self._executions.change(self._changer())

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Note that something may change: now, and at the end, of all who were asking inside."""
        self._changing.append(None)
        try:
            with as_each_inside(self.changes):
                yield
        finally:
            if self._changing:  # a fork in its midst forgot it
                self._changing.pop()

    def after_fork(self) -> None:
        """Forget the parent's changes, which nobody ends here."""
        self._changing.clear()

    def change_under_way(self) -> bool:
        """Whether something may be changing at this moment, of anybody."""
        return bool(self._changing)

    def _changer(self) -> Tenant | None:
        try:
            return self._whose()
        except TenantRequiredError:
            return None
