"""A process of many that ask the same questions: the child of `redis_flights`.

It is told by a line of JSON what to do, says ``ready``, begins when it is given another line, and
prints a line of JSON at its end. Its tasks ask a model behind HTTP, with nothing between it and the
cache but the core: what is measured is who asks, not a framework. ::

    {"store": URL, "model": URL, "asks": [[wording, …], …], "tasks": [first, last + 1], "each": 50,
     "pause_s": 0, "seed": 1, "semantic": {…}}

Each task asks so many of the questions, in an order and in wordings of its own, and before each it
pauses as people do: for up to twice ``pause_s``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from accel_core.accel import Accel
from accel_core.policy.admission import Answer
from accel_core.policy.identity import Prompt, Turn
from accel_core.semantic_cache import Miss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.policy.identity import Request

PATIENCE_S = 5.0
"""How long a lookup waits for the server: a dozen processes share two cores here, and what a busy
machine delays is not what is measured."""


class Asking:
    """Asks through a cache, and counts.

    Args:
        accel: the cache.
        model: URL of an OpenAI-compatible server.
    """

    def __init__(self, accel: Accel, model: str) -> None:
        self._accel, self._model = accel, urlsplit(model)
        self.counts = {"asked": 0, "calls": 0, "failed": 0}

    async def task(self, questions: Sequence[tuple[float, str]]) -> None:
        """Ask one after the other, each after its pause."""
        for pause_s, text in questions:
            await asyncio.sleep(pause_s)
            self.counts["asked"] += 1
            try:
                await self._ask(text)
            except Exception as error:  # counted, and told where somebody looks
                self.counts["failed"] += 1
                print(f"{type(error).__name__}: {error}", file=sys.stderr)

    def request(self, text: str) -> Request:
        """Name a question as an adapter does."""
        turns = (Turn("user", (text,)),)
        tenant, namespace = self._accel.current_tenant(), self._accel.namespace("")
        request = self._accel.identify(Prompt("benchmark", "model", turns, tenant, namespace))
        assert request is not None
        return request

    async def _ask(self, text: str) -> None:
        call = self._accel.begin("chat")
        call.asks(self.request(text), self._accel.controls({}, ()))
        if await call.alookup() is not None:
            return
        try:
            self.counts["calls"] += 1
            said = await self._said(text)
            call.store(lambda: Answer(json.dumps(said).encode(), said))
        finally:
            call.end()

    async def _said(self, text: str) -> str:
        """Ask the model."""
        assert self._model.hostname is not None
        messages = [{"role": "user", "content": text}]
        body = json.dumps({"model": "any", "messages": messages, "user": str(os.getpid())})
        reader, writer = await asyncio.open_connection(self._model.hostname, self._model.port)
        head = (
            f"POST {self._model.path}/chat/completions HTTP/1.1\r\nHost: model\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body.encode())}\r\n"
            "Connection: close\r\n\r\n"
        )
        try:
            writer.write((head + body).encode())
            reply = (await reader.read()).partition(b"\r\n\r\n")[2]
        finally:
            writer.close()
        said: str = json.loads(reply)["choices"][0]["message"]["content"]
        return said


def asked_by(task: int, told: dict[str, Any]) -> list[tuple[float, str]]:
    """Return what a task asks, in order, and how long it pauses before."""
    dice = Random(f"{told['seed']} {task}")
    asked = dice.sample(told["asks"], told["each"])
    return [(2 * told["pause_s"] * dice.random(), dice.choice(wordings)) for wordings in asked]


async def _run(accel: Accel, told: dict[str, Any]) -> dict[str, Any]:
    asking = Asking(accel, told["model"])
    streams = [asked_by(task, told) for task in range(*told["tasks"])]
    began_s = time.perf_counter()
    await asyncio.gather(*(asking.task(stream) for stream in streams))
    return {**asking.counts, "took_s": time.perf_counter() - began_s}


def main() -> None:
    """Do as told on standard input."""
    told = json.loads(input())
    store = {"kind": "redis", "url": told["store"], "lookup_timeout_s": PATIENCE_S}
    cache = {"store": store, "semantic": told["semantic"]}
    with Accel.from_mapping({"cache": cache}) as accel:
        warm = Asking(accel, told["model"]).request("Is anybody there?")
        found = accel.cache.lookup(warm)
        if isinstance(found, Miss):
            accel.cache.abandon(found.flight)
        print("ready", flush=True)
        input()
        print(json.dumps(asyncio.run(_run(accel, told))), flush=True)


if __name__ == "__main__":
    main()
