"""What a speculative LLM knows: its tools, and the runs that their calls belong to.

Invariant: what goes wrong when a turn is begun is an event, and the model is asked all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.tools import FunctionTool
from llama_index.core.tools.types import BaseTool

from accel_core import events
from accel_core.errors import UnsupportedError, in_words
from llamaindex_accel._speculative_draft import AtHand, at_hand
from llamaindex_accel._speculative_tools import copied_of, copy_of, original_of
from llamaindex_accel._speculative_turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

    from accel_core.permits import Permits
    from llamaindex_accel._speculative_runs import Runs
    from llamaindex_accel._speculative_tools import Copied
    from llamaindex_accel._speculative_turn import Reader


class Speculation:
    """Tools and runs of one speculative LLM.

    Attributes:
        tools: those it was given, by name.
    """

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self.tools: dict[str, Copied] = {}

    def add(
        self, tool: BaseTool | Callable[..., Any], permits: Iterable[Permits], never: Container[str]
    ) -> BaseTool:
        """Return a copy of `tool`, which its agents offer under its name.

        Args:
            tool: a function is made a tool of, as agents do.
            permits: say whether it may be called unasked; one is enough.
            never: names of tools that are not, whatever they were declared.
        """
        if not callable(tool):
            raise UnsupportedError(f"tools= takes tools and functions; got {tool!r}")
        made = tool if isinstance(tool, BaseTool) else FunctionTool.from_defaults(tool)
        own = original_of(made)
        name = own.metadata.get_name()
        function = own.real_fn if isinstance(own, FunctionTool) else None
        found = (each.find(name, own, function) for each in permits)
        permit = next((permit for permit in found if permit is not None), None)
        copied = copy_of(own, permit, self._runs, barred=name in never)
        known = copied_of(copied)
        assert known is not None
        self.tools[name] = known
        return copied

    def begin(
        self, messages: Sequence[Any], tools: Mapping[str, Copied], read: Reader, *, waits: bool
    ) -> Turn:
        """Begin a turn, in which the model is asked with `messages` and offered `tools`.

        Args:
            messages: the conversation.
            tools: by name.
            read: reads its answers.
            waits: whether an event loop runs it.
        """
        run = self._runs.asking(messages)
        self._runs.regain_sight(run)
        trajectory = run.read(messages)
        originals = {name: tool.original for name, tool in tools.items()}
        token = at_hand.set(AtHand(messages, originals, waits))
        try:
            if waits:
                thinking = run.session.athink(trajectory, {n: t.aio for n, t in tools.items()})
            else:
                thinking = run.session.think(trajectory, {n: t.blocking for n, t in tools.items()})
        finally:
            at_hand.reset(token)
        return Turn(self._runs, run, thinking, tools, read)

    def failed(self, error: Exception) -> None:
        """Report that a turn is without speculation."""
        self._runs.accel._emit(events.BackendFailed("speculation", "begin", in_words(error)))

    def __deepcopy__(self, memo: object) -> Speculation:
        return self
