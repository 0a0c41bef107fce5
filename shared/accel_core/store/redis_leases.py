"""The leases that this process holds on a Redis server: renewed while they are, and ended.

One thread renews them while there are some, and tells the server which are over; it is told by a
queue that may be written to from anywhere, while garbage is collected too. It is not woken for what
it need not do at once, since the caller would wait for the interpreter meanwhile; so it rests only
after a third of a lease in which there was nothing to do. What it cannot tell the server is an
event; such a lease ends by itself.
"""

from __future__ import annotations

import queue
import threading
import time
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from accel_core.errors import StoreError
from accel_core.forking import renewed_in_children
from accel_core.store.redis_flight_scripts import END, RENEW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from accel_core.leases import Lease
    from accel_core.ports import Entry
    from accel_core.store.redis_link import RedisLink
    from accel_core.store.redis_scripts import Script

_CLOSING_S = 2.0

_GATHERED_S = 0.005
"""How long what is to be told is gathered, so that one command ends many leases: by then the caller
has gone on, and need not share the interpreter. Who waits elsewhere hears so much later.
"""

_LANDING = 10_000
"""Leases remembered for saves that did not come yet, or failed: as many as a store is owed."""


class _Order(NamedTuple):
    """What the server is to be told about a lease; without one, ``look`` or ``close``."""

    what: Literal["over", "declined", "unheard", "look", "close"]
    lease: Lease | None = None


class RedisLeases:
    """Keeps leases.

    Args:
        link: the way to the server.
        named: returns the name of a flight's lease.
        lease_s: how long one lasts after it was taken or renewed.
        mono_now: monotonic clock, seconds.
        report: told of an operation, and why it failed.
    """

    def __init__(
        self,
        link: RedisLink,
        named: Callable[[bytes], str],
        *,
        lease_s: float,
        mono_now: Callable[[], float],
        report: Callable[[str, str], None],
    ) -> None:
        self._link, self._named, self.lease_s = link, named, lease_s
        self._mono_now, self._report = mono_now, report
        self._thread: threading.Thread | None
        self.after_fork()
        renewed_in_children(self)

    def hold(self, lease: Lease, until_s: float) -> None:
        """Renew `lease` until it is let go or ended, or the clock says `until_s`.

        Raises:
            StoreError: no thread is to be had; the lease ends by itself.
        """
        self._held[lease] = until_s
        if self._idle:  # else it looks by itself in time
            self._carry_out(_Order("look"))

    def give_up(self, lease: Lease) -> None:
        """End `lease` whose claim failed: it may have been taken all the same, or yet be.

        Raises:
            StoreError: no thread is to be had; the lease ends by itself.
        """
        self._carry_out(_Order("unheard", lease))

    def land(self, lease: Lease, entry: Entry) -> None:
        """Let the save of `entry` end `lease`.

        It is renewed for one more of its durations: where no save comes, it ends by itself.
        """
        which = _which(entry)
        # Of two made at the same instant the one counts that was asked for first.
        self._landing[which] = min(lease, self._landing.get(which, lease), key=attrgetter("mark"))
        # Beyond that, their saves were let go.
        for which in list(self._landing)[:-_LANDING]:
            self._landing.pop(which, None)
        until_s = self._held.get(lease)
        if until_s is not None:
            self._held[lease] = min(until_s, self._mono_now() + self.lease_s)

    def landing(self, entry: Entry) -> Lease | None:
        """Return the lease that the save of `entry` is to end.

        So it does when it is tried again, and the lease has long ended: its mark counts.
        """
        return self._landing.get(_which(entry))

    def landing_before(self, number: int) -> list[bytes]:
        """Return the keys of entries that wait for their save, asked for before an invalidation."""
        waiting = list(self._landing.values())
        return [lease.key for lease in waiting if lease.mark < number]

    def landed(self, entry: Entry) -> None:
        """Take note that the save of `entry` is done; the lease is renewed no longer."""
        lease = self._landing.pop(_which(entry), None)
        if lease is not None:
            self._held.pop(lease, None)

    def end(self, lease: Lease, *, declined: bool) -> None:
        """End `lease` and tell who waits, where this process holds it. Does not wait."""
        if self._held.pop(lease, None) is not None:
            self._orders.put(_Order("declined" if declined else "over", lease))

    def close(self) -> None:
        """End all leases held, within some seconds. Calling it again does nothing."""
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._orders.put(_Order("close"))
            thread.join(_CLOSING_S)

    def after_fork(self) -> None:
        """Hold none in a child process: they are its parent's."""
        self._starting, self._thread = threading.Lock(), None
        self._orders: queue.SimpleQueue[_Order] = queue.SimpleQueue()
        # Until when each is renewed; changed by single operations, which need no lock.
        self._held: dict[Lease, float] = {}
        self._idle = True
        self._landing: dict[tuple[bytes, float], Lease] = {}

    def _carry_out(self, order: _Order) -> None:
        """Have `order` carried out, by a thread that begins with the first."""
        self._orders.put(order)
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="accel-leases", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    raise StoreError("redis", "renew leases", str(error)) from error
                self._thread = thread

    def _run(self) -> None:
        renew_at_s, rests = self._mono_now() + self.lease_s / 3, False
        while True:
            orders = self._next(renew_at_s, rests=rests)
            if any(order.what == "close" for order in orders):
                self._idle = True
                self._end([*orders, *(_Order("over", lease) for lease in list(self._held))])
                return
            self._end(orders)
            now_s = self._mono_now()
            if self._idle or now_s >= renew_at_s:
                renew_at_s = now_s + self.lease_s / 3
                if not self._idle:
                    self._drop_late(now_s)
                    self._renew(list(self._held))
                rests = not self._held

    def _next(self, renew_at_s: float, *, rests: bool) -> list[_Order]:
        """Wait for orders and return them, in order; none where it is time to renew.

        With nothing to renew it `rests`: whoever holds a lease then has to wake it.
        """
        # So that whoever holds one now either is seen here or sees that.
        self._idle = rests
        self._idle = rests and not self._held
        timeout_s = None if self._idle else max(0.0, renew_at_s - self._mono_now())
        orders: list[_Order] = []
        try:
            orders.append(self._orders.get(timeout=timeout_s))
            time.sleep(_GATHERED_S)
            while True:
                orders.append(self._orders.get_nowait())
        except queue.Empty:
            return orders

    def _drop_late(self, now_s: float) -> None:
        """Leave alone those that were held as long as they may be."""
        for lease, until_s in list(self._held.items()):
            if until_s <= now_s:
                self._held.pop(lease, None)

    def _end(self, orders: Iterable[_Order]) -> None:
        told = [(order.lease, order.what) for order in orders if order.lease is not None]
        if told:
            arguments = [part for lease, how in told for part in (lease.token, how)]
            self._tell("end leases", END, [lease for lease, _ in told], arguments)

    def _renew(self, leases: list[Lease]) -> None:
        if leases:
            self._tell("renew leases", RENEW, leases, [lease.token for lease in leases])

    def _tell(
        self, operation: str, script: Script, leases: list[Lease], arguments: list[Any]
    ) -> None:
        try:
            names = [self._named(lease.name) for lease in leases]
            lease_ms = int(self.lease_s * 1000)
            self._link.ask_at_length(operation, script, names, lease_ms, *arguments)
        except Exception as error:  # whatever it is, the thread must live on
            self._report(operation, str(error))


def _which(entry: Entry) -> tuple[bytes, float]:
    """Tell `entry` from another one under its key; with its vector it is the same."""
    return entry.key, entry.created_s
