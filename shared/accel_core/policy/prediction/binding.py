"""Values that an argument may take now, by the origins that it has had.

Every value of a list is a proposal of its own, with its standing: whether it has been used, whether
the user named it or its record, its place among those not used. What a standing has been worth is
counted in *cells*, from the most particular to the origin as a whole.

Invariant: at most `PER_ARGUMENT` proposals per argument, whatever was observed.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Any

from accel_core.policy.prediction.origins import (
    ARGUMENT,
    CONSTANT,
    OBSERVATION,
    Place,
    shape_of,
    spans,
    theirs,
    transformed,
)
from accel_core.policy.prediction.words import bare, outline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from accel_core.policy.prediction.known import Known, Source
    from accel_core.policy.prediction.origins import Origin
    from accel_core.policy.prediction.tally import Tally

PER_ARGUMENT = 24
_ORIGINS = 16
_LEAST_SHARE = 0.02
RUNS, CONSTANT_RUNS = 2, 3
"""An origin counts once it was seen in so many runs: what one person did alone is not kept."""
_OBSERVATIONS, _PER_LIST, _PER_TEXT, _PER_ARGUMENT_COPIED = 4, 8, 8, 4


class Proposal:
    """A value for an argument, and what is known of it.

    Attributes:
        text: the value, spelled.
        worth: how often such a value was used before the next call that changes something, by
            the best of its cells; `broad` by cells that leave out what was called last.
        share: of the calls, how many had it from one of its origins; may add up to more than 1.
        rank, length, unused: its place among the unused of its list, the list's length, and how
            many of it are unused.
        named, named_last: as `Known.mention`; `rival` is the most of its list.
        literal: 2 the user wrote it in the last message, 1 before, 0 not.
        told: whether the assistant wrote it.
        lead: of a token, what leads to it; None of any other value.
        outline: share of earlier values that look like it.
        places: where it stands.
    """

    __slots__ = tuple(
        "age broad cells lead length literal named named_last origins outline places rank rival "
        "share text told unused used worth".split()
    )  # fmt: skip

    def __init__(self, text: str, share: float, age: int, place: Place | None) -> None:
        self.text, self.share, self.age = text, share, age
        self.worth = self.broad = 0.0
        self.used = self.told = False
        self.named = self.named_last = self.rival = 0.0
        self.rank = self.literal = 0
        self.length = self.unused = self.origins = 1
        self.outline = 1.0
        self.lead: int | None = None
        self.places = [] if place is None else [place]
        self.cells: list[tuple[Any, ...]] = []

    def merge(self, other: Proposal) -> None:
        """Take in what is known of the same value from another origin."""
        self.share += other.share
        self.origins += 1
        self.cells += other.cells
        self.places += other.places
        self.named = max(self.named, other.named)
        self.named_last = max(self.named_last, other.named_last)
        self.rival = max(self.rival, other.rival)
        self.outline = max(self.outline, other.outline)
        self.age = min(self.age, other.age)
        if other.unused > self.unused:
            self.rank, self.length, self.unused = other.rank, other.length, other.unused


def proposals(tally: Tally, tool: str, name: str, known: Known) -> dict[str, Proposal]:
    """Return what the argument `name` of `tool` may be, by its value."""
    found: dict[str, Proposal] = {}
    used = known.used.get((tool, name), set())
    last = known.symbols[-1] if known.symbols else ""
    for share, origin in _origins(tally, tool, name, known.tenant):
        for proposal in _from(tally, (tool, name), (share, origin), known):
            have = found.get(proposal.text)
            if have is None and len(found) >= PER_ARGUMENT:
                continue
            proposal.used = proposal.text in used
            _stand(proposal, known)
            cell, standing = ("cell", tool, name, origin), _standing(proposal)
            proposal.cells = [cell, (*cell, standing), (*cell, standing, last)]
            if have is None:
                found[proposal.text] = proposal
            else:
                have.merge(proposal)
    for proposal in found.values():
        _value(proposal, tally)
    return found


def _standing(proposal: Proposal) -> tuple[Any, ...]:
    if proposal.lead is not None:
        return proposal.used, proposal.literal, proposal.lead
    return (
        proposal.used, min(2, int(proposal.named * 2)), proposal.literal > 0,
        min(proposal.rank, 2), proposal.unused > 1,
    )  # fmt: skip


def _origins(
    tally: Tally, tool: str, name: str, tenant: str | None
) -> list[tuple[float, Origin]]:  # fmt: skip
    """Return the origins that an argument has had, and in which share of calls; the usual first."""
    kept = ("origins", tool, name)
    found: list[tuple[float, Origin]] | None = tally.derived.get(kept)
    if found is None:
        found = tally.derived[kept] = _all_origins(tally, tool, name)
    return [item for item in found if not theirs(item[1], tenant)][:_ORIGINS]


def _all_origins(tally: Tally, tool: str, name: str) -> list[tuple[float, Origin]]:
    calls = max(1.0, tally.count(("tool",), tool))
    runs = tally.rows(("runs", tool, name))
    rows: Mapping[Any, float] = tally.rows(("origin", tool, name))
    constants = sum(count for origin, count in rows.items() if origin[0] == CONSTANT)
    # What is mostly copied is no constant where nobody saw it copied: it is somebody's.
    least = {CONSTANT: CONSTANT_RUNS if constants >= calls / 2 else math.inf}
    found = [
        (count / calls, origin)
        for origin, count in rows.items()
        if runs.get(origin, 0) >= least.get(origin[0], RUNS) and count >= _LEAST_SHARE * calls
    ]
    found.sort(key=lambda item: (-item[0], str(item[1])))
    return found


def _stand(proposal: Proposal, known: Known) -> None:
    form = bare(proposal.text)
    when = known.literal.get(form, 0) if len(form) > 1 else 0
    proposal.literal = 0 if not when else 2 if when == known.users else 1
    proposal.told = form in known.told


def _value(proposal: Proposal, tally: Tally) -> None:
    for number in range(0, len(proposal.cells), 3):
        worth = 0.3
        for cell in proposal.cells[number : number + 3]:
            proposal.broad = max(proposal.broad, worth) if len(cell) > 5 else proposal.broad
            rows = tally.rows(cell)
            worth = (rows.get("used", 0.0) + 2 * worth) / (rows.get("offered", 0.0) + 2)
        proposal.worth = max(proposal.worth, worth)


def _from(
    tally: Tally, argument: tuple[str, str], shared: tuple[float, Origin], known: Known
) -> Iterator[Proposal]:
    share, origin = shared
    if origin[0] == OBSERVATION:
        yield from _observed(origin, share, known, known.used.get(argument, set()))
    elif origin[0] == ARGUMENT:
        copied = known.arguments.get((origin[1], origin[2]), [])
        latest = dict.fromkeys(text for _, text in reversed(copied[-20:]))
        for rank, text in enumerate(islice(latest, _PER_ARGUMENT_COPIED)):
            event = next(event for event, value in reversed(copied) if value == text)
            proposal = Proposal(text, share, known.events - event, Place(event, "argument", 0))
            proposal.rank = rank
            yield proposal
    elif origin[0] == CONSTANT:
        yield Proposal(origin[1], share, 0, None)
    else:
        outlines = tally.rows(("outline", *argument, origin))
        total = sum(outlines.values()) or 1.0
        for proposal in _said(origin, share, known):
            proposal.outline = outlines.get(outline(proposal.text), 0.0) / total
            yield proposal


def _observed(origin: Origin, share: float, known: Known, used: set[str]) -> Iterator[Proposal]:
    sources = (s for s in reversed(known.observed) if s.name == origin[1])
    having = (s for s in sources if origin[2] in s.reading.values)
    for source in islice(having, _OBSERVATIONS):
        yield from _listed(source, origin, share, known, used)


def _listed(
    source: Source, origin: Origin, share: float, known: Known, used: set[str]
) -> list[Proposal]:  # fmt: skip
    found: dict[str, Proposal] = {}
    unused = 0
    for value in source.reading.values[origin[2]]:
        if value.text in found:
            continue
        place = Place(source.event, "record", value.record)
        proposal = Proposal(value.text, share, known.events - source.event, place)
        proposal.named, proposal.named_last = known.mention(source, value.record)
        proposal.rank = unused
        unused += value.text not in used
        found[value.text] = proposal
    rival = max(proposal.named for proposal in found.values())
    for proposal in found.values():
        proposal.length, proposal.unused, proposal.rival = len(found), unused, rival
    ranked = sorted(found.values(), key=lambda p: (-p.named, p.text in used, p.rank))
    return ranked[:_PER_LIST]


def _said(origin: Origin, share: float, known: Known) -> Iterator[Proposal]:
    _, who, shape, transform = origin
    sources: Sequence[Source] = known.texts
    if who.startswith("tool:"):
        sources, who = known.observed, who[5:]
    length, first = shape.count(" ") + 1, shape.partition(" ")[0]
    values: set[str] = set()
    for source in reversed(sources):
        tokens = source.reading.tokens
        if source.name != who or not tokens:
            continue
        for start, text in reversed(list(spans(tokens, length))):
            if tokens[start].shape != first or len(values) >= _PER_TEXT:
                continue
            if length > 1 and shape_of(tokens[start : start + length]) != shape:
                continue
            value = transformed(text, transform)
            if value is not None and value not in values:
                place = Place(source.event, "token", start)
                proposal = Proposal(value, share, known.events - source.event, place)
                proposal.rank, proposal.lead = len(values), tokens[start].lead
                values.add(value)
                yield proposal
