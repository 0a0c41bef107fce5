"""Gates on English sentences: what is asked for, in which order, and what one of them adds.

Invariant: symmetric; what means the same in another order ("and", "vs", a clause in front) passes.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice, pairwise
from typing import TYPE_CHECKING, NamedTuple

from accel_core.policy.difference import compare
from accel_core.policy.english import (
    COURTESIES,
    NEGATIONS,
    WEAK_WORDS,
)
from accel_core.policy.gates_roles import ARTICLES, turned
from accel_core.policy.gates_words import akin, near, one_name, opposed, spelled_out, tight

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.policy.difference import Difference, Lexicon, Side
    from accel_core.policy.reading import Reading

_BE = frozenset({"is", "are", "was", "were", "am", "be"})
_SYMMETRIC = frozenset(
    "vs versus between difference differences differ different compare compared comparison distance"
    " far similar similarity same equal relationship related both distinguish".split()
)
_DISTANCE = frozenset({"far", "distance"})
_BEARINGS = frozenset(
    "north south east west above below ahead behind".split()
)  # "how far north of"
_JOINS = frozenset("and or nor plus times with".split())
_INTO = frozenset({"to", "into", "onto", "as"})
_PLACES = frozenset({"here", "there"})

CONDITIONS = frozenset(
    "in with without for on using under if when after before at as from during via through except"
    " only while inside outside near by over above below against unless until than".split()
)
_DECIDED_ELSEWHERE = (WEAK_WORDS - COURTESIES) | NEGATIONS  # "how do I say hello"
_BOUNDS = (frozenset({"over", "above", "more", "greater"}), frozenset({"under", "below", "less"}))
_SAID_AT_ALL = frozenset("supposed named used united unusual".split())
_SHORT = 4
_KINDS = re.compile(r".+(?:(?<!e)ed|free|less|s'|'s)|(?:non|un(?!i|der|cle|til)).+|free")
_FORMS = frozenset({"same", "synonym", "derived"})
_EDGE = 3
_TYPO_LENGTH = 5
_ENDING = 3
_FRAME = 3


def direction(difference: Difference, lexicon: Lexicon) -> bool:
    """From A to B for B to A, who acts for what is acted on, or two words exchanged around another.

    Not beside an opposite: who lost to A is whom A beat.
    """
    a, b = difference.a, difference.b
    if not near(difference) or _equals(a) or _equals(b):
        return False
    difference = aligned(difference, lexicon)
    a, b = difference.a, difference.b
    if _crossed(a, b):
        return True
    if turned(difference, lexicon, tight=tight(difference)) or _traded(a, b):
        return not opposed(difference, lexicon)
    if difference.only_a.content or difference.only_b.content:
        return False
    return _exchanged([a.stems[p] for p in bare(a)], [b.stems[p] for p in bare(b)])


def _equals(reading: Reading) -> bool:
    """Whether a text says of two things what holds either way round, as a distance does."""
    said = _SYMMETRIC.intersection(reading.words)
    return bool(said) and not (said <= _DISTANCE and not _BEARINGS.isdisjoint(reading.words))


def _traded(a: Reading, b: Reading) -> bool:
    """Whether two words, apart from one another, each stand behind what the other stood behind.

    "Does A harm B", "does B do A harm": the order alone says nothing ("in A, how do I B").
    """
    slots_a, slots_b = _slots(a), _slots(b)
    both = [stem for stem in slots_a if stem in slots_b]
    if both == [stem for stem in slots_b if stem in slots_a]:
        return False
    for end, later in enumerate(both):
        for earlier in both[:end]:
            one, other = slots_a[earlier], slots_a[later]
            two, another = slots_b[earlier], slots_b[later]
            if two.at < another.at or (one.behind, other.behind) != (another.behind, two.behind):
                continue
            if _parted(a, one.at, other.at) and _parted(b, another.at, two.at):
                return True
    return False


class _Slot(NamedTuple):
    """Where a word stands, and the stem before it, articles aside."""

    at: int
    behind: str


def _slots(reading: Reading) -> dict[str, _Slot]:
    """Return by stem where the words stand that carry meaning, occur once, and follow another."""
    return {
        reading.stems[place]: _Slot(place, reading.stems[before])
        for before, place in pairwise(bare(reading))
        if reading.content[place] and reading.stems.count(reading.stems[place]) == 1
    }


def _parted(reading: Reading, first: int, second: int) -> bool:
    """Whether words stand between two, and none that joins equals."""
    between = set(reading.words[first + 1 : second]) - ARTICLES
    return bool(between) and between.isdisjoint(_JOINS)


def aligned(difference: Difference, lexicon: Lexicon) -> Difference:
    """Return the difference where a word stands for its form or synonym in the other text.

    Only where it has one and no more: "Canadians" for "Canada", "beat" for "defeat".
    """
    a, b, only_a, only_b, _ = difference
    pairs = [
        (one, other)
        for one in _telling(a, only_a)
        for other in _telling(b, only_b)
        if lexicon.relation(one, other) in _FORMS
    ]
    if not pairs:
        return difference
    ones, others = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    instead = {
        b.stems[b.words.index(other)]: a.stems[a.words.index(one)]
        for one, other in pairs
        if ones[one] == others[other] == 1
    }
    return compare(a, b._replace(stems=tuple(instead.get(s, s) for s in b.stems)), lexicon)


def _telling(reading: Reading, side: Side) -> set[str]:
    return {reading.words[place] for place in side.content} - WEAK_WORDS


def _crossed(a: Reading, b: Reading) -> bool:
    """Whether what one text comes from is what the other goes to."""
    from_a, before_a, to_a, next_a = _ends(a)
    from_b, before_b, to_b, next_b = _ends(b)
    if from_a & next_b - from_b - to_a or from_b & next_a - from_a - to_b:
        return True
    source_a, source_b = from_a | before_a, from_b | before_b
    return bool((source_a - to_a) & (to_b - source_b) and (source_b - to_b) & (to_a - source_a))


def _ends(reading: Reading) -> tuple[set[str], set[str], set[str], set[str]]:
    """Return stems: after "from", before "to", after it up to three, and next to it."""
    source: set[str] = set()
    before: set[str] = set()
    target: set[str] = set()
    nearest: set[str] = set()
    for place, word in enumerate(reading.words):
        if word in _INTO:
            target.update(_run(reading, place, 1))
            nearest.update(islice(_run(reading, place, 1), 1))
            before.update(_run(reading, place, -1))
        elif word == "from" and not "".join(reading.words[place + 1 : place + 2]).endswith("ing"):
            source.update(_run(reading, place, 1))  # not "stop it from barking"
    return source, before, target, nearest


def _run(reading: Reading, place: int, step: int) -> Iterator[str]:
    """Yield stems of the content words next to `place`, over articles, up to three."""
    place += step
    taken = 0
    while 0 <= place < len(reading.words) and taken < _EDGE:
        if reading.content[place] or reading.words[place] in _PLACES:
            yield reading.stems[place]
            taken += 1
        elif taken or reading.words[place] not in ARTICLES:
            return
        place += step


def bare(reading: Reading) -> list[int]:
    """Return the places of all words but articles."""
    return [place for place, word in enumerate(reading.words) if word not in ARTICLES]


def _exchanged(a: list[str], b: list[str]) -> bool:
    """Whether X M Y became Y M X, with the same before and after, and M not empty."""
    if len(a) != len(b) or a == b:
        return False
    start, end = 0, len(a)
    while a[start] == b[start]:
        start += 1
    while a[end - 1] == b[end - 1]:
        end -= 1
    a, b = a[start:end], b[start:end]
    size = len(a)
    for left in range(1, size - 1):
        if a[:left] != b[size - left :]:
            continue
        for right in range(1, size - left):
            between = a[left : size - right]
            if a[size - right :] == b[:right] and between == b[right : size - left]:
                # "is" joins equals: "45 is what share of 60"
                return _JOINS.isdisjoint(between) and not _BE.issuperset(between)
    return False


def exchange(difference: Difference, lexicon: Lexicon) -> bool:
    """The same sentence with one word for another that does not say the same."""
    if not difference.only_a.content or not difference.only_b.content:
        return False
    middle_a, middle_b = middles(difference)
    if len(middle_a) != 1 or len(middle_b) != 1:
        return False
    a, b = difference.a, difference.b
    if not (a.content[middle_a[0]] and b.content[middle_b[0]]):
        return False
    one, other = a.words[middle_a[0]], b.words[middle_b[0]]
    if spelled_out({one}, b, difference.only_b) or spelled_out({other}, a, difference.only_a):
        return False
    return apart(one, other, lexicon)


def condition(difference: Difference, _: Lexicon) -> bool:
    """The same sentence with a condition put in: "for children", "without a car", "leased" cars."""
    if bool(difference.only_a.strong) == bool(difference.only_b.strong):
        return False
    middle_a, middle_b = middles(difference)
    if middle_a and middle_b:
        return _of_others(difference, middle_a, middle_b)
    if not middle_a and not middle_b:
        return False
    reading, middle = (difference.a, middle_a) if middle_a else (difference.b, middle_b)
    words = reading.words
    if words[middle[0]] not in CONDITIONS:
        return _of_a_kind(reading, middle)
    return any(reading.content[place] and words[place] not in WEAK_WORDS for place in middle[1:])


def _of_others(difference: Difference, middle_a: list[int], middle_b: list[int]) -> bool:
    """Whether one text asks for oneself, the other for people of some kind."""
    a, b = difference.a, difference.b
    if not difference.only_a.strong:
        a, b, middle_a, middle_b = b, a, middle_b, middle_a
    if [b.words[place] for place in middle_b] != ["i"]:
        return False
    return all(a.content[place] and a.words[place] != "one" for place in middle_a)


def _of_a_kind(reading: Reading, middle: list[int]) -> bool:
    """Whether what stands in the middle makes the noun after it another kind of thing.

    A participle ("leased"), a genitive ("women's") or what is left out ("fat free", "unpaid") does.
    """
    last = middle[-1]
    word = reading.words[last]
    if len(middle) > _EDGE or last + 1 >= len(reading.words) or not reading.content[last + 1]:
        return False
    if not all(reading.content[place] for place in middle) or word in _SAID_AT_ALL:
        return False
    named = reading.stems[last] in reading.names
    return not named and len(word) >= _SHORT and _KINDS.fullmatch(word) is not None


def middles(difference: Difference) -> tuple[list[int], list[int]]:
    """Return the places between what two texts begin with and end with alike, articles aside.

    None where they are too short to be a frame.
    """
    a, b = difference.a, difference.b
    places_a, places_b = bare(a), bare(b)
    shorter = min(len(places_a), len(places_b))
    start = end = 0
    while start < shorter and a.stems[places_a[start]] == b.stems[places_b[start]]:
        start += 1
    while end < shorter - start and a.stems[places_a[-1 - end]] == b.stems[places_b[-1 - end]]:
        end += 1
    if start + end < _FRAME:
        return [], []
    return places_a[start : len(places_a) - end], places_b[start : len(places_b) - end]


def apart(one: str, other: str, lexicon: Lexicon) -> bool:
    """Whether two words say different things, as far as is known; neither is mistyped."""
    if not _DECIDED_ELSEWHERE.isdisjoint((one, other)) or one_name(one) == one_name(other):
        return False
    if any(one in bound and other in bound for bound in _BOUNDS):
        return False
    if akin(one, other, lexicon):
        return False
    if lexicon.relation(one, other) != "unknown":
        return True
    return not (_mistyped(one, other) or _derived(one, other))


def _derived(one: str, other: str) -> bool:
    """Whether two long words differ by little more than an ending: "vaccine", "vaccination"."""
    shorter, longer = sorted((one, other), key=len)
    stem = shorter[:-_ENDING]
    return len(stem) >= _TYPO_LENGTH and longer.startswith(stem) and stem != shorter


def _mistyped(one: str, other: str) -> bool:
    """Whether two long words differ by one letter left out, put in, exchanged or swapped."""
    shorter, longer = sorted((one, other), key=len)
    if len(longer) < _TYPO_LENGTH or len(longer) - len(shorter) > 1:
        return False
    start = 0
    while start < len(shorter) and shorter[start] == longer[start]:
        start += 1
    rest, longer_rest = shorter[start:], longer[start:]
    if len(shorter) < len(longer):
        return rest == longer_rest[1:]
    return rest[1:] == longer_rest[1:] or (
        rest[:2] == longer_rest[1::-1] and rest[2:] == longer_rest[2:]
    )
