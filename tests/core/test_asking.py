"""Requests named again are the same requests, and what is remembered of them can be forgotten."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from accel_core.accel import Accel
from accel_core.config import from_mapping
from accel_core.policy.identity import Identifier, Prompt, Turn

accel = Accel(from_mapping({"cache": {"semantic": {"enabled": False}}}))
plain = Identifier()

texts = st.sampled_from(["", "a", "b", "é", "\ud800"])
json_like = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from([0.0, -0.0, 1.0]) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
prompts = st.builds(
    Prompt,
    st.sampled_from(["chat", "retriever"]),
    json_like,
    st.lists(
        st.builds(Turn, st.sampled_from(["user", "system"]), st.tuples(texts), json_like),
        max_size=2,
    ).map(tuple),
    st.none() | texts,
    texts,
)


@given(st.lists(prompts, min_size=1, max_size=8))
def test_what_is_remembered_is_what_would_be_named(asked: list[Prompt]) -> None:
    """A prompt has one request, whichever others were named before and however often."""
    for prompt in [*asked, *reversed(asked)]:
        assert accel.identify(prompt) == plain.identify(prompt)


def test_a_changed_object_is_another_prompt() -> None:
    """A model's parameters that were changed in place are not taken for what they were."""
    model: dict[str, Any] = {"temperature": 0.0, "stop": ["a"]}
    before = accel.identify(Prompt("chat", model, (Turn("user", ("q",)),)))
    model["stop"].append("b")
    after = accel.identify(Prompt("chat", model, (Turn("user", ("q",)),)))
    assert before is not None
    assert after is not None
    assert before.scope != after.scope


def test_what_cannot_be_remembered_is_named_all_the_same() -> None:
    """An object in a prompt is spelled by what it means, at every call."""

    class Answer:
        @staticmethod
        def model_json_schema() -> dict[str, str]:
            return {"title": "Answer"}

    prompt = Prompt("chat", {"format": Answer}, (Turn("user", ("q",)),))
    assert accel.identify(prompt) == plain.identify(prompt)


def test_forgetting_leaves_no_text_behind() -> None:
    """What people wrote is not held by what only saves work."""
    with Accel(from_mapping({"cache": {"semantic": {"enabled": False}}})) as one:
        one.identify(Prompt("chat", {}, (Turn("user", ("my secret",)),)))
        assert one._named._requests
        one.forget(text="my secret")
        assert not one._named._requests


def test_few_are_remembered() -> None:
    """A stream of new questions does not fill the memory."""
    for number in range(3000):
        accel.identify(Prompt("chat", {}, (Turn("user", (f"question {number}",)),)))
    assert len(accel._named._requests) <= 1024
