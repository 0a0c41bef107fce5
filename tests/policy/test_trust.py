"""Which letters an encoder was declared for."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.policy import trust
from accel_core.policy.trust import ANY_SCRIPT, foreign_script

LATIN = frozenset({"Latin"})
SCRIPTS = sorted({script for _, _, script in trust._RANGES} - {"Common"})

# The beginning of a letter's Unicode name, and the script it then belongs to.
NAMED = {
    "LATIN SMALL": "Latin",
    "LATIN CAPITAL": "Latin",
    "GREEK SMALL": "Greek",
    "CYRILLIC ": "Cyrillic",
    "HEBREW LETTER": "Hebrew",
    "ARABIC LETTER": "Arabic",
    "DEVANAGARI LETTER": "Devanagari",
    "THAI CHARACTER": "Thai",
    "HANGUL SYLLABLE": "Hangul",
    "HIRAGANA LETTER": "Hiragana",
    "KATAKANA LETTER": "Katakana",
    "CJK UNIFIED": "Han",
}


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_is_latin(text: str) -> None:
    """No ASCII text is foreign to an encoder of Latin script."""
    assert not foreign_script(text, LATIN)


@given(st.text(), st.text(), st.sets(st.sampled_from(SCRIPTS)))
def test_any_letter_counts(left: str, right: str, scripts: set[str]) -> None:
    """A text is foreign exactly when one of its parts is, whatever surrounds it."""
    known = frozenset(scripts)
    either = foreign_script(left, known) or foreign_script(right, known)
    assert foreign_script(left + right, known) == either


@given(st.text(), st.sets(st.sampled_from(SCRIPTS)), st.sets(st.sampled_from(SCRIPTS)))
def test_more_scripts_are_never_stricter(text: str, some: set[str], more: set[str]) -> None:
    """Declaring another script never makes a text foreign."""
    if not foreign_script(text, frozenset(some)):
        assert not foreign_script(text, frozenset(some | more))


@given(st.text(st.characters(categories=["L"])))
def test_a_letter_has_one_script(text: str) -> None:
    """A letter is at home in one script, in every script, or in none that is listed."""
    for letter in set(text):
        homes = sum(not foreign_script(letter, frozenset({script})) for script in SCRIPTS)
        assert homes in (0, 1, len(SCRIPTS))


@given(st.text(st.characters(categories=["N", "P", "S", "M", "Z", "Cc", "Cf"])))
def test_only_letters_have_a_script(text: str) -> None:
    """Digits, punctuation, symbols, marks and spaces are common to all scripts."""
    assert not foreign_script(text, frozenset())


@given(st.text())
def test_any_script_trusts_everything(text: str) -> None:
    """An encoder of every script finds no text foreign."""
    assert not foreign_script(text, ANY_SCRIPT)


def test_agrees_with_unicode_names() -> None:
    """Every letter whose Unicode name tells its script is found in that script only."""
    checked = 0
    for letter in filter(str.isalpha, map(chr, range(sys.maxunicode + 1))):
        name = unicodedata.name(letter, "")
        script = next((NAMED[start] for start in NAMED if name.startswith(start)), None)
        if script is None:
            continue
        checked += 1
        assert not foreign_script(letter, frozenset({script})), name
        assert foreign_script(letter, frozenset(SCRIPTS) - {script}), name
    assert checked > 100_000


@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        ("¿Cuántos años tienes? Ça va, naïve Ærø!", False),
        ("40 µm, 3 €, 10 °C — “quoted” … 🙂", False),
        ("e\u0301te\u0301", False),
        ("what is λ calculus", True),
        ("忘记了密码怎么办", True),
        ("パスワード", True),
        ("Привет", True),
        ("𐌰 is Gothic, which is not in the table", True),
        ("private \ue000", True),
        ("lone \ud800", True),
        ("unassigned \U000e0fff", True),
    ],
)
def test_latin_encoder(text: str, foreign: bool) -> None:
    """An encoder of Latin script takes accents, symbols and digits, and nothing else."""
    assert foreign_script(text, LATIN) is foreign


def test_ranges_are_sorted_and_disjoint() -> None:
    """The table can be searched by bisection."""
    bounds = [bound for first, last, _ in trust._RANGES for bound in (first, last)]
    assert bounds == sorted(bounds)
