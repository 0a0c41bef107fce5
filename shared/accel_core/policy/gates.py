"""Structural gates: differences between two questions that no similarity should outvote.

"Buy" and "sell", 2023 and 2024, "from A to B" and "from B to A" hardly move a vector. A gate is a
pure function of two readings that refuses to treat them as one question; each has a name, by which
refusals are counted and by which it is switched off. Adding one takes one function.

Contrast needs a frame: most gates look at sentences that differ in a word or two, because among
many different words an opposite pair says nothing. English gates are silent unless both texts are
English; numbers, codes and units beside digits are read in every language.

Invariant: gates are symmetric, and none of the package's fires on one text written differently in
case, punctuation or politeness.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from accel_core.errors import ConfigError
from accel_core.policy import (
    gates_asked,
    gates_filler,
    gates_sentence,
    gates_strict,
    gates_values,
    gates_words,
)
from accel_core.policy.difference import compare
from accel_core.policy.reading import read

if TYPE_CHECKING:
    from accel_core.policy.difference import Difference, Lexicon

Gate = Callable[["Difference", "Lexicon"], bool]


def _in_english(gate: Gate) -> Gate:
    def guarded(difference: Difference, lexicon: Lexicon) -> bool:
        return difference.a.english and difference.b.english and gate(difference, lexicon)

    guarded.__name__, guarded.__doc__ = gate.__name__, gate.__doc__
    return guarded


GATES: Final[Mapping[str, Gate]] = MappingProxyType(
    {
        "number": gates_values.number,
        "negation": _in_english(gates_words.negation),
        "entity": _in_english(gates_words.entity),
        "superlative": _in_english(gates_words.superlative),
        "quantity": _in_english(gates_words.quantity),
        "comparator": _in_english(gates_words.comparator),
        "date": _in_english(gates_values.date),
        "unit": gates_values.unit,
        "direction": _in_english(gates_sentence.direction),
        "polarity": _in_english(gates_words.polarity),
        "question_type": _in_english(gates_asked.question_type),
        "identifier": gates_values.identifier,
        "filler": gates_filler.filler,
        "condition": _in_english(gates_sentence.condition),
        "exchange": _in_english(gates_sentence.exchange),
        "restriction": _in_english(gates_strict.restriction),
        "substitution": _in_english(gates_strict.substitution),
    }
)
"""The gates of this package, in the order they are asked: cheap ones first, the vaguest last."""

STRICT: Final = frozenset({"restriction", "substitution"})
"""Gates that also refuse many true repeats, and are asked in strict mode only."""


def fired(difference: Difference, lexicon: Lexicon, gates: Mapping[str, Gate]) -> str | None:
    """Return the name of the first gate that refuses, or None.

    A gate that raises counts as one that refuses: whoever added it wanted wrong answers kept out,
    and a miss costs one call.
    """
    return next(_firing(difference, lexicon, gates), None)


def refusing(
    question: str, text: str, lexicon: Lexicon, gates: Mapping[str, Gate]
) -> tuple[str, ...]:
    """Return the names of all gates that refuse to treat two texts as one question."""
    if question == text:
        return ()
    return tuple(_firing(compare(read(question), read(text), lexicon), lexicon, gates))


def _firing(difference: Difference, lexicon: Lexicon, gates: Mapping[str, Gate]) -> Iterator[str]:
    for name, gate in gates.items():
        try:
            refuses = gate(difference, lexicon)
        except Exception:
            refuses = True
        if refuses:
            yield name


def chosen(off: Collection[str], *, strict: bool, extra: Mapping[str, Gate]) -> dict[str, Gate]:
    """Return the gates to ask, in order: the package's, then `extra`.

    Args:
        off: names that are not asked, of the package's or of `extra`.
        strict: whether those of `STRICT` are asked.
        extra: the application's own gates.

    Raises:
        ConfigError: a name in `off` belongs to no gate, or one in `extra` to a gate of the package.
    """
    taken = sorted(GATES.keys() & extra.keys())
    if taken:
        raise ConfigError(
            "gates", taken[0], "another name: the package already has a gate of this name"
        )
    known = {**GATES, **extra}
    for name in off:
        if name not in known:
            raise ConfigError("gates.off", name, f"one of {sorted(known)}")
    left_out = set(off) if strict else STRICT.union(off)
    return {name: gate for name, gate in known.items() if name not in left_out}
