"""Whether two answers to one question say the same, where nobody who knows is asked.

Equal words are equal answers. Otherwise numbers, negations and identifiers must agree, because no
vector shows them, and the vectors must be near. Strict rather than lenient: calling a right answer
wrong costs hits, calling a wrong one right moves the bound that rests on it. So do outcomes that
are missing where they would be wrong: texts in which the encoder does not see (long ones, other
scripts) are therefore the same in equal words only, rather than in doubt.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

from accel_core.policy.difference import compare
from accel_core.policy.gates import GATES, fired
from accel_core.policy.reading import read

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.policy.difference import Lexicon

_DECISIVE: Final = {name: GATES[name] for name in ("number", "negation", "identifier")}
_LEAST: Final = 0.9
"""Cosine from which two answers may say the same; two of another subject stay far below."""
_MEANT: Final = frozenset("#%&/\\@\N{SECTION SIGN}\N{PER MILLE SIGN}")
"""Punctuation that means something beside a word."""


class SameAnswer:
    """The comparison used where the application gives none.

    Args:
        cosine: of two texts, 0 where the encoder does not see in one, None where it failed; may
            block.
        lexicon: word knowledge.
    """

    def __init__(self, cosine: Callable[[str, str], float | None], lexicon: Lexicon) -> None:
        self._cosine, self._lexicon = cosine, lexicon

    def __call__(self, question: str, stored: str, new: str) -> bool | None:  # noqa: ARG002
        """Return whether both say the same; None where that cannot be said."""
        one, other = plain(stored), plain(new)
        if one == other:
            return True if one else None
        cosine = self._cosine(stored, new)
        if cosine is None:
            return None
        difference = compare(read(stored), read(new), self._lexicon)
        return cosine >= _LEAST and fired(difference, self._lexicon, _DECISIVE) is None


def plain(text: str) -> str:
    """Return `text` without case and punctuation in which two spellings of one answer may differ.

    >>> plain("Yes,  it is!") == plain("yes it is"), plain("3.5") == plain("35")
    (True, False)
    """
    return " ".join(word for word in map(_bare, text.casefold().split()) if word)


def _bare(word: str) -> str:
    """Return `word` without what may stand around it or not."""
    start, end = 0, len(word)
    while start < end and _mute(word[start]):
        start += 1
    while start < end and _mute(word[end - 1]):
        end -= 1
    return word[start:end]


def _mute(sign: str) -> bool:
    """Whether `sign` is punctuation in any script; dashes may be a minus."""
    if sign == "`":
        return True
    kind = unicodedata.category(sign)
    return kind[0] == "P" and kind != "Pd" and sign not in _MEANT
