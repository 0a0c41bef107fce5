"""Attempts per call while the service fails: what each layer of retries multiplies."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean
from typing import TYPE_CHECKING

from accel_core.testing.provider_rules import Outage, openai
from benchmarks.harness import Measured, Row
from benchmarks.limits_load import Load
from benchmarks.limits_ours import RETRY_BUDGET
from benchmarks.limits_peers import unlimited
from benchmarks.limits_results import Results
from benchmarks.limits_run import Scenario

if TYPE_CHECKING:
    from benchmarks.harness import Context
    from benchmarks.limits_run import Outcome

_HALF = Load(share=0.5, duration_s=300.0)
ERRORS = Scenario(name="errors", rules=replace(openai(), error_share=0.3), load=_HALF, until_s=None)
OUTAGE = Scenario(
    name="outage",
    rules=replace(openai(), outages=(Outage(from_s=100.0, to_s=200.0, status=503),)),
    load=_HALF,
    until_s=None,
)
SDK = unlimited(tries=3, listens=True, name="SDK (2 retries)")
NESTED = unlimited(tries=45, listens=True, name="SDK in a framework in an application (3·3·5)")


def attempts_per_call(outcome: Outcome) -> float:
    return mean(course.attempts for course in outcome.courses)


def _tell(outcomes: list[Outcome]) -> str:
    told = mean(map(attempts_per_call, outcomes))
    most = max(course.attempts for one in outcomes for course in one.courses)
    failed = mean(outcome.failed / len(outcome.courses) for outcome in outcomes)
    return f"{told:.2f} (at most {most}, {100 * failed:.1f} % fail)"


def attempts(context: Context) -> Measured:
    results = context.once(Results)
    value = results.figure(ERRORS, attempts_per_call)
    ours, outage = _tell(results.outcomes(ERRORS)), _tell(results.outcomes(OUTAGE))
    beside = results.beside(ERRORS, (SDK, NESTED), _tell)
    worse = results.beside(OUTAGE, (SDK, NESTED), _tell)
    return Measured(value, f"ours {ours}; {beside}. 503 for 100 of 300 s: ours {outage}; {worse}")


ROWS = [
    Row(
        name="attempts",
        what="attempts per call where 30 % of them fail",
        op="<=",
        bound=1 + RETRY_BUDGET,
        measure=attempts,
    ),
]
