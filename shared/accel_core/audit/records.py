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
_MOST_LINES = 100_000
"""Lines of one printed value; beyond them its end is no longer looked for."""
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
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.open(raw) if packed else nullcontext(raw) as opened:
                lines = io.TextIOWrapper(opened, encoding="utf-8-sig", errors="replace")
                yield from _values(lines, lambda: report(raw.tell()))
                report(raw.tell())
    except EOFError as error:
        raise FileError(path, None, "is cut off (gzip)", _REMEDY) from error
    except (OSError, zlib.error) as error:
        raise FileError(path, None, f"cannot be read ({error})", _REMEDY) from error


def _values(lines: IO[str], tick: Callable[[], None]) -> Iterator[tuple[int, Any]]:
    number, first = 0, ""
    for first in lines:
        number += 1
        if first.strip():
            break
    if first.lstrip().startswith("["):
        yield from _listed(first, number, lines, tick)
    elif first.strip():
        yield from _printed(first, number, lines, tick)


def _printed(
    first: str, number: int, lines: IO[str], tick: Callable[[], None]
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
                elif not pending[0].startswith("{"):
                    yield began, Broken("is no JSON")
                    pending = []
        number += 1
        if not number % 1_000:
            tick()
        line = lines.readline()
    if pending:
        yield began, Broken("is no JSON")


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _listed(
    first: str, number: int, lines: IO[str], tick: Callable[[], None]
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
        if ended:
            yield number, Broken("is no JSON, or cut off: nothing behind it was read")
            return
        more = lines.read(max(_CHUNK, len(buffer) - place))
        tick()
        buffer, place, ended = buffer[place:] + more, 0, not more
