"""A gate trained on examples: the rules first, then a line through the encoder's vectors.

Invariant: a text that the encoder cannot be trusted with is never skipped by the line.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accel_core.errors import ConfigError, EncoderError
from accel_core.policy.gate_model import GateModel
from accel_core.ports import GateDecision

if TYPE_CHECKING:
    from accel_core.policy.small_talk import SmallTalk
    from accel_core.ports import Sensor


class TrainedGate:
    """Skips what the rules know, and what is improbable to need documents.

    Args:
        model: what ``accel train-gate`` wrote, for the encoder of `sensor`.
        sensor: the encoder, one text at a time.
        talk: the rules that `model` was trained beside.
    """

    blocking = True

    def __init__(self, model: GateModel, sensor: Sensor, talk: SmallTalk) -> None:
        self._model, self._sensor, self._talk = model, sensor, talk

    def needs_retrieval(self, text: str) -> GateDecision:
        """Return whether documents should be searched for `text`; encodes it.

        Raises:
            EncoderError: the encoder failed, or its vectors are not those that `model` knows.
        """
        kind = self._talk.kind(text)
        if kind is not None:
            return GateDecision(needed=False, reason=kind)
        distrust = self._sensor.distrust(text)
        if distrust is not None:
            return GateDecision(needed=True, reason=distrust)
        vector = self._sensor.encode_one(text).tolist()
        if len(vector) != len(self._model.weights):
            detail = f"{len(vector)} dimensions, the gate was trained on {len(self._model.weights)}"
            raise EncoderError(self._sensor.name, "encode", detail)
        probability = self._model.probability(vector)
        needed = probability >= self._model.skip_below
        return GateDecision(needed, "question" if needed else "trained", probability)

    def __repr__(self) -> str:
        return f"TrainedGate(encoder={self._model.encoder!r})"


def read_gate(path: str, encoder: str) -> GateModel:
    """Read what ``accel train-gate`` wrote.

    Raises:
        ConfigError: the file cannot be read, is no gate, or belongs to another encoder.
    """
    try:
        spelled: Any = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError("path", path, f"must be a readable JSON file ({error})") from error
    if not isinstance(spelled, dict):
        raise ConfigError("path", path, "must be what accel train-gate wrote")
    found = GateModel.from_json(spelled)
    if found.encoder != encoder:
        expected = f"belongs to encoder {found.encoder!r}; train one with {encoder!r}"
        raise ConfigError("path", path, expected)
    return found
