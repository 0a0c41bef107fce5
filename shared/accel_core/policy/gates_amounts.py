"""How much of something is asked for: all, some, one, each, the sum, the mean.

Words of one class say the same ("all", "every"); words of two classes ask for different amounts
where each stands in one text only.

Invariant: symmetric; what both texts say is no contrast.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from accel_core.policy.english import ALL_WORDS, AUXILIARIES, COURTESIES, LIST_WORDS
from accel_core.policy.reading import singular

if TYPE_CHECKING:
    from accel_core.policy.reading import Reading

_ALL = (ALL_WORDS | {"both"}) - {"complete", "full"}  # "before it is complete"
_WHOLE = _ALL | LIST_WORDS
_GENERIC = frozenset({"a", "an"})
_ONE = frozenset("one single any a an example first another current individual either".split())
_SHARE = frozenset("half part partial partly portion slice piece most few several".split())
_FULL = frozenset({"full", "complete"})
_HALVES = frozenset("half partial part portion".split())
_NAMED = frozenset({"name"})  # "name a river" is no list
_MANY = frozenset("several multiple many various numerous".split())
_SUM = frozenset("total altogether combined sum overall whole entire".split())
_EACH = frozenset("each every per individual single apiece".split())
_MEAN = frozenset("average mean typical median".split())
_ONCE = frozenset("once one single".split())
_TWICE = frozenset("twice double both couple pair two".split())
_THRICE = frozenset("thrice triple three".split())
_CONTRASTS = (
    (_ALL, _SHARE), (_FULL, _HALVES), (_SUM, _EACH), (_SUM, _MEAN), (_TWICE, _ONCE),
    (_THRICE, _ONCE), (_THRICE, _TWICE),
)  # fmt: skip
_COUNTING = frozenset("few lot list couple number bit little set range variety".split())
_BEFORE_NAMES = frozenset({"which", "what", "a", "an", "one", "another", "every", "each"})
_PLURALS = _WHOLE | _MANY | {"few", "lots", "different"}
_NEAREST = 3
_CLASSES = (
    _PLURALS | _ONE | _SHARE | _SUM | _EACH | _MEAN | _HALVES | _ONCE | _TWICE | _THRICE
) - _GENERIC


def amounts(reading: Reading) -> bool:
    """Whether a text names an amount."""
    return not _CLASSES.isdisjoint(reading.words)


def contrasted(a: Reading, b: Reading, alone_a: set[str], alone_b: set[str]) -> bool:
    """Whether two texts, each of which has some words alone, ask for different amounts."""
    return _other_amount(a, b, alone_a, alone_b) or _other_amount(b, a, alone_b, alone_a)


def _other_amount(one: Reading, other: Reading, alone: set[str], theirs: set[str]) -> bool:
    """Whether `one` asks for more than `other`."""
    whole = _WHOLE & alone
    sole = _WHOLE.isdisjoint(theirs - _NAMED)
    if whole and sole:
        if "every" in alone and "one" in other.words:
            return True  # "every one of them"
        partial = theirs & (_ONE - _GENERIC if _of_any(one) or _of_any(other) else _ONE)
        if partial - _idle(other):
            return True
        if not _ALL.isdisjoint(alone) and "some" in theirs and _of_any(one) and _of_any(other):
            return True  # of "some tips" one expects as many as of "tips"
    for more, less in _CONTRASTS:
        if not (more.isdisjoint(alone) or less.isdisjoint(theirs)) and (
            less.isdisjoint(alone) and more.isdisjoint(theirs)
        ):
            return True
    if not _HALVES.isdisjoint(theirs) and not _ALL.isdisjoint(one.words):
        return _HALVES.isdisjoint(one.words)
    several = not _PLURALS.isdisjoint(alone) or "one" in theirs
    return several and sole and _singled(one, other)


def _of_any(reading: Reading) -> bool:
    """Whether "a" means any: whether, and why, "a" cat purrs, is asked of every cat."""
    words = reading.words
    begin = next((at for at, word in enumerate(words) if word not in COURTESIES), 0)
    first, second = (*words[begin : begin + 2], "", "")[:2]
    return (first in AUXILIARIES and second != "you") or first == "why"  # not "can you list"


def _idle(reading: Reading) -> set[str]:
    """Return articles that belong to a count: "a few", "a list"."""
    words = reading.words
    counts = {
        word for word, following in pairwise(words) if word in _GENERIC and following in _COUNTING
    }
    return counts if sum(word in _GENERIC for word in words) == 1 else set()


def _singled(one: Reading, other: Reading) -> bool:
    """Whether `other` names one of what `one` names several of: "a river", "list the rivers"."""
    plural = {
        singular(word) for word in one.words if word not in other.words and singular(word) != word
    }
    if not plural:
        return False
    words = other.words
    return any(
        word in _BEFORE_NAMES and not plural.isdisjoint(words[place + 1 : place + 1 + _NEAREST])
        for place, word in enumerate(words)
    )
