"""Files that only their owner may read, and that are replaced whole or not at all."""

from __future__ import annotations

import os
from secrets import token_hex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_MODE = 0o600
_AS_IS = getattr(os, "O_BINARY", 0)
"""Where the platform would write other line ends than it was given."""


def append(path: Path, data: bytes) -> None:
    """Append `data` to the file at `path` in one go; it is made, with its folder, where missing."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(path, os.O_APPEND, data)


def replace(path: Path, data: bytes) -> os.stat_result:
    """Put a file of `data` at `path`: whoever reads finds the one before or all of this one.

    Returns:
        What the file system says of the new file, whoever may have replaced it since.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{token_hex(8)}.new")
    try:
        _write(partial, os.O_EXCL, data)
        status = partial.stat()
        partial.replace(path)
        return status
    finally:
        partial.unlink(missing_ok=True)


def _write(path: Path, how: int, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | _AS_IS | how, _MODE), "wb", 0) as file:
        while data:
            data = data[file.write(data) :]
