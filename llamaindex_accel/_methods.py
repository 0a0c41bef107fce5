"""The eight methods of an accelerated model: look up, and ask the user's own method on a miss.

Four shapes (whole or streamed, for threads or for tasks) by two kinds (chat and completion). A
stream looks up, and asks the model, when it is called, not when it is read: the caller may hand it
to a thread that knows neither the tenant nor the span. Arguments reach the user's method as they
came, and it is looked up at each call, since it may be patched.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.errors import limits_unwrapped
from accel_core.used import read_parts
from llamaindex_accel import _answers, _chunks
from llamaindex_accel._identity import (
    chat_request,
    completion_request,
    controls_of_call,
    model_name,
)
from llamaindex_accel._limits import UsageReader, call_request, calls_of
from llamaindex_accel.callback_handler import AccelCallbackHandler
from llamaindex_accel.events import announce, announce_miss, announce_waits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator

    from llama_index.core.base.llms.base import BaseLLM

    from accel_core.accel import Accel
    from accel_core.asking import Asking
    from accel_core.call import Call
    from accel_core.model_calls import ModelCalls
    from accel_core.policy.controls import Controls
    from accel_core.policy.identity import Request
    from accel_core.policy.limits.model_request import ModelRequest
    from accel_core.semantic_cache import Hit

TOLD = "__accel_told__"
"""Class attribute of accelerated LLMs: what is told of each call (`recording.Told`)."""

_END: Any = object()
_SWITCHES = ("accel:no-cache", "accel:no-store", "accel:refresh")

_asking: ContextVar[tuple[BaseLLM, ...]] = ContextVar("accel_llamaindex_asking", default=())
"""Models whose own method runs: some methods call another of the eight on the same model."""


class _Kind(NamedTuple):
    """What differs between chat and completion.

    Attributes:
        operation: as of `RequestEnded`.
        asked: name of the parameter that holds the question.
        parameters: names of positional parameters after it.
        request: names a call.
        to_answer: what to store of a response.
        to_response: a response from a hit.
        recorder: follows a stream.
        stream: streams a response.
    """

    operation: str
    asked: str
    parameters: tuple[str, ...]
    request: Callable[..., Any]
    to_answer: Callable[[Any], Any]
    to_response: Callable[[Hit], Any]
    recorder: Callable[[], _chunks.Recorder]
    stream: Callable[[Any], Iterator[Any]]


_CHAT = _Kind(
    "chat",
    "messages",
    (),
    chat_request,
    _answers.from_chat,
    _answers.to_chat,
    _chunks.chat_recorder,
    _chunks.stream_chat,
)
_COMPLETION = _Kind(
    "text_completion",
    "prompt",
    ("formatted",),
    completion_request,
    _answers.from_completion,
    _answers.to_completion,
    _chunks.completion_recorder,
    _chunks.stream_completion,
)


def _begin(
    kind: _Kind,
    accel: Accel,
    llm: BaseLLM,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    streamed: bool = False,
) -> Call:
    """Open the call of `llm`, or a bypass; it is recorded unless another one makes it."""
    if _asks_itself(llm):
        return accel.part_of_another()
    call = accel.begin(kind.operation, streamed=streamed, told=getattr(llm, TOLD))
    controls, request = controls_of_call(accel), None
    if controls is not None:
        asked, given = _given(kind, args, kwargs)
        request = kind.request(accel, llm, asked, given, controls)
    if controls is None or request is None:
        call.passes_by(model_name(llm))
    else:
        call.asks(request, controls)
    return call


def explained(
    accel: Asking, llm: BaseLLM, asked: Any, *args: Any, **kwargs: Any
) -> tuple[Request | None, Controls | None]:
    """Name the call that ``llm.chat`` makes of messages, and ``llm.complete`` of a text.

    As `subclasses.NAMES` demands.
    """
    kind = _COMPLETION if isinstance(asked, str) else _CHAT
    controls = controls_of_call(accel)
    if controls is None:
        return None, None
    question, given = _given(kind, (asked, *args), kwargs)
    return kind.request(accel, llm, question, given, controls), controls


def _asks_itself(llm: BaseLLM) -> bool:
    """Whether a method of `llm` calls another."""
    return any(llm is one for one in _asking.get())


def _given(
    kind: _Kind, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Return the question, and the other arguments by name."""
    names = (kind.asked, *kind.parameters, *map(str, range(len(args))))
    given: dict[str, Any] = {**dict(zip(names, args, strict=False)), **kwargs}
    return given.pop(kind.asked, None), given


def _limits(
    kind: _Kind, llm: BaseLLM, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[ModelCalls, ModelRequest] | None:
    """Return what the call is carried out by, and what it asks; None: nothing limits it here."""
    calls = calls_of(llm)
    if calls is None or _asks_itself(llm):
        return None
    return calls, call_request(llm, *_given(kind, args, kwargs))


@contextmanager
def _own(llm: BaseLLM, call: Call) -> Iterator[None]:
    """Let calls of `llm` to itself pass, while its own method runs."""
    token = _asking.set((*_asking.get(), llm))
    try:
        with limits_unwrapped(), call.asking():
            yield
    finally:
        _asking.reset(token)


def _replayed(kind: _Kind, name: str, llm: BaseLLM, call: Call, hit: Hit | None) -> Any:
    """Return the hit's response, or None where there is none to serve."""
    if hit is None:
        announce_miss(call, name)
        return None
    try:
        response = kind.to_response(hit)
    except _answers.UNREADABLE as error:
        call.reject(hit, error)
        return None
    saved = response.additional_kwargs["accel"]["saved_tokens"]
    call.served(hit, saved)
    announce(hit, name, saved)
    for handler in llm.callback_manager.handlers:
        if isinstance(handler, AccelCallbackHandler):
            handler.told_of_hit(hit, saved)
    return response


def _make_whole(kind: _Kind, name: str, base: type[BaseLLM], accel: Accel) -> Any:
    def method(self: BaseLLM, *args: Any, **kwargs: Any) -> Any:
        call = _begin(kind, accel, self, args, kwargs)
        found = _replayed(kind, name, self, call, call.lookup())
        if found is not None:
            return found

        told: list[Any] = []

        def ask() -> Any:
            with _own(self, call):
                return getattr(base, name)(self, *args, **kwargs)

        try:
            limits = _limits(kind, self, args, kwargs)
            with call.asking():
                response = ask() if limits is None else limits[0].ask(limits[1], ask)
            told.append(response)
            call.store(lambda: kind.to_answer(response))
            return response
        finally:
            call.end(lambda: read_parts(UsageReader(), told))
            announce_waits(call, name)

    return method


def _make_awhole(kind: _Kind, name: str, base: type[BaseLLM], accel: Accel) -> Any:
    async def method(self: BaseLLM, *args: Any, **kwargs: Any) -> Any:
        call = _begin(kind, accel, self, args, kwargs)
        found = _replayed(kind, name, self, call, await call.alookup())
        if found is not None:
            return found

        told: list[Any] = []

        async def ask() -> Any:
            with _own(self, call):
                return await getattr(base, name)(self, *args, **kwargs)

        try:
            limits = _limits(kind, self, args, kwargs)
            with call.asking():
                response = await (ask() if limits is None else limits[0].aask(limits[1], ask))
            told.append(response)
            call.store(lambda: kind.to_answer(response))
            return response
        finally:
            call.end(lambda: read_parts(UsageReader(), told))
            announce_waits(call, name)

    return method


def _make_stream(kind: _Kind, name: str, base: type[BaseLLM], accel: Accel) -> Any:
    def method(self: BaseLLM, *args: Any, **kwargs: Any) -> Any:
        call = _begin(kind, accel, self, args, kwargs, streamed=True)
        found = _replayed(kind, name, self, call, call.lookup())
        if found is not None:
            return kind.stream(found)

        def ask() -> Any:
            with _own(self, call):
                return _Own(self, call, iter(getattr(base, name)(self, *args, **kwargs)))

        def limited() -> Any:
            limits = _limits(kind, self, args, kwargs)
            return ask() if limits is None else limits[0].stream(limits[1], ask)

        stream = _recorded(call, name, kind.recorder(), limited)
        next(stream)
        return stream

    return method


def _make_astream(kind: _Kind, name: str, base: type[BaseLLM], accel: Accel) -> Any:
    async def method(self: BaseLLM, *args: Any, **kwargs: Any) -> Any:
        call = _begin(kind, accel, self, args, kwargs, streamed=True)
        found = _replayed(kind, name, self, call, await call.alookup())
        if found is not None:
            return _as_async(kind.stream(found))

        async def ask() -> Any:
            with _own(self, call):
                own = await getattr(base, name)(self, *args, **kwargs)
                return _AsyncOwn(self, call, aiter(own))

        async def limited() -> Any:
            limits = _limits(kind, self, args, kwargs)
            return await (ask() if limits is None else limits[0].astream(limits[1], ask))

        stream = _arecorded(call, name, kind.recorder(), limited)
        await anext(stream)
        return stream

    return method


def _recorded(
    call: Call, name: str, recorder: _chunks.Recorder, ask: Callable[[], Any]
) -> Generator[Any, None, None]:
    """Pass a stream on, and store it if it is read to its end.

    What it yields first is nothing: the model is then asked, and this generator has begun, so that
    it ends its flight however it is given up.
    """
    chunks: Any = ()
    try:
        with call.asking():
            chunks = ask()
        yield None
        for chunk in chunks:
            call.passed()
            recorder.add(chunk)
            yield chunk
        call.store(recorder.answer)
    finally:
        call.end(recorder.used)
        announce_waits(call, name)
        if hasattr(chunks, "close"):
            chunks.close()


async def _arecorded(
    call: Call, name: str, recorder: _chunks.Recorder, ask: Callable[[], Any]
) -> AsyncGenerator[Any, None]:
    """Async form of `_recorded`."""
    chunks: Any = ()
    try:
        with call.asking():
            chunks = await ask()
        yield None
        async for chunk in chunks:
            call.passed()
            recorder.add(chunk)
            yield chunk
        call.store(recorder.answer)
    finally:
        call.end(recorder.used)
        announce_waits(call, name)
        if hasattr(chunks, "aclose"):
            await chunks.aclose()


class _Own:
    """The model's own stream, iterated as `_own` runs its other methods."""

    def __init__(self, llm: BaseLLM, call: Call, chunks: Iterator[Any]) -> None:
        self._llm, self._call, self._chunks = llm, call, chunks

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with _own(self._llm, self._call):
            chunk = next(self._chunks, _END)
        if chunk is _END:
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Close it, whether or not it was begun."""
        if hasattr(self._chunks, "close"):
            self._chunks.close()


class _AsyncOwn:
    """Async form of `_Own`."""

    def __init__(self, llm: BaseLLM, call: Call, chunks: AsyncIterator[Any]) -> None:
        self._llm, self._call, self._chunks = llm, call, chunks

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        with _own(self._llm, self._call):
            chunk = await anext(self._chunks, _END)
        if chunk is _END:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        """Close it, whether or not it was begun."""
        if hasattr(self._chunks, "aclose"):
            await self._chunks.aclose()


async def _as_async(chunks: Iterator[Any]) -> AsyncGenerator[Any, None]:
    for chunk in chunks:
        yield chunk


METHODS: dict[str, tuple[_Kind, Callable[..., Any]]] = {
    "chat": (_CHAT, _make_whole),
    "achat": (_CHAT, _make_awhole),
    "stream_chat": (_CHAT, _make_stream),
    "astream_chat": (_CHAT, _make_astream),
    "complete": (_COMPLETION, _make_whole),
    "acomplete": (_COMPLETION, _make_awhole),
    "stream_complete": (_COMPLETION, _make_stream),
    "astream_complete": (_COMPLETION, _make_astream),
}
