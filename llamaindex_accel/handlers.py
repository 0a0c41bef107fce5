"""Handlers for LlamaIndex's instrumentation: what calls used and saved, and how long steps took.

::

    from llama_index_instrumentation import root_dispatcher

    spending, times = AccelEventHandler(), AccelSpanHandler()
    root_dispatcher.add_event_handler(spending)
    root_dispatcher.add_span_handler(times)

LlamaIndex calls both in the caller's own thread or task, and swallows what they raise: neither
waits for anything, and both are bounded.
"""

from __future__ import annotations

import sys
import threading
import time
from asyncio import CancelledError
from typing import TYPE_CHECKING, Any, NamedTuple

from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionStartEvent,
)
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.events.span import SpanDropEvent
from llama_index_instrumentation.span_handlers import NullSpanHandler
from pydantic import PrivateAttr

from accel_core import tenancy
from accel_core.events.requests import Tokens, read_tokens
from accel_core.forking import renewed_in_children
from accel_core.observer.prices import load_prices
from accel_core.policy.histogram import Histogram
from accel_core.policy.labels import Labels
from accel_core.policy.spending import Spending, saved, spent
from llamaindex_accel._limits import UsageReader
from llamaindex_accel.events import CacheHitEvent, CacheMissEvent, LimiterWaitEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llama_index.core.instrumentation.events import BaseEvent

    from accel_core.policy.histogram import Quantiles
    from accel_core.policy.prices import PriceTable

_MOST_OPEN = 10_000
_MOST_NAMES = 1_000
_STARTS = (LLMChatStartEvent, LLMCompletionStartEvent)
_ENDS = (LLMChatEndEvent, LLMCompletionEndEvent)
_GIVEN_UP = (GeneratorExit, CancelledError, KeyboardInterrupt)


class Seen(NamedTuple):
    """What an `AccelEventHandler` saw.

    Attributes:
        total: of all calls of LLMs.
        tags: by instrument tag, as ``key=value``; beyond 1,000 under ``other``, as is `tenants`.
        tenants: by the tenant that `accel.tenant` had set.
        misses: calls of accelerated models that nothing was served for, by reason.
        waited_s: for limits, together, in seconds.
    """

    total: Spending
    tags: Mapping[str, Spending]
    tenants: Mapping[str, Spending]
    misses: Mapping[str, int]
    waited_s: float


class _Asked(NamedTuple):
    """A call under way: whose it is when it is made, whoever reads its stream."""

    model: str
    tags: Mapping[str, Any]
    tenant: str | None


class _Sums:
    """What is added up, behind one lock."""

    def __init__(self, prices: PriceTable) -> None:
        self.prices = prices
        self.after_fork()
        renewed_in_children(self)
        self.asked: dict[str, _Asked] = {}
        self.total, self.waited_s = Spending(), 0.0
        self.tags: dict[str, Spending] = {}
        self.tenants: dict[str, Spending] = {}
        self.misses: dict[str, int] = {}
        self._tag_names, self._tenant_names = Labels(_MOST_NAMES), Labels(_MOST_NAMES)

    def after_fork(self) -> None:
        """Use a lock of this process."""
        self.lock = threading.Lock()

    def begin(self, span_id: str, asked: _Asked) -> None:
        """Note a call; one whose end nobody tells is forgotten in its turn."""
        self.asked[span_id] = asked
        while len(self.asked) > _MOST_OPEN:
            del self.asked[next(iter(self.asked))]

    def end(self, span_id: str) -> _Asked | None:
        """Return the call that has ended; None: nobody told of it."""
        return self.asked.pop(span_id, None)

    def add(self, came_to: Spending, asked: _Asked) -> None:
        """Add a call's."""
        self.total = self.total.plus(came_to)
        for key, value in asked.tags.items():
            name = self._tag_names.of(f"{key}={value}")
            self.tags[name] = self.tags.get(name, Spending()).plus(came_to)
        if asked.tenant is not None:
            name = self._tenant_names.of(asked.tenant)
            self.tenants[name] = self.tenants.get(name, Spending()).plus(came_to)


class AccelEventHandler(BaseEventHandler):
    """Adds up what calls of LLMs used, and what hits saved, retrieval's and engines' included.

    Args:
        prices: a YAML file of prices, whose rows count before those that are shipped.

    Raises:
        ConfigError: the file of prices is wrong.
    """

    _sums: _Sums = PrivateAttr()

    def __init__(self, prices: str | None = None) -> None:
        super().__init__()
        self._sums = _Sums(load_prices(prices))

    @classmethod
    def class_name(cls) -> str:
        """Return the name handlers are told apart by."""
        return "AccelEventHandler"

    def seen(self) -> Seen:
        """Return what was seen so far."""
        sums = self._sums
        with sums.lock:
            return Seen(
                sums.total, dict(sums.tags), dict(sums.tenants), dict(sums.misses), sums.waited_s
            )

    def handle(self, event: BaseEvent, **_: Any) -> None:
        """Take note of `event`."""
        sums = self._sums
        with sums.lock:
            if isinstance(event, _STARTS):
                told = event.model_dict
                model = str(told.get("model_name") or told.get("model") or "")
                sums.begin(event.span_id or "", _now(model, event))
            elif isinstance(event, _ENDS):
                asked = sums.end(event.span_id or "") or _now("", event)
                usage = None if event.response is None else UsageReader()(event.response)[0]
                tokens = None if usage is None else Tokens(*usage)
                sums.add(spent(tokens, asked.model, sums.prices), asked)
            elif isinstance(event, SpanDropEvent):
                failed = sums.end(event.span_id or "")
                # The event has the error's words alone; it is told while the error is handled.
                if failed is not None and not isinstance(sys.exception(), _GIVEN_UP):
                    sums.add(Spending(failures=1), failed)
            elif isinstance(event, CacheHitEvent):
                tokens = read_tokens(event.saved_tokens)
                came_to = saved(tokens, event.saved_s or 0.0, event.model, sums.prices)
                sums.add(came_to, _now(event.model, event))
            elif isinstance(event, CacheMissEvent):
                sums.misses[event.reason] = sums.misses.get(event.reason, 0) + 1
            elif isinstance(event, LimiterWaitEvent):
                sums.waited_s += event.queue_s + event.backoff_s


def _now(model: str, event: BaseEvent) -> _Asked:
    """Return a call of `model` that is made where `event` is told."""
    tenant = tenancy.current()
    return _Asked(model, event.tags, None if tenant is None else tenant.id)


class _Times:
    """Steps under way, and how long those that ended took."""

    def __init__(self) -> None:
        self._began_s: dict[str, float] = {}
        self._took: dict[str, Histogram] = {}
        self._names = Labels(_MOST_NAMES)
        self.after_fork()
        renewed_in_children(self)

    def after_fork(self) -> None:
        """Use a lock of this process."""
        self._lock = threading.Lock()

    def begin(self, id_: str) -> None:
        """Note that a step begins; one whose end nobody tells is forgotten in its turn."""
        with self._lock:
            self._began_s[id_] = time.monotonic()
            while len(self._began_s) > _MOST_OPEN:
                del self._began_s[next(iter(self._began_s))]

    def end(self, id_: str) -> None:
        """Measure a step that has ended."""
        with self._lock:
            began_s = self._began_s.pop(id_, None)
            if began_s is None:
                return
            name = self._names.of(id_.partition("-")[0])
            if name not in self._took:
                self._took[name] = Histogram()
            self._took[name].add(time.monotonic() - began_s)

    def took(self) -> dict[str, Quantiles]:
        """Return how long steps took, by name."""
        with self._lock:
            return {name: histogram.quantiles() for name, histogram in self._took.items()}


class AccelSpanHandler(NullSpanHandler):
    """Measures how long LlamaIndex's steps take, by their name: ``OpenAI.chat``, and so on.

    A hit of an accelerated model has no span of its own, since no model is asked.
    """

    _times: _Times = PrivateAttr(default_factory=_Times)

    @classmethod
    def class_name(cls) -> str:
        """Return the name handlers are told apart by."""
        return "AccelSpanHandler"

    def took(self) -> dict[str, Quantiles]:
        """Return how long steps took, by name; beyond 1,000 names under ``other``."""
        return self._times.took()

    def span_enter(self, id_: str, *_: Any, **__: Any) -> None:
        """Note that a step begins."""
        self._times.begin(id_)

    def span_exit(self, id_: str, *_: Any, **__: Any) -> None:
        """Measure a step that has ended."""
        self._times.end(id_)

    def span_drop(self, id_: str, *_: Any, **__: Any) -> None:
        """Measure a step that has failed."""
        self._times.end(id_)
