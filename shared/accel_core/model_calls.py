"""Calls of a model whose requests nobody sees, within limits: over boto3, grpc, in this process.

They go the way of `limited_call`. What takes the place of HTTP is the framework's: the prompt is
measured as its messages are spelled, an answer is its object, read by a `Reader`, and a refusal the
exception that the model raises (`policy.limits.raised`). A stream is sent when its first part is
there, so that one refused before is sent again, and never afterwards.

What is lost without the response: limits and others' use of the key, which headers show.

Invariant: a call's lease ends with its answer, its error, or when its stream is read, closed,
broken off or collected. Each method has two colours; the flow below them is written once.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from accel_core.drive import blocking
from accel_core.policy.limits.raised import Raised, read_raised
from accel_core.policy.limits.token_estimate import text_tokens
from accel_core.policy.limits.usage_reader import amount
from accel_core.response_body import Body, tell

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Awaitable,
        Callable,
        Generator,
        Hashable,
        Iterable,
        Iterator,
        Mapping,
    )

    from accel_core.limited_call import LimitedCalls
    from accel_core.policy.limits.charge import Usage
    from accel_core.policy.limits.model_request import ModelRequest
    from accel_core.policy.limits.token_estimate import Asked
    from accel_core.ports import Io
    from accel_core.response_body import Calls
    from accel_core.token_limiter import Lease

T = TypeVar("T")

_END: Any = object()
_ANSWERED = Raised(200, {}, b"")


class Reader(Protocol):
    """Reads one answer: the whole of it, or a stream's parts as they come."""

    def __call__(self, part: Any, /) -> tuple[Usage | None, str]:
        """Return what was stated of the usage so far, and the text of this part."""


def switch_off_retries(fields: dict[str, Any], held: Iterable[object] = ()) -> bool:
    """Set a model's own ``max_retries`` to 0; return whether each of its calls is one attempt then.

    Not where it has no such field, or holds a client that repeats requests itself.

    Args:
        fields: the attributes of a copy of the user's model, changed in place.
        held: what else it holds.
    """
    if "max_retries" not in fields or any(map(_repeats, (*fields.values(), *held))):
        return False
    fields["max_retries"] = 0
    return True


class Answer(Body):
    """Reads answers that are objects, and ends the call's lease.

    What an answer does not state is counted from its text, a token at least for each part.
    """

    __slots__ = ("_output_tokens", "_usage")

    def __init__(
        self, calls: Calls, lease: Lease, asked: Asked, headers: Mapping[str, str]
    ) -> None:
        super().__init__(calls, lease, asked, headers)
        self._usage: Usage | None = None
        self._output_tokens = 0.0

    def take(self, usage: Usage | None, text: str) -> None:
        """Take what a `Reader` returned."""
        if usage is not None:
            self._usage = usage
        if text:
            self._output_tokens += max(1.0, text_tokens(text))

    def end(self, *, whole: bool) -> None:
        """Settle, once; what broke off has produced at least what was counted."""
        if not whole and self._usage is not None:
            output = max(self._usage.output_tokens, self._output_tokens)
            self._usage = self._usage._replace(output_tokens=output)
        super().end(whole=whole)

    def fail(self, error: BaseException | None) -> None:
        """End a call that somebody else sent by what its error says that it was charged.

        One that says nothing, and None, where nobody does, leave it charged as reserved.
        """
        told = None if error is None else read_raised(error)
        if not self._may_end():
            return
        if isinstance(told, Raised):
            tell(self._lease, self._calls.refusal(*told))
        elif told == "unsent":
            self._lease.cancel()
        else:
            self._lease.failed(overloaded=told == "lost")

    def _stated(self) -> Usage | None:
        return self._usage

    def _counted(self) -> float:
        return self._output_tokens


class ModelCalls:
    """Carries out the calls of a model within limits.

    Args:
        calls: the limiter's.
        reading: makes what reads one answer.
        once: whether a call has one attempt, because the model tries again itself.
    """

    def __init__(
        self, calls: LimitedCalls, reading: Callable[[], Reader], *, once: bool = False
    ) -> None:
        self._calls, self._reading, self._once = calls, reading, once
        self._blocking, self._aio = calls.colours

    def ask(self, request: ModelRequest, send: Callable[[], T]) -> T:
        """Return what `send` returns, sent when there is room for it.

        Raises:
            RequestTooLargeError: a limit can never take it; nothing was sent.
            LimitExceededError: it cannot be let through in time; nothing was sent.
            Exception: the model's own, of the last attempt.
        """

        async def asked() -> T:
            return send()

        return self._read(*blocking.run(self._carried(self._blocking, request, asked)))

    async def aask(self, request: ModelRequest, send: Callable[[], Awaitable[T]]) -> T:
        """Async form of `ask`."""
        return self._read(*await self._carried(self._aio, request, send))

    def stream(
        self, request: ModelRequest, start: Callable[[], Iterable[T]]
    ) -> Generator[T, None, None]:
        """Return the parts of the stream that `start` returns, whose first is there.

        Raises:
            Exception: as `ask`.
        """

        async def begin() -> tuple[Iterator[T], T]:
            parts = iter(start())
            return parts, next(parts, _END)

        (parts, first), answer = blocking.run(self._carried(self._blocking, request, begin))
        return _passed(parts, first, self._reading(), _Held(answer))

    async def astream(
        self, request: ModelRequest, start: Callable[[], Awaitable[AsyncIterator[T]]]
    ) -> AsyncGenerator[T, None]:
        """Async form of `stream`."""

        async def begin() -> tuple[AsyncIterator[T], T]:
            parts = aiter(await start())
            return parts, await anext(parts, _END)

        (parts, first), answer = await self._carried(self._aio, request, begin)
        return _apassed(parts, first, self._reading(), _Held(answer))

    def enter(self, request: ModelRequest, timeout_s: float | None = None) -> Answer:
        """Wait for room for a call that somebody else sends, who ends what is returned.

        Args:
            request: what it asks.
            timeout_s: bounds the wait; 0: now or not at all.

        Raises:
            RequestTooLargeError: a limit can never take it.
            LimitExceededError: it cannot be let through in time.
        """
        admitted = self._calls.admit(self._blocking, *request, timeout_s)
        return Answer(self._calls, *blocking.run(admitted), {})

    async def aenter(self, request: ModelRequest, timeout_s: float | None = None) -> Answer:
        """Async form of `enter`."""
        admitted = self._calls.admit(self._aio, *request, timeout_s)
        return Answer(self._calls, *await admitted, {})

    def _read(self, value: T, answer: Answer) -> T:
        try:
            answer.take(*self._reading()(value))
        finally:
            answer.end(whole=True)
        return value

    async def _carried(
        self, io: Io, request: ModelRequest, send: Callable[[], Awaitable[T]]
    ) -> tuple[T, Answer]:
        """Return what `send` returns, and what ends its lease, or raise what it raises."""
        try:
            reply, body = await self._calls.carry_out(
                io, _Sender(send), *request, once=self._once, body=Answer
            )
        except _Failed as failed:
            error = failed.error
        else:
            if isinstance(body, Answer):
                return reply.value, body
            error = reply.error
        raise error


class _Failed(Exception):  # noqa: N818 - carries an error through the flow, and is never seen
    """A connection failed."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class _Unsent(_Failed):
    """A connection failed before anything was sent."""


class _Reply(Generic[T]):
    """What a model returned, or the error in which it says what its provider answered."""

    def __init__(
        self, value: T = _END, error: Exception = _END, raised: Raised = _ANSWERED
    ) -> None:
        self.value, self.error, self._raised = value, error, raised

    @property
    def status(self) -> int:
        return self._raised.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._raised.headers

    async def read(self) -> bytes:
        body = self._raised.body
        return body if isinstance(body, bytes) else body.encode("utf-8", "replace")

    async def peek(self) -> bytes:
        """Nothing is seen of how it came."""
        return b""

    async def close(self) -> None:
        """Nothing is held."""


class _Sender(Generic[T]):
    unsent, failures = (_Unsent,), (_Failed,)

    def __init__(self, send: Callable[[], Awaitable[T]]) -> None:
        self._send = send

    async def send(self, within_s: float) -> _Reply[T]:  # noqa: ARG002 - the model has its own
        try:
            return _Reply(await self._send())
        except Exception as error:
            told = read_raised(error)
            if told is None:
                raise
            if isinstance(told, Raised):
                return _Reply(error=error, raised=told)
            raise (_Unsent if told == "unsent" else _Failed)(error) from None


class _Held:
    """An answer that ends when nobody can read it any more, though its stream was never begun."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        weakref.finalize(self, answer.end, whole=False).atexit = False


def _passed(parts: Iterator[T], part: T, reader: Reader, held: _Held) -> Generator[T, None, None]:
    """Pass a stream on, reading its parts."""
    whole = False
    try:
        while part is not _END:
            held.answer.take(*reader(part))
            yield part
            part = next(parts, _END)
        whole = True
    finally:
        held.answer.end(whole=whole)
        if hasattr(parts, "close"):
            parts.close()


async def _apassed(
    parts: AsyncIterator[T], part: T, reader: Reader, held: _Held
) -> AsyncGenerator[T, None]:
    """Async form of `_passed`."""
    whole = False
    try:
        while part is not _END:
            held.answer.take(*reader(part))
            yield part
            part = await anext(parts, _END)
        whole = True
    finally:
        held.answer.end(whole=whole)
        if hasattr(parts, "aclose"):
            await parts.aclose()


def _repeats(held: object) -> bool:
    """Whether a client repeats requests: an SDK's by its ``max_retries``, botocore's by default."""
    for client in (held, getattr(held, "_client", None)):
        if (amount(getattr(client, "max_retries", None)) or 0.0) > 0.0:
            return True
    config = getattr(getattr(held, "meta", None), "config", None)
    if config is None or not hasattr(config, "retries"):
        return False
    retries = config.retries or {}
    return retries.get("total_max_attempts") != 1 and retries.get("max_attempts") != 0


class Held:
    """The answers of calls that somebody else sends, by what that one calls them.

    Whoever never says how its call ended holds nothing for ever: of more than `most` the oldest
    ends.
    """

    def __init__(self, most: int = 4_096) -> None:
        self._answers: dict[Hashable, tuple[Answer, Callable[[], object] | None]] = {}
        self._most = most

    def hold(
        self, name: Hashable, answer: Answer, taken: Callable[[], object] | None = None
    ) -> None:
        """Keep `answer` until it is taken, and call `taken` then; one that had the name ends."""
        self.lose(name)
        self._answers[name] = answer, taken
        while len(self._answers) > self._most:
            self.lose(next(iter(list(self._answers))))

    def look(self, name: Hashable) -> Answer | None:
        """Return an answer that stays held; None: nothing is."""
        return self._answers.get(name, (None, None))[0]

    def take(self, name: Hashable) -> Answer | None:
        """Return an answer, to be ended by the caller; None: nothing is held."""
        answer, taken = self._answers.pop(name, (None, None))
        if taken is not None:
            taken()
        return answer

    def lose(self, name: Hashable) -> None:
        """End an answer as nobody says what became of it."""
        answer = self.take(name)
        if answer is not None:
            answer.fail(None)
