"""What a mined predictor knows: counts, forests that judge candidates, and how far to believe them.

Two things are judged: whether a call is made at all before the next change, which is what its
result is worth, and whether it is made in the very next answer. A candidate's *worth* is the mean
of both log-odds, the next answer's counting twice: what is hardly next need not be guessed yet, as
more will be known when it is, and a guess made then is still in time.

Confidence is the worth as a probability, moved until whoever begins the guesses of confidence
`THRESHOLD` and more has begun, in runs held back, as many as he can of which `PROMISED` came true;
then per tool by what came of earlier ones. Plain data: it is read from JSON, compared and shipped,
and loading it runs nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.policy.forest import Forest
from accel_core.policy.prediction import habits
from accel_core.policy.prediction.binding import CONSTANT_RUNS, RUNS
from accel_core.policy.prediction.calls import FEATURES, SPOKEN_RUNS, candidates
from accel_core.policy.prediction.known import Known, Readers
from accel_core.policy.prediction.origins import CONSTANT, theirs
from accel_core.policy.prediction.tally import Tally
from accel_core.policy.trajectory import Guess

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence

    from accel_core.policy.prediction.tally import Key
    from accel_core.policy.trajectory import Trajectory

FORMAT = 2
NAME = "mined"
_BELIEVED = 20.0
"""So many expected calls weigh as much as the forest's own word."""
_JUDGED_FROM = 0.3
"""What is less probable is of no use, and says nothing of what is."""
THRESHOLD = 0.7
PROMISED, FRUGAL = 0.83, 0.92
"""Shares of guesses held back that came true; the second of an agent of whom little is known.

Of guesses in new runs some 3 % more do, as what judges them has learned from all runs.
"""
_LITTLE = 0.5
"""Share of calls served below which little is known of an agent."""
_ENOUGH = 50
"""Guesses held back, fewer of which tell nothing."""
SOON = math.log(0.05 / 0.95)
"""Log-odds to be next below which a guess can wait."""
_NEXT = 2.0
"""How often the next answer's log-odds count."""


class Forests(NamedTuple):
    """What judges candidates, over `FEATURES`.

    Attributes:
        used: by log-odds to be called before the next change, of what is next by `SOON`.
        next: by log-odds to be called in the next answer.
        least: worth from which on enough guesses came true in runs held back.
    """

    used: Forest
    next: Forest
    least: float

    def worth(self, numbers: Sequence[float]) -> tuple[float, float]:
        """Return a candidate's worth, -inf where a guess can wait, and its log-odds to be next."""
        soon = self.next.log_odds(numbers)
        if soon < SOON:
            return -math.inf, soon
        return worth(self.used.log_odds(numbers), soon), soon

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {"used": self.used.to_json(), "next": self.next.to_json(), "least": self.least}

    @classmethod
    def from_json(cls, spelled: Mapping[str, Any]) -> Forests:
        """Read forests.

        Raises:
            KeyError, TypeError, ValueError: they are none, or over other numbers.
        """
        used, next_ = (Forest.from_json(spelled[name]) for name in ("used", "next"))
        if any(forest.features != tuple(FEATURES) for forest in (used, next_)):
            raise ValueError("its forests are over other numbers than this version's")
        least = float(spelled["least"])
        if not math.isfinite(least):
            raise ValueError(f"{least} is no worth")
        return cls(used, next_, least)


def worth(used: float, soon: float) -> float:
    """Return a candidate's worth, by its log-odds to be used at all and to be next."""
    return (used + _NEXT * soon) / (1 + _NEXT)


def least_worth(events: Iterable[tuple[float, bool]], calls: int) -> float | None:
    """Return the worth from which on as many guesses as can be come true often enough.

    `PROMISED` of them do; where so few of the calls can be served in that way that little is known
    of the agent, `FRUGAL`. Where not even the likeliest do, it is the highest worth that there was.
    None: there were too few to tell.

    Args:
        events: the highest worth that forests gave to each call they had not seen, and whether it
            came.
        calls: how many were made in the same runs, guessed or not.
    """
    ranked = sorted(events, reverse=True)
    served, least = _kept(ranked, PROMISED)
    return least if served >= _LITTLE * calls else _kept(ranked, FRUGAL)[1]


def _kept(ranked: Sequence[tuple[float, bool]], share: float) -> tuple[int, float | None]:
    """Return how many came true of the most guesses of which `share` did, and their least worth."""
    used, kept, least = 0, 0, ranked[0][0] if len(ranked) >= _ENOUGH else None
    for number, (worth_, hit) in enumerate(ranked, 1):
        used += hit
        last = number == len(ranked) or ranked[number][0] < worth_
        if last and number >= _ENOUGH and used >= share * number:
            kept, least = used, worth_
    return kept, least


@dataclass(slots=True)
class CallModel:
    """Everything that guesses are made of.

    Attributes:
        forests: what judges candidates.
        tally: what runs have taught.
    """

    forests: Forests
    tally: Tally = field(default_factory=Tally)

    def guesses(self, run: Trajectory, free: Collection[str], readers: Readers) -> list[Guess]:
        """Return what may be worth beginning now, worth most first."""
        return [guess for guess in self.ranked(run, free, readers) if guess.confidence]

    def ranked(self, run: Trajectory, free: Collection[str], readers: Readers) -> list[Guess]:
        """Return all that may come, worth most first.

        A confidence of 0 is that of a guess which can wait: those are last, soonest first.
        """
        known = Known(free, readers)
        for event in run:
            known.add(event)
        found = []
        for one in candidates(self.tally, known, free):
            worth_, soon = self.forests.worth(one.numbers)
            guess = Guess(one.call, self._confidence(one.call.tool, worth_), NAME)
            found.append((worth_, soon, guess))
        found.sort(key=lambda item: item[:2], reverse=True)
        return [guess for *_, guess in found]

    def _confidence(self, tool: str, worth_: float) -> float:
        """Return how sure it is, in [0, 1], that a call of `worth_` is made before a change."""
        return _chance(self._odds(worth_) + self._shift(tool)) if worth_ > -math.inf else 0.0

    def _odds(self, worth_: float) -> float:
        return worth_ - self.forests.least + _log_odds(THRESHOLD)

    def _shift(self, tool: str) -> float:
        rows = self.tally.rows(("judged", tool))
        expected, used = rows.get("expected", 0.0), rows.get("used", 0.0)
        offered = rows.get("offered", 0.0)
        if not offered:
            return 0.0
        share = expected / offered
        observed = (used + _BELIEVED * share) / (offered + _BELIEVED)
        return _log_odds(observed) - _log_odds(share)

    def _judge(self, tool: str, odds: float, *, used: bool) -> None:
        """Take note of what came of a candidate whose confidence was `odds` before any shift."""
        self.tally.add(("judged", tool), "offered")
        self.tally.add(("judged", tool), "expected", _chance(odds))
        if used:
            self.tally.add(("judged", tool), "used")

    def learn(self, run: Trajectory, free: Collection[str], readers: Readers) -> None:
        """Take note of a run that has ended: how good guesses were, then what it teaches."""
        run = run[-habits.EVENTS :]
        known, asked, first = Known(free, readers), set(habits.decisions(run)), _Firsts()
        for number, event in enumerate(run):
            if number in asked:
                later = habits.upcoming(run, number, free)
                for candidate in candidates(self.tally, known, free):
                    odds = self._odds(self.forests.worth(candidate.numbers)[0])
                    if first((known.epochs, candidate.key), odds):
                        self._judge(candidate.call.tool, odds, used=candidate.key in later)
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


class _Firsts:
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
