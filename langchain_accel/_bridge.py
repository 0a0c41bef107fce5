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

from langchain_accel import _answers
from langchain_accel._context import current_run, listen
from langchain_accel._limits import used_in
from langchain_accel._requests import Requests
from langchain_accel._turns import is_dump

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from langchain_core.outputs import Generation

    from accel_core.accel import Accel
    from accel_core.call import Call
    from accel_core.drive.flight import Flight
    from accel_core.policy.controls import Controls
    from accel_core.policy.identity import Request
    from accel_core.recording import Record
    from accel_core.semantic_cache import Hit


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
        self._records: weakref.WeakKeyDictionary[Flight, Record] = weakref.WeakKeyDictionary()
        # The last ones though nobody else holds them: they say when their answers were asked for.
        self._last: deque[Flight] = deque(maxlen=_KEPT)
        self._watched: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        listen(self)

    def lookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Return the stored answer as fresh generations, or None."""
        call = self._begin(prompt, llm_string)
        if call is None:
            return None
        hit = call.lookup()
        if hit is None:
            self._keep(threading.get_ident(), call)
            return None
        return self._replay(call, hit)

    async def alookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Async form of `lookup`."""
        call = self._begin(prompt, llm_string)
        if call is None:
            return None
        hit = await call.alookup()
        if hit is None:
            self._keep(self._watch_task(), call)
            return None
        return self._replay(call, hit)

    def update(self, prompt: str, llm_string: str, generations: Sequence[Generation]) -> None:
        """Store an answer; returns at once."""
        self._store(prompt, llm_string, generations, threading.get_ident())

    async def aupdate(
        self, prompt: str, llm_string: str, generations: Sequence[Generation]
    ) -> None:
        """Async form of `update`."""
        self._store(prompt, llm_string, generations, id(asyncio.current_task()))

    def call_failed(self, error: BaseException) -> None:
        """Release what the failed call led, as a thread or as a task."""
        self._release(threading.get_ident(), error)
        task = _leading_task.get()
        if task is not None:
            self._release(task, error)

    def _begin(self, prompt: str, llm_string: str) -> Call | None:
        """Open a call; None: it bypasses the cache, and nothing will tell how it ends."""
        chats = is_dump(prompt)
        told = current_run() if chats else None
        call = self.accel.begin("chat" if chats else "text_completion", told=told)
        asked = self._asked(prompt, llm_string)
        if asked is None:
            return None
        call.asks(*asked)
        return call

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

    def _keep(self, owner: Hashable, call: Call) -> None:
        """Keep what a miss leads until it is updated, or fails; LangChain asks the model now."""
        flight, record = call.flight, call.record
        if flight is not None:
            self._led[owner][flight.key] = flight
            self._last.append(flight)
            if record is not None:
                record.ask()
                self._records[flight] = record

    def _replay(self, call: Call, hit: Hit) -> list[Generation] | None:
        try:
            made = _answers.to_generations(hit)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            call.reject(hit, error)
            return None
        call.served(hit, _answers.saved_tokens(made))
        return made

    def _watch_task(self) -> Hashable:
        """Release what the current task leads when it ends; return its name as an owner."""
        task = asyncio.current_task()
        if task is not None and task not in self._watched:
            self._watched.add(task)
            task.add_done_callback(self._task_ended)
        _leading_task.set(id(task))
        return id(task)

    def _task_ended(self, task: asyncio.Task[Any]) -> None:
        # Asked only where the task leads something, since asking counts as having seen the error.
        if id(task) in self._led:
            self._release(id(task), None if task.cancelled() else task.exception())

    def _store(
        self, prompt: str, llm_string: str, generations: Sequence[Generation], owner: Hashable
    ) -> None:
        asked = self._asked(prompt, llm_string, report=False)
        if asked is None:
            return
        request, controls = asked
        led = self._led.get(owner)
        flight = None if led is None else led.pop(request.key, None)
        record = None if flight is None else self._records.pop(flight, None)
        call = self.accel.resume(request, controls, flight, record)
        call.store(lambda: _answers.to_answer(generations))
        call.end(lambda: used_in(generations))

    def _release(self, owner: Hashable, error: BaseException | None = None) -> None:
        led = self._led.pop(owner, None)
        for flight in () if led is None else list(led.values()):
            self.accel.cache.abandon(flight)
            record = self._records.pop(flight, None)
            if record is not None:
                record.end(error=error)
