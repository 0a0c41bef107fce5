"""Which messages need no documents: small talk, and questions about the conversation itself.

Small talk is greetings, thanks, farewells, acknowledgements, and what people say of themselves and
of the assistant.

Invariant: a message is small talk only where known phrases cover every word of it. "Hi, how do I
reset my password?" is a question, and so is every text in a language, a script or words that the
phrases do not know: searching in vain costs milliseconds, not searching costs the answer.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from accel_core.errors import ConfigError
from accel_core.policy.small_talk_words import KINDS, LANGUAGES, Kind, Phrase

_MAX_CHARACTERS = 400
_MAX_WORDS = 40
"""Longer messages hold something beside small talk."""
_FILLER: Final = KINDS.index("filler")

_ACCENTS = re.compile("[\u0300-\u036f]+")
_APOSTROPHES = re.compile("['\u2018\u2019\u02bc\u2032\u00b4`]")
_WORD = re.compile(r"[a-z0-9]+")
_PLAIN = re.compile(r"[a-z0-9\s.,!?;:\-\u2013\u2014\u2026\"\u201c\u201d()*~\u00a1\u00bf]*")
_SMILEYS = re.compile(
    "[\U0001f600-\U0001f64f\U0001f44b-\U0001f44f\U0001f910-\U0001f92f\U0001f970-\U0001f97a"
    "\U0001f389\U0001f38a\U0001f4aa\U0001f525\U0001f495-\U0001f49f\u2728\u263a\u2764\u2705"
    "\U0001f91d\U0001f3fb-\U0001f3ff\ufe0f\u200d]+"
    r"|(?<!\w)(?:[:;=8x]-?[)(dpo3|/\]\[*]+|<3+|\^_*\^|x+d+)(?!\w)"
)
_STRETCHED = re.compile(r"(.)\1{2,}")


class Said(NamedTuple):
    """The words of a message, in the phrases' spelling, and whether it held a smiley."""

    words: list[str]
    smiled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallTalk:
    """Knows small talk by heart.

    Attributes:
        languages: whose phrases are known: ``de``, ``en``, ``es``, ``fr``.
    """

    languages: tuple[str, ...] = tuple(LANGUAGES)

    def __post_init__(self) -> None:
        for name in self.languages:
            if name not in LANGUAGES:
                expected = f"must be of {', '.join(LANGUAGES)}"
                raise ConfigError("languages", name, expected)

    def kind(self, text: str) -> Kind | None:
        """Return what kind of small talk all of `text` is, or None.

        >>> SmallTalk().kind("Hi there, thank you so much!"), SmallTalk().kind("Hi, any news?")
        ('thanks', None)
        """
        said = _said(text)
        if said is None:
            return None
        if not said.words:
            return "acknowledgement" if said.smiled else None
        table = _table(self.languages)
        return _covered([table.spelled(word) for word in said.words], table)


class _Table:
    """The phrases of some languages, by the words they begin with."""

    def __init__(self, languages: tuple[str, ...]) -> None:
        self.by_first: dict[str, list[tuple[int, Phrase]]] = {}
        self._vocabulary: set[str] = set()
        for language in languages:
            for rank, kind in enumerate(KINDS):
                for spelled in getattr(LANGUAGES[language], kind).split(";"):
                    phrase = Phrase(spelled)
                    self._vocabulary |= phrase.vocabulary()
                    for word in phrase.first_words():
                        self.by_first.setdefault(word, []).append((rank, phrase))

    def spelled(self, word: str) -> str:
        """Return `word`, without its stretched letters where that makes it known: "hiiii"."""
        if word in self._vocabulary:
            return word
        for letters in (r"\1\1", r"\1"):
            shorter = _STRETCHED.sub(letters, word)
            if shorter in self._vocabulary:
                return shorter
        return word


@cache
def _table(languages: tuple[str, ...]) -> _Table:
    return _Table(languages)


def _covered(words: list[str], table: _Table) -> Kind | None:
    """Return the most telling kind with which phrases cover all of `words`, or None."""
    if len(words) > _MAX_WORDS:
        return None
    best = {0: _FILLER}  # how far phrases reach, and the most telling of them
    for start, word in enumerate(words):
        if start not in best:
            continue
        for rank, phrase in table.by_first.get(word, ()):
            for end in phrase.ends(words, start):
                best[end] = min(best[start], rank, best.get(end, _FILLER))
    found = best.get(len(words), _FILLER)
    return None if found == _FILLER else KINDS[found]


def _said(text: str) -> Said | None:
    """Return what `text` says; None where it holds more than words, marks and smileys."""
    if len(text) > _MAX_CHARACTERS:
        return None
    lower = text.lower()
    without = _SMILEYS.sub(" ", lower)
    plain = _APOSTROPHES.sub("", without)
    if not plain.isascii():
        plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", plain.casefold()))
    if not _PLAIN.fullmatch(plain):
        return None
    return Said(_WORD.findall(plain), without != lower)
