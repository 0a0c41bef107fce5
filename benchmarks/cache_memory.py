"""What entries cost in memory: a million in one scope, and 10,000 tenants of one each.

Each is measured in a process of its own (``python -m benchmarks.cache_memory``), through the whole
cache: records, tables, index, flights. The million is counted as the operating system counts it,
since usearch's memory is none of Python's; the tenants as Python counts it, to the byte.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import tracemalloc
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from accel_core.policy.admission import Answer
from benchmarks import cache_parts as parts
from benchmarks import children, questions
from benchmarks.harness import Context, Measured, Row
from benchmarks.timing import ratio, timed

if TYPE_CHECKING:
    from collections.abc import Callable

_MILLION = 1_000_000
_SMALLER = 100_000
_CHUNK = 50_000
_TENANTS = 10_000
_NEIGHBOURS = 3
_VECTOR_BYTES = 2  # of each number: float16, as the index keeps it


def _child(context: Context, measurement: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base.npy"
        np.save(base, context.once(parts.real_vectors))
        return children.measure(
            "benchmarks.cache_memory",
            measurement,
            str(base),
            str(context.seed),
            report=context.report,
        )


def million(context: Context) -> dict[str, Any]:
    return _child(context, "million")


def million_memory(context: Context) -> Measured:
    found = context.once(million)
    gigabytes = found["bytes"] / 1e9
    note = f"{found['bytes'] / _MILLION:.0f} bytes an entry; added in {found['seconds']:.0f} s"
    return Measured(gigabytes, note)


def million_search(context: Context) -> Measured:
    found = context.once(million)
    return Measured(found["ratio"], found["note"])


def tenants(context: Context) -> Measured:
    found = _child(context, "tenants")
    resident = found["resident"] / _TENANTS
    note = f"all of it {found['bytes'] / _TENANTS:.0f}, as the system counts {resident:.0f}"
    return Measured((found["bytes"] - found["content"]) / _TENANTS, note)


def _measure_million(base: questions.Vectors, seed: int) -> dict[str, Any]:
    """Fill a cache with a million entries, and then a smaller one to compare its searches with."""
    accel = parts.roomy(_MILLION + 1, parts.KnownEncoder())
    parts.keep(accel, "What loads what is loaded at first use?", base[0])
    accel.flush()
    before = _resident_bytes()
    numbers = count()
    fill = timed(lambda: _fill_chunk(accel, base, next(numbers), seed))
    seconds = fill(_MILLION // _CHUNK)
    held = _resident_bytes() - before
    smaller = parts.roomy(_SMALLER, parts.KnownEncoder())
    parts.fill(smaller, base, 0, _SMALLER, seed)
    found = ratio(
        timed(_search(accel, base, _MILLION, seed)),
        timed(_search(smaller, base, _SMALLER, seed)),
        rounds=2_000,
        calls=1,
    )
    assert (parts.indexed(accel), parts.indexed(smaller)) == (_MILLION + 1, _SMALLER)
    # The median search of each, as the row says, not the median of pairs.
    note = f"{found}"
    return {
        "bytes": held,
        "seconds": seconds,
        "ratio": found.ours_s / found.peer_s,
        "note": note,
    }


def _fill_chunk(accel: Any, base: questions.Vectors, number: int, seed: int) -> None:
    parts.fill(accel, base, number * _CHUNK, (number + 1) * _CHUNK, seed)
    print(json.dumps({"progress": 0.9 * (number + 1) * _CHUNK / _MILLION}), flush=True)


def _search(accel: Any, base: questions.Vectors, size: int, seed: int) -> Any:
    """Return a call that searches for the next of 1,000 questions near entries."""
    starts = np.linspace(0, size - 1_000, 10).astype(int) // 5_000 * 5_000
    near = np.concatenate([questions.part(base, at, at + 100, seed) for at in starts])
    asked = questions.asked_again(near, 1_000, seed)
    scope, numbers = parts.request_of(accel, "").scope, count()
    tiers = accel._built.tiers

    def search() -> None:
        assert tiers.nearest(scope, asked[next(numbers) % len(asked)], _NEIGHBOURS)

    return search


def _measure_tenants(base: questions.Vectors, seed: int) -> dict[str, Any]:
    """Fill two caches alike: one to be counted by the system, one by Python."""
    vectors = questions.part(base, 0, _TENANTS + 1, seed)
    texts = [f"How many of article {number} are left?" for number in range(_TENANTS + 1)]
    encoder = parts.KnownEncoder(texts, vectors)
    resident = _held_by_tenants(encoder, texts, _resident_bytes)
    tracemalloc.start()
    held = _held_by_tenants(encoder, texts, _traced_bytes)
    answers = sum(len(_answer(number).payload) for number in range(_TENANTS))
    written = sum(len(text.encode()) for text in texts[:-1])
    content = answers + written + _TENANTS * _VECTOR_BYTES * base.shape[1]
    return {"bytes": held, "content": content, "resident": resident}


def _held_by_tenants(
    encoder: parts.KnownEncoder, texts: list[str], held_bytes: Callable[[], int]
) -> int:
    """Let each tenant ask one question, through lookup and store; return what that holds."""
    with parts.roomy(_TENANTS + 1, encoder) as accel:
        _ask(accel, _TENANTS, texts[-1])  # loads what is loaded at first use
        accel.flush()
        before = held_bytes()
        for number in range(_TENANTS):
            _ask(accel, number, texts[number])
        accel.flush()
        return held_bytes() - before


def _traced_bytes() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _answer(number: int) -> Answer:
    return Answer(b'{"answer":"There are %d left."}' % number, "There are some left.")


def _ask(accel: Any, number: int, text: str) -> None:
    # Spelled anew, so that entries share no object that they would not share in use.
    text = (text + " ")[:-1]
    with accel.tenant(f"tenant-{number}"):
        asked = parts.request_of(accel, text)
        found = accel.cache.lookup(asked)
        accel.cache.store(asked, _answer(number), flight=found.flight)
    if number % 1_000 == 0:
        accel.flush()


def _resident_bytes() -> int:
    gc.collect()
    return children.resident_bytes()


ROWS = [
    Row(
        name="tenants-bytes",
        what="10,000 scopes of one entry: bytes an entry beyond answer, text and vector",
        op="<=",
        bound=1_500,
        aim=800,
        measure=tenants,
    ),
    Row(
        name="million-memory",
        what="1M entries, answers excluded: memory in GB",
        op="<=",
        bound=2.0,
        aim=1.3,
        measure=million_memory,
        quick=False,
    ),
    Row(
        name="million-p50",
        what="search among 1M, p50 ÷ p50 among 100k",
        op="<=",
        bound=3,
        measure=million_search,
        quick=False,
    ),
]


def _main(measurement: str, base: str, seed: str) -> None:
    measure = {"million": _measure_million, "tenants": _measure_tenants}[measurement]
    print(json.dumps(measure(np.load(base), int(seed))), flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
