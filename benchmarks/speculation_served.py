"""What predictors mined from runs serve and waste, replayed through the speculator.

Runs are parted by group, such as the customer, so that nobody replayed has been learned from; what
is replayed is not learned either. Settings are the default ones, for all agents and seeds: what
confidence means was learned from runs held back among those to learn from. Made-up agents stand
in for recorded ones where no ``--traces`` or ``--frugal-traces`` are given.
"""

from __future__ import annotations

from itertools import product
from random import Random
from statistics import fmean
from time import thread_time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accel_core.policy.prediction import habits
from accel_core.policy.prediction.known import Readers, canonical
from accel_core.prediction import file, fitting
from accel_core.prediction.mined import MinedPredictor
from benchmarks import speculation_traces
from benchmarks.harness import Measured, Row
from benchmarks.speculation_replay import Pace, replay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.policy.trajectory import Observed, Trajectory
    from accel_core.prediction.fitting import Run
    from benchmarks.harness import Context
    from benchmarks.speculation_replay import Tally
    from benchmarks.speculation_traces import Traces

_FEW, _DRAWS = 10, 4


class Judged(NamedTuple):
    """A predictor, and the runs that it has not seen."""

    traces: Traces
    predictor: MinedPredictor
    runs: list[Run]


def learned(context: Context, all_traces: list[Traces]) -> list[Judged]:
    """Return a predictor of each agent and seed."""
    judged = []
    for traces in all_traces:
        for seed in range(context.pick(5, 1)):
            train, runs = speculation_traces.halves(traces, context.seed + seed)
            model = fitting.fit(train, traces.free, file.shipped_forests(), Readers())
            judged.append(Judged(traces, MinedPredictor(model), runs))
            context.report(len(judged) / (len(all_traces) * context.pick(5, 1)))
    return judged


def _agents(context: Context) -> list[Judged]:
    return learned(context, speculation_traces.agents(context))


def _frugal(context: Context) -> list[Judged]:
    return learned(context, speculation_traces.frugal(context))


def _replayed(judged: list[Judged], pace: Pace = Pace()) -> list[Tally]:  # noqa: B008
    return [
        replay(
            each.runs, [each.predictor], each.traces.reads, each.traces.free,
            pace=pace,
        )
        for each in judged
    ]  # fmt: skip


def _replays(context: Context) -> list[Tally]:
    return _replayed(context.once(_agents))


def _note(tallies: list[Tally]) -> str:
    served, used = (
        fmean(getattr(t, name) for t in tallies) for name in ("served_share", "used_share")
    )
    wasted = fmean(t.wasted_per_100_reads for t in tallies)
    spread = np.std([t.served_share for t in tallies])
    return (
        f"served {served:.1%} ± {spread:.1%}, {used:.1%} of guesses used, {wasted:.1f} wasted per"
        f" 100 reads; {len(tallies)} splits, {sum(t.reads for t in tallies):,} reads"
    )


def served(context: Context) -> Measured:
    tallies = context.once(_replays)
    return Measured(fmean(t.served_share for t in tallies), _note(tallies))


def used(context: Context) -> Measured:
    tallies = context.once(_replays)
    return Measured(fmean(t.used_share for t in tallies), _note(tallies))


def wasted(context: Context) -> Measured:
    tallies = context.once(_replays)
    return Measured(fmean(t.wasted_per_100_reads for t in tallies), _note(tallies))


def frugal_wasted(context: Context) -> Measured:
    tallies = _replayed(context.once(_frugal))
    return Measured(fmean(t.wasted_per_100_reads for t in tallies), _note(tallies))


def hidden(context: Context) -> Measured:
    pace = Pace(model_s=1.0, tool_s=1.0)
    tallies = _replayed(context.once(_agents), pace)
    waited, reads = sum(t.waited_s for t in tallies), sum(t.reads for t in tallies)
    return Measured(1 - waited / (reads * pace.tool_s), _note(tallies))


def after_few(context: Context) -> Measured:
    """Return the share of reads among the first three guesses, after ten runs.

    Which ten are learned from makes some points of difference, so several tens are drawn.
    """
    hits = reads = 0
    for traces in speculation_traces.agents(context):
        for seed, draw in product(range(context.pick(5, 1)), range(context.pick(_DRAWS, 1))):
            train, runs = speculation_traces.halves(traces, context.seed + seed)
            some = Random(seed + 100 * draw).sample(train, _FEW)
            model = fitting.fit(some, traces.free, file.shipped_forests(), Readers())
            for run in runs:
                for known, asked in _asked(run.events):
                    wanted = [call for call in asked if call.tool in traces.reads]
                    if wanted:
                        first = {
                            canonical(*guess.call)
                            for guess in model.ranked(known, traces.free, Readers())[:3]
                        }
                        reads += len(wanted)
                        hits += sum(canonical(c.tool, c.arguments) in first for c in wanted)
    return Measured(hits / reads, f"{hits:,} of {reads:,} reads")


def _asked(run: Trajectory) -> Iterator[tuple[Trajectory, list[Observed]]]:
    for place in habits.decisions(run):
        yield run[:place], habits.answered(run, place)


def cost(context: Context) -> Measured:
    """Return the 95th percentile of a prediction's processor time, ms."""
    spent_ms = []
    for each in context.once(_agents)[:: context.pick(5, 1)]:
        for run in each.runs:
            for known, _ in _asked(run.events):
                began_s = thread_time()
                each.predictor.predict(known, each.traces.free)
                spent_ms.append((thread_time() - began_s) * 1e3)
    p50, p95, p99 = np.percentile(spent_ms, (50, 95, 99))
    return Measured(float(p95), f"p50 {p50:.2g} ms, p99 {p99:.2g} ms, {len(spent_ms):,} decisions")


ROWS = [
    Row(
        name="served",
        what="reads whose result was there or under way when the agent asked",
        op=">=",
        bound=0.75,
        aim=0.9,
        measure=served,
    ),
    Row(
        name="served-used",
        what="guesses used, at that setting",
        op=">=",
        bound=0.85,
        measure=used,
    ),
    Row(
        name="served-wasted",
        what="guesses wasted per 100 reads, at that setting",
        op="<=",
        bound=15,
        aim=8,
        measure=wasted,
    ),
    Row(
        name="frugal-wasted",
        what="the same of an agent of whom little can be known",
        op="<=",
        bound=3,
        aim=2,
        measure=frugal_wasted,
    ),
    Row(
        name="after-ten",
        what="after ten runs: reads among the first three guesses",
        op=">=",
        bound=0.8,
        aim=0.85,
        measure=after_few,
    ),
    Row(
        name="wait-hidden",
        what="share of the reads' wait that is hidden, tools as slow as the model",
        op=">=",
        bound=0.75,
        aim=0.85,
        measure=hidden,
    ),
    Row(
        name="predict-ms",
        what="processor time of a prediction, 95th percentile, ms",
        op="<=",
        bound=5,
        aim=2,
        measure=cost,
    ),
]
