"""Single flight among processes, over leases on a Redis server.

A claim is one script, hence one round trip: it returns the entry that is there by now, or takes the
lease, or lines this process up with who waits. Who has the lease ends it, mostly with the save of
its entry, and the same script tells those who wait; where its process died the lease expires.
"""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING, Any

from accel_core.leases import Lease
from accel_core.store.redis_flight_scripts import CLAIM, OUTDATE
from accel_core.store.redis_inbox import RedisInbox, Waiter
from accel_core.store.redis_leases import RedisLeases
from accel_core.store.redis_scripts import expires_ms
from accel_core.store.redis_search import Row
from accel_core.store.redis_selection import conditions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from accel_core.leases import Landing
    from accel_core.ports import Entry, Selector
    from accel_core.store.redis_link import RedisLink
    from accel_core.store.redis_scripts import Names

LEASE_S = 3.0
"""How long a lease lasts after its process died; it is renewed every third of it until then."""


class RedisFlights:
    """`SharedFlights` on a server.

    Args:
        link: the way to it.
        names: what is kept there.
        read: returns the entry that a row is; None: it is none.
        report: told of an operation in the background, and why it failed.
        mono_now: monotonic clock, seconds.
        lease_s: how long a lease lasts after it was taken or renewed.
    """

    def __init__(
        self,
        link: RedisLink,
        names: Names,
        *,
        read: Callable[[Row], Entry | None],
        report: Callable[[str, str], None],
        mono_now: Callable[[], float],
        lease_s: float = LEASE_S,
    ) -> None:
        self._link, self._names, self._read = link, names, read
        self._mono_now, self._lease_s = mono_now, lease_s
        self._inbox = RedisInbox(link.subscribe, names.waiting, mono_now)
        self.known: int | None = None
        """The last invalidation that a reader of changes met; set by the store."""
        self._leases = RedisLeases(
            link, names.flight, lease_s=lease_s, mono_now=mono_now, report=report
        )

    def claim(
        self, name: bytes, key: bytes, at_most_s: float, passed_over: Entry | None = None
    ) -> Lease | Entry | Landing:
        """Return the entry under `key`, the lease of `name`, or when to claim again.

        One round trip; where nobody else of this process waits, who has to wait needs some more.

        Raises:
            StoreError: the server could not be asked, or did not answer in time.
        """
        waiter = Waiter(self._names.flight(name))
        lease = Lease(name, key, token_hex(8), 0)
        try:
            claimed = self._claimed(lease, waiter, passed_over)
        except BaseException:
            waiter.future.cancel()
            raise
        if isinstance(claimed, float):
            waiter.until_s = claimed
            return waiter.future
        waiter.future.cancel()
        if isinstance(claimed, Lease):
            self._leases.hold(claimed, self._mono_now() + at_most_s)
        return claimed

    def mark(self) -> int | None:
        """Return the number of the last invalidation that was heard of."""
        return self.known

    def land(self, lease: Lease) -> None:
        """Let the next save of the lease's entry end it. Where none comes, it ends by itself."""
        self._leases.land(lease)

    def landing(self, keys: Iterable[bytes]) -> list[Lease | None]:
        """Return the lease that a save of each of `keys` is to end."""
        return [self._leases.landing(key) for key in keys]

    def spelled(self, lease: Lease | None) -> tuple[str, str, str]:
        """Return what a save tells its script: flight, token and mark, or nothing."""
        if lease is None:
            return "", "", ""
        return self._names.flight(lease.name), lease.token, str(lease.mark)

    def landed(self, leases: Iterable[Lease | None]) -> None:
        """Take note that the saves are done that were to end `leases`."""
        for lease in leases:
            if lease is not None:
                self._leases.landed(lease)

    def end(self, lease: Lease, *, declined: bool) -> None:
        """End `lease` without an entry, soon. Does not wait."""
        self._leases.end(lease, declined=declined)

    def outdate(self, meant: Sequence[Selector]) -> None:
        """Let no entry be saved that any of `meant` means and whose lease was taken before.

        Raises:
            StoreError: the server could not be told.
        """
        names = [self._names.counter, self._names.outdated]
        for selector in meant:
            meaning = (selector.key or b"", *conditions(selector))
            self._link.ask_at_length("invalidate", OUTDATE, names, *meaning)

    def close(self) -> None:
        """End what this process leads, and tell who waits in it to look again."""
        self._inbox.close()
        self._leases.close()

    def _claimed(
        self, lease: Lease, waiter: Waiter, passed_over: Entry | None
    ) -> Lease | Entry | float:
        """Return what was claimed; where another leads, the moment when its lease ends."""
        refused: object = "" if passed_over is None else expires_ms(passed_over)
        channel = self._inbox.line_up(waiter)
        what, *rest = self._ask(lease, channel, refused)
        if what == b"led" and not channel:
            # What was told before this was lost.
            channel = self._inbox.listen(waiter)
            what, *rest = self._ask(lease, channel, refused)
        while what == b"entry":
            entry = self._read(Row(lease.key, *rest[:2]))
            if entry is not None:
                return entry
            channel = channel or self._inbox.listen(waiter)
            what, *rest = self._ask(lease, channel, rest[2])
        if what == b"led":
            return self._mono_now() + int(rest[0]) / 1000
        return lease._replace(mark=int(rest[0]))

    def _ask(self, lease: Lease, channel: str, refused: object) -> list[Any]:
        names = self._names
        claimed: list[Any] = self._link.ask(
            "claim",
            CLAIM,
            [names.flight(lease.name), names.counter, names.expiry],
            *(names.entries, lease.key, lease.token, channel),
            *(int(self._lease_s * 1000), refused),
        )
        return claimed
