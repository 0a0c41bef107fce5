"""What an accelerated model still is: its own class, its fields, its copies."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Settings
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.mock import MockLLM
from llama_index.llms.openai import OpenAI

from accel_core.accel import Accel
from accel_core.errors import UnsupportedError
from llamaindex_accel import accelerate
from tests.llamaindex.support import ALL_METHODS, origin, user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.testing.model_server import ModelServer
    from tests.llamaindex.support import Caller


@pytest.fixture
def settings() -> Iterator[Any]:
    """LlamaIndex's settings, put back afterwards."""
    before = Settings._llm
    yield Settings
    Settings._llm = before


def test_it_is_an_instance_of_its_class(make_llm: Callable[..., OpenAI], accel: Accel) -> None:
    """The copy is what the original was, to ``isinstance`` and to the eye."""
    plain = make_llm()
    llm = accelerate(plain, accel)
    assert isinstance(llm, OpenAI)
    assert isinstance(llm, FunctionCallingLLM)
    assert type(llm) is not OpenAI
    assert type(llm).__name__ == "OpenAI"
    assert type(llm).__module__ == OpenAI.__module__
    assert llm.class_name() == plain.class_name()
    assert llm.metadata == plain.metadata
    assert llm.model_dump() == plain.model_dump()
    assert llm._http_client is plain._http_client


@pytest.mark.parametrize("method", ALL_METHODS)
def test_methods_keep_name_colour_and_signature(method: str, llm: OpenAI) -> None:
    """Whoever inspects an accelerated method finds the user's own."""
    own, made = getattr(OpenAI, method), getattr(type(llm), method)
    assert made.__name__ == own.__name__
    assert made.__doc__ == own.__doc__
    assert inspect.signature(made) == inspect.signature(own)
    assert inspect.iscoroutinefunction(made) == inspect.iscoroutinefunction(own)


def test_accelerating_twice_is_accelerating_once(
    make_llm: Callable[..., OpenAI], make_accel: Callable[..., Accel]
) -> None:
    """The same `Accel` returns the same object; another one takes its place."""
    one, other = make_accel(), make_accel()
    llm = accelerate(make_llm(), one)
    assert accelerate(llm, one) is llm
    moved = accelerate(llm, other)
    assert moved is not llm
    assert type(moved).__mro__[1] is OpenAI
    moved.chat(user("q"))
    assert (one.stats().lookups, other.stats().lookups) == (0, 1)


def test_one_class_for_one_accel(make_llm: Callable[..., OpenAI], accel: Accel) -> None:
    """Models of one class share one generated class."""
    assert type(accelerate(make_llm(), accel)) is type(accelerate(make_llm(), accel))


def test_generated_classes_end_with_their_accel(make_llm: Callable[..., OpenAI]) -> None:
    """Two configured objects never share a class."""
    with Accel(encoder=None) as one, Accel(encoder=None) as other:
        assert type(accelerate(make_llm(), one)) is not type(accelerate(make_llm(), other))


@pytest.mark.parametrize(
    "duplicate",
    [
        lambda llm: llm.model_copy(),
        copy.copy,
        copy.deepcopy,
        lambda llm: pickle.loads(pickle.dumps(llm)),
    ],
    ids=["model_copy", "copy", "deepcopy", "pickle"],
)
def test_copies_answer_from_the_same_cache(
    duplicate: Callable[[Any], Any], llm: OpenAI, accel: Accel, server: ModelServer, ask: Caller
) -> None:
    """A copied or unpickled model is accelerated by the same object, and hits."""
    ask(llm, "chat")
    bare = OpenAI(model=llm.model, api_base=server.url, api_key="x", temperature=0)
    again = duplicate(accelerate(bare, accel))
    assert type(again) is type(llm)
    assert origin(ask(again, "chat")[0]) == "exact"
    assert server.call_count == 1


def test_a_changed_copy_is_another_model(llm: OpenAI, ask: Caller, server: ModelServer) -> None:
    """Fields count as they are at the call, in a copy and in the model itself."""
    ask(llm, "chat")
    assert origin(ask(llm.model_copy(update={"model": "gpt-4o"}), "chat")[0]) is None
    llm.max_tokens = 7
    assert origin(ask(llm, "chat")[0]) is None
    llm.max_tokens = None
    assert origin(ask(llm, "chat")[0]) == "exact"
    assert server.call_count == 3


def test_settings_take_it(llm: OpenAI, settings: Any) -> None:
    """``Settings.llm`` keeps the accelerated model, and its callbacks reach it."""
    settings.llm = llm
    assert settings.llm is llm
    assert settings.llm.complete("q").text
    assert origin(settings.llm.complete("q")) == "exact"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("gpt-4o-mini", "got str"),
        (None, "got NoneType"),
        (MockLLM, "got the class MockLLM: give it an instance"),
    ],
)
def test_anything_else_is_refused(given: Any, told: str, accel: Accel) -> None:
    """What cannot be accelerated raises a TypeError that names what can, and what to do."""
    with pytest.raises(UnsupportedError, match=r"takes a LlamaIndex LLM.*" + told) as refusal:
        accelerate(given, accel)
    assert isinstance(refusal.value, TypeError)


def test_agents_are_pointed_to_their_model(accel: Accel) -> None:
    """An agent is refused with the advice to accelerate the model first."""
    from llama_index.core.agent.workflow import ReActAgent

    with pytest.raises(UnsupportedError, match="accelerate the LLM it is built with"):
        accelerate(ReActAgent(llm=MockLLM(), tools=[]), accel)


def test_langchain_models_are_pointed_to_their_package(accel: Accel) -> None:
    """A LangChain model is refused with the name of the function that takes it."""
    from langchain_core.language_models.fake_chat_models import FakeListChatModel

    with pytest.raises(UnsupportedError, match=r"langchain_accel\.accelerate"):
        accelerate(FakeListChatModel(responses=["a"]), accel)


def test_the_default_accel_is_used(make_llm: Callable[..., OpenAI]) -> None:
    """Without an `Accel`, the process's own is taken."""
    from accel_core.default import default_accel

    llm = accelerate(make_llm())
    assert accelerate(llm, default_accel()) is llm
