"""An error that comes inside a stream, behind a response that began well.

OpenAI, Azure, Groq, vLLM and OpenRouter: ``data: {"error": {…}}``; Anthropic: the same with a
``type`` beside it; the Responses API: ``{"type": "error", "code", "message"}``, and
``{"type": "response.failed", "response": {"error": {…}}}``. Only a stream's lines are looked at:
what a model writes is escaped in them, and never taken for an error.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import orjson

MARK: Final = b'"error"'
"""Without it there is no error in any line."""
_ERROR = re.compile(rb'"error"\s{0,4}:\s{0,4}[{"]|"(?:type|object)"\s{0,4}:\s{0,4}"error"')
_ERRORS: Final = range(400, 600)
_WELL: Final = 200


class StreamError(NamedTuple):
    """What a stream says went wrong.

    Attributes:
        status: as the error states it; 200 where it states none.
        body: its JSON, for `refusal.classify`.
    """

    status: int
    body: bytes


def first_event(beginning: bytes) -> bytes | None:
    r"""Return the first event with data that is whole in `beginning`; None: it is not there yet.

    >>> first_event(b": wait\n\nevent: ping\ndata: {}\n\ndata: ")
    b'event: ping\ndata: {}'
    """
    blocks = beginning.replace(b"\r\n", b"\n").split(b"\n\n")
    return next((block for block in blocks[:-1] if b"data:" in block), None)


def error_in(lines: bytes) -> StreamError | None:
    """Return the first error in `lines` of a stream; None: there is none."""
    if MARK not in lines:
        return None
    found = (_error_of(line) for line in lines.split(b"\n") if _ERROR.search(line))
    return next((error for error in found if error is not None), None)


def _error_of(line: bytes) -> StreamError | None:
    start = line.find(b"{")
    try:
        document = orjson.loads(line[start:]) if start >= 0 else None
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    response = document.get("response")
    inner = response.get("error") if isinstance(response, dict) else None
    error: Any = document.get("error") or inner
    if not error and "error" not in (document.get("type"), document.get("object")):
        return None
    said = error if isinstance(error, dict) else document
    return StreamError(_status(said.get("code")), orjson.dumps({"error": error or document}))


def _status(code: object) -> int:
    return code if isinstance(code, int) and code in _ERRORS else _WELL
