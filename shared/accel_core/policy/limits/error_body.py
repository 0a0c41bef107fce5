"""What an error's body says, in the shapes that providers give it.

OpenAI, Azure and Groq: ``{"error": {"code", "type", "message"}}``; Anthropic: the same beside a
``type``; Bedrock: ``{"__type", "message"}`` or the header ``x-amzn-errortype``; vLLM: the fields
themselves, or FastAPI's ``detail``; Google: the object in a list; proxies: any text.

Only the beginning of a body is read, and what is kept of it carries no key, organisation or
account: errors about a key repeat it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST_BYTES = 65_536
_MOST_READ = 4_096
_MOST_KEPT = 200
_CODE_KEYS: Final = ("code", "type", "__type", "status")
_NESTED_KEYS: Final = ("error", "detail", "errors")
_DEEPEST = 4

_CODE = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_LOOSE_CODE = re.compile(r'"(code|type|__type|status)"\s*:\s*"([^"\\]{1,200})"')
_LOOSE_MESSAGE = re.compile(r'"[Mm]essage"\s*:\s*"((?:[^"\\]|\\.){1,2000})')
_SECRET = re.compile(
    r"\b(?:sk|rk|pk|gsk|xai|nvapi|hf|org|proj|user|acct|key|req)[-_][^\s'\"`,;)]{3,}"
    r"|\b(?:AKIA|ASIA|AIza)[^\s'\"`,;)]{8,}"
    r"|\bBearer\s+\S+"
    r"|(?<=key provided: )\S+"
    r"|\b[0-9a-fA-F]{8}-[0-9a-fA-F-]{20,}"
    r"|[A-Za-z0-9_*+/=]{24,}"
)
_MASK = "…"


class ErrorBody(NamedTuple):
    """What an error says.

    Attributes:
        code: the most telling of its codes; empty where there is none.
        codes: all of them, as lower-case letters only.
        text: its message, not to be kept or shown.
    """

    code: str
    codes: tuple[str, ...]
    text: str


def read_error(body: bytes | str, headers: Mapping[str, str]) -> ErrorBody:
    """Return what `body` says, whatever it is."""
    text = body[:_MOST_BYTES]
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    try:
        document = orjson.loads(text)
    except ValueError:
        document = None
    codes, message = _loose(text) if document is None else _strict(document)
    codes += [value for name, value in headers.items() if name.lower() == "x-amzn-errortype"]
    codes = [_bare(code) for code in codes]
    telling = [code for code in codes if _CODE.fullmatch(code) and kept(code) == code]
    named = [code for code in telling if not code.isdigit()]
    squeezed = tuple("".join(filter(str.isalpha, code.lower())) for code in codes)
    return ErrorBody((named or telling or [""])[0], squeezed, (message or text)[:_MOST_READ])


def kept(text: str) -> str:
    """Return `text` on one line, without secrets, and short.

    >>> kept("Incorrect API key provided: sk-proj-abcDEF0123.")
    'Incorrect API key provided: …'
    """
    plain = " ".join(text[:_MOST_READ].split())
    return _SECRET.sub(_MASK, plain)[:_MOST_KEPT]


def _strict(document: object) -> tuple[list[str], str]:
    """Return the codes and the message of a JSON body, inner ones first."""
    codes: list[str] = []
    message = ""
    for level in reversed(list(_levels(document))):
        codes += [str(level[key]) for key in _CODE_KEYS if isinstance(level.get(key), str | int)]
        for key in ("message", "Message", *_NESTED_KEYS):
            value = level.get(key)
            if not message and isinstance(value, str):
                message = value
    return codes, message if message or not isinstance(document, str) else document


def _levels(document: object) -> Iterator[Mapping[str, Any]]:
    """Yield the objects from the outermost to the error itself."""
    for _ in range(_DEEPEST):
        if isinstance(document, list) and document:
            document = document[0]
        if not isinstance(document, dict):
            return
        yield document
        document = next(
            (document[key] for key in _NESTED_KEYS if isinstance(document.get(key), dict | list)),
            None,
        )


def _loose(text: str) -> tuple[list[str], str]:
    """Return the codes and the message of a body that is cut off, or no JSON."""
    beginning = text[:_MOST_READ]
    message = _LOOSE_MESSAGE.search(beginning)
    codes = sorted(_LOOSE_CODE.findall(beginning), key=lambda found: _CODE_KEYS.index(found[0]))
    return [code for _, code in codes], beginning if message is None else message[1]


def _bare(code: str) -> str:
    """Return ``ThrottlingException`` of ``com.amazon#ThrottlingException:http://…``."""
    return code.rpartition("#")[2].partition(":")[0].strip()
