"""What is made anew in the background, while it is still served.

Invariants: a wave of entries that are due is renewed some at a time, so that it costs neither a
thread for each nor the retriever's breath; whatever becomes of a renewal (it fails, is cancelled
before it begins, or cannot begin), its flight lands, and its caller is served all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core import events
from accel_core.drive.flight import FAILED
from accel_core.drive.work import work_on

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from accel_core.drive.flight import Flight, FlightTable
    from accel_core.ports import Io, Observer


_AT_ONCE = 32
"""Renewals under way; what is due beyond that is served, and renewed when it is asked for again."""


class Renewals:
    """Begins renewals.

    Args:
        flights: the single-flight table.
        emit: receives failures.
    """

    def __init__(self, flights: FlightTable, emit: Observer) -> None:
        self._flights, self._emit = flights, emit
        # Whoever renews in the background leads nothing that the caller could wait in.
        self._owner = object()

    def claim(self, key: bytes, mark: int) -> tuple[Flight | None, bool]:
        """Return the flight under `key`, and whether the caller is to renew in the background."""
        if self._flights.led_by(self._owner) >= _AT_ONCE:
            return None, False
        return self._flights.claim(key, self._owner, mark)

    def begin(self, io: Io, flight: Flight | None, renew: Callable[[], Awaitable[None]]) -> None:
        """Carry out `renew` while the caller goes on, and land `flight` when it ended."""

        def ended() -> None:
            if flight is not None:
                self._flights.land(flight, FAILED)

        flow = self._reported(renew)
        try:
            io.spawn(flow, ended)
        except RuntimeError as error:  # no thread is to be had
            flow.close()
            ended()
            self._failed(error)

    async def _reported(self, renew: Callable[[], Awaitable[None]]) -> None:
        work_on(None)
        try:
            await renew()
        except Exception as error:  # nobody waits for it: who asks next meets it
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._emit(events.BackendFailed("retriever", "renew", type(error).__name__))
