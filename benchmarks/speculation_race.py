"""`race()` of a fast path and the standard one, in virtual time: what is gained, and what is left.

Both paths take lognormal times, as calls of models do; the fast one's median is 0.35 of the
standard one's. Of its answers 30 % are unacceptable (a sixth of these are errors), whatever its
time. The race is LangChain's runnable, its paths coroutine functions.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, NamedTuple

from langchain_core.runnables import RunnableLambda

from accel_core.accel import Accel
from accel_core.clocks import Clocks
from accel_core.drive import virtual_time
from accel_core.testing.doubles import RecordingObserver
from benchmarks.harness import Context, Measured, Row
from langchain_accel import race

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

STANDARD_S, SIGMA = 2.0, 0.5
"""Median time of the standard path, and the deviation of either's logarithm."""
FAST = 0.35
BAD, FAILS = 0.30, 0.05
HEDGE_S = FAST * STANDARD_S * 1.9
"""When a hedged standard path starts: nine of ten fast answers are there (e^(1.28 sigma))."""


class Question(NamedTuple):
    """One question, and what each path will make of it."""

    number: int
    fast_s: float
    standard_s: float
    fast: str
    left_s: float
    """When its caller leaves."""


class Outcome(NamedTuple):
    """What became of all questions."""

    took_s: float
    standard_s: float
    unaccepted: int
    running: int
    standard_begun: int
    questions: int


def _questions(seed: int, count: int, leaving: float) -> list[Question]:
    dice = random.Random(seed)
    return [
        Question(
            number=number,
            fast_s=dice.lognormvariate(0.0, SIGMA) * STANDARD_S * FAST,
            standard_s=dice.lognormvariate(0.0, SIGMA) * STANDARD_S,
            fast=dice.choices(["good", "bad", "error"], [1 - BAD, BAD - FAILS, FAILS])[0],
            left_s=dice.uniform(0.0, STANDARD_S) if dice.random() < leaving else float("inf"),
        )
        for number in range(count)
    ]


class _Paths:
    """The two paths, which count who is on them."""

    def __init__(self) -> None:
        self.on = 0
        self.standard_begun = 0

    async def fast(self, question: Question) -> str:
        await self._take(question.fast_s)
        if question.fast == "error":
            raise ConnectionError(question.number)
        return f"{question.fast} {question.number}"

    async def standard(self, question: Question) -> str:
        self.standard_begun += 1
        await self._take(question.standard_s)
        return f"standard {question.number}"

    async def _take(self, seconds: float) -> None:
        self.on += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.on -= 1


async def _accept(answer: str) -> bool:
    return answer.startswith("good")


async def _ask(questions: list[Question], after_s: tuple[float, ...], timeout_s: float) -> Outcome:
    loop, paths = asyncio.get_running_loop(), _Paths()
    seen = RecordingObserver()
    with Accel(clocks=Clocks(mono_now=loop.time), observers=[seen]) as accel:
        raced: Callable[[Question], Awaitable[str]] = race(
            [RunnableLambda(paths.fast), RunnableLambda(paths.standard)],
            accept=_accept,
            timeout_s=timeout_s,
            after_s=after_s,
            accel=accel,
        ).ainvoke
        outcomes = [await _one(raced, question, paths) for question in questions]
        tasks = len(asyncio.all_tasks()) - 1
    answers = [answer for _, answer, _ in outcomes]
    allowed = ({f"good {one.number}", f"standard {one.number}", ""} for one in questions)
    return Outcome(
        took_s=sum(took_s for took_s, _, _ in outcomes),
        standard_s=sum(one.standard_s for one in questions),
        unaccepted=sum(a not in may for a, may in zip(answers, allowed, strict=True)),
        running=tasks + sum(on for _, _, on in outcomes),
        standard_begun=paths.standard_begun,
        questions=len(questions),
    )


async def _one(
    raced: Callable[[Question], Awaitable[str]], question: Question, paths: _Paths
) -> tuple[float, str, int]:
    """Return the seconds until the answer, the answer, and how many are on a path after it."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    try:
        async with asyncio.timeout(question.left_s if question.left_s < float("inf") else None):
            answer = await raced(question)
    except TimeoutError:
        answer = ""  # its caller has left
    return loop.time() - began_s, answer, paths.on


def _run(
    context: Context,
    *,
    after_s: tuple[float, ...] = (),
    timeout_s: float = 30.0,
    leaving: float = 0.0,
) -> list[Outcome]:
    seeds = range(context.seed, context.seed + context.pick(5, 2))
    count = context.pick(500, 200)
    return [
        virtual_time.run(_ask(_questions(seed, count, leaving), after_s, timeout_s))
        for seed in seeds
    ]


def _share(outcomes: list[Outcome]) -> float:
    return sum(one.took_s for one in outcomes) / sum(one.standard_s for one in outcomes)


def time_saved(context: Context) -> Measured:
    raced = context.once(_plain)
    context.report(0.5)
    hedged = _run(context, after_s=(0.0, HEDGE_S))
    asked = sum(one.questions for one in hedged)
    begun = sum(one.standard_begun for one in hedged) / asked
    spread = [one.took_s / one.standard_s for one in raced]
    return Measured(
        _share(raced),
        f"{asked} questions, seeds from {min(spread):.3f} to {max(spread):.3f}; standard path "
        f"started after {HEDGE_S:.2f} s: {_share(hedged):.3f}, and in {begun:.0%} of the races",
    )


def _plain(context: Context) -> list[Outcome]:
    return _run(context)


def _rough(context: Context) -> list[Outcome]:
    """Races with tight time-outs, late starts and callers who leave."""
    return [
        outcome
        for after_s in ((), (0.0, HEDGE_S / 2))
        for outcome in _run(context, after_s=after_s, timeout_s=STANDARD_S * FAST, leaving=0.2)
    ]


def unaccepted(context: Context) -> Measured:
    return _counted(context, "unaccepted")


def left_running(context: Context) -> Measured:
    return _counted(context, "running")


def _counted(context: Context, what: str) -> Measured:
    outcomes = [*context.once(_plain), *context.once(_rough)]
    asked = sum(one.questions for one in outcomes)
    found = sum(getattr(one, what) for one in outcomes)
    return Measured(found, f"{asked} races, with time-outs, late starts, callers who leave")


ROWS = [
    Row(
        name="race-time",
        what="race() of a fast path (30 % unacceptable) and the standard one: mean time ÷ standard",
        op="<=",
        bound=0.7,
        measure=time_saved,
    ),
    Row(
        name="race-unaccepted",
        what="answers returned by races that were neither accepted nor the standard path's",
        op="==",
        bound=0,
        measure=unaccepted,
    ),
    Row(
        name="race-left-running",
        what="calls and tasks that run when a race has returned",
        op="==",
        bound=0,
        measure=left_running,
    ),
]
