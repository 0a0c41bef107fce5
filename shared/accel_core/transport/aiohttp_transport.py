"""Sessions of aiohttp within limits: a middleware beside the session's own, nearest to the wire.

Answers pass unchanged, as the caller reads them; they are asked for unencoded, so that their usage
can be read as they pass. The session's own total timeout covers the wait for room too.

Invariant: a lease ends when its response is read, closed, broken off or collected. The connector
belongs to the session it came from, which is left untouched and never closed here.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp

from accel_core.transport.passing import document_of, end_when_garbage, may_count

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from accel_core.limited_call import LimitedCalls
    from accel_core.response_body import Body

T = TypeVar("T", bytes, tuple[bytes, bool])

_UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
_FAILURES = (*_UNSENT, aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)


class LimitedMiddleware:
    """Sends what `calls` let through."""

    def __init__(self, calls: LimitedCalls) -> None:
        self.calls = calls

    async def __call__(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Send `request` when there is room for it."""
        if not may_count(request.method, request.headers.get("content-type", "")):
            return await handler(request)
        content = await request.body.as_bytes() if request.body else b""
        document = document_of(content)
        if document is None:
            return await handler(request)
        request.headers["accept-encoding"] = "identity"
        reply, body = await self.calls.acall(_Sender(request, handler), document, content)
        if body is not None:
            reply.response.content = _Passing(reply.response.content, body)
            end_when_garbage(reply.response, body)
        return reply.response


def limited(session: Any, calls: LimitedCalls) -> Any:
    """Return a copy of a session whose calls are limited.

    Headers, cookies, timeouts, middlewares and connections are shared; closing the copy closes
    nothing. A limited one is limited anew, not twice.

    Raises:
        TypeError: it is no session, or one of an aiohttp without middlewares.
    """
    if not isinstance(session, aiohttp.ClientSession):
        raise TypeError(f"{type(session).__name__} is not one")
    if "_middlewares" not in vars(session):
        raise TypeError(f"aiohttp {aiohttp.__version__} has no middlewares")
    kind: Any = type(session)
    if not issubclass(kind, _Limited):
        kind = type(kind.__name__, (_Limited, kind), {})
    made = kind.__new__(kind)
    made.__dict__.update(vars(session))
    before = vars(session)["_middlewares"]
    others = [one for one in before if not isinstance(one, LimitedMiddleware)]
    made.__dict__.update(_middlewares=(*others, LimitedMiddleware(calls)), _connector_owner=False)
    return made


class _Limited:
    """What a limited copy does otherwise than its session."""

    _middlewares: tuple[Any, ...]

    def __init_subclass__(cls, **_: object) -> None:
        """Leave out aiohttp's warning of subclasses: this one is made here."""

    def __del__(self) -> None:
        """Leave out aiohttp's warning of sessions that were not closed: this one owns nothing."""

    async def _request(
        self, *args: Any, middlewares: tuple[Any, ...] | None = None, **options: Any
    ) -> Any:
        """Send as the session does, limited also where a request brings middlewares of its own."""
        if middlewares is not None:
            options["middlewares"] = (*middlewares, self._middlewares[-1])
        return await super()._request(*args, **options)  # type: ignore[misc]


class _Sender:
    unsent, failures = _UNSENT, _FAILURES

    def __init__(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> None:
        self._request, self._handler = request, handler

    async def send(self, within_s: float) -> _Reply:
        ends_s = asyncio.get_running_loop().time() + within_s
        async with _until(ends_s):
            return _Reply(await self._handler(self._request), ends_s)


class _Reply:
    def __init__(self, response: Any, ends_s: float) -> None:
        self.response, self._ends_s = response, ends_s
        self._peeked, self._begun = 0, b""

    @property
    def status(self) -> int:
        status: int = self.response.status
        return status

    @property
    def headers(self) -> Mapping[str, str]:
        headers: Mapping[str, str] = self.response.headers
        return headers

    async def read(self) -> bytes:
        """Read the body, and put it back for whoever reads ``content``."""
        async with _until(self._ends_s):
            body: bytes = await self.response.read()
        self.response.content = _held(body)
        return body

    async def peek(self) -> bytes:
        """Wait for what is not in the reader's buffer yet; aiohttp has no other way to look."""
        content = self.response.content
        while content.total_bytes == self._peeked and not content.is_eof():
            if content.exception() is not None:
                raise content.exception()
            async with _until(self._ends_s):
                await content._wait("peek")  # noqa: SLF001
        self._peeked = content.total_bytes
        self._begun = b"".join(getattr(content, "_buffer", ()))
        return self._begun

    async def close(self) -> None:
        self.response.close()
        self.response.content = _held(self._begun)


@asynccontextmanager
async def _until(ends_s: float) -> AsyncIterator[None]:
    """Raise aiohttp's own error where a call's deadline passes, by the loop's clock."""
    bound = asyncio.timeout_at(ends_s if ends_s < float("inf") else None)
    try:
        async with bound:
            yield
    except TimeoutError:
        if not bound.expired():
            raise
        raise aiohttp.SocketTimeoutError(
            "the deadline of the call's tier passed before its answer's end"
        ) from None


def _held(body: bytes) -> aiohttp.StreamReader:
    """Return a reader of what is in memory."""
    held = aiohttp.StreamReader(_Nobody(), len(body) + 1)  # type: ignore[arg-type]
    held.feed_data(body)
    held.feed_eof()
    return held


class _Nobody:
    """The connection of a body that is in memory."""

    connected = False

    def pause_reading(self) -> None:
        """There is nothing to pause."""

    def resume_reading(self, *, resume_parser: bool = True) -> None:
        """There is nothing to resume."""


class _Passing:
    """An answer's bytes, looked at as they are read; all else is the inner reader's."""

    def __init__(self, content: Any, body: Body) -> None:
        self._content, self._body = content, body

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    def exception(self) -> BaseException | None:
        error: BaseException | None = self._content.exception()
        if error is not None:
            self._body.end(whole=False)
        return error

    def set_exception(self, *args: Any) -> None:
        """Do as the inner reader does: the response is closed."""
        self._body.end(whole=False)
        self._content.set_exception(*args)

    async def read(self, n: int = -1) -> bytes:
        if n >= 0:
            return await self._seen(self._content.read(n))
        # Piece by piece, so that what came of one that breaks off was seen.
        return b"".join([chunk async for chunk in self.iter_any()])

    async def readany(self) -> bytes:
        return await self._seen(self._content.readany())

    async def readexactly(self, n: int) -> bytes:
        return await self._seen(self._content.readexactly(n))

    async def readline(self, **options: Any) -> bytes:
        return await self._seen(self._content.readline(**options))

    async def readuntil(self, *args: Any, **options: Any) -> bytes:
        return await self._seen(self._content.readuntil(*args, **options))

    async def readchunk(self) -> tuple[bytes, bool]:
        return await self._seen(self._content.readchunk())

    def read_nowait(self, n: int = -1) -> bytes:
        data: bytes = self._content.read_nowait(n)
        return self._look(data)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _until_empty(self.readline)

    def iter_any(self) -> AsyncIterator[bytes]:
        return _until_empty(self.readany)

    def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        return _until_empty(lambda: self.read(n))

    async def iter_chunks(self) -> AsyncIterator[tuple[bytes, bool]]:
        while (chunk := await self.readchunk()) != (b"", False):
            yield chunk

    async def _seen(self, reading: Awaitable[T]) -> T:
        try:
            async with _until(asyncio.get_running_loop().time() + self._body.left_s()):
                return self._look(await reading)
        except aiohttp.SocketTimeoutError:
            self._body.end(whole=False)
            raise
        except BaseException:
            # A read that was cancelled may be made again; one that failed may not.
            self.exception()
            raise

    def _look(self, read: T) -> T:
        self._body.feed(read[0] if isinstance(read, tuple) else read)
        if self._content.at_eof():
            self._body.end(whole=True)
        return read


async def _until_empty(read: Callable[[], Awaitable[bytes]]) -> AsyncIterator[bytes]:
    while chunk := await read():
        yield chunk
