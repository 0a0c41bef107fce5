"""How large a request's body is, as far as that says how many tokens its prompt has.

Bytes are counted, never parsed: those of ASCII, the others, and files within the JSON, whose
tokens have nothing to do with their bytes. Everything is a search of bytes from left to right, so
ten megabytes take some hundredths of a second, whatever is in them.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Script = Literal["ascii", "mixed", "other"]

_ASCII: Final = bytes(range(128))
_ESCAPE: Final = b"\\u"
_ESCAPE_BYTES, _ESCAPED_BYTES = 6, 3
"""What ``json.dumps`` makes of a letter beyond ASCII, and what the letter is in UTF-8."""
_FILES: Final = (b";base64,", b'"data":', b'"base64":')
"""What comes before a file: in a URL, in Anthropic's and audio's own fields, in LangChain's."""
_BEFORE_FILE: Final = (b' "', b'"')
_LEAST_FILE: Final = 256
_MOST_FILES: Final = 1_000
_IMAGE_URL: Final = b'"image_url":'
_MIXED_FROM, _OTHER_FROM = 0.1, 0.5


class Measure(NamedTuple):
    """The size of a request's body.

    Attributes:
        ascii_bytes: of text and JSON.
        other_bytes: of letters beyond ASCII, in UTF-8.
        files: images and other files, in the body or by URL.
    """

    ascii_bytes: int
    other_bytes: int
    files: int = 0

    @property
    def bytes(self) -> int:
        """All bytes that are text."""
        return self.ascii_bytes + self.other_bytes

    @property
    def script(self) -> Script:
        """Which kind of text it mostly is."""
        if self.other_bytes < _MIXED_FROM * self.bytes:
            return "ascii"
        return "mixed" if self.other_bytes < _OTHER_FROM * self.bytes else "other"


def measure_of(body: bytes) -> Measure:
    """Return how large `body` is.

    >>> measure_of('{"content": "Grüße"}'.encode())
    Measure(ascii_bytes=18, other_bytes=4, files=0)
    """
    other, escapes = 0, 0
    # Whoever escapes letters escapes them all, so a body has the one or the other.
    if body.isascii():
        escapes = body.count(_ESCAPE)
    else:
        other = len(body.translate(None, _ASCII))
    files, of_files = _files(body)
    inside = max(0, len(body) - other - escapes * _ESCAPE_BYTES - of_files)
    linked = body.count(_IMAGE_URL)
    return Measure(inside, other + escapes * _ESCAPED_BYTES, max(files, linked))


def _files(body: bytes) -> tuple[int, int]:
    """Return how many files are in `body`, and their bytes."""
    files = of_files = 0
    for mark in _FILES:
        at = body.find(mark)
        for _ in range(_MOST_FILES):
            if at < 0:
                break
            start = _start(body, at + len(mark))
            end = body.find(b'"', start)
            if end < 0:
                end = len(body)
            if end - start >= _LEAST_FILE and _is_base64(body, start, end):
                files, of_files = files + 1, of_files + end - start
            at = body.find(mark, end)
    return files, of_files


def _start(body: bytes, at: int) -> int:
    """Return where a string starts whose quotation mark may still be to come."""
    for before in _BEFORE_FILE:
        if body.startswith(before, at):
            return at + len(before)
    return at


def _is_base64(body: bytes, start: int, end: int) -> bool:
    """Whether a string is a file rather than a text: none goes on so long without a space."""
    if body.startswith(b"data:", start) or body.find(b" ", start, end) >= 0:
        return False
    beginning = body[start : start + _LEAST_FILE]
    return beginning.isascii() and b"\\" not in beginning
