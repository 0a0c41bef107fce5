"""The outcomes on which hits by meaning rest: one `Guarantee`, one lock, and a file.

Several processes may keep one file. Each writes it anew after so many outcomes of its own: if
another has written meanwhile, it takes over what that one wrote and learns its own outcomes since
its last writing once more on top, so every outcome counts once, and processes learn from one
another. Where two write at the very moment, the last wins and the outcomes of one of them are lost,
as they are when a process dies; whether they were right plays no part in that. What is proven is
proven for each process; `policy.guarantee` says on what conditions.

Invariants: whatever touches the guarantee holds the lock, and no file is touched under it; the file
is read and written by nobody who answers a lookup.
"""

from __future__ import annotations

from operator import methodcaller
from typing import TYPE_CHECKING, Any

from accel_core.errors import ConfigError
from accel_core.policy.guarantee import Guarantee

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager

    from accel_core.files.learned import LearnedFile
    from accel_core.policy.guarantee import Decision, Outcome
    from accel_core.policy.promise import GuaranteeSettings
    from accel_core.ports import Entry

_SERVED = 10_000
"""Entries whose last hit is remembered, for reports."""

_EVERY = 64
"""Outcomes between two writings: so many are lost where a process dies."""


class Evidence:
    """Decides by outcomes, and learns them; safe to share between threads.

    Args:
        settings: what is promised.
        file: where it is kept; None: as long as the process lives.
        lock: makes locks.
    """

    def __init__(
        self,
        settings: GuaranteeSettings,
        file: LearnedFile | None = None,
        *,
        lock: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._settings, self._file, self._new_lock = settings, file, lock
        self._guarantee = self._read() or Guarantee(settings)
        self._served: dict[bytes, float] = {}
        self._lock, self._saving = lock(), lock()
        self._since: list[Callable[[Guarantee], Any]] = []
        self._hits: dict[bytes, int] = {}

    def decide(self, probability: float, entry: Entry, chance: float) -> Decision:
        """Decide about a candidate; `chance`: fresh dice, even in [0, 1)."""
        with self._lock:
            decision = self._guarantee.decide(probability, entry.scope, entry.key, chance)
            if decision.action == "serve":
                self._remember(entry, probability)
            return decision

    def would(self, probability: float, entry: Entry) -> Decision:
        """Return what would be decided where dice do not explore, and take no note of it."""
        with self._lock:
            return self._guarantee.would(probability, entry.scope, entry.key)

    def observe(self, outcome: Outcome) -> None:
        """Learn what an explored candidate has shown; may write the file."""
        with self._lock:
            self._learn("observe", outcome)
            due = len(self._since) >= _EVERY
        if due:
            self.save()

    def demote(self, entry: Entry) -> bool:
        """Learn that the last hit of `entry` was wrong; False: none is remembered."""
        with self._lock:
            probability = self._served.pop(entry.key, None)
            if probability is not None:
                # The hits before it count before it, elsewhere too.
                self._note("served", entry.scope, self._hits.pop(entry.scope, 0))
                self._learn("report_wrong", probability, entry.scope, entry.key)
        return probability is not None

    def forget(self, entries: Collection[bytes]) -> None:
        """Forget what is known of `entries` themselves, in the file too."""
        with self._lock:
            self._learn("forget", tuple(entries))
            for key in entries:
                self._served.pop(key, None)
        self.save()

    def save(self) -> None:
        """Write what was learned, on top of what other processes wrote meanwhile."""
        file = self._file
        with self._saving:
            if file is None or not self._since:
                return
            others = self._read() if file.stirred() else None
            with self._lock:
                if others is not None:
                    self._take_over(others)
                self._since, self._hits = [], {}
                learned = self._guarantee.export()
            file.write(learned)

    def after_fork(self) -> None:
        """Use locks of this process, and leave to the parent what it has yet to write."""
        self._lock, self._saving = self._new_lock(), self._new_lock()
        self._since, self._hits = [], {}

    def _read(self) -> Guarantee | None:
        learned = None if self._file is None else self._file.read()
        if self._file is None or learned is None:
            return None
        try:
            return Guarantee.restored(self._settings, learned)
        except ConfigError:
            self._file.damaged()
            return None

    def _learn(self, method: str, *args: Any) -> None:
        methodcaller(method, *args)(self._guarantee)
        self._note(method, *args)

    def _note(self, method: str, *args: Any) -> None:
        if self._file is not None:
            self._since.append(methodcaller(method, *args))

    def _take_over(self, others: Guarantee) -> None:
        for learn in self._since:
            learn(others)
        for scope, times in self._hits.items():
            others.served(scope, times)
        self._guarantee = others

    def _remember(self, entry: Entry, probability: float) -> None:
        self._served.pop(entry.key, None)
        if len(self._served) >= _SERVED:
            del self._served[next(iter(self._served))]
        self._served[entry.key] = probability
        if self._file is not None:
            self._hits[entry.scope] = self._hits.pop(entry.scope, 0) + 1
            if len(self._hits) > self._settings.max_scopes:
                del self._hits[next(iter(self._hits))]
