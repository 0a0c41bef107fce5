"""How much an English word weighs, and how two of them are related.

Two questions that differ in one word mean the same where it was exchanged for a synonym and the
opposite where it was exchanged for an antonym; vectors put both equally near. WordNet 3.0 (Fellbaum
1998, https://wordnet.princeton.edu) tells them apart. Its first senses only: the later ones are
rare and relate everything to everything.

The table, ``english.bin``, holds the words of the encoder's vocabulary and their lemmas, and short
words of several meanings besides, which are in common use.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from itertools import takewhile
from math import exp, log
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from accel_core.lexicon.table import read

if TYPE_CHECKING:
    from accel_core.lexicon.table import Links, Table

Relation = Literal[
    "same", "synonym", "derived", "broader", "antonym", "sister", "unrelated", "unknown"
]

NOUN, VERB, ADJECTIVE, ADVERB = range(4)

FILE: Final = "english.bin"
HEAVIEST: Final = 9.0  # 1 + ln(rank) is there at rank 2,981, where the everyday words end
CHARACTER_WEIGHT: Final = 5.0  # a vocabulary lists characters as an alphabet, not by frequency
SIGN_WEIGHT: Final = 0.5
PAIRS: Final = 4_096  # of the last ones asked for; some 300 bytes each
WORDS: Final = 512  # some 1,000 bytes each; the words of one question and of its candidates

_DETACHMENTS: Final = {
    NOUN: "s ses:s xes:x zes:z ches:ch shes:sh men:man ies:y",
    VERB: "s ies:y es:e es ed:e ed ing:e ing",
    ADJECTIVE: "er est er:e est:e",
}
_RULES: Final[dict[str, list[tuple[str, int]]]] = {}
"""By ending, what stands in its place and the part of speech."""
for _part, _rules in _DETACHMENTS.items():
    for _ending, _, _place in (rule.partition(":") for rule in _rules.split()):
        _RULES.setdefault(_ending, []).append((_place, _part))


class English:
    """Words of English, lower case. Loads at first use, whichever thread comes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: Table | None = None
        self._weights: dict[str, float] = {}  # of the words that weigh less than the heaviest
        self._known = lru_cache(WORDS)(self._look_up)
        self._related = lru_cache(PAIRS)(self._relate)

    def __repr__(self) -> str:
        return "English()"

    @property
    def ready(self) -> bool:
        """Whether it is loaded: until then the first question takes some 50 ms."""
        return self._loaded is not None

    def __reduce__(self) -> tuple[type[English], tuple[()]]:
        return type(self), ()  # another process loads for itself; locks do not travel

    def warm(self) -> None:
        """Load the table and return when it is ready."""
        self._table()

    def after_fork(self) -> None:
        """Forget a lock that another thread held when this process was forked."""
        self._lock = threading.Lock()

    def weight(self, word: str) -> float:
        """Return how much `word` tells: 1.0 for the commonest, more the rarer, 9.0 at the most.

        A word's rank stands for its frequency (Zipf 1949), so this is an inverse document
        frequency without documents. Single letters and digits weigh 5.0, single signs 0.5.
        """
        if not self._weights:
            self._table()
        weight = self._weights.get(word)
        if weight is not None:
            return weight
        if len(word) == 1:
            return CHARACTER_WEIGHT if word.isalnum() else SIGN_WEIGHT
        return HEAVIEST

    def relation(self, one: str, other: str) -> Relation:
        """Return how the two are related, either way round; the first of these that holds.

        - ``same``: one word, or two forms of one lemma
        - ``unknown``: one of them is not in the table
        - ``antonym``, ``synonym``, ``derived`` (*decide*, *decision*)
        - ``broader``: one is a direct hypernym of the other
        - ``sister``: they share a direct hypernym
        - ``unrelated``
        """
        return self._related(one, other) if one <= other else self._related(other, one)

    def _relate(self, one: str, other: str) -> Relation:
        if one == other:
            return "same"
        a, b = self._known(one), self._known(other)
        return _relation(self._table(), a, b) if a and b else "unknown"

    def _look_up(self, word: str) -> _Word | None:
        return _looked_up(self._table(), word)

    def _table(self) -> Table:
        if self._loaded is None:
            from importlib.resources import files

            with self._lock:
                if self._loaded is None:
                    table = read(files(__package__).joinpath(FILE).read_bytes())
                    self._weights = _weights(table)
                    self._loaded = table
        return self._loaded


def _weights(table: Table) -> dict[str, float]:
    """Return those below `HEAVIEST`; numbers are in order, and so these come first."""
    light = min(table.ranked, int(exp(HEAVIEST - 1.0)))
    words = takewhile(lambda item: item[1] < light, table.numbers.items())
    return {word: 1.0 + log(rank + 1) for word, rank in words}


def base_forms(word: str) -> list[tuple[str, int]]:
    """Return what `word` may be a regular form of, each with its part of speech.

    WordNet's detachment rules (morphy(7)), and the doubled consonant of *blogging*, which WordNet
    has in its lists of exceptions and so only for the verbs it lists.

    >>> base_forms("boxes")
    [('boxe', 0), ('box', 0), ('boxe', 1), ('boxe', 1), ('box', 1)]
    """
    found = []
    for length in range(1, 5):
        for replacement, part in _RULES.get(word[-length:], ()):
            base = word[:-length] + replacement
            if len(base) > 2 and (part != NOUN or word[-2:] != "ss"):
                found.append((base, part))
                if length > 1 and not replacement and part == VERB and base[-1] == base[-2]:
                    found.append((base[:-1], VERB))
    return found


class _Word(NamedTuple):
    """A word's lemmas, all their senses, and the direct hypernyms of these, by number."""

    lemmas: set[int]
    senses: set[int]
    hypernyms: set[int]


def _looked_up(table: Table, word: str) -> _Word | None:
    """Return `word`, or None where neither it nor a lemma of it has a sense."""
    lemmas: set[int] = set()
    senses: set[int] = set()
    number = table.numbers.get(word)
    if number is None:
        found = ((table.numbers.get(base), part) for base, part in base_forms(word))
        forms = [(lemma, part) for lemma, part in found if lemma is not None]
    else:
        senses.update(table.senses[table.starts[number] : table.starts[number + 1]])
        if senses:
            lemmas.add(number)
        listed = table.forms.get(number)
        forms = list(zip(listed[::2], listed[1::2], strict=True)) if listed else []
    for lemma, part in forms:
        first, end = table.parts[part], table.parts[part + 1]
        row = table.senses[table.starts[lemma] : table.starts[lemma + 1]]
        if those := [sense for sense in row if first <= sense < end]:
            lemmas.add(lemma)
            senses.update(those)
    if not senses:
        return None
    hypernyms = set(map(table.hypernym.__getitem__, senses))
    if not table.hypernyms.keys().isdisjoint(senses):
        for sense in table.hypernyms.keys() & senses:
            hypernyms.update(table.hypernyms[sense])
    return _Word(lemmas, senses, hypernyms)


def _relation(table: Table, a: _Word, b: _Word) -> Relation:
    """Return how the two are related."""
    if not a.lemmas.isdisjoint(b.lemmas):
        return "same"
    if _linked(table.antonyms, a.lemmas, b.lemmas):
        return "antonym"
    if not a.senses.isdisjoint(b.senses):
        return "synonym"
    if _linked(table.derived, a.lemmas, b.lemmas):
        return "derived"
    if _linked(table.similar, a.senses, b.senses):
        return "synonym"
    # One that is its own hypernym, for want of one, was a synonym above.
    if not (a.hypernyms.isdisjoint(b.senses) and a.senses.isdisjoint(b.hypernyms)):
        return "broader"
    return "unrelated" if a.hypernyms.isdisjoint(b.hypernyms) else "sister"


def _linked(links: Links, some: set[int], others: set[int]) -> bool:
    for number in some:  # noqa: SIM110 - a generator takes four times as long
        if number in links and not others.isdisjoint(links[number]):
            return True
    return False
