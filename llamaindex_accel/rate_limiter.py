"""A limiter in the place that LlamaIndex has for one: ``OpenAI(rate_limiter=...)``.

LlamaIndex asks a rate limiter for room without a word of the prompt, never with a number of tokens,
and never comes back. Its instrumentation tells the rest: spans, which model is asked and what
failed; events, what is asked and answered. Between them a call's lease is held by its span's id.

Invariant: a lease ends with its call's answer or error, with its stream once that was begun, or,
where LlamaIndex says nothing more of a call, when too many are held.
"""

from __future__ import annotations

import functools
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionInProgressEvent,
    LLMCompletionStartEvent,
)
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.llms import CustomLLM
from llama_index.core.rate_limiter import BaseRateLimiter
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.span.base import BaseSpan
from llama_index_instrumentation.span_handlers.base import BaseSpanHandler

from accel_core.model_calls import Held
from accel_core.policy.limits.model_request import model_request
from accel_core.subclasses import own_class
from llamaindex_accel._limits import UsageReader, call_request

if TYPE_CHECKING:
    from accel_core.limiter import Limiter
    from accel_core.model_calls import Answer
    from accel_core.policy.limits.model_request import ModelRequest

_STARTS = (LLMChatStartEvent, LLMCompletionStartEvent)
_PARTS = (LLMChatInProgressEvent, LLMCompletionInProgressEvent)
_ENDS = (LLMChatEndEvent, LLMCompletionEndEvent)


class TokenRateLimiter(BaseRateLimiter):
    """Lets an LLM ask when its provider's limits have room for the prompt and its answer.

    Each call reserves its prompt's estimated tokens and its maximum of output, and settles by what
    the answer states, or by its text. A method that calls another of the same call is one call.

    It sees less than ``accelerate(llm, limiter=...)``, which is preferable: no headers, so limits
    and others' use of the key are not learned; refusals as exceptions only, and they are not sent
    again; nor does it see what the model or its client repeats (set its ``max_retries=0``). A
    stream that nobody begins to read is told of by nobody: its lease stays until many are held.
    Calls of embedding models count as one request of an unknown size.

    Args:
        limiter: the key's limits; share it between all that use the key.

    Example:
        >>> limiter = Limiter("openai", tokens_per_minute=60_000)  # doctest: +SKIP
        >>> llm = OpenAI(rate_limiter=TokenRateLimiter(limiter))  # doctest: +SKIP
    """

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter
        self._calls = limiter.model_calls(UsageReader, once=True)
        self._held = Held()
        self._readers: dict[str, UsageReader] = {}
        _listen()
        _limiters.add(self)

    def acquire(self, num_tokens: int = 0) -> None:  # noqa: ARG002 - LlamaIndex's signature
        """Wait until there is room; `num_tokens` is not used, nor does LlamaIndex tell it.

        Raises:
            RequestTooLargeError: a limit can never take the call.
            LimitExceededError: it cannot be let through in time.
        """
        call = _current()
        if not self._is_inside(call):
            self._hold(call, self._calls.enter(_asked(call)))

    async def async_acquire(self, num_tokens: int = 0) -> None:  # noqa: ARG002
        """Async form of `acquire`."""
        call = _current()
        if not self._is_inside(call):
            self._hold(call, await self._calls.aenter(_asked(call)))

    def streamed(self, span_id: str, part: Any) -> None:
        """Read a part of a stream."""
        answer = self._held.look(span_id)
        if answer is not None:
            reader = self._readers.setdefault(span_id, UsageReader())
            answer.take(*reader(part))

    def answered(self, span_id: str, response: Any) -> None:
        """Settle by an answer, or by the stream that was read."""
        streamed = span_id in self._readers
        answer = self._held.take(span_id)
        if answer is not None:
            if not streamed:
                answer.take(*UsageReader()(response))
            answer.end(whole=True)

    def failed(self, span_id: str, error: BaseException | None) -> None:
        """Settle by what was streamed, or else by what an error says."""
        streamed = span_id in self._readers
        answer = self._held.take(span_id)
        if answer is not None and streamed:
            answer.end(whole=False)
        elif answer is not None:
            answer.fail(error)

    def _is_inside(self, call: _Call | None) -> bool:
        """Whether a call is part of one that has room."""
        outer = None if call is None else call.outer
        while outer is not None and self._held.look(outer.span_id) is None:
            outer = outer.outer
        return outer is not None

    def _hold(self, call: _Call | None, answer: Answer) -> None:
        if call is None:
            answer.fail(None)
        else:
            forget = functools.partial(self._readers.pop, call.span_id, None)
            self._held.hold(call.span_id, answer, forget)


class _Call:
    """A method of an LLM in progress, and what it is asked."""

    def __init__(self, span_id: str, llm: BaseLLM) -> None:
        self.span_id, self.llm = span_id, llm
        self.outer: _Call | None = None
        self.asked: Any = None
        self.arguments: dict[str, Any] = {}

    @property
    def method(self) -> str:
        """Its name, as spans have it: ``OpenAI.chat-c0ffee…``."""
        return self.span_id.partition("-")[0].rpartition(".")[2]

    def holds(self, inner: _Call, parent_id: str | None) -> bool:
        """Whether `inner` is made by this method, or later by the stream that it returned.

        A `CustomLLM` streams to tasks by its method for threads, when its span has ended.
        """
        if self.span_id == parent_id:
            return True
        later = self.llm is inner.llm and self.method == f"a{inner.method}"
        kinds = own_class(type(self.llm)).__mro__
        return later and CustomLLM is next((k for k in kinds if self.method in vars(k)), None)


_call: ContextVar[_Call | None] = ContextVar("accel_llamaindex_call", default=None)
_limiters: weakref.WeakSet[TokenRateLimiter] = weakref.WeakSet()


def _current() -> _Call | None:
    """Return the call whose span is the innermost; None: it is no LLM's."""
    call = _call.get()
    return call if call is not None and call.span_id == active_span_id.get() else None


def _asked(call: _Call | None) -> ModelRequest:
    if call is None or call.asked is None:
        return model_request("", ())
    return call_request(call.llm, call.asked, call.arguments)


class _Spans(BaseSpanHandler[BaseSpan]):
    """Sees which model is asked, and what it raises."""

    @classmethod
    def class_name(cls) -> str:
        return "AccelSpans"

    def span_enter(  # type: ignore[override]
        self, id_: str, *, instance: Any = None, parent_id: str | None = None, **_: Any
    ) -> None:
        """Note a call, in the context that makes it."""
        if isinstance(instance, BaseLLM):
            before, call = _call.get(), _Call(id_, instance)
            if before is not None and before.holds(call, parent_id):
                call.outer = before
            _call.set(call)

    def span_exit(self, *_: Any, **__: Any) -> None:
        """An answer is told by an event."""

    def span_drop(  # type: ignore[override]
        self, id_: str, *, err: BaseException | None = None, **_: Any
    ) -> None:
        """Note what a call raised."""
        for limiter in list(_limiters):
            limiter.failed(id_, err)

    def new_span(self, *_: Any, **__: Any) -> None:
        """No spans are kept."""

    def prepare_to_exit_span(self, *_: Any, **__: Any) -> None:
        """No spans are kept."""

    def prepare_to_drop_span(self, *_: Any, **__: Any) -> None:
        """No spans are kept."""


class _Events(BaseEventHandler):
    """Sees what is asked and answered."""

    @classmethod
    def class_name(cls) -> str:
        return "AccelEvents"

    def handle(self, event: Any, **_: Any) -> None:
        """Pass on what concerns calls of LLMs."""
        span_id = getattr(event, "span_id", None) or ""
        if isinstance(event, _STARTS):
            call = _call.get()
            if call is not None and call.span_id == span_id:
                chat = isinstance(event, LLMChatStartEvent)
                call.asked = event.messages if chat else event.prompt  # type: ignore[union-attr]
                call.arguments = event.additional_kwargs
        elif isinstance(event, _PARTS):
            for limiter in list(_limiters):
                limiter.streamed(span_id, event.response)
        elif isinstance(event, _ENDS):
            for limiter in list(_limiters):
                limiter.answered(span_id, event.response)
        elif isinstance(event, ExceptionEvent):
            for limiter in list(_limiters):
                limiter.failed(span_id, event.exception)


@functools.cache
def _listen() -> None:
    """Register, once."""
    root = get_dispatcher()
    root.add_event_handler(_Events())
    root.add_span_handler(_Spans())
