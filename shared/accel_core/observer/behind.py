"""Work that is done behind the caller's back: in a thread, for many callers at once.

The thread lets work gather before it begins, so that a caller pays for an append and not for a
change of threads. It is started when it is first needed, and sleeps where there is nothing to do.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_GATHERING_S = 0.05


class Behind:
    """Calls `work` in a thread of its own, a moment after it was stirred.

    Args:
        name: of the thread.
        work: does what there is to do; must not raise.

    Attributes:
        stirred: whether it will look once more; what is put down while it is not must stir.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._name, self._work = name, work
        self._lock = threading.Lock()
        # Of this queue alone `put` may be called while garbage is collected in the midst of `get`:
        # streams end then, and with them requests.
        self._wanted: SimpleQueue[None] = SimpleQueue()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self.stirred = self._closed = False

    def stir(self) -> None:
        """Let the thread know that there is something to do."""
        self.stirred = True
        with self._lock:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        self._wanted.put(None)

    def hurry(self) -> None:
        """Let it begin now."""
        self._hurry.set()
        self.stir()

    def is_mine(self) -> bool:
        """Whether the caller is the thread itself."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """End the thread, after what it does just now."""
        self._closed = True
        self._hurry.set()
        self._wanted.put(None)

    def _run(self) -> None:
        while not self._closed:
            self._wanted.get()
            self._hurry.wait(_GATHERING_S)
            self._hurry.clear()
            # Before looking: what is put down after that stirs again.
            self.stirred = False
            self._work()
