"""The outcomes on which hits by meaning rest: one `Guarantee`, one lock.

Invariant: whatever touches the guarantee holds the lock, and nothing slow is done under it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.policy.guarantee import Guarantee

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager

    from accel_core.policy.guarantee import Decision, Outcome
    from accel_core.policy.promise import GuaranteeSettings
    from accel_core.ports import Entry

_SERVED = 10_000
"""Entries whose last hit is remembered, for reports."""


class Evidence:
    """Decides by outcomes, and learns them; safe to share between threads.

    Args:
        settings: what is promised.
        lock: makes the lock.
    """

    def __init__(
        self, settings: GuaranteeSettings, *, lock: Callable[[], AbstractContextManager[object]]
    ) -> None:
        self._guarantee = Guarantee(settings)
        self._new_lock, self._lock = lock, lock()
        self._served: dict[bytes, float] = {}

    def decide(self, probability: float, entry: Entry, chance: float) -> Decision:
        """Decide about a candidate; `chance`: fresh dice, even in [0, 1)."""
        with self._lock:
            decision = self._guarantee.decide(probability, entry.scope, entry.key, chance)
            if decision.action == "serve":
                self._remember(entry.key, probability)
            return decision

    def would(self, probability: float, entry: Entry) -> Decision:
        """Return what would be decided where dice do not explore, and take no note of it."""
        with self._lock:
            return self._guarantee.would(probability, entry.scope, entry.key)

    def observe(self, outcome: Outcome) -> None:
        """Learn what an explored candidate has shown."""
        with self._lock:
            self._guarantee.observe(outcome)

    def demote(self, entry: Entry) -> bool:
        """Learn that the last hit of `entry` was wrong; False: none is remembered."""
        with self._lock:
            probability = self._served.pop(entry.key, None)
            if probability is not None:
                self._guarantee.report_wrong(probability, entry.scope, entry.key)
        return probability is not None

    def forget(self, entries: Collection[bytes]) -> None:
        """Forget what is known of `entries` themselves."""
        with self._lock:
            self._guarantee.forget(entries)
            for key in entries:
                self._served.pop(key, None)

    def after_fork(self) -> None:
        """Use a lock of this process."""
        self._lock = self._new_lock()

    def _remember(self, key: bytes, probability: float) -> None:
        self._served.pop(key, None)
        if len(self._served) >= _SERVED:
            del self._served[next(iter(self._served))]
        self._served[key] = probability
