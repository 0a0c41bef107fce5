"""Whether two answers to one question say the same, where nobody who knows is asked.

Equal words are equal answers. Otherwise numbers, negations and identifiers must agree, because no
vector shows them, and the vectors must be near. Strict rather than lenient: calling a right answer
wrong costs hits, calling a wrong one right moves the bound that rests on it.
"""

from __future__ import annotations

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
_AROUND: Final = ".,;:!?\"'()[]{}*_`\N{HORIZONTAL ELLIPSIS}" + "".join(
    ("\N{LEFT DOUBLE QUOTATION MARK}", "\N{RIGHT DOUBLE QUOTATION MARK}",
     "\N{LEFT SINGLE QUOTATION MARK}", "\N{RIGHT SINGLE QUOTATION MARK}")
)  # fmt: skip
"""What may stand around a word or not. Inside a word it means something, and so do - and #."""


class SameAnswer:
    """The comparison used where the application gives none.

    Args:
        cosine: of two texts, or None where the encoder cannot be trusted with either; may block.
        lexicon: word knowledge.
    """

    def __init__(self, cosine: Callable[[str, str], float | None], lexicon: Lexicon) -> None:
        self._cosine, self._lexicon = cosine, lexicon

    def __call__(self, question: str, stored: str, new: str) -> bool | None:  # noqa: ARG002
        """Return whether both say the same; None where that cannot be said."""
        one, other = plain(stored), plain(new)
        if not one or not other:
            return None
        if one == other:
            return True
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
    return word.strip(_AROUND)
