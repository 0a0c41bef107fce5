"""Which guesses of a tool are worth making, from what became of those before.

A guess is *used* or *wasted*. Both are counted by the confidence it was made with, and fade, so
that a tool or an agent that has changed is judged anew. Two rules follow:

The threshold of a tool is the lowest confidence from which enough of its guesses are used, by the
lower end of Wilson's interval, or from which too few are known to tell. Enough are those that the
share that may be wasted leaves. So it rises where guesses are worth little, and falls again as the
outcomes fade.

A tool most of whose guesses are wasted rests, twice as long each time, and is then tried sparingly:
a few wasted ones are enough for the next rest.

Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference",
J. Am. Stat. Assoc. 22, https://doi.org/10.1080/01621459.1927.10502953
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from accel_core.errors import ConfigError

_Z = 1.2816
"""One-sided 90 %."""
_STEPS = 20
"""Of confidence: outcomes are counted by steps of 0.05."""
_ENOUGH = 10.0
"""Outcomes below which nothing is concluded from them."""
_ENOUGH_AGAIN = 3.0
"""The same, for a tool that has just rested."""
_HALF_LIFE_S = 600.0
_FIRST_REST_S, _LONGEST_REST_S = 60.0, 3600.0


def wilson_lower(successes: float, trials: float, z: float = _Z) -> float:
    """Return the lower end of Wilson's interval for a share, in [0, 1]; 0 without trials.

    Args:
        successes: in [0, `trials`]; counts that have faded need not be whole.
        trials: 0 or more.
        z: quantile of the normal distribution for the confidence wanted.

    >>> round(wilson_lower(8, 10), 3)
    0.602
    """
    if trials <= 0:
        return 0.0
    share, square = successes / trials, z * z
    middle = share + square / (2 * trials)
    margin = z * sqrt(max(0.0, share * (1 - share) / trials) + square / (4 * trials * trials))
    return max(0.0, (middle - margin) / (1 + square / trials))


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceTerms:
    """What guesses must be worth.

    Attributes:
        threshold: confidence from which a guess is made, in [0, 1].
        waste_share: share of guesses that may be wasted, in (0, 1]: thresholds rise until no more
            are, and a tool that wastes more rests; with 1 neither happens.
    """

    threshold: float = 0.7
    waste_share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ConfigError("threshold", self.threshold, "must be in [0, 1]")
        if not 0 < self.waste_share <= 1:
            raise ConfigError("waste_share", self.waste_share, "must be above 0, and at most 1")


class Acceptance:
    """What became of one tool's guesses. One owner at a time may call it.

    Args:
        terms: what they must be worth.
    """

    __slots__ = (
        "_faded_s", "_on_trial", "_rest_s", "_resting_until_s", "_terms", "_used", "_wasted",
    )  # fmt: skip

    def __init__(self, terms: AcceptanceTerms) -> None:
        self._terms = terms
        self._used, self._wasted = [0.0] * _STEPS, [0.0] * _STEPS
        self._faded_s = 0.0
        self._rest_s, self._resting_until_s, self._on_trial = 0.0, float("-inf"), False

    def allows(self, confidence: float, now_s: float) -> bool:
        """Whether a guess of this confidence should be made."""
        return now_s >= self._resting_until_s and confidence >= self.threshold(now_s)

    def resting(self, now_s: float) -> bool:
        """Whether no guess should be made at all."""
        return now_s < self._resting_until_s

    def threshold(self, now_s: float) -> float:
        """Return the confidence from which a guess should be made; above 1: none should."""
        self._fade(now_s)
        least, enough = self._terms.threshold, 1 - self._terms.waste_share
        for step in range(_step(least), _STEPS):
            used, wasted = sum(self._used[step:]), sum(self._wasted[step:])
            if used + wasted < _ENOUGH or wilson_lower(used, used + wasted) >= enough:
                return max(least, step / _STEPS)
        return 1.0 + 1.0 / _STEPS

    def noted(self, confidence: float, *, used: bool, now_s: float) -> bool:
        """Note what became of a guess, and return whether a rest begins with it."""
        if self.resting(now_s):  # it was begun before the rest, which has its reason already
            return False
        self._fade(now_s)
        (self._used if used else self._wasted)[_step(confidence)] += 1.0
        all_used, all_wasted = sum(self._used), sum(self._wasted)
        issued = all_used + all_wasted
        if issued < (_ENOUGH_AGAIN if self._on_trial else _ENOUGH):
            return False
        if all_wasted <= self._terms.waste_share * issued:
            self._on_trial = self._on_trial and issued < _ENOUGH
            return False
        self._rest(now_s)
        return True

    def _rest(self, now_s: float) -> None:
        doubled = min(2 * self._rest_s, _LONGEST_REST_S)
        self._rest_s = doubled if self._on_trial else _FIRST_REST_S
        self._on_trial, self._resting_until_s = True, now_s + self._rest_s
        self._used, self._wasted = [0.0] * _STEPS, [0.0] * _STEPS

    def _fade(self, now_s: float) -> None:
        kept = 0.5 ** (max(0.0, now_s - self._faded_s) / _HALF_LIFE_S)
        self._faded_s = max(now_s, self._faded_s)
        self._used = [count * kept for count in self._used]
        self._wasted = [count * kept for count in self._wasted]


def _step(confidence: float) -> int:
    """Return the step that `confidence`, in [0, 1], belongs to."""
    return min(int(confidence * _STEPS + 1e-9), _STEPS - 1)
