"""The eight methods: one answer serves them all, in both colours, streamed or whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from llama_index.core.base.llms.types import CompletionResponse, LLMMetadata
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_completion_callback

from accel_core.events import CacheStored
from llamaindex_accel import accelerate
from tests.llamaindex.support import ALL_METHODS, METHODS, QUESTION, origin, text_of, user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.testing.doubles import RecordingObserver
    from accel_core.testing.model_server import ModelServer
    from tests.llamaindex.support import Caller


class Completing(CustomLLM):
    """A model of the application's own, whose chat methods call its completion methods."""

    asked: ClassVar[list[str]] = []
    suffix: str = "!"

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="completing")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        self.asked.append(prompt)
        return CompletionResponse(text=f"{len(prompt)}{self.suffix}")

    @llm_completion_callback()
    def stream_complete(
        self, prompt: str, formatted: bool = False, **_: Any
    ) -> Iterator[CompletionResponse]:
        self.asked.append(prompt)

        def pieces() -> Iterator[CompletionResponse]:
            text = ""
            for piece in (str(len(prompt)), self.suffix):
                text += piece
                yield CompletionResponse(text=text, delta=piece)

        return pieces()


@pytest.fixture
def completing() -> Iterator[Completing]:
    Completing.asked.clear()
    yield Completing()
    Completing.asked.clear()


@pytest.mark.parametrize("first", ALL_METHODS)
def test_one_answer_serves_every_method(
    first: str, llm: OpenAI, ask: Caller, server: ModelServer
) -> None:
    """What one method was answered, all four of its kind are, and the model is asked once."""
    kind = "chat" if "chat" in first else "complete"
    answered = ask(llm, first)[-1]
    assert origin(answered) is None
    for method in METHODS[kind]:
        again = ask(llm, method)[-1]
        assert origin(again) == "exact"
        assert text_of(again) == text_of(answered) == f"Answer to: {QUESTION}"
    assert server.call_count == 1


def test_chat_and_completion_are_apart(llm: OpenAI, ask: Caller, server: ModelServer) -> None:
    """A chat's answer never serves a completion of the same words."""
    assert origin(ask(llm, "chat")[0]) is None
    assert origin(ask(llm, "complete")[0]) is None
    assert server.call_count == 2


@pytest.mark.parametrize("first", ALL_METHODS)
def test_the_question_may_come_by_keyword(
    first: str, llm: OpenAI, ask: Caller, server: ModelServer
) -> None:
    """A question passed by name is the one passed by position."""
    ask(llm, first)
    name, asked = ("messages", user(QUESTION)) if "chat" in first else ("prompt", QUESTION)

    class ByName:
        def __getattr__(self, method: str) -> Callable[..., Any]:
            return lambda value: getattr(llm, method)(**{name: value})

    assert origin(ask(ByName(), first, asked)[-1]) == "exact"
    assert server.call_count == 1


@pytest.mark.parametrize("method", METHODS["complete"])
def test_formatted_prompts_are_apart(
    method: str, completing: Completing, accel: Accel, ask: Caller
) -> None:
    """A prompt that is formatted already is another question than one that is not."""
    llm = accelerate(completing, accel)
    ask(llm, method, "q", formatted=True)
    ask(llm, method, "q", formatted=False)
    ask(llm, method, "q")
    ask(llm, method, "q", formatted=True)
    assert Completing.asked == ["q", "q"]
    assert llm.complete("q", True).additional_kwargs["accel"]["cache"] == "exact"


@pytest.mark.parametrize("method", METHODS["chat"])
def test_a_chat_that_completes_is_cached_once(
    method: str, completing: Completing, accel: Accel, ask: Caller, observed: RecordingObserver
) -> None:
    """A model whose chat calls its own completion stores the chat, and not the completion too."""
    llm = accelerate(completing, accel)
    answers = {ask.text(llm, method) for _ in range(2)}
    assert len(answers) == 1
    assert len(Completing.asked) == 1
    assert len(observed.of(CacheStored)) == 1


@pytest.mark.parametrize("method", ALL_METHODS)
def test_the_original_asks_the_model(
    method: str, make_llm: Callable[..., OpenAI], accel: Accel, ask: Caller, server: ModelServer
) -> None:
    """Accelerating leaves the given object as it was."""
    plain = make_llm()
    accelerate(plain, accel)
    assert not any(origin(ask(plain, method)[-1]) for _ in range(2))
    assert server.call_count == 2


def test_a_call_without_a_question_fails_as_before(llm: OpenAI) -> None:
    """Wrong calls raise what the user's own method raises."""
    with pytest.raises(TypeError):
        llm.chat()
    with pytest.raises((TypeError, ValueError)):
        llm.complete()


def test_a_class_patched_later_is_heard(
    completing: Completing, accel: Accel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's method is looked up at each call, as instrumentation that patches it expects."""
    llm = accelerate(completing, accel)
    patched = lambda self, prompt, **_: CompletionResponse(text="patched")  # noqa: E731
    monkeypatch.setattr(Completing, "complete", patched)
    assert llm.complete("q").text == "patched"


def test_arguments_nobody_knows_count(accel: Accel) -> None:
    """A further positional argument of the application's own makes another question."""

    class More(Completing):
        def complete(self, prompt: str, formatted: bool = False, mood: str = "", **_: Any) -> Any:
            return CompletionResponse(text=mood)

    llm: Any = accelerate(More(), accel)
    assert [llm.complete("q", False, mood).text for mood in "aba"] == ["a", "b", "a"]
    assert accel.stats().exact_hits == 1


@pytest.mark.slow
@pytest.mark.parametrize("first", ["achat", "complete"])
def test_a_paraphrase_is_served_by_meaning(
    first: str,
    make_accel: Callable[..., Accel],
    make_llm: Callable[..., OpenAI],
    ask: Caller,
    server: ModelServer,
) -> None:
    """With the real encoder, the same question in other words asks no model, by any method."""
    accel = make_accel(encoder=None)
    llm = accelerate(make_llm(), accel)
    answer = ask.text(llm, first, "How do I reset my password?")
    accel.flush()
    for method in METHODS["chat" if "chat" in first else "complete"]:
        again = ask(llm, method, "How can I reset my password?")[-1]
        assert origin(again) == "semantic"
        assert text_of(again) == answer
        assert again.additional_kwargs["accel"]["similarity"] > 0.9
    assert server.call_count == 1
    assert origin(ask(llm, first, "How do I delete my account?")[-1]) is None
