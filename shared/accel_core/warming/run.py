"""Ask every question once, evenly paced, and go on where it was interrupted.

::

    warm(retriever, questions, rate_per_s=20, progress=".accel/warm.progress")
    await awarm(engine, questions)

Asking at a pace is what spreads the expiry of what is filled: the cache takes up to a tenth off
every TTL by chance, and the fill takes its own time beside it.

Invariants: a question that was answered is never asked again, whatever interrupts the run; what is
under way when a run is cancelled is let finish for a while, and what is not finished is not on
record. A question that the provider refused is asked again, more slowly. Errors of single
questions are counted; too many of them, one after the other, end the run.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.config.ranges import positive
from accel_core.errors import LimitExceededError, UnsupportedError, limits_error
from accel_core.files.warm_progress import WarmProgress
from accel_core.policy.limits.limit_headers import retry_after_s
from accel_core.warming.pacer import AimdPacer
from accel_core.warming.target import target_of

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from accel_core.warming.pacer import Pacer


class Standing(NamedTuple):
    """How far a warm-up is.

    Attributes:
        total: questions in all, those of earlier runs included.
        done: answered, in this run or an earlier one.
        failed: that raised, in this run.
        refused: times that the provider refused.
    """

    total: int
    done: int
    failed: int
    refused: int


@dataclass(frozen=True, slots=True)
class Warmed:
    """What a warm-up did.

    Attributes:
        asked: questions answered in this run.
        already: questions that an earlier run had answered.
        errors: questions that raised, by the error's name.
        refused: times that the provider refused; these questions were asked again.
        left: questions not asked, because too many failed one after the other.
    """

    asked: int
    already: int
    errors: Mapping[str, int]
    refused: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a warm-up goes.

    Attributes:
        concurrency: questions under way at once, at most.
        max_failures: failures and refusals one after the other that end it.
        timeout_s: how long one question may take.
        grace_s: how long what is under way may go on when it is cancelled.
    """

    concurrency: int = 32
    max_failures: int = 20
    timeout_s: float = 120.0
    grace_s: float = 30.0

    def __post_init__(self) -> None:
        positive("concurrency", self.concurrency)
        positive("max_failures", self.max_failures)
        positive("timeout_s", self.timeout_s)


def warm(
    target: Any,
    questions: Iterable[str],
    *,
    rate_per_s: float = 20.0,
    key: str | None = None,
    progress: str | os.PathLike[str] | None = None,
    terms: Terms | None = None,
    report: Callable[[Standing], None] = lambda _: None,
    pacer: Pacer | None = None,
) -> Warmed:
    """Ask `target` every one of `questions`, through its blocking method, in threads.

    Args:
        target: an accelerated retriever, query engine, chain or model, or a function of one text.
        questions: in the order of asking; equal ones are asked once.
        rate_per_s: questions a second, at most.
        key: under which name a chain wants its question; None: as a plain text.
        progress: a file that lets another run go on; None: there is none.
        terms: how many at once, and when to give up.
        report: told how far it is after every question, in this thread.
        pacer: used instead of aiolimiter at `rate_per_s`.

    Raises:
        ConfigError: a number is out of range.
        MissingExtraError: aiolimiter is not installed.
        StoreError: the progress cannot be read or written.
        UnsupportedError: `target` cannot be asked, or an event loop runs in this thread.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise UnsupportedError("warm() would block the running event loop: await awarm() instead")
    terms = terms or Terms()
    asked = target_of(target, key)
    pool = ThreadPoolExecutor(terms.concurrency, thread_name_prefix="accel-warm")
    try:
        run = _Run(
            asked.blocking(pool),
            questions,
            WarmProgress(progress),
            pacer=pacer or AimdPacer(rate_per_s),
            terms=terms,
            report=report,
        )
        return asyncio.run(run.run())
    finally:
        pool.shutdown(wait=False)


async def awarm(
    target: Any,
    questions: Iterable[str],
    *,
    rate_per_s: float = 20.0,
    key: str | None = None,
    progress: str | os.PathLike[str] | None = None,
    terms: Terms | None = None,
    report: Callable[[Standing], None] = lambda _: None,
    pacer: Pacer | None = None,
) -> Warmed:
    """Async form of `warm`: through the async method of `target`, on the running loop."""
    terms = terms or Terms()
    asked = target_of(target, key)
    recorded = await asyncio.to_thread(WarmProgress, progress)
    pool = ThreadPoolExecutor(terms.concurrency, thread_name_prefix="accel-warm")
    try:
        run = _Run(
            asked.awaited(pool),
            questions,
            recorded,
            pacer=pacer or AimdPacer(rate_per_s),
            terms=terms,
            report=report,
        )
        return await run.run()
    finally:
        pool.shutdown(wait=False)


class _Run:
    """One run: what waits, what is under way, and what came of it. Of one task of one loop."""

    def __init__(
        self,
        ask: Callable[[str], Awaitable[None]],
        questions: Iterable[str],
        progress: WarmProgress,
        *,
        pacer: Pacer,
        terms: Terms,
        report: Callable[[Standing], None],
    ) -> None:
        wanted = list(dict.fromkeys(questions))
        self._ask, self._progress, self._pacer = ask, progress, pacer
        self._terms, self._report = terms, report
        self._waiting = deque(question for question in wanted if question not in progress)
        self._total, self._already = len(wanted), len(wanted) - len(self._waiting)
        self._asked = self._refused = self._in_a_row = self._wave = 0
        self._errors: Counter[str] = Counter()
        self._running: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None
        """What went wrong beside a question: asking on would ask everything again next time."""

    async def run(self) -> Warmed:
        """Ask, and tell what came of it."""
        try:
            while not self._over():
                if self._waiting and len(self._running) < self._terms.concurrency:
                    await self._pacer.turn()
                    self._begin()
                else:
                    await asyncio.wait(set(self._running), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._settle()
        if self._broken is not None:
            raise self._broken
        if not self._waiting:
            await asyncio.to_thread(self._progress.finish)
        return Warmed(
            self._asked, self._already, dict(self._errors), self._refused, len(self._waiting)
        )

    def _over(self) -> bool:
        given_up = self._broken is not None or self._in_a_row >= self._terms.max_failures
        return given_up or not (self._waiting or self._running)

    def _begin(self) -> None:
        if self._over() or not self._waiting:
            return  # something failed while the turn was waited for
        task = asyncio.create_task(self._one(self._waiting.popleft()))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            self._broken = self._broken or task.exception()

    async def _one(self, question: str) -> None:
        wave = self._wave
        try:
            async with asyncio.timeout(self._terms.timeout_s):
                await self._ask(question)
        except Exception as error:
            self._failed(question, error, wave)
        else:
            await asyncio.to_thread(self._progress.add, question)
            self._asked += 1
            self._in_a_row = 0
            self._pacer.answered()
        self._report(
            Standing(self._total, self._already + self._asked, self._errors.total(), self._refused)
        )

    def _failed(self, question: str, error: Exception, wave: int) -> None:
        wait_s = refused_s(error)
        if wait_s is None:
            self._errors[type(error).__name__] += 1
            self._in_a_row += 1
            return
        self._refused += 1
        self._waiting.appendleft(question)
        if wave == self._wave:  # what was sent before the rate was lowered says nothing of it
            self._wave += 1
            self._in_a_row += 1
            self._pacer.refused(wait_s)

    async def _settle(self) -> None:
        """Let what is under way finish; what does not in time is cancelled, and not on record."""
        try:
            if self._running:
                await asyncio.wait(set(self._running), timeout=self._terms.grace_s)
        finally:
            for task in set(self._running):
                task.cancel()


def refused_s(error: BaseException) -> float | None:
    """Return the seconds after which a provider or limiter that refused wants to be asked again.

    0 where it does not say; None where `error` is no refusal.
    """
    limit = limits_error(error)
    if isinstance(limit, LimitExceededError):
        return float(limit.retry_after_s)
    cause: BaseException | None = error
    while cause is not None:
        response = getattr(cause, "response", None)
        status = getattr(cause, "status_code", None) or getattr(response, "status_code", None)
        if status == 429:
            return retry_after_s(getattr(response, "headers", None) or {}, time.time()) or 0.0
        cause = cause.__cause__
    return None
