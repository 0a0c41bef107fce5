"""How sure one can be that a share lies under a bound, however often one looks.

Outcomes are bets. Who doubts that the share of wrong ones is as large as `rate` bets that it is
``stake x rate``; each outcome multiplies the capital by the ratio of its probabilities under the
two::

    wrong: stake          right: (1 - stake x rate) / (1 - rate)          for 0 < stake < 1

Where each outcome is wrong with probability `rate` or more, given all before it, neither factor's
mean exceeds one, so the capital is a supermartingale and reaches ``1 / alpha`` *ever* with
probability `alpha` at most (Ville 1939). The mean of several capitals, one per stake, is one again.
Sources: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B
2023, arXiv 2010.09686 (grids of stakes); Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform,
nonparametric, nonasymptotic confidence sequences", Ann. Statist. 2021, arXiv 1810.08240.

An outcome may count for a fraction h in (0, 1]: its factor f becomes f^h, and f^h <= 1 + h (f - 1)
by Bernoulli's inequality. Summed over outcomes that were looked at with unequal probabilities, h
inversely proportional to them, the right-hand side's mean is that of an even sample: the capital
stays a supermartingale, and the two sums of h, of all and of the wrong, are all that it needs.
"""

from __future__ import annotations

from math import exp, inf, log, log1p
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

STAKES: Final = (1 / 16, 1 / 4, 1 / 2, 3 / 4)
"""Bets on a sixteenth to three quarters of the share in doubt: within a tenth of the best growth
for every true share between, at the price of log 4."""

_LOG_BETS: Final = log(len(STAKES))
_HOPELESS: Final = 0.5  # risk above which a candidate is neither served nor worth a comparison
_STEPS: Final = 2  # thresholds to a doubling of the risk
_HALVINGS: Final = 40  # bisection to 1e-12


class Doubt:
    """Bets against a share of wrong outcomes being `rate` or more.

    Args:
        rate: the share in doubt, in (0, 1).
    """

    __slots__ = ("_bets",)

    def __init__(self, rate: float) -> None:
        self._bets = [(log(stake), log1p(-stake * rate) - log1p(-rate)) for stake in STAKES]

    def evidence(self, seen: float, wrong: float) -> float:
        """Return the logarithm of the capital after `wrong` in `seen` outcomes; any real number.

        It grows with every right outcome and falls with every wrong one.
        """
        right = seen - wrong
        bets = [wrong * loss + right * gain for loss, gain in self._bets]
        best = max(bets)
        return best + log(sum([exp(bet - best) for bet in bets]) / len(bets))

    def refuted(self, seen: float, wrong: float, needed: float) -> bool:
        """Whether the evidence reaches `needed`."""
        right = seen - wrong
        best = max([wrong * loss + right * gain for loss, gain in self._bets])
        # The mean of the capitals lies between the best one's share in it and the best one.
        if best < needed or best >= needed + _LOG_BETS:
            return best >= needed
        return self.evidence(seen, wrong) >= needed


def risks_of(bound: float) -> list[float]:
    """Return the grid of risks, from an eighth of `bound` up to 0.5, the strictest first."""
    risks = []
    risk = bound / 8
    while risk <= _HOPELESS:
        risks.append(risk)
        risk *= 2 ** (1 / _STEPS)
    return risks


def upper_bound(seen: float, wrong: float, alpha: float) -> float:
    """Return a share in (0, 1] that the true one exceeds, at any time, with probability `alpha`.

    It is the largest share that the bets have not refuted. It falls with right outcomes and rises
    with wrong ones, because the evidence against each share does the opposite; and the evidence
    grows with the share, so there is one bound.

    Args:
        seen: outcomes, each counted by its weight.
        wrong: those of them that were wrong, in [0, seen].
        alpha: in (0, 1).
    """
    needed = -log(alpha)
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if Doubt(middle).evidence(seen, wrong) >= needed:
            high = middle
        else:
            low = middle
    return high


class Alarm:
    """Notices that wrong outcomes have become more frequent than `rate`: a CUSUM.

    It bets that the share is three times `rate`, starts anew whenever that loses, and rings at
    `limit`. While the share is `rate` or less, it rings once in exp(limit) outcomes at most, on
    average (Page 1954; Lorden 1971; as an e-detector: Shin, Ramdas and Rinaldo, arXiv 2203.03532).

    Args:
        rate: in (0, 1/3).
        limit: a logarithm, above 0.
    """

    __slots__ = ("_limit", "_right", "_wrong")

    def __init__(self, rate: float, limit: float) -> None:
        self._wrong, self._right = log(3), log1p(-3 * rate) - log1p(-rate)
        self._limit = limit

    def right(self, level: float, times: int = 1) -> float:
        """Return the level, from 0, after that many outcomes that nobody called wrong."""
        return max(0.0, level + times * self._right)

    def wrong(self, level: float) -> float:
        """Return the level after what was taken for right turned out wrong; inf: it rings."""
        level += self._wrong - self._right
        return inf if level >= self._limit else level


class Counts:
    """Outcomes at each threshold of a grid or stricter ones: all, and the wrong."""

    __slots__ = ("seen", "wrong")

    def __init__(self, seen: list[float], wrong: list[float]) -> None:
        self.seen, self.wrong = seen, wrong

    @classmethod
    def none(cls, thresholds: int) -> Counts:
        """Return no outcomes."""
        return cls([0.0] * thresholds, [0.0] * thresholds)

    @classmethod
    def imported(cls, state: Mapping[str, Any], thresholds: int) -> Counts:
        """Return what `export` has described.

        Raises:
            KeyError, TypeError, ValueError: it has not.
        """
        seen, wrong = [float(n) for n in state["seen"]], [float(n) for n in state["wrong"]]
        if not len(seen) == len(wrong) == thresholds:
            raise ValueError(f"counts for other than {thresholds} thresholds")
        if not all(0 <= bad <= whole < inf for bad, whole in zip(wrong, seen, strict=True)):
            raise ValueError("counts that cannot be")
        return cls(seen, wrong)

    def export(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"seen": list(self.seen), "wrong": list(self.wrong)}

    def add(self, level: int, weight: float, *, right: bool, memory: float) -> None:
        """Count an outcome that reaches threshold `level` and all looser ones.

        Args:
            level: from 0, the strictest.
            weight: in (0, 1].
            right: whether the stored answer would have been right.
            memory: where there are more outcomes, all shrink to this many, the oldest most.
        """
        seen, wrong = self.seen, self.wrong
        for at in range(level, len(seen)):
            seen[at] += weight
            if not right:
                wrong[at] += weight
            if seen[at] > memory:
                wrong[at] *= memory / seen[at]
                seen[at] = memory
