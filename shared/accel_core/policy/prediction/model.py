"""What a mined predictor knows: counts, forests that judge candidates, and how far to believe them.

Two things are judged: whether a call is made at all before the next change, which is what its
result is worth, and whether it is made in the very next answer. What is hardly next is not guessed
yet: more will be known when it is, and a guess made then is still in time.

A probability is the forest's, shifted per tool by what came of earlier ones: log-odds are moved
until as many calls are expected as were made. Confidence is that probability moved once more, for
all tools alike: whoever begins the guesses of confidence `THRESHOLD` and more has begun, in runs
held back, as many as he can of which `PROMISED` came true. Plain data: it is read from JSON,
compared and shipped, and loading it runs nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.policy.acceptance import wilson_lower
from accel_core.policy.forest import Forest
from accel_core.policy.prediction import habits
from accel_core.policy.prediction.binding import CONSTANT_RUNS, RUNS
from accel_core.policy.prediction.calls import FEATURES, SPOKEN_RUNS, candidates
from accel_core.policy.prediction.known import Known, Readers
from accel_core.policy.prediction.origins import CONSTANT, theirs
from accel_core.policy.prediction.tally import Tally
from accel_core.policy.trajectory import Guess

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping, Sequence

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
ENOUGH_USED = 0.75
"""Share of a tool's guesses that must have come true, with 90 % confidence, for more of them."""
_FEW = 5
THRESHOLD = 0.7
PROMISED = 0.87
"""Share of guesses held back that came true: what is wanted is 0.85, and new runs differ."""
_ENOUGH = 50
"""Guesses held back below which confidence is the probability as it is."""
SOON = (0.1, 0.15, 0.2, 0.3)
"""Probabilities to be next below which a guess can wait: the first, until one is found best."""


class Forests(NamedTuple):
    """What judges candidates, over `FEATURES`: by log-odds to be used at all, and to be next."""

    used: Forest
    next: Forest

    def soon(self, numbers: Sequence[float]) -> float:
        """Return the probability, in [0, 1], that the next answer has a candidate's call."""
        return _chance(self.next.log_odds(numbers))

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {"used": self.used.to_json(), "next": self.next.to_json()}

    @classmethod
    def from_json(cls, spelled: Mapping[str, Any]) -> Forests:
        """Read forests.

        Raises:
            KeyError, TypeError, ValueError: they are none, or over other numbers.
        """
        forests = cls(Forest.from_json(spelled["used"]), Forest.from_json(spelled["next"]))
        if any(forest.features != tuple(FEATURES) for forest in forests):
            raise ValueError("its forests are over other numbers than this version's")
        return forests


@dataclass(slots=True)
class CallModel:
    """Everything that guesses are made of.

    Attributes:
        forests: what judges candidates.
        tally: what runs have taught.
    """

    forests: Forests
    tally: Tally = field(default_factory=Tally)

    @property
    def soon(self) -> float:
        """Probability to be next below which a guess can wait."""
        return self.tally.count(("soon",), "") or SOON[0]

    def guesses(self, run: Trajectory, free: Collection[str], readers: Readers) -> list[Guess]:
        """Return what is worth beginning now, the most probable to be next first."""
        return [
            guess
            for guess in self._judged(run, free, readers, soon=self.soon)
            if guess.confidence >= self._demanded(guess.call.tool)
        ]

    def ranked(self, run: Trajectory, free: Collection[str], readers: Readers) -> list[Guess]:
        """Return all that may come, worth beginning or not, the most probable to be next first."""
        return self._judged(run, free, readers, soon=0.0)

    def _judged(
        self, run: Trajectory, free: Collection[str], readers: Readers, *, soon: float
    ) -> list[Guess]:
        known = Known(free, readers)
        for event in run:
            known.add(event)
        come = candidates(self.tally, known, free)
        found = [(self.forests.soon(one.numbers), one) for one in come]
        found.sort(key=lambda item: -item[0])
        return [
            Guess(one.call, self.confidence(one), NAME) for chance, one in found if chance >= soon
        ]

    def _demanded(self, tool: str) -> float:
        return _chance(_log_odds(self._least(tool)) + self._moved())

    def _least(self, tool: str) -> float:
        return max(_LEAST, self.tally.count(("least", tool), ""))

    def confidence(self, candidate: Candidate) -> float:
        """Return how sure it is, in [0, 1], that a candidate is called before a change."""
        odds = self.forests.used.log_odds(candidate.numbers)
        return _chance(odds + self._shift(candidate.call.tool) + self._moved())

    def _moved(self) -> float:
        least = self.tally.count(("promised",), "")
        return _log_odds(THRESHOLD) - _log_odds(least) if least else 0.0

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
        """Take note of what came of a candidate when the forest first gave it `odds`."""
        chance = _chance(odds)
        self.tally.add(("judged", tool), "offered")
        self.tally.add(("judged", tool), "expected", chance)
        if used:
            self.tally.add(("judged", tool), "used")

    def demand(self, tool: str, events: Sequence[tuple[float, bool]]) -> None:
        """Set the least confidence of a tool's guesses: from there on enough of them come true.

        Args:
            tool: its name.
            events: the highest log-odds that a forest gave to each call it had not seen, and
                whether it came.
        """
        used, least = 0, 1.0
        ranked = sorted(((_chance(odds + self._shift(tool)), hit) for odds, hit in events))
        for number, (chance, hit) in enumerate(reversed(ranked), 1):
            used += hit
            if wilson_lower(used, number) >= ENOUGH_USED or number < _FEW:
                least = chance
        self.tally.add(("least", tool), "", least)

    def promise(self, events: Mapping[str, Sequence[tuple[float, bool]]]) -> int:
        """Set the probability from which on guesses of all tools come true often enough.

        Args:
            events: by tool, as of `demand`, which was called before.

        Returns: how many came true from there on; 0 where nothing could be promised.
        """
        begun = sorted(
            (
                (chance, hit)
                for tool, seen in events.items()
                for odds, hit in seen
                if (chance := _chance(odds + self._shift(tool))) >= self._least(tool)
            ),
            reverse=True,
        )
        used, kept, least = 0, 0, 0.0
        for number, (chance, hit) in enumerate(begun, 1):
            used += hit
            if number >= _ENOUGH and used >= PROMISED * number:
                kept, least = used, chance
        if least:
            self.tally.add(("promised",), "", least)
        return kept

    def learn(self, run: Trajectory, free: Collection[str], readers: Readers) -> None:
        """Take note of a run that has ended: how good guesses were, then what it teaches."""
        run = run[-habits.EVENTS :]
        known, asked, first = Known(free, readers), set(habits.decisions(run)), Firsts()
        for number, event in enumerate(run):
            if number in asked:
                later = habits.upcoming(run, number, free)
                for candidate in candidates(self.tally, known, free):
                    odds = self.forests.used.log_odds(candidate.numbers)
                    if self.forests.soon(candidate.numbers) >= self.soon and first(
                        (known.epochs, candidate.key), odds
                    ):
                        self.judge(candidate.call.tool, odds, used=candidate.key in later)
            known.add(event)
        habits.learn(self.tally, run, free, readers)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads, without what one run has shown or one tenant gave."""
        lone = _Lone(self.tally)
        return {
            "format": FORMAT,
            "forests": self.forests.to_json(),
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
        return cls(Forests.from_json(spelled["forests"]), Tally.from_json(spelled["tally"]))


class Firsts:
    """Tells when a candidate is likelier than ever before: the moments at which it may be begun.

    What comes of guesses is judged at those alone. One that is never called stays a candidate for
    long, and counted again and again it would make all look worse than they are when begun.
    """

    def __init__(self) -> None:
        self._most: dict[Hashable, float] = {}

    def __call__(self, name: Hashable, odds: float) -> bool:
        """Whether `name` is likely, and more so than at any call before."""
        if _chance(odds) < _JUDGED_FROM or odds <= self._most.get(name, -math.inf):
            return False
        self._most[name] = odds
        return True


class _Lone:
    """Tells the rows that rest on an origin that too few runs have shown."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def __call__(self, table: Key, row: Hashable, _: float) -> bool:
        if table[0] in ("origin", "runs") and len(table) > 1:
            return self._rare(table[1], table[2], row)
        if table[0] in ("cell", "outline"):
            return self._rare(table[1], table[2], table[3])
        if table[0] == "heard":
            return self._tally.count(("spoken",), row) < SPOKEN_RUNS
        if table[0] == "word":
            return self._tally.count(("spoken",), row[0]) < SPOKEN_RUNS  # type: ignore[index]
        return False

    def _rare(self, tool: Hashable, name: Hashable, origin: Any) -> bool:
        if theirs(origin, ""):
            return True
        least = CONSTANT_RUNS if origin[0] == CONSTANT else RUNS
        return self._tally.count(("runs", tool, name), origin) < least


def _chance(odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(odds, 60.0))))


def _log_odds(share: float) -> float:
    bounded = min(max(share, 1e-3), 1 - 1e-3)
    return math.log(bounded / (1 - bounded))
