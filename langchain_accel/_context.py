"""What LangChain tells callbacks about a call, kept where lookups can see it.

Neither a cache's ``lookup`` nor a model's ``_stream`` is given the call's tags, metadata or fresh
parameters. One inline callback (the only kind that runs in the caller's own context in both
colours) is registered once, as LangChain's tracers are, and keeps them in a context variable until
the run ends. Nothing here may name a tenant: metadata may come from a client.
"""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from langchain_core.callbacks import BaseCallbackHandler

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from langchain_core.messages import BaseMessage


class Run:
    """A chat model's run in progress, in the context that started it.

    Attributes:
        messages: what is asked.
        batch: the runs that one ``generate`` started, in their order; empty of one alone.
        asked: whether a rate limiter was asked for it.
    """

    __slots__ = ("asked", "batch", "details", "ended", "messages", "outer", "run_id", "serialized")

    def __init__(
        self, run_id: UUID, outer: Run | None, serialized: Any, details: Mapping[str, Any]
    ) -> None:
        self.run_id, self.outer, self.ended = run_id, outer, False
        self.serialized, self.details = serialized, details
        self.messages: Sequence[BaseMessage] = ()
        self.batch: list[Run] = []
        self.asked = False

    def join(self, before: Run | None) -> None:
        """Join the batch of the run that started before, where that is still growing."""
        size = self.details.get("batch_size") or 1
        if size > 1:
            growing = before is not None and 0 < len(before.batch) < size
            self.batch = before.batch if before is not None and growing else []
            self.batch.append(self)

    @property
    def tags(self) -> Sequence[str] | None:
        """The call's tags."""
        return self.details.get("tags")

    @property
    def provider(self) -> str:
        """The provider's name, as LangChain tells it to tracers."""
        return str((self.metadata or {}).get("ls_provider") or "")

    @property
    def metadata(self) -> Mapping[str, Any] | None:
        """The call's metadata."""
        return self.details.get("metadata")

    @property
    def printed(self) -> str:
        """How a model prints that LangChain cannot serialise, and so names by less."""
        serialized = self.serialized
        return serialized.get("repr") or "" if isinstance(serialized, dict) else ""

    @property
    def params(self) -> Mapping[str, Any]:
        """The model's fresh parameters, and the call's."""
        return self.details.get("invocation_params") or {}


class FailureListener(Protocol):
    """Told that a call in this thread or task failed."""

    def call_failed(self, error: BaseException) -> None:
        """Release what the failed call held."""


class RunListener(Protocol):
    """Told how every run of a model ends, wherever."""

    def run_ended(self, run_id: UUID, response: Any) -> None:
        """Take note of an answer."""

    def run_failed(self, run_id: UUID, error: BaseException | None, response: Any) -> None:
        """Take note of an error, and of what was streamed before; None: nobody says which."""


_run: ContextVar[Run | None] = ContextVar("accel_langchain_run", default=None)
_listeners: weakref.WeakSet[Any] = weakref.WeakSet()
_run_listeners: weakref.WeakSet[Any] = weakref.WeakSet()


def current_run() -> Run | None:
    """Return the chat model's run in progress, if any."""
    run = _run.get()
    # A run may have ended in another context, where it could not be taken out of this one.
    while run is not None and run.ended:
        run = run.outer
    return run


def asking_run() -> Run | None:
    """Return the run whose model is asked now: of a batch, whose turn it is."""
    run = current_run()
    if run is not None:
        run = next((one for one in run.batch if not (one.asked or one.ended)), run)
        run.asked = True
    return run


class _Hook(BaseCallbackHandler):
    """Keeps the run in progress."""

    run_inline = True
    raise_error = False
    ignore_chain = True
    ignore_agent = True
    ignore_retriever = True
    ignore_retry = True
    ignore_custom_event = True

    def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: UUID, **details: Any
    ) -> None:
        """Note the run."""
        before = current_run()
        run = Run(run_id, before, serialized, details)
        run.messages = messages[0]
        run.join(before)
        _run.set(run)

    def on_llm_start(self, serialized: Any, prompts: Any, **_: Any) -> None:
        """Plain language models look up before this; there is nothing to note."""

    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        """Forget the run."""
        _end(run_id)
        if _run_listeners:  # looking through none takes longer than the rest of this
            for listener in list(_run_listeners):
                listener.run_ended(run_id, response)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """Forget the run, and let nobody wait for its answer."""
        run = _end(run_id)
        for listener in list(_listeners):
            listener.call_failed(error)
        # Of the others in its batch none is under way then, and LangChain need not say so.
        others = [] if run is None else [one.run_id for one in run.batch if one is not run]
        for other in others:
            _end(other)
        for listener in list(_run_listeners):
            listener.run_failed(run_id, error, more.get("response"))
            for other in others:
                listener.run_failed(other, None, None)


def _end(run_id: UUID) -> Run | None:
    """Mark a run ended, and make the innermost one that has not ended the current one again.

    Runs of one batch end in any order, in one context.
    """
    run = _run.get()
    while run is not None and run.run_id is not run_id and run.run_id != run_id:
        run = run.outer
    if run is not None:
        run.ended = True
        _run.set(current_run())
    return run


_hook = _Hook()
_registered: list[ContextVar[Any]] = []


def listen(listener: FailureListener | None = None, runs: RunListener | None = None) -> None:
    """Register the callback, once for all, and with it, weakly, who is to be told."""
    if listener is not None:
        _listeners.add(listener)
    if runs is not None:
        _run_listeners.add(runs)
    if not _registered:
        from langchain_core.tracers.context import register_configure_hook

        # A context variable's default is seen by every thread and context there will be.
        _registered.append(ContextVar("accel_langchain_hook", default=_hook))
        register_configure_hook(_registered[0], inheritable=False)
