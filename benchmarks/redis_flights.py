"""What processes that share a server ask a model when they ask at once, and what knowing it costs.

Eight processes of fifty tasks ask two hundred questions, between them, many times over; the model
is a server that counts. By the same words each question is to be asked once. In other words each
process finds what the others stored by meaning, which one process does at once and eight do as
they hear of it: so the same tasks are run in one process beside them.
"""

from __future__ import annotations

import time
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from accel_core.accel import Accel
from accel_core.policy.never_cache import NeverCache
from accel_core.testing.model_server import ModelServer
from benchmarks import cache_parts as parts
from benchmarks import questions, redis_parts
from benchmarks.harness import Measured, Row, UnavailableError
from benchmarks.redis_asking import PATIENCE_S
from benchmarks.redis_crowd import Crowd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.harness import Context

_PROCESSES, _TASKS, _QUESTIONS = 8, 50, 200
_LATENCY_S = 0.05
_PAUSE_S = 4.0
"""Between the questions of a task, on average: eighty a second then are asked in all."""


def verbatim(context: Context) -> Measured:
    asks = [wordings[:1] for wordings in _asks(context)]
    calls, note = _crowd(
        asks, _PROCESSES, _TASKS, each=context.pick(100, 25), semantic={"enabled": False}
    )
    return Measured(calls, note)


def reworded(context: Context) -> Measured:
    context.once(parts.minilm)  # the children need it
    asks, run = _asks(context), partial(_crowd, each=context.pick(20, 8), semantic={})
    calls, note = run(asks, _PROCESSES, _TASKS, pause_s=_PAUSE_S)
    context.report(0.5)
    alone, _ = run(asks, 1, _PROCESSES * _TASKS, pause_s=_PAUSE_S)
    return Measured(100 * (calls / alone - 1), f"{calls} calls, one process {alone}; {note}")


def leading(context: Context) -> Measured:
    """Look up what nobody has, with single flight and without, in turns."""
    times: dict[bool, list[float]] = {True: [], False: []}
    with redis_parts.running() as server:
        caches = {enabled: _plain(server.url, enabled=enabled) for enabled in times}
        try:
            for number in range(context.pick(3_000, 500)):
                for enabled, accel in caches.items():
                    began_s = time.perf_counter()
                    assert not parts.look_up(accel, f"What is item {number} of {enabled}?")
                    times[enabled].append(time.perf_counter() - began_s)
        finally:
            for accel in caches.values():
                accel.close()
    leads, plain = (1000 * median(times[enabled]) for enabled in (True, False))
    return Measured(leads - plain, f"p50 {leads:.3f} ms, without single flight {plain:.3f} ms")


def _asks(context: Context) -> list[list[str]]:
    """Return the wordings of questions whose answers may be said twice."""
    never = NeverCache()
    clusters = questions.read_clusters(context.questions, context.seed)
    found = [
        list(cluster.asks)
        for cluster in clusters
        if len(cluster.asks) > 1 and not any(never.kind(ask) for ask in cluster.asks)
    ]
    if len(found) < _QUESTIONS:
        raise UnavailableError(f"needs {_QUESTIONS} questions in several wordings: --questions")
    return found[:_QUESTIONS]


def _crowd(
    asks: Sequence[Sequence[str]],
    processes: int,
    tasks: int,
    *,
    each: int,
    semantic: dict[str, Any],
    pause_s: float = 0.0,
) -> tuple[int, str]:
    """Return how often the model was asked, and what happened."""
    with redis_parts.running() as server, ModelServer(latency_s=_LATENCY_S) as model:
        with Crowd(
            server.url,
            model.url,
            asks,
            processes=processes,
            tasks=tasks,
            each=each,
            pause_s=pause_s,
            semantic=semantic,
        ) as crowd:
            crowd.begin()
            counts = crowd.counts()
        asked, failed = (int(sum(one[name] for one in counts)) for name in ("asked", "failed"))
        took_s = max(one["took_s"] for one in counts)
        note = f"{asked} questions asked, {failed} failed, in {took_s:.0f} s"
        return model.call_count + failed, note


def _plain(url: str, *, enabled: bool) -> Accel:
    store = {"kind": "redis", "url": url, "lookup_timeout_s": PATIENCE_S}
    cache = {
        "store": {**store, "prefix": f"accel-{enabled}"},
        "semantic": {"enabled": False},
        "single_flight": {"enabled": enabled},
    }
    return Accel.from_mapping({"cache": cache})


ROWS = [
    Row(
        name="flights",
        what=f"{_PROCESSES} processes x {_TASKS} tasks ask {_QUESTIONS} questions: model calls",
        op="==",
        bound=_QUESTIONS,
        measure=verbatim,
    ),
    Row(
        name="flights-reworded",
        what="the same in other words: % more model calls than one process makes",
        op="<=",
        bound=2,
        aim=0,
        measure=reworded,
        quick=False,
    ),
    Row(
        name="flights-cost",
        what="a miss that leads for all processes: ms more than without single flight, p50",
        op="<=",
        bound=1,
        aim=0.5,
        measure=leading,
    ),
]
