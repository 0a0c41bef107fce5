"""One asking of a model: what is begun meanwhile, what its stream shows, what it asked for.

A call in a stream is complete when another one has begun, or the stream has ended; that its
arguments parse says nothing. Whatever becomes of the asking, its thinking ends with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from llama_index.core.base.llms.types import ToolCallBlock

from llamaindex_accel._trajectory import said

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from types import TracebackType

    from accel_core.policy.trajectory import ToolCall
    from accel_core.tool_speculator import Thinking
    from llamaindex_accel._speculative_runs import Run, Runs

_HAND_OFF = "handoff"
"""LlamaIndex's own tool of workflows of several agents; a reserved name. It changes no data."""


class Reader(Protocol):
    """Reads what a response asks for."""

    def __call__(self, response: Any) -> Sequence[ToolCall] | None:
        """Return its calls; None: it cannot be read."""


class Turn:
    """A model at work; a context manager that abandons what did not come to an answer.

    Args:
        runs: those that `run` is one of.
        run: the one it is a turn of.
        thinking: what was begun.
        known: names of the tools whose calls pass the speculator.
        read: reads responses.
    """

    def __init__(
        self, runs: Runs, run: Run, thinking: Thinking, known: Collection[str], read: Reader
    ) -> None:
        self._runs, self._run, self._thinking = runs, run, thinking
        self._known, self._read = known, read
        self._last: Any = None
        self._sealed = 0
        self._answered = False

    def __enter__(self) -> Turn:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._answered:
            self._answered = True
            self._thinking.answered(())
            if error is not None and not isinstance(error, Exception):
                self._run.end()  # cancelled, or given up: nobody comes back for what was begun

    def saw(self, chunk: Any) -> None:
        """Take note of a part of the stream."""
        self._last = chunk
        blocks = getattr(getattr(chunk, "message", None), "blocks", ())
        begun = sum(isinstance(block, ToolCallBlock) for block in blocks)
        if begun > self._sealed + 1:
            self._seal((self._read(chunk) or ())[: begun - 1])

    def over(self) -> None:
        """Take note of the stream's end."""
        if self._last is not None:
            self._seal(self._read(self._last) or ())
        self.answered(self._last)

    def answered(self, response: Any) -> None:
        """Take note of the whole answer."""
        self._answered = True
        calls = None if response is None else self._read(response)
        self._thinking.answered(calls or ())
        if any(call.tool not in self._known and call.tool != _HAND_OFF for call in calls or ()):
            self._runs.lose_sight(self._run)
        if calls is not None and not calls:
            self._run.end(said(response.message.content or ""))

    def _seal(self, calls: Sequence[ToolCall]) -> None:
        for call in calls[self._sealed :]:
            self._thinking.sealed(call)
        self._sealed = max(self._sealed, len(calls))
