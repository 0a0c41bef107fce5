"""How the rules of a language are written.

Rules see a text in one spelling: no capitals, no accents (``ß`` as ``ss``), one space between
words, what follows an apostrophe as a word of its own (``what 's``, ``don 't``), and ``. ? ! ; :``
as words where they end something. Each line of a pattern is one way to say it, in whole words;
``<name>`` stands for a term. Gaps are counted, so no text makes a pattern slow.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal["volatile", "personal", "acting"]


class Rule(NamedTuple):
    """One way to ask for what must not be cached.

    Attributes:
        kind: why it must not.
        triggers: words of which the text must hold one for the rule to be tried at all.
        says: what the text must say.
        unless: what makes it harmless when the same sentence says it too.
        firm: whether `Language.work` is no excuse: "the latest version of Python".
    """

    kind: Kind
    triggers: str
    says: str
    unless: str = "<general>"
    firm: bool = False


class Language(NamedTuple):
    """The rules of one language.

    Attributes:
        terms: what ``<name>`` stands for, beside `TERMS`.
        work: what makes a whole text harmless: work on a text or a program, or a title.
        rules: of all kinds.
    """

    terms: dict[str, str]
    work: str
    rules: tuple[Rule, ...]


TERMS: Final = {
    "start": r"(?<=[.?!;:\n] )",
    "end": r"(?= [.?!;:\n])",
    "a": r"[\w'-]+",
    "word": r"[\w'-]+ ",
    "number": r"\d\w*",
    "code": "python|javascript|typescript|java|sql|mysql|regex|html|css|excel|bash|linux|json|git",
}
"""Terms of every language: where a sentence starts and ends, a word, a number, programming."""


def any_of(words: str) -> str:
    r"""Return a pattern of `words`, one a line; ``_`` is a space inside one.

    >>> any_of("news last_night")
    'news\nlast night'
    """
    return "\n".join(word.replace("_", " ") for word in words.split())
