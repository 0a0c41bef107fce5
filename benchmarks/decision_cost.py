"""What the decision adds to a lookup: time, and bytes per entry."""

from __future__ import annotations

import tracemalloc
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from accel_core.accel import Accel
from accel_core.encoder import minilm_files
from benchmarks import cache_parts as parts
from benchmarks.harness import Context, Measured, Row

if TYPE_CHECKING:
    from benchmarks.questions import Vectors

_ENTRIES = 4_000
_ASKED = 1_000


class _Known(parts.KnownEncoder):
    """Known vectors under the default encoder's name, so that its calibration applies."""

    name = minilm_files.NAME


def _filled(semantic: dict[str, object], texts: list[str], vectors: Vectors) -> Accel:
    """Return a cache that holds the first entries and knows every vector."""
    accel = Accel.from_mapping(
        {"cache": {"semantic": semantic, "ttl": {"base_s": 86_400}}},
        encoder=_Known(texts, vectors),
    )
    for text, vector in islice(zip(texts, vectors, strict=True), _ENTRIES):
        parts.keep(accel, text, vector.copy())
    accel.flush()
    return accel


def times_us(context: Context) -> np.ndarray:
    """Return the time that the decision adds to each of many lookups, microseconds."""
    texts, vectors = context.once(parts.real_texts), context.once(parts.real_vectors)
    asked = texts[_ENTRIES : _ENTRIES + _ASKED]
    with _filled({}, texts, vectors) as ours, _filled(parts.PLAIN, texts, vectors) as plain:
        added = []
        for text in asked * context.pick(5, 2):
            spent = []
            for accel in (plain, ours):
                began = perf_counter()
                parts.look_up(accel, text)
                spent.append(perf_counter() - began)
            added.append(1e6 * (spent[1] - spent[0]))
    return np.array(added[_ASKED:])


def median_us(context: Context) -> Measured:
    added = context.once(times_us)
    return Measured(float(np.median(added)) / 1e3, f"p90 {np.percentile(added, 90) / 1e3:.2f} ms")


def p99_us(context: Context) -> Measured:
    added = context.once(times_us)
    return Measured(float(np.percentile(added, 99)) / 1e3)


def bytes_per_entry(context: Context) -> Measured:
    texts, vectors = context.once(parts.real_texts), context.once(parts.real_vectors)
    held = []
    for semantic in ({}, parts.PLAIN):
        with _filled(semantic, texts, vectors) as warm:
            parts.look_up(warm, texts[_ENTRIES])  # what is loaded once is not an entry's
        tracemalloc.start()
        with _filled(semantic, texts, vectors):
            held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    return Measured(max(0.0, (held[0] - held[1]) / _ENTRIES), "readings are made when needed")


ROWS = [
    Row(
        name="added-p50-ms",
        what="time added to the bare lookup, p50, ms",
        op="<=",
        bound=0.3,
        aim=0.1,
        measure=median_us,
    ),
    Row(
        name="added-p99-ms",
        what="the same, p99",
        op="<=",
        bound=2,
        aim=0.5,
        measure=p99_us,
    ),
    Row(
        name="entry-bytes",
        what="bytes added to an entry",
        op="<=",
        bound=200,
        aim=100,
        measure=bytes_per_entry,
    ),
]
