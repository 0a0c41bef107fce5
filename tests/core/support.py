"""A cache under a bound or in shadow mode, spoken to in one colour."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from accel_core.accel import Accel
from accel_core.config import from_mapping
from accel_core.policy.admission import Answer
from accel_core.policy.controls import Controls
from accel_core.policy.identity import Prompt, Turn
from accel_core.semantic_cache import Hit, Miss
from accel_core.testing.doubles import ManualClock, RecordingObserver
from accel_core.testing.encoders import HashEncoder

if TYPE_CHECKING:
    from contextlib import ExitStack

    from accel_core.policy.identity import Request

BOUND = 0.2
PROVEN = 80
"""Right outcomes that prove a scope at `BOUND`, with room."""
RARELY = 0.99
"""Dice that explore no would-be hit."""


def calibrated() -> HashEncoder:
    """Return an encoder that is taken for the calibrated one, so that probabilities are known."""
    encoder = HashEncoder()
    encoder.name = "all-MiniLM-L6-v2"
    return encoder


class Rig:
    """An `Accel` under a bound, spoken to in one colour."""

    def __init__(self, *, colour: str, close: ExitStack, **options: Any) -> None:
        self.clock, self.seen = ManualClock(chance=RARELY), RecordingObserver()
        self.colour = colour
        semantic = options.pop("semantic", {"max_wrong_hits": BOUND, "trust": "earned"})
        config = {"cache": {"semantic": semantic, **options.pop("cache", {})}}
        config |= options.pop("config", {})
        options.setdefault("encoder", calibrated())
        self.accel = close.enter_context(
            Accel(
                from_mapping(config), observers=[self.seen], clocks=self.clock.clocks(), **options
            )
        )

    def request(self, text: str, scope: str = "m") -> Request:
        """Name a request as an adapter does."""
        turns = (Turn("user", (text,)),)
        made = self.accel.identify(Prompt("test", scope, turns, self.accel.current_tenant(), ""))
        assert made is not None
        return made

    def ask(self, text: str, answer: str, scope: str = "m", **wishes: Any) -> Hit | Miss:
        """Look up, and on a miss store what the model says; return what was found."""
        request, controls = self.request(text, scope), Controls(**wishes)
        cache = self.accel.cache
        if self.colour == "sync":
            found = cache.lookup(request, controls)
        else:
            found = asyncio.run(cache.alookup(request, controls))
        if isinstance(found, Miss):
            given = Answer(f'"{answer}"'.encode(), answer)
            cache.store(request, given, controls, found.flight)
            self.accel.flush()
        return found

    def repeats(self, count: int, *, right: bool = True, scope: str = "m", start: int = 0) -> int:
        """Ask `count` questions and then each again otherwise written; return the hits of those."""
        hits = 0
        for n in range(start, start + count):
            question = f"where is thing{n} of the place{n}"
            self.ask(question, f"in room {n}", scope)
            again = f"In room {n}." if right else f"in room {n + 1}"
            hits += isinstance(self.ask(question.upper() + "?", again, scope), Hit)
        return hits

    def report(self, response: object) -> bool:
        """Report in this rig's colour."""
        if self.colour == "sync":
            return self.accel.report_wrong(response)
        return asyncio.run(self.accel.areport_wrong(response))
