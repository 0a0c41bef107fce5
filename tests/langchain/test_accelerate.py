"""`accelerate`: whatever holds a chat model answers from memory, and is otherwise as it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from langchain.chat_models import init_chat_model
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import (
    ConfigurableField,
    RouterRunnable,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import MessagesState, StateGraph
from pydantic import BaseModel, Field

from accel_core import events as happened
from accel_core.errors import UnsupportedError
from accel_core.testing.replies import Reply, echo
from langchain_accel import AccelCache, accelerate

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeAccel, MakeChat, Recorder

    Origin = Callable[[Any], str | None]

QUESTION = "What is the capital of France?"
ANSWER = f"Answer to: {QUESTION}"
OTHER_ORDER = "What is of France the capital?"


class City(BaseModel):
    """A city."""

    name: str
    country: str | None = None


@tool
def weather(place: str) -> str:
    """Tell the weather at a place."""
    return f"sunny in {place}"


ASK = ChatPromptTemplate.from_messages([("system", "Be brief."), ("user", "{q}")])


def _fail(_value: Any) -> Any:
    raise ValueError


ASK_WEATHER = Reply(tool_calls=(("weather", {"place": "Paris"}),))


def answer_with(server: ModelServer, reply: Callable[[dict[str, Any]], Any]) -> None:
    """Make the server answer by `reply` from now on."""
    server._answer = reply


class TestCalls:
    """Every way to call a model."""

    def test_invoke(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, origin: Origin
    ) -> None:
        """The second call is answered from memory, exactly."""
        model = accelerate(chat(), accel)
        first, second = (colour.invoke(model, QUESTION) for _ in range(2))
        assert (first.content, second.content) == (ANSWER, ANSWER)
        assert (origin(first), origin(second)) == (None, "exact")
        assert server.call_count == 1

    def test_by_meaning(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, origin: Origin
    ) -> None:
        """A question of the same meaning is answered from memory, and says how near it was."""
        model = accelerate(chat(), accel)
        colour.invoke(model, QUESTION)
        accel.flush()
        hit = colour.invoke(model, OTHER_ORDER)
        assert (hit.content, origin(hit)) == (ANSWER, "semantic")
        assert hit.response_metadata["accel"]["similarity"] == pytest.approx(1, abs=1e-3)
        assert server.call_count == 1

    def test_another_question(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """A question of another meaning is asked."""
        model = accelerate(chat(), accel)
        colour.invoke(model, QUESTION)
        accel.flush()
        assert colour.invoke(model, "Tell me a joke").content == "Answer to: Tell me a joke"

    @pytest.mark.parametrize("way", ["accelerate", "set_llm_cache"])
    def test_default_settings(
        self,
        make_accel: MakeAccel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        *,
        way: str,
    ) -> None:
        """As it comes, with the real encoder, it knows a question in other words, and a new one."""
        accel = make_accel(encoder=None)
        set_llm_cache(AccelCache(accel) if way == "set_llm_cache" else None)
        model: Any = chat() if way == "set_llm_cache" else accelerate(chat(), accel)
        prompt = "You are the assistant of a shop. " * 20
        for question, calls in (
            ("How do I reset my password?", 1),
            ("How can I reset my password?", 1),
            ("How do I delete my account?", 2),
            ("How do I change my e-mail address?", 3),
        ):
            colour.invoke(model, [("system", prompt), ("user", question)])
            accel.flush()
            assert server.call_count == calls

    def test_hit_differs_from_the_answer_by_provenance_alone(
        self, accel: Accel, chat: MakeChat, colour: Colour
    ) -> None:
        """A hit has every field of the first answer, a new id, usage of zero, and its origin."""
        model = accelerate(chat(), accel)
        first, hit = (colour.invoke(model, QUESTION).model_dump() for _ in range(2))
        assert first.pop("id") != hit.pop("id")
        told, asked = (one["response_metadata"].pop("accel") for one in (hit, first))
        assert (asked["cache"], asked["reason"]) == ("miss", "no_entry")
        assert told["reason"] == "exact"
        assert told["saved_usage"] == first["usage_metadata"]
        for usage in (hit["usage_metadata"], hit["response_metadata"]["token_usage"]):
            assert usage["total_tokens"] == 0
        assert _shape(hit) == _shape(first)
        for message in (first, hit):
            del message["usage_metadata"], message["response_metadata"]["token_usage"]
        assert hit == first

    def test_extra_attributes_do_not_spread(
        self, accel: Accel, chat: MakeChat, colour: Colour
    ) -> None:
        """An attribute that an application adds to one answer is on no other."""
        model = accelerate(chat(), accel)
        for mark in ("miss", "hit", "another_hit"):
            message = colour.invoke(model, QUESTION)
            assert not message.model_extra
            setattr(message, mark, True)

    def test_batch(self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour) -> None:
        """A batch asks each question once, keeps the order, and the next one asks nothing."""
        model = accelerate(chat(), accel)
        questions = ["one", "two", "one", "three", "two"]
        for _ in range(2):
            answers = colour.batch(model, questions)
            assert [a.content for a in answers] == [f"Answer to: {q}" for q in questions]
        assert server.call_count == 3

    def test_batch_as_completed(
        self, accel: Accel, chat: MakeChat, server: ModelServer, runner: asyncio.Runner
    ) -> None:
        """Both forms of it give every answer, from memory the second time."""
        model = accelerate(chat(), accel)

        async def abatch() -> list[Any]:
            return [item async for item in model.abatch_as_completed(["one", "two"])]

        for done in (list(model.batch_as_completed(["one", "two"])), runner.run(abatch())):
            assert sorted((i, m.content) for i, m in done) == [
                (0, "Answer to: one"),
                (1, "Answer to: two"),
            ]
        assert server.call_count == 2

    @pytest.mark.filterwarnings("ignore:Unexpected type for token usage")  # ChatOpenAI's own
    def test_generate(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """`generate` with several conversations, some of them equal, asks each once."""
        model = accelerate(chat(), accel)
        asked = [[HumanMessage(text)] for text in ("one", "two", "one")]
        for _ in range(2):
            result = colour.generate(model, asked)
            assert [g[0].text for g in result.generations] == [
                "Answer to: one",
                "Answer to: two",
                "Answer to: one",
            ]
        assert server.call_count == 2

    def test_several_choices(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """``n`` choices come back all, and never for a call that wants one."""
        model = accelerate(chat(n=2), accel)
        for _ in range(2):
            result = colour.generate(model, [[HumanMessage(QUESTION)]])
            assert [g.text for g in result.generations[0]] == [ANSWER, ANSWER]
        assert server.call_count == 1
        colour.invoke(accelerate(chat(), accel), QUESTION)
        assert server.call_count == 2

    def test_temperature(
        self,
        accel: Accel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        events: Recorder,
    ) -> None:
        """A model asked for variety is asked every time, and each call is reported once."""
        model = accelerate(chat(temperature=0.9), accel)
        for _ in range(2):
            colour.invoke(model, QUESTION)
            colour.invoke(accelerate(chat(), accel).bind(temperature=0.9), QUESTION)
            colour.stream(model, QUESTION)
        assert server.call_count == 6
        assert events.of(happened.CacheBypassed) == [happened.CacheBypassed("temperature")] * 6

    def test_errors_are_the_providers(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """A provider's error reaches the caller as it is, is not kept, and the next call works."""
        model = accelerate(chat(), accel)
        answer_with(server, lambda request: Reply(status=500, content="not now"))
        with pytest.raises(Exception, match="not now"):
            colour.invoke(model, QUESTION)
        answer_with(server, lambda request: "Paris")
        assert colour.invoke(model, QUESTION).content == "Paris"

    @pytest.mark.parametrize(
        ("reply", "reason"),
        [
            (Reply(content="Par", finish_reason="length"), "truncated"),
            (Reply(content="Par", finish_reason="content_filter"), "refused"),
            (Reply(refusal="I must not."), "refused"),
            (Reply(content=""), "empty"),
            (Reply(content=" \n"), "empty"),
        ],
        ids=["cut", "filtered", "refusal", "empty", "blank"],
    )
    def test_bad_answers_are_not_kept(
        self,
        *,
        accel: Accel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        reply: Reply,
        reason: str,
    ) -> None:
        """What would be wrong to say twice is asked again, and counted by its reason."""
        answer_with(server, lambda request: reply)
        model = accelerate(chat(), accel)
        for _ in range(2):
            colour.invoke(model, QUESTION)
        assert server.call_count == 2
        assert accel.stats().refused == {reason: 2}


def _shape(value: Any) -> Any:
    """Return `value` with every number as its type."""
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    return type(value) if isinstance(value, (int, float)) else value


class TestTools:
    """Tools, bound before and after."""

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_offered(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, when: str
    ) -> None:
        """A model with tools answers from memory, whether they were bound before or after."""
        model: Any = (
            accelerate(chat().bind_tools([weather]), accel)
            if when == "before"
            else accelerate(chat(), accel).bind_tools([weather])
        )
        assert [colour.invoke(model, QUESTION).content for _ in range(2)] == [ANSWER, ANSWER]
        assert server.call_count == 1
        assert server.calls[0]["tools"][0]["function"]["name"] == "weather"

    def test_before_and_after_are_one(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """The order of binding and accelerating does not matter to the request's identity."""
        colour.invoke(accelerate(chat().bind_tools([weather]), accel), QUESTION)
        colour.invoke(accelerate(chat(), accel).bind_tools([weather]), QUESTION)
        assert server.call_count == 1

    def test_calls(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, origin: Origin
    ) -> None:
        """Tool calls come back the same, under ids of their own."""
        answer_with(server, lambda request: ASK_WEATHER)
        model = accelerate(chat(), accel).bind_tools([weather])
        answers = [colour.invoke(model, "Weather in Paris?") for _ in range(3)]
        assert server.call_count == 1
        for answer in answers:
            assert [(c["name"], c["args"]) for c in answer.tool_calls] == [
                ("weather", {"place": "Paris"})
            ]
            assert answer.response_metadata["finish_reason"] == "tool_calls"
        assert len({answer.tool_calls[0]["id"] for answer in answers}) == 3

    def test_calls_are_never_served_by_meaning(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """An answer that asks for tools is not served to another wording."""
        answer_with(server, lambda request: ASK_WEATHER)
        model = accelerate(chat(), accel).bind_tools([weather])
        colour.invoke(model, "Is it sunny in Paris?")
        accel.flush()
        colour.invoke(model, "Is Paris it sunny in?")
        assert server.call_count == 2

    def test_after_tool_results(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """What follows a tool's result is served for that result alone, whatever its ids."""
        model = accelerate(chat(), accel).bind_tools([weather])

        def asked(call_id: str, result: str) -> list[Any]:
            call = {"name": "weather", "args": {"place": "Paris"}, "id": call_id}
            return [
                HumanMessage("Weather in Paris?"),
                AIMessage("", tool_calls=[call]),
                ToolMessage(result, tool_call_id=call_id),
            ]

        for call_id, result, calls in [("a", "sun", 1), ("b", "sun", 1), ("a", "rain", 2)]:
            colour.invoke(model, asked(call_id, result))
            assert server.call_count == calls
            accel.flush()

    def test_huge_arguments(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """Numbers of a tool call come back exactly, or the call is made again."""
        args = {"number": 2**70 + 1, "small": 1e-320, "text": "\u2028 \U0001f99c", "deep": [[{}]]}
        answer_with(server, lambda request: Reply(tool_calls=(("weather", args),)))
        model = accelerate(chat(), accel).bind_tools([weather])
        for _ in range(2):
            assert colour.invoke(model, QUESTION).tool_calls[0]["args"] == args


class TestStructuredOutput:
    """`with_structured_output`, in all its ways."""

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("include_raw", [False, True])
    @pytest.mark.parametrize("method", ["function_calling", "json_schema", "json_mode"])
    def test_methods(
        self,
        *,
        accel: Accel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        method: Any,
        include_raw: bool,
        when: str,
    ) -> None:
        """Each method gives the same object from memory as from the model."""
        if method == "json_mode":
            answer_with(server, lambda request: json.dumps({"name": "Paris"}))
        options: dict[str, Any] = {"method": method, "include_raw": include_raw}
        if when == "before":
            model: Any = accelerate(chat().with_structured_output(City, **options), accel)
        else:
            model = accelerate(chat(), accel).with_structured_output(City, **options)
        answers = [colour.invoke(model, QUESTION) for _ in range(2)]
        assert server.call_count == 1
        if include_raw:
            assert answers[1]["raw"].response_metadata["accel"]["cache"] == "exact"
            assert [answer["parsing_error"] for answer in answers] == [None, None]
            answers = [answer["parsed"] for answer in answers]
        assert isinstance(answers[0], City)
        assert answers[0] == answers[1]

    @pytest.mark.parametrize("method", ["function_calling", "json_schema"])
    @pytest.mark.parametrize("way", ["accelerate", "set_llm_cache"])
    def test_aliases(
        self,
        accel: Accel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        *,
        method: Any,
        way: str,
    ) -> None:
        """A schema whose fields have aliases is parsed from memory as from the model."""

        class Aliased(BaseModel):
            """A city under other names."""

            name: str = Field(alias="cityName")
            inhabitants: int = Field(validation_alias="people", serialization_alias="count")

        set_llm_cache(AccelCache(accel) if way == "set_llm_cache" else None)
        plain = chat()
        made = plain if way == "set_llm_cache" else accelerate(plain, accel)
        model = made.with_structured_output(Aliased, method=method)
        first, second = (colour.invoke(model, QUESTION) for _ in range(2))
        assert first == second
        assert server.call_count == 1

    @pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # the OpenAI client's own
    @pytest.mark.parametrize("method", ["function_calling", "json_schema", "json_mode"])
    def test_streamed(
        self,
        accel: Accel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        *,
        method: Any,
    ) -> None:
        """Streamed from memory it ends in the same object, and shares with `invoke`."""
        answer_with(
            server,
            lambda request: (
                json.dumps({"name": "Paris"}) if method == "json_mode" else echo(request)
            ),
        )
        model = accelerate(chat(), accel).with_structured_output(City, method=method)
        whole = colour.invoke(model, QUESTION)
        streams = [colour.stream(model, QUESTION) for _ in range(2)]
        assert [stream[-1] for stream in streams] == [whole, whole]
        assert server.call_count == 1
        streamed = colour.stream(model, "What is another?")
        assert colour.invoke(model, "What is another?") == streamed[-1]
        assert server.call_count == 2

    def test_dict_schema(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """A JSON schema instead of a class works too."""
        schema = {**City.model_json_schema(), "title": "City"}
        model = accelerate(chat(), accel).with_structured_output(schema, method="json_schema")
        assert [colour.invoke(model, QUESTION) for _ in range(2)] == [{"name": ANSWER}] * 2
        assert server.call_count == 1

    def test_schemas_differ(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """Two schemas of one name get an answer each, and of the right type."""

        def schema(kind: type) -> type[BaseModel]:
            class Out(BaseModel):
                value: kind  # type: ignore[valid-type]

            return Out

        for kind in (str, int, str, int):
            model = accelerate(chat(), accel).with_structured_output(schema(kind))
            assert type(colour.invoke(model, QUESTION).value) is kind
        assert server.call_count == 2


HOLDERS: dict[str, Callable[[Any], Any]] = {
    "sequence": lambda m: ASK | m,
    "middle of a sequence": lambda m: ASK | m | StrOutputParser() | RunnablePassthrough(),
    "parallel": lambda m: ASK | RunnableParallel(a=m, b=RunnablePassthrough()),
    "assignment": lambda m: RunnablePassthrough.assign(a=ASK | m),
    "branch": lambda m: ASK | RunnableBranch((bool, m), RunnablePassthrough()),
    "last branch": lambda m: RunnableBranch((lambda _: False, RunnablePassthrough()), ASK | m),
    "map": lambda m: RunnableLambda(lambda value: [value["q"]]) | m.map(),
    "retry": lambda m: ASK | m.with_retry(),
    "retry around": lambda m: (ASK | m).with_retry(),
    "config": lambda m: ASK | m.with_config(tags=["x"]),
    "binding": lambda m: ASK | m.bind(seed=1),
    "binding of a binding": lambda m: ASK | m.bind(seed=1).bind(user="x").with_config(tags=["x"]),
    "listeners": lambda m: (ASK | m).with_listeners(),
    "types": lambda m: ASK | m.with_types(output_type=AIMessage),
    "fallbacks": lambda m: ASK | m.with_fallbacks([RunnableLambda(str)]),
    "fallback": lambda m: RunnableLambda(_fail).with_fallbacks([ASK | m]),
    "chain in a chain": lambda m: RunnablePassthrough() | (ASK | (m | StrOutputParser())),
    "router": lambda m: (
        (lambda value: {"key": "a", "input": value["q"]}) | RouterRunnable({"a": m})
    ),
}
"""Every way in which LangChain's own runnables hold another."""


class TestHolders:
    """Whatever holds a model."""

    def test_chain(self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour) -> None:
        """A chain answers from memory, with its model accelerated before or inside."""
        inside: Any = accelerate(ASK | chat() | StrOutputParser(), accel)
        before: Any = ASK | accelerate(chat(), accel) | StrOutputParser()
        for chain in (inside, before, inside):
            assert colour.invoke(chain, {"q": QUESTION}) == ANSWER
        assert server.call_count == 1
        assert "".join(colour.stream(inside, {"q": QUESTION})) == ANSWER
        assert server.call_count == 1

    @pytest.mark.parametrize("build", HOLDERS.values(), ids=HOLDERS)
    def test_deep_inside(
        self,
        accel: Accel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        *,
        build: Callable[[Any], Any],
    ) -> None:
        """A model is found wherever LangChain's runnables hold one."""
        runnable = accelerate(build(chat()), accel)
        for _ in range(2):
            assert ANSWER in str(colour.invoke(runnable, {"q": QUESTION}))
        assert server.call_count == 1

    def test_fallbacks(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """The fallback's answer is kept under the fallback, and the first is tried again."""

        def reply(request: dict[str, Any]) -> Reply:
            first = request["model"] == "gpt-4o-mini"
            return Reply(status=500) if first else Reply(content="from the fallback")

        answer_with(server, reply)
        model: Any = accelerate(chat().with_fallbacks([chat(model="gpt-4o")]), accel)
        for _ in range(2):
            assert colour.invoke(model, QUESTION).content == "from the fallback"
        assert [c["model"] for c in server.calls] == ["gpt-4o-mini", "gpt-4o", "gpt-4o-mini"]

    def test_retry(self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour) -> None:
        """A retried call leads anew after its failure, and its answer is kept."""
        replies = [Reply(status=500), Reply(content="Paris")]
        answer_with(server, lambda request: replies.pop(0))
        model: Any = accelerate(
            chat().with_retry(stop_after_attempt=2, wait_exponential_jitter=False), accel
        )
        assert [colour.invoke(model, QUESTION).content for _ in range(2)] == ["Paris", "Paris"]
        assert server.call_count == 2

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_configurable_fields(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, when: str
    ) -> None:
        """A model reconfigured by a call is accelerated too, and is another model."""
        field = ConfigurableField(id="model")
        model: Any = (
            accelerate(chat().configurable_fields(model_name=field), accel)
            if when == "before"
            else accelerate(chat(), accel).configurable_fields(model_name=field)
        )
        for name in ("gpt-4o", "gpt-4o-mini", "gpt-4o"):
            answer = colour.invoke(model, QUESTION, {"configurable": {"model": name}})
            assert answer.response_metadata["model_name"] == name
        assert server.call_count == 2

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_configurable_alternatives(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, when: str
    ) -> None:
        """Every alternative is accelerated."""
        which = ConfigurableField(id="which")
        other: Any = chat(model="gpt-4o")
        model: Any = (
            accelerate(chat().configurable_alternatives(which, other=other), accel)
            if when == "before"
            else accelerate(chat(), accel).configurable_alternatives(
                which, other=accelerate(other, accel)
            )
        )
        for name in ("default", "other", "default", "other"):
            colour.invoke(model, QUESTION, {"configurable": {"which": name}})
        assert [call["model"] for call in server.calls] == ["gpt-4o-mini", "gpt-4o"]

    def test_lazy_alternatives(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """An alternative that is made when it is chosen works, accelerated or not."""
        which = ConfigurableField(id="which")
        alternatives = chat().configurable_alternatives(which, other=lambda: chat(model="gpt-4o"))
        model: Any = accelerate(alternatives, accel)
        config = {"configurable": {"which": "other"}}
        for _ in range(2):
            assert colour.invoke(model, QUESTION, config).content == ANSWER

    def test_init_chat_model(
        self, accel: Accel, server: ModelServer, http_clients: dict[str, Any], colour: Colour
    ) -> None:
        """What `init_chat_model` returns for a model is accelerated."""
        model = init_chat_model(
            "openai:gpt-4o-mini", base_url=server.url, api_key="any", **http_clients
        )
        fast = accelerate(model, accel)
        assert [colour.invoke(fast, QUESTION).content for _ in range(2)] == [ANSWER, ANSWER]
        assert server.call_count == 1

    @pytest.mark.parametrize(
        ("thing", "words"),
        [
            (lambda chat, llm: StrOutputParser(), "BaseChatModel"),
            (lambda chat, llm: RunnableLambda(chat().invoke), "bind_tools"),
            (lambda chat, llm: ChatPromptTemplate.from_template("{q}"), "with_structured_output"),
            (lambda chat, llm: llm(), "set_llm_cache"),
            (lambda chat, llm: init_chat_model(configurable_fields="any"), "init_chat_model"),
            (lambda chat, llm: StateGraph(MessagesState), "StateGraph"),
            (lambda chat, llm: "gpt-4o", "got str"),
            (lambda chat, llm: None, "got NoneType"),
            (lambda chat, llm: ChatOpenAI, "BaseChatModel"),
            (lambda chat, llm: AccelCache, "BaseChatModel"),
        ],
        ids=[
            "parser", "lambda", "prompt", "llm", "configurable", "graph", "name",
            "None", "class", "cache",
        ],
    )  # fmt: skip
    def test_anything_else_is_refused(
        self, accel: Accel, chat: MakeChat, llm: Any, thing: Any, words: str
    ) -> None:
        """What holds no model to accelerate is a `TypeError` that names what works."""
        with pytest.raises(UnsupportedError, match=words) as raised:
            accelerate(thing(chat, llm), accel)
        assert isinstance(raised.value, TypeError)
        assert "accelerate() takes a chat model" in str(raised.value)


class TestSameModel:
    """The accelerated copy is the user's model in every other way."""

    def test_kind(self, accel: Accel, chat: MakeChat) -> None:
        """Class, name, profile, serial form and parameters stay what they were."""
        model = chat(temperature=0.1, tags=["x"], metadata={"y": 1})
        fast = accelerate(model, accel)
        assert isinstance(fast, ChatOpenAI)
        assert type(fast).__name__ == "ChatOpenAI"
        assert type(fast).__module__ == ChatOpenAI.__module__
        assert fast.lc_id() == model.lc_id()
        assert fast.profile == model.profile
        assert fast.to_json() == model.to_json()
        assert fast._get_ls_params() == model._get_ls_params()
        assert fast._get_llm_string() == model._get_llm_string()
        assert fast.get_num_tokens_from_messages is not None
        assert (fast.tags, fast.metadata) == (model.tags, model.metadata)
        assert repr(fast).startswith("ChatOpenAI(")

    def test_original_is_untouched(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """The model given keeps its class and fields, and is not answered from memory."""
        model = chat()
        before = dict(vars(model))
        bound = model.bind_tools([weather])
        accelerate(bound, accel)
        accelerate(model, accel)
        assert type(model) is ChatOpenAI
        assert vars(model) == before
        for _ in range(2):
            colour.invoke(model, QUESTION)
            colour.invoke(bound, QUESTION)
        assert server.call_count == 4

    def test_twice_is_once(self, accel: Accel, chat: MakeChat) -> None:
        """Accelerating again changes nothing."""
        fast = accelerate(chat(), accel)
        again = accelerate(fast, accel)
        assert type(again) is type(fast)
        assert type(again).__mro__[1] is ChatOpenAI
        assert accelerate(accelerate(chat() | StrOutputParser(), accel), accel)

    def test_another_accel_takes_over(
        self, make_accel: MakeAccel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """Accelerated with another object, a model answers from that one alone."""
        one, other = make_accel(), make_accel()
        fast = accelerate(chat(), one)
        colour.invoke(fast, QUESTION)
        moved = accelerate(fast, other)
        assert type(moved).__mro__[1] is ChatOpenAI
        for _ in range(2):
            colour.invoke(moved, QUESTION)
        assert server.call_count == 2
        assert (one.stats().stored, other.stats().stored) == (1, 1)

    def test_copies_stay_accelerated(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """`model_copy` and a changed field make another model, which has its own answers."""
        fast = accelerate(chat(), accel)
        copied = fast.model_copy(update={"model_name": "gpt-4o"})
        for _ in range(2):
            assert colour.invoke(fast, QUESTION).response_metadata["model_name"] == "gpt-4o-mini"
            assert colour.invoke(copied, QUESTION).response_metadata["model_name"] == "gpt-4o"
        fast.model_name = "gpt-4"
        assert colour.invoke(fast, QUESTION).response_metadata["model_name"] == "gpt-4"
        assert server.call_count == 3

    def test_one_run_per_call(self, accel: Accel, chat: MakeChat, colour: Colour) -> None:
        """A trace shows one run for a call, from the model or from memory, and its usage."""

        class Runs(BaseCallbackHandler):
            def __init__(self) -> None:
                self.seen: list[str] = []
                self.usage: list[int] = []

            def on_chat_model_start(self, *_: Any, **__: Any) -> None:
                self.seen.append("start")

            def on_llm_end(self, response: Any, **_: Any) -> None:
                self.seen.append("end")
                usage = response.generations[0][0].message.usage_metadata
                self.usage.append(usage["total_tokens"])

        runs = Runs()
        model = accelerate(chat(), accel)
        for _ in range(2):
            colour.invoke(model, QUESTION, {"callbacks": [runs]})
        assert runs.seen == ["start", "end"] * 2
        assert runs.usage[0] > 0
        assert runs.usage[1] == 0

    def test_rate_limiter_rests_on_hits(self, accel: Accel, chat: MakeChat) -> None:
        """A model's own settings come along: callbacks, limiter, tags."""
        seen: list[str] = []

        class Handler(BaseCallbackHandler):
            def on_chat_model_start(self, *_: Any, **__: Any) -> None:
                seen.append("start")

        accelerate(chat(callbacks=[Handler()]), accel).invoke(QUESTION)
        assert seen == ["start"]


class TestWithGlobalCache:
    """`accelerate` beside `set_llm_cache`."""

    def test_one_store_for_both(
        self,
        *,
        accel: Accel,
        global_cache: AccelCache,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        origin: Origin,
    ) -> None:
        """An answer asked for through one is served through the other, either way round."""
        plain, fast = chat(), accelerate(chat(), accel)
        colour.invoke(plain, "one")
        colour.invoke(fast, "two")
        assert origin(colour.invoke(fast, "one")) == "exact"
        assert origin(colour.invoke(plain, "two")) == "exact"
        assert server.call_count == 2

    @pytest.mark.parametrize("first", ["plain", "fast"])
    def test_one_store_for_both_with_content_blocks(
        self,
        *,
        accel: Accel,
        global_cache: AccelCache,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        first: str,
    ) -> None:
        """With ``output_version="v1"`` an answer has blocks for content, from wherever it comes."""
        models = [chat(output_version="v1"), accelerate(chat(output_version="v1"), accel)]
        for model in models if first == "plain" else reversed(models):
            for _ in range(2):
                answer = colour.invoke(model, QUESTION)
                assert [block["type"] for block in answer.content] == ["text"]
                assert answer.text == ANSWER

    def test_looked_up_once(
        self,
        accel: Accel,
        global_cache: AccelCache,
        chat: MakeChat,
        colour: Colour,
    ) -> None:
        """An accelerated model does not ask the global cache as well."""
        fast = accelerate(chat(), accel)
        for _ in range(3):
            colour.invoke(fast, QUESTION)
        assert accel.stats().lookups == 3
        assert accel.stats().stored == 1

    def test_cache_of_one_model(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """A cache given to one model serves that one, and not its neighbour."""
        cached, plain = chat(cache=AccelCache(accel)), chat()
        for _ in range(2):
            colour.invoke(cached, QUESTION)
        assert server.call_count == 1
        colour.invoke(plain, QUESTION)
        assert server.call_count == 2

    def test_without_a_global_cache(self, accel: Accel, chat: MakeChat, colour: Colour) -> None:
        """A model that insists on a cache is content with its own."""
        set_llm_cache(None)
        fast = accelerate(chat(cache=True), accel)
        assert colour.invoke(fast, QUESTION).content == ANSWER

    def test_cache_false_of_the_model(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """``cache=False`` keeps LangChain's cache out; accelerating it is asking for this one."""
        fast = accelerate(chat(cache=False), accel)
        for _ in range(2):
            colour.invoke(fast, QUESTION)
        assert server.call_count == 1
