"""Accelerated engines of LlamaIndex: answers found again while their sources are the same."""

from __future__ import annotations

import asyncio
import copy
import gc
import random
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Settings, VectorStoreIndex
from llama_index.core.base.response.schema import PydanticResponse, Response
from llama_index.core.chat_engine import ContextChatEngine, SimpleChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.prompts import PromptTemplate
from llama_index.core.query_engine import (
    CustomQueryEngine,
    RetrieverQueryEngine,
    RouterQueryEngine,
    SubQuestionQueryEngine,
)
from llama_index.core.question_gen.types import BaseQuestionGenerator, SubQuestion
from llama_index.core.selectors import PydanticSingleSelector
from llama_index.core.tools import QueryEngineTool
from pydantic import BaseModel

from accel_core import events
from accel_core.errors import UnsupportedError
from llamaindex_accel import accelerate
from tests.llamaindex.retrieving import COLOURS, WordEmbedding, document, index_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.testing.doubles import ManualClock, RecordingObserver
    from accel_core.testing.model_server import ModelServer
    from tests.llamaindex.support import Caller, Watch

QUESTION = "alpha"
DOCUMENTS = {"a": "alpha", "b": "beta", "c": "gamma", "d": "delta"}


class Query:
    """Queries and chats in one colour, and reads what is streamed to its end."""

    def __init__(self, colour: str, ask: Caller) -> None:
        self.waits, self._ask = colour == "async", ask

    def __call__(self, engine: Any, question: str = QUESTION) -> Any:
        """Return the response of a query engine."""
        return self._ask.run(engine.aquery(question)) if self.waits else engine.query(question)

    def text(self, engine: Any, question: str = QUESTION) -> str:
        """Return the whole text of a response."""
        return self.read(self(engine, question))

    def read(self, response: Any) -> str:
        """Read a response to its end."""
        if not hasattr(response, "response_gen"):
            return str(response)
        if not self.waits:
            return "".join(response.response_gen)

        async def read() -> str:
            return "".join([piece async for piece in response.async_response_gen()])

        return self._ask.run(read())  # type: ignore[no-any-return]

    def chat(self, engine: Any, said: str) -> str:
        """Say something to a chat engine."""
        return str(self._ask.run(engine.achat(said)) if self.waits else engine.chat(said))


@pytest.fixture(params=COLOURS)
def query(request: pytest.FixtureRequest, ask: Caller) -> Query:
    return Query(request.param, ask)


@pytest.fixture
def embedding() -> WordEmbedding:
    return WordEmbedding()


@pytest.fixture
def index(make_llm: Callable[..., OpenAI], embedding: WordEmbedding) -> Iterator[VectorStoreIndex]:
    """An index over a plain client of the server: every model call is seen there."""
    before = Settings._llm, Settings._embed_model, Settings._tokenizer
    Settings.llm, Settings.embed_model, Settings.tokenizer = make_llm(), embedding, str.split
    yield index_of([document(name, text, n=(1,)) for name, text in DOCUMENTS.items()], embedding)
    Settings._llm, Settings._embed_model, Settings._tokenizer = before


def engine_of(index: VectorStoreIndex, **options: Any) -> Any:
    """Return a plain engine that finds one source."""
    return index.as_query_engine(**{"similarity_top_k": 1, **options})


def memory() -> ChatMemoryBuffer:
    """Return a chat memory that needs no database."""
    return ChatMemoryBuffer.from_defaults(token_limit=1_000, tokenizer_fn=str.split)


def _chat(index: VectorStoreIndex, mode: str) -> Any:
    return index.as_chat_engine(chat_mode=mode, similarity_top_k=1, memory=memory())


class TestFoundAgain:
    """The same question is answered again, with its sources."""

    @pytest.mark.parametrize("streaming", [False, True])
    def test_the_same_question(
        self,
        accel: Accel,
        query: Query,
        index: VectorStoreIndex,
        server: ModelServer,
        observed: RecordingObserver,
        *,
        streaming: bool,
    ) -> None:
        """Nothing is embedded and no model called; class, text, sources and metadata are equal."""
        plain = query(engine_of(index, streaming=streaming))
        said = query.read(plain)
        fast = accelerate(engine_of(index, streaming=streaming), accel)
        query.text(fast)
        calls, embedded = server.call_count, len(index._embed_model.asked)
        again = query(fast)
        assert type(again) is type(plain)
        assert (again.source_nodes, again.metadata) == (plain.source_nodes, plain.metadata)
        assert query.read(again) == said != ""
        assert (server.call_count, len(index._embed_model.asked)) == (calls, embedded)
        assert [event.tier for event in observed.of(events.RetrievalHit)] == ["exact"]

    def test_shapes_share_their_text(
        self, accel: Accel, query: Query, index: VectorStoreIndex, server: ModelServer
    ) -> None:
        """What was answered whole is streamed without a model call, and the other way round."""
        said = query.text(accelerate(engine_of(index), accel))
        assert query.text(accelerate(engine_of(index, streaming=True), accel)) == said
        assert server.call_count == 1

    def test_colours_share(
        self, accel: Accel, ask: Caller, index: VectorStoreIndex, server: ModelServer
    ) -> None:
        """What a thread was told answers a task."""
        fast = accelerate(engine_of(index), accel)
        assert str(fast.query(QUESTION)) == str(ask.run(fast.aquery(QUESTION)))
        assert server.call_count == 1

    def test_hits_are_copies(self, accel: Accel, query: Query, index: VectorStoreIndex) -> None:
        """Whoever changes a response changes it for nobody else, the first one neither."""
        fast = accelerate(engine_of(index), accel)
        first = query(fast)
        kept = copy.deepcopy(first)
        first.source_nodes[0].node.metadata["n"] = "changed"
        for _ in range(2):
            again = query(fast)
            assert again == kept
            again.source_nodes[0].score = 7.0
            again.metadata.clear()

    @pytest.mark.parametrize(
        "options",
        [
            {"similarity_top_k": 2},
            {"text_qa_template": PromptTemplate("{context_str} {query_str}!")},
            {"response_mode": "tree_summarize"},
            {"node_postprocessors": [SimilarityPostprocessor(similarity_cutoff=0.1)]},
            {"refine_template": PromptTemplate("{existing_answer}{context_msg}{query_str}")},
        ],
        ids=lambda options: next(iter(options)),
    )
    def test_settings(
        self, accel: Accel, query: Query, index: VectorStoreIndex, *, options: dict[str, Any]
    ) -> None:
        """Engines that answer otherwise share no response."""
        query(accelerate(engine_of(index), accel))
        fast = accelerate(engine_of(index, **options), accel)
        assert query(fast) == query(engine_of(index, **options))

    def test_models(
        self, accel: Accel, query: Query, index: VectorStoreIndex, make_llm: Any, server: Any
    ) -> None:
        """Another model, or another prompt set later, is asked for itself."""
        query(accelerate(engine_of(index), accel))
        query(accelerate(engine_of(index, llm=make_llm(model="gpt-4o")), accel))
        fast = accelerate(engine_of(index), accel)
        name = "response_synthesizer:text_qa_template"
        fast.update_prompts({name: PromptTemplate("{context_str} {query_str}?")})
        query(fast)
        assert server.call_count == 3

    def test_temperature(
        self, accel: Accel, query: Query, index: VectorStoreIndex, make_llm: Any, server: Any
    ) -> None:
        """A model that is to answer otherwise each time is asked each time."""
        fast = accelerate(engine_of(index, llm=make_llm(temperature=0.9)), accel)
        query(fast)
        query(fast)
        assert server.call_count == 2

    def test_tenants_share_nothing(
        self, accel: Accel, query: Query, index: VectorStoreIndex, server: ModelServer
    ) -> None:
        """No tenant is told what another one was, though the sources are the same."""
        fast = accelerate(engine_of(index), accel)
        for tenant in ("a", "b", "a"):
            with accel.tenant(tenant):
                query(fast)
                accel.flush()
        query(fast)
        assert server.call_count == 3

    def test_never_twice(
        self, accel: Accel, query: Query, index: VectorStoreIndex, server: ModelServer
    ) -> None:
        """A question that deserves another answer each time gets it; its search is done once."""
        fast = accelerate(engine_of(index), accel)
        for _ in range(2):
            query(fast, "What is the weather in Paris right now?")
        assert (server.call_count, len(index._embed_model.asked)) == (2, 1)

    def test_nothing_found(
        self, accel: Accel, query: Query, index: VectorStoreIndex, clock: ManualClock
    ) -> None:
        """An answer without sources is believed for a short time."""
        cut = [SimilarityPostprocessor(similarity_cutoff=2.0)]
        fast = accelerate(engine_of(index, node_postprocessors=cut), accel)
        assert str(query(fast)) == str(query(fast)) == "Empty Response"
        assert len(index._embed_model.asked) == 1
        clock.advance(6)
        assert str(query(fast)) == "Empty Response"
        assert accel.stats().retrieval_hits == 2  # the second one is the retriever's

    def test_structured(
        self, accel: Accel, query: Query, index: VectorStoreIndex, server: ModelServer
    ) -> None:
        """Objects are made anew each time: no store can name their class."""

        class City(BaseModel):
            name: str

        fast = accelerate(engine_of(index, output_cls=City, response_mode="compact"), accel)
        first, again = query(fast), query(fast)
        assert type(first) is type(again) is PydanticResponse
        assert first.response == again.response
        assert server.call_count == 2


class TestStreams:
    """A stream is stored when it was read to its end, and only then."""

    def _begun(self, query: Query, fast: Any, pieces: int) -> Any:
        """Read some pieces of a stream."""
        response = query(fast)
        stream = response.response_gen

        async def read() -> None:
            for _ in range(pieces):
                await anext(stream)

        if query.waits:
            query._ask.run(read())
        else:
            [next(stream) for _ in range(pieces)]
        return stream

    @pytest.mark.parametrize("pieces", [0, 1])
    @pytest.mark.parametrize("closed", [True, False])
    def test_given_up(
        self,
        accel: Accel,
        query: Query,
        index: VectorStoreIndex,
        server: ModelServer,
        *,
        pieces: int,
        closed: bool,
    ) -> None:
        """A stream that is closed or dropped is not stored, and nobody waits for it."""
        fast = accelerate(engine_of(index, streaming=True), accel)
        stream = self._begun(query, fast, pieces)
        assert isinstance(stream, AsyncGenerator if query.waits else Generator)
        if closed:
            query._ask.run(stream.aclose()) if query.waits else stream.close()
        del stream
        gc.collect()
        query._ask.run(asyncio.sleep(0))
        assert len(accel._built.cache._flights or ()) == 0
        server.reset()
        assert query.text(fast) == query.text(fast)
        assert server.call_count == 1

    def test_what_came_with_it(self, accel: Accel, query: Query, index: VectorStoreIndex) -> None:
        """Who changes the sources while reading changes nothing that is stored."""
        fast = accelerate(engine_of(index, streaming=True), accel)
        response = query(fast)
        kept = copy.deepcopy(response.source_nodes), copy.deepcopy(response.metadata)
        response.source_nodes[0].node.metadata["n"] = "changed"
        query.read(response)
        again = query(fast)
        assert (again.source_nodes, again.metadata) == kept

    def test_read_twice(self, accel: Accel, query: Query, index: VectorStoreIndex) -> None:
        """A hit can be read in every way that a stream can."""
        fast = accelerate(engine_of(index, streaming=True), accel)
        said = query.text(fast)
        again = query(fast)
        whole = query._ask.run(again.get_response()) if query.waits else again.get_response()
        assert whole.response == said
        assert whole.source_nodes == again.source_nodes


class TestChanges:
    """After a change of its documents no earlier answer is given; others cost no model call."""

    def test_unchanged_sources(
        self, accel: Accel, query: Query, index: VectorStoreIndex, server: ModelServer
    ) -> None:
        """An addition that is no source of the answer costs one retrieval and no model call."""
        fast = accelerate(engine_of(index), accel)
        first = query(fast)
        index.insert(document("new", "omega"))
        embedded = len(index._embed_model.asked)
        assert query(accelerate(engine_of(index), accel)) == first
        assert server.call_count == 1
        assert len(index._embed_model.asked) == embedded + 1

    def test_changed_sources(
        self, accel: Accel, query: Query, index: VectorStoreIndex, server: ModelServer
    ) -> None:
        """An answer whose source has another text is made anew."""
        query(accelerate(engine_of(index), accel))
        index.update_ref_doc(document("a", "alpha changed"))
        fast, plain = accelerate(engine_of(index), accel), engine_of(index)
        assert query(fast) == query(plain)
        assert server.call_count == 3

    def test_one_of_a_thousand(
        self, accel: Accel, query: Query, embedding: WordEmbedding, index: Any, server: Any
    ) -> None:
        """Of a thousand documents one is removed: only the answers that used it ask the model."""
        del index
        words = [f"word{number}" for number in range(1000)]
        large = index_of([document(word, word) for word in words], embedding)
        fast = accelerate(engine_of(large), accel)
        asked = words[:20]
        for word in asked:
            query(fast, word)
        server.reset()
        large.delete_ref_doc("word7")
        assert [query(fast, word).source_nodes[0].node.ref_doc_id for word in asked] == [
            word if word != "word7" else large.as_retriever().retrieve(word)[0].node.ref_doc_id
            for word in asked
        ]
        assert server.call_count == 1

    def test_any_order(
        self, accel: Accel, query: Query, index: VectorStoreIndex, server: ModelServer
    ) -> None:
        """In 250 random steps an accelerated engine never answers what a plain one would not."""
        dice = random.Random(3)
        names = list(DOCUMENTS)
        for _ in range(250):
            if dice.random() < 0.2:
                text = " ".join(dice.choices(list(DOCUMENTS.values()), k=2))
                index.update_ref_doc(document(dice.choice(names), text))
            question = dice.choice(["alpha", "beta", "gamma"])
            fast = accelerate(engine_of(index), accel)
            sources = index.as_retriever(similarity_top_k=1).retrieve(question)
            answer = query(fast, question)
            assert answer.source_nodes == sources
        assert accel.stats().retrieval_hits > 50


class TestEngines:
    """Engines of every kind, and what is made of them."""

    def test_is_its_class(self, accel: Accel, index: VectorStoreIndex) -> None:
        """The copy is an instance of the user's class; the original and its parts are untouched."""
        plain = engine_of(index)
        before = dict(vars(plain))
        fast = accelerate(plain, accel)
        assert isinstance(fast, RetrieverQueryEngine)
        assert type(plain) is RetrieverQueryEngine
        assert vars(plain) == before
        assert accelerate(fast, accel) is fast

    def test_an_index_makes_accelerated_engines(
        self, accel: Accel, query: Query, index: VectorStoreIndex, server: ModelServer
    ) -> None:
        """What is made of an accelerated index is accelerated."""
        accelerate(index, accel)
        assert query(engine_of(index)) == query(engine_of(index))
        assert server.call_count == 1
        for _ in range(2):
            query.chat(index.as_chat_engine(chat_mode="context", memory=memory()), QUESTION)
        assert server.call_count == 2

    @pytest.mark.parametrize("streaming", [False, True])
    def test_routers(
        self, accel: Accel, query: Query, index: VectorStoreIndex, *, streaming: bool, server: Any
    ) -> None:
        """A router's answer is kept with what it chose, until an index inside changes."""
        router = _router(index, streaming=streaming)
        plain = query(router)
        said = query.read(plain)
        fast = accelerate(router, accel)
        query.text(fast)
        calls = server.call_count
        again = query(fast)
        assert (again.source_nodes, again.metadata) == (plain.source_nodes, plain.metadata)
        assert query.read(again) == said
        assert server.call_count == calls
        index.insert(document("new", "omega"))
        query.text(fast)
        assert server.call_count > calls

    def test_sub_questions(
        self, accel: Accel, query: Query, index: VectorStoreIndex, server: ModelServer
    ) -> None:
        """An answer made of several engines' answers is kept until an index inside changes."""
        tool = QueryEngineTool.from_defaults(engine_of(index), name="words", description="words")
        fast = accelerate(
            SubQuestionQueryEngine.from_defaults(
                [tool], question_gen=_Asks(), use_async=False, verbose=False
            ),
            accel,
        )
        first = query(fast)
        calls = server.call_count
        assert query(fast) == first
        assert server.call_count == calls
        index.delete_ref_doc("d")
        query(fast)
        assert server.call_count > calls

    def test_custom(self, accel: Accel, query: Query) -> None:
        """An engine of the application's own is kept, briefly where it names no sources."""
        calls: list[str] = []

        class Own(CustomQueryEngine):
            def custom_query(self, query_str: str) -> str:
                calls.append(query_str)
                return "said"

        fast = accelerate(Own(), accel)
        assert [str(query(fast)) for _ in range(2)] == ["said"] * 2
        assert calls == [QUESTION]

    def test_errors(self, accel: Accel, query: Query, index: VectorStoreIndex) -> None:
        """An engine's error reaches its caller, and is not kept."""

        class Broken(CustomQueryEngine):
            def custom_query(self, query_str: str) -> str:
                raise ZeroDivisionError("mine")

        fast = accelerate(Broken(), accel)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError, match="mine"):
                query(fast)
        assert accel.stats().retrieval_hits == 0

    def test_tools(
        self, accel: Accel, query: Query, index: VectorStoreIndex, ask: Caller, server: ModelServer
    ) -> None:
        """A tool made of an accelerated engine answers from it."""
        fast = accelerate(engine_of(index), accel)
        tool = QueryEngineTool.from_defaults(fast, name="words", description="words")
        said = [
            str(ask.run(tool.acall(QUESTION)) if query.waits else tool.call(QUESTION))
            for _ in range(2)
        ]
        assert said[0] == said[1] != ""
        assert server.call_count == 1

    def test_events_and_spans(
        self, accel: Accel, query: Query, index: VectorStoreIndex, watch: Watch, spans: Any
    ) -> None:
        """A miss has exactly the spans and events of the plain engine; a hit none inside."""

        def told(engine: Any) -> tuple[list[str], list[str]]:
            watch.names()
            spans.completed_spans.clear()
            query(engine)
            return watch.names(), sorted(
                each.id_.rpartition(".")[2].partition("-")[0] for each in spans.completed_spans
            )

        plain = told(engine_of(index))
        fast = accelerate(engine_of(index), accel)
        assert told(fast) == plain
        names, ids = told(fast)
        assert names == ["QueryStartEvent", "CacheHitEvent", "QueryEndEvent"]
        assert ids == ["aquery" if query.waits else "query"]


class TestChat:
    """Chat engines answer from their memory; what they ask is accelerated."""

    @pytest.mark.parametrize("mode", ["context", "condense_question", "condense_plus_context"])
    def test_conversations(
        self, accel: Accel, query: Query, index: VectorStoreIndex, server: ModelServer, *, mode: str
    ) -> None:
        """The same conversation costs no model call, and each engine's memory has it."""

        def talk() -> tuple[list[str], list[Any]]:
            engine = accelerate(_chat(index, mode), accel)
            said = [query.chat(engine, QUESTION), query.chat(engine, "And beta?")]
            return said, [(each.role, each.content) for each in engine.chat_history]

        first = talk()
        calls = server.call_count
        assert talk() == first
        assert len(first[1]) == 4
        assert server.call_count == calls

    def test_memory_is_shared(self, accel: Accel, query: Query, index: VectorStoreIndex) -> None:
        """The copy goes on with the conversation of the original, which is untouched."""
        plain: Any = index.as_chat_engine(chat_mode="context", memory=memory())
        fast: Any = accelerate(plain, accel)
        query.chat(fast, QUESTION)
        assert isinstance(fast, ContextChatEngine)
        assert plain.chat_history == fast.chat_history != []
        assert plain._llm is Settings.llm

    def test_simple(self, accel: Accel, query: Query, index: Any, server: ModelServer) -> None:
        """An engine that retrieves nothing has its LLM accelerated."""
        for _ in range(2):
            query.chat(
                accelerate(
                    SimpleChatEngine.from_defaults(llm=Settings.llm, memory=memory()), accel
                ),
                "hello",
            )
        assert server.call_count == 1

    def test_refused(self, accel: Accel, index: VectorStoreIndex) -> None:
        """An engine that holds nothing of these kinds is refused."""
        engine: Any = SimpleChatEngine.from_defaults(llm=Settings.llm, memory=memory())
        engine._llm = None
        with pytest.raises(UnsupportedError, match="a chat engine or an index; got SimpleChat"):
            accelerate(engine, accel)


class _Asks(BaseQuestionGenerator):
    """Asks two questions whatever is asked."""

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts: Any) -> None: ...

    def generate(self, tools: Any, query: Any) -> list[SubQuestion]:
        return [SubQuestion(sub_question=word, tool_name="words") for word in ("alpha", "beta")]

    async def agenerate(self, tools: Any, query: Any) -> list[SubQuestion]:
        return self.generate(tools, query)


def _router(index: VectorStoreIndex, *, streaming: bool) -> RouterQueryEngine:
    tools = [
        QueryEngineTool.from_defaults(engine_of(index, streaming=streaming), description=name)
        for name in ("words", "numbers")
    ]
    selector = PydanticSingleSelector.from_defaults(llm=Settings.llm)
    return RouterQueryEngine(selector, tools, llm=Settings.llm)


def test_responses_are_plain(index: VectorStoreIndex) -> None:
    """What the tests compare is LlamaIndex's own response."""
    assert type(engine_of(index).query(QUESTION)) is Response
