"""The eight methods of an accelerated model: look up, and ask the user's own method on a miss.

Four shapes (whole or streamed, for threads or for tasks) by two kinds (chat and completion). A
stream looks up, and asks the model, when it is called, not when it is read: the caller may hand it
to a thread that knows neither the tenant nor the span. Arguments reach the user's method as they
came, and it is looked up at each call, since it may be patched.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.errors import limits_error
from llamaindex_accel import _answers, _chunks
from llamaindex_accel._identity import chat_request, completion_request, controls_of_call
from llamaindex_accel.events import announce

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator

    from llama_index.core.base.llms.base import BaseLLM

    from accel_core.accel import Accel
    from accel_core.call import Call
    from accel_core.semantic_cache import Hit

_END: Any = object()

_asking: ContextVar[tuple[BaseLLM, ...]] = ContextVar("accel_llamaindex_asking", default=())
"""Models whose own method runs: some methods call another of the eight on the same model."""


class _Kind(NamedTuple):
    """What differs between chat and completion.

    Attributes:
        asked: name of the parameter that holds the question.
        parameters: names of positional parameters after it.
        request: names a call.
        to_answer: what to store of a response.
        to_response: a response from a hit.
        recorder: follows a stream.
        stream: streams a response.
    """

    asked: str
    parameters: tuple[str, ...]
    request: Callable[..., Any]
    to_answer: Callable[[Any], Any]
    to_response: Callable[[Hit], Any]
    recorder: Callable[[], _chunks.Recorder]
    stream: Callable[[Any], Iterator[Any]]


_CHAT = _Kind(
    "messages",
    (),
    chat_request,
    _answers.from_chat,
    _answers.to_chat,
    _chunks.chat_recorder,
    _chunks.stream_chat,
)
_COMPLETION = _Kind(
    "prompt",
    ("formatted",),
    completion_request,
    _answers.from_completion,
    _answers.to_completion,
    _chunks.completion_recorder,
    _chunks.stream_completion,
)


def _begin(
    kind: _Kind, accel: Accel, llm: BaseLLM, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Call:
    """Open the call of `llm`, or a bypass."""
    controls = None if any(llm is one for one in _asking.get()) else controls_of_call(accel)
    if controls is None:
        return accel.call(None, None)
    names = (kind.asked, *kind.parameters, *map(str, range(len(args))))
    given: dict[str, Any] = {**dict(zip(names, args, strict=False)), **kwargs}
    asked = given.pop(kind.asked, None)
    return accel.call(kind.request(accel, llm, asked, given, controls), controls)


@contextmanager
def _own(llm: BaseLLM) -> Iterator[None]:
    """Let calls of `llm` to itself pass, while its own method runs."""
    token = _asking.set((*_asking.get(), llm))
    try:
        yield
    except Exception as error:
        limits = limits_error(error)
        if limits is None or limits is error:
            raise
        raise limits from None
    finally:
        _asking.reset(token)


def _replayed(kind: _Kind, name: str, call: Call, hit: Hit | None) -> Any:
    """Return the hit's response, or None where there is none to serve."""
    if hit is None:
        return None
    try:
        response = kind.to_response(hit)
    except _answers.UNREADABLE as error:
        call.reject(hit, error)
        return None
    announce(hit, name)
    return response


def _make_whole(kind: _Kind, name: str, base: type[BaseLLM], accel: Accel) -> Any:
    def method(self: BaseLLM, *args: Any, **kwargs: Any) -> Any:
        call = _begin(kind, accel, self, args, kwargs)
        found = _replayed(kind, name, call, call.lookup())
        if found is not None:
            return found
        try:
            with _own(self):
                response = getattr(base, name)(self, *args, **kwargs)
            call.store(lambda: kind.to_answer(response))
            return response
        finally:
            call.abandon()

    return method


def _make_awhole(kind: _Kind, name: str, base: type[BaseLLM], accel: Accel) -> Any:
    async def method(self: BaseLLM, *args: Any, **kwargs: Any) -> Any:
        call = _begin(kind, accel, self, args, kwargs)
        found = _replayed(kind, name, call, await call.alookup())
        if found is not None:
            return found
        try:
            with _own(self):
                response = await getattr(base, name)(self, *args, **kwargs)
            call.store(lambda: kind.to_answer(response))
            return response
        finally:
            call.abandon()

    return method


def _make_stream(kind: _Kind, name: str, base: type[BaseLLM], accel: Accel) -> Any:
    def method(self: BaseLLM, *args: Any, **kwargs: Any) -> Any:
        call = _begin(kind, accel, self, args, kwargs)
        found = _replayed(kind, name, call, call.lookup())
        if found is not None:
            return kind.stream(found)
        ask = functools.partial(getattr(base, name), self, *args, **kwargs)
        stream = _recorded(self, call, kind.recorder(), ask)
        next(stream)
        return stream

    return method


def _make_astream(kind: _Kind, name: str, base: type[BaseLLM], accel: Accel) -> Any:
    async def method(self: BaseLLM, *args: Any, **kwargs: Any) -> Any:
        call = _begin(kind, accel, self, args, kwargs)
        found = _replayed(kind, name, call, await call.alookup())
        if found is not None:
            return _as_async(kind.stream(found))
        ask = functools.partial(getattr(base, name), self, *args, **kwargs)
        stream = _arecorded(self, call, kind.recorder(), ask)
        await anext(stream)
        return stream

    return method


def _recorded(
    llm: BaseLLM, call: Call, recorder: _chunks.Recorder, ask: Callable[[], Any]
) -> Generator[Any, None, None]:
    """Pass a stream on, and store it if it is read to its end.

    What it yields first is nothing: the model is then asked, and this generator has begun, so that
    it ends its flight however it is given up.
    """
    chunks: Any = ()
    try:
        with _own(llm):
            chunks = iter(ask())
        yield None
        while True:
            with _own(llm):
                chunk = next(chunks, _END)
            if chunk is _END:
                break
            recorder.add(chunk)
            yield chunk
        call.store(recorder.answer)
    finally:
        call.abandon()
        if hasattr(chunks, "close"):
            chunks.close()


async def _arecorded(
    llm: BaseLLM, call: Call, recorder: _chunks.Recorder, ask: Callable[[], Any]
) -> AsyncGenerator[Any, None]:
    """Async form of `_recorded`."""
    chunks: Any = ()
    try:
        with _own(llm):
            chunks = aiter(await ask())
        yield None
        while True:
            with _own(llm):
                chunk = await anext(chunks, _END)
            if chunk is _END:
                break
            recorder.add(chunk)
            yield chunk
        call.store(recorder.answer)
    finally:
        call.abandon()
        if hasattr(chunks, "aclose"):
            await chunks.aclose()


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
