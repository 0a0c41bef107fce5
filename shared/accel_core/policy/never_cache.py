"""Requests whose answer must not be said again, although the wording is the same.

Three kinds: what depends on the moment (volatile: "what's the weather right now"), what depends on
the asker's own data (personal: "where is my order"), and what asks for something to be done
(acting: "cancel order 1182"). Two such requests can mean the same to the letter, so no similarity
can tell that the stored answer is wrong. General questions about the same things pass: "how do I
cancel an order?".

The rules know words, not meanings: they let pass what is general, and miss what is said without
one of their words. What they miss can be added as words, what they catch wrongly can be allowed.
A language that is not configured is left alone.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, fields
from functools import cache, partial
from math import inf
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from accel_core.errors import ConfigError
from accel_core.policy.never_cache_words import LANGUAGES, TERMS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from accel_core.policy.identity import Request

__all__ = ["KINDS", "Kind", "NeverCache"]

KINDS: Final[tuple[Kind, ...]] = ("acting", "personal", "volatile")
"""What must not be cached, worst first."""

_MAX_WORDS = 64  # as `similarity.FixedThreshold`: beyond, a text is rarely one wish
_EDGE_WORDS = 32
_MAX_CHARACTERS, _EDGE_CHARACTERS = 2048, 512  # of 64 and 32 words, with room
_MARKS = ".?!;:\n"

# A blank line ends a sentence; a full stop inside a number, an address or a title does not.
# What an alternative looks back at stands behind its first character: so the search skips faster.
_WORD = re.compile(
    r"\w+(?:-\w+)*|'(?<=\w')\w+(?:-\w+)*|[?!;:](?!\w)|\n\s*\n"
    r"|\.(?!\w)(?<!\bmr\.)(?<!\bms\.)(?<!\bdr\.)(?<!\bmrs\.)"
)
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\u2032\u00b4\uff07", "'"))
_ACCENTS = re.compile("[\u0300-\u036f]+")
_TERM = re.compile("<([a-z]+)>")


class _Pattern:
    """Compiled when first looked for: all together take a quarter of a second."""

    __slots__ = ("_compiled", "_source")

    def __init__(self, source: str) -> None:
        self._source = source
        self._compiled: re.Pattern[str] | None = None

    def get(self) -> re.Pattern[str]:
        compiled = self._compiled
        if compiled is None:
            compiled = self._compiled = re.compile(f" {self._source}(?= )")
        return compiled


class _Rule(NamedTuple):
    """A rule of `never_cache_words`, or a user's word, ready to be searched for."""

    kind: Kind
    triggers: frozenset[str]
    says: _Pattern
    unless: _Pattern | None = None
    work: _Pattern | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverCache:
    """Which requests must not be answered from a cache, and how long their answers may live.

    A text of several kinds is of the one whose answers live shortest. Texts of more than 64 words
    are judged by their first and their last sentence, or 32 words of them: elsewhere "now" and
    "my" are part of a story.

    Attributes:
        languages: whose words are known: ``de``, ``en``, ``es``, ``fr``. Empty: only the words
            below count.
        volatile_ttl_s: 0: such requests are neither looked up nor stored. Above 0: they are served
            exactly only, for at most so many seconds.
        personal_ttl_s: the same for personal ones.
        acting_ttl_s: the same for acting ones. What is served from a cache is not done.
        volatile_words: words or phrases that make any text volatile, case and accents aside.
        personal_words: the same for personal.
        acting_words: the same for acting.
        allowed_words: words or phrases that let a text pass, whatever else it says.
    """

    languages: tuple[str, ...] = ("en",)
    volatile_ttl_s: float = 0.0
    personal_ttl_s: float = 0.0
    acting_ttl_s: float = 0.0
    volatile_words: tuple[str, ...] = ()
    personal_words: tuple[str, ...] = ()
    acting_words: tuple[str, ...] = ()
    allowed_words: tuple[str, ...] = ()
    _rules: tuple[_Rule, ...] = field(init=False, repr=False, compare=False)
    _index: dict[str, tuple[int, ...]] = field(init=False, repr=False, compare=False)
    _allowed: tuple[_Pattern, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for kind in KINDS:
            if not 0 <= self.lifetime_s(kind) < inf:
                expected = "must be a number of seconds, 0 or above"
                raise ConfigError(f"{kind}_ttl_s", self.lifetime_s(kind), expected)
        unknown = [name for name in self.languages if name not in LANGUAGES]
        if unknown:
            expected = f"must be some of {', '.join(sorted(LANGUAGES))}"
            raise ConfigError("languages", unknown[0], expected)
        rules = [rule for name in self.languages for rule in _language(name)]
        for kind in KINDS:
            for phrase in getattr(self, f"{kind}_words"):
                first, says = _phrase(f"{kind}_words", phrase)
                rules.append(_Rule(kind, frozenset({first}), says))
        rules.sort(key=lambda rule: (self.lifetime_s(rule.kind), KINDS.index(rule.kind)))
        allowed = (_phrase("allowed_words", phrase)[1] for phrase in self.allowed_words)
        object.__setattr__(self, "_rules", tuple(rules))
        object.__setattr__(self, "_index", _by_trigger(rules))
        object.__setattr__(self, "_allowed", tuple(allowed))

    def kind(self, text: str) -> Kind | None:
        """Return why the answer to `text` must not be said again, or None.

        >>> rules = NeverCache()
        >>> rules.kind("What's my balance?"), rules.kind("How do I check my balance?")
        ('personal', None)
        """
        words = _words(text)
        index = self._index
        if index.keys().isdisjoint(words):
            return None
        said = f" . {' '.join(words if len(words) <= _MAX_WORDS else _ends(words))} . "
        for number in sorted({n for word in words if word in index for n in index[word]}):
            if _fires(self._rules[number], said):
                allowed = any(phrase.get().search(said) for phrase in self._allowed)
                return None if allowed else self._rules[number].kind
        return None

    def judge(self, request: Request) -> Request:
        """Return `request`, and why its answer must not be said again where that is so."""
        kind = self.kind(request.text) if request.text else None
        if kind is None:
            return request
        return request._replace(never=kind, never_ttl_s=self.lifetime_s(kind))

    def __reduce__(self) -> tuple[Any, ...]:
        # By its settings: rules are this package's, not a configuration's.
        made = {item.name: getattr(self, item.name) for item in fields(self) if item.init}
        return partial(type(self), **made), ()

    def lifetime_s(self, kind: Kind) -> float:
        """Return how long an answer of `kind` may be served, to the same words only; 0: never."""
        seconds: float = getattr(self, f"{kind}_ttl_s")
        return seconds


def _fires(rule: _Rule, said: str) -> bool:
    for found in rule.says.get().finditer(said):
        excused = rule.unless is not None and rule.unless.get().search(_sentence(said, found))
        if not excused:
            return rule.work is None or not rule.work.get().search(said)
    return False


def _sentence(said: str, found: re.Match[str]) -> str:
    """Return the sentence of what was found, its mark included."""
    start = max(said.rfind(mark, 0, found.start() + 1) for mark in _MARKS)
    ends = (said.find(mark, found.end()) for mark in _MARKS)
    return said[start + 1 : min(end for end in ends if end >= 0) + 2]


def _words(text: str) -> list[str]:
    """Return the words of `text` in the spelling that rules are written in."""
    if len(text) > _MAX_CHARACTERS:
        edge = _EDGE_CHARACTERS
        text = f"{text[:edge]}\n\n{text[-edge:]}"
    if text.isascii():
        return _WORD.findall(text.lower())
    plain = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES)).casefold()
    return _WORD.findall(_ACCENTS.sub("", plain))


def _ends(words: list[str]) -> list[str]:
    """Return the first and the last sentence, of each at most `_EDGE_WORDS` words."""
    first, last = words[:_EDGE_WORDS], words[-_EDGE_WORDS:]
    stops = (n for n, word in enumerate(first) if word[0] in _MARKS)
    first = first[: next(stops, _EDGE_WORDS)]
    starts = (n for n in range(_EDGE_WORDS - 2, -1, -1) if last[n][0] in _MARKS)
    start = next(starts, None)
    # Where the cut is no beginning, no command begins there.
    return [*first, ".", *(["-", *last] if start is None else last[start + 1 :])]


@cache
def _language(name: str) -> tuple[_Rule, ...]:
    language = LANGUAGES[name]
    terms = TERMS | language.terms
    work = _Pattern(_expand(language.work, terms))
    return tuple(
        _Rule(
            rule.kind,
            frozenset(rule.triggers.split()),
            _Pattern(_expand(rule.says, terms)),
            _Pattern(_expand(rule.unless, terms)),
            None if rule.firm else work,
        )
        for rule in language.rules
    )


def _expand(source: str, terms: Mapping[str, str]) -> str:
    """Return `source` as one group: its lines are alternatives, its terms are filled in."""
    lines = [line.strip() for line in source.split("\n")] if "\n" in source else [source]
    filled = (_TERM.sub(lambda term: _expand(terms[term[1]], terms), line) for line in lines)
    return f"(?:{'|'.join(filled)})"


def _phrase(path: str, phrase: str) -> tuple[str, _Pattern]:
    """Return the first word of a user's `phrase`, and the pattern that finds it whole."""
    words = _words(phrase)
    while words and words[-1][0] in _MARKS:
        del words[-1]
    if not words:
        raise ConfigError(path, phrase, "must hold a word")
    return words[0], _Pattern(re.escape(" ".join(words)))


def _by_trigger(rules: Iterable[_Rule]) -> dict[str, tuple[int, ...]]:
    index: dict[str, tuple[int, ...]] = {}
    for number, rule in enumerate(rules):
        for word in rule.triggers:
            index[word] = (*index.get(word, ()), number)
    return index
