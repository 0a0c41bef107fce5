"""A question as a decision reads it: words, numbers, names, codes, negations, what is asked for.

A reading is made from the text alone, in one pass, without an encoder; two readings are compared by
`policy.difference` and `policy.gates`. English is read where words that show English stand in the
text; of anything else only what every language shares (numbers, codes, words as they are spelled).

Words are compared by *stem*: a light suffix stripper that joins a word's inflections and is not
meant to be read. Porter's (1980) joins more than a question can afford ("universal" and
"university").
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from accel_core.policy.english import (
    AMBIGUOUS_WORDS,
    AUXILIARIES,
    ENGLISH_WORDS,
    FOREIGN_WORDS,
    FUNCTION_WORDS,
    MAGNITUDES,
    NEGATIONS,
    NUMBER_WORDS,
    QUANTITIES_ASKED,
    QUESTION_WORDS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+(?:[.,:]\d+)*")
_APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"
_OPENING = " \"'(\N{LEFT DOUBLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}"
_NUMBER = re.compile(  # a letter beside a digit makes a code of it, where words are spaced
    r"(?<![A-Za-z0-9_.])(\d[\d,]*(?:\.\d+)?)"
    r"(?:(k|m)|st|nd|rd|th|\s?(hundred|thousand|million|billion|trillion))?(?![A-Za-z0-9_])",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")
_CODE = re.compile(
    r"\b(?=\w*\d)(?=\w*[A-Za-z])[\w-]+\b"  # mixes letters and digits: ERR42, b2b
    r"|\b\w+[_/.:\\]\w[\w/.:\\]*"  # paths, hosts, qualified names
    r"|\b\d+(?:[.-]\d+)+\b"  # versions, telephone numbers
    r"|(?<![\w.])[-.#@/\\]+\w[\w./-]*"  # options, extensions, tags
    r"|\b[a-z]+[A-Z]\w*|\b[A-Z]+[a-z]+[A-Z]\w*"  # camelCase
    r"|\b[A-Z]{2,}[A-Z0-9-]*\b"  # acronyms
    r"|\b[A-Za-z][+#]+"  # C++, C#
)
_SENTENCE_END = frozenset(".?!:")
_MULTIPLIERS = {"k": 1_000.0, "m": 1_000_000.0}
_REMEMBERED = 4_096
_SUFFIXES = (
    ("ies", "y"), ("sses", "ss"), ("ing", ""), ("edly", ""), ("ed", ""), ("ly", ""), ("es", "e"),
    ("s", ""),
)  # fmt: skip
_SHORTEST_STEM = 3


class Reading(NamedTuple):
    """What a text says, as far as a decision looks.

    Attributes:
        text: as given, apostrophes straight.
        words: lower case, in order.
        stems: of the words, in the same order; number words as digits.
        content: whether each word carries meaning by itself.
        names: stems of words that are capitalised inside a sentence.
        numbers: values, spelled alike however they were written.
        codes: identifiers, paths, versions, options, acronyms, as written.
        negations: how many words negate.
        asks: what is asked for: ``what``, ``how``, ``how much``, ``whether`` …, or ``""``.
        english: whether words that only English has stand in it, and no more of other languages.
    """

    text: str
    words: tuple[str, ...]
    stems: tuple[str, ...]
    content: tuple[bool, ...]
    names: frozenset[str]
    numbers: frozenset[str]
    codes: frozenset[str]
    negations: int
    asks: str
    english: bool


@lru_cache(_REMEMBERED)
def stem(word: str) -> str:
    """Return `word`, lower case, without its commonest endings.

    >>> stem("running"), stem("runs"), stem("cities"), stem("glass")
    ('run', 'run', 'city', 'glass')
    """
    if len(word) < _SHORTEST_STEM + 1:
        return word
    word = word.removesuffix("'s")
    for suffix, instead in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _SHORTEST_STEM:
            if suffix == "s" and word[-2] in "su":
                break
            word = word[: len(word) - len(suffix)] + instead
            break
    if len(word) > _SHORTEST_STEM:
        if word[-1] == "e" or (word[-1] == word[-2] and word[-1] not in "sl"):
            word = word[:-1]
        elif word[-1] == "i":
            word = word[:-1] + "y"
    return word


@lru_cache(_REMEMBERED)
def singular(word: str) -> str:
    """Return `word`, lower case, without the ending of a plural or a genitive.

    >>> singular("months"), singular("inches"), singular("centuries"), singular("celsius")
    ('month', 'inch', 'century', 'celsius')
    """
    word = word[:-2] if word.endswith("'s") else word
    if len(word) <= _SHORTEST_STEM or word[-1] != "s" or word[-2] in "su":
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("ches", "shes", "xes", "sses")) else word[:-1]


def read(text: str) -> Reading:
    """Read `text`. Takes about 50 µs for ten words."""
    text = text.replace(_APOSTROPHE, "'")
    found = [(match.group(), match.start()) for match in _WORD.finditer(text)]
    words = tuple(word.lower() for word, _ in found)
    return Reading(
        text=text,
        words=words,
        stems=tuple(NUMBER_WORDS.get(word) or stem(word) for word in words),
        content=tuple(word not in FUNCTION_WORDS for word in words),
        names=frozenset(
            stem(word.lower())
            for word, start in found
            if word[0].isupper() and _inside(text, start) and word.split("'")[0] != "I"
        ),
        numbers=_numbers(text, words),
        codes=frozenset(_CODE.findall(text)),
        negations=sum(word in NEGATIONS or word.endswith("n't") for word in words),
        asks=_asks(words),
        english=_english(text, words),
    )


def _inside(text: str, start: int) -> bool:
    """Whether what begins at `start` is not the first word of a sentence."""
    before = text[:start].rstrip(_OPENING)
    return bool(before) and before[-1] not in _SENTENCE_END


def _english(text: str, words: tuple[str, ...]) -> bool:
    """Whether English words stand among `words`, and no more words of other languages.

    Words that English shares with others count where nothing else tells.
    """
    distinct = set(words)
    english, foreign = len(distinct & ENGLISH_WORDS), len(distinct & FOREIGN_WORDS)
    if english or foreign:
        return english >= foreign and english > 0
    return text.isascii() and not distinct.isdisjoint(AMBIGUOUS_WORDS)


def _numbers(text: str, words: tuple[str, ...]) -> frozenset[str]:
    values = set()
    for digits, mark, magnitude in _NUMBER.findall(text) if _DIGIT.search(text) else ():
        plain = digits.replace(",", "")
        times = _MULTIPLIERS.get(mark.lower()) or MAGNITUDES.get(magnitude.lower())
        values.add(_spelling(float(plain) * times) if times else trimmed(plain))
    if not NUMBER_WORDS.keys().isdisjoint(words) or not MAGNITUDES.keys().isdisjoint(words):
        # "one" counts as little as an article does.
        values.update(_spelling(value) for value in _spelled(words) if value != 1)
    return frozenset(values)


def trimmed(digits: str) -> str:
    """Spell digits without zeros that say nothing. As text: a float forgets the 16th digit."""
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    digits = digits.lstrip("0") or "0"
    return f"0{digits}" if digits[0] == "." else digits


def _spelling(value: float) -> str:
    return f"{value:.0f}" if value.is_integer() else f"{value:.12g}"


def _spelled(words: tuple[str, ...]) -> Iterator[float]:
    """Yield the numbers that are spelled out: "two hundred fifty", "three million"."""
    thousands = below = 0.0
    before, counting = "", False
    for word in (*words, ""):
        times = MAGNITUDES.get(word)
        value = None if times else NUMBER_WORDS.get(word)
        goes_on = counting and (times or (value and _continues(below, float(value))))
        if counting and not goes_on:
            yield thousands + below
            thousands = below = 0.0
            counting = False
        if times and not (before[:1].isdigit() and not goes_on):
            below = (below or 1.0) * times
            if times > 100.0:
                thousands, below = thousands + below, 0.0
            counting = True
        elif value:
            below, counting = below + float(value), True
        before = word


def _continues(below: float, value: float) -> bool:
    """Whether `value` goes on with the number before it: "twenty five", "hundred twelve"."""
    tens = below % 100
    return (tens == 0 and value < 100) or (tens >= 20 and tens % 10 == 0 and 0 < value < 10)


def _asks(words: tuple[str, ...]) -> str:
    """Name what is asked for, by the first question word, or by an auxiliary in front."""
    if words and words[0] in AUXILIARIES:
        return "whether"
    for place, word in enumerate(words):
        if word in QUESTION_WORDS:
            following = words[place + 1] if place + 1 < len(words) else ""
            asked = QUESTION_WORDS[word]
            return QUANTITIES_ASKED.get(following, asked) if asked == "how" else asked
    return ""
