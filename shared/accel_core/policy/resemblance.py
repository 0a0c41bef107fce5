"""The calibrated decision: how probable it is that two questions have the same answer.

A cosine says how near a question lies; whether it *is* the same question shows in what else lies
near (a dense neighbourhood is a family of look-alikes), in which words stand alone and what they
weigh, and in structure. A forest turns these into a probability, structural gates refuse what no
probability should outvote, and each refusal names its reason.

Only the nearest candidate is read closely: choosing among the nearest by probability was measured
and gains nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from accel_core.errors import ConfigError
from accel_core.policy.difference import FEATURES, compare, features
from accel_core.policy.gates import fired, refusing
from accel_core.policy.reading import read
from accel_core.policy.similarity import Threshold, Verdict, check_grey, short_enough

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from accel_core.policy.calibration import Calibration
    from accel_core.policy.difference import Lexicon
    from accel_core.policy.forest import Forest
    from accel_core.policy.gates import Gate
    from accel_core.policy.similarity import Candidate


class Decision(NamedTuple):
    """What a calibration calibrates: the forest, word knowledge, and the gates behind it."""

    forest: Forest
    lexicon: Lexicon
    gates: Mapping[str, Gate]

    def under(
        self, calibration: Calibration, max_words: int = 64, grey_from: float | None = None
    ) -> Resemblance:
        """Return the policy under `calibration`; longer texts are served exactly only."""
        return Resemblance(calibration, self, max_words, grey_from)


class Resemblance:
    """A `SimilarityPolicy`: serves where the same answer is probable enough and no gate refuses.

    Args:
        calibration: of the encoder in use.
        decision: what it calibrates.
        max_words: longer texts are served exactly only.
        grey_from: probability from which a verifier is asked; None: never.

    Raises:
        ConfigError: the forest was grown on other numbers, or `grey_from` leaves nothing between.
    """

    candidates = 6

    def __init__(
        self,
        calibration: Calibration,
        decision: Decision,
        max_words: int = 64,
        grey_from: float | None = None,
    ) -> None:
        check_grey(grey_from, calibration.serve_from)
        self._calibration, self._max_words = calibration, max_words
        self._close_from = calibration.serve_from if grey_from is None else grey_from
        self._forest, self._lexicon, self._gates = decision
        grown_on = self._forest.features
        if grown_on != FEATURES:
            raise ConfigError("forest", grown_on, "must be grown on this version's numbers")

    @property
    def floor(self) -> float:
        """The lowest cosine of the calibration."""
        return self._calibration.min_similarity

    @property
    def ready(self) -> bool:
        """Whether the lexicon is at hand."""
        return self._lexicon.ready

    @property
    def threshold(self) -> Threshold:
        """The probability from which it serves."""
        return Threshold("probability", self._calibration.serve_from)

    def refusing(self, question: str, text: str) -> tuple[str, ...]:
        """Return the names of all gates that refuse to treat two texts as one question."""
        return refusing(question, text, self._lexicon, self._gates)

    def comparable(self, text: str) -> bool:
        """Whether `text` is short enough to be compared by meaning."""
        return short_enough(text, self._max_words)

    def decide(self, question: str, candidates: Sequence[Candidate]) -> Verdict:
        """Judge the nearest candidate."""
        if not candidates:
            return Verdict(None, "no_entry")
        calibration, nearest = self._calibration, candidates[0]
        if nearest.similarity < calibration.min_similarity:
            return Verdict(None, "below_threshold", 0.0)
        difference = compare(read(question), read(nearest.text), self._lexicon)
        scaled = [calibration.scaled(candidate.similarity) for candidate in candidates]
        numbers = features(difference, scaled, self._lexicon)
        probability = calibration.probability(self._forest.log_odds(numbers))
        if probability < self._close_from:
            return Verdict(None, "improbable", probability)
        gate = fired(difference, self._lexicon, self._gates)
        if gate is not None:
            return Verdict(None, f"gate:{gate}", probability)
        if probability < calibration.serve_from:
            return Verdict(None, "grey", probability, grey=0)
        return Verdict(0, "calibrated", probability)

    def __repr__(self) -> str:
        calibration = self._calibration
        return f"Resemblance({calibration.encoder!r}, serve_from={calibration.serve_from})"
