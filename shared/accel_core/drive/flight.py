"""Single flight: one computation per key in progress, whoever asks, from threads and tasks alike.

The first to claim a key leads; the others follow and wait for it to land. One table serves both
colours: every follower has a future of its own, on which a thread blocks and which a task awaits.

Invariants: whoever leads a flight never waits for another (two crossing callers could wait for each
other); nobody waits longer than `lease_s`; a cancelled follower harms nobody; a leader that
vanished is replaced when its lease ends. A flight led for other processes too holds their lease,
which ends with it, if it was not handed over to the save that ends it.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from accel_core.leases import Lease, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from accel_core.leases import Landing, SharedFlights

_IN_THE_AIR = object()


class Flight:
    """A computation in progress under `key`.

    Attributes:
        mark: the invalidation count when it began (`SemanticCache` compares it at storing).
        vector: the question's vector, once the leader has it, so that storing needs no encoder.
        ticket: what was explored, to be compared with the answer that the leader stores.
        lease: held for it among processes; `FlightTable` takes and gives it.
        claiming: how a search claims that, where it may.
        landing: when to claim that again, where another process was found to hold it.
        known: the last invalidation by any process, of which was heard, when it asked for an entry.
    """

    __slots__ = (
        "__weakref__", "_followers", "_outcome", "began_s", "claiming", "key", "known", "landing",
        "lease", "mark", "owner", "ticket", "vector",
    )  # fmt: skip

    def __init__(self, key: bytes, owner: Hashable, began_s: float, mark: int) -> None:
        self.key, self.owner, self.began_s, self.mark = key, owner, began_s, mark
        self.vector: Any = None
        self.ticket: Any = None
        self.lease: Lease | None = None
        self.claiming: Claiming | None = None
        self.landing: Landing | None = None
        self.known = 0
        self._followers: list[Future[Any]] = []
        self._outcome: Any = _IN_THE_AIR

    @property
    def landed(self) -> bool:
        """Whether it has ended."""
        return self._outcome is not _IN_THE_AIR

    def follow(self) -> Future[Any]:
        """Return a future of the outcome, the caller's to wait for or to cancel."""
        future: Future[Any] = Future()
        # Lined up before looking, as `land` looks after landing: one of the two sees the other.
        self._followers.append(future)
        if self._outcome is not _IN_THE_AIR:
            self._tell(future)
        return future

    def land(self, outcome: Any) -> None:
        """Give every follower `outcome`. Landing again does nothing."""
        if self._outcome is _IN_THE_AIR:
            self._outcome = outcome
            for future in tuple(self._followers):
                self._tell(future)

    def _tell(self, future: Future[Any]) -> None:
        with suppress(InvalidStateError):  # cancelled, or told already
            future.set_result(self._outcome)


FAILED = object()
"""Landing of a leader without an answer: another follower should lead."""

DECLINED = object()
"""Landing of a leader whose answer may not be shared: every follower computes its own."""


class FlightTable:
    """The flights in progress.

    Args:
        lease_s: how long a leader may take before its followers stop waiting for it.
        mono_now: monotonic clock, seconds.
        shared: where leases of its flights among processes are ended; None: there are none.
    """

    def __init__(
        self,
        lease_s: float,
        mono_now: Callable[[], float],
        shared: SharedFlights | None = None,
    ) -> None:
        self.lease_s = lease_s
        self._mono_now, self._shared = mono_now, shared
        # Re-entrant: the garbage collector may close an abandoned stream, and so land its flight,
        # while this very thread holds the lock.
        self._lock = threading.RLock()
        self._flights: dict[bytes, Flight] = {}
        self._leading: dict[Hashable, int] = {}

    def claim(self, key: bytes, owner: Hashable, mark: int) -> tuple[Flight | None, bool]:
        """Return the flight under `key`, and whether the caller leads it.

        ``(None, False)`` tells a caller that leads another flight to compute alone.
        """
        now = self._mono_now()
        with self._lock:
            self._drop_expired(now)
            flight = self._flights.get(key)
            if flight is None:
                flight = self._flights[key] = Flight(key, owner, now, mark)
                self._leading[owner] = self._leading.get(owner, 0) + 1
                return flight, True
            if owner in self._leading:
                return None, False
            return flight, False

    def led_by(self, owner: Hashable) -> int:
        """Return how many flights `owner` leads; those past their lease do not count."""
        now = self._mono_now()
        with self._lock:
            self._drop_expired(now)
            return self._leading.get(owner, 0)

    def current(self, key: bytes) -> Flight | None:
        """Return the flight in progress under `key`."""
        return self._flights.get(key)

    def remaining_s(self, flight: Flight) -> float:
        """Return how long its followers should still wait."""
        return max(0.0, self.lease_s - (self._mono_now() - flight.began_s))

    def land(self, flight: Flight, outcome: Any) -> None:
        """End `flight`: followers wake with `outcome`. Landing it again does nothing."""
        with self._lock:
            if self._flights.get(flight.key) is flight:
                del self._flights[flight.key]
                self._leave(flight)
            flight.land(outcome)
        lease = self.hand_over(flight)
        if lease is not None:
            self._end(lease, declined=outcome is not FAILED)
        if flight.landing is not None:
            flight.landing.cancel()

    def hold(self, flight: Flight, lease: Lease) -> None:
        """Let `flight` hold `lease` until it lands, or not at all where it has landed."""
        with self._lock:
            if not flight.landed:
                flight.lease = lease
                return
        self._end(lease, declined=False)

    def hand_over(self, flight: Flight) -> Lease | None:
        """Take from `flight` the lease it holds, which is the caller's to end now."""
        with self._lock:
            lease, flight.lease = flight.lease, None
            return lease

    def _end(self, lease: Lease, *, declined: bool) -> None:
        if self._shared is not None:
            self._shared.end(lease, declined=declined)

    def _drop_expired(self, now_s: float) -> None:
        """Forget flights whose leader vanished; they stand in the order they began."""
        while self._flights:
            oldest = next(iter(self._flights.values()))
            if now_s - oldest.began_s < self.lease_s:
                return
            del self._flights[oldest.key]
            self._leave(oldest)

    def _leave(self, flight: Flight) -> None:
        left = self._leading[flight.owner] - 1
        if left:
            self._leading[flight.owner] = left
        else:
            del self._leading[flight.owner]

    def after_fork(self) -> None:
        """Forget the parent's flights: their leaders do not exist here."""
        self._lock = threading.RLock()
        self._flights.clear()
        self._leading.clear()

    def __len__(self) -> int:
        return len(self._flights)

    def __repr__(self) -> str:
        return f"FlightTable(in_progress={len(self)}, lease_s={self.lease_s})"


class Claiming:
    """How a search claims the lease of a flight, where it finds nothing that could be served.

    Args:
        flights: where it is led.
        flight: what is led.
        key: of the entry that it makes.
    """

    def __init__(self, flights: FlightTable, flight: Flight, key: bytes) -> None:
        self._flights, self._flight, self._key = flights, flight, key

    def wanted(self, below: float) -> Wanted | None:
        """Return what the store is asked for; None: there is no time left to lead.

        Args:
            below: cosine that the nearest entry must be below.
        """
        left_s = self._flights.remaining_s(self._flight)
        return Wanted(self._flight.key, self._key, left_s, below) if left_s > 0 else None

    def took(self, claimed: Lease | Landing) -> None:
        """Give the flight what was claimed; called where it was, for who asked may be gone."""
        if isinstance(claimed, Lease):
            self._flights.hold(self._flight, claimed)
        else:
            self._flight.landing = claimed
