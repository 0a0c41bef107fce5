"""How the phrases of a language are written, and how they are found.

Phrases see a text in one spelling: no capitals, no accents (``ß`` as ``ss``), no apostrophes
(``whats``, ``im``), no punctuation. ``;`` ends a phrase; ``(a|b c)`` stands for one of several,
``(a|b)?`` for one of them or none. A phrase is never searched for inside a sentence: it counts
where phrases cover all of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal[
    "conversation", "small_talk", "thanks", "greeting", "farewell", "acknowledgement", "filler"
]
KINDS: Final[tuple[Kind, ...]] = (
    "conversation", "small_talk", "thanks", "greeting", "farewell", "acknowledgement", "filler",
)  # fmt: skip
"""What a phrase may be, the most telling first."""

_SLOT = re.compile(r"\(([^()]*)\)(\??)|([^()?]+)")


class Phrases(NamedTuple):
    """The phrases of one language.

    Attributes:
        greeting: hello.
        farewell: goodbye.
        thanks: thank you, and what is said to it.
        acknowledgement: understood, yes, no, fine, how nice.
        small_talk: how are you, who are you, what people say of themselves and of the assistant.
        conversation: asks for what was said in this conversation, not for what documents say.
        filler: may stand beside any of these, and means nothing alone.
    """

    greeting: str
    farewell: str
    thanks: str
    acknowledgement: str
    small_talk: str
    conversation: str
    filler: str


class _Slot(NamedTuple):
    """What may stand at one place of a phrase: texts of so many words, and whether any must."""

    texts: dict[int, frozenset[tuple[str, ...]]]
    optional: bool


class Phrase:
    """One phrase, with all its choices.

    Args:
        spelled: as the module's docstring has it.
    """

    __slots__ = ("_slots",)

    def __init__(self, spelled: str) -> None:
        self._slots = [
            _slot((chosen or plain).split("|"), optional=bool(optional))
            for chosen, optional, plain in _SLOT.findall(spelled)
            if (chosen or plain).strip()
        ]

    def first_words(self) -> set[str]:
        """Return the words that it may begin with."""
        found: set[str] = set()
        for slot in self._slots:
            found.update(text[0] for texts in slot.texts.values() for text in texts)
            if not slot.optional:
                break
        return found

    def vocabulary(self) -> set[str]:
        """Return the words that it may hold."""
        texts = (text for slot in self._slots for some in slot.texts.values() for text in some)
        return {word for text in texts for word in text}

    def ends(self, words: Sequence[str], start: int) -> set[int]:
        """Return where it may end when it begins at `start`; linear in its slots."""
        ends = {start}
        for slot in self._slots:
            reached = set(ends) if slot.optional else set()
            for end in ends:
                for length, texts in slot.texts.items():
                    if tuple(words[end : end + length]) in texts:
                        reached.add(end + length)
            if not reached:
                return reached
            ends = reached
        return ends - {start}


def _slot(spelled: Sequence[str], *, optional: bool) -> _Slot:
    texts: dict[int, set[tuple[str, ...]]] = {}
    for words in (tuple(text.split()) for text in spelled):
        texts.setdefault(len(words), set()).add(words)
    return _Slot({length: frozenset(some) for length, some in texts.items()}, optional)
