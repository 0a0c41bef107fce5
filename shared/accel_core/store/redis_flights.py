"""Single flight among processes, over leases on a Redis server.

A claim is one script, hence one round trip: it returns the entry that is there by now, or takes the
lease, or lines this process up with who waits. Who has the lease ends it, mostly with the save of
its entry, and the same script tells those who wait; where its process died the lease expires.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import count
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from accel_core.forking import renewed_in_children
from accel_core.leases import Lease
from accel_core.store.redis_flight_scripts import CLAIM, OUTDATE
from accel_core.store.redis_inbox import RedisInbox, Waiter
from accel_core.store.redis_leases import RedisLeases
from accel_core.store.redis_outdated import RedisOutdated
from accel_core.store.redis_rows import Row
from accel_core.store.redis_scripts import expires_ms
from accel_core.store.redis_search import Claim
from accel_core.store.redis_selection import meaning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from accel_core.leases import Landing, Wanted
    from accel_core.ports import Entry, Selector
    from accel_core.store.redis_link import RedisLink
    from accel_core.store.redis_scripts import Names
    from accel_core.store.redis_search import Rows

_ROUNDED = 0.01
"""How far a cosine by the server's own vectors may be from that by an entry's."""

LEASE_S = 3.0
"""How long a lease lasts after its process died; it is renewed every third of it until then."""


class RedisFlights:
    """`SharedFlights` on a server.

    Args:
        link: the way to it.
        names: what is kept there.
        read: returns the entries that rows are, without those that are none.
        report: told of an operation in the background, and why it failed.
        mono_now: monotonic clock, seconds.
        lease_s: how long a lease lasts after it was taken or renewed.
    """

    def __init__(
        self,
        link: RedisLink,
        names: Names,
        *,
        read: Callable[[Iterable[Row]], list[Entry]],
        report: Callable[[str, str], None],
        mono_now: Callable[[], float],
        lease_s: float = LEASE_S,
    ) -> None:
        self._link, self._names, self._read = link, names, read
        self._mono_now, self._lease_ms = mono_now, int(lease_s * 1000)
        self._inbox = RedisInbox(link.subscribe, names.waiting, mono_now)
        self._invalidations = RedisOutdated()
        self._leases = RedisLeases(
            link, names.flight, lease_s=lease_s, mono_now=mono_now, report=report
        )
        self.after_fork()
        renewed_in_children(self)

    def claim(
        self, name: bytes, key: bytes, at_most_s: float, passed_over: Entry | None = None
    ) -> Lease | Entry | Landing:
        """Return the entry under `key`, the lease of `name`, or when to claim again.

        One round trip; where nobody else of this process waits, who has to wait needs some more.

        Raises:
            StoreError: the server could not be asked, or did not answer in time.
        """
        waiter = Waiter(self._names.flight(name))
        lease = Lease(name, key, self._token(), 0)
        with self._heard(lease, waiter):
            claimed = self._claimed(lease, waiter, passed_over)
        if isinstance(claimed, float):
            waiter.until_s = claimed
            return waiter.future
        waiter.future.cancel()
        if isinstance(claimed, Lease):
            self._leases.hold(claimed, self._mono_now() + at_most_s)
        return claimed

    def claim_by(
        self, find: Callable[..., Rows], wanted: Wanted | None
    ) -> tuple[Rows, Lease | Landing | None]:
        """Return what `find` found, and what it claimed where that was nothing to be served.

        Args:
            find: searches, and takes its `claim`.
            wanted: what is to be claimed; None: nothing.

        Raises:
            StoreError: what `find` raised.
        """
        if wanted is None:
            return find(claim=Claim()), None
        name = self._names.flight(wanted.name)
        waiter, lease = Waiter(name), Lease(wanted.name, wanted.key, self._token(), 0)
        channel, below = self._inbox.line_up(waiter), wanted.below - _ROUNDED
        with self._heard(lease, waiter):
            claim = Claim(name, wanted.key, lease.token, channel, self._lease_ms, below)
            rows = find(claim=claim)
        what, *rest = rows.claimed or [b""]
        if what == b"led" and channel:
            waiter.until_s = self._mono_now() + int(rest[0]) / 1000
            return rows, waiter.future
        waiter.future.cancel()
        if what != b"lease":
            return rows, None
        lease = lease._replace(mark=int(rest[0]))
        self._leases.hold(lease, self._mono_now() + wanted.at_most_s)
        return rows, lease

    def mark(self) -> int:
        """Return the number of the last invalidation that was heard of."""
        return self._invalidations.last

    def outdated(self, mark: int, entry: Entry) -> bool:
        """Whether an invalidation after `mark`, of which was heard, may mean `entry`."""
        return self._invalidations.means(mark, entry)

    def hear(self, last: int, records: Sequence[bytes]) -> list[bytes]:
        """Take note of invalidations after `mark`; return the keys of what they leave in doubt.

        Those are of entries that wait for their save, which will be refused where they are meant.
        """
        if not self._invalidations.hear(last, records):
            return []
        return self._leases.landing_before(last)

    def land(self, lease: Lease, entry: Entry) -> None:
        """Let the save of `entry` end `lease`. Where none comes, it ends by itself."""
        self._leases.land(lease, entry)

    def landing(self, entries: Iterable[Entry]) -> list[Lease | None]:
        """Return the lease that the save of each of `entries` is to end."""
        return [self._leases.landing(entry) for entry in entries]

    def spelled(self, lease: Lease | None) -> tuple[str, str, str]:
        """Return what a save tells its script: flight, token and mark, or nothing."""
        if lease is None:
            return "", "", ""
        return self._names.flight(lease.name), lease.token, str(lease.mark)

    def landed(self, entries: Iterable[Entry]) -> None:
        """Take note that `entries` were saved."""
        for entry in entries:
            self._leases.landed(entry)

    def end(self, lease: Lease, *, declined: bool) -> None:
        """End `lease` without an entry, soon. Does not wait."""
        self._leases.end(lease, declined=declined)

    def outdate(self, meant: Sequence[Selector]) -> None:
        """Let no entry be saved that any of `meant` means and whose lease was taken before.

        Raises:
            StoreError: the server could not be told.
        """
        names = [self._names.counter, self._names.outdated, self._names.news]
        for selector in meant:
            self._link.publish("invalidate", OUTDATE, names, meaning(selector))

    def close(self) -> None:
        """End what this process leads, and tell who waits in it to look again."""
        self._inbox.close()
        self._leases.close()

    def after_fork(self) -> None:
        """Tell a child process's leases from its parent's."""
        self._process, self._numbers = token_hex(8), count()

    def _token(self) -> str:
        """Return a token that no process gave before: chance for each costs a system call."""
        return f"{self._process}{next(self._numbers):x}"

    @contextmanager
    def _heard(self, lease: Lease, waiter: Waiter) -> Iterator[None]:
        """Claim `lease` within; where that fails nobody is left to wait, nor for it."""
        try:
            yield
        except BaseException:
            waiter.future.cancel()
            self._leases.give_up(lease)
            raise

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
            for entry in self._read([Row(lease.key, rest[0])]):
                return entry
            channel = channel or self._inbox.listen(waiter)
            what, *rest = self._ask(lease, channel, rest[1])
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
            *(self._lease_ms, refused),
        )
        return claimed
