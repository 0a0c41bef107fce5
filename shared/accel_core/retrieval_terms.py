"""The terms on which what was retrieved is kept and served: how long, how fresh, or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from accel_core.entries import entry_of
from accel_core.retrieval import Recalled

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.events import Tier
    from accel_core.policy.freshness import Freshness, Phase
    from accel_core.policy.identity import Request
    from accel_core.policy.never_cache import NeverCache
    from accel_core.policy.popularity import Popularity
    from accel_core.ports import Entry
    from accel_core.retrieval import Ask, Gap, Made, Sought


class RetrievalTerms:
    """Makes entries of what was retrieved, and says in which phase of its life one is.

    Args:
        freshness: lifetimes.
        popularity: what is wanted lives longer.
        never: which questions deserve another answer each time.
        comparable: whether a request may be found by meaning.
        max_entry_bytes: what is larger is not stored.
        wall_now: wall clock, seconds since the epoch.
        chance: uniform dice in [0, 1).
    """

    def __init__(
        self,
        freshness: Freshness,
        popularity: Popularity,
        never: NeverCache,
        *,
        comparable: Callable[[Request], bool],
        max_entry_bytes: int,
        wall_now: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._freshness, self._popularity, self._never = freshness, popularity, never
        self._comparable, self._max_entry_bytes = comparable, max_entry_bytes
        self._wall_now, self._chance = wall_now, chance

    def phase(self, entry: Entry) -> Phase:
        """Return the phase that `entry` is in now, for this lookup."""
        until_s = entry.expires_s if entry.fresh_until_s is None else entry.fresh_until_s
        return self._freshness.phase(until_s, self._wall_now(), entry.cost_s, self._chance())

    def valid(self, entry: Entry | None, sought: Sought) -> Entry | None:
        """Return `entry` if it may be served to this lookup in some phase."""
        if entry is None or entry.expires_s <= self._wall_now() or not sought.holds(entry):
            return None
        return entry

    def by_meaning(self, entry: Entry, sought: Sought) -> bool:
        """Whether `entry` may be served to this lookup's other wording: only what is fresh."""
        fresh = entry.fresh_until_s is not None and entry.fresh_until_s > self._wall_now()
        own = entry.scope == sought.ask.request.scope
        return fresh and own and entry.expires_s > self._wall_now() and sought.holds(entry)

    def timely(self, entry: Entry | None) -> Recalled | None:
        """Return how a valid `entry` is served to the very question, if it is."""
        phase = "over" if entry is None else self.phase(entry)
        if entry is None or phase not in {"fresh", "due"}:
            return None
        return self.hit(entry, stale="" if phase == "fresh" else "renewing")

    def hit(
        self, entry: Entry, tier: Tier = "exact", similarity: float = 1.0, *, stale: str = ""
    ) -> Recalled:
        """Return `entry` as it is served."""
        return Recalled(entry, tier, similarity, self._wall_now() - entry.created_s, stale)

    def entry(self, ask: Ask, gap: Gap, made: Made, cost_s: float) -> Entry | str:
        """Make the entry of what was retrieved, or say why there is none."""
        request, controls = self._never.judge(ask.request), ask.controls
        never = request.never if ask.speaks else ""
        if gap.revisions is None:
            return "backend"
        if controls.no_store:
            return "no_store"
        if len(made.payload) + len(request.text) > self._max_entry_bytes:
            return "too_large"
        lifetime_s = self._freshness.lifetime_s(
            self._chance(),
            # The lookup that found nothing was counted, too.
            hits=max(0, self._popularity.count(request.key) - 1),
            empty=made.empty,
            at_most_s=controls.ttl_s,
        )
        if never:
            lifetime_s = min(lifetime_s, request.never_ttl_s)
        if lifetime_s <= 0:
            return never or "empty"
        now_s = self._wall_now()
        plain = not (made.empty or never or controls.ttl_s is not None)
        entry = entry_of(
            request,
            made.payload,
            created_s=now_s,
            lifetime_s=lifetime_s + (self._freshness.grace_s if plain else 0.0),
            tags=controls.tags + controls.user_tags,
            semantic=not made.empty and self._comparable(request),
            cost_s=cost_s,
        )
        return replace(
            entry,
            fresh_until_s=now_s + lifetime_s,
            bases=ask.bases(gap.revisions, made.documents),
            shared=ask.shared,
        )
