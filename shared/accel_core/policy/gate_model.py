"""What a trained gate knows: a line through an encoder's vectors, and where it skips.

Invariant: a model names the encoder whose vectors it was trained on. Plain numbers in JSON: it can
be read, compared and shipped, and loading it runs nothing.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from accel_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GateModel:
    """A logistic line, its threshold, and what both rest on.

    Attributes:
        encoder: name of the encoder it belongs to.
        weights: one per dimension of its vectors.
        bias: log-odds at the origin.
        skip_below: probability of needing documents under which they are not searched, in [0, 0.5].
        languages: of the rules it was trained beside.
        max_skipped: share of real questions that may be skipped wrongly, in (0, 1).
        confidence: with which that holds for questions like the examples, in [0.5, 1).
        questions: examples that need documents.
        small_talk: examples that do not.
        skipped: of the questions, those skipped by a line that had not seen them.
        saved: share of the small talk that such a line skipped, in [0, 1].
    """

    encoder: str
    weights: tuple[float, ...]
    bias: float
    skip_below: float
    languages: tuple[str, ...]
    max_skipped: float
    confidence: float
    questions: int
    small_talk: int
    skipped: int
    saved: float

    def __post_init__(self) -> None:
        if not self.weights or not all(map(math.isfinite, (*self.weights, self.bias))):
            raise ConfigError("weights", len(self.weights), "must be finite numbers, one at least")
        if not 0 <= self.skip_below <= 0.5:
            raise ConfigError("skip_below", self.skip_below, "must be in [0, 0.5]")

    def probability(self, vector: Iterable[float]) -> float:
        """Return the probability that the text of `vector` needs documents."""
        log_odds = self.bias + sum(a * b for a, b in zip(self.weights, vector, strict=True))
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(log_odds, 60.0))))

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, spelled: Mapping[str, Any]) -> GateModel:
        """Read a model.

        Raises:
            ConfigError: it is not one, or of another format.
        """
        fields = dict(spelled)
        if fields.pop("format", None) != FORMAT:
            expected = f"must be {FORMAT}; run accel train-gate again"
            raise ConfigError("format", spelled.get("format"), expected)
        try:
            fields["weights"] = tuple(float(weight) for weight in fields["weights"])
            fields["languages"] = tuple(str(name) for name in fields["languages"])
            for name in ("bias", "skip_below", "max_skipped", "confidence", "saved"):
                fields[name] = float(fields[name])
            return cls(**fields)
        except (TypeError, ValueError, KeyError) as error:
            if isinstance(error, ConfigError):
                raise
            expected = f"must be what accel train-gate wrote: {error!r}"
            raise ConfigError("gate", sorted(spelled), expected) from error
