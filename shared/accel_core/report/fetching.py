"""What stands at an address: fetched from there and from nowhere else, bounded in time and size.

Invariants: no other host, port or scheme is asked than the one that was named; where an address is
shown, the values of its query are not, since one may be a token.
"""

from __future__ import annotations

import time
from http.client import HTTPException
from typing import IO, TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from accel_core.errors import FileError

if TYPE_CHECKING:
    from http.client import HTTPMessage

REMEDY = (
    "name the /metrics of a process with observe.prometheus, or the address of a Prometheus server"
)
_PATIENCE_S = 10.0
_LONGEST_S = 60.0
"""Of one answer altogether: one that drips never keeps a read waiting."""
_MOST_BYTES, _CHUNK = 64 << 20, 1 << 20
_MOST_SAID = 100
"""Letters of what a server says of an error."""


class SentOnError(FileError):
    """An address answers that another one should be asked."""


def named(url: str) -> SplitResult:
    """Return the parts of an address.

    Raises:
        FileError: it is none, or holds a name or a password, which are never sent.
    """
    try:
        parts = urlsplit(url)
        known = parts.hostname, parts.port
    except ValueError as error:
        raise FileError(url.partition("?")[0], None, "is no address", REMEDY) from error
    if "@" in parts.netloc:
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        problem = "is given with a name or a password, which is not sent"
        raise FileError(shown(bare), None, problem, "name an address that needs none")
    if not known[0]:
        raise FileError(shown(parts), None, "names no host", REMEDY)
    return parts


def shown(parts: SplitResult) -> str:
    """Return an address as people and pages may see it.

    >>> shown(urlsplit("http://host:8000/metrics?token=secret&format=text"))
    'http://host:8000/metrics?token=…&format=…'
    """
    names = "&".join(f"{name}=…" for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    return parts._replace(query=names, fragment="").geturl()


def below(parts: SplitResult, path: str, **asked: object) -> SplitResult:
    """Return the address of `path` below another, asked for more beside what that one asks for."""
    query = "&".join(filter(None, (parts.query, urlencode(asked))))
    return parts._replace(path=parts.path.rstrip("/") + path, query=query)


def fetched(parts: SplitResult) -> str:
    """Return the text that stands at an address.

    Raises:
        FileError: nobody answers there, or not with one.
    """
    accepted = {"Accept": "text/plain;version=0.0.4, application/json"}
    request = Request(parts.geturl(), headers=accepted)  # noqa: S310 - http by its caller
    try:
        with build_opener(_Staying(parts)).open(request, timeout=_PATIENCE_S) as answer:
            until_s, body = time.monotonic() + _LONGEST_S, bytearray()
            while part := answer.read1(_CHUNK):
                body += part
                if len(body) > _MOST_BYTES or time.monotonic() > until_s:
                    raise FileError(shown(parts), None, "goes on without an end", REMEDY)
            return body.decode("utf-8", "replace")
    except HTTPError as error:
        error.close()
        said = f"answers {error.code} {error.reason}"[:_MOST_SAID]
        raise FileError(shown(parts), None, said, REMEDY) from error
    except FileError:
        raise
    except (URLError, HTTPException, OSError, ValueError) as error:
        reason = str(getattr(error, "reason", error))[:_MOST_SAID]
        problem = f"does not answer ({reason})"
        raise FileError(shown(parts), None, problem, "is it running?") from error


class _Staying(HTTPRedirectHandler):
    """Follows an answer that sends on to another path, and refuses one to anywhere else."""

    def __init__(self, asked: SplitResult) -> None:
        self._asked = asked

    def redirect_request(  # noqa: PLR0917 - urllib's
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> Request | None:
        """Return the next request.

        Raises:
            FileError: it would go elsewhere.
        """
        to = urlsplit(newurl)
        if (to.scheme, to.netloc) != (self._asked.scheme, self._asked.netloc):
            fp.close()
            host = f"{to.scheme}://{to.netloc.rpartition('@')[2]}"
            problem = f"sends on to {host}, which is not asked"
            raise SentOnError(
                shown(self._asked), None, problem, "name that address, if it is meant"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)
