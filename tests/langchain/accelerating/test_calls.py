"""`accelerate`: a chat model answers from memory, with and without tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from accel_core import events as happened
from accel_core.testing.replies import Reply
from langchain_accel import AccelCache, accelerate
from tests.langchain.accelerating.rig import ANSWER, QUESTION, answer_with, weather

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeAccel, MakeChat, Recorder

    Origin = Callable[[Any], str | None]


OTHER_ORDER = "What is of France the capital?"
ASK_WEATHER = Reply(tool_calls=(("weather", {"place": "Paris"}),))


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
