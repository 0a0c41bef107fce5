"""all-MiniLM-L6-v2 on ONNX Runtime, its graph written straight from the weights.

No export: the graph below is BERT with mean pooling, in ONNX Runtime's own fused operators, and the
tensors are handed over in memory. That takes a third of a second, where exporting with torch takes
fifteen, needs torch, and leaves 90 MB in a cache folder that would have to be guarded.

Must not read anything but safetensors: a pickle may run code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from accel_core.ports import Vectors

    Weights = dict[str, NDArray[np.float32]]
    Tokens = NDArray[np.int32]
    Run = Callable[[Tokens, Tokens], Vectors]
    """Token ids and mask, both (texts, length), to unit vectors."""

LAYERS, HEADS, DIMENSIONS = 6, 12, 384
POSITIONS = 512
EPSILON = 1e-12
_FUSED = "com.microsoft"
_OPSET, _FUSED_OPSET, _IR_VERSION = 17, 1, 8  # read by every ONNX Runtime since 1.14


def load(folder: Path, threads: int) -> Run:
    """Return the model in `folder`, run by `threads` threads for each call.

    Raises:
        ImportError: ``onnx``, ``onnxruntime`` or ``safetensors`` is not installed.
        KeyError: a weight of the model is missing.
    """
    import onnxruntime
    from safetensors.numpy import load_file

    graph = _Graph(load_file(folder / "model.safetensors"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # errors only: warnings would be printed over the user's output
    tensors = {
        name: onnxruntime.OrtValue.ortvalue_from_numpy(value)
        for name, value in graph.tensors.items()
    }
    # Copied when the session is made: neither the values nor the arrays need outlive this call.
    options.add_external_initializers(list(tensors), list(tensors.values()))
    session = onnxruntime.InferenceSession(
        graph.serialised(), options, providers=["CPUExecutionProvider"]
    )

    def run(ids: Tokens, mask: Tokens) -> Vectors:
        vectors: Vectors = session.run(None, {"ids": ids, "mask": mask})[0]
        return vectors

    return run


class _Graph:
    """The model as an ONNX graph without its tensors, and the tensors by name."""

    def __init__(self, weights: Weights) -> None:
        self.tensors: Weights = {}
        self._weights = weights
        self._nodes: list[Any] = []
        hidden = self._embedding()
        for layer in range(LAYERS):
            hidden = self._layer(hidden, f"encoder.layer.{layer}.")
        self._pooling(hidden)

    def serialised(self) -> bytes:
        """Return the graph as the bytes of an ONNX model."""
        from onnx import TensorProto, helper

        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT32, ["texts", "length"])
            for name in ("ids", "mask")
        ]
        vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", DIMENSIONS])
        graph = helper.make_graph(
            self._nodes, "all-MiniLM-L6-v2", inputs, [vectors], self._placeholders()
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_FUSED, _FUSED_OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        return bytes(model.SerializeToString())

    def _placeholders(self) -> list[Any]:
        from onnx import TensorProto

        placeholders = []
        for name, value in self.tensors.items():
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=value.shape)
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="in-memory")
            placeholders.append(tensor)
        return placeholders

    def _op(self, kind: str, inputs: list[str], *, domain: str = "", **attributes: Any) -> str:
        """Add one node and return the name of its (first) output."""
        from onnx import helper

        output: str = attributes.pop("output", f"{kind}.{len(self._nodes)}")
        outputs = [output, *attributes.pop("more_outputs", [])]
        self._nodes.append(helper.make_node(kind, inputs, outputs, domain=domain, **attributes))
        return output

    def _tensor(self, name: str, value: NDArray[np.float32] | None = None) -> str:
        """Add one tensor, by default the weight of that name, and return its name."""
        import numpy as np

        self.tensors[name] = np.ascontiguousarray(
            self._weights[name] if value is None else value, dtype=np.float32
        )
        return name

    def _turned(self, name: str) -> str:
        # torch keeps a linear layer's weight as (out, in); MatMul wants (in, out).
        return self._tensor(name, self._weights[name].T)

    def _embedding(self) -> str:
        name = "embeddings."
        # The token type is 0 throughout, so its row is added to every position once and for all.
        positions = self._weights[name + "position_embeddings.weight"]
        types = self._weights[name + "token_type_embeddings.weight"]
        inputs = [
            "ids",
            "",
            self._tensor(name + "word_embeddings.weight"),
            self._tensor(name + "position_embeddings.weight", positions + types[0]),
            "",
            self._tensor(name + "LayerNorm.weight"),
            self._tensor(name + "LayerNorm.bias"),
            "mask",
        ]
        return self._op(
            "EmbedLayerNormalization",
            inputs,
            domain=_FUSED,
            epsilon=EPSILON,
            more_outputs=["lengths"],
        )

    def _layer(self, hidden: str, name: str) -> str:
        attended = self._op(
            "MatMul",
            [
                self._attention(hidden, name + "attention.self."),
                self._turned(name + "attention.output.dense.weight"),
            ],
        )
        attended = self._add_and_norm(attended, hidden, name + "attention.output.")
        wide = self._op("MatMul", [attended, self._turned(name + "intermediate.dense.weight")])
        bias = self._tensor(name + "intermediate.dense.bias")
        wide = self._op("BiasGelu", [wide, bias], domain=_FUSED)
        narrow = self._op("MatMul", [wide, self._turned(name + "output.dense.weight")])
        return self._add_and_norm(narrow, attended, name + "output.")

    def _attention(self, hidden: str, name: str) -> str:
        import numpy as np

        parts = [name + part for part in ("query", "key", "value")]
        weights = np.concatenate([self._weights[part + ".weight"].T for part in parts], axis=1)
        biases = np.concatenate([self._weights[part + ".bias"] for part in parts])
        inputs = [
            hidden,
            self._tensor(name + "weight", weights),
            self._tensor(name + "bias", biases),
            "lengths",
        ]
        return self._op("Attention", inputs, domain=_FUSED, num_heads=HEADS)

    def _add_and_norm(self, new: str, old: str, name: str) -> str:
        inputs = [
            new,
            old,
            self._tensor(name + "LayerNorm.weight"),
            self._tensor(name + "LayerNorm.bias"),
            self._tensor(name + "dense.bias"),
        ]
        return self._op("SkipLayerNormalization", inputs, domain=_FUSED, epsilon=EPSILON)

    def _pooling(self, hidden: str) -> None:
        from onnx import TensorProto

        kept = self._op("Cast", ["mask"], to=TensorProto.FLOAT)
        # The sum has the direction of the mean, and only the direction outlives normalisation.
        pooled = self._op("Einsum", [kept, hidden], equation="ts,tsd->td")
        self._op("LpNormalization", [pooled], axis=1, p=2, output="vectors")
