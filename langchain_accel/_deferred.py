"""Limits that hold only where the provider is asked: a hit uses none of its quota.

LangChain acquires a model's rate limiter before it calls the model's methods, hit or not.
`Deferred` stands in that field, which LangChain copies with the model, and lets it pass; on a miss
the generated methods ask through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from langchain_core.rate_limiters import BaseRateLimiter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from accel_core.model_calls import ModelCalls
    from accel_core.policy.limits.model_request import ModelRequest

T = TypeVar("T")


class Deferred(BaseRateLimiter):
    """What holds before, and while, the provider is asked.

    Args:
        limiter: the user's own; None: there is none.
        calls: carries calls out within limits; None: nothing does, or the model's own clients.
    """

    def __init__(
        self, limiter: BaseRateLimiter | None = None, calls: ModelCalls | None = None
    ) -> None:
        self.limiter, self.calls = limiter, calls

    def acquire(self, *, blocking: bool = True) -> bool:  # noqa: ARG002 - LangChain's signature
        """Let the caller pass."""
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:  # noqa: ARG002
        """Async form of `acquire`."""
        return True

    def ask(self, request: Callable[[], ModelRequest], send: Callable[[], T]) -> T:
        """Return what `send` returns; `request` says what it asks."""
        if self.limiter is not None:
            self.limiter.acquire(blocking=True)
        return send() if self.calls is None else self.calls.ask(request(), send)

    async def aask(
        self, request: Callable[[], ModelRequest], send: Callable[[], Awaitable[T]]
    ) -> T:
        """Async form of `ask`."""
        if self.limiter is not None:
            await self.limiter.aacquire(blocking=True)
        return await (send() if self.calls is None else self.calls.aask(request(), send))

    def stream(
        self, request: Callable[[], ModelRequest], start: Callable[[], Iterator[T]]
    ) -> Iterator[T]:
        """Return the stream that `start` begins."""
        if self.limiter is not None:
            self.limiter.acquire(blocking=True)
        return start() if self.calls is None else self.calls.stream(request(), start)

    async def astream(
        self, request: Callable[[], ModelRequest], start: Callable[[], AsyncIterator[T]]
    ) -> AsyncIterator[T]:
        """Async form of `stream`."""
        if self.limiter is not None:
            await self.limiter.aacquire(blocking=True)

        async def started() -> AsyncIterator[T]:
            return start()

        return start() if self.calls is None else await self.calls.astream(request(), started)
