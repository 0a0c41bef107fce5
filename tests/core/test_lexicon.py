"""Word knowledge: what English words weigh, how they are related, and the file it comes from."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.lexicon import english
from accel_core.lexicon.english import FILE, HEAVIEST, English, Relation, base_forms
from accel_core.lexicon.table import HEADER, read

if TYPE_CHECKING:
    from accel_core.lexicon.table import Table

FOLDER = files("accel_core.lexicon")
DATA = FOLDER.joinpath(FILE).read_bytes()
MAX_FILE_BYTES = 400_000
ENGLISH = English()
WORDS = sorted(read(DATA).numbers)
words = st.one_of(st.sampled_from(WORDS), st.text("abdeginrsty", max_size=9))


@pytest.mark.parametrize(
    ("one", "other", "relation"),
    [
        ("buy", "purchase", "synonym"),
        ("bought", "purchasing", "synonym"),
        ("rapidly", "quickly", "synonym"),
        ("quick", "fast", "synonym"),  # similar to one another, in no common synset
        ("buy", "sell", "antonym"),
        ("buying", "sold", "antonym"),
        ("fast", "slow", "antonym"),
        ("decide", "decision", "derived"),
        ("oak", "tree", "broader"),
        ("monday", "tuesday", "sister"),
        ("tea", "coffee", "sister"),
        ("buy", "camera", "unrelated"),
        ("refunds", "repay", "synonym"),  # common, though an encoder's vocabulary lacks it
        ("router", "debit", "unrelated"),
        ("debited", "credited", "antonym"),
        ("bought", "buy", "same"),
        ("children", "child", "same"),
        ("best", "good", "same"),
        ("running", "runs", "same"),
        ("zzyzx", "zzyzx", "same"),
        ("zzyzx", "buy", "unknown"),
        ("buy", "the", "unknown"),
        ("", "buy", "unknown"),
    ],
)
def test_words_are_related(one: str, other: str, relation: Relation) -> None:
    """Each relation is found, through inflected forms too."""
    assert ENGLISH.relation(one, other) == relation


@given(words, words)
def test_relations_hold_both_ways(one: str, other: str) -> None:
    """Which of the two words was asked does not matter, nor whether it was asked before."""
    relation = ENGLISH.relation(one, other)
    assert relation in get_args(Relation)
    assert relation == ENGLISH.relation(other, one) == English.relation(ENGLISH, one, other)
    assert ENGLISH._relate(one, other) == ENGLISH._relate(other, one) == relation


@pytest.mark.parametrize(
    ("word", "base"),
    [
        ("boxes", "box"),
        ("families", "family"),
        ("firemen", "fireman"),
        ("blogging", "blog"),
        ("hoping", "hope"),
        ("larger", "large"),
    ],
)
def test_endings_are_taken_off(word: str, base: str) -> None:
    """A regular form leads to its lemma."""
    assert base in [form for form, _ in base_forms(word)]


def test_a_double_s_is_no_plural() -> None:
    """A boss is not several of the genus Bos."""
    assert ("bos", english.NOUN) not in base_forms("boss")


@pytest.mark.parametrize(
    ("form", "lemma"),
    [("passwords", "password"), ("repaying", "repay"), ("emailed", "email"), ("cheapest", "cheap")],
)
def test_forms_outside_the_table_are_known_by_their_lemmas(form: str, lemma: str) -> None:
    """A form that the table does not have is looked up by the rules."""
    assert form not in WORDS
    assert ENGLISH.relation(form, lemma) == "same"


@given(words)
def test_weights_are_in_range(word: str) -> None:
    """No word weighs nothing, none more than an unknown one."""
    assert 0 < ENGLISH.weight(word) <= HEAVIEST


def test_rare_words_weigh_more() -> None:
    """A weight rises with the rank, up to that of a word nobody knows."""
    weights = [ENGLISH.weight(word) for word in ("the", "people", "money", "computer")]
    assert weights == sorted(set(weights))
    assert weights[0] == 1.0
    assert ENGLISH.weight("zzyzx") == ENGLISH.weight("wasp") == HEAVIEST
    assert ENGLISH.weight("?") < ENGLISH.weight("x") < HEAVIEST


def test_words_asked_before_are_remembered_within_bounds() -> None:
    """More words than are remembered are answered, and forgotten again."""
    fresh = English()
    for word in WORDS[: english.WORDS + 10]:
        fresh.relation(word, "buy")
    assert fresh._known.cache_info().currsize == english.WORDS
    assert fresh._related.cache_info().maxsize == english.PAIRS


def test_the_file_is_small_and_licensed() -> None:
    """The table costs less than it was given, and WordNet's licence is beside it."""
    assert len(DATA) <= MAX_FILE_BYTES
    license_text = FOLDER.joinpath("WORDNET-LICENSE.txt").read_text(encoding="utf-8")
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in license_text


@pytest.mark.parametrize("length", [0, 3, HEADER.size, HEADER.size + 9, len(DATA) // 2, -1])
def test_a_truncated_file_is_refused(length: int) -> None:
    """Half a table is no table."""
    with pytest.raises(RuntimeError, match="damaged"):
        read(DATA[:length])


@pytest.mark.parametrize("place", [0, 4, 8, 12, HEADER.size + 100, len(DATA) - 1])
def test_a_changed_file_is_refused(place: int) -> None:
    """Magic, version, length, checksum and content are each looked at."""
    changed = bytearray(DATA)
    changed[place] ^= 1
    with pytest.raises(RuntimeError, match="damaged"):
        read(bytes(changed))


def test_threads_load_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever thread comes first loads, the others wait for that one."""
    loaded: list[Table] = []
    together = threading.Barrier(8)

    def counted(data: bytes) -> Table:
        loaded.append(read(data))
        return loaded[-1]

    monkeypatch.setattr(english, "read", counted)
    fresh = English()

    def ask(_: int) -> Relation:
        together.wait()
        return fresh.relation("buy", "sell")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"antonym"}
    assert len(loaded) == 1


def test_it_travels_and_outlives_a_fork() -> None:
    """Another process loads for itself, and locks of the parent are let go."""
    assert pickle.loads(pickle.dumps(ENGLISH)).relation("buy", "sell") == "antonym"
    fresh = English()
    assert fresh._lock.acquire(blocking=False)
    fresh.after_fork()
    fresh.warm()
    assert fresh.weight("the") == 1.0
