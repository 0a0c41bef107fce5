"""A value made at first use: importing and constructing stay cheap.

Whichever thread comes first makes it, the others wait for that one. A failure is not remembered:
the next caller tries again, and how often that may happen is the caller's breaker's business.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Lazy(Generic[T]):
    """Makes a value once, under a lock.

    Args:
        make: makes the value; what it raises reaches the caller of `get`.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: tuple[T] | None = None

    def get(self) -> T:
        """Return the value, making it if nobody has."""
        made = self._made
        if made is None:
            with self._lock:
                made = self._made
                if made is None:
                    made = self._made = (self._make(),)
        return made[0]

    def drop(self) -> T | None:
        """Return the value if there is one, and forget it: the next `get` makes another."""
        with self._lock:
            made, self._made = self._made, None
        return None if made is None else made[0]

    def after_fork(self) -> None:
        """Forget a lock that another thread held when this process was forked."""
        self._lock = threading.Lock()
