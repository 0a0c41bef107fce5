"""A cache of retrieval for benchmarks: asked by plain texts, over a backend that is a function."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from accel_core.config import from_mapping
from accel_core.policy.identity import Prompt, Turn
from accel_core.retrieval import Ask, Made

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager

    from accel_core.accel import Accel
    from accel_core.build import Clocks
    from accel_core.retrieval import Recalled


class Documents:
    """Documents as texts by id, stored as JSON."""

    def spell(self, value: dict[str, Any]) -> Made:
        return Made(json.dumps(value).encode(), tuple(value), empty=not value)

    def read(self, hit: Recalled) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(hit.entry.payload)
        return found


class Desk:
    """Asks through a cache.

    Args:
        accel: the configured cache.
        corpus: the name of what is retrieved from.
        kind: keeps what is retrieved apart from answers made of it.
    """

    def __init__(self, accel: Accel, corpus: str = "corpus", kind: str = "documents") -> None:
        self._accel, self._kind = accel, kind
        self.corpus = accel.corpus(corpus)

    def asks(self, question: str) -> Ask:
        request = self._accel.identify(Prompt(self._kind, "m", (Turn("user", (question,)),)))
        assert request is not None
        return Ask(request, (self.corpus.key,))

    def ask(self, question: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        async def made() -> dict[str, Any]:
            return make()

        return self._accel.retrieval.read_through(self.asks(question), made, Documents())

    async def aask(
        self, question: str, make: Callable[[], Awaitable[dict[str, Any]]]
    ) -> dict[str, Any]:
        return await self._accel.retrieval.aread_through(self.asks(question), make, Documents())


def opened(
    clocks: Clocks | None = None, *, path: str | None = None, **freshness: Any
) -> AbstractContextManager[Accel]:
    """Return a cache without a semantic tier, to be entered.

    Args:
        clocks: time and dice.
        path: of an SQLite file behind memory; None: none.
        **freshness: settings of `retrieval.freshness`.
    """
    from accel_core.accel import Accel

    store = {} if path is None else {"store": {"kind": "sqlite", "path": path}}
    config = {
        "cache": {"semantic": {"enabled": False}, "memory": {"max_entries": 50_000}, **store},
        "retrieval": {"freshness": freshness},
    }
    return Accel(from_mapping(config), clocks=clocks)
