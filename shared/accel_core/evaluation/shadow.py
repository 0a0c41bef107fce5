"""What a shadow log shows: what would have been served, what of it was wrong, and what was missed.

In shadow mode every comparison of its kind is in the log; under a bound without it, hits are a
sample. Lines weigh by how rarely they were looked at, so shares are those of all lookups that came
so far. In shadow nothing is served, so every question is stored, and neighbours lie nearer than in
a cache that serves.

A threshold is proven as `policy.guarantee` proves its own: strict ones first, until one is not,
with `confidence.Doubt` over all lines that reach it. What the decision called improbable was never
shown to the gates, and counts as served below; gates mostly refuse what is wrong, so the threshold
is rather too strict.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from math import ceil, log
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.policy.confidence import Doubt, risks_of, upper_bound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from accel_core.policy.compared import Compared

_BANDS = (0.0, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0)
_START_EVERY = 4
"""Thresholds between two starts of the walk; the error is divided by the number of starts."""


class Tally(NamedTuple):
    """Comparisons, by how they came out."""

    right: int
    wrong: int
    unknown: int

    @classmethod
    def of(cls, lines: Iterable[Compared]) -> Tally:
        """Count `lines`."""
        counts = Counter(line.same for line in lines)
        return cls(counts[True], counts[False], counts[None])

    @property
    def times(self) -> int:
        """All of them."""
        return sum(self)


class Threshold(NamedTuple):
    """A score from which the share of wrong hits is proven to be under a bound.

    Attributes:
        least: the score: ``serve_from``, or ``min_similarity`` where there is no probability.
        kept: share of the right answers among all compared ones that it would serve.
    """

    least: float
    kept: float


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """What a shadow log shows.

    Attributes:
        compared: all lookups in it.
        served: those whose answer would have been served.
        wrong_share: of wrong ones among these, where it is known; None: there is none.
        at_most: that the true share does not exceed, with `confidence`.
        confidence: in which `at_most` and `threshold` hold.
        missed: right answers that would not have been served, those not looked at included.
        reasons: by reason, whether it serves, and how it came out.
        score: what the bands and the threshold are about: ``probability`` or ``similarity``.
        bands: from which score on, and how that came out; gates not asked.
        max_wrong_hits: the share to stay under.
        threshold: the loosest that does; None: no threshold is proven to.
        worst: wrong answers that would have been served, the surest first.
    """

    compared: Tally
    served: Tally
    wrong_share: float | None
    at_most: float
    confidence: float
    missed: float
    reasons: dict[str, tuple[bool, Tally]]
    score: str
    bands: dict[float, Tally]
    max_wrong_hits: float
    threshold: Threshold | None
    worst: list[Compared]

    def to_json(self) -> dict[str, Any]:
        """Return every figure as plain data."""
        reasons = {
            reason: {"served": served, **tally._asdict()}
            for reason, (served, tally) in self.reasons.items()
        }
        return {
            "compared": self.compared._asdict(),
            "served": self.served._asdict(),
            "wrong_share": self.wrong_share,
            "at_most": self.at_most,
            "confidence": self.confidence,
            "missed": self.missed,
            "reasons": reasons,
            "score": self.score,
            "bands": [{"from": low, **tally._asdict()} for low, tally in self.bands.items()],
            "max_wrong_hits": self.max_wrong_hits,
            "threshold": None if self.threshold is None else self.threshold._asdict(),
            "worst": [asdict(line) for line in self.worst],
        }


def reported(
    lines: Sequence[Compared],
    *,
    max_wrong_hits: float = 0.05,
    confidence: float = 0.95,
    examples: int = 5,
) -> ShadowReport:
    """Say what `lines` show.

    Args:
        lines: at least one.
        max_wrong_hits: share of wrong hits to find a threshold for, in (0, 0.5].
        confidence: of the statements made, in [0.5, 1).
        examples: wrong answers to name.
    """
    served = [line for line in lines if line.served]
    seen, wrong = _weighed(served)
    scored = [line for line in lines if line.probability is not None] or lines
    missed = sum(1 / line.share for line in lines if line.same and not line.served)
    mistakes = [line for line in served if line.same is False]
    return ShadowReport(
        compared=Tally.of(lines),
        served=Tally.of(served),
        wrong_share=wrong / seen if seen else None,
        at_most=upper_bound(seen, wrong, 1 - confidence),
        confidence=confidence,
        missed=missed,
        reasons=_by_reason(lines),
        score="similarity" if scored[0].probability is None else "probability",
        bands=_by_band(scored),
        max_wrong_hits=max_wrong_hits,
        threshold=_threshold(scored, max_wrong_hits, confidence),
        worst=sorted(mistakes, key=lambda line: -line.score)[:examples],
    )


def _weighed(lines: Sequence[Compared]) -> tuple[float, float]:
    """Return judged lines and wrong ones, each counted as `confidence` wants samples counted."""
    rarest = min((line.share for line in lines), default=1.0)
    judged = [(rarest / line.share, line.same) for line in lines if line.same is not None]
    return sum(weight for weight, _ in judged), sum(weight for weight, same in judged if not same)


def _by_reason(lines: Sequence[Compared]) -> dict[str, tuple[bool, Tally]]:
    order = Counter((line.reason, line.served) for line in lines).most_common()
    return {
        reason: (served, Tally.of(line for line in lines if line.reason == reason))
        for (reason, served), _ in sorted(order, key=lambda one: not one[0][1])
    }


def _by_band(lines: Sequence[Compared]) -> dict[float, Tally]:
    found = {
        low: Tally.of(line for line in lines if low <= max(0.0, line.score) < high)
        for low, high in zip(_BANDS, (*_BANDS[1:-1], 2.0), strict=False)
    }
    return {low: tally for low, tally in found.items() if tally.times}


def _threshold(
    lines: Sequence[Compared], max_wrong_hits: float, confidence: float
) -> Threshold | None:
    open_to_it = [line for line in lines if not line.reason.startswith("gate:")]
    risks, doubt = risks_of(max_wrong_hits), Doubt(max_wrong_hits)
    needed = -log((1 - confidence) / ceil(len(risks) / _START_EVERY))
    found, walking = None, False
    for at, risk in enumerate(risks):
        walking = walking or at % _START_EVERY == 0
        if not walking:
            continue
        reached = [line for line in open_to_it if line.score >= 1 - risk]
        walking = doubt.refuted(*_weighed(reached), needed)
        if walking:
            found = Threshold(1 - risk, _right(reached) / _right(lines))
    return found


def _right(lines: Sequence[Compared]) -> float:
    return sum(1 / line.share for line in lines if line.same)
