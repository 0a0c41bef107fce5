"""What a child process does that was forked in the midst of something."""

from __future__ import annotations

import os
import signal
import threading
import traceback
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE_S = 20


def in_a_child(work: Callable[[], object], lock: threading.Lock) -> int:
    """Fork while another thread holds `lock`; return the child's exit status, 0 where `work` ended.

    A child that hangs is ended by a signal.
    """
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait(_PATIENCE_S)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(_PATIENCE_S)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(_PATIENCE_S // 2)
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    done.set()
    holder.join()
    return os.waitpid(child, 0)[1]
