"""What tools see of a store and lookups never do: bytes that are not served, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from accel_core.ports import Store

if TYPE_CHECKING:
    from collections.abc import Collection

    from accel_core.ports import Entry


class Stored(NamedTuple):
    """What a store keeps under a key.

    Attributes:
        found: the entry, or why the bytes are none: ``format``, ``version``, ``seal``, or ``key``
            for an entry that belongs elsewhere.
        sealed: whether the bytes carry a code.
        size_bytes: how many they are.
    """

    found: Entry | str
    sealed: bool
    size_bytes: int


@runtime_checkable
class InspectableStore(Store, Protocol):
    """A store that also tells of bytes which it does not serve."""

    def inspect(self, keys: Collection[bytes]) -> dict[bytes, Stored]:
        """Return what is kept under `keys` by their key, readable or not, and no event."""
