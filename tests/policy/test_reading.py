"""What is read out of a question, and how two readings differ."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.lexicon.english import English
from accel_core.policy.difference import FEATURES, compare, features, inversions
from accel_core.policy.reading import read, stem

LEXICON = English()
TEXTS = st.text(max_size=60) | st.sampled_from(
    [
        "How do I cancel my order?",
        "What's the 3rd largest city in New York in 2019?",
        "Convert 5k USD to EUR",
        "Wie viel kostet das?",
        "",
    ]
)


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("What is it?", "what"),
        ("please tell me why it is so", "why"),
        ("How many are there?", "how much"),
        ("how long does it take", "how long"),
        ("Can I see how it works?", "whether"),
        ("list the planets", ""),
    ],
)
def test_what_is_asked_for(text: str, asks: str) -> None:
    """By the first question word, or an auxiliary in front."""
    assert read(text).asks == asks


def test_numbers_are_alike_however_written() -> None:
    """Separators, multiples and words make no difference; "one" is hardly a number."""
    spelled = ["5,000", "5k", "5000", "five thousand"]
    assert [read(f"pay {value} now").numbers >= {"5000"} for value in spelled[:3]] == [True] * 3
    assert read("twelve").numbers == read("12").numbers
    assert read("the best one").numbers == frozenset()


def test_names_are_capitals_inside_a_sentence() -> None:
    """The first word of a sentence is no name for being there."""
    assert read("Where is Berlin? Paris is nice").names == {stem("berlin")}


@pytest.mark.parametrize(
    ("one", "other"),
    [("run", "running"), ("city", "cities"), ("kilometer", "kilometers"), ("studies", "study"),
     ("bus", "buses"), ("stop", "stopped")],
)  # fmt: skip
def test_inflections_share_a_stem(one: str, other: str) -> None:
    """Enough of them to compare questions by."""
    assert stem(one) == stem(other)


@given(TEXTS, TEXTS, st.lists(st.floats(-1, 1), min_size=1, max_size=6))
def test_numbers_are_symmetric_and_complete(one: str, other: str, near: list[float]) -> None:
    """Question and stored text may be exchanged, and every number has its name."""
    near.sort(reverse=True)
    there = features(compare(read(one), read(other), LEXICON), near, LEXICON)
    back = features(compare(read(other), read(one), LEXICON), near, LEXICON)
    assert len(there) == len(FEATURES)
    assert all(math.isfinite(x) or math.isnan(x) for x in there)
    assert there == pytest.approx(back, nan_ok=True)


def test_equal_texts_leave_nothing_alone() -> None:
    """Whatever the case and the punctuation."""
    difference = compare(read("How do I pay?"), read("how do i pay"), LEXICON)
    assert not difference.only_a.places
    assert not difference.only_b.places
    assert difference.framed


def test_order_is_counted() -> None:
    """Two shared words in the other order are one inversion."""
    there, back = read("flights from Oslo to Rome"), read("flights from Rome to Oslo")
    assert inversions(there, back) == (1, 3)
