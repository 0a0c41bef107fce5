"""What LlamaIndex's instrumentation is told: hits, misses, waits for limits, early tool calls.

A hit asks no model, so it emits none of LlamaIndex's own LLM events: whoever counts tokens or calls
by them stays right. It emits one of these instead; a miss emits one before the model's own. None
holds a question or an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.instrumentation.events import BaseEvent
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import NullEventHandler
from llama_index_instrumentation.span_handlers import NullSpanHandler

from accel_core import events
from llamaindex_accel._run_ends import RunEnds

if TYPE_CHECKING:
    from llama_index_instrumentation.dispatcher import Dispatcher

    from accel_core.call import Call
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
        model: that had answered; ``""`` where several did.
        saved_s: how long that had taken, in seconds; None: not known.
        saved_tokens: what its answer used, by the names of `accel_core.events.Tokens`; None: not
            known, or no model's answer.
    """

    method: str
    tier: str
    similarity: float
    age_s: float
    entry_id: str
    model: str = ""
    saved_s: float | None = None
    saved_tokens: dict[str, float] | None = None

    @classmethod
    def class_name(cls) -> str:
        """Return the name handlers tell events apart by."""
        return "CacheHitEvent"


class CacheMissEvent(BaseEvent):
    """An LLM is asked, since no stored answer is served.

    Attributes:
        method: what was called.
        reason: why, as of `accel_core.events.CacheMiss`.
        similarity: cosine to the nearest question; None where none was compared.
    """

    method: str
    reason: str
    similarity: float | None = None

    @classmethod
    def class_name(cls) -> str:
        """Return the name handlers tell events apart by."""
        return "CacheMissEvent"


class LimiterWaitEvent(BaseEvent):
    """A call that has ended had waited for its provider's limits.

    Attributes:
        method: what was called.
        queue_s: waiting for room, in seconds.
        backoff_s: pauses between its attempts, likewise.
        tier: of the call, as `Limiter.tier` set it.
    """

    method: str
    queue_s: float
    backoff_s: float
    tier: str

    @classmethod
    def class_name(cls) -> str:
        """Return the name handlers tell events apart by."""
        return "LimiterWaitEvent"


class SpeculationEvent(BaseEvent):
    """What became of a tool call that was made before it was asked for; see `SpeculationEvents`.

    Attributes:
        tool: its name.
        predictor: who guessed it; ``""``: it was an earlier call of an agent.
        outcome: ``begun``, ``reused`` or ``wasted``.
        saved_s: of one that was reused, how much sooner it answered, in seconds.
        reason: of one that was wasted, as of `accel_core.events.ToolCallWasted`.
    """

    tool: str
    predictor: str
    outcome: str
    saved_s: float = 0.0
    reason: str = ""

    @classmethod
    def class_name(cls) -> str:
        """Return the name handlers tell events apart by."""
        return "SpeculationEvent"


class SpeculationEvents:
    """An observer that tells LlamaIndex's handlers of early tool calls.

    Example:
        >>> accel = Accel(observers=[SpeculationEvents()])  # doctest: +SKIP
    """

    inline = True
    kinds = frozenset({events.ToolCallBegun, events.ToolCallReused, events.ToolCallWasted})

    def __call__(self, event: events.Event, /) -> None:
        """Tell of `event`, where it happens, if anybody listens."""
        if not is_heard(_dispatcher):
            return
        if isinstance(event, events.ToolCallBegun):
            told: dict[str, Any] = {"outcome": "begun"}
        elif isinstance(event, events.ToolCallReused):
            told = {"outcome": "reused", "saved_s": event.saved_s}
        elif isinstance(event, events.ToolCallWasted):
            told = {"outcome": "wasted", "reason": event.reason}
        else:
            return
        _dispatcher.event(SpeculationEvent(tool=event.tool, predictor=event.predictor, **told))


def announce(hit: Hit | Recalled, method: str, saved: dict[str, float] | None = None) -> None:
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
            model=hit.entry.source,
            saved_s=hit.entry.cost_s or None,
            saved_tokens=saved,
        )
    )


def announce_miss(call: Call, method: str) -> None:
    """Tell them that `method` asks its model because nothing is served, if that is so."""
    if not is_heard(_dispatcher):
        return
    origin = call.origin()
    if origin["cache"] == "miss":
        _dispatcher.event(
            CacheMissEvent(
                method=method,
                reason=str(origin.get("reason") or ""),
                similarity=origin.get("similarity"),
            )
        )


def announce_waits(call: Call, method: str) -> None:
    """Tell them how long a call that has ended had waited for limits, if it had."""
    record = call.record
    if record is None or not (record.queue_s or record.backoff_s) or not is_heard(_dispatcher):
        return
    _dispatcher.event(
        LimiterWaitEvent(
            method=method,
            queue_s=record.queue_s,
            backoff_s=record.backoff_s,
            tier=record.service_tier,
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
