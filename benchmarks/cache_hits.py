"""What a hit costs a LangChain application, and what a lookup costs its event loop.

Hits are measured through `ChatOpenAI.invoke`, most of which is LangChain's own work; the peer is
its `InMemoryCache`. Our callback is taken off while the peer is measured: it would slow the peer,
and flatter us.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING, Any

from langchain_core.caches import InMemoryCache
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration
from langchain_core.tracers import context as tracers
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from accel_core.accel import Accel
from accel_core.testing.encoders import HashEncoder
from accel_core.testing.model_server import ModelServer
from benchmarks.harness import Context, Measured, Row
from benchmarks.timing import ratio, timed
from langchain_accel import AccelCache, accelerate
from langchain_accel._context import _registered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from accel_core.ports import Vectors

_ENCODING_S = 0.3
_TICK_S = 0.001


@contextmanager
def without_our_hook() -> Iterator[None]:
    """Take our callback off LangChain while the block runs."""
    hooks = tracers._configure_hooks
    kept = list(hooks)
    hooks[:] = [hook for hook in kept if hook[0] not in _registered]
    try:
        yield
    finally:
        hooks[:] = kept


def _conversation() -> list[BaseMessage]:
    """Return 20 messages."""
    messages: list[BaseMessage] = [SystemMessage("You are a helpful assistant for a shop. " * 8)]
    for turn in range(9):
        messages.append(HumanMessage(f"Question {turn} about my order " * 6))
        messages.append(AIMessage(f"Answer {turn} about your order " * 8))
    return [*messages, HumanMessage("And what now?")]


def _tools() -> list[dict[str, Any]]:
    """Return 8 tools."""
    argument = {"type": "string", "description": "an argument of this tool " * 3}
    properties = {f"argument_{number}": argument for number in range(4)}
    return [
        {
            "type": "function",
            "function": {
                "name": f"tool_{number}",
                "description": "does one thing, and does it well " * 4,
                "parameters": {"type": "object", "properties": properties},
            },
        }
        for number in range(8)
    ]


def _cached(model: ChatOpenAI, accel: Accel) -> ChatOpenAI:
    return model.model_copy(update={"cache": AccelCache(accel)})


def _exact_hit(
    context: Context,
    asked: Any,
    made: Callable[[ChatOpenAI, Accel], ChatOpenAI] = _cached,
    **options: Any,
) -> Measured:
    """Ask a model `made` to answer from a cache of ours, and one with the peer's."""
    with ModelServer() as server, Accel() as accel:
        bare = ChatOpenAI(
            model="gpt-4o-mini",
            base_url=server.url,
            api_key=SecretStr("none"),
            temperature=0,
        )
        peer, ours = bare.model_copy(update={"cache": InMemoryCache()}), made(bare, accel)
        with without_our_hook():
            peer.invoke(asked, **options)
        ours.invoke(asked, **options)
        calls = server.call_count
        found = ratio(
            timed(lambda: ours.invoke(asked, **options)),
            timed(lambda: peer.invoke(asked, **options), around=without_our_hook),
            rounds=context.pick(200, 80),
            calls=20,
        )
        assert server.call_count == calls, "not every measured call was a hit"
    return Measured(found.value, f"{found}")


def exact_hit_short(context: Context) -> Measured:
    return _exact_hit(context, "What is the capital of France?")


def exact_hit_long(context: Context) -> Measured:
    return _exact_hit(context, _conversation(), tools=_tools())


def accelerated_hit_short(context: Context) -> Measured:
    return _exact_hit(context, "What is the capital of France?", accelerate)


def accelerated_hit_long(context: Context) -> Measured:
    return _exact_hit(context, _conversation(), accelerate, tools=_tools())


class _SlowEncoder:
    """Blocks its thread for 300 ms at every call."""

    name = "slow"
    min_similarity: float | None = 0.92

    def __init__(self) -> None:
        self._quick = HashEncoder(384)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text, far from that of any other."""
        time.sleep(_ENCODING_S)
        return self._quick.encode(texts)

    def distrust(self, text: str) -> str | None:  # noqa: ARG002
        """Trust everything."""
        return None


async def _longest_stall_s(cache: AccelCache, subject: str) -> float:
    """Return the longest time that a ticking task was kept waiting by a lookup and an update.

    The update is of a question that was never looked up, so that it has to be encoded too.
    """
    asked = dumps([HumanMessage(f"{subject} {subject} {subject}")])
    other = dumps([HumanMessage(f"What else is there about {subject}?")])
    answer = [ChatGeneration(message=AIMessage("Forty-two."))]
    gaps: list[float] = []
    asking = True

    async def tick() -> None:
        last = time.perf_counter()
        while asking:
            await asyncio.sleep(_TICK_S)
            now = time.perf_counter()
            gaps.append(now - last - _TICK_S)
            last = now

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(10 * _TICK_S)
    began = time.perf_counter()
    assert await cache.alookup(asked, "model---[]") is None
    assert time.perf_counter() - began >= _ENCODING_S, "the lookup did not encode"
    await cache.aupdate(asked, "model---[]", answer)
    await cache.aupdate(other, "model---[]", answer)
    await asyncio.sleep(_ENCODING_S + 20 * _TICK_S)
    asking = False
    await ticking
    return max(gaps)


async def _stalls_s(count: int) -> list[float]:
    async with Accel(encoder=_SlowEncoder()) as accel:
        cache = AccelCache(accel)
        await _longest_stall_s(cache, "loading")  # what is loaded at first use
        return [await _longest_stall_s(cache, f"subject{n}") for n in range(count)]


def loop_stall(context: Context) -> Measured:  # noqa: ARG001
    stalls_s = asyncio.run(_stalls_s(5))
    spelled = ", ".join(f"{stall_s * 1e3:.1f}" for stall_s in stalls_s)
    return Measured(median(stalls_s) * 1e3, f"maxima {spelled} ms; langchain-redis: 301 ms")


ROWS = [
    Row(
        name="exact-hit-short",
        what="exact hit through ChatOpenAI.invoke, AccelCache ÷ InMemoryCache, short prompt",
        op="<=",
        bound=1.25,
        aim=1.15,
        measure=exact_hit_short,
    ),
    Row(
        name="exact-hit-long",
        what="the same, 20 messages and 8 tools",
        op="<=",
        bound=1.10,
        aim=1.05,
        measure=exact_hit_long,
    ),
    Row(
        name="accelerated-hit-short",
        what="exact hit through accelerate(ChatOpenAI).invoke ÷ InMemoryCache, short prompt",
        op="<=",
        bound=1.75,
        aim=1.5,
        measure=accelerated_hit_short,
    ),
    Row(
        name="accelerated-hit-long",
        what="the same, 20 messages and 8 tools",
        op="<=",
        bound=1.0,
        aim=0.8,
        measure=accelerated_hit_long,
    ),
    Row(
        name="loop-stall-ms",
        what="longest stall of the event loop while a blocking encoder takes 300 ms, median of 5",
        op="<=",
        bound=10,
        aim=5,
        measure=loop_stall,
    ),
]
