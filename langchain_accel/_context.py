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


class Run:
    """A chat model's run in progress, in the context that started it."""

    __slots__ = ("details", "ended", "outer", "run_id", "serialized")

    def __init__(
        self, run_id: UUID, outer: Run | None, serialized: Any, details: Mapping[str, Any]
    ) -> None:
        self.run_id, self.outer, self.ended = run_id, outer, False
        self.serialized, self.details = serialized, details

    @property
    def tags(self) -> Sequence[str] | None:
        """The call's tags."""
        return self.details.get("tags")

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

    def call_failed(self) -> None:
        """Release what the failed call held."""


_run: ContextVar[Run | None] = ContextVar("accel_langchain_run", default=None)
_listeners: weakref.WeakSet[Any] = weakref.WeakSet()


def current_run() -> Run | None:
    """Return the chat model's run in progress, if any."""
    run = _run.get()
    # A run may have ended in another context, where it could not be taken out of this one.
    while run is not None and run.ended:
        run = run.outer
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
        _run.set(Run(run_id, current_run(), serialized, details))

    def on_llm_start(self, serialized: Any, prompts: Any, **_: Any) -> None:
        """Plain language models look up before this; there is nothing to note."""

    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        """Forget the run."""
        _end(run_id)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Forget the run, and let nobody wait for its answer."""
        _end(run_id)
        for listener in list(_listeners):
            listener.call_failed()


def _end(run_id: UUID) -> None:
    """Mark a run ended, and make the innermost one that has not ended the current one again.

    Runs of one batch end in any order, in one context.
    """
    run = _run.get()
    while run is not None and run.run_id is not run_id and run.run_id != run_id:
        run = run.outer
    if run is not None:
        run.ended = True
        _run.set(current_run())


_hook = _Hook()
_registered: list[ContextVar[Any]] = []


def listen(listener: FailureListener | None = None) -> None:
    """Register the callback, once for all, and `listener` with it."""
    if listener is not None:
        _listeners.add(listener)
    if not _registered:
        from langchain_core.tracers.context import register_configure_hook

        # A context variable's default is seen by every thread and context there will be.
        _registered.append(ContextVar("accel_langchain_hook", default=_hook))
        register_configure_hook(_registered[0], inheritable=False)
