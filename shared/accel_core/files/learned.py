"""The learned file: what outcomes have taught, for the next start and for other processes.

It holds counts, and digests of scopes and entries; no text. It belongs to the encoder, calibration,
verifier and bound under which it was learned: under others the same score means something else, or
speaks of other candidates, and what was proven of it would be served as proof.

Invariant: whatever is wrong with the file, learning starts cold, with an event. A file of a newer
format is left as it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accel_core.events import BackendFailed, LearnedIgnored
from accel_core.files import private

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from accel_core.ports import Observer

_FORMAT = 1


class LearnedFile:
    """One file, read at the start and replaced now and then.

    Args:
        path: the file.
        origin: under what it is learned; a file of another origin is not read.
        emit: told when it is left out, or cannot be read or written.
    """

    def __init__(
        self, path: str | os.PathLike[str], origin: Mapping[str, Any], *, emit: Observer
    ) -> None:
        self.path = Path(path).absolute()
        self._origin, self._emit = dict(origin), emit
        self._known: tuple[int, ...] | None = None
        self._newer = False

    def stirred(self) -> bool:
        """Whether somebody else has written the file since it was last read or written here."""
        try:
            return _stamp(self.path.stat()) != self._known
        except OSError:
            return False

    def read(self) -> Mapping[str, Any] | None:
        """Return what was written; None where there is nothing that may be used."""
        try:
            self._known = _stamp(self.path.stat())
            spelled = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            self._emit(BackendFailed("learned", "read", f"{self.path}: {error}"))
            return None
        except ValueError:
            return self._ignored("damaged")
        if not isinstance(spelled, dict) or not isinstance(spelled.get("format"), int):
            return self._ignored("damaged")
        self._newer = spelled["format"] > _FORMAT
        if spelled["format"] != _FORMAT:
            return self._ignored("format")
        for name, value in self._origin.items():
            if spelled.get(name) != value:
                return self._ignored(name)
        learned = spelled.get("learned")
        return learned if isinstance(learned, dict) else self._ignored("damaged")

    def write(self, learned: Mapping[str, Any]) -> None:
        """Replace the file."""
        if self._newer:
            return
        spelled = {"format": _FORMAT, **self._origin, "learned": learned}
        try:
            self._known = _stamp(private.replace(self.path, json.dumps(spelled).encode()))
        except OSError as error:
            self._emit(BackendFailed("learned", "write", f"{self.path}: {error}"))

    def damaged(self) -> None:
        """Say that what was read makes no sense, and is left out."""
        self._ignored("damaged")

    def _ignored(self, reason: str) -> Mapping[str, Any] | None:
        self._emit(LearnedIgnored(str(self.path), reason))
        return None


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    """Return what changes when a file is replaced."""
    return status.st_ino, status.st_mtime_ns, status.st_size
