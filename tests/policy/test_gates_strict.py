"""What two texts leave when they are laid side by side by meaning."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.lexicon.english import English
from accel_core.policy.difference import compare
from accel_core.policy.english import OPPOSITES
from accel_core.policy.everyday import _GROUPS, alike
from accel_core.policy.gates_strict import left
from accel_core.policy.reading import read

LEXICON = English()
WORDS = (
    "how do i what is the way to why are signs of flu measles fix repair a bike car for children"
    " with beach rules handball US United States JS JavaScript long length 5 one name in winter"
).split()
TEXTS = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)


def _left(one: str, other: str) -> tuple[list[str], list[str]]:
    difference = compare(read(one), read(other), LEXICON)
    left_a, left_b = left(difference, LEXICON)
    return (
        [difference.a.words[place] for place in left_a],
        [difference.b.words[place] for place in left_b],
    )


@pytest.mark.parametrize(
    ("one", "other", "left_one", "left_other"),
    [
        ("How do I mend a kettle?", "What is the way to repair a kettle?", [], []),
        ("How long is a set in darts?", "What is the duration of a set in darts?", [], []),
        ("What does a loan cost?", "What is the price of a loan?", [], []),
        ("Is Guam part of the United States?", "Is Guam part of the US?", [], []),
        ("Signs of mumps", "What are the symptoms of measles?", ["mumps"], ["measles"]),
        ("How do I sort users?", "How do I sort users alphabetically?", [], ["alphabetically"]),
        ("Can I fly with a cat?", "Can I fly with a deaf cat?", [], ["deaf"]),
    ],
)
def test_what_is_left(one: str, other: str, left_one: list[str], left_other: list[str]) -> None:
    """A form, a synonym, a word of everyday use or the question word explains a word."""
    assert _left(one, other) == (left_one, left_other)


@given(TEXTS, TEXTS)
def test_left_is_symmetric(one: str, other: str) -> None:
    """Whichever of the two is the question."""
    assert _left(one, other) == _left(other, one)[::-1]


@given(TEXTS)
def test_a_text_leaves_nothing_of_itself(text: str) -> None:
    """Every word explains itself."""
    assert _left(text, text) == ([], [])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fee", "charges"),
        ("create", "added"),
        ("fixing", "repaired"),
        ("cheap", "inexpensive"),
        ("seen", "watched"),
    ],
)
def test_everyday_words_are_alike(one: str, other: str) -> None:
    """In any form, either way round."""
    assert alike(one, other)
    assert alike(other, one)


@pytest.mark.parametrize(
    ("one", "other"), [("open", "close"), ("debit", "credit"), ("tea", "coffee"), ("", "fee")]
)
def test_other_words_are_not(one: str, other: str) -> None:
    """Opposites, sisters and nothing at all."""
    assert not alike(one, other)


def test_everyday_groups_hold_no_opposites() -> None:
    """What one gate refuses as an opposite, no group joins."""
    for group in _GROUPS.split("|"):
        for one, other in combinations(group.split(), 2):
            assert frozenset((one, other)) not in OPPOSITES
            assert LEXICON.relation(one, other) != "antonym"
