"""The gate against filler: text put around a request to drag its vector near another question.

An attacker stores a request of his own among the words of a question he expects (CacheAttack, arXiv
2601.23088), and the question is then answered with what the request got. Such a text says what the
question says and goes on, or says it over and over. Nothing is read but lengths and words, so it
holds for every language.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accel_core.policy.difference import Difference, Lexicon

_GOES_ON = 3
_LONGER = 2.0
_DISTINCT = 0.75
_FEW = 8


def filler(difference: Difference, lexicon: Lexicon) -> bool:  # noqa: ARG001 - a gate's signature
    """Whether one side is twice as long and says all the other says, or repeats itself."""
    a, b, only_a, only_b, _ = difference
    if len(a.words) < len(b.words):
        short, long, only_short, only_long = a, b, only_a, only_b
    else:
        short, long, only_short, only_long = b, a, only_b, only_a
    goes_on = not only_short.strong and len(only_long.strong) >= _GOES_ON
    if len(long.words) < _LONGER * len(short.words):
        return False
    return goes_on or _repeats(long.stems)


def _repeats(stems: tuple[str, ...]) -> bool:
    """Whether a text of some length says much of it twice."""
    return len(stems) > _FEW and len(set(stems)) < _DISTINCT * len(stems)
