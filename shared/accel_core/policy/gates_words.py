"""Gates on English words of which one turns an answer into another: names, negations, opposites.

They look at the words that stand alone on either side, and only inside a frame: in "is the first
episode" and "is the last episode" the words around say that "first" was exchanged for "last", which
the same two words in sentences of other words do not.

Invariant: symmetric, and silent where no word stands alone.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from accel_core.policy.english import (
    DATE_ALIASES,
    DATE_WORDS,
    FUNCTION_WORDS,
    LIGHT_VERBS,
    NAME_ALIASES,
    NEGATING_PREFIXES,
    NEGATIONS,
    NUMBER_WORDS,
    OPPOSITE_PARTS,
    OPPOSITES,
    ROMAN_NUMERALS,
    SAME_QUANTITIES,
    UNIT_ALIASES,
    WEAK_WORDS,
)
from accel_core.policy.everyday import alike
from accel_core.policy.gates_amounts import amounts, contrasted
from accel_core.policy.gates_roles import turned
from accel_core.policy.reading import singular, stem, trimmed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from accel_core.policy.difference import Difference, Lexicon, Side
    from accel_core.policy.reading import Reading

_NEAR = 3
_FEW = 5
_NAMES = UNIT_ALIASES, DATE_ALIASES, NAME_ALIASES, NUMBER_WORDS, SAME_QUANTITIES
_REMEMBERED = 4_096
RELATED = frozenset({"same", "synonym", "derived", "broader"})
_HEADLINE_WORDS = 4
_ROMAN = frozenset("ivx")

_ASIDE = re.compile(  # negations that turn nothing
    r"\b(?:do not|don't|dont|not|cannot|can't|cant) (?:really )?"
    r"(?:know|understand|remember|sure|find|figure)\b"
    r"|\bi(?:'m| am)? (?:can't|cant|cannot|can not|couldn't|could not|not able)\b"
    r"|\b(?:not|isn't|aren't|doesn't|don't|doesnt|dont|won't|wont) work(?:ing|s)?\b"
    r"|\b(?:or|if|or why|whether or) not\b|\bnot only\b|\bno longer\b|\bno(?=[.:]| \d)|\bor no\b"
    r"|\bno (?:more|less|fewer|\w+er) than\b"
    r"|(?:^|[.?!,;] )(?:is|are|was|were|do|does|did|has|have|can|could|would|should|wo)n't\b"
    r"|^(?:is|are|was|were|do|does|did|has|have) (?:it|this|that|there|you) not\b"
)
_UNDOING = frozenset(
    "unable avoid avoiding prevent prevents preventing stop stops stopping fail fails failed"
    " failing lack lacks lacking refuse refuses refused missing impossible instead rather keep"
    " free".split()
)
_NEEDING = frozenset("need needs needed require requires required necessary must".split())
_SHORTEST_REST = 3
_NO_CONTRAST = NEGATIONS | LIGHT_VERBS
_COUNTERPARTS: dict[str, set[str]] = {}
for _one, _other in map(tuple, OPPOSITES):
    for _left, _right in ((_one, _other), (stem(_one), stem(_other))):
        _COUNTERPARTS.setdefault(_left, set()).add(_right)
        _COUNTERPARTS.setdefault(_right, set()).add(_left)
_PART_PAIRS = (*OPPOSITE_PARTS, *((other, one) for one, other in OPPOSITE_PARTS))
_PARTS = tuple(part for part, _ in _PART_PAIRS)
_SAYING_LITTLE = FUNCTION_WORDS | WEAK_WORDS | LIGHT_VERBS
_PARTICLES = frozenset("in out on off up down over under into at for against with like".split())

_THAN = re.compile(r"\b(no |not )?(more|less|fewer|worse|\w{2,}er)(?: \w+){0,2} than\b")
_BOUND = re.compile(
    r"\b(no |not )?(over|above|exceeds?|exceeding|least|minimum|under|below|up to|most|within"
    r"|maximum|more|less|fewer) (?:than |of |the |a |about |age )?[$€£]?\d"
)
_UPWARDS = frozenset(
    "more greater bigger larger higher older longer taller heavier faster later over above better"
    " exceed exceeds exceeding least minimum stronger wider deeper farther further richer".split()
)
_DOWNWARDS = frozenset(
    "less fewer lower smaller shorter younger newer lighter slower earlier under below worse within"
    " most maximum weaker narrower shallower closer nearer poorer cheaper".split()
) | {"up to"}  # fmt: skip
_COMPARES = _UPWARDS | _DOWNWARDS | {"than", "up"}
_BEFORE, _AFTER = frozenset({"before", "prior", "until", "till"}), frozenset({"after", "since"})

_NO_SUPERLATIVES = frozenset(
    "interest request suggest forest invest contest guest honest protest harvest digest arrest"
    " modest manifest earnest conquest quest chest nest pest vest crest fest detest attest"
    " ingest divest infest west test rest".split()
)
_EXTREMES = frozenset("most least best worst first last maximum minimum max min".split())
_MARKS = frozenset({"most", "least"})
_NEUTRAL = frozenset({"best", "greatest"})
_LIMITS = {"max": "maximum", "most": "maximum", "min": "minimum", "least": "minimum"}
_LOOSE = _NEUTRAL | {"maximum", "first", "last"}  # "most people", "what should I do first"


def near(difference: Difference) -> bool:
    """Whether at most three words on each side are unexplained."""
    return len(difference.only_a.strong) <= _NEAR and len(difference.only_b.strong) <= _NEAR


def alone(difference: Difference) -> tuple[set[str], set[str]]:
    """Return the words that each side has alone."""
    words_a, words_b = difference.a.words, difference.b.words
    return (
        {words_a[place] for place in difference.only_a.places},
        {words_b[place] for place in difference.only_b.places},
    )


def related(some: Iterable[str], others: Iterable[str], lexicon: Lexicon) -> bool:
    """Whether one of `some` says the same as one of `others`, or more broadly."""
    return any(akin(one, other, lexicon) for one in some for other in others)


def akin(one: str, other: str, lexicon: Lexicon, relations: Collection[str] = RELATED) -> bool:
    """Whether two words stand in one of `relations`, or everyday use puts them together."""
    return lexicon.relation(one, other) in relations or alike(one, other)


def compounds(words: tuple[str, ...]) -> set[str]:
    """Return the words of a text, and what two neighbours spell together: "wi fi", "wifi"."""
    return {left + right for left, right in pairwise(words)}.union(words)


@lru_cache(_REMEMBERED)
def one_name(word: str) -> str:
    """Return how a value is named here, however it is written: "mg", "Sept", "USA", "II", "1.50".

    >>> one_name("lbs"), one_name("xmas"), one_name("iv"), one_name("order")
    ('pound', 'christmas', '4', 'order')
    """
    if word[0].isdigit():
        return trimmed(word.replace(",", ""))
    single = singular(word)
    for name in (word, single):
        for table in _NAMES:
            if name in table:
                return table[name]
    return ROMAN_NUMERALS.get(word.upper(), word if word in DATE_WORDS else single)


def entity(difference: Difference, lexicon: Lexicon) -> bool:
    """One name for another, or one more name and nothing else.

    An acronym and what it stands for are one name.
    """
    a, b, only_a, only_b, _ = difference
    if not (a.names or b.names) or not near(difference):
        return False
    names_a, names_b = _names(a, only_a, b), _names(b, only_b, a)
    if not (names_a or names_b):
        return False
    if spelled_out(names_a, b, only_b) or spelled_out(names_b, a, only_a):
        return False
    if names_a and names_b:
        return not related(names_a, names_b, lexicon)
    strong = {*only_a.strong, *only_b.strong}
    return 0 < len(strong) <= 2 and strong <= names_a | names_b


def _names(reading: Reading, side: Side, other: Reading) -> set[str]:
    """Return the names that a text has alone; of a headline, where all is capitalised, none."""
    words, stems, names, codes = reading.words, reading.stems, reading.names, reading.codes
    found = {
        words[place]
        for place in side.places
        if stems[place] in names
        and words[place] != "ok"
        and (reading.content[place] or words[place].upper() in codes)
    }
    if found:
        inner = {
            stem for stem, carries in zip(stems[1:], reading.content[1:], strict=True) if carries
        }
        if len(inner) >= _HEADLINE_WORDS and inner <= names:
            return set()
        found -= compounds(other.words)
    return found


def spelled_out(names: set[str], other: Reading, side: Side) -> bool:
    """Whether one of `names` abbreviates what `other` has alone: "GDP", "JS", "America"."""
    if not names:
        return False
    theirs = {other.words[place] for place in side.places}
    brief = set(map(one_name, names))
    if not brief.isdisjoint(map(one_name, theirs)):
        return True
    every = "".join(_initial(other.words[place]) for place in side.places)
    content = "".join(_initial(other.words[place]) for place in side.content)
    capitals = {"".join(filter(str.isupper, code)).lower() for code in other.codes}
    return any(
        name in capitals or (len(name) > 1 and (name in every or name in content)) for name in brief
    )


def _initial(word: str) -> str:
    return word if _ROMAN.issuperset(word) else word[0]


def negation(difference: Difference, lexicon: Lexicon) -> bool:
    """Negated an odd number of times more, unless by another word ("won't print", "fails to")."""
    a, b = difference.a, difference.b
    if a.negations == b.negations or not near(difference) or not _parity(difference):
        return False
    alone_a, alone_b = alone(difference)
    plain, negated = (alone_b, alone_a) if a.negations > b.negations else (alone_a, alone_b)
    if "without" in negated and not _NEEDING.isdisjoint(plain):
        return False  # whether it can be done without asks whether it is needed
    return _UNDOING.isdisjoint(plain) and not opposed(difference, lexicon)


def _parity(difference: Difference) -> bool:
    return (_negations(difference.a) + _negations(difference.b)) % 2 == 1


def _negations(reading: Reading) -> int:
    """Count what turns the question: not "I don't know how", "or not", or "isn't it …?"."""
    if not reading.negations:
        return 0
    asides = _ASIDE.findall(reading.text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    return max(0, reading.negations - len(asides))


def polarity(difference: Difference, lexicon: Lexicon) -> bool:
    """A word for its opposite, unless something else turns it around again.

    "Not safe" is "unsafe", and A is east of B where B is west of A.
    """
    if not near(difference) or not opposed(difference, lexicon):
        return False
    a, b = difference.a, difference.b
    if (a.negations + b.negations) % 2 or _parity(difference):
        return False
    return not turned(difference, lexicon, tight=tight(difference))


def opposed(difference: Difference, lexicon: Lexicon) -> bool:
    """Whether one side has alone the opposite of what the other has alone."""
    alone_a, alone_b = alone(difference)
    alone_a, alone_b = alone_a - _NO_CONTRAST, alone_b - _NO_CONTRAST
    for one in alone_a:
        turned = _opposites(one)
        for other in alone_b:
            opposite = not turned.isdisjoint(_forms(other)) or (
                one not in _SAYING_LITTLE
                and other not in _SAYING_LITTLE
                and lexicon.relation(one, other) == "antonym"
            )
            if opposite and _contrast(one, other, difference):
                return True
    return False


def _contrast(one: str, other: str, difference: Difference) -> bool:
    """Whether two opposites are set against each other, and not both named by one text."""
    if one in _PARTICLES and other in _PARTICLES and not tight(difference):
        return False
    forms_a = {form for word in difference.a.words for form in _forms(word)}
    forms_b = {form for word in difference.b.words for form in _forms(word)}
    return _opposites(one).isdisjoint(forms_a) and _opposites(other).isdisjoint(forms_b)


def tight(difference: Difference) -> bool:
    """Whether at most one word on each side is unexplained, particles aside."""
    return all(
        sum(word not in _PARTICLES for word in side.strong) <= 1
        for side in (difference.only_a, difference.only_b)
    )


@lru_cache(_REMEMBERED)
def _forms(word: str) -> tuple[str, ...]:
    return word, singular(word), stem(word)


@lru_cache(_REMEMBERED)
def _opposites(word: str) -> frozenset[str]:
    """Return forms of words that mean the opposite of `word`."""
    found: set[str] = set()
    for form in _forms(word):
        found.update(_COUNTERPARTS.get(form, ()))
        if len(form) < _SHORTEST_REST:
            continue
        found.update(f"{prefix}{form}" for prefix in NEGATING_PREFIXES)
        if form.startswith(NEGATING_PREFIXES):
            found.update(_without(form, prefix) for prefix in NEGATING_PREFIXES)
        if form.startswith(_PARTS) or form.endswith(_PARTS):
            for part, counterpart in _PART_PAIRS:
                rest = len(form) - len(part)
                if rest >= _SHORTEST_REST and form.startswith(part):
                    found.add(counterpart + form[len(part) :])
                if rest >= _SHORTEST_REST and form.endswith(part):
                    found.add(form[:rest] + counterpart)
    found.discard("")
    return frozenset(found)


def _without(form: str, prefix: str) -> str:
    """Return `form` without `prefix`, or nothing where too little is left: "unit", "under"."""
    rest = form.removeprefix(prefix)
    return rest if len(rest) >= _SHORTEST_REST and rest != form else ""


def comparator(difference: Difference, lexicon: Lexicon) -> bool:
    """More for less, at least for at most, before for after."""
    if not near(difference):
        return False
    a, b = difference.a, difference.b
    alone_a, alone_b = alone(difference)
    if difference.framed and (_turns(alone_a, alone_b) or _turns(alone_b, alone_a)):
        return True
    ways_a, ways_b = _ways(a), _ways(b)
    if ways_a <= ways_b or ways_b <= ways_a:
        return False
    # "A is faster than B" where "B is slower than A".
    return not (opposed(difference, lexicon) and turned(difference, lexicon, tight=True))


def _turns(some: set[str], others: set[str]) -> bool:
    return not _BEFORE.isdisjoint(some) and not _AFTER.isdisjoint(others)


def _ways(reading: Reading) -> set[str]:
    """Return whether a text compares upwards, downwards or both."""
    words = reading.words
    if _COMPARES.isdisjoint(words):
        return set()
    if "or" in words and not (_UPWARDS.isdisjoint(words) or _DOWNWARDS.isdisjoint(words)):
        return set()  # "bigger or smaller"
    text = reading.text.lower()
    found = set()
    for negated, word in (*_THAN.findall(text), *_BOUND.findall(text)):
        if word in _UPWARDS or word in _DOWNWARDS:
            found.add("up" if (word in _UPWARDS) != bool(negated) else "down")
    return found


def superlative(difference: Difference, lexicon: Lexicon) -> bool:
    """One extreme for another ("first", "last", "cheapest", "fastest"), or one added alone.

    "Best" names no measure and agrees with any other; "worst" is its opposite.
    """
    a, b, only_a, only_b, _ = difference
    extremes_a, extremes_b = _extremes(a, only_a), _extremes(b, only_b)
    if not difference.framed:  # among more words only opposites count: "earliest", "latest"
        few = len(only_a.strong) <= _FEW and len(only_b.strong) <= _FEW
        return few and any(not _opposites(one).isdisjoint(extremes_b) for one in extremes_a)
    if extremes_a and extremes_b:
        if extremes_a <= _NEUTRAL or extremes_b <= _NEUTRAL or extremes_a & extremes_b:
            return False
        return not related(extremes_a, extremes_b, lexicon)
    added = (extremes_a | extremes_b) - _LOOSE
    return bool(added) and len(only_a.strong) + len(only_b.strong) <= 1


def _extremes(reading: Reading, side: Side) -> set[str]:
    """Return the superlatives that a text has alone; "the easiest way" asks how, like any."""
    words = reading.words
    return {
        _LIMITS.get(words[place], words[place])
        for place in side.places
        if words[place] in _EXTREMES
        or (
            len(words[place]) > 4
            and words[place].endswith("est")
            and words[place] not in _NO_SUPERLATIVES
        )
        or (place and words[place - 1] in _MARKS and reading.content[place])
    }


def quantity(difference: Difference, _: Lexicon) -> bool:
    """All for one or for some, a list for one of its members, the sum for each or for the mean."""
    if not (amounts(difference.a) or amounts(difference.b)) or not near(difference):
        return False
    return contrasted(difference.a, difference.b, *alone(difference))
