"""Models that read two questions at once, of sentence-transformers: duplicates, and inference.

They see what an encoder cannot, each text in the light of the other. Both orders are scored and the
lower score counts: the same question is so both ways. The stored answer is not looked at.

A threshold belongs to one model, so there is no default; `score` takes the place of the model's
scores, in tests and for models behind another library. Nothing is loaded before the first case, and
nothing but safetensors is read: a pickle may run code.
"""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from accel_core.errors import ConfigError, MissingExtraError, VerifierError

if TYPE_CHECKING:
    from accel_core.ports import Case

Texts = Sequence[tuple[str, str]]
Score = Callable[[Texts], Sequence[float]]
"""Scores of pairs of texts, in order, each in [0, 1]."""


class _PairVerifier:
    """Approves where both orders of the two questions score high enough.

    Args:
        model: a folder or hub name of a sentence-transformers `CrossEncoder`.
        accept_from: score from which the two count as one question, in (0, 1).
        name: what its refusals are counted under.
        score: used instead of the model.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
    """

    _kind = ""

    def __init__(
        self,
        model: str,
        *,
        accept_from: float,
        name: str | None = None,
        score: Score | None = None,
    ) -> None:
        if not 0 < accept_from < 1:
            raise ConfigError("accept_from", accept_from, "must be between 0 and 1")
        if score is None and importlib.util.find_spec("sentence_transformers") is None:
            raise MissingExtraError("torch", f"the verifier {model!r}")
        self.name = name or self._kind
        self._model_name, self._accept_from = model, accept_from
        self._score = score or self._scored

    def verify(self, cases: Sequence[Case]) -> list[bool | None]:
        """Compare the lower score of each case with the threshold; None where there is none."""
        if not cases:
            return []
        pairs = [(case.asked, case.stored) for case in cases]
        scores = [float(score) for score in self._score([*pairs, *(pair[::-1] for pair in pairs)])]
        if len(scores) != 2 * len(cases):
            raise VerifierError(self.name, "score", f"{len(scores)} scores, not {2 * len(cases)}")
        both = zip(scores[: len(cases)], scores[len(cases) :], strict=True)
        return [self._verdict(*one) for one in both]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._model_name!r}, accept_from={self._accept_from})"

    def __getstate__(self) -> dict[str, Any]:
        """Leave the loaded model behind: it is loaded where it is needed."""
        kept = {key: value for key, value in vars(self).items() if key != "_model"}
        return kept | {"_score": None if self._score == self._scored else self._score}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._score = state["_score"] or self._scored

    def _verdict(self, one: float, other: float) -> bool | None:
        lower = min(one, other)
        return None if math.isnan(one + other) else lower >= self._accept_from

    def _scored(self, pairs: Texts) -> Sequence[float]:
        """Return the model's scores."""
        raise NotImplementedError

    @functools.cached_property
    def _model(self) -> Any:
        from sentence_transformers import CrossEncoder

        return CrossEncoder(self._model_name, model_kwargs={"use_safetensors": True})


class CrossEncoderVerifier(_PairVerifier):
    """Duplicate questions or similar sentences: a model with one output.

    Models that rank passages will not do: they say how well a text answers a question, and a
    look-alike question answers well.
    """

    _kind = "cross_encoder"

    def _scored(self, pairs: Texts) -> Sequence[float]:
        from torch.nn import Sigmoid

        if self._model.config.num_labels != 1:
            raise VerifierError(self.name, "score", "the model has several outputs, not one")
        # By name, since some models are stored with none.
        scores: Sequence[float] = self._model.predict(
            pairs, activation_fn=Sigmoid(), show_progress_bar=False
        )
        return scores


class NLIVerifier(_PairVerifier):
    """Natural language inference: each question must entail the other.

    The model names one of its outputs ``entailment``; the score is its share.
    """

    _kind = "nli"

    def _scored(self, pairs: Texts) -> Sequence[float]:
        shares = self._model.predict(pairs, apply_softmax=True, show_progress_bar=False)
        column: Sequence[float] = shares[:, self._entailment]
        return column

    @functools.cached_property
    def _entailment(self) -> int:
        labels = self._model.config.id2label
        found = [place for place, label in labels.items() if label.lower() == "entailment"]
        if len(found) != 1:
            raise VerifierError(self.name, "score", "the model has no output named entailment")
        return int(found[0])
