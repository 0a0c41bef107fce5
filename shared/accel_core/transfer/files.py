"""Files of lines: written whole or not at all, for their owner only; read however damaged.

A name that ends in ``.zst`` is compressed as it is written (Zstandard, RFC 8878); what is read is
recognised by its first bytes.
"""

from __future__ import annotations

import io
import os
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import IO, TYPE_CHECKING, cast

from accel_core.errors import TransferFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE_BYTES = 1 << 29
"""A longer line is none of ours: a stored payload is half of that at most."""

_FRAME = bytes.fromhex("28b52ffd")
"""What a Zstandard frame begins with."""

_MODE = 0o600


class LinesOut:
    """Lines on their way into a file; `writing` makes it."""

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self._path, self._stream = path, stream

    def write(self, line: str) -> None:
        """Add a line.

        Raises:
            TransferFileError: there is no room, for example.
        """
        with _told(self._path, "cannot be written", "choose a place that can be written"):
            self._stream.write(line.encode() + b"\n")


@contextmanager
def writing(path: Path, *, replace: bool, dry_run: bool = False) -> Iterator[LinesOut]:
    """Give what writes the file at `path`, which is there once the block has ended.

    Args:
        path: where, in a folder that exists.
        replace: whether it may take the place of another file.
        dry_run: whether nothing is written.

    Raises:
        TransferFileError: it cannot be written, or is there already.
    """
    if path.exists() and not replace:
        raise TransferFileError(path, None, "exists", "choose another name, or pass --force")
    if dry_run:
        with Path(os.devnull).open("wb") as nowhere:
            yield LinesOut(path, nowhere)
        return
    partial = path.with_name(f".{path.name}.{token_hex(8)}.new")
    try:
        with _told(path, "cannot be written", "choose a place that can be written"):
            stream = _opened(partial, packed=path.suffix == ".zst")
        with stream:
            yield LinesOut(path, stream)
            with _told(path, "cannot be written", "choose a place that can be written"):
                stream.close()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class LinesIn:
    """The lines of a file, numbered from 1; `reading` makes it.

    Attributes:
        cut: whether the file ended in the midst of a line, or of what was compressed.
    """

    def __init__(self, path: Path, raw: IO[bytes], stream: IO[bytes]) -> None:
        self._path, self._raw, self._stream = path, raw, stream
        self._size_bytes = os.fstat(raw.fileno()).st_size
        self.cut = False

    @property
    def share(self) -> float:
        """How much of the file was read, in [0, 1]."""
        return min(1.0, self._raw.tell() / self._size_bytes) if self._size_bytes else 1.0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        number = 0
        while line := self._next():
            number += 1
            yield number, line

    def _next(self) -> bytes:
        """Return a line, or its beginning where it is too long; nothing at the end."""
        import zstandard

        try:
            with _told(self._path, "cannot be read", "check the disk"):
                line = rest = self._stream.readline(MAX_LINE_BYTES)
                while len(rest) == MAX_LINE_BYTES and not rest.endswith(b"\n"):
                    rest = self._stream.readline(MAX_LINE_BYTES)
        except zstandard.ZstdError:
            line = rest = b""
            self.cut = True
        self.cut = self.cut or (rest != b"" and not rest.endswith(b"\n"))
        return line


@contextmanager
def reading(path: Path) -> Iterator[LinesIn]:
    """Give the lines of the file at `path`.

    Raises:
        TransferFileError: it cannot be read.
    """
    with _told(path, "cannot be read", "check the path"):
        raw = path.open("rb")
    with raw:
        with _told(path, "cannot be read", "name a file"):
            packed = raw.read(len(_FRAME)) == _FRAME
            raw.seek(0)
        yield LinesIn(path, raw, _unpacked(raw) if packed else raw)


def _opened(path: Path, *, packed: bool) -> IO[bytes]:
    mode = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    stream: IO[bytes] = os.fdopen(os.open(path, mode, _MODE), "wb")
    if not packed:
        return stream
    import zstandard

    return cast(IO[bytes], zstandard.ZstdCompressor(level=3).stream_writer(stream))


def _unpacked(raw: IO[bytes]) -> IO[bytes]:
    import zstandard

    unpacked = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
    return io.BufferedReader(cast(io.RawIOBase, unpacked))


@contextmanager
def _told(path: Path, problem: str, remedy: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = f"{problem} ({error.strerror or error})"
        raise TransferFileError(path, None, reason, remedy) from error
