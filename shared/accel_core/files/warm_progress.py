"""What a warm-up has asked already, so that it goes on where it was interrupted.

The first line names the format and holds a salt; each further one is the salted digest of a
question that was answered, appended in one write. No question can be read from it, and none of a
guessable kind be looked up without trying each under this file's salt.

Invariant: a question is on record once it was answered, whatever ends the process afterwards. A
torn last line is a question that is asked again.
"""

from __future__ import annotations

import secrets
import threading
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from accel_core.errors import StoreError
from accel_core.files import private

if TYPE_CHECKING:
    import os

_HEADER = b"accel-warm 1 "
_SALT_BYTES = 16
_DIGEST_BYTES = 16


class WarmProgress:
    """The record of one warm-up. Safe to use from several threads.

    Args:
        path: the file; None keeps the record in memory only.

    Raises:
        StoreError: the file cannot be read, or is something else.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._path = None if path is None else Path(path).absolute()
        self._salt = secrets.token_bytes(_SALT_BYTES)
        self._done: set[bytes] = set()
        self._torn = False
        self._lock = threading.Lock()
        if self._path is not None:
            try:
                self._read(self._path, self._path.read_bytes())
            except FileNotFoundError:
                pass
            except OSError as error:
                raise StoreError(
                    "warm-up", "read its progress", f"{self._path}: {error}"
                ) from error

    def __contains__(self, question: str) -> bool:
        return self._digest(question) in self._done

    def __len__(self) -> int:
        return len(self._done)

    def add(self, question: str) -> None:
        """Record that `question` was answered; blocks for as long as the disk takes.

        Raises:
            StoreError: the file cannot be written.
        """
        digest = self._digest(question)
        with self._lock:
            if self._path is not None:
                try:
                    self._append(self._path, digest)
                except OSError as error:
                    detail = f"{self._path}: {error}"
                    raise StoreError("warm-up", "write its progress", detail) from error
            self._done.add(digest)

    def finish(self) -> None:
        """Remove the file: the next warm-up asks everything again.

        Raises:
            StoreError: it cannot be removed.
        """
        with self._lock:
            if self._path is not None:
                try:
                    self._path.unlink(missing_ok=True)
                except OSError as error:
                    detail = f"{self._path}: {error}"
                    raise StoreError("warm-up", "remove its progress", detail) from error
            self._done.clear()

    def _append(self, path: Path, digest: bytes) -> None:
        if not path.exists():
            lines = (self._salt, *self._done)
            private.replace(path, _HEADER + b"".join(line.hex().encode() + b"\n" for line in lines))
        # What another run left torn must not swallow this line.
        private.append(path, (b"\n" if self._torn else b"") + digest.hex().encode() + b"\n")
        self._torn = False

    def _read(self, path: Path, written: bytes) -> None:
        header, _, rest = written.partition(b"\n")
        try:
            if not header.startswith(_HEADER):
                raise ValueError("another first line")
            self._salt = bytes.fromhex(header[len(_HEADER) :].decode())
        except ValueError as error:
            detail = f"{path} is no progress of a warm-up: name another file, or remove it"
            raise StoreError("warm-up", "read its progress", detail) from error
        self._torn = not written.endswith(b"\n")
        for line in rest.split(b"\n"):
            if len(line) == 2 * _DIGEST_BYTES:
                self._done.add(bytes.fromhex(line.decode()))

    def _digest(self, question: str) -> bytes:
        spelled = question.encode("utf-8", "surrogatepass")
        return blake2b(spelled, digest_size=_DIGEST_BYTES, key=self._salt).digest()
