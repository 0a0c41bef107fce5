"""Whether what `accel audit` says would be saved is what is saved.

A log is drawn from questions with known repeats, and audited. Then the same calls are really made:
at the log's times, in virtual time, by LangChain's own ``ChatOpenAI``, accelerated, whose HTTP
client ends in a provider of this process that counts what it is asked. The vectors are those that
the audit made.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from contextvars import ContextVar
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from accel_core import build
from accel_core.accel import Accel
from accel_core.audit.prepared import PreparedEncoder
from accel_core.audit.run import Terms, audit
from accel_core.clocks import Clocks
from accel_core.config import AccelConfig, EncoderConfig
from accel_core.drive import virtual_time
from accel_core.events.requests import Tokens
from accel_core.observer.prices import load_prices
from benchmarks import questions
from benchmarks.harness import Context, Measured, Row, UnavailableError
from langchain_accel import accelerate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from accel_core.audit.tally import Sum, Tally
    from accel_core.ports import Encoder, Vectors

_MODELS = ("gpt-4o-mini", "gpt-4o")
_TENANTS = (None, "north", "south")
_SPAN_S = 36_000.0
_BEGAN_S = 1_770_000_000.0
_WARM_SHARE = 0.02
"""Calls whose temperature keeps them out of the cache."""
_SYSTEM = "You answer questions of customers, in one sentence."
_MOST_S = 600.0


class _Asked(NamedTuple):
    """A call of the log, and what the provider says to it."""

    at_s: float
    took_s: float
    text: str
    answer: str
    tokens: Tokens
    model: str
    tenant: str | None
    temperature: float


def _groups(context: Context) -> list[tuple[str, ...]]:
    """Return questions that deserve one answer each, in all their wordings; no text in two."""
    dice = Random(context.seed)
    most = context.pick(20_000, 1_500)
    found = [c.asks for c in questions.read_clusters(context.questions, context.seed, most)]
    if context.questions is None:
        seen = {text for asks in found for text in asks}
        plain = list(found)
        while len(seen) < most:
            asks = dice.choice(plain)
            where = questions.situation(dice)
            made = tuple(questions.put(ask, where) for ask in asks)
            if seen.isdisjoint(made):
                seen.update(made)
                found.append(made)
    dice.shuffle(found)
    return found


def _calls(context: Context) -> list[_Asked]:
    """Draw calls: a few questions are asked often, most seldom, in any of their wordings."""
    dice, count = Random(context.seed), context.pick(100_000, 4_000)
    groups = _groups(context)
    weights = [1.0 / (place + 20) for place in range(len(groups))]
    at_s, calls = _BEGAN_S, []
    for place in dice.choices(range(len(groups)), weights, k=count):
        at_s += dice.expovariate(count / _SPAN_S)
        text, model = dice.choice(groups[place]), _MODELS[place % 7 == 0]
        tokens = Tokens(25.0 + len(text.split()), 20.0 + 37 * place % 180)
        warm = dice.random() < _WARM_SHARE
        calls.append(
            _Asked(
                round(at_s, 3),
                round(dice.lognormvariate(0.2, 0.4), 3),
                text,
                f"The answer to question {place} is on page {place % 97}.",
                tokens,
                model,
                dice.choices(_TENANTS, (6, 3, 1))[0],
                0.7 if warm else 0.0,
            )
        )
    return calls


def _written(calls: Sequence[_Asked], path: Path) -> None:
    with path.open("w", encoding="utf-8") as log:
        for call in calls:
            record = {
                "request": {
                    "model": call.model,
                    "temperature": call.temperature,
                    "messages": [
                        {"role": "system", "content": _SYSTEM},
                        {"role": "user", "content": call.text},
                    ],
                },
                "response": _completion(call),
                "started_at": call.at_s,
                "took_s": call.took_s,
                "tenant": call.tenant,
            }
            log.write(f"{json.dumps(record)}\n")


def _completion(call: _Asked) -> dict[str, Any]:
    used, made, _ = map(int, call.tokens)
    message = {"role": "assistant", "content": call.answer}
    return {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": int(call.at_s),
        "model": call.model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": used,
            "completion_tokens": made,
            "total_tokens": used + made,
        },
    }


class _Remembering:
    """An encoder whose vectors are kept: the replay takes what the audit made."""

    def __init__(self, encoder: Encoder) -> None:
        self.name, self.min_similarity = encoder.name, encoder.min_similarity
        self.distrust, self._encoder = encoder.distrust, encoder
        self._vectors: dict[str, Any] = {}

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of `texts`."""
        import numpy as np

        new = [text for text in texts if text not in self._vectors]
        if new:
            self._vectors.update(zip(new, self._encoder.encode(new), strict=True))
        return np.stack([self._vectors[text] for text in texts])


_call: ContextVar[_Asked] = ContextVar("audited_call")


class _Provider(httpx.AsyncBaseTransport):
    """Answers as the log says, takes as long, and counts; keyed by the task that asks."""

    def __init__(self) -> None:
        self.asked: list[_Asked] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        call = _call.get()
        self.asked.append(call)
        await request.aread()
        await asyncio.sleep(call.took_s)
        return httpx.Response(200, json=_completion(call))


class _Really:
    """Makes the calls of a log.

    Args:
        encoder: as the audit's.
        report: told the share done.
    """

    def __init__(self, encoder: PreparedEncoder, report: Callable[[float], None]) -> None:
        self._encoder, self._report = encoder, report
        self.provider, self.seconds = _Provider(), 0.0

    async def make(self, calls: Sequence[_Asked]) -> None:
        """Make `calls`, each at its time."""
        loop = asyncio.get_running_loop()
        clocks = Clocks(
            wall_now=lambda: calls[0].at_s + loop.time(),
            mono_now=loop.time,
            chance=Random(7).random,
        )
        with Accel(AccelConfig(), encoder=self._encoder, clocks=clocks) as accel:
            models = dict(self._models(accel))
            async with asyncio.TaskGroup() as tasks:
                for number, call in enumerate(calls):
                    early_s = call.at_s - calls[0].at_s - loop.time()
                    if early_s > 0:
                        await asyncio.sleep(early_s)
                    tasks.create_task(self._one(accel, models[call.model, call.temperature], call))
                    if not number % 100:
                        self._report(number / len(calls))

    def _models(self, accel: Accel) -> Iterator[tuple[tuple[str, float], ChatOpenAI]]:
        client = httpx.AsyncClient(transport=self.provider)
        for name in _MODELS:
            for temperature in (0.0, 0.7):
                model = ChatOpenAI(
                    model=name,
                    temperature=temperature,
                    api_key=SecretStr("none"),
                    base_url="http://provider.invalid/v1",
                    http_async_client=client,
                    max_retries=0,
                )
                yield (name, temperature), accelerate(model, accel)

    async def _one(self, accel: Accel, model: ChatOpenAI, call: _Asked) -> None:
        _call.set(call)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        messages = [("system", _SYSTEM), ("user", call.text)]
        if call.tenant is None:
            await model.ainvoke(messages)
        else:
            with accel.tenant(call.tenant):
                await model.ainvoke(messages)
        self.seconds += loop.time() - began_s


class _Audited(NamedTuple):
    """A log's calls, what their audit added up, its encoder, and how long it took."""

    calls: list[_Asked]
    tally: Tally
    encoder: _Remembering
    wall_s: float
    cpu_s: float


def _audit(context: Context) -> _Audited:
    calls = _calls(context)
    encoder = build.build_encoder(EncoderConfig(), None)
    if encoder is None:
        raise UnavailableError("needs: pip install 'llm-accel[local]'")
    remembering = _Remembering(encoder)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "calls.jsonl"
        _written(calls, log)
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        found = audit([log], remembering, Terms(), lambda _: context.report)
        wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    return _Audited(calls, found.tally, remembering, wall_s, cpu_s)


def _stated(total: Sum) -> dict[str, float]:
    return {
        "calls": float(total.calls),
        "tokens": total.tokens or 0.0,
        "dollars": total.cost or 0.0,
        "seconds": total.time_s or 0.0,
    }


def _of(calls: Sequence[_Asked], seconds: float) -> dict[str, float]:
    prices = load_prices()
    return {
        "calls": float(len(calls)),
        "tokens": sum(call.tokens.input_tokens + call.tokens.output_tokens for call in calls),
        "dollars": sum(prices.cost(call.model, call.tokens) or 0.0 for call in calls),
        "seconds": seconds,
    }


def savings(context: Context) -> Measured:
    """Compare what is stated with what is saved when the calls are really made."""
    calls, tally, encoder, _, _ = context.once(_audit)
    began_s = time.perf_counter()
    prepared = PreparedEncoder(encoder)
    prepared.prepare((call.text for call in calls), lambda _: None)
    really = _Really(prepared, context.report)
    virtual_time.run(really.make(calls), threads=False)
    took_s = time.perf_counter() - began_s
    asked = _of(calls, sum(call.took_s for call in calls))
    used = _of(really.provider.asked, really.seconds)
    ratios = {
        unit: amount / (asked[unit] - used[unit]) for unit, amount in _stated(tally.total).items()
    }
    told = ", ".join(f"{unit} {ratio:.4f}" for unit, ratio in ratios.items())
    tiers = ", ".join(f"{tier} {one.calls:,}" for tier, one in tally.saved.items())
    return Measured(
        max(abs(ratio - 1) for ratio in ratios.values()),
        f"stated ÷ saved: {told}; {asked['calls'] - used['calls']:,.0f} of {len(calls):,} calls"
        f" really saved; stated by tier: {tiers}; the real replay took {took_s:.0f} s",
    )


def duration(context: Context) -> Measured:
    """Return how long the audit took."""
    found = context.once(_audit)
    return Measured(found.wall_s, f"{found.cpu_s:.0f} s of processors, all cores together")


ROWS = [
    Row(
        name="audit-savings",
        what="audit of 100,000 logged calls: savings stated ÷ savings when really replayed through"
        " an accelerated ChatOpenAI, distance from 1; the worst of calls, tokens, dollars, seconds",
        op="<=",
        bound=0.05,
        measure=savings,
    ),
    Row(
        name="audit-time",
        what="that audit, in seconds",
        op="<=",
        bound=_MOST_S,
        measure=duration,
    ),
]
