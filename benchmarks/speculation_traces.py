"""The runs that predictors are measured on: ``--traces FILE``, or made-up ones.

Which tools are free of side effects is not in a file; for measurements it is told by their names.
A product must not do so: there it is declared. Thinking and calculating change nothing, so they
end no epoch, but they are no reads: none is counted.
"""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from accel_core.policy.trajectory import Observed
from accel_core.prediction.fitting import Run
from accel_core.prediction.traces import read_runs
from accel_core.testing.agent_runs import FIELDS, FRUGAL

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.harness import Context

_READS = re.compile(
    r"(get|find|list|search|describe|look_?up|read|fetch|query|run_query|show|view|check)(_|$)"
)
_HARMLESS = re.compile(r"(think|calculate|calc)(_|$)")
_TRAINED = 0.7
_MADE = 160


class Traces(NamedTuple):
    """Runs of one agent.

    Attributes:
        name: what they are called in notes.
        runs: with their groups.
        reads: tools that read; their calls are counted.
        free: those, and tools that neither read nor change anything.
    """

    name: str
    runs: list[Run]
    reads: frozenset[str]
    free: frozenset[str]


def of_file(path: Path) -> Traces:
    """Return the runs of a file."""
    runs = read_runs(path)
    called = {e.tool for run in runs for e in run.events if isinstance(e, Observed)}
    reads = frozenset(filter(_READS.match, called))
    return Traces(path.name, runs, reads, reads | frozenset(filter(_HARMLESS.match, called)))


def made(name: str) -> Traces:
    """Return made-up runs of a field, each with a group of its own."""
    make, free = {**FIELDS, **FRUGAL}[name]
    runs = [Run(make(seed), str(seed)) for seed in range(5_000, 5_000 + _MADE)]
    return Traces(name, runs, free, free)


def agents(context: Context) -> list[Traces]:
    """Return the agents whose calls are to be served."""
    if context.traces is not None:
        return [of_file(context.traces)]
    return [made(name) for name in FIELDS]


def frugal(context: Context) -> list[Traces]:
    """Return the agents on whom little may be wasted, as hardly anything of theirs can be known."""
    if context.frugal_traces is not None:
        return [of_file(context.frugal_traces)]
    return [made(name) for name in FRUGAL]


def halves(traces: Traces, seed: int) -> tuple[list[Run], list[Run]]:
    """Part runs by group: seven tenths to learn from, the rest to be judged by."""
    groups: dict[object, list[Run]] = {}
    for run in traces.runs:
        groups.setdefault(run.group if run.group is not None else id(run), []).append(run)
    order = sorted(groups, key=str)
    Random(seed).shuffle(order)
    learned: set[object] = set()
    count = 0
    for group in order:
        if count < _TRAINED * len(traces.runs):
            learned.add(group)
            count += len(groups[group])
    # In the order of the file: neighbours in time stay neighbours.
    train = [run for group in groups if group in learned for run in groups[group]]
    return train, [run for group in groups if group not in learned for run in groups[group]]
