"""Near misses and paraphrases, two texts at a time: what passes, and what is kept.

The store holds one of the two and nothing else, so no neighbour helps. The file was written before
anything was tuned, and what was tuned was tuned on another file of the same kinds.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from accel_core.policy.never_cache import NeverCache
from accel_core.policy.similarity import Candidate
from benchmarks import cache_parts as parts
from benchmarks import decision_data as data
from benchmarks.harness import Context, Measured, Row

if TYPE_CHECKING:
    from accel_core.policy.resemblance import Resemblance

_KEPT = 0.60
_CUSTOMARY = 0.92


class _Judged(NamedTuple):
    kind: str
    same: bool
    cosine: float
    score: float


def judged(context: Context, policy: Resemblance, name: str) -> list[_Judged]:
    """Score both directions of every pair; a pair passes as its better one does."""
    encoder, never = context.once(parts.minilm), NeverCache()
    found = []
    for pair in data.near_misses(name):
        one, other = encoder.encode([pair.a, pair.b])
        cosine = float(one @ other)
        score = 0.0
        if never.kind(pair.a) is None and never.kind(pair.b) is None:
            score = max(
                _score(policy, pair.a, pair.b, cosine), _score(policy, pair.b, pair.a, cosine)
            )
        found.append(_Judged(pair.kind, pair.same, cosine, score))
    return found


def _score(policy: Resemblance, question: str, stored: str, cosine: float) -> float:
    verdict = policy.decide(question, [Candidate(stored, cosine)])
    return verdict.probability or 0.0 if verdict.chosen is not None else 0.0


def traps(context: Context) -> Measured:
    """Take the strictest threshold that keeps 60 % of the paraphrases, with strict gates."""
    policy = data.opened(data.decision(context, strict=True))
    found = judged(context, policy, "held_out")
    same = sorted((one.score for one in found if one.same), reverse=True)
    threshold = same[int(_KEPT * len(same))]
    passed = [one for one in found if not one.same and one.score >= max(threshold, 1e-12)]
    different = sum(not one.same for one in found)
    kept = sum(score > 0 and score >= threshold for score in same) / len(same)
    plain = [sum(one.cosine >= _CUSTOMARY for one in found if one.same == same) for same in (0, 1)]
    default = data.calibration().serve_from
    kinds = ", ".join(f"{kind} {n}" for kind, n in Counter(one.kind for one in passed).items())
    note = (
        f"kept {kept:.0%}; at the shipped default"
        f" {sum(one.score >= default for one in found if not one.same) / different:.1%} pass and"
        f" {sum(score >= default for score in same) / len(same):.0%} are kept;"
        f" cosine {_CUSTOMARY}: {plain[0] / different:.1%}, {plain[1] / len(same):.0%}; {kinds}"
    )
    value = 100 * len(passed) / different
    return Measured(value if kept >= _KEPT else 100.0, note)


ROWS = [
    Row(
        name="traps",
        what="% of near misses that pass where 60 % of paraphrases are kept, nothing else stored",
        op="<=",
        bound=3,
        aim=1,
        measure=traps,
    ),
]
