"""What a limiter looks like to the scenarios: one small protocol for ours and for peers.

A caller reserves, sends, and tells the lease what came of it. What happens after a refusal is the
lease's to say: how long to wait before the same call reserves again, or that it is over.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager


class Demand(NamedTuple):
    """What a caller knows of its call: an estimate of the prompt, and the most it may say."""

    prompt_tokens: int
    max_tokens: int


class Usage(NamedTuple):
    """What the answer says was used."""

    prompt_tokens: int
    output_tokens: int


class RejectedError(Exception):
    """The limiter does not take the call; nothing was sent."""


class Lease(Protocol):
    """A call that may be sent."""

    def heard(self, headers: Mapping[str, str]) -> None:
        """Take note that the answer has begun, with these headers."""

    def settle(self, usage: Usage, headers: Mapping[str, str]) -> None:
        """Take note that the answer has ended."""

    def refused(
        self, status: int, headers: Mapping[str, str], body: Mapping[str, Any]
    ) -> float | None:
        """Return how long to wait before the call reserves again, None where it is over."""

    def cancel(self) -> None:
        """Take note that the call was not sent, or that its caller has left."""


class Limiter(Protocol):
    """Lets calls through when it is time."""

    async def reserve(
        self, demand: Demand, *, tier: str | None = None, again: Lease | None = None
    ) -> Lease:
        """Return once the call may be sent; `again` is the lease that was refused.

        Raises:
            RejectedError: it may not be sent in time.
        """


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a limiter is told of the place where it is used.

    Attributes:
        limits: per minute, as the provider's page says.
        profile: the provider's name.
        mean_tokens: that a call is charged, for limiters that count requests.
        seed: of its dice.
    """

    limits: Mapping[str, float]
    profile: str
    mean_tokens: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A limiter under test.

    Attributes:
        name: as notes have it.
        make: makes it, inside the running loop.
        around: entered around each run.
        slow: a run takes so long that one seed must do.
    """

    name: str
    make: Callable[[Setting], Limiter]
    slow: bool = False
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
