"""A function as a verifier: one question, one stored question and its answer at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.ports import Case, Judge


class FunctionVerifier:
    """Asks a function about each case.

    Args:
        function: what is asked; it may return None for no verdict.
        name: what its refusals are counted under; the function's own where left out.
    """

    def __init__(self, function: Judge, *, name: str | None = None) -> None:
        self._function = function
        self.name = name or str(getattr(function, "__name__", type(function).__name__))

    def verify(self, cases: Sequence[Case]) -> list[bool | None]:
        """Return what the function says of each case."""
        return [self._function(*case) for case in cases]

    def __repr__(self) -> str:
        return f"FunctionVerifier({self.name!r})"
