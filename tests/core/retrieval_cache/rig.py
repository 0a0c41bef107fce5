"""What tests of the retrieval cache share: documents that change, and a desk to ask."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

from accel_core.accel import Accel
from accel_core.config import from_mapping
from accel_core.policy.controls import DEFAULT, Controls
from accel_core.policy.identity import Prompt, Turn
from accel_core.retrieval import Ask, Made, Recalled
from accel_core.testing.doubles import ManualClock, RecordingObserver
from accel_core.testing.encoders import HashEncoder

if TYPE_CHECKING:
    from contextlib import ExitStack


class Documents:
    """How lists of ids and texts are stored."""

    def spell(self, value: dict[str, str]) -> Made | str:
        return Made(json.dumps(value).encode(), tuple(value), empty=not value)

    def read(self, hit: Recalled) -> dict[str, str]:
        found: dict[str, str] = json.loads(hit.entry.payload)
        return found


class Library:
    """Documents by id; a question finds those that hold its last word."""

    def __init__(self) -> None:
        self.documents: dict[str, str] = {"d1": "apples are red", "d2": "pears are green"}
        self.asked: list[str] = []
        self.failing: Exception | None = None
        self.hold: threading.Event | None = None

    def find(self, question: str) -> dict[str, str]:
        self.asked.append(question)
        if self.hold is not None:
            assert self.hold.wait(10)
        if self.failing is not None:
            raise self.failing
        word = question.rstrip("?").split()[-1]
        return {name: text for name, text in self.documents.items() if word in text}


class Desk:
    """A library behind a cache, asked in one colour."""

    def __init__(self, colour: str, close: ExitStack, **options: Any) -> None:
        self.colour = colour
        self.library: Library = options.pop("library", None) or Library()
        self.clock = options.pop("clock", None) or ManualClock()
        self.seen = RecordingObserver()
        config = from_mapping(options.pop("config", None))
        options.setdefault("encoder", HashEncoder())
        self.accel = close.enter_context(
            Accel(config, observers=[self.seen], clocks=self.clock.clocks(), **options)
        )
        self.name: str | None = None
        self.speaks = False

    @property
    def corpus(self) -> Any:
        if self.name is not None:
            return self.accel.corpus(self.name)
        return self.accel.corpus_of(self.library)

    def to_ask(self, question: str, controls: Controls = DEFAULT, version: str = "") -> Ask:
        request = self.accel.identify(
            Prompt(
                "test", ["retriever", version], (Turn("user", (question,)),),
                self.accel.current_tenant(), self.accel.namespace(""),
            )
        )  # fmt: skip
        assert request is not None
        return Ask(request, (self.corpus.key,), self.speaks, controls)

    def ask(self, question: str, controls: Controls = DEFAULT, **options: Any) -> dict[str, str]:
        ask = self.to_ask(question, controls, **options)

        async def make() -> dict[str, str]:
            return self.library.find(question)

        if self.colour == "sync":
            return self.accel.retrieval.read_through(ask, make, Documents())
        return asyncio.run(self._settled(ask, make))

    async def _settled(self, ask: Ask, make: Any) -> dict[str, str]:
        found: dict[str, str] = await self.accel.retrieval.aread_through(ask, make, Documents())
        # A loop that ends takes what it renews with it.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others)
        return found

    def change(self, documents: list[str] | None = None) -> None:
        if self.colour == "sync":
            self.corpus.changed(documents)
        else:
            asyncio.run(self.corpus.achanged(documents))

    def settle(self) -> None:
        """Wait until nothing is renewed any more."""
        for thread in threading.enumerate():
            if thread.name == "accel-spawned":
                thread.join(10)
        self.accel.flush()

    def times(self) -> int:
        return len(self.library.asked)
