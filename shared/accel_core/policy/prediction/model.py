"""What a mined predictor knows: counts, a forest that judges candidates, and how far to believe it.

Confidence is the forest's probability, shifted per tool by what came of earlier ones: log-odds are
moved until as many calls are expected as were made. Plain data: it is read from JSON, compared and
shipped, and loading it runs nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from accel_core.policy.forest import Forest
from accel_core.policy.prediction import habits
from accel_core.policy.prediction.binding import CONSTANT_RUNS, RUNS
from accel_core.policy.prediction.calls import FEATURES, candidates
from accel_core.policy.prediction.known import Known, Readers
from accel_core.policy.prediction.origins import CONSTANT
from accel_core.policy.prediction.tally import Tally
from accel_core.policy.trajectory import Guess

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping

    from accel_core.policy.prediction.calls import Candidate
    from accel_core.policy.prediction.tally import Key
    from accel_core.policy.trajectory import Trajectory

FORMAT = 1
NAME = "mined"
_BELIEVED = 20.0
"""So many expected calls weigh as much as the forest's own word."""
_JUDGED_FROM = 0.3
"""What is less probable is of no use, and says nothing of what is."""
_LEAST = 0.02


@dataclass(slots=True)
class CallModel:
    """Everything that guesses are made of.

    Attributes:
        forest: over `FEATURES`.
        tally: what runs have taught.
    """

    forest: Forest
    tally: Tally = field(default_factory=Tally)

    def guesses(self, run: Trajectory, free: Collection[str], readers: Readers) -> list[Guess]:
        """Return what may be called next, the most probable first."""
        known = Known(free, readers)
        for event in run:
            known.add(event)
        judged = [
            Guess(candidate.call, confidence, NAME)
            for candidate in candidates(self.tally, known, free)
            if (confidence := self.confidence(candidate)) >= _LEAST
        ]
        judged.sort(key=lambda guess: -guess.confidence)
        return judged

    def confidence(self, candidate: Candidate) -> float:
        """Return the probability, in [0, 1], that a candidate is called before a change."""
        odds = self.forest.log_odds(candidate.numbers)
        return _chance(odds + self._shift(candidate.call.tool))

    def _shift(self, tool: str) -> float:
        rows = self.tally.rows(("judged", tool))
        expected, used = rows.get("expected", 0.0), rows.get("used", 0.0)
        offered = rows.get("offered", 0.0)
        if not offered:
            return 0.0
        share = expected / offered
        observed = (used + _BELIEVED * share) / (offered + _BELIEVED)
        return _log_odds(observed) - _log_odds(share)

    def judge(self, tool: str, odds: float, *, used: bool) -> None:
        """Take note of what came of a candidate that the forest gave `odds`."""
        chance = _chance(odds)
        if chance >= _JUDGED_FROM:
            self.tally.add(("judged", tool), "offered")
            self.tally.add(("judged", tool), "expected", chance)
            if used:
                self.tally.add(("judged", tool), "used")

    def learn(self, run: Trajectory, free: Collection[str], readers: Readers) -> None:
        """Take note of a run that has ended: how good guesses were, then what it teaches."""
        run = run[-habits.EVENTS :]
        known, asked = Known(free, readers), set(habits.decisions(run))
        for number, event in enumerate(run):
            if number in asked:
                later = habits.upcoming(run, number, free)
                for candidate in candidates(self.tally, known, free):
                    odds = self.forest.log_odds(candidate.numbers)
                    self.judge(candidate.call.tool, odds, used=candidate.key in later)
            known.add(event)
        habits.learn(self.tally, run, free, readers)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads; what only one run has shown is left out."""
        lone = _Lone(self.tally)
        return {
            "format": FORMAT,
            "forest": self.forest.to_json(),
            "tally": self.tally.without(lone).to_json(),
        }

    @classmethod
    def from_json(cls, spelled: Mapping[str, Any]) -> CallModel:
        """Read a model.

        Raises:
            KeyError, TypeError, ValueError: it is none, or of another format.
        """
        if spelled["format"] != FORMAT:
            raise ValueError(f"format {spelled['format']!r} is not {FORMAT}")
        forest = Forest.from_json(spelled["forest"])
        if forest.features != tuple(FEATURES):
            raise ValueError("its forest is over other numbers than this version's")
        return cls(forest, Tally.from_json(spelled["tally"]))


class _Lone:
    """Tells the rows that rest on an origin that too few runs have shown."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def __call__(self, table: Key, row: Hashable, _: float) -> bool:
        if table[0] in ("origin", "runs") and len(table) > 1:
            return self._rare(table[1], table[2], row)
        if table[0] in ("cell", "outline"):
            return self._rare(table[1], table[2], table[3])
        return False

    def _rare(self, tool: Hashable, name: Hashable, origin: Any) -> bool:
        least = CONSTANT_RUNS if origin[0] == CONSTANT else RUNS
        return self._tally.count(("runs", tool, name), origin) < least


def _chance(odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(odds, 60.0))))


def _log_odds(share: float) -> float:
    bounded = min(max(share, 1e-3), 1 - 1e-3)
    return math.log(bounded / (1 - bounded))
