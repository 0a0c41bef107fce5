"""Texts as tokens with shapes, and the words by which people mention things.

A shape says how a token is written ("C" capitalised, "w" lower case, "A" capitals, "m" mixed, "9"
digits, "x" letters with digits, and punctuation as it stands): what identifies an e-mail address or
an order's number whatever it is. Work is bounded: of a long text only the end is read, where what
was said last stands.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

CHARACTERS = 8_000
TOKENS = 600
BUCKETS = 4_096
"""Words are counted by a hash into so few buckets that none can be told from its bucket."""
_AROUND = "\"'`.,;:!?()[]{}<>*~|“”‘’«»…"  # noqa: RUF001
_RUNS = re.compile(r"[^\W_]+|_|[^\w]")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[^\W\d_][^\W\d_A-Z]*")
_LONGEST = 80
_ENDS = ".!?:;…"


class Token(NamedTuple):
    """A token of a text.

    Attributes:
        text: without the punctuation around it.
        shape: as the module says.
        lead: bucket of the word before it; -1 at the beginning of a sentence.
    """

    text: str
    shape: str
    lead: int


class Words(NamedTuple):
    """A text: its tokens in order, their bare forms, and the stems of its words."""

    tokens: tuple[Token, ...]
    bare: frozenset[str]
    stems: frozenset[str]


def words(text: str) -> Words:
    """Read a text."""
    found: list[Token] = []
    lead = -1
    for raw in text[-CHARACTERS:].split()[-TOKENS:]:
        stripped = raw.strip(_AROUND).removesuffix("'s").removesuffix("’s")  # noqa: RUF001
        if stripped and len(stripped) <= _LONGEST:
            found.append(Token(stripped, shape(stripped), lead))
            lead = bucket("lead", stripped.lower())
        if raw[-1] in _ENDS:
            lead = -1
    names = [token.text for token in found]
    return Words(tuple(found), frozenset(map(bare, names)), stems(" ".join(names)))


@lru_cache(maxsize=4_096)
def shape(token: str) -> str:
    """Return how `token` is written."""
    return "".join(map(_run_shape, _RUNS.findall(token[:_LONGEST])))


def _run_shape(run: str) -> str:
    if not run[0].isalnum():
        return run
    if run.isdigit():
        return "9"
    if not run.isalpha():
        return "x"
    if run.islower():
        return "w"
    if run.isupper() and len(run) > 1:
        return "A"
    return "C" if run[1:].islower() or len(run) == 1 else "m"


def outline(value: str) -> str:
    """Return a finer shape: how many digits, which punctuation, whether it begins with a capital.

    Nothing of the value's letters or digits is in it.
    """
    marks = "".join("9" if c.isdigit() else c for c in value[:_LONGEST] if not c.isalpha())
    return f"C{marks}" if value[:1].isupper() else marks


def digits(text: str) -> int:
    """Return how many digits `text` has."""
    return sum(character.isdigit() for character in text)


def stems(text: str) -> frozenset[str]:
    """Return the words of `text` of three letters and more, lower case, without a plural's s."""
    return frozenset(_stem(word) for word in _WORDS.findall(text[-CHARACTERS:]) if len(word) >= 3)


@lru_cache(maxsize=8_192)
def _stem(word: str) -> str:
    lower = word.lower()
    if len(lower) > 4 and lower.endswith("ies"):
        return lower[:-3] + "y"
    if len(lower) > 3 and lower.endswith("s") and not lower.endswith("ss"):
        return lower[:-1]
    return lower


@lru_cache(maxsize=8_192)
def bare(text: str) -> str:
    """Return the letters and digits of `text`, lower case: "#W12" and "w12" are one."""
    return "".join(filter(str.isalnum, text)).lower()


@lru_cache(maxsize=8_192)
def bucket(role: str, stem: str) -> int:
    """Return the bucket, in [0, `BUCKETS`), of a word that somebody said."""
    return crc32(f"{role}:{stem}".encode("utf-8", "replace")) % BUCKETS
