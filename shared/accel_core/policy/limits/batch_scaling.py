"""How much more a server does in all when it is given more at once.

By Little's law calls that are each given a token every `T` seconds, `n` of them at a time, are
given `n / T` tokens a second together. How steeply `T` rises with `n` therefore says what one more
call is worth, whatever its answer's length: nothing where `T` grows in proportion, since all of it
is then taken from the others. The slope is that of a least-squares line through the logarithms of
what answers saw near the `n` in question (an elasticity: per cent more tokens per per cent more
calls).

The curve is remembered in steps of `n`, since batches bend it sharply: where memory runs out, calls
are preempted and everything takes longer. What is remembered fades with the answers that follow.
"""

from __future__ import annotations

from math import exp, log, sqrt
from typing import Final

_STEP: Final = log(1.08)
"""Width of the steps of `log n` in which the curve is remembered."""
_NEAR: Final = log(1.25)
"""How far from the `n` in question answers still say something."""
_SMOOTH, _MEMORY = 2.0, 16.0
"""Answers that a step is the mean of, and after which it has faded, for each call under way."""
_STEADY = 0.03**2
"""Variance of `log n` that says nothing yet: what was not tried has no slope."""
_FEWEST = 4.0
_SCATTER_OF = 200.0
"""Answers that the scatter is the mean of."""
_SURE = 2.0
"""Standard errors by which the gain may be better than it looks."""


class _Step:
    """Means of `log n` and `log T` near one `n`, of so many answers, up to the last's number."""

    __slots__ = ("answers", "last", "n", "t")

    def __init__(self) -> None:
        self.answers = self.n = self.t = 0.0
        self.last = 0


class BatchScaling:
    """What the answers of one server say about working on more of them at once."""

    def __init__(self) -> None:
        self._steps: dict[int, _Step] = {}
        self._answers = 0
        self._scatter = 0.0

    def saw(self, under_way: float, per_token_s: float) -> None:
        """Note an answer that came at `per_token_s` while so many calls were under way."""
        self._answers += 1
        n = log(under_way)
        step = self._steps.setdefault(int(n / _STEP), _Step())
        remembered = self._weight(step, under_way) + 1.0
        step.answers = min(remembered, max(_FEWEST, _SMOOTH * under_way))
        step.last = self._answers
        wide, off = n - step.n, log(per_token_s) - step.t
        step.n += (n - step.n) / step.answers
        step.t += off / step.answers
        if step.answers >= _FEWEST:
            # What a step's own width explains, by some slope from 0 to 1, is no scatter.
            beside = off - max(min(0.0, wide), min(off, max(0.0, wide)))
            self._scatter += (beside * beside - self._scatter) / _SCATTER_OF

    def gain(self, under_way: float) -> float:
        """Return how many per cent more tokens one per cent more calls may bring, at most.

        As good as it may be by what is known: nobody is kept from trying for want of answers.
        """
        at = log(under_way)
        numbers = range(int((at - _NEAR) / _STEP), int((at + _NEAR) / _STEP) + 1)
        near = [step for number in numbers if (step := self._steps.get(number)) is not None]
        weights = [self._weight(step, under_way) for step in near]
        weight = sum(weights)
        if weight < _FEWEST:
            return 1.0
        n = sum(w * step.n for w, step in zip(weights, near, strict=True)) / weight
        t = sum(w * step.t for w, step in zip(weights, near, strict=True)) / weight
        spread = joint = 0.0
        for w, step in zip(weights, near, strict=True):
            spread += w * (step.n - n) ** 2 / weight
            joint += w * (step.n - n) * (step.t - t) / weight
        error = sqrt(self._scatter / weight / (spread + _STEADY))
        return 1.0 - joint / (spread + _STEADY) + _SURE * error

    def _weight(self, step: _Step, under_way: float) -> float:
        """Return how many answers a step still counts for."""
        passed = self._answers - step.last
        return step.answers * exp(-passed / max(_FEWEST, _MEMORY * under_way))
