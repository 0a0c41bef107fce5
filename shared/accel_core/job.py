"""Work that waits in a queue, and everybody who waits for its result.

Invariants: nobody can cancel what has begun, so a result always finds its futures open; whoever
cancelled before is told nothing; settling twice does nothing.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Job(Generic[Item, Result]):
    """One queued `item` and the futures of those who wait for its result."""

    __slots__ = ("futures", "item")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.futures: list[Future[Result]] = []

    def follow(self) -> Future[Result]:
        """Return a future of the result, the caller's to wait for or to cancel."""
        future: Future[Result] = Future()
        self.futures.append(future)
        return future

    def begin(self) -> bool:
        """Whether anybody still waits; from then on nobody can cancel."""
        self.futures = [one for one in self.futures if _open(one)]
        return bool(self.futures)

    def succeed(self, result: Result) -> None:
        """Give everybody who waits the result."""
        for one in self.futures:
            if _open(one):
                one.set_result(result)

    def fail(self, error: BaseException) -> None:
        """Give everybody who waits the error."""
        for one in self.futures:
            if _open(one):
                one.set_exception(error)


def _open(future: Future[Result]) -> bool:
    """Whether `future` waits for a result, which it then cannot leave any more."""
    return future.running() or (not future.done() and future.set_running_or_notify_cancel())
