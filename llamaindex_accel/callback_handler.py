"""`AccelCallbackHandler`: what calls used and saved, for applications of LlamaIndex's callbacks.

::

    handler = AccelCallbackHandler()
    Settings.callback_manager = CallbackManager([handler])

A hit asks no model, so it is no event of these callbacks: handlers that count tokens stay right.
This one is told of hits besides (`told_of_hit`). LlamaIndex calls it in the caller's own thread or
task, in both colours: it waits for nothing, and what it keeps is bounded.

Some integrations complete by chatting, and tell of both. Invariant: such a call counts once.
"""

from __future__ import annotations

import threading
from asyncio import CancelledError
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.callbacks.schema import CBEventType, EventPayload

from accel_core import tenancy
from accel_core.events.requests import Tokens, read_tokens
from accel_core.forking import renewed_in_children
from accel_core.observer.prices import load_prices
from accel_core.policy.labels import Labels
from accel_core.policy.spending import Spending, saved, spent
from llamaindex_accel._limits import UsageReader

if TYPE_CHECKING:
    from accel_core.policy.prices import PriceTable
    from accel_core.semantic_cache import Hit

_MOST_OPEN = 10_000
_MOST_NAMES = 1_000
_GIVEN_UP = (GeneratorExit, CancelledError, KeyboardInterrupt)


class _Open:
    """A call under way.

    Attributes:
        outer: the call in whose context it began, if any.
        counted: whether a call inside it was counted for it.
        tenant: whose it is: of who made it, whoever reads its stream.
    """

    def __init__(self, model: str, told: dict[str, Any], outer: _Open | None) -> None:
        self.model, self.asked, self.outer = model, _asked(told), outer
        self._chats = bool(told.get(EventPayload.MESSAGES))
        self.counted = self.ended = False
        self.tenant = tenancy.current()

    def is_inside(self, other: _Open | None) -> bool:
        """Whether `other` asks the same model the same in the other form, and so made this call.

        In the same form it is another call: somebody asks again while he still reads a stream.
        """
        return (
            other is not None
            and not other.ended
            and (other.model, other.asked) == (self.model, self.asked)
            and other._chats is not self._chats
        )


_current: ContextVar[_Open | None] = ContextVar("accel_llamaindex_open", default=None)


class AccelCallbackHandler(BaseCallbackHandler):
    """Adds up the calls of language models that a `CallbackManager` tells of, and the hits.

    Args:
        prices: a YAML file of prices, whose rows count before those that are shipped.

    Attributes:
        total: of all calls.
        tenants: by the tenant that `accel.tenant` had set; beyond 1,000 under ``other``.
        events: all events that ended, by their kind: ``retrieve``, ``embedding``, ``query`` …

    Raises:
        ConfigError: the file of prices is wrong.
    """

    def __init__(self, prices: str | None = None) -> None:
        super().__init__([], [])
        self._prices: PriceTable = load_prices(prices)
        self.after_fork()
        renewed_in_children(self)
        self._open: dict[str, _Open] = {}
        self._names = Labels(_MOST_NAMES)
        self.total = Spending()
        self.tenants: dict[str, Spending] = {}
        self.events: dict[str, int] = {}

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> str:
        """Note a call."""
        if event_type == CBEventType.LLM and event_id not in self._open:
            told = payload or {}
            model = told.get(EventPayload.SERIALIZED) or {}
            name = str(model.get("model_name") or model.get("model") or "")
            made = _Open(name, told, _current.get())
            _current.set(made)
            with self._lock:
                self._open[event_id] = made
                while len(self._open) > _MOST_OPEN:
                    del self._open[next(iter(self._open))]
        return event_id

    def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        **kwargs: Any,
    ) -> None:
        """Add up what a call used."""
        with self._lock:
            kind = str(event_type.value)
            if event_type != CBEventType.LLM:
                self.events[kind] = self.events.get(kind, 0) + 1
                return
            ended = self._open.pop(event_id, None)
            if ended is None:  # told twice, or too long ago
                return
            ended.ended = True
            self.events[kind] = self.events.get(kind, 0) + 1
            if not ended.counted:
                self._add(self._came_to(payload or {}, ended.model), ended.tenant)
            if ended.outer is not None and ended.is_inside(ended.outer):
                ended.outer.counted = True
        if _current.get() is ended:
            _current.set(ended.outer)

    def told_of_hit(self, hit: Hit, saved_tokens: object) -> None:
        """Add up what a hit saved."""
        with self._lock:
            source, took_s = hit.entry.source, hit.entry.cost_s or 0.0
            came_to = saved(read_tokens(saved_tokens), took_s, source, self._prices)
            self._add(came_to, tenancy.current())

    def start_trace(self, trace_id: str | None = None) -> None:
        """Do nothing: calls are counted wherever they are made."""

    def end_trace(
        self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None
    ) -> None:
        """Do nothing, likewise."""

    def after_fork(self) -> None:
        """Use a lock of this process."""
        self._lock = threading.Lock()

    def _came_to(self, told: dict[str, Any], model: str) -> Spending:
        error = told.get(EventPayload.EXCEPTION)
        if error is not None:
            return Spending(failures=0 if isinstance(error, _GIVEN_UP) else 1)
        response = told.get(EventPayload.RESPONSE) or told.get(EventPayload.COMPLETION)
        usage = None if response is None else UsageReader()(response)[0]
        return spent(None if usage is None else Tokens(*usage), model, self._prices)

    def _add(self, came_to: Spending, tenant: tenancy.Tenant | None) -> None:
        self.total = self.total.plus(came_to)
        if tenant is not None:
            name = self._names.of(tenant.id)
            self.tenants[name] = self.tenants.get(name, Spending()).plus(came_to)


def _asked(told: dict[str, Any]) -> str:
    """Return the question of a call, by which one inside it is known."""
    messages = told.get(EventPayload.MESSAGES)
    if messages:
        return str(getattr(messages[-1], "content", messages[-1]))
    return str(told.get(EventPayload.PROMPT, ""))
