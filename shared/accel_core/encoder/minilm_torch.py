"""all-MiniLM-L6-v2 on torch: slower, for machines without ONNX Runtime.

Leaves the process as it was: no thread counts, no random state, no progress bars. Must not read
anything but safetensors: a pickle may run code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accel_core.encoder.minilm_onnx import DIMENSIONS, EPSILON, HEADS, LAYERS, POSITIONS

if TYPE_CHECKING:
    from pathlib import Path

    from accel_core.encoder.minilm_onnx import Run, Tokens
    from accel_core.ports import Vectors


def load(folder: Path) -> Run:
    """Return the model in `folder`.

    Raises:
        ImportError: ``torch``, ``transformers`` or ``safetensors`` is not installed.
        KeyError: a weight of the model is missing.
    """
    import torch
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel

    config = BertConfig(
        hidden_size=DIMENSIONS,
        intermediate_size=4 * DIMENSIONS,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=POSITIONS,
        layer_norm_eps=EPSILON,
    )
    with torch.random.fork_rng(devices=[]):  # the constructor draws weights, loaded over below
        model: Any = BertModel(config, add_pooling_layer=False)  # half its methods are untyped
    weights = load_file(folder / "model.safetensors")
    missing = model.load_state_dict(weights, strict=False).missing_keys
    if missing:
        raise KeyError(missing[0])
    model.eval()

    def run(ids: Tokens, mask: Tokens) -> Vectors:
        with torch.inference_mode():
            kept = torch.from_numpy(mask).long()
            hidden = model(input_ids=torch.from_numpy(ids).long(), attention_mask=kept)[0]
            pooled = (hidden * kept.unsqueeze(-1)).sum(dim=1)
            vectors: Vectors = torch.nn.functional.normalize(pooled, dim=1).numpy()
        return vectors

    return run
