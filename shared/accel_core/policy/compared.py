"""What is written down of one comparison: two questions, a decision, and whether it was right.

One line of JSON, which is at the same time a labelled pair (``a``, ``b``, ``same``). It holds the
two questions, the names by which they can be forgotten, and no answer.

Invariant: what `from_json` accepts is what `to_json` writes, so that a report rests on no guess.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FORMAT = 1
MARK = "shadow"
"""The field that tells a line of this kind from any other labelled pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One comparison.

    Attributes:
        a: the stored question.
        b: the one that was asked.
        same: whether the stored answer would have been right; None: nobody could say.
        served: whether it would have been served as configured.
        reason: why, or why not; see `events.CacheExplored`.
        similarity: cosine of the two.
        probability: that it is right, as decided before; None under a plain threshold.
        share: of such candidates that are compared, in (0, 1]; the others left no line.
        at_s: wall-clock stamp, seconds since the epoch.
        id: of the stored entry.
        tenant: digest in hexadecimal, ``""`` for none.
        namespace: of both.
        tags: names that either entry can be forgotten by.
    """

    a: str
    b: str
    same: bool | None
    served: bool
    reason: str
    similarity: float
    probability: float | None = None
    share: float = 1.0
    at_s: float = 0.0
    id: str = ""
    tenant: str = ""
    namespace: str = ""
    tags: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        """What a threshold is set on: the probability, or the cosine where there is none."""
        return self.similarity if self.probability is None else self.probability

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {MARK: FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, spelled: Mapping[str, Any]) -> Compared:
        """Read one.

        Raises:
            ValueError: it is not one; the message names the field.
        """
        if spelled.get(MARK) != FORMAT:
            raise ValueError(f"{MARK!r} is {spelled.get(MARK)!r} and should be {FORMAT}")
        for name, (holds, expected) in _FIELDS.items():
            if name not in spelled:
                raise ValueError(f"there is no {name!r}")
            if not holds(spelled[name]):
                raise ValueError(f"{name!r} is {spelled[name]!r} and should be {expected}")
        known = {name: spelled[name] for name in _FIELDS}
        return cls(**(known | {"tags": tuple(known["tags"])}))


def _number(value: Any, least: float, most: float) -> bool:
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most
    )


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


_TEXT = (lambda value: isinstance(value, str), "a text")
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "a": (lambda value: isinstance(value, str) and bool(value.strip()), "a text that is not blank"),
    "b": (lambda value: isinstance(value, str) and bool(value.strip()), "a text that is not blank"),
    "same": (lambda value: value is None or isinstance(value, bool), "true, false or null"),
    "served": (lambda value: isinstance(value, bool), "true or false"),
    "reason": _TEXT,
    "similarity": (lambda value: _number(value, -1.01, 1.01), "a cosine"),
    "probability": (lambda value: value is None or _number(value, 0, 1), "in [0, 1], or null"),
    "share": (lambda value: _number(value, 1e-6, 1), "in (0, 1]"),
    "at_s": (lambda value: _number(value, 0, 1e12), "seconds since the epoch"),
    "id": _TEXT,
    "tenant": _TEXT,
    "namespace": _TEXT,
    "tags": (_texts, "a list of texts"),
}
