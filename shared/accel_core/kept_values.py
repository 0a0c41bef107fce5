"""Values by name, for the frameworks' own caches: what they compute, kept as they spelled it.

A space is whose values they are: kind of store, collection, tenant, namespace. It is one scope of
the entries, so names can be listed and nothing is found in another space.

Invariants: a value comes back byte for byte, in its time; a failing store makes reading a miss, and
removing an error, since whoever asks for removal must know that it did not happen.

Written once over `Io`; imports neither threads nor loops nor clocks.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from accel_core.drive import blocking
from accel_core.entries import entry_of
from accel_core.policy.identity import Turn
from accel_core.ports import Selector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from accel_core.policy.controls import Controls
    from accel_core.policy.expiry import TtlPolicy
    from accel_core.policy.identity import Identifier, Prompt, Request
    from accel_core.ports import Entry, Io
    from accel_core.tiers import Tiers

_LENGTH = Struct("<I")
"""Of the name, which precedes the value: an entry's text is stripped, a name may not be."""


class KeptValues:
    """Named byte strings, in the tiers of `EmbeddingCache`.

    Every method takes a space: a `Prompt` without turns.

    Args:
        tiers: hold the entries, in memory and in a store behind it.
        ttl: lifetime of values.
        identifier: names entries.
        colours: the blocking and the asyncio `Io`.
        wall_now: wall clock, seconds since the epoch.
        chance: uniform dice in [0, 1), for TTL jitter.
    """

    def __init__(
        self,
        tiers: Tiers,
        ttl: TtlPolicy,
        identifier: Identifier,
        *,
        colours: tuple[Io, Io],
        wall_now: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._tiers, self._ttl, self._identifier = tiers, ttl, identifier
        self._blocking, self._aio = colours
        self._wall_now, self._chance = wall_now, chance

    def get(self, space: Prompt, names: Sequence[str]) -> list[bytes | None]:
        """Return the value under each of `names`, None where there is none."""
        return blocking.run(self._get(self._blocking, space, names))

    async def aget(self, space: Prompt, names: Sequence[str]) -> list[bytes | None]:
        """Async form of `get`."""
        return await self._get(self._aio, space, names)

    def put(
        self,
        space: Prompt,
        values: Iterable[tuple[str, bytes]],
        controls: Controls,
        ttl_s: float | None = None,
    ) -> None:
        """Keep `values` under their names, for `ttl_s` at most; returns at once, on a loop too."""
        for name, value in values:
            request = self._request(space, name)
            spelled = name.encode("utf-8", "surrogatepass")
            entry = entry_of(
                request,
                _LENGTH.pack(len(spelled)) + spelled + value,
                created_s=self._wall_now(),
                lifetime_s=self._ttl.lifetime_s(self._chance(), ttl_s),
                tags=controls.user_tags,
            )
            self._tiers.keep(entry, None)

    def remove(self, space: Prompt, names: Sequence[str]) -> list[bool]:
        """Remove the values under `names`; return which were there.

        Raises:
            StoreError: the store failed, so they may still be there.
        """
        return blocking.run(self._remove(self._blocking, space, names))

    async def aremove(self, space: Prompt, names: Sequence[str]) -> list[bool]:
        """Async form of `remove`."""
        return await self._remove(self._aio, space, names)

    def names(self, space: Prompt) -> list[str]:
        """Return the names of all values in `space`, sorted.

        Raises:
            StoreError: the store failed.
        """
        return blocking.run(self._names(self._blocking, space))

    async def anames(self, space: Prompt) -> list[str]:
        """Async form of `names`."""
        return await self._names(self._aio, space)

    async def _get(self, io: Io, space: Prompt, names: Sequence[str]) -> list[bytes | None]:
        requests = [self._request(space, name) for name in names]
        await self._tiers.catch_up(io)
        found = await self._found(io, [(r.key, *r.aliases) for r in requests])
        return [None if entry is None else _split(entry)[1] for entry in found]

    async def _remove(self, io: Io, space: Prompt, names: Sequence[str]) -> list[bool]:
        requests = [self._request(space, name) for name in names]
        keys = [(request.key, *request.aliases) for request in requests]
        await self._tiers.catch_up(io)
        # What is queued is written first, or it would be there again.
        await io.call(self._tiers.flush)
        there = [entry is not None for entry in await self._found(io, keys)]
        await self._tiers.remove(io, [key for under in keys for key in under])
        return there

    async def _names(self, io: Io, space: Prompt) -> list[str]:
        await self._tiers.catch_up(io)
        keys = await self._tiers.select(io, Selector(scope=self._request(space, "").scope))
        found = await self._found(io, [(key,) for key in keys])
        return sorted(_split(entry)[0] for entry in found if entry is not None)

    async def _found(self, io: Io, keys: Sequence[tuple[bytes, ...]]) -> list[Entry | None]:
        """Return the entry in its time under each of `keys`, of which the first found counts."""
        near = [self._tiers.near(under[0]) for under in keys]
        if self._tiers.shared and None in near:
            near = await io.call(self._sought, keys)
        now = self._wall_now()
        return [entry if entry is not None and entry.expires_s > now else None for entry in near]

    def _sought(self, keys: Sequence[tuple[bytes, ...]]) -> list[Entry | None]:
        """Look in the store, too; blocks."""

        def one(under: tuple[bytes, ...]) -> Entry | None:
            found = (blocking.run(self._tiers.find(self._blocking, key)) for key in under)
            return next((entry for entry in found if entry is not None), None)

        return [one(under) for under in keys]

    def _request(self, space: Prompt, name: str) -> Request:
        return self._identifier.identify(space._replace(turns=(Turn("user", (name,)),)))


def _split(entry: Entry) -> tuple[str, bytes]:
    """Return name and value of what `put` kept; nothing else is in a space's scope."""
    (length,) = _LENGTH.unpack_from(entry.payload)
    end = _LENGTH.size + length
    name = entry.payload[_LENGTH.size : end].decode("utf-8", "surrogatepass")
    return name, entry.payload[end:]
