"""Chat models accelerated by a generated subclass of the user's own class.

The copy stays an instance of its class, so ``isinstance``, ``bind_tools``, structured output,
tracing (one run per call) and agents work as before. Overridden are only the private methods in
which LangChain asks the provider: `_generate`, `_stream` and their async forms, each only where the
class has its own, because LangChain looks for overrides to decide what a model can do.

State lives on the generated class, not on the instance: ``configurable_fields`` and ``model_copy``
make new instances of the class.
"""

from __future__ import annotations

import functools
import inspect
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.outputs import ChatGeneration, ChatResult

from accel_core.asking import NAMES
from accel_core.errors import limits_unwrapped
from accel_core.subclasses import MARK, generated, own_class, subclass
from accel_core.used import read_parts
from langchain_accel import _answers, _chunks
from langchain_accel._context import current_run, listen
from langchain_accel._deferred import Deferred
from langchain_accel._identity import EXACT, explained, model_name, request_of
from langchain_accel._limits import UsageReader, call_request, limit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import ChatGenerationChunk

    from accel_core.accel import Accel
    from accel_core.call import Call
    from accel_core.limiter import Limiter
    from accel_core.semantic_cache import Hit

_ABSENT: Any = object()
"""Stands for an argument that LangChain did not pass, and so is not passed on."""

_inside: ContextVar[bool] = ContextVar("accel_langchain_inside", default=False)
"""Set while the provider's own method runs: some call another of the overridden ones."""


_UNLIMITED = Deferred()


def accelerate_chat_model(
    model: BaseChatModel, accel: Accel, limiter: Limiter | None = None, *, exact: bool = False
) -> BaseChatModel:
    """Return a copy of `model` that answers from `accel`; `model` is untouched.

    A copy that is limited stays so where no `limiter` is given. With `exact`, a question is
    answered from another one only where they are the same.
    """
    kind = type(model)
    if getattr(kind, MARK, None) is accel and getattr(kind, EXACT) is exact and limiter is None:
        return model
    listen()
    made = original(model)
    held = model.rate_limiter
    calls = held.calls if isinstance(held, Deferred) else None
    if limiter is not None:
        calls = limit(made, limiter)
    base = type(made)
    made.__class__ = generated(accel, (base, exact), lambda: _subclass(base, accel, exact=exact))
    made.__dict__.pop("_serialized", None)
    # The copy caches by itself; asking a global cache first would look everything up twice.
    made.cache = False
    if made.rate_limiter is not None or calls is not None:
        made.rate_limiter = Deferred(made.rate_limiter, calls)
    return made


def original(model: BaseChatModel) -> BaseChatModel:
    """Return a copy of `model` of the user's own class."""
    made = model.model_copy()
    made.__class__ = own_class(type(made))
    if isinstance(made.rate_limiter, Deferred):
        made.rate_limiter = made.rate_limiter.limiter
    return made


def _rebuild(model: BaseChatModel, accel: Accel, exact: bool) -> BaseChatModel:  # noqa: FBT001
    return accelerate_chat_model(model, accel, exact=exact)


def _subclass(base: type[BaseChatModel], accel: Accel, *, exact: bool) -> type[BaseChatModel]:
    namespace: dict[str, Any] = {
        "__reduce__": lambda self: (_rebuild, (original(self), accel, exact)),
        "_generate": _make_generate(base, accel),
        "_agenerate": _make_agenerate(base, accel),
    }
    if base._stream is not BaseChatModel._stream:
        namespace["_stream"] = _make_stream(base, accel)
    # LangChain's own would run `_stream` in a thread of the loop's pool, and wait there.
    if "_stream" in namespace or base._astream is not BaseChatModel._astream:
        namespace["_astream"] = _make_astream(base, accel)
    for name in ("_generate", "_agenerate"):
        # LangChain inspects them at every call: worked out anew, that is a tenth of a hit.
        namespace[name].__signature__ = inspect.signature(namespace[name])
    namespace |= {MARK: accel, NAMES: staticmethod(explained), EXACT: exact}
    return subclass(base, namespace)


def _begin(
    accel: Accel,
    model: BaseChatModel,
    messages: list[BaseMessage],
    arguments: dict[str, Any],
    *,
    streamed: bool = False,
) -> Call:
    """Open the call of `model`, or a bypass; it is recorded unless another one makes it."""
    if _inside.get():
        return accel.part_of_another()
    run = current_run()
    call = accel.begin("chat", streamed=streamed, told=run)
    controls = accel.controls(
        None if run is None else run.metadata, None if run is None else run.tags
    )
    request = None
    if controls is not None:
        request = request_of(accel, model, messages, arguments, controls)
    if controls is None or request is None:
        call.passes_by(model_name(model, arguments))
    else:
        call.asks(request, controls)
    return call


def _limits(model: BaseChatModel) -> Deferred:
    """Return what holds before the provider is asked; once for nested methods."""
    held = model.rate_limiter
    return held if isinstance(held, Deferred) and not _inside.get() else _UNLIMITED


@contextmanager
def _provider(call: Call) -> Iterator[None]:
    token = _inside.set(True)
    try:
        with limits_unwrapped(), call.asking():
            yield
    finally:
        _inside.reset(token)


def _pulled(call: Call, stream: Iterator[ChatGenerationChunk]) -> Iterator[ChatGenerationChunk]:
    """Iterate the provider's own stream as `_provider` runs its other methods."""
    try:
        while True:
            with _provider(call):
                chunk = next(stream, None)
            if chunk is None:
                return
            yield chunk
    finally:
        if hasattr(stream, "close"):
            stream.close()


async def _apulled(
    call: Call, stream: AsyncIterator[ChatGenerationChunk]
) -> AsyncIterator[ChatGenerationChunk]:
    """Async form of `_pulled`."""
    try:
        while True:
            with _provider(call):
                chunk = await anext(stream, None)
            if chunk is None:
                return
            yield chunk
    finally:
        if hasattr(stream, "aclose"):
            await stream.aclose()


def _replayed(call: Call, hit: Hit | None) -> list[ChatGeneration] | None:
    """Return the hit's generations, or None where there are none to serve."""
    if hit is None:
        return None
    try:
        found = _answers.to_generations(hit)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        call.reject(hit, error)
        return None
    chats = [generation for generation in found if isinstance(generation, ChatGeneration)]
    if chats:
        call.served(hit, _answers.saved_tokens(chats))
    return chats or None


def _marked(result: ChatResult, call: Call) -> ChatResult:
    """Return a fresh answer whose metadata say that the model gave it, and why."""
    generations = [_answers.marked(generation, call.origin()) for generation in result.generations]
    return result.model_copy(update={"generations": generations})


def _takes_run_manager(method: Callable[..., Any]) -> bool:
    """Whether a model's own method takes a run manager; LangChain looks, too."""
    return "run_manager" in inspect.signature(method).parameters


def _make_generate(base: type[BaseChatModel], accel: Accel) -> Callable[..., Any]:
    takes_run_manager = _takes_run_manager(base._generate)

    def _generate(
        self: BaseChatModel,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = _ABSENT,
        **kwargs: Any,
    ) -> ChatResult:
        arguments = {"stop": stop, **kwargs}
        call = _begin(accel, self, messages, arguments)
        if takes_run_manager and run_manager is not _ABSENT:
            kwargs["run_manager"] = run_manager
        found = _replayed(call, call.lookup())
        if found is not None:
            return ChatResult(generations=found)
        request = functools.partial(call_request, self, messages, arguments)
        told: list[ChatResult] = []
        try:

            def ask() -> ChatResult:
                with _provider(call):
                    return base._generate(self, messages, stop=stop, **kwargs)

            with call.asking():
                result = _limits(self).ask(request, ask)
            told.append(result)
            call.store(lambda: _answers.to_answer(result.generations, result.llm_output))
            return _marked(result, call)
        finally:
            call.end(lambda: read_parts(UsageReader(), told))

    return _generate


def _make_agenerate(base: type[BaseChatModel], accel: Accel) -> Callable[..., Any]:
    takes_run_manager = _takes_run_manager(base._agenerate)

    async def _agenerate(
        self: BaseChatModel,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = _ABSENT,
        **kwargs: Any,
    ) -> ChatResult:
        arguments = {"stop": stop, **kwargs}
        call = _begin(accel, self, messages, arguments)
        if takes_run_manager and run_manager is not _ABSENT:
            kwargs["run_manager"] = run_manager
        found = _replayed(call, await call.alookup())
        if found is not None:
            return ChatResult(generations=found)
        request = functools.partial(call_request, self, messages, arguments)
        told: list[ChatResult] = []
        try:

            async def ask() -> ChatResult:
                with _provider(call):
                    return await base._agenerate(self, messages, stop=stop, **kwargs)

            with call.asking():
                result = await _limits(self).aask(request, ask)
            told.append(result)
            call.store(lambda: _answers.to_answer(result.generations, result.llm_output))
            return _marked(result, call)
        finally:
            call.end(lambda: read_parts(UsageReader(), told))

    return _agenerate


def _make_stream(base: type[BaseChatModel], accel: Accel) -> Callable[..., Any]:
    takes_run_manager = _takes_run_manager(base._stream)

    def _stream(
        self: BaseChatModel,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = _ABSENT,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        arguments = {"stop": stop, **kwargs}
        call = _begin(accel, self, messages, arguments, streamed=True)
        if takes_run_manager and run_manager is not _ABSENT:
            kwargs["run_manager"] = run_manager
        found = _replayed(call, call.lookup())
        if found is not None:
            yield from _chunks.replay(found[0])
            return
        request = functools.partial(call_request, self, messages, arguments)
        taken: list[ChatGenerationChunk] = []
        try:

            def start() -> Iterator[ChatGenerationChunk]:
                return _pulled(call, base._stream(self, messages, stop=stop, **kwargs))

            with call.asking():
                stream = _limits(self).stream(request, start)
            for chunk in stream:
                call.passed()
                taken.append(_chunks.snapshot(chunk))
                yield chunk if len(taken) > 1 else _answers.marked(chunk, call.origin())
            call.store(lambda: _chunks.to_answer(taken))
        finally:
            call.end(lambda: read_parts(UsageReader(), taken))

    return _stream


def _make_astream(base: type[BaseChatModel], accel: Accel) -> Callable[..., Any]:
    takes_run_manager = _takes_run_manager(base._astream)

    async def _astream(
        self: BaseChatModel,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = _ABSENT,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        arguments = {"stop": stop, **kwargs}
        call = _begin(accel, self, messages, arguments, streamed=True)
        if takes_run_manager and run_manager is not _ABSENT:
            kwargs["run_manager"] = run_manager
        found = _replayed(call, await call.alookup())
        if found is not None:
            for chunk in _chunks.replay(found[0]):
                yield chunk
            return
        request = functools.partial(call_request, self, messages, arguments)
        taken: list[ChatGenerationChunk] = []
        try:

            def start() -> AsyncIterator[ChatGenerationChunk]:
                return _apulled(call, base._astream(self, messages, stop=stop, **kwargs))

            with call.asking():
                stream = await _limits(self).astream(request, start)
            async for chunk in stream:
                call.passed()
                taken.append(_chunks.snapshot(chunk))
                yield chunk if len(taken) > 1 else _answers.marked(chunk, call.origin())
            call.store(lambda: _chunks.to_answer(taken))
        finally:
            call.end(lambda: read_parts(UsageReader(), taken))

    return _astream
