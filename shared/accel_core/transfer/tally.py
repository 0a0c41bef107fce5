"""What became of entries on their way, counted.

What stays behind is counted by reason:

=============  ================================================================================
``expired``    its time is over
``resting``    it rests on documents: their changes are numbered by the store it lies in, and no
               other can tell whether it still holds, so that it might be served stale
``there``      the store that takes has one under its name
``seal``       it was not sealed with a key that is set
``format``     its bytes are no entry; ``version``: of another version, ``key``: of another place
``malformed``  its line is no entry
=============  ================================================================================
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from accel_core.ports import Entry

DAMAGE = ("seal", "format", "version", "key", "malformed")
"""The reasons of what should be an entry and is none."""

_REFUSALS = 20
"""So many are told of in full."""


class Refusal(NamedTuple):
    """A line that was not taken: its number, from 1, and what is wrong with it."""

    line: int
    problem: str


@dataclass(slots=True)
class Tally:
    """What became of the entries that were read.

    Attributes:
        read: how many there were, readable or not.
        written: how many were stored, or put into a file.
        same: how many the store had already, as they are.
        left: how many stayed behind, by reason.
        encoded: of how many the vector was made anew.
        plain: how many have no vector now, since the new encoder is not trusted with their text.
        refusals: the first lines that were refused.
        cut: whether the file is not whole.
        full: whether the store has as many as it may, so that its oldest have left or are about to.
    """

    read: int = 0
    written: int = 0
    same: int = 0
    left: Counter[str] = field(default_factory=Counter)
    encoded: int = 0
    plain: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    cut: bool = False
    full: bool = False

    @property
    def damaged(self) -> bool:
        """Whether something that should be an entry is none."""
        return self.cut or any(self.left[reason] for reason in DAMAGE)

    def refuse(self, line: int, reason: str, problem: str) -> None:
        """Count a line that is no entry."""
        self.left[reason] += 1
        if len(self.refusals) < _REFUSALS:
            self.refusals.append(Refusal(line, problem))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "read": self.read,
            "written": self.written,
            "same": self.same,
            "left": dict(self.left),
            "encoded": self.encoded,
            "plain": self.plain,
            "refusals": [refusal._asdict() for refusal in self.refusals],
            "cut": self.cut,
            "full": self.full,
        }


def stays(entry: Entry, now_s: float) -> str:
    """Return why `entry` may not be carried; nothing where it may."""
    if math.isnan(entry.expires_s) or not all(map(math.isfinite, _moments(entry))):
        return "format"
    if entry.expires_s <= now_s:
        return "expired"
    return "resting" if entry.bases else ""


def _moments(entry: Entry) -> tuple[float, ...]:
    return entry.created_s, entry.cost_s, entry.fresh_until_s or 0.0
