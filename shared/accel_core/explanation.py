"""Why an answer was or was not served, as a value: as text, as JSON, and as a table in notebooks.

It holds questions of the tenant that asked for it, and of no other.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from accel_core.policy.reasons import meaning_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from accel_core.policy.scopes import Difference
    from accel_core.policy.similarity import Threshold

_LONGEST = 100


class Kept(NamedTuple):
    """A stored answer.

    Attributes:
        id: as `Accel.invalidate` and `Accel.report_wrong` take it.
        age_s: since it was stored.
        expires_in_s: 0 or less: it has expired.
        semantic: whether it may be served to other wordings.
        model: that gave it, or ``""``.
        saved_s: how long that took; None: not known.
    """

    id: str
    age_s: float
    expires_in_s: float
    semantic: bool
    model: str
    saved_s: float | None


class NearQuestion(NamedTuple):
    """A stored question near the one asked, in the same scope.

    ``gates``: the names of all that refuse to treat both as one.
    """

    text: str
    similarity: float
    gates: tuple[str, ...]
    entry: Kept


class Elsewhere(NamedTuple):
    """The same question, or nearly so, in another scope of the same tenant.

    ``differs``: in what; empty where that is not known, since it was asked before this process
    began, or too long ago.
    """

    text: str
    same_text: bool
    differs: tuple[Difference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why an answer was served or not, or would be now.

    Attributes:
        outcome: ``hit``, ``miss`` or ``bypass``; ``unknown`` where nothing is known of it.
        reason: as of `RequestEnded`; ``grey``: a verifier would be asked.
        told: what the answer says of itself; empty where a request is explained.
        question: that may be compared by meaning; ``""`` where none may.
        model: asked, as the application names it.
        entry: the stored answer to the very request, or the one served by meaning.
        similarity: of the nearest stored question, None where none was compared.
        probability: that its answer is the right one; None: not worked out.
        threshold: from where on it is served; None: nothing is served by meaning.
        candidates: the nearest stored questions of its scope, nearest first.
        elsewhere: the same question in other scopes.
        controls: what the call itself asked of the cache.
        under_way: whether somebody asks for it just now, so that a call would wait.
        notes: what else there is to say.
    """

    outcome: Literal["hit", "miss", "bypass", "unknown"]
    reason: str
    told: Mapping[str, Any] = field(default_factory=dict)
    question: str = ""
    model: str = ""
    entry: Kept | None = None
    similarity: float | None = None
    probability: float | None = None
    threshold: Threshold | None = None
    candidates: tuple[NearQuestion, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()
    controls: tuple[str, ...] = ()
    under_way: bool = False
    notes: tuple[str, ...] = ()

    @property
    def because(self) -> str:
        """The reason as a sentence."""
        return meaning_of(self.reason)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it, by the names of the attributes."""
        document = {**asdict(self), "because": self.because}
        for name in ("entry", "threshold"):
            value = getattr(self, name)
            document[name] = None if value is None else value._asdict()
        document["candidates"] = [
            {**one._asdict(), "gates": list(one.gates), "entry": one.entry._asdict()}
            for one in self.candidates
        ]
        document["elsewhere"] = [
            {**one._asdict(), "differs": [part._asdict() for part in one.differs]}
            for one in self.elsewhere
        ]
        return {**document, "controls": list(self.controls), "notes": list(self.notes)}

    def __str__(self) -> str:
        return "\n".join(
            f"{name}: {value}" if name else f"  {value}" for name, value in self._lines()
        )

    def _repr_html_(self) -> str:
        """Return a table, for notebooks; every text is escaped."""
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value in self._lines()
        )
        return f"<table>{rows}</table>"

    def _lines(self) -> Iterator[tuple[str, str]]:
        because = f", {self.because}" if self.because else ""
        yield self.outcome, f"{self.reason}{because}"
        if self.question:
            yield "question", _short(self.question)
        if self.model:
            yield "model", self.model
        if self.entry is not None:
            yield "stored answer", _kept(self.entry)
        yield from self._measured()
        yield from self._listed("nearest in its scope", map(_neighbour, self.candidates))
        yield from self._listed("in other scopes", map(_elsewhere, self.elsewhere))
        yield from self._listed("the call asked for", self.controls)
        if self.under_way:
            yield "under way", "somebody asks the model for it just now"
        yield from self._listed("note", self.notes)

    def _measured(self) -> Iterator[tuple[str, str]]:
        if self.similarity is not None:
            yield "similarity", f"{self.similarity:.3f}"
        if self.probability is not None:
            yield "probability", f"{self.probability:.3f}"
        if self.threshold is not None:
            yield "served from", f"{self.threshold.measure} {self.threshold.least:.3g}"

    @staticmethod
    def _listed(name: str, values: Any) -> Iterator[tuple[str, str]]:
        for number, value in enumerate(values):
            yield "" if number else name, value


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…")


def _kept(entry: Kept) -> str:
    left = f"expires in {_time(entry.expires_in_s)}" if entry.expires_in_s > 0 else "expired"
    only = "" if entry.semantic else ", for the very same request only"
    return f"{entry.id}, {_time(entry.age_s)} old, {left}{only}"


def _time(seconds: float) -> str:
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"


def _neighbour(found: NearQuestion) -> str:
    gates = f", refused by gate: {', '.join(found.gates)}" if found.gates else ""
    return f"{found.similarity:.3f} {_short(found.text)}{gates}, {_time(found.entry.age_s)} old"


def _elsewhere(found: Elsewhere) -> str:
    which = "the same words" if found.same_text else _short(found.text)
    how = "; ".join(map(_difference, found.differs))
    return f"{which}: {how or 'in what it differs is not known any more'}"


def _difference(found: Difference) -> str:
    if found.asked or found.other:
        return f"{found.part} {found.asked!r} here, {found.other!r} there"
    return f"{found.part} differs"
