"""Chat models people write themselves: what LangChain accepts, `accelerate` accepts."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.language_models.chat_models import SimpleChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.runnables import run_in_executor
from pydantic import PrivateAttr

from langchain_accel import AccelCache, accelerate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from accel_core.accel import Accel
    from tests.langchain.conftest import Colour

QUESTION = "What is the capital of France?"


def whole(text: str) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])


asked: list[dict[str, Any]] = []
"""What every model here was given, call by call; no model holds it, so it names none."""


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    asked.clear()


class Plain(BaseChatModel):
    """The least a chat model needs; it says which field it has."""

    persona: Any = "anybody"

    @property
    def _llm_type(self) -> str:
        return "plain"

    def _say(self, messages: list[Any], **given: Any) -> str:
        asked.append(given)
        return f"{self.persona}: {messages[-1].content}"

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return whole(self._say(messages, run_manager=run_manager, **kwargs))


class WithoutRunManager(Plain):
    """Its methods pass on what they are given, and know no run manager."""

    def _generate(self, messages: Any, stop: Any = None, **kwargs: Any) -> ChatResult:  # type: ignore[override]
        return whole(self._say(messages, **kwargs))

    async def _agenerate(self, messages: Any, stop: Any = None, **kwargs: Any) -> ChatResult:  # type: ignore[override]
        return whole(self._say(messages, **kwargs))


class WithoutKwargs(Plain):
    """Its method takes messages and nothing else that LangChain does not insist on."""

    def _generate(self, messages: Any, stop: Any = None) -> ChatResult:  # type: ignore[override]
        return whole(self._say(messages))


class Streaming(Plain):
    """It streams words, and passes on what it is given."""

    def _stream(self, messages: Any, stop: Any = None, **kwargs: Any) -> Iterator[Any]:  # type: ignore[override]
        for word in self._say(messages, **kwargs).split(" "):
            yield ChatGenerationChunk(message=AIMessageChunk(f"{word} "))


class GeneratesByStreaming(Streaming):
    """Its answer is its stream put together, in both colours."""

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return whole("".join(chunk.text for chunk in self._stream(messages, stop=stop)))

    async def _astream(self, messages: Any, stop: Any = None, **kwargs: Any) -> AsyncIterator[Any]:  # type: ignore[override]
        for word in self._say(messages).split(" "):
            yield ChatGenerationChunk(message=AIMessageChunk(f"{word} "))

    async def _agenerate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return whole("".join([c.text async for c in self._astream(messages, stop=stop)]))


class StreamsByGenerating(Plain):
    """Its stream is its answer cut in pieces, in both colours."""

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        result = self._generate(messages, stop, run_manager, **kwargs)
        for word in result.generations[0].text.split(" "):
            yield ChatGenerationChunk(message=AIMessageChunk(f"{word} "))

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        result = await self._agenerate(messages, stop, run_manager, **kwargs)
        for word in result.generations[0].text.split(" "):
            yield ChatGenerationChunk(message=AIMessageChunk(f"{word} "))


class StreamsInAThread(StreamsByGenerating):
    """Its asynchronous stream reads the other one in a thread, as LangChain's own default does."""

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        stream = await run_in_executor(None, self._stream, messages, stop, **kwargs)
        end = object()
        while (chunk := await run_in_executor(None, next, stream, end)) is not end:
            yield chunk


class Simple(SimpleChatModel):
    """LangChain's own short form."""

    @property
    def _llm_type(self) -> str:
        return "simple"

    def _call(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> str:
        asked.append(kwargs)
        return f"anybody: {messages[-1].content}"


class Private(Plain):
    """A model with private state."""

    _secret: str = PrivateAttr(default="kept")

    def _say(self, messages: list[Any], **given: Any) -> str:
        assert self._secret == "kept"
        return super()._say(messages, **given)


class Native(Streaming):
    """A model with LangChain's newest streaming hook of its own."""

    def _stream_chat_model_events(self, messages: Any, **kwargs: Any) -> Iterator[Any]:
        from langchain_core.language_models._compat_bridge import message_to_events

        yield from message_to_events(AIMessage(self._say(messages)), message_id="m")


KINDS: list[type[Any]] = [
    Plain,
    WithoutRunManager,
    WithoutKwargs,
    Streaming,
    GeneratesByStreaming,
    StreamsByGenerating,
    StreamsInAThread,
    Simple,
    Private,
    Native,
]


@pytest.mark.timeout(10)  # a model that waits for itself would wait for its lease
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["invoke", "stream"])
def test_answered_from_memory(accel: Accel, colour: Colour, *, kind: type[Any], how: str) -> None:
    """Each is asked once, by `invoke` or `stream`, and answers from memory afterwards."""
    fast = accelerate(kind(), accel)
    assert isinstance(fast, kind)
    told = []
    for _ in range(3):
        answer = getattr(colour, how)(fast, QUESTION)
        told.append("".join(c.content for c in answer) if how == "stream" else answer.content)
    assert [text.strip() for text in told] == [f"anybody: {QUESTION}"] * 3
    assert len(asked) == 1


@pytest.mark.timeout(10)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["invoke", "stream"])
def test_given_what_langchain_gives(
    accel: Accel, colour: Colour, *, kind: type[Any], how: str
) -> None:
    """A model's own method gets the arguments it would get without us, and no others."""
    try:
        getattr(colour, how)(kind(), QUESTION)
    except TypeError:
        pytest.skip("LangChain itself cannot call it in this way")
    getattr(colour, how)(accelerate(kind(), accel), QUESTION)
    plain, fast = ({key: type(value) for key, value in given.items()} for given in asked)
    assert fast == plain


@pytest.mark.parametrize("kind", [Streaming, GeneratesByStreaming, StreamsByGenerating])
def test_overrides_only_what_a_class_has(accel: Accel, kind: type[Any]) -> None:
    """What LangChain reads from overridden methods is read from an accelerated class as well."""
    own = BaseChatModel
    for one in (kind, Plain, Simple):
        fast = type(accelerate(one(), accel))
        assert (fast._stream is own._stream) == (one._stream is own._stream)
        streams = one._stream is not own._stream or one._astream is not own._astream
        assert (fast._astream is not own._astream) == streams


@pytest.mark.parametrize("how", ["accelerate", "set_llm_cache"])
def test_fields_make_the_model(accel: Accel, colour: Colour, *, how: str) -> None:
    """Two models of one class with different fields have answers of their own."""
    set_llm_cache(AccelCache(accel) if how == "set_llm_cache" else None)
    for persona in ("ann", "bob", 1, None, {"a": [1]}, {"a": [2]}, b"\0"):
        model: Any = Plain(persona=persona)
        model = accelerate(model, accel) if how == "accelerate" else model
        assert colour.invoke(model, QUESTION).content == f"{persona}: {QUESTION}"


@dataclass
class Persona:
    """What LangChain cannot serialise."""

    name: str


def test_objects_make_the_model(accel: Accel, colour: Colour) -> None:
    """Fields that LangChain cannot serialise still make another model."""

    class Serialisable(Plain):
        @classmethod
        def is_lc_serializable(cls) -> bool:
            return True

        @property
        def _identifying_params(self) -> dict[str, Any]:
            return {"model": "one"}

    for name in ("ann", "bob"):
        model: Any = Serialisable(persona=Persona(name))
        answer = colour.invoke(accelerate(model, accel), QUESTION)
        assert answer.content == f"Persona(name='{name}'): {QUESTION}"


def test_objects_without_a_spelling_are_themselves(accel: Accel, colour: Colour) -> None:
    """A field that cannot be spelled is equal to itself, so its model is still cached."""
    client, other = object(), object()
    for persona, calls in ((client, 1), (client, 1), (other, 2)):
        colour.invoke(accelerate(Plain(persona=persona), accel), QUESTION)
        assert len(asked) == calls


def test_private_state_makes_the_model(accel: Accel, colour: Colour) -> None:
    """Models that differ in a private attribute alone, a loaded pipeline say, differ.

    A cache of LangChain's is told nothing of it: there `_identifying_params` has to.
    """

    class Loaded(Plain):
        _pipeline: Any = PrivateAttr()

        def __init__(self, path: str) -> None:
            super().__init__()
            self._pipeline = path.upper

        def _say(self, messages: list[Any], **given: Any) -> str:
            return f"{self._pipeline()}: {messages[-1].content}"

    for path in ("one", "two"):
        answer = colour.invoke(accelerate(Loaded(path), accel), QUESTION)
        assert answer.content == f"{path.upper()}: {QUESTION}"


def test_models_are_not_held(accel: Accel, colour: Colour) -> None:
    """A model made for one call, and the client it holds, can be collected after it."""

    class Client:
        """A connection, say."""

    clients = []
    for _ in range(3):
        client = Client()
        clients.append(weakref.ref(client))
        colour.invoke(accelerate(Plain(persona=client), accel), QUESTION)
        del client
    accel.flush()  # what is done in the background may still be under way
    gc.collect()
    assert [client() for client in clients] == [None, None, None]


@pytest.mark.parametrize("how", ["accelerate", "set_llm_cache"])
def test_nested_schemas_of_one_name(accel: Accel, colour: Colour, *, how: str) -> None:
    """Classes that print alike make different requests, also deep inside a call's arguments."""
    from pydantic import BaseModel

    def schema(kind: type) -> type[BaseModel]:
        class Out(BaseModel):
            value: kind  # type: ignore[valid-type]

        return Out

    set_llm_cache(AccelCache(accel) if how == "set_llm_cache" else None)
    model: Any = Plain()
    fast = accelerate(model, accel) if how == "accelerate" else model
    for kind in (str, int):
        colour.invoke(fast.bind(form={"schema": schema(kind)}, forms=[schema(kind)]), QUESTION)
    assert len(asked) == 2


class Hostile:
    """An argument that fails when it is looked at."""

    def model_dump(self, **_: Any) -> Any:
        raise RuntimeError("do not look")


@pytest.mark.parametrize("how", ["accelerate", "set_llm_cache"])
@pytest.mark.parametrize(
    "argument",
    [Hostile(), {1: "a", "1": "b", None: 2}, [float("nan")], "\ud800", object(), lambda x: x],
    ids=["raises", "keys", "nan", "surrogate", "object", "lambda"],
)
def test_strange_arguments(accel: Accel, colour: Colour, *, how: str, argument: Any) -> None:
    """Whatever a call is given, the model is asked with it."""
    set_llm_cache(AccelCache(accel) if how == "set_llm_cache" else None)
    model: Any = Plain()
    fast = accelerate(model, accel) if how == "accelerate" else model
    answer = colour.invoke(fast.bind(strange=argument), QUESTION)
    assert answer.content == f"anybody: {QUESTION}"
    assert asked[0]["strange"] is argument


@pytest.mark.parametrize("how", ["accelerate", "set_llm_cache"])
@pytest.mark.parametrize(
    "answer",
    [
        AIMessage("x", additional_kwargs={"o": object()}),
        AIMessage("x", additional_kwargs={"f": float("nan")}),
        AIMessage("x", additional_kwargs={"s": "\ud800"}),
        AIMessage("x", response_metadata={"o": Hostile()}),
        AIMessage("x", response_metadata={"accel": 1, "usage": "none"}),
        AIMessage([{"type": "text", "text": "x"}, {"type": "image", "data": b"\0"}]),
        AIMessage("x", additional_kwargs={"keys": {1: "one"}}),
        AIMessage("x", extra=1),
    ],
    ids=["object", "nan", "surrogate", "raises", "accel", "bytes", "keys", "extra"],
)
def test_strange_answers(accel: Accel, colour: Colour, *, how: str, answer: AIMessage) -> None:
    """An answer that cannot be kept exactly is given to the caller and is not kept changed."""

    class Strange(Plain):
        def _generate(self, *_: Any, **__: Any) -> ChatResult:
            asked.append({})
            return ChatResult(generations=[ChatGeneration(message=answer.model_copy())])

    set_llm_cache(AccelCache(accel) if how == "set_llm_cache" else None)
    model: Any = Strange()
    fast = accelerate(model, accel) if how == "accelerate" else model
    for _ in range(2):
        given = colour.invoke(fast, QUESTION)
        assert given.content == answer.content
        assert given.additional_kwargs == answer.additional_kwargs
        assert given.model_extra == answer.model_extra


def test_tool_calls_named_as_their_ids(accel: Accel, colour: Colour) -> None:
    """Some providers use a function's name as the call's id: the name survives a replay."""

    class Named(Plain):
        def _generate(self, *_: Any, **__: Any) -> ChatResult:
            asked.append({})
            call = {"name": "weather", "args": {"tool": "weather"}, "id": "weather"}
            message = AIMessage("I ask weather", tool_calls=[call])
            return ChatResult(generations=[ChatGeneration(message=message)])

    fast = accelerate(Named(), accel)
    for _ in range(2):
        (call,) = colour.invoke(fast, QUESTION).tool_calls
        assert (call["name"], call["args"]) == ("weather", {"tool": "weather"})
    assert len(asked) == 1


class Counting(BaseRateLimiter):
    """A limiter that counts."""

    def __init__(self) -> None:
        self.count = 0

    def acquire(self, *, blocking: bool = True) -> bool:
        self.count += 1
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        return self.acquire()


@pytest.mark.timeout(10)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["invoke", "stream"])
def test_rate_limiter(accel: Accel, colour: Colour, *, kind: type[Any], how: str) -> None:
    """A model call takes one of its limiter's turns, and a hit takes none."""
    limiter = Counting()
    model = kind(rate_limiter=limiter)
    fast = accelerate(model, accel)
    for _ in range(3):
        getattr(colour, how)(fast, QUESTION)
    assert limiter.count == 1
    assert model.rate_limiter is limiter


@pytest.mark.parametrize("kind", [Plain, Streaming, WithoutRunManager])
def test_rate_limiter_of_a_bypass(accel: Accel, colour: Colour, kind: type[Any]) -> None:
    """A call that bypasses the cache takes one turn as well."""
    limiter = Counting()
    fast = accelerate(kind(rate_limiter=limiter), accel)
    for calls in (1, 2):
        colour.invoke(fast, QUESTION, {"tags": ["accel:no-cache"]})
        assert limiter.count == calls


def test_langchains_own_fake(accel: Accel, colour: Colour) -> None:
    """LangChain's fake model, whose place in its list is a field, goes through its list."""
    fast = accelerate(FakeListChatModel(responses=["one", "two"]), accel)
    assert [colour.invoke(fast, QUESTION).content for _ in range(2)] == ["one", "two"]
    assert "".join(c.content for c in colour.stream(fast, QUESTION)) == "one"


def test_model_around_a_model(accel: Accel, colour: Colour) -> None:
    """A model that asks another accelerated one gets the right answers, each asked once."""

    class Around(Plain):
        inner: BaseChatModel

        def _generate(
            self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
        ) -> ChatResult:
            return whole(f"heard {self.inner.invoke(messages).content}")

    around = Around(inner=accelerate(Plain(), accel))
    fast = accelerate(around, accel)
    assert colour.invoke(fast, QUESTION).content == f"heard anybody: {QUESTION}"
    assert colour.invoke(fast, QUESTION).content == f"heard anybody: {QUESTION}"
    assert len(asked) == 1
    assert colour.invoke(around, QUESTION).content == f"heard anybody: {QUESTION}"
    assert len(asked) <= 2


def test_messages_that_are_no_messages(accel: Accel, colour: Colour) -> None:
    """Content that LangChain lets pass is let pass."""
    fast = accelerate(Plain(), accel)
    for content in ([], [{"text": "no type"}], ["a", {"type": "text", "text": "b"}], [{}]):
        answer = colour.invoke(fast, [HumanMessage(content=content)])
        assert answer.content == f"anybody: {content}"
