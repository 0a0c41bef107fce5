"""A store behind memory, as its callers see it: asked while it works, left alone while it does not.

A store that fails rests, and is tried again in the background alone (`reach`, in the writer's
thread), so that no call waits for one that is away. What it is to keep is owed to it (`Outbox`) and
delivered when it takes it. Whether it answers and whether it takes something are two questions: a
full or a read-only server is still asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from accel_core.drive.outbox import Outbox
from accel_core.policy.breaker import store_breaker

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from accel_core.ports import Entry, Io, Selector, Store

T = TypeVar("T")


class Remote:
    """The way to a shared store.

    Args:
        store: the store.
        wake: has `reach` called in the background, soon; False where that is not to be had.
        capacity: entries and removals that may be owed to it.
        on_drop: told how many of those were let go.
        on_error: told which operation failed, and what it raised.
        mono_now: monotonic clock, seconds.

    Attributes:
        outbox: what the store is owed.
    """

    def __init__(
        self,
        store: Store,
        *,
        wake: Callable[[], bool],
        capacity: int,
        on_drop: Callable[[int], None],
        on_error: Callable[[str, Exception], None],
        mono_now: Callable[[], float],
    ) -> None:
        self._store, self._wake = store, wake
        self._on_drop, self._on_error, self._mono_now = on_drop, on_error, mono_now
        self._breaker = store_breaker()
        self.outbox = Outbox(
            store, capacity=capacity, on_drop=on_drop, on_error=on_error, mono_now=mono_now
        )

    @property
    def rests(self) -> bool:
        """Whether it is left alone."""
        return not self._breaker.closed

    async def ask(self, io: Io, operation: str, function: Callable[..., T], *args: Any) -> T | None:
        """Return what `function` of the store returns; None where it fails or rests."""

        def ask() -> T | None:
            # Looked at again, for whoever waited for a thread while the store failed others.
            return None if self.rests else function(*args)

        if self.rests:
            return None
        try:
            return await io.call(ask)
        except Exception as error:
            self.failed(operation, error)
            return None

    def failed(self, operation: str, error: Exception) -> None:
        """Take note that the store did not answer."""
        if self._breaker.failed(self._mono_now()) and not self._wake():
            # Where nothing tries it in the background, everybody has to.
            self._breaker.succeeded()
        self._on_error(operation, error)

    async def select(self, io: Io, selector: Selector) -> set[bytes]:
        """Return the keys that `selector` means, there or on their way; its failure is raised."""
        # In this order: what is delivered meanwhile is then there.
        owed = self.outbox.select(selector)
        return {*owed, *await io.call(self._store.select, selector)}

    async def remove(self, io: Io, keys: Collection[bytes]) -> None:
        """Remove `keys`, there and on their way; its failure is raised: they are still there."""
        await io.call(self.outbox.forget, keys)
        await io.call(self._store.remove, keys)

    def save(self, entries: Collection[Entry]) -> None:
        """Owe the store `entries`, and deliver them where it works; called by one thread."""
        self.outbox.save(entries)
        if not self.rests:
            self.outbox.deliver()

    def reach(self, try_again: Callable[[], object]) -> float | None:
        """Try the store where its rest is over, and deliver what it is owed; called by one thread.

        Args:
            try_again: asks it something of which nothing is lost when it fails, and raises then.

        Returns:
            In how many seconds to call again; None: when something is owed.
        """
        if self.rests and self._breaker.allows(self._mono_now()):
            try:
                try_again()
            except Exception as error:  # a third party's store raises what it likes
                self._breaker.failed(self._mono_now())
                self._on_error("try again", error)
            else:
                self._breaker.succeeded()
        if not self.rests:
            self.outbox.deliver()
        now_s = self._mono_now()
        return self._breaker.due_in_s(now_s) if self.rests else self.outbox.due_in_s(now_s)

    def flush(self) -> None:
        """Return when what the store has is durable."""
        self._store.flush()

    def close(self) -> None:
        """Close the store; what it is still owed is lost, and counted."""
        lost = self.outbox.let_go()
        if lost:
            self._on_drop(lost)
        self._store.close()

    def after_fork(self) -> None:
        """Start anew in a child process: what is owed is the parent's to deliver."""
        self._breaker = store_breaker()
        self.outbox.after_fork()
