"""How two readings differ: which words stand alone, what they weigh, and in which order they come.

The numbers a forest decides on (`policy.forest`), and the unexplained words that the gates look at.
Symmetric: the question and the stored text may be exchanged.

Invariant: `features` names every number, in the order in which shipped forests were grown; another
order makes them nonsense, which is why calibrations carry the names and are refused where they
differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from accel_core.policy.english import WEAK_WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.policy.reading import Reading

MISSING = float("nan")
"""A number that cannot be known: a neighbour that is not there."""

_FRAME = 2
_MARGIN_CAPS = (0.25, 0.3, 0.35)
_NEARBY, _AROUND = 0.05, 0.1


class Lexicon(Protocol):
    """What is known about words."""

    @property
    def ready(self) -> bool:
        """Whether it answers at once; the first answer may take a file's reading."""

    def weight(self, word: str) -> float:
        """Return how much a word says, in [0, 9]: rare ones more."""

    def relation(self, one: str, other: str) -> str:
        """Return how two words are related; see `accel_core.lexicon`."""


class Side(NamedTuple):
    """What one reading says that the other does not.

    Attributes:
        places: of its words whose stem the other has not.
        content: of those, the ones that carry meaning.
        strong: words of those that may decide an answer, each once.
        weight: sum over `content`.
        heaviest: largest weight in `content`.
    """

    places: tuple[int, ...]
    content: tuple[int, ...]
    strong: tuple[str, ...]
    weight: float
    heaviest: float


class Difference(NamedTuple):
    """Two readings, and what each says alone.

    Attributes:
        a: one reading.
        b: the other.
        only_a: what `a` says alone.
        only_b: what `b` says alone.
        total: weight of all content words of both.
    """

    a: Reading
    b: Reading
    only_a: Side
    only_b: Side
    total: float

    @property
    def framed(self) -> bool:
        """Whether at most two words on each side are unexplained: contrast needs a frame."""
        return len(self.only_a.strong) <= _FRAME and len(self.only_b.strong) <= _FRAME


def compare(a: Reading, b: Reading, lexicon: Lexicon) -> Difference:
    """Return what each of two readings says alone."""
    only_a, total_a = _alone(a, b, lexicon)
    only_b, total_b = _alone(b, a, lexicon)
    return Difference(a, b, only_a, only_b, total_a + total_b)


def _alone(one: Reading, other: Reading, lexicon: Lexicon) -> tuple[Side, float]:
    theirs = set(other.stems)
    joined = "".join(other.words)  # "log in" explains "login"
    places: list[int] = []
    content: list[int] = []
    strong: dict[str, None] = {}
    weight = heaviest = total = 0.0
    for place, stem in enumerate(one.stems):
        word = one.words[place]
        weighs = lexicon.weight(word) if one.content[place] else 0.0
        total += weighs
        if stem in theirs:
            continue
        places.append(place)
        if not one.content[place]:
            continue
        content.append(place)
        weight += weighs
        heaviest = max(heaviest, weighs)
        if word not in WEAK_WORDS and word not in joined:
            strong[word] = None
    return Side(tuple(places), tuple(content), tuple(strong), weight, heaviest), total


def features(
    difference: Difference, similarities: Sequence[float], lexicon: Lexicon
) -> list[float]:
    """Return the numbers of `FEATURES` for the nearest candidate.

    Args:
        difference: the question and the candidate.
        similarities: cosines of the nearest stored questions, the candidate's first.
        lexicon: word knowledge.
    """
    return [*_store(similarities), *_words(difference), *_order(difference), *_flags(difference),
            *_related(difference, lexicon)]  # fmt: skip


def _store(similarities: Sequence[float]) -> list[float]:
    """How near the candidate is, and how much nearer than the rest.

    A dense neighbourhood means a family of look-alikes; a missing one says nothing.
    """
    best, *others = similarities
    if not others:
        return [best, MISSING, MISSING, MISSING, MISSING, MISSING]
    first, second, mean = _MARGIN_CAPS
    return [
        best,
        min(first, best - others[0]),
        min(second, best - others[1]) if len(others) > 1 else second,
        min(mean, best - sum(others) / len(others)),
        float(sum(other > best - _NEARBY for other in others)),
        float(sum(other > best - _AROUND for other in others)),
    ]


def _words(difference: Difference) -> list[float]:
    a, b, only_a, only_b, total = difference
    weights = only_a.weight, only_b.weight
    counts = len(only_a.content), len(only_b.content)
    shorter, longer = sorted((len(a.words), len(b.words)))
    return [
        sum(weights),
        max(weights),
        min(weights),
        max(only_a.heaviest, only_b.heaviest),
        sum(weights) / total if total else 0.0,
        float(max(counts)),
        float(min(counts)),
        float(len(only_a.places) + len(only_b.places)),
        shorter / longer if longer else 1.0,
        float(shorter),
        float(longer),
    ]


def _order(difference: Difference) -> list[float]:
    """Whether what both say comes in the same order."""
    a, b = difference.a, difference.b
    pairs_a, pairs_b = (
        set(zip(a.stems, a.stems[1:], strict=False)),
        set(zip(b.stems, b.stems[1:], strict=False)),
    )
    shared = len(pairs_a & pairs_b) / max(1, min(len(pairs_a), len(pairs_b)))
    swapped, count = inversions(a, b)
    return [shared, swapped / max(1, count * (count - 1) // 2), float(swapped)]


def inversions(a: Reading, b: Reading) -> tuple[int, int]:
    """Count pairs of shared content words that come in the other order, and the words."""
    places: dict[str, int] = {}
    for place, stem in enumerate(a.stems):
        if a.content[place]:
            places[stem] = -1 if stem in places else place
    order = [
        places[stem]
        for place, stem in enumerate(b.stems)
        if b.content[place] and places.get(stem, -1) >= 0 and b.stems.count(stem) == 1
    ]
    swapped = sum(earlier > later for end, later in enumerate(order) for earlier in order[:end])
    return swapped, len(order)


_ALIKE = frozenset({"what", "how", "whether"})


def _flags(difference: Difference) -> list[float]:
    a, b, only_a, only_b, _ = difference
    names_a, names_b = a.names - set(b.stems), b.names - set(a.stems)
    asks_other = a.asks != b.asks
    hard = asks_other and bool(a.asks) and bool(b.asks) and not {a.asks, b.asks} <= _ALIKE
    reordered = not only_a.content and not only_b.content and inversions(a, b)[0] > 0
    return [
        float(asks_other),
        float(hard),
        float(a.numbers != b.numbers),
        float(bool(a.numbers - b.numbers) and bool(b.numbers - a.numbers)),
        float(bool(names_a) and bool(names_b)),
        float(bool(names_a) != bool(names_b)),
        float(a.negations % 2 != b.negations % 2),
        float(reordered),
    ]


def _related(difference: Difference, lexicon: Lexicon) -> list[float]:
    """How one exchanged word is related to the other, or what one side adds."""
    a, b, only_a, only_b, _ = difference
    counts = len(only_a.content), len(only_b.content)
    relation = ""
    if counts == (1, 1):
        relation = lexicon.relation(a.words[only_a.content[0]], b.words[only_b.content[0]])
    return [
        float(relation == "antonym"),
        float(relation == "sister"),
        float(relation in {"same", "synonym", "derived", "broader"}),
        float(relation in {"unrelated", "unknown"}),
        float(counts == (0, 0)),
        float(min(counts) == 0 and max(counts) == 1),
        float(min(counts) == 0 and max(counts) > 1),
    ]


FEATURES = (
    "similarity", "margin", "margin_to_third", "margin_to_mean", "within_05", "within_10",
    "alone_sum", "alone_max", "alone_min", "alone_heaviest", "alone_share", "alone_words_max",
    "alone_words_min", "alone_places", "length_ratio", "length_min", "length_max",
    "bigrams", "inverted_share", "inverted", "asks_other", "asks_hard", "numbers_differ",
    "numbers_exchanged", "names_exchanged", "name_added", "negation_differs", "reordered",
    "antonym", "sister", "synonym", "unrelated", "words_equal", "word_added", "words_added",
)  # fmt: skip
"""What the numbers of `features` are called, in their order."""
