"""The part of LangChain's context that speculation lives in.

Who listens to a model is said by a context variable that LangChain reads whenever one is asked, as
its own counters of tokens are: nothing on the way to the model is replaced. A guess is made in a
context of its own, in which nobody listens, nothing is traced or streamed, and LangGraph's run does
not exist.
"""

from __future__ import annotations

import contextvars
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import RunnableConfig, var_child_runnable_config
from langchain_core.tracers.context import register_configure_hook
from langsmith.run_helpers import tracing_context

from accel_core.policy.canonical import Unidentifiable
from langchain_accel._speculation_arguments import plain
from langchain_accel._speculation_same import Same

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from langchain_core.callbacks import BaseCallbackHandler

_listener: contextvars.ContextVar[BaseCallbackHandler | None] = contextvars.ContextVar(
    "accel_listener", default=None
)
register_configure_hook(_listener, inheritable=False)

_RUNTIME = "__pregel_runtime"
_SCRATCHPAD = "__pregel_scratchpad"
_OF_ONE_RUN = ("thread_id", "run_id", "langgraph_request_id")
"""Tell one run from another, and nothing that a tool rests on."""
_OF_A_NODE = ("langgraph_", "checkpoint_", "ls_", "lc_", "__")
"""Begin the names of what LangChain notes of a step: the model's are not the tools'."""


@contextmanager
def heard_by(listener: BaseCallbackHandler) -> Iterator[None]:
    """Let `listener` hear of the models that are asked within, in this context."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def muted(config: RunnableConfig) -> contextvars.Context:
    """Return a context for one guess in the run that `config` is of."""
    context = contextvars.copy_context()
    quiet = RunnableConfig(
        callbacks=[],
        tags=["nostream"],
        metadata=dict(config.get("metadata") or {}),
        configurable=_public(config),
    )
    context.run(var_child_runnable_config.set, quiet)
    context.run(_listener.set, None)
    # Entered for good: the context ends with the guess.
    context.run(tracing_context(enabled=False).__enter__)
    return context


def around(config: RunnableConfig) -> Hashable:
    """Return what a tool's result may depend on beside arguments and tenant: what the run is given.

    Settings narrow who shares a result, and never widen it: they may come from a client.
    """
    configurable = config.get("configurable") or {}
    given = (_public(config), config.get("metadata") or {})
    settings = tuple(
        (name, _comparable(value))
        for values in given
        for name, value in sorted(values.items(), key=lambda item: str(item[0]))
        if name not in _OF_ONE_RUN and not str(name).startswith(_OF_A_NODE)
    )
    return settings, _comparable(getattr(configurable.get(_RUNTIME), "context", None))


def paused(config: RunnableConfig, error: BaseException | None) -> bool:
    """Whether what has just run, or raised `error`, asks somebody: it interrupts LangGraph's run.

    Resumed, it raises nothing, but takes the answer.
    """
    if error is not None:
        return any(kind.__name__ == "GraphBubbleUp" for kind in type(error).__mro__)
    scratchpad = (config.get("configurable") or {}).get(_SCRATCHPAD)
    return bool(getattr(scratchpad, "resume", None))


def _public(config: RunnableConfig) -> dict[str, Any]:
    """Return the application's settings, without LangGraph's own."""
    configurable = config.get("configurable") or {}
    return {
        n: value for n, value in configurable.items() if not n.startswith(("__", "checkpoint_"))
    }


def _comparable(value: Any) -> Hashable:
    """Return what is equal for equal JSON, and else for the very same object."""
    try:
        return repr(plain(value))
    except (Unidentifiable, RecursionError):  # of an unknown kind, or inside itself
        return Same(value)
