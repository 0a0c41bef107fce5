"""What of a stored retrieval is served, and how: it is fresh, due to be made anew, or over.

Invariant: nothing is served past its time, nor where what it rests on has changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.retrieval import Recalled

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core import events
    from accel_core.policy.freshness import Freshness, Phase
    from accel_core.ports import Entry
    from accel_core.retrieval import Sought


class Phases:
    """Judges entries.

    Args:
        freshness: lifetimes.
        wall_now: wall clock, seconds since the epoch.
        chance: uniform dice in [0, 1).
        drop: removes an entry that will never be served again.
    """

    def __init__(
        self,
        freshness: Freshness,
        wall_now: Callable[[], float],
        chance: Callable[[], float],
        drop: Callable[[Entry], None],
    ) -> None:
        self._freshness, self._wall_now, self._chance = freshness, wall_now, chance
        self._drop = drop

    def valid(self, entry: Entry | None, sought: Sought) -> Entry | None:
        """Return `entry` if it may be served to this lookup in some phase."""
        if entry is None or entry.expires_s <= self._wall_now() or not sought.holds(entry):
            return None
        return entry

    def serves(self, entry: Entry, sought: Sought) -> bool:
        """Whether `entry` may be served by meaning; drops it when it never will again."""
        now_s = self._wall_now()
        if entry.expires_s <= now_s or sought.outlived(entry):
            self._drop(entry)
            return False
        fresh = entry.fresh_until_s is not None and entry.fresh_until_s > now_s
        return fresh and entry.scope == sought.ask.request.scope and sought.holds(entry)

    def phase(self, entry: Entry) -> Phase:
        """Return the phase that `entry` is in; by dice, so ask once."""
        until_s = entry.expires_s if entry.fresh_until_s is None else entry.fresh_until_s
        return self._freshness.phase(until_s, self._wall_now(), entry.cost_s, self._chance())

    def timely(self, entry: Entry | None) -> Recalled | None:
        """Return how `entry` is served for the very question, if it is."""
        phase = "over" if entry is None else self.phase(entry)
        if entry is None or phase not in {"fresh", "due"}:
            return None
        return self.hit(entry, stale="" if phase == "fresh" else "renewing")

    def hit(
        self, entry: Entry, tier: events.Tier = "exact", similarity: float = 1.0, *, stale: str = ""
    ) -> Recalled:
        """Return `entry` as it is served."""
        return Recalled(entry, tier, similarity, self._wall_now() - entry.created_s, stale)
