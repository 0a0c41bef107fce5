"""wordllama's static vectors: microseconds instead of milliseconds, and no word order.

A text is the mean of its tokens' vectors, so "dog bites man" and "man bites dog" are the same to
it; no threshold was calibrated for it, and semantic hits need one set by hand.

Reads the weights out of the installed package and must not import it: doing so configures the
root logger of the whole process.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from accel_core.encoder.lazy import Lazy
from accel_core.errors import EncoderError, MissingExtraError
from accel_core.policy.trust import foreign_script

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    from accel_core.ports import Vectors

WINDOW_TOKENS: Final = 2_000  # there is no attention to run out; beyond this a mean says nothing
WINDOW_CHARACTERS: Final = 20_000
SCRIPTS: Final = frozenset({"Latin"})
_WEIGHTS = Path("weights", "l2_supercat_256.safetensors")
_TOKENIZER = Path("tokenizers", "l2_supercat_tokenizer_config.json")
_WHITESPACE_BYTES = frozenset({"<0x09>", "<0x0A>", "<0x0D>"})


class _Loaded(NamedTuple):
    tokenizer: Tokenizer
    table: NDArray[np.float32]
    unknown: frozenset[int | None]


class StaticEncoder:
    """Encodes with the 256 dimensions of wordllama's ``l2_supercat``."""

    name = "wordllama-l2-supercat-256"
    min_similarity: float | None = None

    def __init__(self) -> None:
        self._loaded = Lazy(self._load)

    def __repr__(self) -> str:
        return "StaticEncoder()"

    def __reduce__(self) -> tuple[type[StaticEncoder], tuple[()]]:
        return type(self), ()  # another process loads for itself; locks do not travel

    def warm(self) -> None:
        """Load the weights and return when they are ready."""
        self._loaded.get()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text, in order; (0, 256) for no texts.

        Raises:
            EncoderError: a text has no token, and so no direction.
        """
        import numpy as np

        tokenizer, table, _ = self._loaded.get()
        vectors = np.empty((len(texts), table.shape[1]), np.float32)
        for row, text in enumerate(texts):
            ids = tokenizer.encode(text[:WINDOW_CHARACTERS], add_special_tokens=False).ids
            if not ids:
                raise EncoderError(self.name, "encode", "an empty text has no vector")
            # The sum has the direction of the mean, and only the direction outlives normalisation.
            total = table[ids[:WINDOW_TOKENS]].sum(axis=0)
            vectors[row] = total / np.linalg.norm(total)
        return vectors

    def distrust(self, text: str) -> str | None:
        """Return why `text` must not be compared by meaning, or None where it may.

        Reasons: ``empty``, ``window``, ``script``, ``unknown_tokens``.
        """
        if not text or text.isspace():
            return "empty"
        if len(text) > WINDOW_CHARACTERS:
            return "window"
        if foreign_script(text, SCRIPTS):
            return "script"
        tokenizer, _, unknown = self._loaded.get()
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        if len(ids) > WINDOW_TOKENS:
            return "window"
        return None if unknown.isdisjoint(ids) else "unknown_tokens"

    def after_fork(self) -> None:
        """Let go of the parent's locks; what is loaded stays usable."""
        self._loaded.after_fork()

    def _load(self) -> _Loaded:
        spec = importlib.util.find_spec("wordllama")
        if spec is None or spec.origin is None:
            raise MissingExtraError("static", f"the {self.name} encoder")
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        folder = Path(spec.origin).parent
        try:
            tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
            table = load_file(folder / _WEIGHTS)["embedding.weight"].astype("float32")
        except Exception as error:
            raise EncoderError(self.name, "load", f"{type(error).__name__}") from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        # A character outside the vocabulary comes back as its bytes, one token each.
        spelt = {f"<0x{byte:02X}>" for byte in range(256)} - _WHITESPACE_BYTES | {"<unk>"}
        unknown = frozenset(map(tokenizer.token_to_id, spelt))
        return _Loaded(tokenizer, table, unknown)
