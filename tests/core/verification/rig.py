"""What tests of verification share: scripted verifiers, and a cache that asks them."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from accel_core.accel import Accel
from accel_core.config import from_mapping
from accel_core.policy.admission import Answer
from accel_core.policy.identity import Prompt, Turn
from accel_core.semantic_cache import Hit, Miss
from accel_core.testing.doubles import ManualClock, RecordingObserver
from accel_core.testing.encoders import HashEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from accel_core.events import Event
    from accel_core.policy.identity import Request
    from accel_core.ports import Case

WAIT_S = 20.0  # never reached by a test that passes
QUESTION = "what is the return policy"
GREY = "tell me what the return policy is"  # cosine 0.84
OTHER = "what is your return policy"  # 0.78
NEAR = "What is the return policy?"  # 1.0
ZONE = {"min_similarity": 0.95, "verifier": {"grey_from": 0.7, "timeout_s": WAIT_S}}
BACKGROUND = {**ZONE, "verifier": {"grey_from": 0.7, "background": True}}


class Scripted:
    """Gives verdicts in order, the last one for ever; an exception is raised; a gate holds it."""

    name = "scripted"

    def __init__(self, *verdicts: Any) -> None:
        self.verdicts = list(verdicts) or [True]
        self.batches: list[list[Case]] = []
        self.open = threading.Event()
        self.open.set()
        self.begun = threading.Semaphore(0)

    def verify(self, cases: Sequence[Case]) -> list[bool | None]:
        self.batches.append(list(cases))
        self.begun.release()
        assert self.open.wait(WAIT_S)
        verdict = self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]
        if isinstance(verdict, BaseException):
            raise verdict
        return verdict(cases) if callable(verdict) else [verdict] * len(cases)  # type: ignore[no-any-return]

    def wait_until_asked(self) -> None:
        assert self.begun.acquire(timeout=WAIT_S)


class Watch(RecordingObserver):
    """Keeps every event, and lets a test wait for one."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def __call__(self, event: Event, /) -> None:
        with self._changed:
            super().__call__(event)
            self._changed.notify_all()

    def wait_for(self, kind: type[Any], count: int = 1) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.of(kind)) >= count, WAIT_S)


class Rig:
    """An `Accel` with a verifier, spoken to in one colour."""

    def __init__(self, *, colour: str, close: ExitStack, verifier: Any, **options: Any) -> None:
        self.clock, self.seen, self.colour = ManualClock(), Watch(), colour
        semantic = options.pop("semantic", ZONE)
        config = {"cache": {"semantic": semantic, **options.pop("cache", {})}}
        options.setdefault("encoder", HashEncoder())
        self.accel = close.enter_context(
            Accel(
                from_mapping(config), observers=[self.seen], clocks=self.clock.clocks(),
                verifier=verifier, **options,
            )
        )  # fmt: skip

    def request(self, text: str, scope: str = "m") -> Request:
        """Name a request as an adapter does."""
        turns = (Turn("user", (text,)),)
        made = self.accel.identify(Prompt("test", scope, turns, self.accel.current_tenant(), ""))
        assert made is not None
        return made

    def put(self, text: str, answer: str = "30 days", scope: str = "m") -> str:
        """Store an answer and wait until it is everywhere."""
        given = Answer(f'"{answer}"'.encode(), answer)
        made = self.accel.cache.store(self.request(text, scope), given)
        assert made is not None
        self.accel.flush()
        return made

    def find(self, text: str, scope: str = "m") -> Hit | Miss:
        """Look up, and leave open the flight a miss leads."""
        request, cache = self.request(text, scope), self.accel.cache
        if self.colour == "sync":
            return cache.lookup(request)
        return asyncio.run(cache.alookup(request))

    def look(self, text: str, scope: str = "m") -> Hit | Miss:
        """Look up, and give up the flight a miss led."""
        found = self.find(text, scope)
        if isinstance(found, Miss):
            self.accel.cache.abandon(found.flight)
        return found

    def reason(self, text: str) -> str:
        """Look up and return why it was a miss; ``tier`` of a hit."""
        found = self.look(text)
        return found.reason if isinstance(found, Miss) else found.tier


def calibrated() -> HashEncoder:
    """Return an encoder that is taken for the calibrated one, so that probabilities are known."""
    encoder = HashEncoder()
    encoder.name = "all-MiniLM-L6-v2"
    return encoder
