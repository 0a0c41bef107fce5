"""Which requests are one, and which never are: through the cache interface and through models."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.globals import set_llm_cache
from langchain_core.load import dumps
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from langchain_accel import AccelCache
from tests.langchain.identity.rig import QUESTION, WAYS, image, made, weather

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeChat


SAME_MEANING = "Is the capital of France Paris?"


@tool("weather")
def weather_described_otherwise(place: str) -> str:
    """Tell the weather somewhere."""
    return place


class Out(BaseModel):
    """An answer."""

    value: str


class Out2(BaseModel):
    """An answer."""

    value: int


BASE: list[AnyMessage] = [
    SystemMessage("Be brief."),
    HumanMessage("Hello"),
    AIMessage("Hi", tool_calls=[{"name": "weather", "args": {"place": "Rome"}, "id": "1"}]),
    ToolMessage("sunny", tool_call_id="1"),
    AIMessage("It is sunny."),
    HumanMessage(QUESTION),
]


def changed(at: int, message: AnyMessage) -> list[AnyMessage]:
    """Return the conversation with another message at one place."""
    messages = copy.deepcopy(BASE)
    messages[at] = message
    return messages


OTHER_CONVERSATIONS: dict[str, list[AnyMessage]] = {
    "system prompt": changed(0, SystemMessage("Be rude.")),
    "no system prompt": BASE[1:],
    "system prompt as a user's": changed(0, HumanMessage("Be brief.")),
    "first question": changed(1, HumanMessage("Goodbye")),
    "who said it": changed(1, AIMessage("Hello")),
    "tool arguments": changed(
        2, AIMessage("Hi", tool_calls=[{"name": "weather", "args": {"place": "Oslo"}, "id": "1"}])
    ),
    "tool name": changed(
        2, AIMessage("Hi", tool_calls=[{"name": "time", "args": {"place": "Rome"}, "id": "1"}])
    ),
    "tool call missing": changed(2, AIMessage("Hi")),
    "tool result": changed(3, ToolMessage("rainy", tool_call_id="1")),
    "tool failed": changed(3, ToolMessage("sunny", tool_call_id="1", status="error")),
    "answer": changed(4, AIMessage("It is rainy.")),
    "answer's speaker": changed(4, AIMessage("It is sunny.", name="ann")),
    "answer missing": [*BASE[:4], BASE[5]],
    "two questions": [*BASE, HumanMessage(QUESTION)],
    "asked by": changed(5, HumanMessage(QUESTION, name="ann")),
    "with an image": changed(5, HumanMessage([{"type": "text", "text": QUESTION}, image(b"1")])),
    "with another image": changed(
        5, HumanMessage([{"type": "text", "text": QUESTION}, image(b"2")])
    ),
    "with the image first": changed(
        5, HumanMessage([image(b"1"), {"type": "text", "text": QUESTION}])
    ),
    "with an image in the history": changed(
        1, HumanMessage([{"type": "text", "text": "Hello"}, image(b"1")])
    ),
    "detail of an image": changed(
        5,
        HumanMessage(
            [
                {"type": "text", "text": QUESTION},
                {"type": "image_url", "image_url": {**image(b"1")["image_url"], "detail": "low"}},
            ]
        ),
    ),
    "a role of its own": changed(1, ChatMessage("Hello", role="critic")),
    "another role of its own": changed(1, ChatMessage("Hello", role="poet")),
    "extra arguments": changed(1, HumanMessage("Hello", additional_kwargs={"cache": True})),
}


OTHER_MODELS: dict[str, Callable[[MakeChat], Any]] = {
    "as it is": lambda chat: chat(),
    "model": lambda chat: chat(model="gpt-4o"),
    "temperature": lambda chat: chat(temperature=0.1),
    "seed": lambda chat: chat(seed=7),
    "max_tokens": lambda chat: chat(max_tokens=100),
    "stop of the model": lambda chat: chat(stop=["\n"]),
    "top_p": lambda chat: chat(top_p=0.5),
    "logit_bias": lambda chat: chat(logit_bias={1: 2}),
    "extra_body": lambda chat: chat(extra_body={"x": 1}),
    "model_kwargs": lambda chat: chat(model_kwargs={"user": "x"}),
    "headers": lambda chat: chat(default_headers={"X-Persona": "ann"}),
    "service tier": lambda chat: chat(service_tier="flex"),
    "reasoning": lambda chat: chat(reasoning_effort="low"),
    "bound temperature": lambda chat: chat().bind(temperature=0.1),
    "bound seed": lambda chat: chat().bind(seed=8),
    "bound stop": lambda chat: chat().bind(stop=["Paris"]),
    "bound model": lambda chat: chat().bind(model="gpt-4"),
    "tools": lambda chat: chat().bind_tools([weather]),
    "description of a tool": lambda chat: chat().bind_tools([weather_described_otherwise]),
    "tool choice": lambda chat: chat().bind_tools([weather], tool_choice="none"),
    "strict tools": lambda chat: chat().bind_tools([weather], strict=True),
    "response format": lambda chat: chat().bind(response_format={"type": "json_object"}),
    "structured": lambda chat: chat().with_structured_output(Out, include_raw=True),
    "another structure": lambda chat: chat().with_structured_output(Out2, include_raw=True),
    "other way to structure": lambda chat: chat().with_structured_output(
        Out, method="function_calling", include_raw=True
    ),
}


@pytest.mark.parametrize("way", WAYS)
class TestNeverOne:
    """What must be equal before anything is served, exactly or by meaning."""

    def test_other_conversation(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, *, way: str
    ) -> None:
        """The same question in another conversation is asked, whatever differs; then no more."""
        model = made(way, accel, chat())
        conversations = {"as it is": BASE, **OTHER_CONVERSATIONS}
        asked = {}
        for name, messages in conversations.items():
            server.reset()
            colour.invoke(model, copy.deepcopy(messages))
            asked[name] = server.call_count
        assert asked == dict.fromkeys(conversations, 1)
        accel.flush()
        server.reset()
        for messages in conversations.values():
            colour.invoke(model, copy.deepcopy(messages))
        assert server.call_count == 0

    def test_other_model(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, *, way: str
    ) -> None:
        """The same question to another model, or with other parameters, is asked; then no more."""
        asked = {}
        for name, build in OTHER_MODELS.items():
            server.reset()
            colour.invoke(made(way, accel, build(chat)), QUESTION)
            accel.flush()
            asked[name] = server.call_count
        assert asked == dict.fromkeys(OTHER_MODELS, 1)
        server.reset()
        for build in OTHER_MODELS.values():
            colour.invoke(made(way, accel, build(chat)), QUESTION)
        assert server.call_count == 0

    def test_other_server(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, *, way: str
    ) -> None:
        """The same model of another service is another model, whatever its headers hold."""
        headers = {"X-Note": "before---after"}
        for suffix in ("", "/", "/./"):
            model = chat(base_url=server.url + suffix, default_headers=headers)
            colour.invoke(made(way, accel, model), QUESTION)
        assert server.call_count == 3

    def test_other_tenant_or_namespace(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, *, way: str
    ) -> None:
        """Nothing crosses a tenant or a namespace, exactly or by meaning, in any order."""
        model = made(way, accel, chat())
        config = {"metadata": {"accel_namespace": "ann"}}

        def ask(question: str) -> int:
            colour.invoke(model, question)
            with accel.tenant("ann"):
                colour.invoke(model, question)
                colour.invoke(model, question, config)
            with accel.tenant("bob"):
                colour.invoke(model, question)
            colour.invoke(model, question, config)
            accel.flush()
            return server.call_count

        assert [ask(QUESTION), ask(QUESTION), ask(SAME_MEANING)] == [5, 5, 5]

    def test_other_credentials_of_a_tool(
        self, accel: Accel, http_clients: dict[str, Any], colour: Colour, *, way: str
    ) -> None:
        """A remote tool with another user's credentials is another tool.

        LangChain hides them from callbacks, so they are not in the parameters it reports.
        """
        asked: list[Any] = []

        class Remote(ChatOpenAI):
            def _generate(self, messages: Any, *_: Any, **kwargs: Any) -> ChatResult:
                asked.append(kwargs["tools"])
                told = kwargs["tools"][0]["headers"]["Authorization"]
                return ChatResult(generations=[ChatGeneration(message=AIMessage(told))])

            async def _agenerate(self, messages: Any, *_: Any, **kwargs: Any) -> ChatResult:
                return self._generate(messages, **kwargs)

        remote = {"type": "mcp", "server_label": "mail", "server_url": "https://example.com"}
        for user in ("ann", "bob"):
            headers = {"Authorization": f"Bearer {user}"}
            model = Remote(model="gpt-4o", api_key="any", **http_clients)  # type: ignore[arg-type]
            bound = model.bind_tools([{**remote, "headers": headers}])
            answer = colour.invoke(made(way, accel, bound), QUESTION)
            assert answer.content == f"Bearer {user}"


@pytest.mark.parametrize("way", WAYS)
class TestStillOne:
    """What changes from run to run without changing what the model sees."""

    @pytest.mark.parametrize(
        "again",
        [
            changed(1, HumanMessage("Hello", id="another")),
            changed(4, AIMessage("It is sunny.", id="another")),
            changed(4, AIMessage("It is sunny.", response_metadata={"id": "x", "model": "y"})),
            changed(
                4,
                AIMessage(
                    "It is sunny.",
                    usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
                ),
            ),
            changed(3, ToolMessage("sunny", tool_call_id="1", artifact=object(), id="another")),
            [
                *BASE[:2],
                AIMessage(
                    "Hi", tool_calls=[{"name": "weather", "args": {"place": "Rome"}, "id": "2"}]
                ),
                ToolMessage("sunny", tool_call_id="2"),
                *BASE[4:],
            ],
            changed(4, AIMessage("It is sunny.", additional_kwargs={"refusal": None})),
        ],
        ids=["id", "answer's id", "provider", "usage", "artifact", "call ids", "no refusal"],
    )
    def test_again(
        self,
        accel: Accel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        *,
        way: str,
        again: list[AnyMessage],
    ) -> None:
        """Ids, usage, provider's metadata, artifacts and tool-call ids make no other request."""
        model = made(way, accel, chat())
        colour.invoke(model, BASE)
        colour.invoke(model, again)
        assert server.call_count == 1

    def test_order_of_keys(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, *, way: str
    ) -> None:
        """The order of a dict's keys means nothing."""
        for extra in ({"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"d": 2, "c": 1}, "a": 1}):
            colour.invoke(made(way, accel, chat(extra_body=extra)), QUESTION)
        assert server.call_count == 1

    def test_same_meaning_beside_an_image(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, *, way: str
    ) -> None:
        """With the same image the question is compared by meaning; with another never."""
        model = made(way, accel, chat())

        def ask(text: str, data: bytes) -> int:
            content = [{"type": "text", "text": text}, image(data, "image")]
            colour.invoke(model, [HumanMessage(content=content)])
            accel.flush()
            return server.call_count

        assert ask(QUESTION, b"cat") == 1
        assert ask(SAME_MEANING, b"cat") == 1
        assert ask(SAME_MEANING, b"dog") == 2


class TestPlainModels:
    """Models without messages, which look up before anybody knows of the call."""

    def test_prompt_is_the_question(
        self, accel: Accel, llm: Any, server: ModelServer, colour: Colour
    ) -> None:
        """A prompt is answered from memory exactly and by meaning, under its own parameters."""
        set_llm_cache(AccelCache(accel))
        assert colour.invoke(llm(), QUESTION) == colour.invoke(llm(), QUESTION)
        accel.flush()
        colour.invoke(llm(), SAME_MEANING)
        assert server.call_count == 1
        colour.invoke(llm(seed=1), QUESTION)
        colour.invoke(llm(model="other"), QUESTION)
        colour.invoke(llm(), QUESTION, stop=["x"])
        assert server.call_count == 4

    def test_temperature(self, accel: Accel, llm: Any, server: ModelServer, colour: Colour) -> None:
        """A model asked for variety is asked every time."""
        set_llm_cache(AccelCache(accel))
        for _ in range(2):
            colour.invoke(llm(temperature=0.7), QUESTION)
        assert server.call_count == 2
        assert accel.stats().bypassed == {"temperature": 2}

    def test_another_calls_controls_are_not_theirs(
        self, accel: Accel, llm: Any, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """Namespace, tags and switches of a chat call around it do not reach a plain model."""
        set_llm_cache(AccelCache(accel))
        plain = llm()

        class Around(ChatOpenAI):
            def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
                plain.invoke(QUESTION)
                return super()._generate(*args, **kwargs)

            async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
                await plain.ainvoke(QUESTION)
                return await super()._agenerate(*args, **kwargs)

        plain_calls = []
        for config in (
            {},
            {"metadata": {"accel_namespace": "x"}},
            {"tags": ["accel:no-cache"]},
            {"tags": ["accel:refresh"]},
        ):
            colour.invoke(chat(Around), QUESTION, config)
            plain_calls.append(len([call for call in server.calls if "prompt" in call]))
        assert plain_calls == [1, 1, 1, 1]

    def test_after_a_chat_call(
        self, accel: Accel, llm: Any, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """What a chat call was told is forgotten when it ends, also where it failed."""
        set_llm_cache(AccelCache(accel))
        colour.invoke(llm(), QUESTION)
        config = {"metadata": {"accel_namespace": "x"}, "tags": ["accel:no-cache"]}
        colour.invoke(chat(), QUESTION, config)
        colour.take(chat(), QUESTION, 1)
        colour.invoke(llm(), QUESTION)
        assert len([call for call in server.calls if "prompt" in call]) == 1

    def test_prompt_that_looks_like_messages(
        self, accel: Accel, llm: Any, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """A prompt in the form of a dumped conversation is a prompt, and no chat answer is its."""
        set_llm_cache(AccelCache(accel))
        prompt = dumps([HumanMessage(QUESTION)])
        colour.invoke(chat(), QUESTION)
        for _ in range(2):
            answer = colour.invoke(llm(), prompt)
            assert answer == f"Answer to: {prompt}"
        assert server.call_count == 2

    def test_tenants(self, accel: Accel, llm: Any, server: ModelServer, colour: Colour) -> None:
        """A plain model's answer stays with its tenant."""
        set_llm_cache(AccelCache(accel))
        for tenant in ("ann", "bob", "ann"):
            with accel.tenant(tenant):
                colour.invoke(llm(), QUESTION)
        colour.invoke(llm(), QUESTION)
        assert server.call_count == 3
