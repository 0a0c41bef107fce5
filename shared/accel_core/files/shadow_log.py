"""The shadow log: one line for every comparison, appended to a file that its reader may take away.

It holds questions in plain text, which are the users' own: it is written only where it is asked
for, is readable for its owner alone, holds no answer, and is covered by `Accel.forget`.

Every line is written whole by one append, so several processes may share the file, and no process
keeps it open, so it may be moved or removed at any time. Beyond `max_bytes` it becomes the older
one of two files, and what the older one held is gone. Where two processes do that, or one forgets,
at the very moment at which another appends, lines may be lost; no line is ever torn.

Invariant: a file that cannot be written costs an event, never an answer; only `forget` raises, for
whoever asks for removal must know that it did not happen.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accel_core.errors import StoreError
from accel_core.events import BackendFailed
from accel_core.files import private

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from accel_core.policy.compared import Compared
    from accel_core.ports import Observer, Selector

_MAX_BYTES = 16 << 20
"""Of each of the two files: some 40,000 comparisons."""


class ShadowLog:
    """Appends comparisons to a file.

    Args:
        path: the file; the older one has ``.1`` before its suffix.
        emit: told when the file cannot be written.
        max_bytes: from where on the file becomes the older one.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, emit: Observer, max_bytes: int = _MAX_BYTES
    ) -> None:
        self.path = Path(path).absolute()
        self.older = self.path.with_name(f"{self.path.stem}.1{self.path.suffix}")
        self._emit, self._max_bytes = emit, max_bytes
        self._lock = threading.Lock()

    def append(self, compared: Compared) -> None:
        """Write one line; blocks for as long as the disk takes."""
        # In ASCII, because a text may hold halves of characters that UTF-8 cannot say.
        line = f"{json.dumps(compared.to_json(), separators=(',', ':'))}\n".encode()
        try:
            with self._lock:
                if self._size() + len(line) > self._max_bytes:
                    self.path.replace(self.older)
                private.append(self.path, line)
        except OSError as error:
            self._emit(BackendFailed("shadow_log", "append", f"{self.path}: {error}"))

    def forget(self, meant: Sequence[Selector]) -> None:
        """Remove the lines in which either question is meant.

        Raises:
            StoreError: a file could not be read or replaced, so lines may still be there.
        """
        try:
            with self._lock:
                for path in (self.older, self.path):
                    _forget(path, meant)
        except OSError as error:
            raise StoreError("shadow_log", "forget", f"{self.path}: {error}") from error

    def after_fork(self) -> None:
        """Use a lock of this process."""
        self._lock = threading.Lock()

    def _size(self) -> int:
        # Looked at each time: another process may have appended, or moved the file away.
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0


def _forget(path: Path, meant: Sequence[Selector]) -> None:
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return
    kept = [line for line in lines if not _is_meant(line, meant)]
    if len(kept) < len(lines):
        private.replace(path, b"".join(kept))


def _is_meant(line: bytes, meant: Sequence[Selector]) -> bool:
    """Whether either question of `line` may be meant; in doubt it is."""
    try:
        spelled = json.loads(line)
    except ValueError:
        return False
    return isinstance(spelled, dict) and any(_matches(selector, spelled) for selector in meant)


def _matches(selector: Selector, spelled: dict[str, Any]) -> bool:
    tenant, texts = selector.tenant, (spelled.get("a"), spelled.get("b"))
    return (
        (tenant is None or spelled.get("tenant") == tenant.hex())
        and (selector.namespace is None or spelled.get("namespace") == selector.namespace)
        and (selector.tag is None or selector.tag in spelled.get("tags", ()))
        and (selector.text is None or selector.text in texts)
    )
