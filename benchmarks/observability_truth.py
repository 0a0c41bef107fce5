"""Whether what is told of tokens and calls is what the provider counted."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
from collections import Counter
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import openai
from langchain_openai import ChatOpenAI
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI
from pydantic import SecretStr

from accel_core.accel import Accel
from accel_core.events.requests import MODEL_OPERATIONS, RequestEnded
from accel_core.limited_call import Retries
from accel_core.limiter import Limiter
from accel_core.policy.limits.retry import RetryPolicy
from accel_core.testing import openai_wire as wire
from accel_core.testing.model_server import ModelServer
from accel_core.testing.replies import Reply, echo
from benchmarks import observability_truth_agents as agents
from benchmarks.harness import Context, Measured, Row
from langchain_accel import accelerate
from llamaindex_accel import accelerate as accelerate_llm

if TYPE_CHECKING:
    from collections.abc import Callable

_CONCURRENT = 16
_LONG_S = 600.0
_SHARES = {
    "whole": 30, "stream": 25, "tool": 5, "flaky": 10, "broken": 5, "given up": 5, "warm": 10,
    "cancelled": 5, "agent": 5,
}  # fmt: skip
"""Kinds of requests, in percent."""
_ALONE = frozenset({"given up", "cancelled"})
_STREAMED = frozenset({"stream", "given up"})
_GIVEN_UP_AFTER = 3
_TOOL = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
}


class _Server:
    """What is answered, by what the question says.

    Attributes:
        untold: what answers were charged that nobody read to their end: no client can know it.
    """

    def __init__(self) -> None:
        self._failed: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._arrived: dict[str, Callable[[], object]] = {}
        self.untold = wire.Usage()

    def when_arrived(self, question: str, call: Callable[[], object]) -> None:
        """Call `call` when `question` has arrived."""
        self._arrived[question] = call

    def __call__(self, request: dict[str, Any]) -> Reply | str:
        """Answer."""
        asked = str(request["messages"][-1]["content"])
        if any(one["role"] == "user" and "agent" in one["content"] for one in request["messages"]):
            return agents.reply(request)
        if "flaky" in asked and not self._failed[asked]:
            self._failed[asked] += 1
            return Reply(status=503, content="try again")
        if "broken" in asked:
            return Reply(status=400, content="no")
        if "cancelled" in asked:
            self._arrived.pop(asked)()
            return Reply(content="too late", delay_s=_LONG_S)
        if "tool" in asked:
            return Reply(tool_calls=(("look", {"at": "this"}),))
        answer = echo(request)
        if "given up" in asked:
            with self._lock:
                self.untold += wire.charge(request, [wire.finished(answer, request)])
        return answer


class _Asked(NamedTuple):
    """A request: by which framework, of which kind, and what."""

    way: str
    kind: str
    question: str


def _requests(count: int, seed: int) -> list[_Asked]:
    """Return requests of every kind, many of them repeats; what is given up is not repeated."""
    dice = random.Random(seed)
    kinds = dice.choices(tuple(_SHARES), tuple(_SHARES.values()), k=count)
    return [
        _Asked(
            dice.choice(("langchain", "llamaindex")),
            kind,
            f"{kind} question {n if kind in _ALONE else dice.randrange(count // 2)}",
        )
        for n, kind in enumerate(kinds)
    ]


class _Asking:
    """Asks requests of accelerated clients of both frameworks.

    Args:
        url: of the server.
        replies: what the server says.
        accel: accelerates, within a limiter that counts attempts.
    """

    def __init__(self, url: str, replies: _Server, accel: Accel) -> None:
        policy = RetryPolicy(max_attempts=3, base_s=0.001)
        limiter = Limiter("openai", retries=Retries(policy=policy, share=1.0, allowance=1e4))
        self._replies, self._slots = replies, asyncio.Semaphore(_CONCURRENT)
        self._langchain = {
            warm: accelerate(
                ChatOpenAI(
                    model="gpt-4o-mini",
                    base_url=url,
                    api_key=SecretStr("none"),
                    temperature=float(warm),
                    stream_usage=True,
                ),
                accel,
                limiter=limiter,
            )
            for warm in (False, True)
        }
        self._llamaindex = {
            warm: accelerate_llm(
                OpenAI(model="gpt-4o-mini", api_base=url, api_key="none", temperature=float(warm)),
                accel,
                limiter=limiter,
            )
            for warm in (False, True)
        }
        self._agents = agents.Agents(self._langchain[False], self._llamaindex[False], accel)

    async def ask(self, asked: _Asked) -> None:
        """Ask, and take whatever comes of it."""
        async with self._slots:
            task = asyncio.ensure_future(self._carried(asked))
            if asked.kind == "cancelled":
                loop = asyncio.get_running_loop()
                self._replies.when_arrived(
                    asked.question, lambda: loop.call_soon_threadsafe(task.cancel)
                )
            with suppress(openai.APIError, asyncio.CancelledError):
                await task

    async def _carried(self, asked: _Asked) -> None:
        if asked.kind == "agent":
            await self._agents.run(asked.way, asked.question)
            return
        warm, most = asked.kind == "warm", _GIVEN_UP_AFTER if asked.kind == "given up" else None
        tools: dict[str, Any] = {"tools": [_TOOL]} if asked.kind == "tool" else {}
        stream: Any
        if asked.way == "langchain":
            model = self._langchain[warm]
            if asked.kind not in _STREAMED:
                await model.ainvoke(asked.question, **tools)
                return
            stream = model.astream(asked.question)
        else:
            llm, messages = self._llamaindex[warm], [ChatMessage(content=asked.question)]
            if asked.kind not in _STREAMED:
                await llm.achat(messages, **tools)
                return
            stated = {"stream_options": {"include_usage": True}}
            stream = await llm.astream_chat(messages, **stated)
        read = 0
        async with aclosing(stream):
            async for _ in stream:
                read += 1
                if read == most:
                    return


def told_and_counted(context: Context) -> Measured:
    """Ask in all ways, and compare what is told with what the server counted."""
    requests = _requests(context.pick(2_000, 300), context.seed)
    seen: list[RequestEnded] = []

    def note(event: Any) -> None:
        if isinstance(event, RequestEnded):
            seen.append(event)

    replies = _Server()
    with ModelServer(replies) as server, Accel(observers=[note]) as accel:

        async def ask_all() -> None:
            asking = _Asking(server.url, replies, accel)
            await asyncio.gather(*(asking.ask(asked) for asked in requests))

        asyncio.run(ask_all())
        gc.collect()  # a stream that was given up ends when nobody can read it any more
        accel.flush()
        used = accel.stats().tool_calls_reused
        total, usage, calls = accel.stats().requests.total, server.usage, server.call_count
    told = (total.attempts, total.used.input_tokens, total.used.output_tokens)
    charged = (
        calls,
        usage.prompt_tokens - replies.untold.prompt_tokens,
        usage.completion_tokens - replies.untold.completion_tokens,
    )
    seen, tools = (
        [one for one in seen if (one.operation in MODEL_OPERATIONS) is asks]
        for asks in (True, False)
    )
    runs = sum(asked.kind == "agent" for asked in requests)
    expected = len(requests) + runs * (agents.REQUESTS - 1)
    endings = Counter(f"{one.outcome} {one.ending}" for one in seen)
    text = (
        f"calls, tokens in and out: told {told}, counted {charged}; "
        f"{len(seen)} of {expected} requests told: {dict(endings)}; of answers given up "
        f"{total.seen_tokens:.0f} of {replies.untold.completion_tokens} tokens were seen; "
        f"{len(tools)} of {runs} calls of tools, {used} by guesses"
    )
    if len(seen) != expected or len(tools) != runs:
        return Measured(0.0, text)
    shares = [one / other for one, other in zip(told, charged, strict=True)]
    return Measured(max(shares, key=lambda share: abs(share - 1)), text)


ROWS = [
    Row(
        name="tokens-and-calls",
        what="calls and tokens told ÷ counted by the server: streams, tools, failures, "
        "cancellations, retries, repeats, speculating agents; both frameworks; the worst of three",
        op="==",
        bound=1.0,
        measure=told_and_counted,
    )
]
