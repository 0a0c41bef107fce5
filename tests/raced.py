"""What tests of races share: how long nobody waits, and the end of threads that lost."""

from __future__ import annotations

import threading

WAIT_S = 20.0  # never reached by a test that passes
ONE_BY_ONE = (0.0, WAIT_S / 2)  # the standard path starts once the other has ended


def join_threads() -> None:
    """Let the threads of all races end; none may stay."""
    for thread in threading.enumerate():
        if thread.name == "accel-spawned":
            thread.join(WAIT_S)
            assert not thread.is_alive()
