"""Small talk known by heart: what is skipped, and that nothing else ever is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.errors import ConfigError
from accel_core.evaluation.labelled import Need, read_needs
from accel_core.policy.small_talk import SmallTalk
from accel_core.policy.small_talk_words import KINDS, LANGUAGES
from accel_core.policy.small_talk_words.phrases import Phrase
from benchmarks.retrieval_gate import SMALL_TALK, questions
from benchmarks.stream import QUESTIONS

TALK = SmallTalk()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Hi!", "greeting"),
        ("HELLO there :-)", "greeting"),
        ("heyyyyyy", "greeting"),
        ("Thanks a lot for your help!!", "thanks"),
        ("ok thx, bye", "thanks"),
        ("Good night 😴", "farewell"),
        ("👍", "acknowledgement"),
        ("ok", "acknowledgement"),
        ("What a pity", "acknowledgement"),
        ("How are you doing today?", "small_talk"),
        ("Are you a human or a robot?", "small_talk"),
        ("tell me a joke please", "small_talk"),
        ("What was my last question?", "conversation"),
        ("Can you repeat that in simpler terms?", "conversation"),
        ("hi, what did I just ask you?", "conversation"),
        ("Guten Morgen zusammen", "greeting"),
        ("Vielen Dank für die schnelle Hilfe", "thanks"),
        ("Wie heißt du?", "small_talk"),
        ("¡Muchas gracias por tu ayuda!", "thanks"),
        ("¿Cómo estás?", "small_talk"),
        ("Merci beaucoup, à bientôt", "thanks"),
        ("Peux-tu répéter ?", "conversation"),
        ("Bonjour, comment allez-vous aujourd'hui ?", "small_talk"),
    ],
)
def test_small_talk_is_recognised_whole(text: str, kind: str | None) -> None:
    """By its most telling phrase, in four languages, however it is spelled."""
    assert TALK.kind(text) == kind


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ?! ",
        "please",
        "chatgpt",
        "Hi, how do I reset my password?",
        "thanks, and what does it cost?",
        "ok but why",
        "good morning slot for the visit",
        "hello world in Rust",
        "what's new in version 2",
        "yes 42",
        "thank you @support #4711",
        "привет",
        "你好",
        "hi \ud800",
        "ok " * 41,
        "hello\x00",
        "thanks €",
    ],
)
def test_anything_else_is_a_question(text: str) -> None:
    """One word that no phrase covers, another script or a symbol, and it is searched for."""
    assert TALK.kind(text) is None


def test_no_question_of_this_package_is_skipped() -> None:
    """Nor what was written to look like small talk: questions after greetings, terms."""
    written = [need for name in ("seen", "held_out") for need in _read(name)]
    asked = [*questions(QUESTIONS), *(need.text for need in written if need.needed)]
    assert [text for text in asked if TALK.kind(text) is not None] == []
    idle = [need.text for need in written if not need.needed]
    assert sum(TALK.kind(text) is not None for text in idle) > 0.6 * len(idle)


def _read(name: str) -> list[Need]:
    return read_needs(SMALL_TALK / f"{name}.jsonl")


@given(st.lists(st.sampled_from(["hi", "thanks", "ok", "bye", "please"]), min_size=1, max_size=12))
def test_phrases_one_after_the_other_are_small_talk(words: list[str]) -> None:
    """Covered is covered, in any order; fillers alone are not enough."""
    assert (TALK.kind(" ".join(words)) is None) == (set(words) == {"please"})


@given(st.text(max_size=60), st.sampled_from(["invoice", "vpn", "1234", "猫"]))
def test_an_unknown_word_makes_a_question(text: str, word: str) -> None:
    """Whatever stands around it."""
    assert TALK.kind(f"{text} {word}") is None


def test_a_language_that_is_not_asked_for_is_not_known() -> None:
    """Its phrases are then words like any other."""
    assert SmallTalk(languages=("en",)).kind("Vielen Dank") is None
    assert SmallTalk(languages=("de",)).kind("Vielen Dank") == "thanks"
    assert SmallTalk(languages=()).kind("hi") is None
    with pytest.raises(ConfigError, match="languages"):
        SmallTalk(languages=("tlh",))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_phrase_is_spelled_as_texts_are(language: str, kind: str) -> None:
    """Each choice of each phrase is found again, or it would be dead."""
    for spelled in getattr(LANGUAGES[language], kind).split(";"):
        for word in Phrase(spelled).vocabulary():
            assert word.isascii(), word
            assert word.isalnum(), word
            assert word == word.lower()


def test_choices_and_options() -> None:
    """A phrase ends wherever its last words may."""
    phrase = Phrase("(good|very good) day (to you|to)? (too)?")
    assert phrase.first_words() == {"good", "very"}
    assert phrase.ends("very good day to you too".split(), 0) == {3, 4, 5, 6}
    assert phrase.ends("good evening".split(), 0) == set()
