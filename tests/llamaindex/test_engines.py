"""Prediction, structured output, query and chat engines built on an accelerated model."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Settings, VectorStoreIndex
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import Document
from pydantic import BaseModel

from llamaindex_accel import accelerate
from tests.llamaindex.support import origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.llamaindex.support import Caller

PROMPT = PromptTemplate("Name a city in {country}")
COLOURS = ["sync", "async"]


class City(BaseModel):
    """A city."""

    name: str
    people: int


@pytest.fixture
def index(llm: OpenAI) -> Iterator[VectorStoreIndex]:
    """A small index; everything that asks settings for a model gets the accelerated one."""
    before = Settings._llm, Settings._embed_model, Settings._tokenizer
    Settings.llm, Settings.embed_model = llm, MockEmbedding(embed_dim=4)
    Settings.tokenizer = str.split
    documents = [Document(text="Paris is in France."), Document(text="Rome is in Italy.")]
    yield VectorStoreIndex.from_documents(documents)
    Settings._llm, Settings._embed_model, Settings._tokenizer = before


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("streaming", [False, True])
def test_predict(
    colour: str, streaming: bool, llm: OpenAI, ask: Caller, server: ModelServer
) -> None:
    """A prompt is predicted once, whole and streamed, in both colours."""

    async def read() -> str:
        if not streaming:
            return await llm.apredict(PROMPT, country="France")
        return "".join([piece async for piece in await llm.astream(PROMPT, country="France")])

    def predict() -> str:
        if colour == "async":
            return ask.run(read())  # type: ignore[no-any-return]
        if streaming:
            return "".join(llm.stream(PROMPT, country="France"))
        return llm.predict(PROMPT, country="France")

    assert predict() == predict() == llm.predict(PROMPT, country="France")
    assert server.call_count == 1
    llm.predict(PROMPT, country="Italy")
    assert server.call_count == 2


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-3.5-turbo"])
def test_structured_predict(
    colour: str, model: str, make_llm: Callable[..., OpenAI], accel: Accel, ask: Caller
) -> None:
    """A structured prediction is parsed again from the replay, by JSON schema or by function."""
    llm = accelerate(make_llm(model=model), accel)

    def predict() -> City:
        if colour == "async":
            return ask.run(llm.astructured_predict(City, PROMPT, country="France"))  # type: ignore[no-any-return]
        return llm.structured_predict(City, PROMPT, country="France")

    first = predict()
    assert isinstance(first, City)
    assert predict() == first
    assert (accel.stats().stored, accel.stats().exact_hits) == (1, 1)


def test_another_form_is_another_question(llm: OpenAI, server: ModelServer) -> None:
    """The same prompt for another output class is asked anew."""

    class Town(BaseModel):
        name: str

    llm.structured_predict(City, PROMPT, country="France")
    assert isinstance(llm.structured_predict(Town, PROMPT, country="France"), Town)
    assert server.call_count == 2


@pytest.mark.parametrize("colour", COLOURS)
def test_streamed_structured_predict(
    colour: str, llm: OpenAI, ask: Caller, server: ModelServer
) -> None:
    """A structured prediction is streamed from the replay to the same end."""

    async def read() -> list[Any]:
        found = await llm.astream_structured_predict(City, PROMPT, country="France")
        return [part async for part in found]

    def predict() -> list[Any]:
        if colour == "async":
            return ask.run(read())  # type: ignore[no-any-return]
        return list(llm.stream_structured_predict(City, PROMPT, country="France"))

    first, again = predict()[-1], predict()[-1]
    assert first.model_dump() == again.model_dump()
    assert server.call_count == 1


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("outside", [False, True])
def test_structured_llm(
    colour: str, outside: bool, make_llm: Callable[..., OpenAI], accel: Accel, ask: Caller
) -> None:
    """A structured LLM returns the object itself in ``raw``, before and after."""
    if outside:
        llm = accelerate(make_llm().as_structured_llm(City), accel)
        assert accelerate(llm, accel) is llm
    else:
        llm = accelerate(make_llm(), accel).as_structured_llm(City)
    method = "chat" if colour == "sync" else "achat"
    first, again = (ask(llm, method)[0] for _ in range(2))
    assert isinstance(again.raw, City)
    assert again.raw == first.raw
    assert (accel.stats().stored, accel.stats().exact_hits) == (1, 1)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("streaming", [False, True])
def test_query_engine(
    colour: str, streaming: bool, index: VectorStoreIndex, ask: Caller, server: ModelServer
) -> None:
    """A query engine retrieves again and synthesises from the cache."""

    async def read() -> str:
        found = await index.as_query_engine(streaming=streaming, similarity_top_k=9).aquery(
            "Where is Paris?"
        )
        return str(await found.get_response()) if streaming else str(found)

    def query() -> str:
        if colour == "async":
            return ask.run(read())  # type: ignore[no-any-return]
        return str(
            index.as_query_engine(streaming=streaming, similarity_top_k=9).query("Where is Paris?")
        )

    assert query() == query() != ""
    assert server.call_count == 1
    index.insert(Document(text="Paris is also in Texas."))
    query()
    assert server.call_count == 2


def test_query_engines_share_with_streaming_ones(
    index: VectorStoreIndex, server: ModelServer
) -> None:
    """What was synthesised whole is streamed from the cache."""
    whole = str(index.as_query_engine().query("Where is Rome?"))
    streamed = index.as_query_engine(streaming=True).query("Where is Rome?")
    assert "".join(streamed.response_gen) == whole
    assert server.call_count == 1


@pytest.mark.parametrize("how", list(itertools.product(COLOURS, [False, True])))
@pytest.mark.parametrize("mode", ["simple", "context", "condense_plus_context"])
def test_chat_engine(
    mode: str, how: tuple[str, bool], index: VectorStoreIndex, ask: Caller, server: ModelServer
) -> None:
    """A conversation of two turns is answered again from the cache, and its history counts."""
    colour, streaming = how

    def engine() -> Any:
        memory = ChatMemoryBuffer.from_defaults(token_limit=1_000, tokenizer_fn=str.split)
        if mode == "simple":
            return SimpleChatEngine.from_defaults(llm=Settings.llm, memory=memory)
        return index.as_chat_engine(chat_mode=mode, memory=memory)

    async def asay(engine: Any, text: str) -> str:
        if not streaming:
            return str(await engine.achat(text))
        return "".join([p async for p in (await engine.astream_chat(text)).async_response_gen()])

    def say(engine: Any, text: str) -> str:
        if colour == "async":
            return ask.run(asay(engine, text))  # type: ignore[no-any-return]
        return (
            "".join(engine.stream_chat(text).response_gen) if streaming else str(engine.chat(text))
        )

    def talk(first: str) -> list[str]:
        made = engine()
        return [say(made, first), say(made, "And Rome?")]

    told = talk("Where is Paris?")
    calls = server.call_count
    assert calls >= 2
    assert talk("Where is Paris?") == told
    assert server.call_count == calls
    talk("Where is Lyon?")
    assert server.call_count >= calls + 2


def test_settings_are_read_when_an_engine_is_made(index: VectorStoreIndex) -> None:
    """An engine made without a model uses the accelerated one from the settings."""
    engine = index.as_query_engine()
    assert engine._response_synthesizer._llm is Settings.llm
    assert origin(Settings.llm.complete("q")) is None
    assert origin(Settings.llm.complete("q")) == "exact"
