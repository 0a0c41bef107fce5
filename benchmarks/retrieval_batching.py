"""Concurrent calls of a function that takes a list: how many calls are left, and what one costs."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from accel_core.batched import batched
from benchmarks import timing
from benchmarks.harness import Context, Measured, Row

if TYPE_CHECKING:
    from collections.abc import Callable

REQUESTS = 200
CALL_S = 0.1
"""What every call of the backend takes, however many items it has."""


class Backend:
    """Counts its calls, each of which takes as long."""

    def __init__(self) -> None:
        self.calls = 0

    def call(self, items: list[int]) -> list[int]:
        self.calls += 1
        time.sleep(CALL_S)
        return items

    async def acall(self, items: list[int]) -> list[int]:
        self.calls += 1
        await asyncio.sleep(CALL_S)
        return items


def _threads(*, shared: bool) -> tuple[int, float]:
    backend = Backend()
    function = batched(backend.call) if shared else backend.call
    with ThreadPoolExecutor(REQUESTS) as pool:
        began_s = time.perf_counter()
        given = list(pool.map(function, [[n] for n in range(REQUESTS)]))
        took_s = time.perf_counter() - began_s
    _check(given)
    return backend.calls, took_s


def _tasks(*, shared: bool) -> tuple[int, float]:
    backend = Backend()
    function = batched(backend.acall) if shared else backend.acall

    async def crowd() -> list[list[int]]:
        return await asyncio.gather(*(function([n]) for n in range(REQUESTS)))

    began_s = time.perf_counter()
    given = asyncio.run(crowd())
    took_s = time.perf_counter() - began_s
    _check(given)
    return backend.calls, took_s


def _check(given: list[list[int]]) -> None:
    if given != [[n] for n in range(REQUESTS)]:
        raise AssertionError("somebody got another's result")


def calls(context: Context) -> Measured:
    shares: list[float] = []
    notes: list[str] = []
    runs = {"threads": _threads, "tasks": _tasks}
    for number, (name, run) in enumerate(runs.items()):
        context.report(number / len(runs))
        (ours, ours_s), (bare, bare_s) = run(shared=True), run(shared=False)
        shares.append(ours / bare)
        notes.append(f"{name}: {ours} calls against {bare}, {ours_s:.2f} s against {bare_s:.2f} s")
    return Measured(max(shares), "; ".join(notes))


def lone(context: Context) -> Measured:
    rounds, each = context.pick(20, 6), 2
    with asyncio.Runner() as runner:

        def awaited(function: Callable[[list[int]], object]) -> Callable[[], object]:
            async def call() -> None:
                await function([1])  # type: ignore[misc]  # a coroutine function's

            return lambda: runner.run(call())

        backend = Backend()
        shared = batched(backend.call)
        pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "a thread": (lambda: shared([1]), lambda: backend.call([1])),
            "a task": (awaited(batched(backend.acall)), awaited(backend.acall)),
        }
        found = {
            name: timing.ratio(timing.timed(ours), timing.timed(bare), rounds=rounds, calls=each)
            for name, (ours, bare) in pairs.items()
        }
    note = "; ".join(f"{name}: {one.value:.4f}, {one}" for name, one in found.items())
    return Measured(max(one.value for one in found.values()), note)


ROWS = [
    Row(
        name="batching-calls",
        what=f"{REQUESTS} concurrent requests to a backend of {CALL_S * 1000:.0f} ms: its calls"
        " with batched() ÷ without",
        op="<=",
        bound=0.1,
        measure=calls,
    ),
    Row(
        name="batching-lone",
        what=f"a lone call of {CALL_S * 1000:.0f} ms through batched() ÷ the bare one",
        op="<=",
        bound=1.02,
        measure=lone,
    ),
]
