"""httpx clients within limits: a transport around the client's own.

Answers pass unchanged, chunk by chunk; they are asked for unencoded, so that their usage can be
read as they pass. Errors are read, and given up ones replayed.

Invariant: a lease ends when its response is read, closed, broken off or collected. The inner
transport belongs to the client it came from, is never closed here, and is kept open by keeping that
client alive.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import httpx

from accel_core.drive.aio import needs_asyncio
from accel_core.transport.passing import document_of, end_when_garbage, may_count

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from accel_core.limited_call import LimitedCalls
    from accel_core.response_body import Body

_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_FAILURES = (
    *_UNSENT,
    httpx.TimeoutException,
    httpx.NetworkError,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
)


class LimitedTransport(httpx.BaseTransport):
    """Sends through `inner` what `calls` let through.

    Args:
        inner: the client's own transport.
        calls: carries calls out.
        owner: what `inner` belongs to, kept alive.
    """

    def __init__(
        self, inner: httpx.BaseTransport, calls: LimitedCalls, owner: object = None
    ) -> None:
        self._inner, self.calls, self.owner = inner, calls, owner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` when there is room for it."""
        if not _may_count(request):
            return self._inner.handle_request(request)
        document = document_of(request.read())
        if document is None:
            return self._inner.handle_request(request)
        request.headers["accept-encoding"] = "identity"
        reply, body = self.calls.call(_Sender(self._inner, request), document, request.content)
        if body is not None and not _was_read(reply.response, body):
            reply.response.stream = _Passing(reply.response.stream, body)
        return reply.response


class AsyncLimitedTransport(httpx.AsyncBaseTransport):
    """Async form of `LimitedTransport`."""

    def __init__(
        self, inner: httpx.AsyncBaseTransport, calls: LimitedCalls, owner: object = None
    ) -> None:
        self._inner, self.calls, self.owner = inner, calls, owner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` when there is room for it."""
        if not _may_count(request):
            return await self._inner.handle_async_request(request)
        document = document_of(await request.aread())
        if document is None:
            return await self._inner.handle_async_request(request)
        needs_asyncio("a limited AsyncClient")
        request.headers["accept-encoding"] = "identity"
        sender = _AsyncSender(self._inner, request)
        reply, body = await self.calls.acall(sender, document, request.content)
        if body is not None and not _was_read(reply.response, body):
            reply.response.stream = _AsyncPassing(reply.response.stream, body)
        return reply.response


def limited(client: Any, calls: LimitedCalls) -> Any:
    """Return a copy of a client whose calls are limited.

    Of an httpx client, sync or async: headers, cookies, authentication, hooks and proxies stay,
    connections are shared, and closing the copy closes none of them. A limited one is limited anew,
    not twice. Of an SDK's client that holds one: the same SDK without retries of its own.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(client, (httpx.Client, httpx.AsyncClient)):
        return _limited_http(client, calls)
    inner = getattr(client, "_client", None)
    if not isinstance(inner, (httpx.Client, httpx.AsyncClient)) or not hasattr(client, "copy"):
        raise TypeError(f"{type(client).__name__} is not one")
    return client.copy(max_retries=0, http_client=_limited_http(inner, calls))


def _limited_http(client: Any, calls: LimitedCalls) -> Any:
    now: Any = client._transport  # noqa: SLF001 - httpx has no other way
    if isinstance(now, (LimitedTransport, AsyncLimitedTransport)):
        return client if now.calls is calls else _limited_http(now.owner, calls)
    kind: Any = LimitedTransport if isinstance(client, httpx.Client) else AsyncLimitedTransport
    made: Any = copy.copy(client)
    made._transport = kind(now, calls, client)  # noqa: SLF001
    made._mounts = {  # noqa: SLF001
        pattern: None if inner is None else kind(inner, calls, client)
        for pattern, inner in client._mounts.items()  # noqa: SLF001
    }
    return made


class _Reply:
    """A response of a sync client."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._begun: _Begun | _AsyncBegun | None = None

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self.response.headers

    async def read(self) -> bytes:
        if self.response.is_stream_consumed:
            return self.response.content
        try:
            raw = b"".join(self.response.iter_raw())
        finally:
            self.response.close()
        self.response = _held(self.response, raw)
        return _decoded(self.response, raw)

    async def peek(self) -> bytes:
        if self.response.is_stream_consumed:
            return self.response.content
        if self._begun is None:
            self.response.stream = self._begun = self._begin(self.response.stream)
        return await self._begun.more()

    async def close(self) -> None:
        self.response.close()
        self._keep_begun()

    def _begin(self, stream: Any) -> _Begun | _AsyncBegun:
        return _Begun(stream)

    def _keep_begun(self) -> None:
        if self._begun is not None:
            self.response = _held(self.response, b"".join(self._begun.chunks))


class _AsyncReply(_Reply):
    """A response of an async client."""

    async def read(self) -> bytes:
        if self.response.is_stream_consumed:
            return self.response.content
        try:
            raw = b"".join([chunk async for chunk in self.response.aiter_raw()])
        finally:
            await self.response.aclose()
        self.response = _held(self.response, raw)
        return _decoded(self.response, raw)

    async def close(self) -> None:
        await self.response.aclose()
        self._keep_begun()

    def _begin(self, stream: Any) -> _AsyncBegun:
        return _AsyncBegun(stream)


class _Sender:
    unsent, failures = _UNSENT, _FAILURES

    def __init__(self, inner: httpx.BaseTransport, request: httpx.Request) -> None:
        self._inner, self._request = inner, request

    async def send(self, within_s: float) -> _Reply:
        _bound(self._request, within_s)
        return _Reply(self._inner.handle_request(self._request))


class _AsyncSender:
    unsent, failures = _UNSENT, _FAILURES

    def __init__(self, inner: httpx.AsyncBaseTransport, request: httpx.Request) -> None:
        self._inner, self._request = inner, request

    async def send(self, within_s: float) -> _AsyncReply:
        _bound(self._request, within_s)
        return _AsyncReply(await self._inner.handle_async_request(self._request))


class _Begun(httpx.SyncByteStream):
    """An answer's bytes, of which the first ones were read and kept."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._rest = stream, iter(stream)
        self.chunks: list[bytes] = []

    async def more(self) -> bytes:
        """Read another chunk and return all of them."""
        self.chunks.append(next(self._rest, b""))
        return b"".join(self.chunks)

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks
        yield from self._rest

    def close(self) -> None:
        self._stream.close()


class _AsyncBegun(httpx.AsyncByteStream):
    """Async form of `_Begun`."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._rest = stream, aiter(stream)
        self.chunks: list[bytes] = []

    async def more(self) -> bytes:
        self.chunks.append(await anext(self._rest, b""))
        return b"".join(self.chunks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk
        async for chunk in self._rest:
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Passing(httpx.SyncByteStream):
    """An answer's bytes, looked at as they pass."""

    def __init__(self, stream: Any, body: Body) -> None:
        self._stream, self._body = stream, body
        end_when_garbage(self, body)

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._stream:
                self._body.feed(chunk)
                _in_time(self._body)
                yield chunk
        except BaseException:
            self._body.end(whole=False)
            raise
        self._body.end(whole=True)

    def close(self) -> None:
        try:
            self._body.end(whole=False)
        finally:
            self._stream.close()


class _AsyncPassing(httpx.AsyncByteStream):
    """Async form of `_Passing`."""

    def __init__(self, stream: Any, body: Body) -> None:
        self._stream, self._body = stream, body
        end_when_garbage(self, body)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                self._body.feed(chunk)
                _in_time(self._body)
                yield chunk
        except BaseException:
            self._body.end(whole=False)
            raise
        self._body.end(whole=True)

    async def aclose(self) -> None:
        try:
            self._body.end(whole=False)
        finally:
            await self._stream.aclose()


def _bound(request: httpx.Request, within_s: float) -> None:
    """Let no operation last longer than the call may; it bounds a silence, not their sum."""
    if within_s < float("inf"):
        own = request.extensions.get("timeout", {})
        bounds = {name: own.get(name) for name in ("connect", "read", "write", "pool")}
        least = {name: min(within_s, own_s or within_s) for name, own_s in bounds.items()}
        request.extensions = {**request.extensions, "timeout": least}


def _in_time(body: Body) -> None:
    if body.left_s() <= 0.0:
        raise httpx.ReadTimeout("the deadline of the call's tier passed before its answer's end")


def _was_read(response: httpx.Response, body: Body) -> bool:
    """Whether a response came with its body, as those of mocked transports do; then it ends."""
    if response.is_stream_consumed:
        body.feed(response.content)
        body.end(whole=True)
    return body.ended


def _may_count(request: httpx.Request) -> bool:
    return may_count(request.method, request.headers.get("content-type", ""))


def _held(response: httpx.Response, raw: bytes) -> httpx.Response:
    """Return the same response with its body in memory, not decoded yet."""
    return httpx.Response(
        response.status_code,
        headers=response.headers,
        stream=httpx.ByteStream(raw),
        extensions=response.extensions,
    )


def _decoded(response: httpx.Response, raw: bytes) -> bytes:
    try:
        return httpx.Response(response.status_code, headers=response.headers, content=raw).content
    except httpx.DecodingError:
        return raw
