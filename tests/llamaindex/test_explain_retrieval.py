"""`Accel.explain` over real retrievers and query engines of LlamaIndex."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Settings
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.schema import QueryBundle

from accel_core.policy.scopes import Difference
from llamaindex_accel import accelerate
from tests.llamaindex.retrieving import WordEmbedding, document, index_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llama_index.core import VectorStoreIndex
    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.testing.doubles import RecordingObserver
    from accel_core.testing.model_server import ModelServer
    from tests.llamaindex.support import Caller

QUESTION, LIKE_IT = "when is a refund paid", "when is one refund paid"


@pytest.fixture
def why(accel: Accel, ask: Caller, runner_colour: str) -> Any:
    """Explain in one colour."""
    if runner_colour == "sync":
        return accel.explain
    return lambda *asked, **options: ask.run(accel.aexplain(*asked, **options))


@pytest.fixture
def index() -> Iterator[VectorStoreIndex]:
    """A small index; tokens are counted by words, as LlamaIndex's own way needs the network."""
    before, Settings.tokenizer = Settings._tokenizer, str.split
    yield index_of(
        [document("refund", "a refund is paid within 14 days"), document("hours", "nine to five")],
        WordEmbedding(),
    )
    Settings._tokenizer = before


class TestRetrievers:
    """A retriever's question, named as its own call names it."""

    def test_before_and_after_the_call(
        self, index: VectorStoreIndex, accel: Accel, why: Any
    ) -> None:
        """Unknown, found again in any spelling of the question, and gone with its documents."""
        fast = accelerate(index.as_retriever(), accel)
        assert why(fast, QUESTION).outcome == "miss"
        fast.retrieve(QUESTION)
        for asked in (QUESTION, QueryBundle(QUESTION)):
            found = why(fast, asked)
            assert (found.outcome, found.reason, found.question) == ("hit", "exact", QUESTION)
        index.insert(document("gifts", "refunds of gifts take longer"))
        gone = why(fast, QUESTION)
        assert (gone.outcome, gone.entry) == ("miss", None)
        assert "documents changed" in gone.notes[0]

    def test_other_wordings_and_other_settings(
        self, index: VectorStoreIndex, accel: Accel, why: Any
    ) -> None:
        """What was found for a near question is a candidate; another `top_k` another scope."""
        fast = accelerate(index.as_retriever(similarity_top_k=1), accel)
        fast.retrieve(QUESTION)
        accel.flush()
        assert [one.text for one in why(fast, LIKE_IT).candidates] == [QUESTION]
        wider = accelerate(index.as_retriever(similarity_top_k=2), accel)
        (same,) = why(wider, QUESTION).elsewhere
        assert same.same_text
        assert same.differs == (Difference("model or parameters"),)


class TestEngines:
    """A query engine's question: its whole response."""

    def test_before_and_after_the_call(
        self,
        index: VectorStoreIndex,
        make_llm: Callable[..., OpenAI],
        accel: Accel,
        *,
        why: Any,
        server: ModelServer,
        observed: RecordingObserver,
    ) -> None:
        """As a retriever's; nothing is asked, counted or told, and another tenant sees nothing."""
        engine = accelerate(index.as_query_engine(llm=make_llm()), accel)
        assert why(engine, QUESTION).outcome == "miss"
        assert server.call_count == 0
        with accel.tenant("acme"):
            engine.query(QUESTION)
            accel.flush()
            before = list(observed.events), accel.stats(), server.call_count
            found = why(engine, QUESTION)
            assert (found.outcome, found.reason) == ("hit", "exact")
            index.delete_ref_doc("hours")
            told = list(observed.events)
            assert why(engine, QUESTION).outcome == "miss"
        with accel.tenant("rival"):
            other = why(engine, QUESTION)
        assert (other.outcome, other.entry, other.elsewhere) == ("miss", None, ())
        accel.flush()
        assert list(observed.events) == told
        assert (accel.stats(), server.call_count) == before[1:]

    def test_a_model_that_asks_for_variety(
        self, index: VectorStoreIndex, make_llm: Callable[..., OpenAI], accel: Accel, why: Any
    ) -> None:
        """Its engine passes the cache by, and says why."""
        engine = accelerate(index.as_query_engine(llm=make_llm(temperature=1.0)), accel)
        assert why(engine, QUESTION).reason == "temperature"


def test_a_chat_engine_is_refused_by_what_can_be_explained(
    make_llm: Callable[..., OpenAI], accel: Accel, why: Any
) -> None:
    """What it asks depends on its memory: its model, retriever or engine is explained."""
    memory = ChatMemoryBuffer.from_defaults(token_limit=1000, tokenizer_fn=str.split)
    engine = SimpleChatEngine.from_defaults(llm=make_llm(), memory=memory)
    with pytest.raises(TypeError, match="retriever or query engine"):
        why(accelerate(engine, accel), QUESTION)
