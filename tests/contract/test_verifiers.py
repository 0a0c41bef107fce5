"""Every verifier under the one contract."""

from __future__ import annotations

import importlib.util
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from accel_core import CrossEncoderVerifier, NLIVerifier
from accel_core.errors import ConfigError, MissingExtraError, VerifierError
from accel_core.ports import Case
from accel_core.testing.verifiers import CASES, VerifierContract, WordsVerifier
from accel_core.verifier.function import FunctionVerifier

if TYPE_CHECKING:
    from pathlib import Path

    from accel_core.ports import Verifier
    from accel_core.verifier.cross_encoder import Texts

SAME = Case("how do I swim", "how can I swim", "")
OTHER = Case("how do I swim", "how do I ski", "")
MODELS = [CrossEncoderVerifier, NLIVerifier]


class TestWords(VerifierContract):
    @pytest.fixture
    def verifier(self) -> Verifier:
        return WordsVerifier()


class TestFunction(VerifierContract):
    @pytest.fixture
    def verifier(self) -> Verifier:
        return FunctionVerifier(lambda asked, stored, answer: asked == stored)

    def test_sees_all_three_texts(self) -> None:
        """In the order of the case; its name is the function's, or given."""
        seen = []

        def judge(*texts: str) -> None:
            seen.append(texts)

        verifier = FunctionVerifier(judge)
        assert verifier.verify(CASES[:2]) == [None, None]
        assert seen == list(CASES[:2])
        assert (verifier.name, FunctionVerifier(judge, name="mine").name) == ("judge", "mine")


def shared_words(pairs: Texts) -> list[float]:
    """Score by the share of the first text's words that the second has: not the same both ways."""
    words = [tuple(set(text.lower().split()) for text in pair) for pair in pairs]
    return [len(one & other) / (len(one) or 1) for one, other in words]


@pytest.mark.parametrize("kind", MODELS)
class TestScored(VerifierContract):
    @pytest.fixture
    def verifier(self, kind: Any) -> Verifier:
        made: Verifier = kind("any", accept_from=0.7, score=shared_words)
        return made


@pytest.mark.parametrize("kind", MODELS)
def test_both_orders_must_score(kind: Any) -> None:
    """What holds one way only is another question."""
    verifier = kind("any", accept_from=0.7, score=shared_words)
    added = Case("how do I swim", "how do I swim with a broken arm", "")
    assert verifier.verify([SAME, OTHER, added, Case(*added[1::-1], "")]) == [
        True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("kind", MODELS)
def test_scores_that_are_none_are_no_verdict(kind: Any) -> None:
    """A score that is no number, too few of them, a scorer that fails."""
    nan = kind("any", accept_from=0.7, score=lambda pairs: [1.0, float("nan")])
    assert nan.verify([SAME]) == [None]
    few = kind("any", accept_from=0.7, score=lambda pairs: [1.0])
    with pytest.raises(VerifierError, match="1 scores, not 2"):
        few.verify([SAME])


@pytest.mark.parametrize("kind", MODELS)
def test_what_is_missing_is_said_at_once(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A threshold that is none, and a library that is not there, with the remedy."""
    with pytest.raises(ConfigError, match="accept_from"):
        kind("any", accept_from=1.0, score=shared_words)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"llm-accel\[torch\]"):
        kind("any", accept_from=0.7)
    kind("any", accept_from=0.7, score=shared_words)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of the real architecture with weights drawn at random, by what they put out."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("sentence_transformers")
    from tokenizers.implementations import BertWordPieceTokenizer
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        PreTrainedTokenizerFast,
    )

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"how do can i swim ski ?".split()]
    folders = {}
    for name, labels in {
        "one": ["LABEL_0"],
        "nli": ["contradiction", "Entailment", "neutral"],
        "unnamed": ["a", "b", "c"],
    }.items():
        folder = folders[name] = tmp_path_factory.mktemp(name)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            model = BertForSequenceClassification(
                BertConfig(
                    vocab_size=len(words), hidden_size=16, num_hidden_layers=1,
                    num_attention_heads=2, intermediate_size=16, initializer_range=1.0,
                    id2label=dict(enumerate(labels)),
                    label2id={label: place for place, label in enumerate(labels)},
                )
            )  # fmt: skip
        model.save_pretrained(folder)
        tokens = BertWordPieceTokenizer({word: place for place, word in enumerate(words)})
        PreTrainedTokenizerFast(
            tokenizer_object=tokens._tokenizer, pad_token="[PAD]", unk_token="[UNK]"
        ).save_pretrained(folder)
    return folders


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "folder"), [(CrossEncoderVerifier, "one"), (NLIVerifier, "nli")])
def test_real_models_are_loaded_and_scored(
    untrained: dict[str, Path], kind: Any, folder: str
) -> None:
    """The library's own loading, tokens and outputs; what untrained weights say is chance."""
    opened = kind(str(untrained[folder]), accept_from=1e-12)
    assert opened.verify([SAME, OTHER]) == [True, True]
    assert kind(str(untrained[folder]), accept_from=1 - 1e-12).verify([SAME]) == [False]
    scores = list(opened._scored([SAME[:2], OTHER[:2], SAME[1::-1]]))
    assert all(0 < score < 1 for score in scores)
    assert len({round(float(score), 6) for score in scores}) == 3
    again = pickle.loads(pickle.dumps(opened))
    assert "_model" not in vars(again)
    assert again.verify([SAME]) == [True]


@pytest.mark.slow
def test_entailment_is_found_by_its_name(untrained: dict[str, Path]) -> None:
    """In whatever place the model has it; a model without it is refused."""
    verifier: Any = NLIVerifier(str(untrained["nli"]), accept_from=0.5)
    shares = verifier._model.predict([SAME[:2]], apply_softmax=True, show_progress_bar=False)
    assert verifier._scored([SAME[:2]]) == pytest.approx(shares[:, 1])
    with pytest.raises(VerifierError, match="entailment"):
        NLIVerifier(str(untrained["unnamed"]), accept_from=0.5).verify([SAME])
    with pytest.raises(VerifierError, match="several outputs"):
        CrossEncoderVerifier(str(untrained["nli"]), accept_from=0.5).verify([SAME])
