"""The last invalidations, so that an answer asked for before one is not stored after it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.ports import Entry, Selector

_REMEMBERED = 64


class Invalidations:
    """Numbers invalidations; `mark` is the number of the last."""

    def __init__(self) -> None:
        self.mark = 0
        self._recent: deque[tuple[int, tuple[Selector, ...]]] = deque(maxlen=_REMEMBERED)

    def add(self, meant: Sequence[Selector]) -> None:
        """Take note of one, before anything is removed: what is under way is then refused."""
        self.mark += 1
        self._recent.append((self.mark, tuple(meant)))

    def since(self, mark: int, entry: Entry) -> bool:
        """Whether one that means `entry` came after `mark`, or may have and is forgotten."""
        if self.mark == mark:
            return False
        recent = list(self._recent)
        if recent and recent[0][0] > mark + 1:
            return True
        later = (selector for number, meant in recent if number > mark for selector in meant)
        return any(selector.matches(entry) for selector in later)
