"""What tests of the embedding cache share: a model that counts, asked in both colours."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from accel_core.embedding_call import EmbeddingCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.accel import Accel

KIND = "test.embedding.query"


def vector(text: str) -> list[float]:
    return [len(text) / 3, *map(float, text.encode()[:2])]


class Model:
    """Embeds by length; records every call, in a place that is no field of it."""

    def __init__(self, name: str = "m", answer: Callable[[list[str]], Any] | None = None) -> None:
        self.name = name
        calls[id(self)] = []
        self._answer = answer

    @property
    def asked(self) -> list[list[str]]:
        return calls[id(self)]

    def embed(self, texts: list[str]) -> Any:
        self.asked.append(list(texts))
        return (self._answer or (lambda texts: [vector(text) for text in texts]))(texts)

    async def aembed(self, texts: list[str]) -> Any:
        await asyncio.sleep(0)
        return self.embed(texts)


calls: dict[int, list[list[str]]] = {}


class Blocking:
    """Asks from this thread."""

    def ask(self, accel: Accel, model: Model, *texts: str, kind: str = KIND) -> list[Any]:
        return list(EmbeddingCall(accel, kind, model, Model).vectors(list(texts), model.embed))

    def run(self, blocking: Callable[[], Any], awaited: Callable[[], Any]) -> Any:
        return blocking()


class Asyncio:
    """Asks from a task."""

    def ask(self, accel: Accel, model: Model, *texts: str, kind: str = KIND) -> list[Any]:
        call = EmbeddingCall(accel, kind, model, Model)
        return list(asyncio.run(call.avectors(list(texts), model.aembed)))

    def run(self, blocking: Callable[[], Any], awaited: Callable[[], Any]) -> Any:
        async def work() -> Any:
            return await awaited()

        return asyncio.run(work())
