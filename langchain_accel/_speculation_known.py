"""What is known of tools: whether they may be called unasked, and what a call of them is.

Each is looked at once. The longest unused are forgotten: some applications make tools anew for
every request.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from langchain_accel._speculation_tool import CalledTool, Kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from langchain_core.runnables import RunnableConfig
    from langchain_core.tools import BaseTool

    from accel_core.permits import Permits

_MOST = 1_000


class KnownTools:
    """Those of one speculator. Safe to share between threads.

    Args:
        permits: who may be called unasked, by any of them.
    """

    def __init__(self, permits: Sequence[Permits]) -> None:
        self._barred: frozenset[str] = frozenset()
        self._permits = permits
        self._lock = threading.Lock()
        # A tool is kept with what is known of it: nothing else may come to have its id.
        self._known: OrderedDict[int, tuple[BaseTool, Kind]] = OrderedDict()

    def bar(self, names: Iterable[str]) -> None:
        """Let no tool of these names be called unasked, whoever permitted it."""
        self._barred |= frozenset(names)

    def kind(self, tool: BaseTool) -> Kind:
        """Return what is known of `tool`, or of what it is a copy of."""
        with self._lock:
            known = self._known.get(id(tool))
        if known is not None:
            return known[1]
        parts = (tool, getattr(tool, "func", None), getattr(tool, "coroutine", None))
        found = (permits.find(tool.name, *parts) for permits in self._permits)
        kind = kind_of(tool, next((permit for permit in found if permit is not None), None))
        self.note(tool, kind)
        return kind

    def note(self, tool: BaseTool, kind: Kind) -> None:
        """Take note that `tool`, the one in `kind` or its copy, is of that kind."""
        with self._lock:
            self._known[id(tool)] = (tool, kind)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)

    def called(
        self, kind: Kind, config: RunnableConfig, rest: Hashable, *, looped: bool = False
    ) -> CalledTool:
        """Return a tool as it is called in the run that `config` is of."""
        barred = kind.tool.name in self._barred
        return CalledTool(kind, config, rest, barred=barred, looped=looped)
