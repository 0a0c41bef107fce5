"""Warming real LlamaIndex engines: what streams is read to its end, and is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Settings, VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.schema import Document

from accel_core import awarm, warm

if TYPE_CHECKING:
    from llama_index.llms.openai import OpenAI

    from accel_core.testing.model_server import ModelServer
    from tests.llamaindex.support import Caller

QUESTIONS = ["What is Rome?", "What is Paris?"]


class NoWait:
    """A pacer that never waits."""

    async def turn(self) -> None: ...
    def answered(self) -> None: ...
    def refused(self, retry_after_s: float) -> None: ...


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> VectorStoreIndex:
    """Two documents, without a tokenizer to load."""
    monkeypatch.setattr(Settings, "_tokenizer", str.split)
    documents = [Document(text="Paris is in France."), Document(text="Rome is in Italy.")]
    return VectorStoreIndex.from_documents(documents, embed_model=MockEmbedding(embed_dim=4))


@pytest.mark.parametrize("how", ["sync", "async", "sync streaming", "async streaming"])
def test_a_warmed_engine_answers_without_the_model(
    how: str, index: VectorStoreIndex, llm: OpenAI, ask: Caller, server: ModelServer
) -> None:
    """Whole and streamed, in both colours."""
    streaming = "streaming" in how
    engine: Any = index.as_query_engine(llm=llm, streaming=streaming)
    if how.startswith("sync"):
        warmed = warm(engine, QUESTIONS, pacer=NoWait())
    else:
        warmed = ask.run(awarm(engine, QUESTIONS, pacer=NoWait()))
    assert warmed.asked == 2
    assert server.call_count == 2
    for question in QUESTIONS:
        answer = engine.query(question)
        assert "".join(answer.response_gen) if streaming else answer.response
    assert server.call_count == 2
