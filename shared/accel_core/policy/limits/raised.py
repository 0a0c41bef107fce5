"""What an exception says of the call that failed, where no response of the provider's is seen.

SDKs tell it in attributes that resemble one another, and frameworks raise errors of their own from
theirs. Read are ``status_code`` (openai, anthropic, cohere, ollama), ``response.status_code``
(httpx, requests), ``status`` (aiohttp), botocore's ``response["ResponseMetadata"]``, ``code`` as a
number (google) or a function (grpc); of the exception, then of what caused it. No library is
imported and nothing is read from a connection.

Connections that failed are known by the names of their exceptions, for the same reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEEPEST: Final = 8
_STATUSES: Final = range(400, 600)
_THROTTLED, _REJECTED = 429, 400
_GRPC: Final = {
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "ABORTED": 409,
    "UNIMPLEMENTED": 501,
    "NOT_FOUND": 404,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
}
"""https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto"""
_UNSENT: Final = frozenset(
    (
        "ConnectError",  # httpx
        "ConnectTimeout",  # httpx, requests
        "PoolTimeout",
        "ConnectionRefusedError",
        "gaierror",
        "NewConnectionError",  # urllib3
        "NameResolutionError",
        "EndpointConnectionError",  # botocore
        "ConnectTimeoutError",
        "ClientConnectorError",  # aiohttp
    )
)
_LOST: Final = frozenset(
    (
        "TimeoutError",
        "ConnectionError",  # Python, requests
        "TimeoutException",  # httpx
        "NetworkError",
        "RemoteProtocolError",
        "ProxyError",
        "Timeout",  # requests
        "ChunkedEncodingError",
        "ProtocolError",  # urllib3
        "HTTPClientError",  # botocore
        "ClientConnectionError",  # aiohttp
        "ClientPayloadError",
        "APIConnectionError",  # openai, anthropic
    )
)


class Raised(NamedTuple):
    """What an exception says of a provider's error.

    Attributes:
        status: as of HTTP, from 400.
        headers: of the response; empty where they are not known.
        body: of the response, or what stands for it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | str


def read_raised(error: BaseException) -> Raised | Literal["unsent", "lost"] | None:
    """Return what `error` says.

    ``unsent``: nothing reached the provider; ``lost``: the connection failed, and it may have been
    charged; None: it says nothing of the provider.

    >>> read_raised(ConnectionRefusedError())
    'unsent'
    """
    names: set[str] = set()
    for one in _chain(error):
        told = _told(one)
        if told is not None:
            return told
        names.update(kind.__name__ for kind in type(one).__mro__)
    if names & _UNSENT:
        return "unsent"
    return "lost" if names & _LOST else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and what caused it."""
    one: BaseException | None = error
    for _ in range(_DEEPEST):
        if one is None:
            return
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _told(error: BaseException) -> Raised | None:
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        return _told_by_botocore(response)
    for holder, name in ((error, "status_code"), (response, "status_code"), (error, "status")):
        status = _status(getattr(holder, name, None))
        if status is not None:
            headers = getattr(response, "headers", None) or getattr(error, "headers", None)
            return Raised(status, _texts(headers), _body(error, response))
    status = _coded(error)
    return None if status is None else Raised(status, {}, str(error))


def _told_by_botocore(response: Mapping[str, Any]) -> Raised | None:
    """Read a ``ClientError``; that of an event within a stream has a code and no status."""
    said, about = response.get("Error"), response.get("ResponseMetadata")
    said = said if isinstance(said, Mapping) else {}
    about = about if isinstance(about, Mapping) else {}
    code = str(said.get("Code") or "")
    status = _status(about.get("HTTPStatusCode"))
    if status is None:
        if not code:
            return None
        status = _THROTTLED if "throttl" in code.lower() else _REJECTED
    body = orjson.dumps({"code": code, "message": str(said.get("Message") or "")})
    return Raised(status, _texts(about.get("HTTPHeaders")), body)


def _coded(error: BaseException) -> int | None:
    """Return the status that ``code`` is: a number, or grpc's function that returns a name."""
    code = getattr(error, "code", None)
    if callable(code):
        try:
            code = code()
        except Exception:  # somebody else's function, that happens to be called so
            return None
    status = _status(code)
    return _GRPC.get(str(getattr(code, "name", ""))) if status is None else status


def _status(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and value in _STATUSES:
        return int(value)
    return None


def _body(error: BaseException, response: object) -> bytes | str:
    """Return what was read of the body; asking a response for its text might wait for it."""
    body = getattr(error, "body", None)
    if isinstance(body, (dict, list)):
        return orjson.dumps(body, default=str, option=orjson.OPT_NON_STR_KEYS)
    if isinstance(body, (bytes, str)) and body:
        return body
    held = getattr(response, "_content", None)
    return held if isinstance(held, bytes) and held else str(error)


def _texts(headers: object) -> dict[str, str]:
    if not isinstance(headers, Mapping) and not hasattr(headers, "items"):
        return {}
    return {str(name): str(value) for name, value in headers.items()}
