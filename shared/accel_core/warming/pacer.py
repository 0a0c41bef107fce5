"""How fast a warm-up asks: evenly, and slower while the provider refuses.

A refusal halves the rate, down to a sixty-fourth; sixteen answers in a row raise it by a quarter,
up to what was asked for (additive increase and multiplicative decrease need no knowledge of the
limit: Chiu and Jain 1989; in steps here, because each step is a new limiter).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from accel_core.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter

_SLOWEST = 1 / 64
_ANSWERS = 16
_FASTER = 1.25


class Pacer(Protocol):
    """Says when the next question may be asked; used by one task."""

    async def turn(self) -> None:
        """Return when it may."""

    def answered(self) -> None:
        """Note an answer."""

    def refused(self, retry_after_s: float) -> None:
        """Note that the provider refused, and when to ask again; 0: it did not say."""


class AimdPacer:
    """Paces with aiolimiter, without bursts.

    Args:
        rate_per_s: questions a second, above 0.

    Raises:
        ConfigError: the rate is not above 0.
        MissingExtraError: aiolimiter is not installed.
    """

    def __init__(self, rate_per_s: float) -> None:
        if not 0 < rate_per_s < float("inf"):
            raise ConfigError("rate_per_s", rate_per_s, "must be above 0")
        self._most = self.rate_per_s = rate_per_s
        self._pause_s = 0.0
        self._answers = 0
        self._limiter = _limiter(rate_per_s)

    async def turn(self) -> None:
        """Return when the next question may be asked."""
        if self._pause_s:
            pause_s, self._pause_s = self._pause_s, 0.0
            await asyncio.sleep(pause_s)
        await self._limiter.acquire()

    def answered(self) -> None:
        """Note an answer, and ask faster after some of them."""
        self._answers += 1
        if self._answers >= _ANSWERS and self.rate_per_s < self._most:
            self._change(min(self._most, self.rate_per_s * _FASTER))

    def refused(self, retry_after_s: float) -> None:
        """Halve the rate, and pause for as long as the provider wants, or one turn."""
        self._change(max(self._most * _SLOWEST, self.rate_per_s / 2))
        self._pause_s = max(retry_after_s, 1 / self.rate_per_s)

    def _change(self, rate_per_s: float) -> None:
        self.rate_per_s, self._answers = rate_per_s, 0
        self._limiter = _limiter(rate_per_s)


def _limiter(rate_per_s: float) -> AsyncLimiter:
    try:
        from aiolimiter import AsyncLimiter
    except ImportError as error:
        raise MissingExtraError("warm", "warming up") from error
    return AsyncLimiter(1, 1 / rate_per_s)
