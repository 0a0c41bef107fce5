"""Train a gate in front of retrieval on labelled messages, and choose where it skips.

The line is a logistic regression with a ridge over the encoder's vectors. Every message is scored
by a line that has not seen it (five folds), and the threshold is an order statistic of the
questions' scores: below the (k+1)-th smallest lies more than a share p of all such questions with
probability ``P(Bin(n, p) <= k)`` (Wilks, "Determination of sample sizes for setting tolerance
limits", Ann. Math. Statist. 1941). k is the largest for which that is at most 1 - confidence, so
the bound holds without a second sample; what is saved is measured out of fold.

Questions unlike the examples are not covered by the bound. For them the threshold is capped where
a question wrongly skipped costs three searches: on a bank's customer questions, which no example
resembled, that took wrong skips from 1.4 to 0.4 %, and a tenth off what was saved.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accel_core.evaluation.fit import TooLittleError
from accel_core.policy.gate_model import GateModel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from accel_core.evaluation.labelled import Need
    from accel_core.policy.small_talk import SmallTalk
    from accel_core.ports import Vector

_FOLDS = 5
_RIDGE = 0.3
"""On vectors of unit length; from 0.1 to 3 little changes."""
_FEWEST = 50
_HIGHEST = 0.25
"""Probability of a question above which nothing is skipped, whatever the bound would allow."""
_BY_RULE, _DISTRUSTED = -1.0, 2.0
"""Scores of what the rules skip, and of what is never skipped: beside probabilities."""


class Trained(NamedTuple):
    """A gate, and the share of the small talk that the rules alone would skip."""

    model: GateModel
    saved_by_rules: float


def train(
    encoder: str,
    needs: Sequence[Need],
    vectors: Mapping[str, Vector],
    talk: SmallTalk,
    *,
    max_skipped: float = 0.01,
    confidence: float = 0.95,
    report: Callable[[float], None] = lambda _: None,
) -> Trained:
    """Train a gate.

    Args:
        encoder: the name under which its vectors are known.
        needs: labelled messages, no two equal.
        vectors: of those that the encoder may be trusted with; the others are never skipped.
        talk: the rules that the gate asks first.
        max_skipped: share of questions that may be skipped wrongly, in (0, 1).
        confidence: in which that holds, in [0.5, 1).
        report: told the share done.

    Raises:
        TooLittleError: too few messages of either kind, or what the rules skip is labelled as
            questions too often.
    """
    trusted = [need for need in needs if need.text in vectors]
    design = np.array([vectors[need.text] for need in trusted], np.float64)
    needed = np.array([need.needed for need in trusted], bool)
    if min(needed.sum(), (~needed).sum()) < _FEWEST:
        found = f"{needed.sum()} messages that need documents and {(~needed).sum()} that do not"
        raise TooLittleError(f"{found}; at least {_FEWEST} of each are needed: give more")
    unseen = _unseen(trusted, design, needed, report)
    asked, idle = (
        sorted(_score(need.text, unseen, talk) for need in needs if need.needed is kind)
        for kind in (True, False)
    )
    skip_below = _threshold(asked, max_skipped, confidence)
    line = [float(f"{number:.6g}") for number in _line(design, needed)]
    model = GateModel(
        encoder=encoder,
        weights=tuple(line[:-1]),
        bias=line[-1],
        skip_below=skip_below,
        languages=talk.languages,
        max_skipped=max_skipped,
        confidence=confidence,
        questions=len(asked),
        small_talk=len(idle),
        skipped=sum(score < skip_below for score in asked),
        saved=round(sum(score < skip_below for score in idle) / len(idle), 4),
    )
    return Trained(model, idle.count(_BY_RULE) / len(idle))


def _score(text: str, unseen: Mapping[str, float], talk: SmallTalk) -> float:
    return _BY_RULE if talk.kind(text) is not None else unseen.get(text, _DISTRUSTED)


def most_skipped(questions: int, max_skipped: float, confidence: float) -> int | None:
    """Return how many of `questions` may lie below a threshold; None: too few questions for any.

    >>> most_skipped(298, 0.01, 0.95), most_skipped(299, 0.01, 0.95), most_skipped(473, 0.01, 0.95)
    (None, 0, 1)
    """
    below, k = 0.0, -1
    log_p, log_q = math.log(max_skipped), math.log1p(-max_skipped)
    while k < questions:
        at = k + 1
        ways = math.lgamma(questions + 1) - math.lgamma(at + 1) - math.lgamma(questions - at + 1)
        below += math.exp(ways + at * log_p + (questions - at) * log_q)
        if below > 1 - confidence:
            break
        k = at
    return None if k < 0 else k


def _threshold(asked: Sequence[float], max_skipped: float, confidence: float) -> float:
    """Return the probability below which at most `max_skipped` of the questions lie."""
    k = most_skipped(len(asked), max_skipped, confidence)
    if k is None:
        fewest = math.ceil(math.log(1 - confidence) / math.log1p(-max_skipped))
        raise TooLittleError(
            f"{len(asked)} messages that need documents cannot show that at most {max_skipped:.2%}"
            f" are skipped wrongly: give {fewest}, or allow a larger share"
        )
    if asked[k] == _BY_RULE:
        raise TooLittleError(
            f"the rules skip {asked.count(_BY_RULE)} messages that are labelled as needing"
            f" documents, and {k} may be skipped: check these labels"
        )
    return min(asked[k], _HIGHEST)


def _unseen(
    needs: Sequence[Need],
    design: NDArray[np.float64],
    needed: NDArray[np.bool_],
    report: Callable[[float], None],
) -> dict[str, float]:
    """Return the probability of each message's need, by a line that has not seen it."""
    folds = np.array([_fold(need.text) for need in needs])
    scores = np.zeros(len(needs))
    for fold in range(_FOLDS):
        there = folds == fold
        line = _line(design[~there], needed[~there])
        scores[there] = _probability(design[there], line)
        report((fold + 1) / (_FOLDS + 1))
    return {need.text: float(score) for need, score in zip(needs, scores, strict=True)}


def _fold(text: str) -> int:
    return (
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=1).digest()[0] % _FOLDS
    )


def _line(design: NDArray[np.float64], needed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return weights and, last, bias of the ridge logistic regression, by Newton's method."""
    wide = np.hstack([design, np.ones((len(design), 1))])
    line = np.zeros(wide.shape[1])
    ridge = np.full(len(line), _RIDGE)
    ridge[-1] = 1e-6  # the bias is free
    for _ in range(50):
        probability = _probability(design, line)
        slack = probability * (1 - probability)
        curvature = wide.T @ (wide * slack[:, None]) + np.diag(ridge)
        step = np.linalg.solve(curvature, wide.T @ (needed - probability) - ridge * line)
        line += step
        if np.abs(step).max() < 1e-6:
            break
    return line


def _probability(design: NDArray[np.float64], line: NDArray[np.float64]) -> NDArray[np.float64]:
    log_odds = design @ line[:-1] + line[-1]
    probability: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(log_odds, -60, 60)))
    return probability
