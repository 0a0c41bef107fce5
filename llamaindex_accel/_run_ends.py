"""When a run of a workflow is over, however it ends: its span ends then.

LlamaIndex tells nobody else of an end by time-out, error or cancellation. The handler is added to
the root once, when somebody first listens, and does nothing with any other span.
"""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from llama_index_instrumentation import root_dispatcher
from llama_index_instrumentation.dispatcher import active_instrument_tags
from llama_index_instrumentation.span_handlers import NullSpanHandler
from workflows import Workflow

if TYPE_CHECKING:
    from inspect import BoundArguments

_RUN_ID = "llamaindex.run_id"
"""The instrument tag by which a workflow names its run, in each of its steps."""


class Listener(Protocol):
    """Who wants to know."""

    def ended(self, run_id: str) -> None:
        """Take note that the run of this id is over."""


_listeners: weakref.WeakSet[Listener] = weakref.WeakSet()


def run_id() -> str | None:
    """Return the id of the run that this is called in; None: in none that says so."""
    found = active_instrument_tags.get().get(_RUN_ID)
    return found if isinstance(found, str) else None


def listen(listener: Listener) -> None:
    """Tell `listener` of every end, as long as it lives."""
    _listeners.add(listener)
    _hear()


class RunEnds(NullSpanHandler):
    """Hears of ends, in the task of the run."""

    @classmethod
    def class_name(cls) -> str:
        """Return the name handlers are told apart by."""
        return "RunEnds"

    def span_exit(
        self,
        id_: str,
        bound_args: BoundArguments,  # noqa: ARG002 - the signature is LlamaIndex's
        instance: Any = None,
        *_: Any,
        **__: Any,
    ) -> None:
        """Take note of an end by result, or by the user's cancelling."""
        _note(id_, instance)

    span_drop = span_exit
    """As `span_exit`, of an end by an error, a time-out, or the loop's cancelling."""


def _note(span_id: str, instance: Any) -> None:
    """Tell everybody, where the span is a whole run: those of its steps are named otherwise."""
    if not isinstance(instance, Workflow) or ".run-" not in span_id:
        return
    ended = run_id()
    if ended is not None:
        for listener in tuple(_listeners):
            listener.ended(ended)


@functools.cache
def _hear() -> None:
    root_dispatcher.add_span_handler(RunEnds())
