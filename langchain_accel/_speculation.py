"""Speculation for LangChain: what one set of tools shares, whoever asks its models."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool

from accel_core.permits import unknown
from langchain_accel._speculation_context import around, heard_by
from langchain_accel._speculation_copies import Copies
from langchain_accel._speculation_known import KnownTools
from langchain_accel._speculation_listener import Listener
from langchain_accel._speculation_turn import Asking

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from langchain_core.runnables import RunnableConfig

    from accel_core.permits import Permits
    from langchain_accel._speculation_runs import Runs


class Speculation:
    """One set of tools, and the runs of their agents. Safe to share between threads.

    Args:
        runs: those of agents for whom the same guess.
        permits: who may be called unasked, by any of them.
    """

    def __init__(self, runs: Runs, permits: Sequence[Permits]) -> None:
        self._runs, self._known = runs, KnownTools(permits)
        self._copies = Copies(runs, self._known)

    def bar(self, names: Iterable[str]) -> None:
        """Let no tool of these names be called unasked, whoever permitted it."""
        self._known.bar(names)

    def check(self, lists: Mapping[str, Collection[str]], tools: Collection[str]) -> None:
        """Tell of names in `lists`, by argument, that none of the agent's `tools` has."""
        for told in unknown(lists, tools):
            self._runs.emit(told)

    def copied(self, tool: BaseTool) -> BaseTool:
        """Return the copy of `tool` whose calls are answered by what was begun before."""
        return self._copies.of(tool)

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
        rest = around(config)
        coloured = {}
        for tool in tools:
            if isinstance(tool, BaseTool):
                kind = self._known.kind(tool)
                colours = [
                    self._known.called(kind, config, rest, looped=on) for on in (False, True)
                ]
                coloured[tool.name] = (colours[0], colours[1])
        return Listener(Asking(self._runs, coloured), looped=looped)

    @contextmanager
    def hearing(
        self, tools: Iterable[Any], config: RunnableConfig | None, *, looped: bool
    ) -> Iterator[Listener]:
        """Hear of the models that are asked within; arguments as for `listener`."""
        listener = self.listener(tools, config, looped=looped)
        try:
            with heard_by(listener):
                yield listener
        finally:
            listener.close()
