"""The port of single flight among processes: who makes which entry, and for how long.

By the rules of `ports`: a method either blocks or does not wait at all, and raises what it likes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from accel_core.ports import Entry, Selector

    Landing = Future[bool]
    """When to claim again: True says that the leader's answer may not be shared, and everybody
    makes his own. It ends with the lease at the latest; who waits no longer cancels it."""


class Lease(NamedTuple):
    """The right to make an entry for all processes that ask for it, until it ends.

    Attributes:
        name: of the flight that is led.
        key: of the entry to be made.
        token: tells this leader from any other; empty where the entry is made without one.
        mark: the number of the last invalidation when it was taken.
    """

    name: bytes
    key: bytes
    token: str
    mark: int


class Wanted(NamedTuple):
    """A lease that a search is to take where it finds nothing that could be served.

    Attributes:
        name: of the flight.
        key: of the entry that it makes.
        at_most_s: how long the lease may be renewed.
        below: cosine that the nearest entry must be below.
    """

    name: bytes
    key: bytes
    at_most_s: float
    below: float


@runtime_checkable
class SharedFlights(Protocol):
    """Who makes which entry, among the processes that share a store; the store implements it, too.

    A lease ends as its entry is saved, when it is ended, or soon after its process is gone: while
    that lives, it is renewed. At no moment is there neither the lease nor the entry saved for it.
    """

    def claim(
        self, name: bytes, key: bytes, at_most_s: float, passed_over: Entry | None = None
    ) -> Lease | Entry | Landing:
        """Return the entry under `key`; where there is none, the lease of `name`, now the caller's.

        Where another caller has that, return a future for when to claim again.

        Args:
            name: of the flight, for which there is one leader at a time.
            key: of the entry that it makes.
            at_most_s: how long the lease may be renewed.
            passed_over: the entry under `key` that does not serve the caller.
        """

    def land(self, lease: Lease, entry: Entry) -> None:
        """Let the save of `entry`, made with `lease`, end that, as one change. Does not wait.

        That save stores nothing, and tells those who wait to make their own, where `outdate` meant
        the entry after the lease was taken.
        """

    def end(self, lease: Lease, *, declined: bool) -> None:
        """End `lease` without an entry, soon; ended again, nothing happens. Does not wait.

        Args:
            lease: what ends.
            declined: whether everybody makes his own now; otherwise one of them leads.
        """

    def mark(self) -> int:
        """Return the number of the last invalidation that this process has heard of. Cheap.

        0: of none. It has heard of what was invalidated before it took over a store's `changes`.
        """

    def outdated(self, mark: int, entry: Entry) -> bool:
        """Whether one it has heard of since number `mark` means `entry`, or may have. Cheap."""

    def outdate(self, meant: Sequence[Selector]) -> None:
        """Let no entry be saved that any of `meant` means and whose lease was taken before."""
