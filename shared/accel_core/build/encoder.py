"""The encoder that a configuration names, where its libraries are installed; not loaded yet."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accel_core.config import EncoderConfig
    from accel_core.ports import Encoder

_NEEDS = {
    "minilm": (
        ("tokenizers", "onnxruntime", "onnx", "safetensors"),
        ("tokenizers", "torch", "transformers", "safetensors"),
    ),
    "static": (("wordllama",),),
    "openai": (("openai",),),
}
"""Libraries of each encoder kind: any one group, whole, is enough."""

_EXTRAS = {"minilm": "local", "static": "static", "openai": "openai"}


def build_encoder(config: EncoderConfig, min_similarity: float | None) -> Encoder | None:
    """Return the encoder `config` names, not loaded yet; None when its libraries are missing."""
    groups = _NEEDS[config.kind]
    if not any(all(importlib.util.find_spec(name) for name in group) for group in groups):
        return None
    if config.kind == "minilm":
        from accel_core.encoder.minilm import MiniLMEncoder

        return MiniLMEncoder(config.model)
    if config.kind == "static":
        from accel_core.encoder.static import StaticEncoder

        return StaticEncoder()
    from accel_core.encoder.openai import OpenAIEncoder

    return OpenAIEncoder(config.model or "", min_similarity=min_similarity)


def extra_of(kind: str) -> str:
    """Return the extra that installs the encoder of that kind."""
    return _EXTRAS[kind]
