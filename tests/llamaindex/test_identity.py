"""Which calls are the same: everything but the last words must be equal."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.base.llms.types import (
    ChatMessage,
    DocumentBlock,
    ImageBlock,
    LLMMetadata,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.mock import MockFunctionCallingLLM, MockLLM
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI
from openai.types.chat import ChatCompletionMessageToolCall
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall
from pydantic import BaseModel, PrivateAttr

from accel_core.accel import Accel
from accel_core.events import CacheBypassed
from accel_core.policy.controls import DEFAULT
from llamaindex_accel import accelerate
from llamaindex_accel._identity import chat_request, completion_request
from tests.llamaindex.support import METHODS, QUESTION, accel_of, origin, user

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from accel_core.policy.identity import Request
    from accel_core.testing.doubles import RecordingObserver
    from tests.llamaindex.support import Caller


def png(colour: int) -> bytes:
    """Return a picture of one grey pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes([0, colour])))


def weather(city: str) -> str:
    """Tell the weather."""
    return city


def forecast(city: str, days: int) -> str:
    """Tell the weather of some days."""
    return city * days


def spec(function: Callable[..., str]) -> dict[str, Any]:
    return FunctionTool.from_defaults(fn=function).metadata.to_openai_tool()


def said(role: str, *blocks: Any, **kwargs: Any) -> ChatMessage:
    return ChatMessage(role=role, blocks=list(blocks), additional_kwargs=kwargs)


HISTORY = [*user("Hello"), ChatMessage(role="assistant", content="Hi")]
OTHERS: dict[str, dict[str, Any]] = {
    "system prompt": {"messages": [ChatMessage(role="system", content="Be rude"), *user(QUESTION)]},
    "system_prompt field": {"fields": {"system_prompt": "Be rude"}},
    "history": {"messages": [*HISTORY, *user(QUESTION)]},
    "last role": {"messages": [ChatMessage(role="assistant", content=QUESTION)]},
    "tools": {"call": {"tools": [spec(weather)]}},
    "other tools": {"call": {"tools": [spec(forecast)]}},
    "tool choice": {"call": {"tools": [spec(weather)], "tool_choice": "none"}},
    "response format": {"call": {"response_format": {"type": "json_object"}}},
    "temperature": {"fields": {"temperature": 0.2}},
    "temperature of the call": {"call": {"temperature": 0.2}},
    "seed": {"fields": {"additional_kwargs": {"seed": 7}}},
    "seed of the call": {"call": {"seed": 7}},
    "model": {"fields": {"model": "gpt-4o"}},
    "model of the call": {"call": {"model": "gpt-4o"}},
    "max_tokens": {"fields": {"max_tokens": 9}},
    "stop": {"call": {"stop": ["."]}},
    "header": {"fields": {"default_headers": {"x-route": "b"}}},
    "class": {"fields": {"kind": "subclass"}},
    "image": {"messages": [said("user", TextBlock(text=QUESTION), ImageBlock(image=png(1)))]},
    "other image": {"messages": [said("user", TextBlock(text=QUESTION), ImageBlock(image=png(2)))]},
    "document": {"messages": [said("user", TextBlock(text=QUESTION), DocumentBlock(data=b"%PDF"))]},
    "parts": {"messages": [said("user", TextBlock(text=QUESTION), TextBlock(text=""))]},
    "message kwargs": {"messages": [said("user", TextBlock(text=QUESTION), name="bob")]},
    "tenant": {"tenant": "b"},
    "namespace": {"namespace": "b"},
}


class Subclassed(OpenAI):
    """Another class with the same fields."""


class Variant:
    """The question of all tests, asked in one way."""

    def __init__(self, make_llm: Callable[..., OpenAI], accel: Accel, **how: Any) -> None:
        fields = dict(how.get("fields", {}))
        kind = Subclassed if fields.pop("kind", None) else OpenAI
        self.llm = accelerate(make_llm(kind, **fields), accel)
        self.accel, self.how = accel, how

    def hits(self, ask: Caller, method: str) -> bool:
        """Ask, and say whether the answer was a stored one."""
        from contextlib import nullcontext

        from llama_index.core.instrumentation.dispatcher import instrument_tags

        tenant = self.how.get("tenant")
        space = self.how.get("namespace")
        messages = self.how.get("messages", user(QUESTION))
        with (
            self.accel.tenant(tenant) if tenant else nullcontext(),
            instrument_tags({"accel_namespace": space} if space else {}),
        ):
            return (
                origin(ask(self.llm, method, messages, **self.how.get("call", {}))[-1]) is not None
            )


@pytest.mark.parametrize("method", METHODS["chat"])
@pytest.mark.parametrize("name", OTHERS)
def test_another_request_never_hits(
    name: str, method: str, make_llm: Callable[..., OpenAI], accel: Accel, ask: Caller
) -> None:
    """The same words under another system prompt, history, tool set, … never hit, but then do."""
    plain = Variant(make_llm, accel)
    assert not plain.hits(ask, method)
    accel.flush()
    other = Variant(make_llm, accel, **OTHERS[name])
    assert not other.hits(ask, method)
    accel.flush()
    assert other.hits(ask, method)
    assert plain.hits(ask, method)


def test_all_requests_differ(make_llm: Callable[..., OpenAI], accel: Accel, ask: Caller) -> None:
    """None of the other requests is another of them."""
    variants = [Variant(make_llm, accel, **how) for how in OTHERS.values()]
    assert not any(variant.hits(ask, "chat") for variant in variants)


@pytest.mark.parametrize(
    "fields",
    [
        {"api_key": "another"},
        {"timeout": 1.5},
        {"max_retries": 1},
        {"reuse_client": False},
        {"additional_kwargs": {}},
    ],
    ids=str,
)
def test_what_cannot_change_an_answer_does_not_count(
    fields: dict[str, Any], make_llm: Callable[..., OpenAI], accel: Accel
) -> None:
    """A rotated key, a timeout or a retry is no other model."""
    one, other = accelerate(make_llm(), accel), accelerate(make_llm(**fields), accel)
    assert named(accel, one) == named(accel, other)


def test_an_unused_and_a_used_client_are_one(llm: OpenAI, accel: Accel, ask: Caller) -> None:
    """Clients made when first needed do not make a model another one."""
    before = named(accel, llm)
    ask(llm, "chat")
    ask(llm, "achat")
    assert named(accel, llm) == before


def test_an_injected_client_elsewhere_counts(make_llm: Callable[..., OpenAI], accel: Accel) -> None:
    """A client that asks another server than the fields say makes another model."""

    class Client:
        base_url = "http://elsewhere.test/v1"

    one, other = accelerate(make_llm(), accel), accelerate(make_llm(openai_client=Client()), accel)
    assert named(accel, one) != named(accel, other)


@pytest.mark.parametrize(
    ("options", "call", "admitted"),
    [
        ({}, {}, True),
        ({"temperature": 0.3}, {}, True),
        ({"temperature": 0.31}, {}, False),
        ({}, {"temperature": 1}, False),
        ({"temperature": 1}, {"temperature": 0}, True),
        ({"additional_kwargs": {"temperature": 0.9}}, {"temperature": 0}, False),
        ({"temperature": 0.9, "additional_kwargs": {"temperature": 0}}, {}, True),
    ],
)
def test_temperature_decides_admission(
    options: dict[str, Any], call: dict[str, Any], admitted: bool, ask: Caller, llm: OpenAI
) -> None:
    """A call above the limit bypasses the cache, wherever its temperature is set."""
    accel = accel_of(llm)
    llm = llm.model_copy(update=options)
    found = [origin(ask(llm, "chat", **call)[0]) for _ in range(2)]
    assert found == ([None, "exact"] if admitted else [None, None])
    assert accel.stats().bypassed == ({} if admitted else {"temperature": 2})


def named(accel: Accel, llm: Any, messages: Any = None, **call: Any) -> Request:
    """Name a chat call."""
    asked = user(QUESTION) if messages is None else messages
    found = chat_request(accel, llm, asked, call, DEFAULT)
    assert found is not None
    return found


def test_content_counts_wherever_it_lies(accel: Accel, tmp_path: Path) -> None:
    """A picture is the same as bytes, stream and file, and another one where its bytes differ."""
    path = tmp_path / "picture.png"
    path.write_bytes(png(1))
    mime = {"image_mimetype": "image/png"}
    blocks = [
        ImageBlock(image=png(1), **mime),
        ImageBlock(image=BytesIO(png(1)), **mime),
        ImageBlock(image=BytesIO(png(2)), **mime),
        ImageBlock(path=path, **mime),
    ]
    llm = MockLLM()
    scopes = [named(accel, llm, [said("user", block)]).scope for block in blocks]
    assert scopes[0] == scopes[1] != scopes[2]
    path.write_bytes(png(2))
    again = named(accel, llm, [said("user", blocks[3])]).scope
    assert again != scopes[3]
    path.write_bytes(png(1))
    assert named(accel, llm, [said("user", blocks[3])]).scope == scopes[3]
    assert blocks[1].image.tell() == 0


@pytest.mark.parametrize(
    "asked",
    [
        lambda path: [said("user", ImageBlock(path=path))],
        lambda path: [said("user", ImageBlock(image=BytesIO(b"closed")))],
        lambda path: [said("user", TextBlock(text="q"), custom=object())],
        lambda path: ["not a message"],
        lambda path: "not messages",
        lambda path: iter(user("q")),
    ],
    ids=["missing file", "closed stream", "object", "no message", "text", "iterator"],
)
def test_what_cannot_be_named_bypasses(
    asked: Callable[[Path], Any], accel: Accel, tmp_path: Path, observed: RecordingObserver
) -> None:
    """A request with something that has no meaning of its own is not cached, and that is said."""
    path = tmp_path / "gone.png"
    path.write_bytes(b"x")
    messages = asked(path)
    path.unlink()
    for message in messages if isinstance(messages, list) else ():
        for block in getattr(message, "blocks", ()):
            if isinstance(getattr(block, "image", None), BytesIO):
                block.image.close()
    assert chat_request(accel, MockLLM(), messages, {}, DEFAULT) is None
    assert [event.reason for event in observed.of(CacheBypassed)] == ["unidentifiable"]
    assert completion_request(accel, MockLLM(), PrivateAttr(), {}, DEFAULT) is None


def test_tools_count_by_what_the_model_is_told(accel: Accel) -> None:
    """Tool objects are compared by name, description and parameters, and can be any kind."""
    llm = MockFunctionCallingLLM()
    one, same = (FunctionTool.from_defaults(fn=weather) for _ in range(2))
    other = FunctionTool.from_defaults(fn=forecast)
    assert named(accel, llm, tools=[one]) == named(accel, llm, tools=[same])
    assert named(accel, llm, tools=[one]) != named(accel, llm, tools=[other])
    assert named(accel, llm, tools=[one, other]) != named(accel, llm, tools=[other, one])


def test_private_state_counts(accel: Accel) -> None:
    """Two models that differ only in what they keep to themselves are two models."""

    class Wrapping(MockLLM):
        _inner: Any = PrivateAttr(default=None)

    class Inner(BaseModel):
        model: str

    def make(inner: Any) -> Wrapping:
        made = Wrapping()
        made._inner = inner
        return made

    one, other = object(), object()
    assert named(accel, make(Inner(model="a"))) == named(accel, make(Inner(model="a")))
    assert named(accel, make(Inner(model="a"))) != named(accel, make(Inner(model="b")))
    assert named(accel, make(one)) == named(accel, make(one))
    assert named(accel, make(one)) != named(accel, make(other))


def test_formatters_count(accel: Accel) -> None:
    """What turns messages into a prompt is part of a model: functions by name, others as such."""

    def make(formatter: Any) -> MockLLM:
        return MockLLM(messages_to_prompt=formatter)

    class Formatter:
        def __init__(self, sign: str) -> None:
            self.sign = sign

        def to_prompt(self, messages: Any) -> str:
            return self.sign.join(str(message) for message in messages)

    first, second = Formatter("a"), Formatter("b")
    assert named(accel, make(first.to_prompt)) == named(accel, make(first.to_prompt))
    assert named(accel, make(first.to_prompt)) != named(accel, make(second.to_prompt))
    assert named(accel, make(lambda _: "a")) != named(accel, make(lambda _: "b"))


def test_local_classes_of_one_name_are_two(accel: Accel) -> None:
    """Two classes defined in functions may share their name, and are not one model."""

    def make() -> Any:
        class Local(CustomLLM):
            @property
            def metadata(self) -> LLMMetadata:
                return LLMMetadata()

            def complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any: ...

            def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any: ...

        return Local()

    one = make()
    assert named(accel, one) == named(accel, type(one)())
    assert named(accel, accelerate(one, accel)) == named(accel, one)
    assert named(accel, one) != named(accel, make())


@pytest.mark.parametrize(
    "make",
    [
        lambda cid, name: said(
            "assistant", ToolCallBlock(tool_call_id=cid, tool_name=name, tool_kwargs="{}")
        ),
        lambda cid, name: said(
            "assistant",
            tool_calls=[
                ChatCompletionMessageToolCall(
                    id=cid, type="function", function={"name": name, "arguments": "{}"}
                )
            ],
        ),
        lambda cid, name: said(
            "assistant",
            tool_calls=[
                ChoiceDeltaToolCall(index=0, id=cid, function={"name": name, "arguments": "{}"})
            ],
        ),
        lambda cid, name: said(
            "assistant",
            tool_calls=[{"id": cid, "type": "function", "function": {"name": name}}],
        ),
        lambda cid, name: said(
            "assistant",
            tool_calls=[ToolSelection(tool_id=cid, tool_name=name, tool_kwargs={})],
        ),
    ],
    ids=["block", "openai", "streamed", "dict", "selection"],
)
def test_tool_call_ids_count_by_their_order(make: Callable[..., ChatMessage], accel: Accel) -> None:
    """New ids for the same calls change nothing; another tool does, even if its id is its name."""

    def talk(cid: str, name: str, other: str = "x") -> Any:
        result = ChatMessage(role="tool", content="r", additional_kwargs={"tool_call_id": cid})
        return named(accel, MockLLM(), [*user("q"), make(cid, name), result, *user("next")])

    assert talk("call_1", "search") == talk("call_2", "search")
    assert talk("call_1", "search") != talk("call_1", "delete")
    assert talk("search", "search") != talk("delete", "delete")
    assert talk("search", "search") == talk("call_1", "search")


def test_streamed_and_whole_tool_calls_are_one(accel: Accel) -> None:
    """The empty text and the repeated calls that streams add change nothing."""
    block = ToolCallBlock(tool_call_id="c", tool_name="f", tool_kwargs="{}")
    streamed = ChoiceDeltaToolCall(index=0, id="c", function={"name": "f", "arguments": "{}"})
    whole = said("assistant", block)
    told = said("assistant", TextBlock(text=""), block, tool_calls=[streamed], prompt_tokens=3)
    assert named(accel, MockLLM(), [*user("q"), whole]) == named(
        accel, MockLLM(), [*user("q"), told]
    )


TEXTS = st.sampled_from(["a", "b", "a b"])
IDS = st.sampled_from(["x", "y", "f"])
CALLS = st.builds(
    ToolCallBlock,
    tool_call_id=IDS,
    tool_name=st.sampled_from(["f", "g"]),
    tool_kwargs=st.sampled_from(["{}", '{"x": "x"}']),
)
BLOCKS = st.one_of(
    st.builds(TextBlock, text=TEXTS),
    st.builds(ThinkingBlock, content=TEXTS),
    st.builds(ImageBlock, url=st.sampled_from(["http://a.test/1.png", "http://a.test/2.png"])),
)
KWARGS = st.sampled_from([{}, {}, {"name": "n"}, {"tool_call_id": "x"}, {"tool_call_id": "y"}])
MESSAGES = st.one_of(
    st.builds(user, TEXTS).map(lambda messages: messages[0]),
    st.builds(
        lambda role, blocks, kwargs: said(role, *blocks, **kwargs),
        st.sampled_from(["user", "user", "assistant", "system", "tool"]),
        st.lists(BLOCKS, min_size=1, max_size=2),
        KWARGS,
    ),
    st.builds(lambda calls: said("assistant", *calls), st.lists(CALLS, min_size=1, max_size=2)),
)


def shape(messages: list[ChatMessage]) -> Any:
    """Return everything of a conversation but its last user's words and the names of its ids."""
    order: dict[str, int] = {}
    spelled = []
    for place, message in enumerate(messages):
        asked = place == len(messages) - 1 and message.role == "user"
        blocks = []
        for block in message.blocks:
            dumped = block.model_dump(mode="json")
            if isinstance(block, ToolCallBlock):
                dumped["tool_call_id"] = order.setdefault(block.tool_call_id or "", len(order))
            if asked and isinstance(block, TextBlock):
                dumped["text"] = ""
            blocks.append(dumped)
        kwargs = dict(message.additional_kwargs)
        if "tool_call_id" in kwargs:
            kwargs["tool_call_id"] = order.setdefault(kwargs["tool_call_id"], len(order))
        spelled.append((message.role.value, blocks, kwargs))
    return spelled


def words(messages: list[ChatMessage]) -> list[str]:
    """Return the last user's words."""
    last = messages[-1]
    if last.role != "user":
        return []
    return [block.text for block in last.blocks if isinstance(block, TextBlock)]


@pytest.fixture(scope="module")
def naming() -> Any:
    with Accel(encoder=None) as accel:
        yield accel


@settings(max_examples=300)
@given(first=st.lists(MESSAGES, min_size=1, max_size=3), data=st.data())
def test_scope_is_all_but_the_last_words(
    naming: Accel, first: list[ChatMessage], data: st.DataObject
) -> None:
    """Two requests share a scope exactly when nothing but the last user's words differs."""
    llm = MockLLM()
    second = list(first)
    place = data.draw(st.integers(0, len(second) - 1))
    second[place] = data.draw(MESSAGES)
    one, other = named(naming, llm, first), named(naming, llm, second)
    assert (one.scope == other.scope) == (shape(first) == shape(second))
    same = shape(first) == shape(second) and words(first) == words(second)
    assert (one.key == other.key) == same


@settings(max_examples=100)
@given(first=st.text(), second=st.text(), formatted=st.tuples(st.booleans(), st.booleans()))
def test_a_completions_scope_is_all_but_its_prompt(
    naming: Accel, first: str, second: str, formatted: tuple[bool, bool]
) -> None:
    """Two completions share a scope exactly when nothing but their prompts differs."""
    one, other = (
        completion_request(naming, MockLLM(), prompt, {"formatted": ready}, DEFAULT)
        for prompt, ready in zip((first, second), formatted, strict=True)
    )
    assert one is not None
    assert other is not None
    assert (one.scope == other.scope) == (formatted[0] == formatted[1])
    assert (one.key == other.key) == (formatted[0] == formatted[1] and first == second)
