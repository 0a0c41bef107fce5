"""The application's own embedding model as the cache's encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.embeddings.base import BaseEmbedding

from accel_core.encoder.foreign import ForeignEncoder
from accel_core.errors import ConfigError
from accel_core.ports import AsyncEncoder
from accel_core.testing.encoders import EncoderContract, HashEncoder
from llamaindex_accel import EmbeddingsEncoder, accelerate
from tests.llamaindex.support import origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from tests.llamaindex.support import Caller


class WordsEmbedding(BaseEmbedding):
    """Words as LlamaIndex embeds them; documents otherwise than queries."""

    def _get_query_embedding(self, query: str) -> list[float]:
        return [2 * float(x) for x in HashEncoder().encode([query])[0]]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        raise NotImplementedError


class TestContract(EncoderContract):
    """It keeps the promises of every encoder."""

    @pytest.fixture
    def encoder(self) -> EmbeddingsEncoder:
        return EmbeddingsEncoder(WordsEmbedding(), min_similarity=0.9)


def test_it_is_an_encoder_of_both_colours(ask: Caller) -> None:
    """Threads and tasks get the same vectors, from the query side of the model."""
    encoder = EmbeddingsEncoder(WordsEmbedding())
    assert isinstance(encoder, ForeignEncoder)
    assert isinstance(encoder, AsyncEncoder)
    blocking, awaited = encoder.encode(["a b"]), ask.run(encoder.aencode(["a b"]))
    assert float(blocking[0] @ awaited[0]) == pytest.approx(1.0, abs=1e-5)


def test_its_name_is_the_models(ask: Caller) -> None:
    """Vectors of different models are never compared: the name tells them apart."""
    small, large = WordsEmbedding(model_name="small"), WordsEmbedding(model_name="large")
    assert EmbeddingsEncoder(small).name != EmbeddingsEncoder(large).name
    assert EmbeddingsEncoder(small, name="mine").name == "mine"


def test_nothing_is_served_by_meaning_until_a_threshold_is_set(
    make_accel: Callable[..., Accel], make_llm: Callable[..., OpenAI], ask: Caller
) -> None:
    """An own model serves by meaning only where its owner says from which cosine on."""
    found: list[Any] = []
    for threshold in (None, 0.9):
        encoder = EmbeddingsEncoder(WordsEmbedding(), min_similarity=threshold)
        accel = make_accel(encoder=encoder)
        llm = accelerate(make_llm(), accel)
        ask(llm, "chat", "how is a parcel returned")
        accel.flush()
        found.append(origin(ask(llm, "achat", "How is a parcel returned?")[0]))
    assert found == [None, "semantic"]


def test_wrong_settings_are_refused() -> None:
    """A window that cannot be is an error at once."""
    with pytest.raises(ConfigError, match="window_chars"):
        EmbeddingsEncoder(WordsEmbedding(), window_chars=0)
