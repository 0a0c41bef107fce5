"""In what two requests differ: the part by its name, and its values where they are short."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.policy.identity import Prompt, Turn
from accel_core.policy.reasons import meaning_of
from accel_core.policy.scopes import Difference, alike, differences, same_text

QUESTION = Turn("user", ("How long does a refund take?",))
MODEL: dict[str, Any] = {
    "llm": {"class": "m.OpenAI", "fields": {"model": "gpt-4o-mini", "temperature": 0.0}},
    "call": {},
}


def prompt(**changed: Any) -> Prompt:
    return Prompt(**{"kind": "chat", "model": MODEL, "turns": (QUESTION,), **changed})


def model(**fields: Any) -> dict[str, Any]:
    return {**MODEL, "llm": {**MODEL["llm"], "fields": {**MODEL["llm"]["fields"], **fields}}}


def spelled(temperature: float, arguments: str = "[('stop', None)]") -> dict[str, Any]:
    """Return a model as LangChain's are named: a text that its parameters repeat."""
    kwargs = {"model_name": "gpt-4o-mini", "temperature": temperature}
    text = json.dumps({"lc": 1, "type": "constructor", "kwargs": kwargs})
    return {"llm": f"{text}---{arguments}", "params": {"temperature": temperature}}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"model": model(temperature=0.7)}, Difference("temperature", "0.0", "0.7")),
        ({"model": model(seed=7)}, Difference("seed", "unset", "7")),
        ({"model": {**MODEL, "call": {"tools": [{"name": "look"}]}}}, Difference("tools")),
        (
            {"model": {**MODEL, "call": {"response_format": {"type": "json"}}}},
            Difference("response format"),
        ),
        ({"kind": "complete"}, Difference("kind of call", "chat", "complete")),
        ({"namespace": "shop"}, Difference("namespace", "unset", "shop")),
        (
            {"turns": (Turn("system", ("Be kind.",)), QUESTION)},
            Difference("system prompt", "unset", "Be kind."),
        ),
        (
            {"turns": (Turn("user", ("Hi",)), Turn("assistant", ("Hello",)), QUESTION)},
            Difference("earlier turns", "0", "2"),
        ),
        (
            {"turns": (QUESTION._replace(rest={"image": "ab12"}),)},
            Difference("what goes with the question"),
        ),
    ],
)
def test_each_part_by_its_name(changed: dict[str, Any], expected: Difference) -> None:
    """Whatever makes another scope is named; a long value is not shown."""
    assert differences(prompt(), prompt(**changed)) == (expected,)


def test_an_empty_namespace_is_unset() -> None:
    """Nothing is told as being nothing."""
    (found,) = differences(prompt(namespace="shop"), prompt())
    assert found == Difference("namespace", "shop", "unset")


def test_langchains_two_spellings_of_one_parameter_are_one_difference() -> None:
    """A model that names its temperature twice differs in it once; in its arguments, in nothing
    that has a name."""
    (found,) = differences(prompt(model=spelled(0.0)), prompt(model=spelled(0.7)))
    assert found == Difference("temperature", "0.0", "0.7")
    (found,) = differences(prompt(model=spelled(0.0)), prompt(model=spelled(0.0, "[('a', 1)]")))
    assert found.part == "model or parameters"


def test_long_system_prompts_are_shown_where_they_begin_to_differ() -> None:
    """A date in a long prompt, the usual reason for no hits at all, is seen at once."""
    before, after = "You are a helpful clerk of a shop. " * 9, " Be brief." * 9
    texts = (f"{before}Today is {day}.{after}" for day in ("Monday", "Sunday"))
    one, other = (prompt(turns=(Turn("system", (text,)), QUESTION)) for text in texts)
    (found,) = differences(one, other)
    assert found.part == "system prompt"
    assert "Monday" in found.asked
    assert "Sunday" in found.other
    assert max(map(len, found)) < 50


def test_secrets_are_no_difference() -> None:
    """What never counts for a scope is never shown either."""
    assert differences(prompt(), prompt(model=model(api_key="sk-secret"))) == ()


@given(st.text(), st.text())
def test_any_two_texts(one: str, other: str) -> None:
    """Likeness is symmetric, holds for a text with a word in it, and sameness implies it."""
    assert alike(one, other) == alike(other, one)
    if any(sign.isalnum() for sign in one):
        assert alike(one, one)
        assert alike(one, one.upper()) or one.upper().casefold() != one.casefold()
    assert same_text(one, one)


def test_other_questions_are_not_alike() -> None:
    """Words decide, not their order, case or punctuation."""
    assert alike("How long does a refund take?", "how long does the refund take")
    assert not alike("How long does a refund take?", "Where is the Eiffel Tower?")
    assert not alike("", "")
    assert same_text("Refund, please!", "refund please")


def test_every_reason_has_a_meaning() -> None:
    """Also those with a name in them; what is no reason has none."""
    assert meaning_of("no_entry")
    assert meaning_of("gate:number")
    assert meaning_of("verifier:judge")
    assert meaning_of("nonsense") == ""
