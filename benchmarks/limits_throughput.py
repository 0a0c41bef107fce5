"""Utilisation, 429s and waits against buckets, windows, neighbours and refunds.

Sixty thousand tokens and 1,200 requests a minute. Overload offers half as much again for 450 s, of
which the last 300 s count; busy is 92 % with large prompts among the small, run to its end.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from statistics import mean
from typing import TYPE_CHECKING, Any

from accel_core.testing.provider_rules import Hidden, Neighbour, bedrock, openai
from benchmarks.harness import Measured, Row
from benchmarks.limits_load import Load
from benchmarks.limits_peers import PEERS
from benchmarks.limits_reference import REFERENCE
from benchmarks.limits_results import Results, quantile
from benchmarks.limits_run import Scenario

if TYPE_CHECKING:
    from benchmarks.harness import Context
    from benchmarks.limits_run import Outcome

_OVERLOAD = Load(share=1.5)
_BUSY = Load(share=0.92, large_share=0.04, duration_s=840.0)
# What is charged in the end is 0.62 of what is held at first: this offers half as much again of it.
_REFUNDED_OVERLOAD = Load(share=2.4)
_MIXED_OVERLOAD = Load(share=1.5, large_share=0.04)
_BESIDE = (*PEERS, REFERENCE)


def _overload(name: str, **rules: Any) -> Scenario:
    return Scenario(name=name, rules=replace(openai(), **rules), load=_OVERLOAD)


def _busy(name: str, **rules: Any) -> Scenario:
    return Scenario(name=name, rules=replace(openai(), **rules), load=_BUSY, until_s=None)


CONTINUOUS = _overload("continuous-overload")
HIDDEN_SECOND = _overload("hidden-second-overload", hidden=Hidden())
FIXED_SECOND = _overload("fixed-second-overload", hidden=Hidden(shape="window"))
FIXED_MINUTE = _overload("fixed-minute-overload", shape="window")
QUARTER_STOLEN = _overload("quarter-stolen", neighbour=Neighbour(share=0.25))
HALF_STOLEN = _overload("half-stolen", neighbour=Neighbour(share=0.5))
BUSY = _busy("continuous-busy")
HIDDEN_SECOND_BUSY = _busy("hidden-second-busy", hidden=Hidden())
STARVATION = Scenario(name="starvation", rules=openai(), load=_MIXED_OVERLOAD)
REFUNDS = Scenario(name="refunds", rules=bedrock(), profile="bedrock", load=_REFUNDED_OVERLOAD)

SCENARIOS = (
    CONTINUOUS,
    HIDDEN_SECOND,
    FIXED_SECOND,
    FIXED_MINUTE,
    QUARTER_STOLEN,
    HALF_STOLEN,
    BUSY,
    HIDDEN_SECOND_BUSY,
    STARVATION,
    REFUNDS,
)


def refused_percent(outcome: Outcome) -> float:
    return 100 * outcome.refused_share


def utilised_percent(outcome: Outcome) -> float:
    return 100 * outcome.utilisation


def wait_s(outcome: Outcome, share: float, *, large: bool | None = None) -> float:
    return quantile(outcome.waits_s(large=large), share)


def _at(outcomes: list[Outcome]) -> str:
    used, refused = mean(map(utilised_percent, outcomes)), mean(map(refused_percent, outcomes))
    return f"{refused:.1f} % at {used:.0f}" + _lost(outcomes)


def _waits(outcomes: list[Outcome]) -> str:
    shares = (0.5, 0.99)
    middle, long = (mean(wait_s(one, share) for one in outcomes) for share in shares)
    large = mean(wait_s(one, 0.99, large=True) for one in outcomes)
    refused = mean(map(refused_percent, outcomes))
    return f"{middle:.1f}/{long:.1f}/{large:.0f} s {refused:.1f} %{_lost(outcomes)}"


def _lost(outcomes: list[Outcome]) -> str:
    failed = mean(outcome.failed for outcome in outcomes)
    return f" ({failed:.0f} failed)" if failed else ""


def refused(context: Context, scenario: Scenario) -> Measured:
    results = context.once(Results)
    value = results.figure(scenario, refused_percent)
    return Measured(value, _note(results, scenario))


def utilised(context: Context, scenario: Scenario) -> Measured:
    results = context.once(Results)
    value = results.figure(scenario, utilised_percent)
    return Measured(value, _note(results, scenario))


def waited(
    context: Context, scenario: Scenario, share: float, *, large: bool | None = None
) -> Measured:
    results = context.once(Results)
    value = results.figure(scenario, partial(wait_s, share=share, large=large))
    told = results.beside(scenario, _BESIDE, _waits)
    return Measured(value, f"p50/p99/p99 of the large, 429s: {told}")


def large_served(context: Context) -> Measured:
    results = context.once(Results)
    value = results.figure(STARVATION, lambda one: one.largest_served)
    offered = results.figure(STARVATION, lambda one: sum(c.call.large for c in one.courses))
    told = results.beside(
        STARVATION, _BESIDE, lambda found: f"{mean(one.largest_served for one in found):.0f}"
    )
    return Measured(52 * value / offered, f"scaled to 52 from {offered:.0f} offered; {told}")


def told(context: Context) -> Measured:
    results = context.once(Results)
    each = {s.name: sum(one.told_429 for one in results.outcomes(s)) for s in SCENARIOS}
    named = ", ".join(f"{name} {count}" for name, count in each.items() if count)
    return Measured(sum(each.values()), named or f"none in {len(each)} scenarios")


def _note(results: Results, scenario: Scenario) -> str:
    ours = _at(results.outcomes(scenario))
    return f"ours {ours}; {results.beside(scenario, _BESIDE, _at)}"


def _refused_row(scenario: Scenario, what: str, bound: float, aim: float | None = None) -> Row:
    measure = partial(refused, scenario=scenario)
    what = f"{what}: % 429s per attempt"
    name = f"{scenario.name}-429"
    return Row(name=name, what=what, op="<=", bound=bound, aim=aim, measure=measure)


def _utilised_row(scenario: Scenario, what: str, bound: float) -> Row:
    measure = partial(utilised, scenario=scenario)
    what = f"{what}: % of the limit used"
    name = f"{scenario.name}-utilisation"
    return Row(name=name, what=what, op=">=", bound=bound, measure=measure)


def _waited_row(
    name: str, scenario: Scenario, what: str, share: float, bound: float, *, large: bool | None
) -> Row:
    measure = partial(waited, scenario=scenario, share=share, large=large)
    return Row(name=name, what=what, op="<=", bound=bound, measure=measure)


ROWS = [
    _utilised_row(CONTINUOUS, "150 % load, continuous bucket", 99),
    _refused_row(CONTINUOUS, "150 % load, continuous bucket", 0),
    _utilised_row(HIDDEN_SECOND, "150 % load, hidden 1-s bucket", 99),
    _refused_row(HIDDEN_SECOND, "150 % load, hidden 1-s bucket", 0.5),
    _waited_row(
        "hidden-second-busy-large-wait",
        HIDDEN_SECOND_BUSY,
        "92 % load, hidden 1-s bucket: p99 wait of large requests, s",
        0.99,
        44,
        large=True,
    ),
    _refused_row(HIDDEN_SECOND_BUSY, "92 % load, hidden 1-s bucket", 2.2),
    _waited_row(
        "continuous-busy-wait-p50",
        BUSY,
        "92 % load, continuous bucket: p50 wait, s",
        0.5,
        0.1,
        large=None,
    ),
    _waited_row(
        "continuous-busy-wait-p99",
        BUSY,
        "92 % load, continuous bucket: p99 wait, s",
        0.99,
        0.5,
        large=None,
    ),
    _refused_row(QUARTER_STOLEN, "a quarter of the key used by somebody else", 0.2),
    _refused_row(HALF_STOLEN, "half of the key used by somebody else", 4.5, 1),
    _utilised_row(FIXED_SECOND, "150 % load, hidden fixed 1-s windows", 85),
    _refused_row(FIXED_SECOND, "150 % load, hidden fixed 1-s windows", 3),
    _refused_row(FIXED_MINUTE, "150 % load, fixed minutes", 0.6),
    _utilised_row(FIXED_MINUTE, "150 % load, fixed minutes", 97),
    _utilised_row(REFUNDS, "150 % load, charges corrected at the end", 99),
    Row(
        name="starvation-large-served",
        what="150 % load: large requests served, of 52 offered",
        op=">=",
        bound=39,
        measure=large_served,
    ),
    Row(
        name="refusals-told",
        what="429s that reach a caller, all scenarios above",
        op="<=",
        bound=0,
        measure=told,
    ),
]
