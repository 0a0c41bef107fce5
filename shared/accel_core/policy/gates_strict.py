"""Gates for strict mode: one side restricts what the other asks for, or asks it of something else.

Two texts are laid side by side by meaning: a word is explained where the other text has a form of
it, a synonym, a broader word for it, or asks for it by its question word ("how" explains "the
way"). What is left says what only one of them is about. A rewording leaves words all over a
sentence; a trap leaves one in the same place, or leaves nothing on one side.

Invariant: symmetric, and silent where nothing is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.policy.english import (
    ALL_WORDS,
    MAGNITUDES,
    NEGATIONS,
    NUMBER_WORDS,
    ONE_WORDS,
    QUANTITIES_ASKED,
)
from accel_core.policy.gates_asked import otherwise, said_by
from accel_core.policy.gates_sentence import CONDITIONS, apart, bare, middles
from accel_core.policy.gates_words import akin, spelled_out

if TYPE_CHECKING:
    from accel_core.policy.difference import Difference, Lexicon, Side
    from accel_core.policy.reading import Reading

_DECIDED = frozenset(
    "between during via through up down off out over upon within against across along around toward"
    " towards among onto per whether else together away back always time".split()
).union(NEGATIONS, NUMBER_WORDS, MAGNITUDES, ALL_WORDS, ONE_WORDS, {"percent", "many", "much"})
"""Words that another gate looks at, or that say no more than how others hang together."""
_RELATIVES = frozenset("that who which whose where made".split())
_MARKS = CONDITIONS | _RELATIVES
_PREPOSITIONS = frozenset("of in on for from with about at by into as".split())
_ASKS = frozenset({"which", "what"})
_BEFORE_UNITS = frozenset("in per a an each every".split())  # "how tall", "how tall in feet"
_REACH = 2
_MOST = 4


def restriction(difference: Difference, lexicon: Lexicon) -> bool:
    """One side says all that the other does, and adds a condition, a kind, or two words or more.

    Where the other says a thing in its own words, only a condition counts; of two things, none.
    """
    strong_a, strong_b = difference.only_a.strong, difference.only_b.strong
    if not (strong_a or strong_b) or min(len(strong_a), len(strong_b)) > 1:
        return False
    left_a, left_b = left(difference, lexicon)
    if bool(left_a) == bool(left_b):
        return False
    reading, places, reworded = (
        (difference.a, left_a, strong_b) if left_a else (difference.b, left_b, strong_a)
    )
    if len(reworded) > 1:
        return False
    places = [place for place in places if not _asked(reading, place)]
    if len(places) > 1 and not reworded:
        return True
    if any(
        not _MARKS.isdisjoint(reading.words[max(0, place - _REACH) : place])
        or reading.stems[place] in reading.names
        for place in places
    ):
        return True
    put_in, beside = middles(difference)
    if left_b:
        put_in, beside = beside, put_in
    return not beside and not set(places).isdisjoint(put_in)


def _asked(reading: Reading, place: int) -> bool:
    """Whether a word says no more than what is asked for: "which city is", not "which big city"."""
    if not place or reading.words[place - 1] not in _ASKS:
        return False
    return place + 1 == len(reading.words) or not reading.content[place + 1]


def substitution(difference: Difference, lexicon: Lexicon) -> bool:
    """One word is left on each side, in the same place, and the two do not say the same.

    Or nothing is left, and "can I" stands where the other has "how do I".
    """
    a, b = difference.a, difference.b
    strong_a, strong_b = difference.only_a.strong, difference.only_b.strong
    if len(strong_a) > _MOST or len(strong_b) > _MOST:
        return False
    left_a, left_b = left(difference, lexicon)
    if not left_a and not left_b:
        return otherwise(a, b)
    if len(left_a) != 1 or len(left_b) != 1:
        return False
    (one,), (other,) = left_a, left_b
    if spelled_out({a.words[one]}, b, difference.only_b):
        return False
    if spelled_out({b.words[other]}, a, difference.only_a):
        return False
    return apart(a.words[one], b.words[other], lexicon) and _same_place(a, one, b, other)


def left(difference: Difference, lexicon: Lexicon) -> tuple[list[int], list[int]]:
    """Return the places of the words that nothing in the other text explains."""
    a, b, only_a, only_b, _ = difference
    return _left(a, only_a, b, only_b, lexicon), _left(b, only_b, a, only_a, lexicon)


def _left(one: Reading, side: Side, other: Reading, theirs: Side, lexicon: Lexicon) -> list[int]:
    asked = said_by(other)
    found: dict[str, int] = {}
    for place in side.content:
        word = one.words[place]
        before = one.words[place - 1] if place else ""
        if word not in side.strong or word in found or word in _DECIDED or len(word) == 1:
            continue
        if (word in QUANTITIES_ASKED and before == "how") or (word == "order" and before == "in"):
            continue  # "how long", "in order to"
        said = (word in asked or one.stems[place] in asked) and before not in _BEFORE_UNITS
        if said or word[0].isdigit() or _explained(word, other, theirs, lexicon):
            continue
        found[word] = place
    places = list(found.values())
    if len(places) > 1 and "".join(one.words[place][0] for place in places) in _brief(other):
        return []  # "United States" is "US"
    return places


def _brief(reading: Reading) -> set[str]:
    return {code.lower() for code in reading.codes}


def _explained(word: str, other: Reading, theirs: Side, lexicon: Lexicon) -> bool:
    return any(akin(word, other.words[place], lexicon) for place in theirs.content)


def _same_place(a: Reading, one: int, b: Reading, other: int) -> bool:
    """Whether two words stand in one place.

    That is after one preposition, beside one word that carries meaning, or between the same two
    words, where the beginning and the end count as words.
    """
    if (_at(a, one - 1), _at(a, one + 1)) == (_at(b, other - 1), _at(b, other + 1)):
        return True
    (before_a, after_a), (before_b, after_b) = _beside(a, one), _beside(b, other)
    same_before = _stem(a, before_a) == _stem(b, before_b)
    same_after = _stem(a, after_a) == _stem(b, after_b)
    if same_before and same_after:
        return True
    if same_before and before_a >= 0:
        return a.content[before_a] or a.words[before_a] in _PREPOSITIONS
    return same_after and after_a >= 0 and a.content[after_a]


def _beside(reading: Reading, place: int) -> tuple[int, int]:
    """Return the places before and after one, articles aside; -1 where there is none."""
    places = [-1, *bare(reading), -1]
    at = places.index(place)
    return places[at - 1], places[at + 1]


def _stem(reading: Reading, place: int) -> str:
    return reading.stems[place] if place >= 0 else ""


def _at(reading: Reading, place: int) -> str:
    return reading.stems[place] if 0 <= place < len(reading.stems) else ""
