"""Whether two answers say the same, by words, by what vectors do not show, and by nearness."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.lexicon.english import English
from accel_core.policy.same_answer import SameAnswer, plain

NEAR, FAR = (SameAnswer(lambda _, __, cosine=cosine: cosine, English()) for cosine in (0.95, 0.5))
UNSEEN = SameAnswer(lambda _, __: None, English())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Yes, it is!", "yes it is"),
        ("**30 days**", "30 days."),
        ("It\N{RIGHT SINGLE QUOTATION MARK}s `paris`", "It\N{RIGHT SINGLE QUOTATION MARK}s Paris"),
        ("忘记密码。", "忘记密码。"),
    ],
)
def test_equal_words_are_equal_answers(one: str, other: str) -> None:
    """Case, spaces and punctuation do not count, whatever the encoder thinks."""
    for same in (NEAR, FAR, UNSEEN):
        assert same("?", one, other) is True


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("You have 30 days to return the order", "You have 60 days to return the order"),
        ("You can return the order", "You cannot return the order"),
        ("Set the option retry_count in the file", "Set the option retry_limit in the file"),
        ("The answer is -5", "The answer is 5"),
        ("It costs 3.5", "It costs 35"),
    ],
)
def test_what_vectors_do_not_show_decides(one: str, other: str) -> None:
    """Other numbers, a negation or another name make another answer, however near."""
    assert NEAR("?", one, other) is False
    assert NEAR("?", other, one) is False


def test_nearness_decides_the_rest() -> None:
    """Other words for the same are right when near, and wrong when far."""
    words = "Send it back within a month", "You may return it within a month"
    assert NEAR("?", *words) is True
    assert FAR("?", *words) is False


def test_nobody_can_say() -> None:
    """Nothing to compare, or an encoder that failed, gives no verdict."""
    assert UNSEEN("?", "one thing", "another") is None
    assert NEAR("?", "", "") is None
    assert FAR("?", "", "yes") is False


@given(st.text())
def test_plain_is_stable(text: str) -> None:
    """Doing it again changes nothing."""
    assert plain(plain(text)) == plain(text)
