"""Which requests are one, and which never are: through the cache interface and through models.

`set_llm_cache` sees a request as two texts, `accelerate` as live objects; both must name it alike.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
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
from langchain_core.runnables import run_in_executor
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from accel_core import events as happened
from accel_core.accel import Accel
from accel_core.semantic_cache import Miss
from accel_core.testing.encoders import HashEncoder
from langchain_accel import AccelCache, accelerate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.policy.identity import Request
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeAccel, MakeChat, Recorder

QUESTION = "Is Paris the capital of France?"
SAME_MEANING = "Is the capital of France Paris?"


def image(data: bytes, form: str = "image_url") -> dict[str, Any]:
    """Return a block with an image."""
    text = base64.b64encode(data).decode()
    if form == "image_url":
        return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{text}"}}
    return {"type": "image", "base64": text, "mime_type": "image/png"}


@tool
def weather(place: str) -> str:
    """Tell the weather at a place."""
    return place


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

WAYS = ["accelerate", "set_llm_cache"]


def made(way: str, accel: Accel, runnable: Any) -> Any:
    """Return `runnable` answering from `accel`, in one way or the other."""
    if way == "accelerate":
        return accelerate(runnable, accel)
    set_llm_cache(AccelCache(accel))
    return runnable


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


class TestTenants:
    """Who is asking, however the call gets there."""

    @pytest.fixture(params=WAYS)
    def model(self, request: pytest.FixtureRequest, accel: Accel, chat: MakeChat) -> Any:
        return made(request.param, accel, chat())

    def test_threads_of_a_batch(
        self, accel: Accel, model: Any, server: ModelServer, colour: Colour
    ) -> None:
        """The threads and tasks of a batch belong to the tenant who started it."""
        for tenant, calls in (("ann", 3), ("bob", 6), ("ann", 6)):
            with accel.tenant(tenant):
                colour.batch(model, ["one", "two", "three"])
            assert server.call_count == calls

    def test_executors(self, accel: Accel, model: Any, server: ModelServer) -> None:
        """`asyncio.to_thread` and LangChain's executor carry the tenant along."""

        async def ask(tenant: str) -> None:
            with accel.tenant(tenant):
                await asyncio.to_thread(model.invoke, QUESTION)
                await run_in_executor(None, model.invoke, QUESTION)

        for tenant, calls in (("ann", 1), ("bob", 2)):
            asyncio.run(ask(tenant))
            assert server.call_count == calls

    def test_tasks_at_once(
        self, accel: Accel, model: Any, server: ModelServer, runner: asyncio.Runner
    ) -> None:
        """Tasks of many tenants on one loop, waiting for one another, never mix."""
        tenants = [f"tenant-{n}" for n in range(6)]

        async def ask(tenant: str) -> str:
            with accel.tenant(tenant):
                return str((await model.ainvoke(QUESTION)).response_metadata["id"])

        async def both() -> tuple[list[str], list[str]]:
            with server.hold():
                tasks = [asyncio.create_task(ask(tenant)) for tenant in tenants]
                await asyncio.to_thread(server.wait_for_calls, len(tenants))
            first = await asyncio.gather(*tasks)
            return first, list(await asyncio.gather(*(ask(tenant) for tenant in tenants)))

        first, again = runner.run(both())
        assert len(set(first)) == len(tenants)
        assert again == first

    def test_bare_thread_belongs_to_nobody(
        self, accel: Accel, model: Any, server: ModelServer
    ) -> None:
        """A thread started by hand inherits no tenant, and sees no tenant's answers."""
        with accel.tenant("ann"):
            model.invoke(QUESTION)
            thread = threading.Thread(target=model.invoke, args=(QUESTION,))
            thread.start()
            thread.join()
        assert server.call_count == 2

    def test_inner_tenant(self, accel: Accel, model: Any, colour: Colour) -> None:
        """The innermost ``with`` counts, and leaving it restores the outer, also by an error."""
        with accel.tenant("ann"):
            with contextlib.suppress(RuntimeError), accel.tenant("bob"):
                assert accel.current_tenant() == "bob"
                raise RuntimeError
            assert accel.current_tenant() == "ann"
        assert accel.current_tenant() is None

    @pytest.mark.parametrize("name", ["", None, 3, b"ann"])
    def test_no_tenant_by_accident(self, accel: Accel, name: Any) -> None:
        """Anything but a non-empty text is an error, not a tenant called None."""
        with pytest.raises(ValueError, match="non-empty text"), accel.tenant(name):
            pass

    @pytest.mark.parametrize("key", ["tenant", "accel_tenant", "tenant_id", "user", "thread_id"])
    def test_metadata_names_no_tenant(
        self, accel: Accel, model: Any, server: ModelServer, colour: Colour, key: str
    ) -> None:
        """No metadata and no configurable value moves a call to a tenant."""
        with accel.tenant("ann"):
            colour.invoke(model, QUESTION)
        for place in ("metadata", "configurable"):
            colour.invoke(model, "something else", {place: {key: "ann"}})
        colour.invoke(model, QUESTION, {"metadata": {key: "ann"}, "configurable": {key: "ann"}})
        assert server.call_count == 3

    @pytest.mark.parametrize("way", WAYS)
    def test_required(
        self,
        make_accel: MakeAccel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        events: Recorder,
        *,
        way: str,
    ) -> None:
        """Where tenants are required, a call without one is not cached, and said once to be so."""
        accel = make_accel({"security": {"tenant_required": True}})
        model = made(way, accel, chat())
        for _ in range(2):
            assert colour.invoke(model, QUESTION).content == f"Answer to: {QUESTION}"
        assert server.call_count == 2
        assert events.of(happened.CacheBypassed) == [happened.CacheBypassed("tenant_required")] * 2
        with accel.tenant("ann"):
            for _ in range(2):
                colour.invoke(model, QUESTION)
        assert server.call_count == 3

    def test_clear(self, accel: Accel, model: Any, server: ModelServer, colour: Colour) -> None:
        """`clear` inside a tenant removes that tenant's answers, outside everybody's."""
        cache = AccelCache(accel)

        def ask_all() -> int:
            server.reset()
            colour.invoke(model, QUESTION)
            for tenant in ("ann", "bob"):
                with accel.tenant(tenant):
                    colour.invoke(model, QUESTION)
            return server.call_count

        assert ask_all() == 3
        with accel.tenant("ann"):
            cache.clear()
        assert ask_all() == 1
        cache.clear()
        assert ask_all() == 3
        asyncio.run(cache.aclear())
        assert ask_all() == 3

    def test_of_the_constructor(
        self, make_accel: MakeAccel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """A tenant given to the constructor counts where no other is set, and is the same one."""
        accel = make_accel(tenant="ann")
        fast = accelerate(chat(), accel)
        colour.invoke(fast, QUESTION)
        with accel.tenant("ann"):
            colour.invoke(fast, QUESTION)
        assert server.call_count == 1
        with accel.tenant("bob"):
            colour.invoke(fast, QUESTION)
        assert server.call_count == 2


class Silent(ChatOpenAI):
    """A model that says one thing and asks nobody."""

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("x"))])


class Namer:
    """Names conversations in both ways, by listening to what the cache is asked for."""

    def __init__(self) -> None:
        self.accel = Accel(encoder=HashEncoder())
        self.model = Silent(model="gpt-4o-mini", api_key="any")  # type: ignore[arg-type]
        self.fast = accelerate(self.model, self.accel)
        self._seen: list[Request] = []
        self.accel.cache.at_once = lambda *_: None  # type: ignore[method-assign]
        self.accel.cache.lookup = self._lookup  # type: ignore[method-assign]

    def _lookup(self, request: Request, *_: Any) -> Miss:
        self._seen.append(request)
        return Miss("told")

    def __call__(self, messages: list[AnyMessage]) -> Request:
        """Return the name, which must be the same in both ways, whatever else is in it."""
        self._seen.clear()
        set_llm_cache(AccelCache(self.accel))
        self.fast.invoke(messages)
        self.model.invoke(messages)
        set_llm_cache(None)
        live, dumped = self._seen
        assert live == dumped
        return live


@pytest.fixture(scope="module")
def name() -> Iterator[Namer]:
    namer = Namer()
    yield namer
    namer.accel.close()


WORDS = st.sampled_from(["", "1", "weather", "Rome", "call-0", " ", "é", "a\nb", "\U0001f99c"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=3,
)
BLOCKS = st.lists(
    st.tuples(st.just("text"), WORDS) | st.tuples(st.sampled_from(["image_url", "image"]), WORDS),
    max_size=2,
)
CONTENT = WORDS | BLOCKS
CALLS = st.lists(
    st.tuples(st.sampled_from(["weather", "1"]), st.dictionaries(WORDS, JSON, max_size=2)),
    max_size=2,
)
TURN = st.one_of(
    st.tuples(st.just("system"), CONTENT),
    st.tuples(st.just("human"), CONTENT),
    st.tuples(st.just("named"), CONTENT, st.sampled_from(["ann", "bob"])),
    st.tuples(st.just("ai"), CONTENT, CALLS),
    st.tuples(st.just("tool"), CONTENT, st.sampled_from(["success", "error"])),
)
"""What the model sees of one turn. A tool's result answers the latest call."""

IDS = st.lists(
    st.sampled_from(["1", "2", "weather", "Rome", "call-0", "call-1", "x", "y"])
    | st.uuids().map(str),
    min_size=8,
    max_size=8,
    unique=True,
)
"""Ids a run gives to its tool calls."""


def content_of(spec: Any) -> Any:
    if isinstance(spec, str):
        return spec
    return [
        {"type": "text", "text": text} if kind == "text" else image(text.encode(), kind)
        for kind, text in spec
    ]


def messages_of(turns: list[Any], ids: list[str], run: str) -> list[AnyMessage]:
    """Return the conversation as LangChain's messages, with the ids and metadata of one run."""
    messages: list[AnyMessage] = []
    left = iter(ids)
    latest = "none"
    for number, (kind, spec, *rest) in enumerate(turns):
        content, message_id = content_of(spec), f"{run}-{number}"
        if kind == "system":
            messages.append(SystemMessage(content, id=message_id))
        elif kind == "human":
            messages.append(HumanMessage(content, id=message_id))
        elif kind == "named":
            messages.append(HumanMessage(content, id=message_id, name=rest[0]))
        elif kind == "tool":
            result = ToolMessage(content, tool_call_id=latest, status=rest[0], id=message_id)
            messages.append(result)
        else:
            calls = [{"name": n, "args": copy.deepcopy(a), "id": next(left)} for n, a in rest[0]]
            latest = calls[-1]["id"] if calls else latest
            usage = {"input_tokens": len(run), "output_tokens": 1, "total_tokens": 2}
            told = {"response_metadata": {"id": run}, "usage_metadata": usage}
            messages.append(AIMessage(content, tool_calls=calls, id=message_id, **told))
    return messages


def without_question(turns: list[Any]) -> Any:
    """Return everything but what the user said last: the layout of that turn stays."""
    if not turns or turns[-1][0] not in {"human", "named"}:
        return turns
    kind, spec, *rest = turns[-1]
    blank = "" if isinstance(spec, str) else [(k, t if k != "text" else "") for k, t in spec]
    return [*turns[:-1], (kind, blank, *rest)]


def same(one: Any, other: Any) -> bool:
    """Whether two specs are equal as JSON: in JSON ``true`` is not 1, a tuple is a list."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    """Draw a conversation and one that differs little, or not at all."""
    one = draw(st.lists(TURN, min_size=1, max_size=4))
    other = copy.deepcopy(one)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(other)))
        what = draw(st.sampled_from(["replace", "insert", "delete"]))
        if what == "insert":
            other.insert(at, draw(TURN))
        elif at < len(other):
            other[at : at + 1] = [draw(TURN)] if what == "replace" or len(other) == 1 else []
    return one, other


@pytest.mark.slow
@settings(max_examples=400)
@given(pairs(), IDS, IDS)
@example(
    ([("ai", "", [("weather", {"a": "1"})]), ("human", "")],) * 2,
    ["1", *"abcdefg"],
    ["2", *"abcdefg"],
)
@example(
    (
        [("ai", "", [("weather", {"a": "1"})]), ("human", "")],
        [("ai", "", [("weather", {"a": "2"})]), ("human", "")],
    ),
    ["1", *"abcdefg"],
    ["2", *"abcdefg"],
)
@example(
    (
        [("ai", "", [("weather", {})]), ("human", "")],
        [("ai", "", [("1", {})]), ("human", "")],
    ),
    ["weather", *"abcdefg"],
    ["1", *"abcdefg"],
)
def test_scope_is_all_but_the_last_question(
    name: Namer, pair: tuple[list[Any], list[Any]], ids: list[str], other_ids: list[str]
) -> None:
    """Two requests share a scope exactly when nothing but the last user text differs.

    And they share a key exactly when nothing differs; both ways name each of them alike.
    """
    one, other = pair
    first = name(messages_of(one, ids, "one"))
    second = name(messages_of(other, other_ids, "another"))
    assert (first.scope == second.scope) == same(without_question(one), without_question(other))
    assert (first.key == second.key) == same(one, other)


@settings(max_examples=100)
@given(st.lists(TURN, max_size=4), WORDS, WORDS)
def test_only_words_are_compared(name: Namer, turns: list[Any], question: str, other: str) -> None:
    """What may be compared by meaning is what the user said last, and that alone."""
    assume(question != other)
    first, second = (
        name(messages_of([*turns, ("human", text)], list("abcdefgh"), "r"))
        for text in (question, other)
    )
    assert first.scope == second.scope
    assert first.key != second.key
    assert (first.text, second.text) == (question.strip(), other.strip())


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(["index", "extra", "cache_control", "id", "text", "annotations"]),
        unique=True,
        max_size=3,
    ),
    st.sampled_from(["text", "thinking", "tool_use", "file", "reasoning", "video"]),
    st.sampled_from(["lc_run-1", "msg_1", "1"]),
)
def test_strange_blocks_are_named_alike(
    name: Namer, keys: list[str], kind: str, block_id: str
) -> None:
    """Blocks of providers' own are named the same from live messages and from their dump."""
    values: dict[str, Any] = {"id": block_id, "text": "told", "index": 3, "extra": {"x": 1}}
    block: dict[str, Any] = {"type": kind, **{key: values.get(key, ["x"]) for key in keys}}
    name([HumanMessage("hi"), AIMessage([block]), HumanMessage([{"type": "text", "text": "q"}])])


def test_lone_surrogates_and_nul(name: Namer) -> None:
    """Any text that Python can hold is named, and every one by its own name."""
    texts = ["\ud800", "\udfff", "\0", "", "\u2028", "ﬁ", "fi", "e\u0301", "\u00e9"]
    keys = {name([HumanMessage(text)]).key for text in texts}
    assert len(keys) == len(texts)


class Opaque:
    """An object that prints like every other of its kind."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "Opaque()"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", ["content", "additional_kwargs"])
def test_objects_in_messages(accel: Accel, colour: Colour, *, way: str, place: str) -> None:
    """A message holding an object that cannot be spelled is not taken for another's."""
    asked: list[int] = []

    class Looking(Silent):
        def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
            asked.append(1)
            return super()._generate()

        async def _agenerate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
            return self._generate(messages)

    model = made(way, accel, Looking(model="gpt-4o-mini", api_key="any"))  # type: ignore[arg-type]
    for value in (1, 2):
        thing = Opaque(value)
        message = (
            HumanMessage([{"type": "text", "text": QUESTION}, {"type": "own", "thing": thing}])
            if place == "content"
            else HumanMessage(QUESTION, additional_kwargs={"thing": thing})
        )
        colour.invoke(model, [message])
    assert len(asked) == 2
