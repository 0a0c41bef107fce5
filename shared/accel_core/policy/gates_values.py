"""Gates on what is written down exactly: numbers, units, dates, identifiers.

A value is compared as a value ("5k" is "5,000", "Sept" is "September", "kg" is "kilograms"), so
that spelling never refuses; and no value is near another one. Numbers, codes and the units beside
digits are read in every language, words in English only.

Invariant: symmetric, and silent where both texts hold the same values.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from accel_core.policy.english import (
    AMBIGUOUS_DATES,
    DATE_WORDS,
    FUNCTION_WORDS,
    MULTIPLES,
    NUMBER_WORDS,
    ORDINALS,
    ROMAN_NUMERALS,
    UNIT_ALIASES,
    UNIT_RATES,
    UNIT_WORDS,
)
from accel_core.policy.gates_words import compounds, near, one_name, tight
from accel_core.policy.reading import singular

if TYPE_CHECKING:
    from accel_core.policy.difference import Difference, Lexicon, Side
    from accel_core.policy.reading import Reading


def _inflected(words: frozenset[str]) -> dict[str, str]:
    """Return for each form of `words` the one name of what it means."""
    forms = {word: one_name(word) for word in words}
    return (
        {f"{word}s": name for word, name in forms.items()}
        | {"inches": "inch", "centuries": "century"}
        | forms
    )


_ENDINGS = (("ii", "2"), ("iii", "3"))  # "WWII"

_MEASURED = re.compile(r"(?<![A-Za-z0-9_])\d[\d.,]*\s?°?([A-Za-zµμ]{1,4})(?!\w)")
_ONE = {"a": "1", "an": "1", "many": "many"}
_NO_RATES = frozenset("cent se annum capita stirpes diem".split())
_BITS = {
    "Kb": "kilobit", "Mb": "megabit", "Gb": "gigabit", "Tb": "terabit",
    "KBps": "kilobyte/s", "MBps": "megabyte/s", "GBps": "gigabyte/s",
    "Kbps": "kbps", "Mbps": "mbps", "Gbps": "gbps",
}  # fmt: skip
_DEGREES = re.compile(r"(?:°|\bdegrees?)\s?([cf])\b")
_CURRENCIES = frozenset("$€£¥₹")

_DEGREE = frozenset({"degree", "degrees"})
_UNITS = _inflected(UNIT_WORDS - _DEGREE)  # what follows it says more
_DATES = _inflected(DATE_WORDS - {"today"})
_SOMETIMES = AMBIGUOUS_DATES | {f"{word}s" for word in AMBIGUOUS_DATES}

_CLOCK = re.compile(r"\b(?:1[0-2]|[1-9])(?::\d\d)?\s?([ap])\.?m\b")
_RELATIVE = re.compile(
    r"\b(next|coming|following|last|previous|past) "
    r"(day|week|weekend|month|quarter|season|semester|year|decade|century|morning|afternoon|evening"
    r"|night|spring|summer|autumn|fall|winter|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b"
)
_NEW_YEAR = re.compile(r"\bnew year(?:s|'s)?\b(?! old)")
_RELATIVES = {"coming": "next", "following": "next", "previous": "last",
              "past": "last"}  # fmt: skip
_OTHER_TIMES = frozenset("next coming following last previous past".split())
_IN_TIME = frozenset("in this next last during early late every each by until since of mid".split())

_PIECE = re.compile(r"[^\W\d_]+|\d+(?:[.,:]\d+)*")
_COUNT = re.compile(r"\d[\d,]*(?:[.:]\d+)?(?:k|m|st|nd|rd|th|x|am|pm)?", re.IGNORECASE)
_HARD = re.compile(r"\d|[_\\@#]|^\.|^--")
_LETTER = re.compile(r"\\\w|(?<![\w-])-{1,2}[A-Za-z]\b")
_LANGUAGE = re.compile(r"\b[A-Za-z](?:\+\+|#)(?!\w)")
_SIGNS, _MARKS = frozenset("<>=!|&+^*/-\u2264\u2265\u00d7÷"), frozenset("\\-+#")
_NO_NAMES = frozenset("aiusrntmd")  # articles, pronouns, and what is left of "you", "n't", "'d"
_OPERATOR = re.compile(
    r"[<>=!]=|=>|->|&&|\|\||\+\+|[<>=≤≥^|&]"
    r"|(?<=\w)[+*](?=\w)|(?<=\w )[+*](?= \w)|(?<=\d)[-/\u00d7÷](?=\d)|(?<=\d )[-/\u00d7÷](?= \d)"
    r"|(?<![\w.)-])-(?=\d)|(?<=\w)--(?!\w)"
)


def number(difference: Difference, _: Lexicon) -> bool:
    """Values exchanged anywhere, or one added inside the frame."""
    a, b = difference.a, difference.b
    counted_a, counted_b = _counted(a), _counted(b)
    if counted_a == counted_b:
        return False
    only_a = counted_a - counted_b - _mentioned(b)
    only_b = counted_b - counted_a - _mentioned(a)
    if only_a and only_b:
        return True
    # A lone "1" says as little as an article does.
    return difference.framed and not only_a | only_b <= {"1"}


def _counted(reading: Reading) -> frozenset[str]:
    """Return the numbers of a text, ordinals and Roman ones as well."""
    found = reading.numbers
    if reading.codes and not ROMAN_NUMERALS.keys().isdisjoint(reading.codes):
        found |= {ROMAN_NUMERALS[code] for code in reading.codes if code in ROMAN_NUMERALS}
    if reading.english and not ORDINALS.keys().isdisjoint(reading.words):
        words = reading.words
        found |= {
            ORDINALS[word]
            for place, word in enumerate(words)
            if word in ORDINALS and not (word == "second" and _is_unit(words, place))
        }
    return found


def _is_unit(words: tuple[str, ...], place: int) -> bool:
    """Whether the "second" at `place` is one of time: "per second", "0.5 second"."""
    before = words[place - 1] if place else ""
    return before in {"per", "a", "each", "every", "one"} or before[:1].isdigit()


def _mentioned(reading: Reading) -> set[str]:
    """Return values that stand in a text in some form, and so are nothing new."""
    values = {stem for stem in reading.stems if stem[0].isdigit()}
    values.update(MULTIPLES[word] for word in reading.words if word in MULTIPLES)
    values.update(two for end, two in _ENDINGS if any(w.endswith(end) for w in reading.words))
    return values


def unit(difference: Difference, _: Lexicon) -> bool:
    """One unit of measure for another: kilometres for miles, mg for mcg, MB for Mb, $ for €.

    Also where both texts have both, and one number counts another of them ("10 miles in km"), or
    what is counted "per" one thing is counted per another.
    """
    a, b = difference.a, difference.b
    units_a, units_b = _units(a), _units(b)
    if not units_a <= units_b and not units_b <= units_a:
        return True
    if len(units_a & units_b) > 1 and _recounted(a, b):
        return True
    return "per" in a.words and "per" in b.words and _apart(_rates(a), _rates(b))


def _apart(some: set[str], others: set[str]) -> bool:
    return bool(some and others) and some.isdisjoint(others)


def _recounted(a: Reading, b: Reading) -> bool:
    """Whether a number that both texts have counts one unit here and another one there."""
    counted_a, counted_b = _count_of(a), _count_of(b)
    return any(
        counted_a[number] != counted_b[number] for number in counted_a.keys() & counted_b.keys()
    )


def _count_of(reading: Reading) -> dict[str, str]:
    """Return by number, "many" among them, the unit right behind it."""
    return {
        _ONE.get(before) or NUMBER_WORDS.get(before, before): _UNITS.get(word) or UNIT_ALIASES[word]
        for before, word in pairwise(reading.words)
        if (word in _UNITS or word in UNIT_ALIASES)
        and word not in UNIT_RATES
        and (before[0].isdigit() or before in NUMBER_WORDS or before in _ONE)
    }


def _rates(reading: Reading) -> set[str]:
    """Return what something is counted by: "per month", "per head"."""
    words = reading.words
    found = {
        _UNITS.get(word) or singular(word)
        for before, word in pairwise(words)
        if before == "per" and word not in FUNCTION_WORDS
    }
    return found - _NO_RATES


def _units(reading: Reading) -> set[str]:
    """Return the units in a text, each by one name."""
    text = reading.text
    found: set[str] = set()
    if not _CURRENCIES.isdisjoint(text):
        found.update(UNIT_ALIASES[sign] for sign in text if sign in _CURRENCIES)
    if reading.numbers or reading.codes:
        for name in _MEASURED.findall(text):
            if name in _BITS:
                found.add(_BITS[name])
            elif name.lower() in UNIT_ALIASES:
                found.add(UNIT_ALIASES[name.lower()])
    if "°" in text or not _DEGREE.isdisjoint(reading.words):
        found.update(UNIT_ALIASES[scale] for scale in _DEGREES.findall(text.lower()))
    if reading.english:
        found.update(_UNITS[word] for word in reading.words if word in _UNITS)
    for rate in UNIT_RATES.keys() & found:
        found.remove(rate)
        found.update(UNIT_RATES[rate])
    return found


def date(difference: Difference, _: Lexicon) -> bool:
    """Months, weekdays, seasons, times of day: exchanged anywhere, or added to a sentence."""
    a, b = difference.a, difference.b
    dates_a, dates_b = _dates(a), _dates(b)
    if dates_a == dates_b:
        return False
    # "May" and "may" are one word: where both texts have it, it is no date that one has alone.
    only_a = dates_a - dates_b - {_DATES.get(word) for word in b.words}
    only_b = dates_b - dates_a - {_DATES.get(word) for word in a.words}
    if only_a and only_b:
        return True
    # "New year" may be no more than what the year before it says.
    return bool((only_a | only_b) - {"new year"}) and tight(difference)


def _dates(reading: Reading) -> set[str]:
    """Return the words of time in a text, each by one name.

    Not "today" and "this week": that is when one asks anyhow.
    """
    found = set()
    words = reading.words
    for place, word in enumerate(words):
        if word in _DATES and (word not in _SOMETIMES or _in_time(reading, place)):
            found.add(_DATES[word])
    if reading.numbers or reading.codes:
        found.update(f"{half}m" for half in _CLOCK.findall(reading.text.lower()))
    if "new" in words and _NEW_YEAR.search(reading.text.lower()):
        found.add("new year")
    if not _OTHER_TIMES.isdisjoint(words):
        for which, period in _RELATIVE.findall(reading.text.lower()):
            found.add(f"{_RELATIVES.get(which, which)} {period}")
    return found


def _in_time(reading: Reading, place: int) -> bool:
    """Whether an ambiguous word is a date where it stands: "in fall", "May 5", "this spring"."""
    words = reading.words
    before = words[place - 1] if place else ""
    after = words[place + 1] if place + 1 < len(words) else ""
    return (
        before in _IN_TIME
        or before[:1].isdigit()
        or after[:1].isdigit()
        or (reading.stems[place] in reading.names and words[place] not in {"ad", "ce"})
    )


def identifier(difference: Difference, _: Lexicon) -> bool:
    r"""Codes, paths, versions, options and operators: exchanged, or added inside the frame.

    Names of code are the same however they are spaced ("use effect"); where one letter is the whole
    name, its case counts: `-r` is not `-R`, nor `\d` `\D`.
    """
    a, b = difference.a, difference.b
    codes_a, codes_b = _codes_alone(a, b), _codes_alone(b, a)
    exact_a, exact_b = _exact(a.text), _exact(b.text)
    if exact_a - exact_b and exact_b - exact_a:
        return True
    if codes_a and codes_b and (near(difference) or (_hard(codes_a) and _hard(codes_b))):
        return True
    if _letters(a, difference.only_a) and _letters(b, difference.only_b):
        return True
    if not difference.framed:
        return False
    if exact_a != exact_b or _hard(codes_a) or _hard(codes_b):
        return True
    signs_a, signs_b = _signs(a.text), _signs(b.text)
    if signs_a == signs_b:
        return False
    same_words = not difference.only_a.places and not difference.only_b.places
    return same_words or bool(signs_a and signs_b)


def _signs(text: str) -> list[str]:
    return [] if _SIGNS.isdisjoint(text) else sorted(_OPERATOR.findall(text))


def _hard(codes: list[str]) -> bool:
    """Whether a code is more than a name: with digits, or as only machines read it."""
    return any(_HARD.search(code) for code in codes)


def _exact(text: str) -> set[str]:
    r"""Return the names that differ by one sign or by case: `\d`, `-r`, "C++"."""
    if _MARKS.isdisjoint(text):
        return set()
    return {*_LETTER.findall(text), *map(str.lower, _LANGUAGE.findall(text))}


def _letters(reading: Reading, side: Side) -> bool:
    """Whether a text alone names something by one letter: "hepatitis B", "solve for y"."""
    words = reading.words
    return any(
        len(words[place]) == 1
        and words[place].isalpha()
        and (words[place] in reading.names or (reading.english and words[place] not in _NO_NAMES))
        for place in side.places
    )


def _codes_alone(one: Reading, other: Reading) -> list[str]:
    """Return the codes of one text that the other does not hold in some spelling."""
    fresh = one.codes - other.codes
    if not fresh or one.text.isupper():
        return []  # of a text in capitals every word looks like an acronym
    words = other.words
    joined = compounds(words)
    spoken = f" {' '.join(words)} "
    initials = set(map(_initials, other.codes))
    alone = []
    for code in fresh:
        pieces = [piece.lower() for piece in _PIECE.findall(code)]
        if FUNCTION_WORDS.issuperset(pieces) or _COUNT.fullmatch(code) or code in ROMAN_NUMERALS:
            continue
        if code in initials or _initials(code) in other.codes:
            continue
        if "/" in code[1:] and set(pieces) <= set(words):
            continue  # "tight/loose" is "loose/tight"
        if f" {' '.join(pieces)} " not in spoken and "".join(pieces) not in joined:
            alone.append(code)
    return alone


def _initials(code: str) -> str:
    """Return the capitals of a name, by which it may be abbreviated: "JavaScript", "JS"."""
    capitals = "".join(filter(str.isupper, code))
    return capitals if len(capitals) > 1 else code
