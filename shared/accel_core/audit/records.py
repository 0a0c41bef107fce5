"""The JSON values of a file, one after the other: lines, a list, or one value printed over lines.

Also with gzip. Invariant: of a list or of lines no more is held than one value, and what cannot be
read is told with its line, never raised, unless it is the whole file.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from contextlib import nullcontext
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from accel_core.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_CHUNK = 1 << 20
_MOST_LETTERS = 1 << 26
"""Of one value, which has to be held whole: a gzip of a megabyte may be one line of a gigabyte."""
_MOST_LINES = 100_000
"""Lines of one printed value; beyond them its end is no longer looked for."""
_WIDE = (b"\xff\xfe", b"\xfe\xff")
"""What a file of UTF-16 begins with, as shells of Windows write them."""
_REMEDY = "give JSON or JSON Lines, also with gzip: see docs/audit.md"


class Broken(NamedTuple):
    """A place of a file that holds no JSON."""

    problem: str


def values_in(
    path: Path, report: Callable[[int], None] = lambda _: None
) -> Iterator[tuple[int, Any]]:
    """Yield each value of a file with the number of the line it begins on, `Broken` ones too.

    Args:
        path: of the file.
        report: told how many of its bytes are read, now and then.

    Raises:
        FileError: it cannot be read.
    """
    if path.exists() and not path.is_file():
        # A pipe would be waited for, and cannot be looked at before it is read.
        raise FileError(path, None, "cannot be read (it is no regular file)", _REMEDY)
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.open(raw) if packed else nullcontext(raw) as opened:
                start = opened.read(2)
                opened.seek(0)
                kind = "utf-16" if start in _WIDE else "utf-8-sig"
                lines = _Lines(io.TextIOWrapper(opened, encoding=kind, errors="replace"))
                yield from _values(lines, lambda: report(raw.tell()))
                report(raw.tell())
    except EOFError as error:
        raise FileError(path, None, "is cut off (gzip)", _REMEDY) from error
    except (OSError, zlib.error) as error:
        raise FileError(path, None, f"cannot be read ({error})", _REMEDY) from error


class _Lines:
    """A text, read line by line; one that is too long is left out, but for its beginning."""

    def __init__(self, opened: IO[str]) -> None:
        self._opened = opened
        self.read = opened.read

    def part(self) -> str:
        """Return the next line's beginning, or all of it with its end; ``""``: there is none."""
        return self._opened.readline(_CHUNK)

    def whole(self, part: str) -> str:
        """Return the line that begins with `part`, which was read last."""
        if not part or part.endswith("\n"):
            return part
        line = part + self._opened.readline(_MOST_LETTERS)
        if len(line) < _MOST_LETTERS or line.endswith("\n"):
            return line
        while (more := self.part()) and not more.endswith("\n"):
            pass
        return f"{part}\n"  # no JSON any more, if it was


def _values(lines: _Lines, tick: Callable[[], None]) -> Iterator[tuple[int, Any]]:
    number, first = 1, lines.part()
    while first and not first.strip():
        number, first = number + 1, lines.part()
    if first.lstrip().startswith("["):
        yield from _listed(first, number, lines, tick)
    elif first.strip():
        yield from _printed(lines.whole(first), number, lines, tick)


def _printed(
    first: str, number: int, lines: _Lines, tick: Callable[[], None]
) -> Iterator[tuple[int, Any]]:
    """Yield values that begin at the start of a line; lines that go on are indented."""
    pending: list[str] = []
    began, line = number, first
    while line:
        goes_on = line.startswith((" ", "\t", "}", "\n", "\r"))
        if pending and (not goes_on or len(pending) > _MOST_LINES):
            yield began, Broken("is no JSON")
            pending = []
        if line.strip():
            began = began if pending else number
            pending.append(line)
            if len(pending) == 1 or line.startswith("}"):
                value = _loaded("".join(pending))
                if value is not None:
                    yield began, value
                    pending = []
                elif line.startswith("}") or not line.startswith("{"):
                    # A printed object ends at the first brace that begins a line.
                    yield began, Broken("is no JSON")
                    pending = []
        number += 1
        if not number % 1_000:
            tick()
        line = lines.whole(lines.part())
    if pending:
        yield began, Broken("is no JSON")


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _listed(
    first: str, number: int, lines: _Lines, tick: Callable[[], None]
) -> Iterator[tuple[int, Any]]:
    """Yield the values of a list, read in parts; what follows a broken one cannot be found."""
    decoder = json.JSONDecoder()
    buffer, place, ended = first, first.index("[") + 1, False
    while True:
        while place < len(buffer) and buffer[place] in " \t\r\n,":
            number += buffer[place] == "\n"
            place += 1
        if place < len(buffer) and buffer[place] == "]":
            return
        try:
            value, end = decoder.raw_decode(buffer, place)
        except (ValueError, RecursionError):
            value, end = None, None
        # A number or a word may go on in the next part.
        if end is not None and (end < len(buffer) or ended):
            yield number, value
            number += buffer.count("\n", place, end)
            place = end
            continue
        if ended or len(buffer) - place > _MOST_LETTERS:
            yield number, Broken("is no JSON, or cut off: nothing behind it was read")
            return
        more = lines.read(max(_CHUNK, len(buffer) - place))
        tick()
        buffer, place, ended = buffer[place:] + more, 0, not more
