"""LangChain's two cache calls as one call of the core's.

A miss is two calls of LangChain's (`lookup`, later `update`), with the model in between and no word
when the model fails. The flight that a miss leads is therefore kept by thread or task, and ended by
`update`, by the task's end, by the error callback, or by its lease, whichever comes first.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import defaultdict, deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from accel_core.semantic_cache import Hit, Miss
from langchain_accel import _answers
from langchain_accel._context import current_run, listen
from langchain_accel._requests import Requests
from langchain_accel._turns import is_dump

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from langchain_core.outputs import Generation

    from accel_core.accel import Accel
    from accel_core.drive.flight import Flight
    from accel_core.policy.controls import Controls
    from accel_core.policy.identity import Request


_leading_task: ContextVar[int | None] = ContextVar("accel_langchain_leading", default=None)
"""The task whose lookup led a flight: LangChain reports its failure in a task of its own."""

_KEPT = 1_024


class Bridge:
    """What `AccelCache` does, for one `Accel`."""

    def __init__(self, accel: Accel) -> None:
        self.accel = accel
        self._requests = Requests(accel)
        # Weakly: a flight nobody ends leaves the flight table with its lease, and so leaves here.
        self._led: defaultdict[Hashable, weakref.WeakValueDictionary[bytes, Flight]] = defaultdict(
            weakref.WeakValueDictionary
        )
        # The last ones though nobody else holds them: they say when their answers were asked for.
        self._last: deque[Flight] = deque(maxlen=_KEPT)
        self._watched: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        listen(self)

    def lookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Return the stored answer as fresh generations, or None."""
        asked = self._asked(prompt, llm_string)
        if asked is None:
            return None
        request, controls = asked
        found = self.accel.cache.lookup(request, controls)
        if isinstance(found, Miss):
            self._keep(threading.get_ident(), found.flight)
            return None
        return self._replay(found)

    async def alookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Async form of `lookup`."""
        asked = self._asked(prompt, llm_string)
        if asked is None:
            return None
        request, controls = asked
        found = await self.accel.cache.alookup(request, controls)
        if isinstance(found, Miss):
            self._keep(self._watch_task(), found.flight)
            return None
        return self._replay(found)

    def update(self, prompt: str, llm_string: str, generations: Sequence[Generation]) -> None:
        """Store an answer; returns at once."""
        self._store(prompt, llm_string, generations, threading.get_ident())

    async def aupdate(
        self, prompt: str, llm_string: str, generations: Sequence[Generation]
    ) -> None:
        """Async form of `update`."""
        self._store(prompt, llm_string, generations, id(asyncio.current_task()))

    def call_failed(self) -> None:
        """Release what the failed call led, as a thread or as a task."""
        self._release(threading.get_ident())
        task = _leading_task.get()
        if task is not None:
            self._release(task)

    def _asked(
        self, prompt: str, llm_string: str, *, report: bool = True
    ) -> tuple[Request, Controls] | None:
        """Name a call and read its wishes; None: it bypasses the cache."""
        # Plain language models look up before any callback: what is current is not their call.
        run = current_run() if is_dump(prompt) else None
        controls = self.accel.controls(
            None if run is None else run.metadata,
            None if run is None else run.tags,
            report=report,
        )
        if controls is None:
            return None
        request = self._requests.of_dump(prompt, llm_string, run, controls, report=report)
        return None if request is None else (request, controls)

    def _keep(self, owner: Hashable, flight: Flight | None) -> None:
        if flight is not None:
            self._led[owner][flight.key] = flight
            self._last.append(flight)

    def _replay(self, hit: Hit) -> list[Generation] | None:
        try:
            return _answers.to_generations(hit)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.accel.cache.reject(hit.entry, error)
            return None

    def _watch_task(self) -> Hashable:
        """Release what the current task leads when it ends; return its name as an owner."""
        task = asyncio.current_task()
        if task is not None and task not in self._watched:
            self._watched.add(task)
            task.add_done_callback(lambda done: self._release(id(done)))
        _leading_task.set(id(task))
        return id(task)

    def _store(
        self, prompt: str, llm_string: str, generations: Sequence[Generation], owner: Hashable
    ) -> None:
        asked = self._asked(prompt, llm_string, report=False)
        if asked is None:
            return
        request, controls = asked
        led = self._led.get(owner)
        flight = None if led is None else led.pop(request.key, None)
        call = self.accel.call(request, controls, flight)
        call.store(lambda: _answers.to_answer(generations))

    def _release(self, owner: Hashable) -> None:
        led = self._led.pop(owner, None)
        for flight in () if led is None else list(led.values()):
            self.accel.cache.abandon(flight)
