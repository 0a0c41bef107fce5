"""What a cosine means for one encoder: the numbers that turn it into a probability.

One forest is shipped, grown on the default encoder's cosines. Another encoder's cosines are first
put on that scale (a line through log-odds: two numbers), and its log-odds are set right on the
user's own pairs (Platt 1999: two more). So a few hundred labelled pairs are enough, and a
calibration is a page of JSON that can be read.

Invariant: a calibration names its encoder and the numbers its forest was grown on; with others it
is refused, because a wrong one would be served as certainty.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from accel_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1
IDENTITY = (1.0, 0.0)
EVERYTHING = 1e-9
"""A `serve_from` at which everything is served that no gate refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How sure to be, for one encoder.

    Attributes:
        encoder: name of the encoder it belongs to.
        serve_from: probability from which a stored answer is served, in (0, 1).
        min_similarity: cosine below which nothing is looked at closely, in [-1, 1].
        scale: slope and offset that put the encoder's cosines on the forest's scale.
        odds: slope and offset that set the forest's log-odds right.
        questions: on how many labelled questions it rests; 0 where that is not known.
        wrong_share: share of wrong hits measured at `serve_from`, in [0, 1]; None: not measured.
    """

    encoder: str
    serve_from: float
    min_similarity: float
    scale: tuple[float, float] = IDENTITY
    odds: tuple[float, float] = IDENTITY
    questions: int = 0
    wrong_share: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.serve_from < 1:
            raise ConfigError("serve_from", self.serve_from, "must be between 0 and 1")
        if not -1 <= self.min_similarity <= 1:
            raise ConfigError("min_similarity", self.min_similarity, "must be in [-1, 1]")
        for name, (slope, offset) in (("scale", self.scale), ("odds", self.odds)):
            if not (slope > 0 and math.isfinite(slope) and math.isfinite(offset)):
                raise ConfigError(name, (slope, offset), "a slope above 0 and an offset")

    def scaled(self, cosine: float) -> float:
        """Return `cosine` on the forest's scale, at most 1."""
        slope, offset = self.scale
        return min(1.0, slope * cosine + offset)

    def probability(self, log_odds: float) -> float:
        """Return the probability that the forest's `log_odds` mean for this encoder."""
        slope, offset = self.odds
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(slope * log_odds + offset, 60.0))))

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, spelled: Mapping[str, Any]) -> Calibration:
        """Read a calibration.

        Raises:
            ConfigError: it is not one, or of another format.
        """
        fields = dict(spelled)
        if fields.pop("format", None) != FORMAT:
            expected = f"must be {FORMAT}; run accel calibrate again"
            raise ConfigError("format", spelled.get("format"), expected)
        try:
            for name in ("scale", "odds"):
                slope, offset = fields.get(name, IDENTITY)
                fields[name] = float(slope), float(offset)
            return cls(**fields)
        except (TypeError, ValueError, AttributeError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(
                "calibration", dict(spelled), f"must be a calibration: {error}"
            ) from error
