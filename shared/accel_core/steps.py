"""Embeddings, retrievals and tool calls as requests: what beside language models is waited for.

Invariant: a step that is recorded ends once, when its ``with`` block is left at the latest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from accel_core.recording import carrying_out

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

    from accel_core.recording import Record, Used


T = TypeVar("T")


class Begin(Protocol):
    """Begins a step (`Asking.step`)."""

    def __call__(self, operation: str, *, name: str = "") -> Step:
        """Return it."""


def unrecorded(operation: str, *, name: str = "") -> Step:  # noqa: ARG001 - as `Begin` is
    """Begin a step that nothing is told of."""
    return Step(None)


class Tagged(NamedTuple):
    """What a framework tells of a step (`recording.Told`)."""

    tags: Sequence[str] | None
    provider: str = ""


class Step:
    """One such request, carried out inside its ``with`` block.

    Args:
        record: what is told of it; None: nothing, and nothing here does anything.

    Attributes:
        used: returns what who was asked says was used; None: nobody hears it.
    """

    __slots__ = ("_inside", "record", "used")

    def __init__(self, record: Record | None) -> None:
        self.record, self._inside = record, carrying_out(record)
        self.used: Callable[[], Used] | None = None

    def ask(self) -> None:
        """Note that who answers it is asked, where that was not noted before."""
        record = self.record
        if record is not None and not record.ended and record.asked_s is None:
            record.ask()
            record.lookup_s = record.mono_now() - record.began_s

    def asking(self, execute: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
        """Return `execute`, which asks; what it does after the end of the step is not noted."""

        async def asked() -> T:
            self.ask()
            return await execute()

        return asked

    def passes_by(self, reason: str) -> None:
        """Note that the cache is not asked."""
        if self.record is not None:
            self.record.bypass = reason

    def reused(self, reason: str) -> None:
        """End, answered by what was there, unless somebody was asked."""
        if self.record is not None and self.record.asked_s is None:
            self.record.reused(reason)

    def __enter__(self) -> Step:
        if self.record is not None:
            self._inside.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.record is not None:
            self._inside.__exit__(kind, error, trace)
            self.record.answered = error is None
            self.record.end(self.used, error=error)
