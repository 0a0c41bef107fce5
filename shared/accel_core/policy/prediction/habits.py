"""What earlier runs have taught, as counts: which tool follows what, and where arguments come from.

Names are learned as variable-order statistics (order 0 to `ORDER`, blended as Witten and Bell 1991
do): what is next, and what is called at all before the next call that changes something. Learning a
run costs milliseconds, and nothing that a person wrote or that a tool returned is kept: counts are
by tool, path, shape and hashed word. Constants are the exception, and only where nothing that was
said or observed explains them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from accel_core.policy.prediction.binding import proposals
from accel_core.policy.prediction.known import ANSWER, Known, Readers, canonical, spelled
from accel_core.policy.prediction.origins import TEXT, explain, relation
from accel_core.policy.prediction.words import outline
from accel_core.policy.trajectory import Observed, Said

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from accel_core.policy.prediction.origins import Origin, Place
    from accel_core.policy.prediction.tally import Tally
    from accel_core.policy.trajectory import Trajectory

ORDER = 4
_UNSEEN = 1 / 30
EVENTS = 400
"""Of a longer run only the end is learned."""
_PLACES = 12


def decisions(run: Trajectory) -> Iterator[int]:
    """Return where the model was asked: the number of the first event of each of its answers."""
    turn: int | None = None
    for number, event in enumerate(run):
        if isinstance(event, Said):
            turn = None
            if event.role == "assistant":
                yield number
        else:
            if event.turn != turn:
                yield number
            turn = event.turn


def answered(run: Trajectory, decision: int) -> list[Observed]:
    """Return the calls of the answer that begins at `decision`; none: it is a text."""
    first = run[decision]
    calls: list[Observed] = []
    if isinstance(first, Observed):
        for event in run[decision:]:
            if not isinstance(event, Observed) or event.turn != first.turn:
                break
            calls.append(event)
    return calls


def upcoming(
    run: Trajectory, decision: int, free: Collection[str]
) -> dict[tuple[str, str], Observed]:
    """Return the calls from `decision` on, before the first that is not of a `free` tool."""
    calls: dict[tuple[str, str], Observed] = {}
    for event in run[decision:]:
        if isinstance(event, Observed):
            if event.tool not in free:
                break
            calls.setdefault(canonical(event.tool, event.arguments), event)
    return calls


def contexts(symbols: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the last 0, 1, … `ORDER` symbols."""
    return [tuple(symbols[len(symbols) - k :]) for k in range(min(ORDER, len(symbols)) + 1)]


def learn(tally: Tally, run: Trajectory, free: Collection[str], readers: Readers) -> None:
    """Count a run that has ended."""
    learn_origins(tally, run, free, readers)
    learn_standings(tally, tally, run, free, readers)


def learn_origins(tally: Tally, run: Trajectory, free: Collection[str], readers: Readers) -> None:
    """Count what follows what, and where the arguments of the run's calls came from."""
    run = run[-EVENTS:]
    known, asked = Known(free, readers), set(decisions(run))
    once: set[tuple[str, str, Origin]] = set()
    tally.add(("runs",), "")
    for number, event in enumerate(run):
        if number in asked:
            _learn_names(tally, run, number, known, free)
            for call in answered(run, number):
                if call.tool in free:
                    _learn_call(tally, call, known, once)
        known.add(event)


def _learn_names(
    tally: Tally, run: Trajectory, decision: int, known: Known, free: Collection[str]
) -> None:  # fmt: skip
    names = [call.tool for call in answered(run, decision)] or [ANSWER]
    later: dict[str, int] = {}
    for call in upcoming(run, decision, free).values():
        later[call.tool] = later.get(call.tool, 0) + 1
    for context in contexts(known.symbols):
        for name in names:
            tally.add(("next", context), name, 1 / len(names))
        tally.add(("asked",), context)
        for tool, calls in later.items():
            tally.add(("reached", context), tool)
            tally.add(("more", context), tool, calls)


def _learn_call(
    tally: Tally, call: Observed, known: Known, once: set[tuple[str, str, Origin]]
) -> None:  # fmt: skip
    tool = call.tool
    tally.add(("tool",), tool)
    tally.add(("signature", tool), tuple(sorted(call.arguments)))
    places: dict[str, list[Place]] = {}
    for name, value in sorted(call.arguments.items()):
        tally.add(("type", tool, name), type(value).__name__)
        text = spelled(value)
        found = explain(text, known)
        places[name] = [place for places in found.values() for place in places][-_PLACES:]
        for origin in found:
            tally.add(("origin", tool, name), origin)
            if (tool, name, origin) not in once:
                once.add((tool, name, origin))
                tally.add(("runs", tool, name), origin)
            if origin[0] == TEXT:
                tally.add(("outline", tool, name, origin), outline(text))
    names = list(places)
    for i, b in enumerate(names):
        for a in names[:i]:
            tally.add(("relation", tool, a, b), "")
            for found_ in {relation(p, q) for p in places[a] for q in places[b]}:
                tally.add(("relation", tool, a, b), found_)


def learn_standings(
    tally: Tally, origins: Tally, run: Trajectory, free: Collection[str], readers: Readers
) -> None:
    """Count in `tally` what proposals by `origins` would have been worth at each decision."""
    run = run[-EVENTS:]
    known, asked = Known(free, readers), set(decisions(run))
    spoken: set[int] = set()
    for number, event in enumerate(run):
        if number in asked:
            spoken.update(known.heard, known.heard_ever)
            later = list(upcoming(run, number, free).values())
            for tool in free:
                if origins.count(("tool",), tool):
                    _learn_tool(tally, origins, tool, known, later)
        known.add(event)
    for word in spoken:
        tally.add(("spoken",), word)


def _learn_tool(
    tally: Tally, origins: Tally, tool: str, known: Known, later: Sequence[Observed]
) -> None:
    calls = [call for call in later if call.tool == tool]
    _count(tally, tool_cell(tool, known), used=bool(calls))
    for word in (*known.heard, *known.heard_ever):
        if calls:
            tally.add(("word", tool), (word, "once"))
        if len(calls) > 1:
            tally.add(("word", tool), (word, "more"))
        tally.add(("heard", tool), word)
    for row, hit in (("offered", True), ("once", bool(calls)), ("more", len(calls) > 1)):
        if hit and known.heard:
            tally.add(("words", tool), row)
    for name in arguments(origins, tool):
        values = {spelled(call.arguments[name]) for call in calls if name in call.arguments}
        for proposal in proposals(origins, tool, name, known).values():
            for cell in proposal.cells:
                _count(tally, cell, used=proposal.text in values)


def _count(tally: Tally, cell: tuple[object, ...], *, used: bool) -> None:
    tally.add(cell, "offered")
    if used:
        tally.add(cell, "used")


def tool_cell(tool: str, known: Known) -> tuple[object, ...]:
    """Return the cell of a tool as a whole: after what it was called, and how often yet."""
    last = known.symbols[-1] if known.symbols else ""
    return "called", tool, last, min(2, known.calls.get(tool, 0))


def arguments(tally: Tally, tool: str) -> list[str]:
    """Return the names of all arguments that `tool` was called with."""
    return sorted({name for names in tally.rows(("signature", tool)) for name in names})  # type: ignore[attr-defined]


class Names:
    """What follows the last 0, 1, … `ORDER` symbols, read once for all tools.

    Args:
        tally: what runs have taught.
        symbols: what happened, by name.
    """

    def __init__(self, tally: Tally, symbols: Sequence[str]) -> None:
        known = contexts(symbols)
        self._next: list[tuple[Mapping[Any, float], float]] = []
        for context in known:
            rows = tally.rows(("next", context))
            if not rows:
                break
            self._next.append((rows, sum(rows.values())))
        self._later = [
            (asked, tally.rows(("reached", context)), tally.rows(("more", context)))
            for context in known
            if (asked := tally.count(("asked",), context))
        ]

    def next_probability(self, name: str) -> float:
        """Return the probability that `name` comes next, in (0, 1)."""
        probability = _UNSEEN
        for rows, total in self._next:
            kinds = len(rows)
            probability = (rows.get(name, 0.0) + kinds * probability) / (total + kinds)
        return probability

    def reach(self, tool: str) -> tuple[list[float], list[float]]:
        """Return, by order, how probably `tool` is called before a change, and how often."""
        probability, times = 0.1, 0.3
        probabilities, numbers = [], []
        for asked, reached, more in self._later:
            probability = (reached.get(tool, 0.0) + 2 * probability) / (asked + 2)
            times = (more.get(tool, 0.0) + 2 * times) / (asked + 2)
            probabilities.append(probability)
            numbers.append(times)
        unknown = ORDER + 1 - len(probabilities)
        return probabilities + [probability] * unknown, numbers + [times] * unknown


def value_of(tally: Tally, tool: str, name: str, text: str) -> object:
    """Return an argument's value from its text, in the type that it usually has."""
    types = tally.rows(("type", tool, name))
    usual = max(types, key=lambda kind: (types[kind], str(kind)), default="str")
    if usual == "str":
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if type(value).__name__ == usual or usual == "float" else text
