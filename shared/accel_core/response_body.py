"""The body of an answer, read for its usage while it passes; its end ends the call's lease.

Invariant: a lease ends once, whoever ends the body: its reader, its closing, an error, or the
garbage collector in the midst of anything, which leaves it to the next call where a lock is held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import orjson

from accel_core.policy.limits.charge import Usage
from accel_core.policy.limits.usage_reader import StreamUsage, usage_of
from accel_core.provider_reply import is_readable, is_streamed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from accel_core.policy.limits.refusal import Refusal
    from accel_core.policy.limits.stream_error import StreamError
    from accel_core.policy.limits.token_estimate import Asked
    from accel_core.token_limiter import Lease, TokenLimiter

_MOST_BYTES = 4_194_304
"""Of a whole body that is read for its usage; of a larger one the charge is what was reserved."""
_DONE, _TAIL = b"[DONE]", 32


class Calls(Protocol):
    """The calls that a body belongs to (`limited_call.LimitedCalls`)."""

    life: object
    limiter: TokenLimiter

    @property
    def now(self) -> Callable[[], float]:
        """The limiter's clock, seconds."""

    def is_busy(self) -> bool:
        """Whether this very thread holds one of the locks."""

    def orphaned(self, body: Body) -> None:
        """Let the next call end `body`."""

    def learn(self, asked: Asked, usage: Usage) -> None:
        """Compare what was asked with what it used."""

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes | str) -> Refusal:
        """Return what a provider's error means."""


class Body:
    """Reads what an answer says of its usage while it passes, and ends the call's lease.

    Ends once: at the answer's end, when it is closed before, or breaks off. What was counted rather
    than stated settles, and teaches nothing. One owner at a time.

    Attributes:
        ended: whether it has.
        ends_s: when the call's deadline passes, by the limiter's clock.
    """

    __slots__ = (
        "_asked",
        "_calls",
        "_chunks",
        "_headers",
        "_lease",
        "_life",
        "_size",
        "_stream",
        "_tail",
        "ended",
        "ends_s",
    )

    def __init__(
        self, calls: Calls, lease: Lease, asked: Asked, headers: Mapping[str, str]
    ) -> None:
        self._calls, self._lease, self._asked, self._headers = calls, lease, asked, headers
        self._life = calls.life  # a forked child has a copy of what its parent's responses hold
        readable, streamed = is_readable(headers), is_streamed(headers)
        self._stream = StreamUsage() if readable and streamed else None
        self._chunks: list[bytes] | None = [] if readable and not streamed else None
        self._size, self._tail, self.ended = 0, b"", False
        self.ends_s = float("inf")

    def left_s(self) -> float:
        """Return the seconds to the call's deadline: infinity without one, below 0 after it."""
        return self.ends_s - self._calls.now()

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        if self._stream is not None:
            self._stream.feed(chunk)
            self._tail = (self._tail + chunk[-_TAIL:])[-_TAIL:]
        elif self._chunks is not None:
            self._size += len(chunk)
            self._chunks.append(chunk)
            if self._size > _MOST_BYTES:
                self._chunks = None

    def end(self, *, whole: bool) -> None:
        """Settle; `whole`: whether the body came to its end. Does nothing the second time."""
        if not self._may_end():
            return
        error = None if self._stream is None else self._stream.error
        whole = error is None and (whole or _DONE in self._tail)
        usage = self._stated()
        if usage is not None and whole:
            self._calls.learn(self._asked, usage)
        counted = self._counted()
        if usage is None and counted is not None and (error is None or counted):
            usage = Usage(self._asked.demand.input_tokens, counted)
        if error is None:
            self._lease.settle(usage)
        else:
            self._broke_off(error, usage)

    def _broke_off(self, error: StreamError, usage: Usage | None) -> None:
        """End a call by the error in its stream; without `usage` it was never admitted."""
        refusal = self._calls.refusal(error.status, self._headers, error.body)
        if usage is None:
            tell(self._lease, refusal)
            return
        if refusal.kind in ("limit", "overloaded"):
            self._calls.limiter.hold_off(self._lease, refusal.retry_after_s or 0.0)
        self._lease.settle(usage, refusal.shown)

    def _may_end(self) -> bool:
        """Whether to end now, and once; where not now, the next call will."""
        if self.ended or self._life is not self._calls.life:
            return False
        if self._calls.is_busy():
            self._calls.orphaned(self)
            return False
        self.ended = True
        return True

    def _counted(self) -> float | None:
        return None if self._stream is None else float(self._stream.events)

    def _stated(self) -> Usage | None:
        if self._stream is not None:
            return self._stream.usage
        try:
            return usage_of(orjson.loads(b"".join(self._chunks))) if self._chunks else None
        except ValueError:
            return None


def tell(lease: Lease, refusal: Refusal) -> None:
    """End the lease of a call that was refused."""
    if refusal.kind == "limit":
        lease.refused(refusal.shown, refusal.retry_after_s)
    elif refusal.kind == "overloaded":
        lease.failed(refusal.shown, overloaded=True)
    else:
        lease.rejected(refusal.shown, refusal.never_fits(lease.charge))
