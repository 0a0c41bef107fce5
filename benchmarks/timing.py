"""Ratios of two times, measured so that a busy machine disturbs both alike.

Rounds alternate between the two contenders, each round gives one ratio, and the median of all is
the figure. Half the rounds begin with the one, half with the other, so that a drift of the
machine's speed favours neither.
"""

from __future__ import annotations

import gc
from contextlib import nullcontext
from statistics import median, quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    Contender = Callable[[int], float]
    """Carries out so many calls and returns the seconds they took."""


class Ratio(NamedTuple):
    """Ours ÷ the peer's, with what it was made of.

    Attributes:
        value: median of the rounds' ratios.
        ours_s: median time of one call, seconds.
        peer_s: the peer's.
        low: first quartile of the rounds' ratios.
        high: third quartile: far from `low`, the machine was busy.
    """

    value: float
    ours_s: float
    peer_s: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"{spell_s(self.ours_s)} against {spell_s(self.peer_s)}"
            f" (half of the rounds {self.low:.3g} to {self.high:.3g})"
        )

    def inverse(self) -> Ratio:
        """Return the peer's ÷ ours."""
        return Ratio(1 / self.value, self.ours_s, self.peer_s, 1 / self.high, 1 / self.low)


def timed(
    call: Callable[[], object],
    *,
    around: Callable[[], AbstractContextManager[Any]] = nullcontext,
    clock: Callable[[], float] = perf_counter,
) -> Contender:
    """Return `call` as a contender; `around` each of its rounds, outside the time taken."""

    def run(calls: int) -> float:
        repetitions = range(calls)
        with around():
            began = clock()
            for _ in repetitions:
                call()
            return clock() - began

    return run


def ratio(ours: Contender, peer: Contender, *, rounds: int, calls: int) -> Ratio:
    """Return ours ÷ the peer's time, over `rounds` pairs of `calls` calls each.

    Args:
        ours: warmed up by one call of its own before the first round, as the peer is.
        peer: what it is compared with.
        rounds: at least 1; an even number lets both begin equally often.
        calls: of each contender, in each round.
    """
    ours(1), peer(1)
    gc.collect()
    pairs: list[tuple[float, float]] = []
    for count in range(rounds):
        if count % 2:
            peer_s = peer(calls)
            pairs.append((ours(calls), peer_s))
        else:
            ours_s = ours(calls)
            pairs.append((ours_s, peer(calls)))
    return _summary(pairs, calls)


def _summary(pairs: list[tuple[float, float]], calls: int) -> Ratio:
    ratios = [ours_s / peer_s for ours_s, peer_s in pairs]
    low, _, high = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return Ratio(
        median(ratios),
        median(ours_s for ours_s, _ in pairs) / calls,
        median(peer_s for _, peer_s in pairs) / calls,
        low,
        high,
    )


def spell_s(seconds: float) -> str:
    """Spell a duration with three digits and its unit.

    >>> spell_s(0.000123456), spell_s(1.5)
    ('123 µs', '1.5 s')
    """
    for unit, scale in (("s", 1.0), ("ms", 1e3)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"
