"""Whether a stored question has the same answer as the one asked.

Similarity alone never decides: a policy sees the question, the nearest stored questions and their
similarities, and gives a verdict with a reason. Array work stays in the index; this is scalar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from accel_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Candidate(NamedTuple):
    """A stored question and its cosine to the one asked, in [-1, 1]."""

    text: str
    similarity: float


class Verdict(NamedTuple):
    """A decision.

    Attributes:
        chosen: place of the candidate to serve, or None.
        reason: why, in a fixed vocabulary; a gate's refusal is ``gate:`` and its name.
        probability: that the best candidate has the right answer, where that was worked out.
        grey: place of a candidate that is served if a verifier approves, and not otherwise.
    """

    chosen: int | None
    reason: str
    probability: float | None = None
    grey: int | None = None


class Threshold(NamedTuple):
    """What is served: where `measure` (``probability`` or ``similarity``) is `least` or more."""

    measure: str
    least: float


class SimilarityPolicy(Protocol):
    """Decides between the nearest stored questions."""

    @property
    def candidates(self) -> int:
        """How many nearest entries it wants to see."""

    @property
    def ready(self) -> bool:
        """Whether it decides at once; the first decision may take a file's reading."""

    @property
    def floor(self) -> float:
        """Cosine below which nothing is served, nor a verifier asked."""

    def comparable(self, text: str) -> bool:
        """Whether questions such as `text` may be compared by meaning at all."""

    def decide(self, question: str, candidates: Sequence[Candidate]) -> Verdict:
        """Choose among `candidates`, nearest first."""


class AccountablePolicy(SimilarityPolicy, Protocol):
    """A policy that says what it goes by, so that its decisions can be explained."""

    @property
    def threshold(self) -> Threshold:
        """From where on it serves."""

    def refusing(self, question: str, text: str) -> tuple[str, ...]:
        """Return the names of all gates that refuse to treat two texts as one question."""


def check_grey(grey_from: float | None, serve_from: float) -> None:
    """Raise ConfigError unless `grey_from` is below `serve_from`, or None."""
    if grey_from is not None and not grey_from < serve_from:
        raise ConfigError("grey_from", grey_from, f"must be below {serve_from:g}, which serves")


def short_enough(text: str, max_words: int) -> bool:
    """Whether `text` has at most `max_words` words, none of them absurdly long on average."""
    return len(text) <= 32 * max_words and len(text.split()) <= max_words


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedThreshold:
    """Serve the nearest question when it is near enough.

    Attributes:
        min_similarity: cosine from which two questions count as one, in [0, 1].
        max_words: longer texts are served exactly only: the longer a text, the less a single
            word that changes its answer moves its vector.
        grey_from: cosine from which a verifier is asked about the nearest question; None: never.
    """

    min_similarity: float
    max_words: int = 64
    grey_from: float | None = None
    candidates: int = 1
    ready = True

    def __post_init__(self) -> None:
        if not 0 <= self.min_similarity <= 1:
            raise ConfigError("min_similarity", self.min_similarity, "must be in [0, 1]")
        if not self.max_words > 0:
            raise ConfigError("max_words", self.max_words, "must be above 0")
        check_grey(self.grey_from, self.min_similarity)

    @property
    def floor(self) -> float:
        """The lower of both thresholds."""
        return self.min_similarity if self.grey_from is None else self.grey_from

    @property
    def threshold(self) -> Threshold:
        """The cosine from which it serves."""
        return Threshold("similarity", self.min_similarity)

    def refusing(self, question: str, text: str) -> tuple[str, ...]:  # noqa: ARG002 - has no gates
        """Return nothing."""
        return ()

    def comparable(self, text: str) -> bool:
        """Whether `text` has at most `max_words` words."""
        return short_enough(text, self.max_words)

    def decide(self, question: str, candidates: Sequence[Candidate]) -> Verdict:  # noqa: ARG002
        """Choose the nearest, where it reaches the threshold."""
        if not candidates:
            return Verdict(None, "no_entry")
        if candidates[0].similarity >= self.min_similarity:
            return Verdict(0, "threshold")
        if self.grey_from is not None and candidates[0].similarity >= self.grey_from:
            return Verdict(None, "grey", grey=0)
        return Verdict(None, "below_threshold")
