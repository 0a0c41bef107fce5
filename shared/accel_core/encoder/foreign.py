"""An application's own embeddings as an encoder; the adapters subclass it for their framework.

Nothing is known of such a model but what its owner says, so the defaults are narrow: short texts
in Latin script, and no semantic hits until a threshold is set, because a threshold belongs to one
model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from accel_core.errors import ConfigError
from accel_core.policy.trust import foreign_script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.ports import Vectors


Model = TypeVar("Model")


class ForeignEncoder(Generic[Model]):
    """Encodes through `embed` and `aembed`, which a subclass provides.

    Args:
        model: the application's embeddings.
        name: identifies the vector space in stores; the class and model name where left out.
        min_similarity: cosine from which two questions count as one; None: no semantic hits.
        window_chars: longer texts are distrusted.
        scripts: names of the scripts the model was made for; None: every one.
    """

    def __init__(
        self,
        model: Model,
        *,
        name: str | None = None,
        min_similarity: float | None = None,
        window_chars: int = 1_000,
        scripts: Sequence[str] | None = ("Latin",),
    ) -> None:
        if not window_chars > 0:
            raise ConfigError("window_chars", window_chars, "must be above 0")
        self._model = model
        self.name = name or _name(model)
        self.min_similarity = min_similarity
        self._window_chars = window_chars
        self._scripts = None if scripts is None else frozenset(scripts)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one vector per text."""
        raise NotImplementedError

    async def aembed(self, texts: Sequence[str]) -> list[list[float]]:
        """Async form of `embed`."""
        raise NotImplementedError

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text, in order."""
        return _unit(self.embed(texts))

    async def aencode(self, texts: Sequence[str]) -> Vectors:
        """Async form of `encode`."""
        return _unit(await self.aembed(texts))

    def distrust(self, text: str) -> str | None:
        """Return ``empty``, ``window``, ``script``, or None."""
        if not text.strip():
            return "empty"
        if len(text) > self._window_chars:
            return "window"
        if self._scripts is not None and foreign_script(text, self._scripts):
            return "script"
        return None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


def _name(model: Any) -> str:
    """Return a name for the model's vector space: class, model and dimensions."""
    parts = [type(model).__qualname__]
    for attribute in ("model", "model_name", "dimensions"):
        value = getattr(model, attribute, None)
        if isinstance(value, (str, int)):
            parts.append(str(value))
    return ":".join(parts)


def _unit(rows: list[list[float]]) -> Vectors:
    """Return rows of unit length; one that is zero or not finite stays so, and is refused later."""
    import numpy as np

    made = np.asarray(rows, np.float32)
    norms = np.linalg.norm(made, axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit: Vectors = (made / norms).astype(np.float32)
    return unit
