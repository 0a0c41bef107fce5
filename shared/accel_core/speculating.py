"""The ports of speculation: a tool as the speculator sees it, and whoever guesses the next calls.

Rules as for `ports`. A tool is handed over in a colour: what `Tool.run` returns suspends only
where an event loop drives it. A predictor raises what it likes: an event is made of it, and the run
goes on without its guesses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from accel_core.ports import Io

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Mapping, Sequence

    from accel_core.policy.trajectory import Guess, Trajectory


class SpeculationIo(Io, Protocol):
    """What carries out guesses, in one colour."""

    def later(self, delay_s: float, call: Callable[[], object]) -> Callable[[], object]:
        """Call `call` in `delay_s` seconds, and return what prevents that, from any thread.

        Where nothing that was begun can be stopped, which is what it is for, it is never called.

        Raises:
            RuntimeError: no loop runs here.
        """

    def carrier(self) -> Callable[[], bool]:
        """Return what says, later and from any thread, whether what runs here is carried on.

        A loop may be left standing with its tasks; nobody should wait for these.
        """


class Tool(Protocol):
    """One tool of an agent, in one colour."""

    @property
    def name(self) -> str:
        """What models call it by."""

    @property
    def identity(self) -> Hashable:
        """Equal for one tool alone: ``list_tables {}`` is the same text in every database."""

    @property
    def free(self) -> bool:
        """Whether calling it changes nothing, so that it may be called unasked."""

    @property
    def static(self) -> bool:
        """Whether it returns the same for a while, whatever happens."""

    def validated(self, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return `arguments` as the tool will see them, defaults filled; None: they are wrong."""

    async def run(self, arguments: Mapping[str, Any]) -> Any:
        """Call it with `validated` arguments, unseen by whoever watches the agent.

        Raises:
            Exception: what the tool raises, never turned into a result.
        """

    def copied(self, result: Any) -> Any:
        """Return a copy of `result` that shares nothing with it that could be changed.

        Raises:
            Exception: it cannot be copied; the tool's results are then not shared.
        """


@runtime_checkable
class Compared(Protocol):
    """A `Tool` that knows when two results say the same, by more than their values do."""

    def same(self, one: Any, other: Any) -> bool:
        """Whether a model would read the same in both."""


@runtime_checkable
class Predictor(Protocol):
    """Guesses an agent's next calls. Safe to call from several threads."""

    name: str
    """What its guesses are counted under."""

    def predict(self, trajectory: Trajectory, free: Collection[str]) -> Sequence[Guess]:
        """Return calls that may be made next, of the tools named `free`; a few ms at most."""

    def learn(self, trajectory: Trajectory, free: Collection[str]) -> None:
        """Take note of a run that has ended; what is not `free` may have changed something."""


@runtime_checkable
class Drafter(Protocol):
    """Guesses by asking somebody, such as a small model, while the main one is asked.

    It is asked in the colour of the agent: on the running loop, or in a thread without one, where
    it must not suspend. What it has not said when the main model has answered is left.
    """

    name: str

    async def draft(self, trajectory: Trajectory, free: Collection[str]) -> Sequence[Guess]:
        """Return calls that may be made next, of the tools named `free`."""
