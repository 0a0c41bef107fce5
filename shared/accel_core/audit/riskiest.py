"""The hits by meaning that were decided most narrowly, for somebody to judge.

Each is decided once more, by the same policy over the same neighbours, since a hit says that it was
probable enough and not how probable it was.
"""

from __future__ import annotations

import heapq
import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accel_core.build.decision import lexicon
from accel_core.drive.aio import AsyncIo
from accel_core.policy.difference import compare
from accel_core.policy.gates import GATES, STRICT
from accel_core.policy.reading import read
from accel_core.policy.same_answer import plain
from accel_core.policy.similarity import Candidate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accel_core.audit.arrivals import Arrival
    from accel_core.audit.prepared import PreparedEncoder
    from accel_core.config.tree import GateConfig
    from accel_core.policy.gates import Gate
    from accel_core.policy.similarity import SimilarityPolicy, Verdict
    from accel_core.semantic_cache import Hit
    from accel_core.tiers import Tiers

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class RiskyHit:
    """A hit by meaning, to be judged.

    Attributes:
        asked: the question.
        stored: the question whose answer would have been served.
        logged: what the log's model answered.
        served: what would have been served.
        similarity: cosine of both questions.
        probability: that the answer is right, as it was decided; None under a plain threshold.
        near_gates: gates that would have refused it, and are not asked as configured.
        only_asked: words that only the question has, which may decide an answer.
        only_stored: words that only the stored one has.
        at_s: when it was first asked; None where the log has no times.
        times: how often it was since.
    """

    asked: str
    stored: str
    logged: str
    served: str
    similarity: float
    probability: float | None
    near_gates: tuple[str, ...]
    only_asked: tuple[str, ...]
    only_stored: tuple[str, ...]
    at_s: float | None
    times: int = 1


class Riskiest:
    """Keeps those of all hits by meaning that are least probable.

    Args:
        policy: the decision; None: there are no such hits.
        tiers: hold the entries.
        gates: which gates are asked.
    """

    def __init__(self, policy: SimilarityPolicy | None, tiers: Tiers, gates: GateConfig) -> None:
        self._policy, self._tiers = policy, tiers
        left_out = set(gates.skip) | (set() if gates.strict else STRICT)
        self._unasked = (
            GATES if not gates.enabled else {n: GATES[n] for n in GATES if n in left_out}
        )
        self._io, self._numbers = AsyncIo(), itertools.count()
        self._kept: list[tuple[float, int, Arrival, Hit, float | None]] = []
        self._times: dict[tuple[bytes, bytes], int] = {}

    async def look(self, arrival: Arrival, hit: Hit, encoder: PreparedEncoder | None) -> bool:
        """Take note of a hit; return whether the log's own answer has the same words."""
        same = plain(arrival.text) == plain(_text(hit))
        pair = _pair(arrival, hit)
        if pair in self._times:
            self._times[pair] += 1
            return same
        verdict = await self._decided(arrival, encoder)
        probability = None if verdict is None else verdict.probability
        safety = hit.similarity if probability is None else probability
        self._times[pair] = 1
        heapq.heappush(self._kept, (-safety, -next(self._numbers), arrival, hit, probability))
        if len(self._kept) > _SHOWN:
            _, _, safest, its_hit, _ = heapq.heappop(self._kept)
            del self._times[_pair(safest, its_hit)]
        return same

    def found(self) -> list[RiskyHit]:
        """Return those kept, the riskiest first."""
        return [
            _risky(arrival, hit, probability, self._unasked, self._times[_pair(arrival, hit)])
            for _, _, arrival, hit, probability in sorted(self._kept, reverse=True)
        ]

    async def _decided(self, arrival: Arrival, encoder: PreparedEncoder | None) -> Verdict | None:
        policy = self._policy
        if policy is None or encoder is None:
            return None
        vector = encoder.encode([arrival.request.text])[0]
        scope, limit = arrival.request.scope, policy.candidates
        around = await self._tiers.around(self._io, scope, vector, limit)
        near = [Candidate(entry.text, cosine) for entry, cosine in around.near if entry.semantic]
        return policy.decide(arrival.request.text, near[: policy.candidates])


def _pair(arrival: Arrival, hit: Hit) -> tuple[bytes, bytes]:
    return arrival.request.key, hit.entry.key


def _risky(
    arrival: Arrival,
    hit: Hit,
    probability: float | None,
    unasked: Mapping[str, Gate],
    times: int,
) -> RiskyHit:
    asked, stored = arrival.request.text, hit.entry.text
    difference = compare(read(asked), read(stored), lexicon)
    near = tuple(name for name, gate in unasked.items() if gate(difference, lexicon))
    return RiskyHit(
        asked,
        stored,
        arrival.text,
        _text(hit),
        hit.similarity,
        probability,
        near,
        difference.only_a.strong,
        difference.only_b.strong,
        arrival.stated.began_s,
        times,
    )


def _text(hit: Hit) -> str:
    text = json.loads(hit.entry.payload)
    return text if isinstance(text, str) else ""
