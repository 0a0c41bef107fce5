"""A model's description is kept only as long as the model is what it describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from langchain_accel import accelerate
from langchain_accel._description import _KEPT, _kind, describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeChat

QUESTION = "Is Paris the capital of France?"
ARGUMENTS: dict[str, Any] = {"stop": None, "tools": [{"name": "weather"}]}


class Out(BaseModel):
    """An answer."""

    value: str


class Named(ChatOpenAI):
    """Tells LangChain more than its fields do."""

    house: str = "ours"
    rules: set[str] = set()
    handler: Any = None

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """Return what is told."""
        return {**super().lc_attributes, "persona": persona["is"]}


persona = {"is": "ann"}


def model(kind: type[ChatOpenAI] = ChatOpenAI, **settings: Any) -> ChatOpenAI:
    """Return a model that is never asked."""
    return kind(model="gpt-4o-mini", api_key=SecretStr("none"), **settings)


def spelled(of: ChatOpenAI) -> str:
    """Spell a model without any text that is kept."""
    of.__dict__.pop("_serialized", None)
    return of._get_llm_string(**ARGUMENTS)


def put(name: str, value: Any) -> Callable[[ChatOpenAI], None]:
    """Return the change that sets a field."""
    return lambda of: setattr(of, name, value)


def put_inside(key: str, value: Any) -> Callable[[ChatOpenAI], None]:
    """Return the change that sets an argument in place."""
    return lambda of: of.model_kwargs.__setitem__(key, value)


def put_deeper(key: str, value: Any) -> Callable[[ChatOpenAI], None]:
    """Return the change that sets what an argument holds, in place."""
    return lambda of: of.model_kwargs.setdefault("metadata", {}).__setitem__(key, value)


plain = st.sampled_from([None, 0, 0.0, False, 1, 1.0, True, "", "1", "None", 0.5])
changes = st.one_of(
    st.builds(put, st.sampled_from(["temperature", "seed", "top_p", "openai_organization"]), plain),
    st.builds(put, st.just("openai_api_key"), st.sampled_from([None, SecretStr("a")])),
    st.builds(put, st.just("stop"), st.sampled_from([None, ["a"], ["a", "b"], "a"])),
    st.builds(put_inside, st.sampled_from(["user", "metadata"]), st.just({"a": 1})),
    st.builds(put_inside, st.just("user"), plain),
    st.builds(put_deeper, st.sampled_from(["a", "b"]), plain),
)


@given(st.lists(changes, max_size=12))
def test_any_changes(made: list[Callable[[ChatOpenAI], None]]) -> None:
    """Whatever changes, and back, and in place: the description is the one spelled afresh."""
    changed = model()
    for change in made:
        change(changed)
        described = describe(changed, ARGUMENTS)
        assert described == describe(changed, ARGUMENTS) == spelled(changed)


@pytest.mark.parametrize("way", ["invoke", "tools", "structured"])
def test_changed_in_place(
    accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, *, way: str
) -> None:
    """A model changed in place between two calls is asked again; changed back, it is not."""
    fast = accelerate(chat(model_kwargs={"audio": {"voices": ["a"]}}), accel)
    ways: dict[str, Any] = {
        "invoke": fast,
        "tools": fast.bind_tools([{"type": "function", "function": {"name": "weather"}}]),
        "structured": fast.with_structured_output(Out, include_raw=True),
    }
    for voices in (["a"], ["a", "b"], ["b"], ["a"]):
        fast.model_kwargs["audio"]["voices"][:] = voices
        colour.invoke(ways[way], QUESTION)
    assert server.call_count == 3
    fast.seed = 7
    colour.invoke(ways[way], QUESTION)
    assert server.call_count == 4


def test_what_a_class_adds() -> None:
    """What a class tells beside its fields is read at every call."""
    made = model(Named)
    before = describe(made, ARGUMENTS)
    persona["is"] = "bob"
    try:
        assert describe(made, ARGUMENTS) == spelled(made) != before
    finally:
        persona["is"] = "ann"


def test_more_than_plain_data() -> None:
    """A model that holds an object is described by that very object, and its text is not kept."""
    made, kind = model(Named, handler=object()), _kind(Named)
    assert kind is not None
    texts = dict(kind.texts)
    first = describe(made, ARGUMENTS)
    assert first == describe(made, ARGUMENTS)
    made.handler = object()  # type: ignore[attr-defined]
    assert describe(made, ARGUMENTS) != first
    assert kind.texts == texts


def test_what_langchain_leaves_out() -> None:
    """What LangChain cannot spell counts, where the text is kept too."""
    texts = {describe(model(Named, rules=rules), ARGUMENTS) for rules in ({"a"}, {"b"}, {"a"})}
    assert len(texts) == 2


def test_changed_while_spelled() -> None:
    """A text is not kept where another thread changed the model while it was spelled."""

    class Disturbed(ChatOpenAI):
        def model_copy(self, **options: Any) -> Any:
            self.seed = disturbing.pop() if disturbing else self.seed
            return super().model_copy(**options)

    disturbing, made = [8], model(Disturbed, seed=7)
    assert '"seed": 8' in describe(made, ARGUMENTS)
    made.seed = 7
    assert describe(made, ARGUMENTS) == spelled(made)


def test_another_spelling_of_its_own() -> None:
    """A class that spells itself is asked each time."""

    class Own(ChatOpenAI):
        def to_json(self) -> Any:
            return {**super().to_json(), "persona": persona["is"]}

    assert _kind(Own) is None
    assert describe(model(Own), ARGUMENTS) == spelled(model(Own))


def test_kept_is_bounded() -> None:
    """However many states a model had, few texts are kept."""
    made, kind = model(), _kind(ChatOpenAI)
    for seed in range(3 * _KEPT):
        made.seed = seed
        describe(made, ARGUMENTS)
    assert kind is not None
    assert 0 < len(kind.texts) <= _KEPT
    assert describe(made, ARGUMENTS) == spelled(made)


def test_no_secret_is_kept() -> None:
    """A key of a model is in no state and in no text."""
    kind = _kind(ChatOpenAI)
    assert kind is not None
    describe(ChatOpenAI(model="gpt-4o-mini", api_key=SecretStr("hush-hush")), ARGUMENTS)
    assert not any(b"hush" in state or "hush" in str(text) for state, text in kind.texts.items())
