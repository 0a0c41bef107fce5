"""Warm-up in virtual time: a real accelerated chat model, asked evenly, interrupted twice.

The model takes half a second of virtual time for an answer; the cache, its TTLs and their jitter,
and the pacing by aiolimiter are the real ones. A run is interrupted by cancelling its task, and the
next one begins anew with nothing but the progress file and the cache.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.drive import virtual_time
from accel_core.events import CacheStored
from accel_core.warming.run import awarm
from benchmarks.harness import Measured, Row

if TYPE_CHECKING:
    from benchmarks.harness import Context

RATE_PER_S = 20.0
_LATENCY_S = 0.5
_TTL_S = 3_600.0


class Outcome(NamedTuple):
    """What the runs did.

    Attributes:
        asked: how often each question was asked.
        at_s: when, in virtual time.
        expires_s: when what was stored expires.
        questions: how many there were.
    """

    asked: Counter[str]
    at_s: list[float]
    expires_s: list[float]
    questions: int


@cache
def _model_class() -> type[Any]:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    class Slow(BaseChatModel):
        """Answers after half a second."""

        @property
        def _llm_type(self) -> str:
            return "slow"

        def _generate(self, *args: Any, **_: Any) -> ChatResult:
            raise NotImplementedError(args)

        async def _agenerate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
            await asyncio.sleep(_LATENCY_S)
            answer = AIMessage(f"The answer to {messages[-1].content}")
            return ChatResult(generations=[ChatGeneration(message=answer)])

    return Slow


def interrupted_twice(count: int) -> Outcome:
    """Ask `count` questions in three runs, of which the first two are cancelled."""
    from langchain_accel import Accel, accelerate

    outcome = Outcome(Counter(), [], [], count)

    class Expiries:
        """Notes when what is stored expires, as it is stored."""

        inline = True

        def __call__(self, event: object, /) -> None:
            if isinstance(event, CacheStored):
                outcome.expires_s.append(asyncio.get_running_loop().time() + event.ttl_s)

    asked = [f"Question number {number}?" for number in range(count)]
    settings = {"ttl": {"base_s": _TTL_S}, "semantic": {"enabled": False}}
    with (
        tempfile.TemporaryDirectory() as folder,
        Accel.from_mapping({"cache": settings}, observers=[Expiries()]) as accel,
    ):
        model = accelerate(_model_class()(), accel)
        progress = Path(folder, "warm.progress")

        async def ask(question: str) -> None:
            # Counted before the cache, which would answer a second time without the model.
            outcome.asked[question] += 1
            outcome.at_s.append(asyncio.get_running_loop().time())
            await model.ainvoke(question)

        async def run(for_s: float | None) -> float:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(for_s):
                    await awarm(ask, asked, rate_per_s=RATE_PER_S, progress=progress)
            return asyncio.get_running_loop().time()

        now_s = 0.0
        for share in (0.3, 0.4, None):
            for_s = None if share is None else share * count / RATE_PER_S
            now_s = virtual_time.run(run(for_s), start_s=now_s)
    return outcome


def _outcome(context: Context) -> Outcome:
    return interrupted_twice(context.pick(5_000, 1_000))


def _once(context: Context) -> Measured:
    outcome = context.once(_outcome)
    wrong = outcome.questions - sum(times == 1 for times in outcome.asked.values())
    return Measured(wrong, f"{outcome.asked.total()} asked, {outcome.questions} questions")


def _pace(context: Context) -> Measured:
    outcome = context.once(_outcome)
    seconds = Counter(int(at_s) for at_s in outcome.at_s)
    took_s = outcome.at_s[-1] - outcome.at_s[0]
    return Measured(max(seconds.values()), f"{took_s:.1f} s in all, three runs")


def _spread(context: Context) -> Measured:
    expires_s = context.once(_outcome).expires_s
    middle = quantiles(expires_s, n=20)
    note = f"middle nine tenths: {(middle[-1] - middle[0]) / _TTL_S:.3f}"
    return Measured((max(expires_s) - min(expires_s)) / _TTL_S, note)


ROWS = [
    Row(
        name="warm-once",
        what="warm-up interrupted twice: questions that were not asked exactly once",
        op="==",
        bound=0,
        measure=_once,
    ),
    Row(
        name="warm-pace",
        what="warm-up at 20 a second: most questions asked in one second",
        op="<=",
        bound=21,
        measure=_pace,
    ),
    Row(
        name="warm-spread",
        what="warm-up: from the first expiry to the last ÷ TTL of an hour",
        op=">=",
        bound=0.1,
        measure=_spread,
    ),
]
