"""Speculation for LangChain: what one set of tools shares, whoever asks its models.

Wired here are the speculator, who may be called unasked, and what is known of each tool.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool

from langchain_accel._speculation_context import around, heard_by
from langchain_accel._speculation_copies import copy_of, is_copy
from langchain_accel._speculation_listener import Listener
from langchain_accel._speculation_sessions import Sessions
from langchain_accel._speculation_tool import CalledTool, Kind, kind_of
from langchain_accel._speculation_turn import Asking

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from langchain_core.runnables import RunnableConfig

    from accel_core.permits import Permits
    from accel_core.tool_speculator import ToolSpeculator

T = TypeVar("T", bound=BaseTool)
_MOST_TOOLS = 1_000
"""Known at once; applications that make tools anew for every request make many."""


class Speculation:
    """One set of tools, and the speculator that they share. Safe to share between threads.

    Args:
        speculator: begins guesses, and answers calls by them.
        permits: who may be called unasked.
    """

    def __init__(self, speculator: ToolSpeculator, permits: Permits) -> None:
        self.speculator, self.sessions = speculator, Sessions()
        self.barred: frozenset[str] = frozenset()
        """Names of tools that are never called unasked, whoever permitted it."""
        self._permits = permits
        self._lock = threading.RLock()
        self._known: OrderedDict[int, tuple[BaseTool, Kind]] = OrderedDict()
        self._copies: OrderedDict[int, BaseTool] = OrderedDict()
        self._generated: dict[type, type] = {}

    @contextmanager
    def hearing(
        self, tools: Iterable[Any], config: RunnableConfig | None, *, looped: bool
    ) -> Iterator[None]:
        """Hear of the models that are asked within; arguments as for `listener`."""
        listener = self.listener(tools, config, looped=looped)
        try:
            with heard_by(listener):
                yield
        finally:
            listener.close()

    def listener(
        self, tools: Iterable[Any], config: RunnableConfig | None, *, looped: bool
    ) -> Listener:
        """Return who is to hear of an agent's model while it is asked.

        Args:
            tools: the agent's; what is no tool of LangChain's is left out.
            config: the run's; None takes the current one.
            looped: whether the model is asked on an event loop.
        """
        config = ensure_config(config)
        kinds = [self.kind(tool) for tool in tools if isinstance(tool, BaseTool)]
        rest = around(config)
        coloured = {
            kind.tool.name: (
                self.called(kind, config, rest),
                self.called(kind, config, rest, looped=True),
            )
            for kind in kinds
        }
        return Listener(Asking(self.speculator, self.sessions, coloured), looped=looped)

    def copied(self, tool: BaseTool) -> BaseTool:
        """Return the copy of `tool` whose calls are answered by guesses; one is returned as is."""
        if is_copy(tool):
            return tool
        kind = self.kind(tool)
        with self._lock:
            made = self._copies.get(id(tool))
            if made is None:
                made = self._copies[id(tool)] = copy_of(tool, self)
                self._note(made, kind)
        return made

    def kind(self, tool: BaseTool) -> Kind:
        """Return what is known of `tool`, or of what it is a copy of."""
        with self._lock:
            known = self._known.get(id(tool))
            if known is not None:
                return known[1]
            parts = (tool, getattr(tool, "func", None), getattr(tool, "coroutine", None))
            kind = kind_of(tool, self._permits.find(tool.name, *parts))
            self._note(tool, kind)
            return kind

    def called(
        self,
        kind: Kind,
        config: RunnableConfig,
        rest: Hashable = None,
        *,
        looped: bool = False,
    ) -> CalledTool:
        """Return a tool as it is called in the run that `config` is of."""
        rest = around(config) if rest is None else rest
        barred = kind.tool.name in self.barred
        return CalledTool(kind, config, rest, barred=barred, looped=looped)

    def generated(
        self, base: type[BaseTool], make: Callable[[type[BaseTool], Speculation], type[BaseTool]]
    ) -> type[BaseTool]:
        """Return what `make` returned for `base`."""
        with self._lock:
            made = self._generated.get(base)
            if made is None:
                made = self._generated[base] = make(base, self)
            return made

    def _note(self, tool: BaseTool, kind: Kind) -> None:
        # The tool is kept with it: nothing else may come to have its id.
        self._known[id(tool)] = (tool, kind)
        while len(self._known) > _MOST_TOOLS:
            gone, _ = self._known.popitem(last=False)
            self._copies.pop(gone, None)
