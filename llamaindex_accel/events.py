"""What LlamaIndex's instrumentation is told of a hit.

A hit asks no model, so it emits none of LlamaIndex's own LLM events: whoever counts tokens or calls
by them stays right. It emits this one instead. It holds no question and no answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_index.core.instrumentation.events import BaseEvent
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import NullEventHandler
from llama_index_instrumentation.span_handlers import NullSpanHandler

from llamaindex_accel._run_ends import RunEnds

if TYPE_CHECKING:
    from llama_index_instrumentation.dispatcher import Dispatcher

    from accel_core.retrieval import Recalled
    from accel_core.semantic_cache import Hit

_dispatcher = get_dispatcher("llamaindex_accel")
_SILENT = frozenset({NullEventHandler, NullSpanHandler, RunEnds})


class CacheHitEvent(BaseEvent):
    """A stored answer, or what was retrieved before, was served.

    Attributes:
        method: what was called: an LLM's method, for example ``astream_chat``, or ``retrieve``,
            ``query`` or ``get_response``.
        tier: ``exact`` or ``semantic``.
        similarity: cosine between the question asked and the one answered before, in [-1, 1].
        age_s: seconds since the answer was stored.
        entry_id: the entry's id, as ``Accel.invalidate`` takes it.
    """

    method: str
    tier: str
    similarity: float
    age_s: float
    entry_id: str

    @classmethod
    def class_name(cls) -> str:
        """Return the name handlers tell events apart by."""
        return "CacheHitEvent"


def announce(hit: Hit | Recalled, method: str) -> None:
    """Tell LlamaIndex's event handlers that `method` was answered by `hit`, if there are any."""
    if not is_heard(_dispatcher):
        return
    _dispatcher.event(
        CacheHitEvent(
            method=method,
            tier=hit.tier,
            similarity=hit.similarity,
            age_s=hit.age_s,
            entry_id=hit.entry.id,
        )
    )


def is_heard(dispatcher: Dispatcher) -> bool:
    """Whether somebody handles its events or spans: LlamaIndex's own handlers do nothing."""
    at: Dispatcher | None = dispatcher
    while at is not None:
        for handler in (*at.event_handlers, *at.span_handlers):
            if type(handler) not in _SILENT:
                return True
        at = at.parent if at.propagate else None
    return False
