"""Any decision, with the structural gates behind it: what it would serve, a gate may refuse.

Also what a verifier could approve: a gate that fired is not to be talked away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.policy.difference import compare
from accel_core.policy.gates import fired, refusing
from accel_core.policy.reading import read
from accel_core.policy.similarity import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from accel_core.policy.difference import Lexicon
    from accel_core.policy.gates import Gate
    from accel_core.policy.similarity import AccountablePolicy, Candidate, Threshold


class Gated:
    """A `SimilarityPolicy`: another one's decision, unless a gate refuses its candidate.

    Args:
        decides: the decision.
        lexicon: word knowledge.
        gates: by name, in the order in which they are asked.
    """

    def __init__(
        self, decides: AccountablePolicy, lexicon: Lexicon, gates: Mapping[str, Gate]
    ) -> None:
        self._decides, self._lexicon, self._gates = decides, lexicon, dict(gates)

    @property
    def candidates(self) -> int:
        """How many nearest entries the decision wants to see."""
        return self._decides.candidates

    @property
    def floor(self) -> float:
        """Cosine below which the decision serves nothing."""
        return self._decides.floor

    @property
    def ready(self) -> bool:
        """Whether the lexicon is at hand."""
        return self._lexicon.ready

    @property
    def threshold(self) -> Threshold:
        """From where on the decision serves."""
        return self._decides.threshold

    def refusing(self, question: str, text: str) -> tuple[str, ...]:
        """Return the names of all gates that refuse to treat two texts as one question."""
        return refusing(question, text, self._lexicon, self._gates)

    def comparable(self, text: str) -> bool:
        """Whether `text` may be compared by meaning at all."""
        return self._decides.comparable(text)

    def decide(self, question: str, candidates: Sequence[Candidate]) -> Verdict:
        """Decide, then ask the gates about what would be served, or verified."""
        verdict = self._decides.decide(question, candidates)
        place = verdict.grey if verdict.chosen is None else verdict.chosen
        if place is None:
            return verdict
        served = candidates[place].text
        if served == question:
            return verdict
        gate = fired(
            compare(read(question), read(served), self._lexicon), self._lexicon, self._gates
        )
        return verdict if gate is None else Verdict(None, f"gate:{gate}", verdict.probability)

    def __repr__(self) -> str:
        return f"Gated({self._decides!r}, gates={len(self._gates)})"
