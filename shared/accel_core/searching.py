"""The port of a shared store that searches by meaning itself, so that its readers hold no vectors.

By the rules of `ports`: it blocks, and raises what it likes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from accel_core.ports import SharedStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.leases import Landing, Lease, Wanted
    from accel_core.ports import Entry, Vector


class Nearby(NamedTuple):
    """What a searching store found in one question; entries come without their vectors.

    Attributes:
        exact: the entries under the keys that were asked for.
        near: the nearest entries of the scope with their cosines, in no order.
        claimed: the lease that was wanted, or when to claim it again, where it was asked for: then
            the nearest entry alone is among `near`.
    """

    exact: list[Entry]
    near: list[tuple[Entry, float]]
    claimed: Lease | Landing | None = None


@runtime_checkable
class SearchingStore(SharedStore, Protocol):
    """A shared store that may search by meaning."""

    def searches(self) -> bool:
        """Whether it does, as far as is known by now. Cheap."""

    def find(
        self,
        keys: Sequence[bytes],
        scope: bytes,
        encoder: str,
        vector: Vector | None,
        limit: int,
        *,
        spare: int = 0,
        beside: Sequence[bytes] = (),
        wanted: Wanted | None = None,
    ) -> Nearby:
        """Return the entries under `keys`, and those nearest to `vector`, in one round trip.

        Where the store does not search, the process has: then the entries under `beside` that are
        of the scope are the nearest.

        Args:
            keys: of which entries are wanted whatever their vectors.
            scope: no entry of another one is among the nearest.
            encoder: whose vectors are compared; none of another one is.
            vector: float32, of unit length; None: nothing is searched for.
            limit: how many of the nearest are wanted; there may be one more.
            spare: how many further ones; where something is `wanted`, if they may be near enough.
            beside: keys of what the process found nearest, the nearest first.
            wanted: the lease to take in the same round trip, where there is no entry under any of
                the keys, nor one so near; a store may leave that to its `claim`.
        """
