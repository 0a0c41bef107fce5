"""Replays: fresh objects that cost nothing and say where they came from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index.core.llms.llm import ToolSelection
from pydantic import BaseModel

from accel_core.events import CacheRefused
from accel_core.payload import fresh_id as _fresh
from accel_core.testing.model_server import ModelServer
from accel_core.testing.replies import Reply
from llamaindex_accel import accelerate
from tests.llamaindex.support import ALL_METHODS, QUESTION, accel_of, origin, text_of, user

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.testing.doubles import ManualClock, RecordingObserver
    from tests.llamaindex.support import Caller


class Saying(CustomLLM):
    """Answers every chat with the response it was given."""

    response: Any

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata()

    @llm_chat_callback()
    def chat(self, messages: Any, **_: Any) -> ChatResponse:
        return self.response.model_copy(deep=True)  # type: ignore[no-any-return]

    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        raise NotImplementedError

    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
        raise NotImplementedError


def response(*blocks: Any, raw: Any = None, told: Any = None, **kwargs: Any) -> ChatResponse:
    message = ChatMessage(role="assistant", blocks=list(blocks), additional_kwargs=kwargs)
    return ChatResponse(message=message, raw=raw, additional_kwargs=told or {})


def replay(accel: Accel, answered: ChatResponse) -> ChatResponse:
    """Return the second answer of a model that says `answered`."""
    llm = accelerate(Saying(response=answered), accel)
    assert llm.chat(user(QUESTION)) == answered
    return llm.chat(user(QUESTION))


@pytest.mark.parametrize("method", ALL_METHODS)
def test_changing_a_replay_changes_no_other(method: str, llm: OpenAI, ask: Caller) -> None:
    """Each hit is its own object, down to the bottom."""
    ask(llm, method)
    first = ask(llm, method)[-1]
    kept = first.model_copy(deep=True)
    first.additional_kwargs.clear()
    first.raw["choices"].clear()
    if "chat" in method:
        first.message.blocks[0].text = "changed"
        first.message.additional_kwargs["x"] = 1
    else:
        first.text = "changed"
    again = ask(llm, method)[-1]
    assert text_of(again) == text_of(kept)
    assert again.raw == kept.raw
    assert again.additional_kwargs["accel"]["id"] == kept.additional_kwargs["accel"]["id"]


@pytest.mark.parametrize("method", ["chat", "acomplete"])
def test_a_replay_tells_its_origin(
    method: str, llm: OpenAI, ask: Caller, clock: ManualClock, server: ModelServer
) -> None:
    """A replay says which entry it is, how it was found, how old it is, and what it saved."""
    first = ask(llm, method)[0]
    clock.advance(5.0)
    told = ask(llm, method)[0].additional_kwargs["accel"]
    assert (told["cache"], told["similarity"], told["shared"]) == ("exact", 1.0, False)
    assert told["age_s"] == 5.0
    assert told["saved_usage"]["total_tokens"] == server.usage.total_tokens > 0
    assert "accel" not in first.additional_kwargs
    assert accel_of(llm).invalidate(id=told["id"], scope=told["scope"]) == [told["id"]]
    assert origin(ask(llm, method)[0]) is None


@pytest.mark.parametrize("method", ["chat", "complete"])
def test_a_replay_costs_nothing(method: str, llm: OpenAI, ask: Caller) -> None:
    """Usage is zero under the keys it had, wherever it was told."""
    first, again = (ask(llm, method)[0] for _ in range(2))
    counted = {key for key in first.additional_kwargs if key.endswith("_tokens")}
    assert counted
    assert {key: again.additional_kwargs[key] for key in counted} == dict.fromkeys(counted, 0)
    spent = first.raw.usage.model_dump(mode="json")
    assert again.raw["usage"].keys() == spent.keys()
    assert not any(value for value in again.raw["usage"].values() if isinstance(value, int))
    assert again.raw["model"] == first.raw.model


def test_the_models_own_response_is_left_alone(llm: OpenAI) -> None:
    """What the user gets on a miss is what the model returned."""
    first = llm.chat(user(QUESTION))
    assert type(first.raw).__name__ == "ChatCompletion"
    assert first.additional_kwargs["total_tokens"] > 0


def test_usage_in_a_message_is_zero_too(accel: Accel) -> None:
    """Completions told as chats carry their usage in the message, where it is zero as well."""
    told = response(TextBlock(text="a"), prompt_tokens=3, completion_tokens=4, mark="kept")
    again = replay(accel, told)
    kwargs = again.message.additional_kwargs
    assert kwargs == {"prompt_tokens": 0, "completion_tokens": 0, "mark": "kept"}


@pytest.mark.parametrize(
    "raw",
    [
        {"model": "m", "usage": {"input_tokens": 3, "output_tokens": 4}, "stop_reason": "end_turn"},
        {"model": "m", "usage_metadata": {"prompt_token_count": 3}, "done_reason": "stop"},
    ],
    ids=["anthropic", "ollama and gemini"],
)
def test_other_providers_raw_is_read(raw: dict[str, Any], accel: Accel) -> None:
    """What others read of ``raw`` is kept under its own names; the rest is not."""
    again = replay(accel, response(TextBlock(text="a"), raw={**raw, "secret": "dropped"}))
    place = "usage" if "usage" in raw else "usage_metadata"
    assert set(again.raw) == {"model", place, "choices"}
    assert again.raw[place] == dict.fromkeys(raw[place], 0)
    assert again.additional_kwargs["accel"]["saved_usage"] == raw[place]


def test_thinking_comes_back_whole(accel: Accel) -> None:
    """A signature of thinking, which providers check, is replayed as it was."""
    thinking = ThinkingBlock(content="hm", num_tokens=2, additional_information={"signature": "s"})
    assert replay(accel, response(thinking, TextBlock(text="a"))).message.blocks[0] == thinking


@pytest.mark.parametrize(
    ("old", "kept"),
    [
        ("call_abcDEF123456", False),
        ("0123456789abcdef", False),
        ("toolu_01A09q90qw90lq917835lq9", False),
        ("d1e6a5f0-1b1c-4f0e-9f0e-0a1b2c3d4e5f", False),
        ("a1B2c3D4e", False),
        ("call_0", True),
        ("7", True),
    ],
)
def test_new_ids_have_the_form_of_the_old(old: str, kept: bool) -> None:
    """Some providers check the form of an id; numbers, which are not random, stay."""
    new = _fresh(old)
    assert (new == old) == kept
    assert len(new) == len(old)
    assert [sign.isalnum() for sign in new] == [sign.isalnum() for sign in old]
    assert new.rpartition("_")[0] == old.rpartition("_")[0]
    if set(old) <= set("0123456789abcdef-"):
        assert set(new) <= set("0123456789abcdef-")


def test_an_id_that_is_a_name_stays(accel: Accel) -> None:
    """Providers that use the tool's name as the call's id find it again."""
    block = ToolCallBlock(tool_call_id="search_the_web", tool_name="search_the_web", tool_kwargs={})
    selection = ToolSelection(tool_id="c_0123456789", tool_name="other", tool_kwargs={"a": 1})
    again = replay(accel, response(block, tool_calls=[selection, {"id": "c_0123456789"}]))
    assert again.message.blocks == [block]
    chosen, plain = again.message.additional_kwargs["tool_calls"]
    assert isinstance(chosen, ToolSelection)
    assert chosen.tool_id == plain["id"] != "c_0123456789"
    assert chosen.tool_kwargs == {"a": 1}


class Own(BaseModel):
    """A model of the application's."""

    x: int = 1


class OwnResponse(ChatResponse):
    """A response of the application's."""


@pytest.mark.parametrize(
    ("answered", "reason"),
    [
        (response(TextBlock(text="")), "empty"),
        (response(AudioBlock(audio=b"sound"), TextBlock(text="a")), "unsupported"),
        (OwnResponse(message=ChatMessage(role="assistant", content="a")), "unsupported"),
        (response(TextBlock(text="a"), mine=Own()), "unserialisable"),
        (response(TextBlock(text="a"), tool_calls=[Own()]), "unserialisable"),
        (response(TextBlock(text="a"), tool_calls="many"), "unserialisable"),
        (response(TextBlock(text="a"), told={"mine": {1, 2}}), "unserialisable"),
        (response(TextBlock(text="a"), score=float("nan")), "unserialisable"),
        (response(TextBlock(text="\ud800")), "unserialisable"),
        (response(TextBlock(text="a"), raw={"finish_reason": "length"}), "truncated"),
        (response(TextBlock(text="a"), raw={"stop_reason": "max_tokens"}), "truncated"),
        (
            response(TextBlock(text="a"), raw={"candidates": [{"finish_reason": "SAFETY"}]}),
            "refused",
        ),
        (
            response(
                TextBlock(text="a"),
                raw={"choices": [{"finish_reason": "stop", "message": {"refusal": "no"}}]},
            ),
            "refused",
        ),
    ],
    ids=str,
)
def test_what_is_not_stored(
    answered: ChatResponse, reason: str, accel: Accel, observed: RecordingObserver
) -> None:
    """What could not be replayed as it was, or should not be said twice, is asked for again."""
    assert origin(replay(accel, answered)) is None
    assert {event.reason for event in observed.of(CacheRefused)} == {reason}


@pytest.mark.parametrize("method", ALL_METHODS)
@pytest.mark.parametrize(
    "reply",
    [Reply(content="cut", finish_reason="length"), Reply(refusal="I will not")],
    ids=["truncated", "refused"],
)
def test_bad_ends_are_seen_in_every_method(
    method: str, reply: Reply, make_llm: Callable[..., OpenAI], accel: Accel, ask: Caller
) -> None:
    """An answer that was cut off or refused is not stored, whole or streamed."""
    with ModelServer(lambda _: reply) as server:
        llm = accelerate(make_llm(api_base=server.url), accel)
        found = [origin(ask(llm, method)[-1]) for _ in range(2)]
    assert found == [None, None]
    assert accel.stats().stored == 0


def test_log_probabilities_come_back(accel: Accel) -> None:
    """Log probabilities are replayed as LlamaIndex's objects."""
    answered = response(TextBlock(text="a"))
    answered = ChatResponse.model_validate(
        {**answered.model_dump(), "logprobs": [[{"token": "a", "logprob": -0.5, "bytes": [97]}]]}
    )
    assert replay(accel, answered).logprobs == answered.logprobs


def test_payloads_are_plain_json(llm: OpenAI, accel: Accel) -> None:
    """What is stored can be read by anything, and holds no question and no secret."""
    found = llm.chat(user(QUESTION))
    (key,) = accel.invalidate(dry_run=True)
    entry = accel._built.tiers.near(bytes.fromhex(key))
    assert entry is not None
    stored = json.loads(entry.payload)
    assert stored["blocks"] == [{"block_type": "text", "text": found.message.content}]
    assert "api_key" not in entry.payload.decode()
    assert entry.source == "gpt-4o-mini"
