"""What a shared store is owed: kept in order while it is away, and delivered when it is back.

Saves and removals leave in the order they came in, page by page, and a page leaves the outbox when
the store has it. A store that takes nothing for now keeps it; a page that it refuses for good is
let go, or it would hold up all that follows. What is owed is bounded: the oldest leaves. Either is
counted and reported, because a cache that falls behind must cost entries, never memory.

One thread delivers. Whoever removes entries elsewhere makes the outbox forget them, and waits for
the page on its way, so that nothing removed is stored again.
"""

from __future__ import annotations

import threading
from collections import deque
from itertools import islice, takewhile
from typing import TYPE_CHECKING, NamedTuple

from accel_core.errors import StoreUnavailableError
from accel_core.policy.breaker import store_breaker

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from accel_core.ports import Entry, Selector, Store

_PAGE = 64


class _Gone(NamedTuple):
    """An entry to remove."""

    entry: Entry


class Outbox:
    """Entries and removals on their way to a store.

    Args:
        store: to whom.
        capacity: the most that is kept, entries and removals.
        on_drop: told how many were let go, for space or refused.
        on_error: told which operation failed, and what it raised.
        mono_now: monotonic clock, seconds.
    """

    def __init__(
        self,
        store: Store,
        *,
        capacity: int,
        on_drop: Callable[[int], None],
        on_error: Callable[[str, Exception], None],
        mono_now: Callable[[], float],
    ) -> None:
        self._store, self._capacity = store, capacity
        self._on_drop, self._on_error, self._mono_now = on_drop, on_error, mono_now
        self._owed: deque[Entry | _Gone] = deque()
        self.after_fork()

    def __len__(self) -> int:
        return len(self._owed)

    def save(self, entries: Iterable[Entry]) -> None:
        """Owe the store `entries`."""
        self._owe(entries)

    def discard(self, entries: Iterable[Entry]) -> None:
        """Owe the store the removal of `entries`, and of nothing stored later in their place."""
        self._owe(map(_Gone, entries))

    def select(self, selector: Selector) -> list[bytes]:
        """Return the keys of the owed entries that `selector` means."""
        with self._lock:
            owed = list(self._owed)
        return [one.key for one in owed if not isinstance(one, _Gone) and selector.matches(one)]

    def forget(self, keys: Collection[bytes]) -> None:
        """Owe no entry under `keys` any more; returns when none of them is on its way."""
        with self._on_its_way, self._lock:
            gone = set(keys)
            kept = [one for one in self._owed if isinstance(one, _Gone) or one.key not in gone]
            self._owed.clear()
            self._owed.extend(kept)

    def deliver(self, *, at_once: bool = False) -> bool:
        """Deliver what is owed, unless the store takes nothing; return whether nothing is left.

        Args:
            at_once: also while the store rests.
        """
        while self._owed:
            if not at_once and not self._breaker.allows(self._mono_now()):
                return False
            if not self._deliver_page():
                return False
        return True

    def due_in_s(self, now_s: float) -> float | None:
        """Return in how many seconds to deliver; None: nothing is owed."""
        return self._breaker.due_in_s(now_s) if self._owed else None

    def let_go(self) -> int:
        """Owe nothing any more, and return how much was owed."""
        with self._lock:
            count = len(self._owed)
            self._owed.clear()
        return count

    def after_fork(self) -> None:
        """Start anew in a child process: what was owed is the parent's to deliver."""
        self._lock, self._on_its_way = threading.Lock(), threading.Lock()
        self._owed.clear()
        self._breaker = store_breaker()

    def _owe(self, more: Iterable[Entry | _Gone]) -> None:
        with self._lock:
            self._owed.extend(more)
            over = max(0, len(self._owed) - self._capacity)
            for _ in range(over):
                self._owed.popleft()
        if over:
            self._on_drop(over)

    def _deliver_page(self) -> bool:
        """Deliver the first page; False where the store takes nothing for now."""
        with self._on_its_way:
            with self._lock:
                page = self._first_page()
            if not page:
                return True  # forgotten since it was looked for
            gone = [one.entry for one in page if isinstance(one, _Gone)]
            try:
                if gone:
                    self._store.discard(gone)
                else:
                    self._store.save([one for one in page if not isinstance(one, _Gone)])
            except Exception as error:  # a third party's store raises what it likes
                self._on_error("remove" if gone else "save", error)
                if isinstance(error, StoreUnavailableError):
                    self._breaker.failed(self._mono_now())
                    return False
                self._on_drop(len(page))
            else:
                self._breaker.succeeded()
            with self._lock:
                # Some of it may have been let go for space meanwhile.
                sent = set(map(id, page))
                while self._owed and id(self._owed[0]) in sent:
                    self._owed.popleft()
        return True

    def _first_page(self) -> list[Entry | _Gone]:
        """Return what is owed first: entries to save alone, or to remove alone."""
        kind = bool(self._owed) and isinstance(self._owed[0], _Gone)
        alike = takewhile(lambda one: isinstance(one, _Gone) == kind, self._owed)
        return list(islice(alike, _PAGE))
