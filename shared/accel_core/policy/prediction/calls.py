"""Calls put together of proposals for each argument, and the numbers by which they are judged.

Arguments are combined by a beam, and what belongs together (one record, neighbouring words) is told
from what is only near by how it stood in earlier calls.

Invariant: at most `PER_DECISION` candidates, and no more work than beams and proposals allow.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from accel_core.policy.prediction import habits
from accel_core.policy.prediction.binding import Proposal, proposals
from accel_core.policy.prediction.known import ANSWER, FAILED, USER, canonical
from accel_core.policy.prediction.origins import relation
from accel_core.policy.trajectory import ToolCall

if TYPE_CHECKING:
    from collections.abc import Collection

    from accel_core.policy.prediction.known import Known
    from accel_core.policy.prediction.tally import Tally

PER_TOOL, PER_DECISION = 8, 20
_BEAM, _VALUES, _SIGNATURES = 10, 10, 2
_PLACES = 4
_TOOLS = 40
_LEAST, _FEW = math.log(0.01), 3
"""Tools less probable than that before the next change are bound only where calls are so few."""

FEATURES: Final = (
    "next answer reached0 reached1 reached2 reached3 reached4 more1 more2 more4 called "
    "once_sum once_for once_against more_sum more_for more_against ever_sum ever_for "
    "ever_against score behind rank candidates calls calls_ever called_ever after_same "
    "arguments worst_worth worst_broad best_worth share origins outline used literal told "
    "named named_last rival place length unused age after_user after_answer after_failure "
    "messages epochs since_epoch events found_last found_any runs "
).split()  # fmt: skip


class Candidate(NamedTuple):
    """A call that may come, what is equal for equal ones, and its numbers, as `FEATURES`."""

    call: ToolCall
    key: tuple[str, str]
    numbers: list[float]


class _ToolNumbers(NamedTuple):
    """Numbers that are the same of all calls of a tool, and of all tools."""

    tool: list[float]
    whole: list[Any]


class _Bound(NamedTuple):
    score: float
    values: tuple[Proposal, ...]
    names: tuple[str, ...]


def candidates(tally: Tally, known: Known, free: Collection[str]) -> list[Candidate]:
    """Return the calls of `free` tools that may come, likely ones first; none already made."""
    found: list[tuple[float, Candidate]] = []
    whole = _Whole(tally, known)
    called = [tool for tool in sorted(free)[:_TOOLS] if tally.count(("tool",), tool)]
    tools = [(tool, *_tool_numbers(tally, known, tool, whole)) for tool in called]
    for tool, about, probability in sorted(tools, key=lambda item: -item[2]):
        if probability < _LEAST and len(found) >= _FEW:
            break
        numbers = _ToolNumbers(about, whole.numbers)
        found += [
            (probability + likely, candidate)
            for likely, candidate in _of_tool(tally, known, tool, numbers)
        ]
    found.sort(key=lambda item: -item[0])
    return [candidate for _, candidate in found[:PER_DECISION]]


def _of_tool(
    tally: Tally, known: Known, tool: str, given: _ToolNumbers
) -> list[tuple[float, Candidate]]:  # fmt: skip
    """Return the calls of one tool, with log-probabilities that it is one of them."""
    bound = _bindings(tally, known, tool)
    found: list[tuple[float, Candidate]] = []
    for binding in bound:
        if len(found) >= PER_TOOL:
            break
        values = {
            name: habits.value_of(tally, tool, name, proposal.text)
            for name, proposal in zip(binding.names, binding.values, strict=True)
        }
        key = canonical(tool, values)
        if key in known.called:
            continue
        numbers = [
            *given.tool, binding.score, bound[0].score - binding.score, len(found), len(bound),
            *_call_numbers(known, tool, key, binding), *given.whole,
        ]  # fmt: skip
        likely = binding.score - 0.1 * len(found)
        found.append((likely, Candidate(ToolCall(tool, values), key, numbers)))
    return found


def _bindings(tally: Tally, known: Known, tool: str) -> list[_Bound]:
    calls = tally.count(("tool",), tool)
    signatures = sorted(tally.rows(("signature", tool)).items(), key=lambda item: -item[1])
    given: dict[str, list[Proposal]] = {}
    found: list[_Bound] = []
    for names, count in signatures[:_SIGNATURES]:
        beam = [_Bound(0.0, (), names)]  # type: ignore[arg-type]
        for name in names:  # type: ignore[attr-defined]
            if name not in given:
                ranked = proposals(tally, tool, name, known).values()
                given[name] = sorted(ranked, key=lambda p: -p.worth)[:_VALUES]
            beam = _extended(tally, tool, beam, given[name])
        usual = math.log(count / calls)
        found += [one._replace(score=one.score / max(1, len(one.values)) + usual) for one in beam]
    found.sort(key=lambda one: -one.score)
    return found


def _extended(tally: Tally, tool: str, beam: list[_Bound], given: list[Proposal]) -> list[_Bound]:
    grown = [
        one._replace(
            score=one.score + math.log(value.worth + 1e-3) + _together(tally, tool, one, value),
            values=(*one.values, value),
        )
        for one in beam
        for value in given
    ]
    grown.sort(key=lambda one: -one.score)
    return grown[:_BEAM]


def _together(tally: Tally, tool: str, one: _Bound, value: Proposal) -> float:
    """Return the log-probability that earlier arguments stand to this one as they do here."""
    total, name = 0.0, one.names[len(one.values)]
    for other_name, other in zip(one.names, one.values, strict=False):
        rows = tally.rows(("relation", tool, other_name, name))
        if rows and other.places and value.places:
            relations = {
                relation(a, b) for a in other.places[:_PLACES] for b in value.places[:_PLACES]
            }
            most = max(rows.get(found, 0.0) for found in relations)
            total += math.log((most + 0.05) / (rows.get("", 0.0) + 1))
    return total


def _tool_numbers(
    tally: Tally, known: Known, tool: str, whole: _Whole
) -> tuple[list[float], float]:
    comes = whole.names.next_probability(tool)
    reached, more = whole.names.reach(tool)
    cell = tally.rows(habits.tool_cell(tool, known))
    called = (cell.get("used", 0.0) + 2 * reached[1]) / (cell.get("offered", 0.0) + 2)
    numbers = [
        _log_odds(comes), whole.answer, *map(_log_odds, reached), more[1], more[2], more[4],
        _log_odds(called), *_word_numbers(tally, tool, whole),
    ]  # fmt: skip
    return numbers, math.log(max(comes, reached[-1]) + 1e-3)


_WORD_LEAST, _WORD_PRIOR = 12, 12
SPOKEN_RUNS, _SPOKEN_SHARE = 5, 0.1
"""Words count that many runs have in common: what a few are about says nothing of others."""


def _word_numbers(tally: Tally, tool: str, whole: _Whole) -> list[float]:
    """Return by how much the last words raise, and lower, the odds of one call, and of several."""
    numbers: list[float] = []
    once, more = (_lifts(tally, tool, kind) for kind in ("once", "more"))
    for by_word, words in ((once, whole.heard), (more, whole.heard), (once, whole.heard_ever)):
        lifts = sorted([by_word[word] for word in words if word in by_word])
        numbers += (
            sum(lifts), sum([lift for lift in lifts[-3:] if lift > 0]),
            sum([lift for lift in lifts[:3] if lift < 0]),
        )  # fmt: skip
    return numbers


def _common(tally: Tally) -> frozenset[Any]:
    """Return the words that many runs have in common."""
    found: frozenset[Any] | None = tally.derived.get(("common",))
    if found is None:
        least = max(SPOKEN_RUNS, _SPOKEN_SHARE * tally.count(("runs",), ""))
        spoken = tally.rows(("spoken",)).items()
        found = frozenset(word for word, runs in spoken if runs >= least)
        tally.derived["common",] = found
    return found


def _lifts(tally: Tally, tool: str, kind: str) -> dict[Any, float]:
    """Return by how much each word that counts changes the odds of `tool`."""
    name = ("lifts", tool, kind)
    found: dict[Any, float] | None = tally.derived.get(name)
    if found is None:
        base, heard, counts = (tally.rows((rows, tool)) for rows in ("words", "heard", "word"))
        share = (base.get(kind, 0.0) + 0.5) / (base.get("offered", 0.0) + 5)
        found = tally.derived[name] = {
            word: _log_odds(
                (counts.get((word, kind), 0.0) + _WORD_PRIOR * share) / (heard[word] + _WORD_PRIOR)
            )
            - _log_odds(share)
            for word in _common(tally)
            if heard.get(word, 0.0) >= _WORD_LEAST
        }
    return found


def _call_numbers(known: Known, tool: str, key: tuple[str, str], bound: _Bound) -> list[float]:
    calls = [
        known.calls.get(tool, 0), known.calls_ever.get(tool, 0), float(key in known.called_ever),
        float(known.symbols[-1:] == [tool]), len(bound.values),
    ]  # fmt: skip
    if not bound.values:
        return [*calls, 3.0, 3.0, 3.0, 1.0, 0.0, 1.0, *[-1.0] * 7, 0.0, 0.0, 0.0]
    worst = min(bound.values, key=lambda value: value.worth)
    return [
        *calls, _log_odds(worst.worth), _log_odds(worst.broad),
        _log_odds(max(value.worth for value in bound.values)), worst.share, worst.origins,
        min(value.outline for value in bound.values), worst.used, worst.literal, worst.told,
        worst.named, worst.named_last, worst.rival - worst.named, worst.rank, worst.length,
        worst.unused, worst.age,
    ]  # fmt: skip


class _Whole:
    """What is the same of all candidates of a decision.

    Attributes:
        names: what follows what happened.
        answer: log-odds that a text is next.
        heard, heard_ever: of the words heard last, and ever, those that count.
        numbers: the last of `FEATURES`.
    """

    def __init__(self, tally: Tally, known: Known) -> None:
        self.names = habits.Names(tally, known.symbols)
        self.answer = _log_odds(self.names.next_probability(ANSWER))
        common = _common(tally)
        self.heard = [word for word in dict.fromkeys(known.heard) if word in common]
        self.heard_ever = [word for word in known.heard_ever if word in common]
        last = known.symbols[-1] if known.symbols else ""
        self.numbers: list[Any] = [
            last == USER, last == ANSWER, last.endswith(FAILED), known.users, known.epochs,
            known.events - known.epoch_began, known.events, *known.found(),
            math.log1p(tally.count(("runs",), "")),
        ]  # fmt: skip


def _log_odds(probability: float) -> float:
    bounded = min(max(probability, 1e-4), 1 - 1e-4)
    return math.log(bounded / (1 - bounded))
