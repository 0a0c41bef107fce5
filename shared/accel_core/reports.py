"""Somebody says that a hit was wrong: demote its entry, never erase it.

An entry whose last hit was served under a bound is demoted by `Guarantee.report_wrong`. Any other
is served exactly only from then on, until it is stored anew: without a bound there is nothing to
weigh a report against, and an exact hit that is wrong should not spread by meaning.

Reports are a client's word, so they reach its own tenant's entries only, and so many a minute.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from accel_core.drive import blocking
from accel_core.events import HitReported
from accel_core.policy.quota import Quota

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from accel_core.drive.invalidations import Invalidations
    from accel_core.learning import Learning
    from accel_core.ports import Io, Observer
    from accel_core.tiers import Tiers

_MOST = 10
_PER_S = 60.0


class Reports:
    """Takes reports of wrong hits.

    Args:
        tiers: hold the entries.
        invalidations: what they removed is not kept again.
        learning: demotes what was served under a bound.
        colours: the blocking and the asyncio `Io`.
        emit: told of every report that counts.
        mono_now: monotonic clock, seconds.
    """

    def __init__(
        self,
        tiers: Tiers,
        invalidations: Invalidations,
        learning: Learning,
        *,
        colours: tuple[Io, Io],
        emit: Observer,
        mono_now: Callable[[], float],
    ) -> None:
        self._tiers, self._invalidations, self._learning = tiers, invalidations, learning
        self._blocking, self._aio = colours
        self._emit, self._mono_now = emit, mono_now
        self._quota = Quota(_MOST, _PER_S)

    def wrong(self, key: bytes, tenants: Sequence[bytes]) -> bool:
        """Demote the entry under `key`; False where nothing was done.

        Args:
            key: of the entry.
            tenants: digests of the one who reports, the current one first.
        """
        return blocking.run(self._wrong(self._blocking, key, tenants))

    async def awrong(self, key: bytes, tenants: Sequence[bytes]) -> bool:
        """Async form of `wrong`."""
        return await self._wrong(self._aio, key, tenants)

    async def _wrong(self, io: Io, key: bytes, tenants: Sequence[bytes]) -> bool:
        if not self._quota.allows(tenants[0], self._mono_now()):
            return False
        demoted = await self._demoted(io, key, tenants)
        self._emit(HitReported(key.hex(), demoted))
        return demoted

    async def _demoted(self, io: Io, key: bytes, tenants: Sequence[bytes]) -> bool:
        mark = self._invalidations.mark
        entry = await self._tiers.find(io, key)
        if entry is None or entry.tenant not in tenants:
            return False
        if self._learning.demote(entry):
            return True
        kept = replace(entry, semantic=False, encoder="", vector=None)
        self._tiers.keep(kept, None)
        self._tiers.forget_place(entry.scope, key)
        # After keeping, so that an invalidation is either seen here or sees the entry.
        if self._invalidations.since(mark, kept):
            self._tiers.drop(kept)
        return True
