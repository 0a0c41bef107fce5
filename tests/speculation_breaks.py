"""Ways in which speculation could be wrong, each of which the random agents must find out.

A comparison that finds nothing proves nothing unless it would have found something.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from accel_core import tool_calls
from accel_core.execution import CallKey
from accel_core.executions import Executions
from accel_core.guesses import Guesses, inside
from accel_core.policy.epochs import Epochs
from accel_core.tenancy import Tenant
from accel_core.tool_calls import ToolCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    Break = Callable[[pytest.MonkeyPatch], object]


def somebody_elses(broken: pytest.MonkeyPatch) -> None:
    """Everybody is taken for the same user of the same tenant."""
    nobody = Tenant("all")
    broken.setattr(tool_calls, "CallKey", lambda _, *call: CallKey(nobody, *call[:2]))


def out_of_date(broken: pytest.MonkeyPatch) -> None:
    """A call that changes something starts no epoch."""
    broken.setattr(Epochs, "holds", lambda *_: True)


def changed_meanwhile(broken: pytest.MonkeyPatch) -> None:
    """It starts one when it begins, and none when it has ended."""

    @contextmanager
    def changing(self: ToolCalls) -> Iterator[None]:
        self.changes()
        yield

    broken.setattr(ToolCalls, "changing", changing)


def other_arguments(broken: pytest.MonkeyPatch) -> None:
    """Calls of a tool are told apart by nothing."""
    broken.setattr(tool_calls, "canonical_json", lambda _: "{}")


def error_shown(broken: pytest.MonkeyPatch) -> None:
    """What a guess raises is its result."""

    async def run(self: Guesses, execution: Any, guessed: Any) -> None:
        inside.set(execution)
        try:
            result = await guessed.tool.run(guessed.arguments)
        except (Exception, SystemExit) as error:
            result = {"key": str(error), "value": 0}
        self._shared.executions.end(execution, result)

    broken.setattr(Guesses, "_run", run)


def written_unasked(broken: pytest.MonkeyPatch) -> None:
    """Every tool counts as free of side effects."""
    broken.setattr(ToolCalls, "free", lambda *_: True)


def left_running(broken: pytest.MonkeyPatch) -> None:
    """A guess is stopped neither in time nor at the end of its run."""
    for name in ("_end_in", "close", "abandon"):
        broken.setattr(Guesses, name, lambda *_: None)


def never_told(broken: pytest.MonkeyPatch) -> None:
    """A guess that has ended lets nobody know who waits for it."""
    real = Executions.end

    def end(self: Executions, execution: Any, outcome: Any) -> None:
        if not execution.origin.predictor:
            real(self, execution, outcome)

    broken.setattr(Executions, "end", end)


FOUND: dict[Break, str] = {
    somebody_elses: "differing",
    out_of_date: "differing",
    other_arguments: "differing",
    error_shown: "differing",
    written_unasked: "side_effects",
    left_running: "alive",
    never_told: "alive",
}
"""Breaks that every fuzz finds, and what it counts then."""
