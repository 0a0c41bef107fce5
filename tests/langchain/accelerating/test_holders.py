"""`accelerate`: whatever holds a chat model answers from memory, and is otherwise as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain.chat_models import init_chat_model
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage
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
from langchain_openai import ChatOpenAI
from langgraph.graph import MessagesState, StateGraph

from accel_core.errors import UnsupportedError
from accel_core.testing.replies import Reply
from langchain_accel import AccelCache, accelerate
from tests.langchain.accelerating.rig import ANSWER, QUESTION, answer_with, weather

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeAccel, MakeChat

    Origin = Callable[[Any], str | None]


ASK = ChatPromptTemplate.from_messages([("system", "Be brief."), ("user", "{q}")])


def _fail(_value: Any) -> Any:
    raise ValueError


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
