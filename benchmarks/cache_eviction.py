"""Hits of the eviction that the memory store uses, against least-recently-used.

The stream is a question stream: popular questions by Zipf's law, many that come once only, and in
the middle somebody who asks for everything once (a test run, a crawler). The working set is the
popular questions: the others are not asked again, so nobody sizes a cache for them. The note tells
what room for a tenth of all the different questions would give.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections import OrderedDict
from itertools import accumulate
from statistics import median

from accel_core.ports import Entry
from accel_core.store.memory import MemoryStore
from benchmarks.harness import Context, Measured, Row

_POPULAR = 5_000
_ASKED = 60_000
_ONCE_SHARE = 0.4
_ROOM = _POPULAR // 10
_STREAMS = 5


def stream(dice: random.Random) -> list[int]:
    """Return questions by number: popular ones, ones that come once, and a scan halfway."""
    weights = list(accumulate(1 / rank for rank in range(1, _POPULAR + 1)))
    once = iter(range(_POPULAR, _POPULAR + _ASKED))
    asked = [
        next(once) if dice.random() < _ONCE_SHARE else bisect(weights, dice.random() * weights[-1])
        for _ in range(_ASKED)
    ]
    scan = range(-_POPULAR, 0)
    return [*asked[: _ASKED // 2], *scan, *asked[_ASKED // 2 :]]


def hits_of_store(asked: list[int], room: int) -> int:
    """Count the hits of the store that a cache keeps its entries in."""
    store = MemoryStore(max_entries=room)
    hits = 0
    for question in asked:
        key = question.to_bytes(8, "big", signed=True)
        if store.fetch(key) is not None:
            hits += 1
        else:
            store.save([Entry(key=key, scope=b"", payload=b"", created_s=0.0, expires_s=1.0)])
    return hits


def hits_of_lru(asked: list[int], room: int) -> int:
    """Count the hits where the least recently used leaves first."""
    kept: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for question in asked:
        if question in kept:
            hits += 1
            kept.move_to_end(question)
            continue
        if len(kept) == room:
            kept.popitem(last=False)
        kept[question] = None
    return hits


def eviction(context: Context) -> Measured:
    gains: list[float] = []
    rates: list[tuple[float, float]] = []
    asked: list[int] = []
    for number in range(_STREAMS):
        asked = stream(random.Random(context.seed * _STREAMS + number))
        ours, theirs = hits_of_store(asked, _ROOM), hits_of_lru(asked, _ROOM)
        gains.append(ours / theirs)
        rates.append((ours / len(asked), theirs / len(asked)))
        context.report(number / _STREAMS)
    ours_rate, lru_rate = (median(column) for column in zip(*rates, strict=True))
    spread = f"{min(gains):.3f} to {max(gains):.3f} in {_STREAMS} streams"
    larger = len(set(asked)) // 10
    with_larger = hits_of_store(asked, larger) / hits_of_lru(asked, larger)
    note = f"{ours_rate:.1%} against {lru_rate:.1%}; {spread}; with room for {larger}: "
    return Measured(median(gains), f"{note}{with_larger:.3f}")


ROWS = [
    Row(
        name="eviction",
        what="hits of the default eviction ÷ LRU, question stream, room for 10 %",
        op=">=",
        bound=1.08,
        aim=1.2,
        measure=eviction,
    ),
]
