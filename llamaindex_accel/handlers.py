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

import threading
import time
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


class _Sums:
    """What is added up, behind one lock."""

    def __init__(self, prices: PriceTable) -> None:
        self.prices = prices
        self.lock = threading.Lock()
        self.asked: dict[str, str] = {}
        self.total, self.waited_s = Spending(), 0.0
        self.tags: dict[str, Spending] = {}
        self.tenants: dict[str, Spending] = {}
        self.misses: dict[str, int] = {}
        self._tag_names, self._tenant_names = Labels(_MOST_NAMES), Labels(_MOST_NAMES)

    def add(self, came_to: Spending, tags: Mapping[str, Any]) -> None:
        """Add a call's."""
        self.total = self.total.plus(came_to)
        for key, value in tags.items():
            name = self._tag_names.of(f"{key}={value}")
            self.tags[name] = self.tags.get(name, Spending()).plus(came_to)
        tenant = tenancy.current()
        if tenant is not None:
            name = self._tenant_names.of(tenant.id)
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
                sums.asked[event.span_id or ""] = model
                while len(sums.asked) > _MOST_OPEN:
                    del sums.asked[next(iter(sums.asked))]
            elif isinstance(event, _ENDS):
                model = sums.asked.pop(event.span_id or "", "")
                usage = None if event.response is None else UsageReader()(event.response)[0]
                tokens = None if usage is None else Tokens(*usage)
                sums.add(spent(tokens, model, sums.prices), event.tags)
            elif isinstance(event, SpanDropEvent):
                if sums.asked.pop(event.span_id or "", None) is not None:
                    sums.add(Spending(failures=1), event.tags)
            elif isinstance(event, CacheHitEvent):
                tokens = read_tokens(event.saved_tokens)
                came_to = saved(tokens, event.saved_s or 0.0, event.model, sums.prices)
                sums.add(came_to, event.tags)
            elif isinstance(event, CacheMissEvent):
                sums.misses[event.reason] = sums.misses.get(event.reason, 0) + 1
            elif isinstance(event, LimiterWaitEvent):
                sums.waited_s += event.queue_s + event.backoff_s


class AccelSpanHandler(NullSpanHandler):
    """Measures how long LlamaIndex's steps take, by their name: ``OpenAI.chat``, and so on.

    A hit of an accelerated model has no span of its own, since no model is asked.
    """

    _began_s: dict[str, float] = PrivateAttr(default_factory=dict)
    _took: dict[str, Histogram] = PrivateAttr(default_factory=dict)
    _names: Labels = PrivateAttr(default_factory=lambda: Labels(_MOST_NAMES))
    _guard: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    @classmethod
    def class_name(cls) -> str:
        """Return the name handlers are told apart by."""
        return "AccelSpanHandler"

    def took(self) -> dict[str, Quantiles]:
        """Return how long steps took, by name; beyond 1,000 names under ``other``."""
        with self._guard:
            return {name: histogram.quantiles() for name, histogram in self._took.items()}

    def span_enter(self, id_: str, *_: Any, **__: Any) -> None:
        """Note that a step begins."""
        with self._guard:
            self._began_s[id_] = time.monotonic()
            while len(self._began_s) > _MOST_OPEN:
                del self._began_s[next(iter(self._began_s))]

    def span_exit(self, id_: str, *_: Any, **__: Any) -> None:
        """Measure a step that has ended."""
        self._end(id_)

    def span_drop(self, id_: str, *_: Any, **__: Any) -> None:
        """Measure a step that has failed."""
        self._end(id_)

    def _end(self, id_: str) -> None:
        with self._guard:
            began_s = self._began_s.pop(id_, None)
            if began_s is None:
                return
            name = self._names.of(id_.partition("-")[0])
            if name not in self._took:
                self._took[name] = Histogram()
            self._took[name].add(time.monotonic() - began_s)
