"""What every encoder must do, as a test class; and an encoder that needs nothing.

::

    class TestMyEncoder(EncoderContract):
        @pytest.fixture
        def encoder(self):
            return MyEncoder()  # asked for by every test: keep one if it is slow to load
"""

from __future__ import annotations

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from accel_core.policy.trust import foreign_script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.ports import Encoder, Vectors

QUESTIONS = (
    "How do I reset my password?",
    "What is the capital of France?",
    "Can I get a refund for an order that I placed last week, if it has not been shipped yet?",
    "sort a list of dicts by key",
    "Où est la gare?",
)


class HashEncoder:
    """A bag of words, hashed: fast, deterministic, and blind to meaning and order.

    Texts of the same words are the same to it; each differing word lowers the similarity.

    Args:
        dimensions: length of the vectors.
        min_similarity: the threshold it is used with, a cosine.
    """

    def __init__(self, dimensions: int = 64, min_similarity: float | None = 0.9) -> None:
        self.name = f"hash-{dimensions}"
        self.min_similarity = min_similarity
        self._dimensions = dimensions

    def __repr__(self) -> str:
        return f"HashEncoder({self._dimensions}, {self.min_similarity})"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text, in order; (0, dimensions) for no texts."""
        import numpy as np

        vectors = np.zeros((len(texts), self._dimensions), np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()) or [text]:
                vectors[row] += self._direction(word)
            vectors[row] /= np.linalg.norm(vectors[row])
        return vectors

    def distrust(self, text: str) -> str | None:
        """Return ``empty`` or ``script``, or None: it sees words of Latin script, at any length."""
        if not text or text.isspace():
            return "empty"
        return "script" if foreign_script(text, frozenset({"Latin"})) else None

    def _direction(self, word: str) -> Vectors:
        """Return a direction for `word`, nearly at right angles to that of any other."""
        import numpy as np

        digest = hashlib.shake_128(word.encode("utf-8", "surrogatepass")).digest(self._dimensions)
        return np.frombuffer(digest, np.uint8).astype(np.float32) - 127.5


class EncoderContract:
    """Subclass it with a fixture ``encoder``; ``pytest`` finds the rest."""

    def test_named(self, encoder: Encoder) -> None:
        """An encoder names its vector space and says whether a threshold is known for it."""
        assert encoder.name
        assert encoder.min_similarity is None or 0 < encoder.min_similarity <= 1

    def test_unit_vectors(self, encoder: Encoder) -> None:
        """Every text gets one float32 vector of unit length."""
        import numpy as np

        vectors = encoder.encode(QUESTIONS)
        assert vectors.dtype == np.float32
        assert vectors.ndim == 2
        assert len(vectors) == len(QUESTIONS)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-4)

    def test_batch_agrees_with_single(self, encoder: Encoder) -> None:
        """A text's vector does not depend on what it is encoded with, and the order is kept."""
        together = encoder.encode(QUESTIONS)
        for text, vector in zip(QUESTIONS, together, strict=True):
            assert float(encoder.encode([text])[0] @ vector) >= 1 - 1e-3

    def test_repeatable(self, encoder: Encoder) -> None:
        """The same text twice gives the same vector, and another text another one."""
        first, again, other = encoder.encode([QUESTIONS[0], QUESTIONS[0], QUESTIONS[1]])
        assert float(first @ again) >= 1 - 1e-5
        assert float(first @ other) < 0.9

    def test_many_lengths(self, encoder: Encoder) -> None:
        """A long list of texts of many lengths comes back in its order."""
        texts = [" ".join(QUESTIONS[: 1 + n % 5]) + f" {n}" for n in range(40)]
        vectors = encoder.encode(texts)
        for n in (0, 13, 27, 39):
            assert float(encoder.encode([texts[n]])[0] @ vectors[n]) >= 1 - 1e-3

    def test_no_texts(self, encoder: Encoder) -> None:
        """No texts give no rows."""
        assert encoder.encode([]).shape[0] == 0

    def test_threads(self, encoder: Encoder) -> None:
        """Several threads may encode at once."""
        expected = encoder.encode(QUESTIONS)

        def encode(n: int) -> float:
            place = n % len(QUESTIONS)
            text = QUESTIONS[place]
            encoder.distrust(text)
            return float(encoder.encode([text])[0] @ expected[place])

        with ThreadPoolExecutor(4) as pool:
            assert min(pool.map(encode, range(20))) >= 1 - 1e-3

    def test_distrust(self, encoder: Encoder) -> None:
        """Any text at all gets a reason or None, and an ordinary question None."""
        assert encoder.distrust(QUESTIONS[0]) is None
        for text in ("", " \n", "word " * 30_000, "忘记了密码怎么办", "🦜", "\ud800", "\x00"):
            reason = encoder.distrust(text)
            assert reason is None or isinstance(reason, str)

    def test_distrusted_texts_encode_or_raise(self, encoder: Encoder) -> None:
        """A text longer than what is read of it is encoded all the same."""
        assert encoder.encode(["word " * 30_000]).shape[0] == 1
