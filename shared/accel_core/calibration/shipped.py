"""Read calibrations: the shipped ones by the encoder's name, a user's own from its file.

The shipped forest was grown by `accel_core.evaluation.grow` on one half of a public set of question
pairs, at the default encoder's cosines; ``benchmarks decision`` reports on the other half.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from accel_core.errors import ConfigError
from accel_core.policy.calibration import Calibration
from accel_core.policy.forest import Forest

_FOLDER = files("accel_core.calibration")


@cache
def forest() -> Forest:
    """Return the shipped forest; reading it takes some milliseconds, once."""
    return Forest.from_json(json.loads(_FOLDER.joinpath("forest.json").read_text("utf-8")))


def shipped(encoder: str) -> Calibration | None:
    """Return the calibration shipped for the encoder of that name; None where there is none."""
    for file in _FOLDER.iterdir():
        if file.name == f"{encoder.rpartition('/')[2]}.json":
            found = Calibration.from_json(json.loads(file.read_text("utf-8")))
            return found if found.encoder == encoder else None
    return None


def fingerprint(calibration: Calibration, *more: object) -> str:
    """Return a digest of all that a probability depends on: other scores, another digest.

    Args:
        calibration: of the encoder in use; its threshold and what was measured play no part.
        more: what else decides which candidates there are, and which of them are right.
    """
    meant = calibration.min_similarity, calibration.scale, calibration.odds
    spelled = json.dumps([forest().to_json(), meant, *map(str, more)])
    return hashlib.blake2b(spelled.encode(), digest_size=16).hexdigest()


def read_calibration(path: str, encoder: str) -> Calibration:
    """Read the calibration at `path`.

    Raises:
        ConfigError: the file cannot be read, is not a calibration, or belongs to another encoder.
    """
    try:
        spelled: Any = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError("calibration", path, f"must be a readable JSON file ({error})") from error
    if not isinstance(spelled, dict):
        raise ConfigError("calibration", path, "must be what accel calibrate wrote")
    found = Calibration.from_json(spelled)
    if found.encoder != encoder:
        expected = f"belongs to encoder {found.encoder!r}; calibrate {encoder!r} and name its file"
        raise ConfigError("calibration", path, expected)
    return found
