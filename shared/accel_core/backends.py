"""Which backends fail, and which rest: an event for every failure, and a breaker for the encoder.

An index has none: it is in this process, and what it fails at costs nobody time. A shared store has
its own (`drive.remote`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.errors import in_words
from accel_core.events import BackendFailed
from accel_core.policy.breaker import Breaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.ports import Observer


class Backends:
    """The encoder, the shared store and the index behind a cache, as they fare.

    Args:
        emit: receives an event for every failure.
        mono_now: monotonic clock, seconds.
    """

    def __init__(self, emit: Observer, mono_now: Callable[[], float]) -> None:
        self._emit, self._mono_now = emit, mono_now
        self._breakers = {"encoder": Breaker()}

    def allows(self, backend: str) -> bool:
        """Whether `backend` should be asked."""
        return self._breakers[backend].allows(self._mono_now())

    def succeeded(self, backend: str) -> None:
        """Note that `backend` answered."""
        self._breakers[backend].succeeded()

    def failed(self, backend: str, operation: str, error: Exception) -> None:
        """Note and report a failure."""
        if backend in self._breakers:
            self._breakers[backend].failed(self._mono_now())
        self._emit(BackendFailed(backend, operation, in_words(error)))
