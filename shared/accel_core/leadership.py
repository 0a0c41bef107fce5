"""Who leads a flight, among all processes that share the store.

A process's own leader, when it found nothing anywhere, claims the lease that the processes share.
Where another one holds it, it waits for that to end, and its followers wait with it. Where the
store fails, or is far, everybody leads at home.

Invariants: whoever leads another flight, or runs a loop that it would block, never waits here;
nobody waits longer than the lease of the flight at home; what the store does costs a call one
lookup's deadline, and then its breaker keeps calls off it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from accel_core.drive.flight import Claiming, Flight
from accel_core.leases import Lease
from accel_core.ports import Entry
from accel_core.recording import timed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from accel_core.drive.flight import FlightTable
    from accel_core.drive.invalidations import Invalidations
    from accel_core.leases import Landing, SharedFlights
    from accel_core.ports import Io, Selector
    from accel_core.tiers import Tiers

Elsewhere = Literal["declined", "led"]
"""What another process did about a flight: its answer may not be shared; or it leads, and the
caller does not wait for it."""


class Leadership:
    """Claims leases for leaders, and hands them over to what ends them.

    Args:
        flights: this process's own.
        shared: the leases; None: no other process takes part.
        tiers: asks the store that has them.
        invalidations: of this process.
    """

    def __init__(
        self,
        flights: FlightTable,
        shared: SharedFlights | None,
        tiers: Tiers,
        invalidations: Invalidations,
    ) -> None:
        self._flights, self._shared, self._tiers = flights, shared, tiers
        self._invalidations = invalidations

    async def take(
        self,
        io: Io,
        flight: Flight,
        key: bytes,
        serves: Callable[[Entry], bool],
        *,
        passed_over: Entry | None = None,
        waits: bool = True,
    ) -> Entry | Elsewhere | None:
        """Lead `flight` for all processes; or return what another one made, or did, instead.

        None: the caller makes the entry. It holds the lease then, unless the store failed or the
        time to wait is over.

        Args:
            io: the caller's colour.
            flight: led in this process.
            key: of the entry that it makes.
            serves: whether an entry serves the caller.
            passed_over: the entry under `key` that was found, and does not.
            waits: whether to wait for another process, where the caller may.
        """
        shared = self._shared
        while shared is not None and (left_s := self._flights.remaining_s(flight)) > 0:
            if flight.lease is not None:
                return None  # it was had with the search
            landing, flight.landing = flight.landing, None
            claimed: Lease | Entry | Landing | None = landing
            if claimed is None:
                claimed = await self._tiers.claim(
                    io, self._claim, shared, flight, key, left_s, passed_over
                )
            if claimed is None or isinstance(claimed, Lease):
                return None
            if isinstance(claimed, Entry):
                if serves(claimed):
                    return claimed
                if passed_over is not None and claimed.expires_s == passed_over.expires_s:
                    return None  # the store cannot pass it over: somebody changed it by hand
                passed_over = claimed
                continue
            if not (waits and io.may_wait() and self._flights.led_by(flight.owner) == 1):
                claimed.cancel()
                return "led"
            if await _declined(io, claimed, left_s):
                return "declined"
        return None

    def share(self, flight: Flight, key: bytes) -> None:
        """Let the search of a leader claim its lease, where it finds nothing to be served.

        Args:
            flight: led in this process.
            key: of the entry that it makes.
        """
        if self._shared is not None:
            flight.claiming = Claiming(self._flights, flight, key)

    def begin(self, flight: Flight) -> Flight:
        """Let `flight` know what was invalidated before its caller goes on; return it."""
        if self._shared is not None:
            leased = 0 if flight.lease is None else flight.lease.mark
            flight.known = max(self._shared.mark(), leased)
        return flight

    def alone(self, key: bytes, mark: int) -> Flight:
        """Return a flight that nobody follows: it says what its entry was asked for before.

        Args:
            key: of the flight.
            mark: the number of the last invalidation in this process when its caller began.
        """
        return Flight(key, None, 0.0, mark)

    def land(self, flight: Flight | None, entry: Entry) -> None:
        """Let the save of `entry`, which `flight` made, end its lease.

        Call it before keeping. Without a lease that save is still refused where another process has
        invalidated the entry since it was asked for.
        """
        if flight is not None and self._shared is not None:
            lease = self._flights.hand_over(flight)
            alone = Lease(flight.key, entry.key, "", flight.known)
            self._shared.land(lease or alone, entry)

    def outdated(self, flight: Flight, entry: Entry) -> bool:
        """Whether a process has, or may have, invalidated `entry` since `flight` asked for it.

        Of what others invalidated only what this process has heard of counts.
        """
        if self._invalidations.since(flight.mark, entry):
            return True
        return self._shared is not None and self._shared.outdated(flight.known, entry)

    async def outdate(self, io: Io, meant: Sequence[Selector]) -> None:
        """Let no process store what it was asked for before this, and any of `meant` means.

        Raises:
            Exception: the shared store failed, so that one may.
        """
        if self._shared is not None:
            await io.call(self._shared.outdate, meant)

    def _claim(
        self,
        shared: SharedFlights,
        flight: Flight,
        key: bytes,
        at_most_s: float,
        passed_over: Entry | None,
    ) -> Lease | Entry | Landing:
        """Claim the lease of `flight`; blocks.

        The flight takes it here, since who asked may be gone by the time that it is claimed.
        """
        claimed = shared.claim(flight.key, key, at_most_s, passed_over)
        if isinstance(claimed, Lease):
            self._flights.hold(flight, claimed)
        return claimed


async def _declined(io: Io, landing: Landing, timeout_s: float) -> bool:
    """Wait for another process's leader; return whether its answer may not be shared."""
    try:
        with timed("shared_s"):
            return await io.wait(landing, timeout_s)
    except TimeoutError:
        return False
