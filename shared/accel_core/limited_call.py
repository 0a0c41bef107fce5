"""One call within its provider's limits: reserve → send → classify → settle, or send it again.

Refusals for a limit go back to the limiter's queue; failures of the service are tried again from a
budget; everything else is the caller's. A stream whose first event is an error was refused too, and
is handed over no sooner than that event is there; one that breaks off later settles with what came,
tells the limiter, and is the caller's. Where attempts end, the caller gets the provider's last
response, or the last failure, as if nobody stood in between. A tier's deadline bounds all of that:
the wait, the attempts, and the answer.

Invariant: an attempt's lease ends whatever happens, at any await: here, or with the `Body` that
whoever passes the answer on ends. Nothing sleeps in blocking code on a running loop: such a call
has one attempt.

The flow is written once, over `Io` and `Sender`; `call` and `acall` are its two colours.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from accel_core.drive import blocking
from accel_core.drive.work import Unwanted, check
from accel_core.errors import LimitExceededError, RequestTooLargeError
from accel_core.policy.limits.limit_headers import read_headers
from accel_core.policy.limits.refusal import classify
from accel_core.policy.limits.retry import Failed, RetryBudget, RetryPolicy, next_attempt
from accel_core.provider_reply import Reply, first_error
from accel_core.recording import current, timed
from accel_core.response_body import Body, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from accel_core.policy.limits.charge import Usage
    from accel_core.policy.limits.refusal import Refusal
    from accel_core.policy.limits.token_estimate import Asked, TokenEstimate
    from accel_core.ports import Io
    from accel_core.provider_reply import Sender
    from accel_core.recording import Record
    from accel_core.token_limiter import Lease, TokenLimiter

_FIRST_ERROR = 400
_LEAST_S = 0.001
"""For an attempt that is let through in its deadline's last moment."""


R = TypeVar("R", bound=Reply)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How calls are tried again: the policy, and what pays for it (`policy.limits.retry`)."""

    policy: RetryPolicy = field(default_factory=RetryPolicy)
    share: float = 0.2
    allowance: float = 10.0


@dataclass(slots=True)
class _Attempt(Generic[R]):
    """What became of one: an answer with its `body`, a refusal, or a failed connection."""

    reply: R | None = None
    body: Body | None = None
    refusal: Refusal | None = None
    error: Exception | None = None

    def given_up(self) -> tuple[R, None]:
        """Return the refusal's reply, or raise what failed."""
        if self.reply is None:
            _fail(self.error)
        return self.reply, None


class LimitedCalls:
    """Carries calls out within a limiter's limits, from any thread and loop.

    Args:
        limiter: whom they ask.
        retries: how they are tried again.
        estimate: of what calls will take.
        tier: returns the tier of the call that is made now.
        colours: the blocking and the asyncio `Io`.
        wall_now: seconds since 1970.
        mono_now: the limiter's own clock.
        chance: uniform in [0, 1).
        lock: makes the lock around estimates and budget; a thread may take it twice, as the
            limiter's.
        is_mine: whether the calling thread holds a lock.
    """

    def __init__(
        self,
        limiter: TokenLimiter,
        retries: Retries,
        *,
        estimate: TokenEstimate,
        tier: Callable[[], str],
        colours: tuple[Io, Io],
        wall_now: Callable[[], float],
        mono_now: Callable[[], float],
        chance: Callable[[], float],
        lock: Callable[[], AbstractContextManager[Any]],
        is_mine: Callable[[Any], bool],
    ) -> None:
        self.limiter, self._retries, self._tier = limiter, retries, tier
        self.colours = self._blocking, self._aio = colours
        self._wall_now, self.now, self._chance = wall_now, mono_now, chance
        self._estimate = estimate
        self._budget = RetryBudget(retries.share, retries.allowance, now_s=mono_now())
        self._new_lock, self._lock, self._is_mine = lock, lock(), is_mine
        self._orphans: deque[Body] = deque()
        self.life = object()
        """Another one in a forked child."""

    def call(
        self, sender: Sender[R], document: Mapping[str, Any], sent: bytes
    ) -> tuple[R, Body | None]:
        """Send a request until it is answered, or not worth another attempt.

        Args:
            sender: sends it.
            document: its JSON.
            sent: the bytes of the same.

        Returns:
            The provider's response, and what reads an answer's body; None: it is an error, read.

        Raises:
            RequestTooLargeError: a limit can never take it; nothing was sent.
            LimitExceededError: it cannot be let through in time; nothing was sent.
        """
        return blocking.run(self.carry_out(self._blocking, sender, document, sent))

    async def acall(
        self, sender: Sender[R], document: Mapping[str, Any], sent: bytes
    ) -> tuple[R, Body | None]:
        """Async form of `call`."""
        return await self.carry_out(self._aio, sender, document, sent)

    def learn(self, asked: Asked, usage: Usage) -> None:
        """Learn from what an answer stated."""
        with self._lock:
            self._estimate.learn(asked, usage)

    def is_busy(self) -> bool:
        """Whether this thread is in the midst of a change: garbage is collected just then."""
        return self._is_mine(self._lock) or self._is_mine(self.limiter.lock)

    def orphaned(self, body: Body) -> None:
        """Let the next call end `body`, which came to its end in the midst of a change."""
        self._orphans.append(body)

    def tidy(self) -> None:
        """End the bodies that could not be when they came to their end."""
        while self._orphans:
            self._orphans.popleft().end(whole=False)

    def after_fork(self) -> None:
        """Start anew in a child process."""
        self._lock = self._new_lock()
        self._orphans.clear()
        self.life = object()
        self.limiter.after_fork()

    async def admit(
        self, io: Io, document: Mapping[str, Any], sent: bytes, timeout_s: float | None
    ) -> tuple[Lease, Asked]:
        """Wait for room for a request that somebody else sends, who ends its lease."""
        self.tidy()
        with self._lock:
            asked = self._estimate.read(document, sent)
        tier = self._tier()
        record = self._noted(tier)
        try:
            lease = await self.limiter.admit(io, asked.demand, tier=tier, timeout_s=timeout_s)
        except LimitExceededError:
            if record is not None:
                record.turned_away = True
            raise
        return lease, asked

    def _noted(self, tier: str) -> Record | None:
        """Note on the request that is carried out here, if any is recorded, whose call it is."""
        record = current()
        if record is not None:
            record.limited(tier, self.limiter.target_s(tier))
        return record

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes | str) -> Refusal:
        """Return what a provider's error means."""
        dialect = self.limiter.profile.dialect
        return classify(status, headers, body, dialect, self._wall_now())

    async def carry_out(
        self,
        io: Io,
        sender: Sender[R],
        document: Mapping[str, Any],
        sent: bytes,
        *,
        once: bool = False,
        body: type[Body] = Body,
    ) -> tuple[R, Body | None]:
        """Do as `call` over `io`; `once`: it is not sent again; `body`: what reads an answer."""
        self.tidy()
        tier = self._tier()
        with self._lock:
            asked = self._estimate.read(document, sent)
            self._budget.call(self.now())
        record = self._noted(tier)
        if record is not None:
            record.attempts = record.attempts or 0
        ends_s = self.now() + self.limiter.deadline_s(tier)
        lease: Lease | None = None
        last: _Attempt[R] | None = None
        attempts = 0
        while True:
            try:
                left_s = ends_s - self.now()
                with timed("queue_s"):
                    lease = await self.limiter.admit(
                        io, asked.demand, tier=tier, timeout_s=left_s, again=lease
                    )
            except (LimitExceededError, RequestTooLargeError) as error:
                if record is not None:
                    record.turned_away = isinstance(error, LimitExceededError)
                if last is None:
                    raise
                return last.given_up()
            attempts += 1
            last = await self._attempt(lease, sender, asked, ends_s, body)
            if last.reply is not None and last.body is not None:
                return last.reply, last.body
            pause_s = None if once else self._pause_s(io, lease, last, attempts, ends_s)
            if pause_s is None:
                return last.given_up()
            if pause_s > 0.0:
                with timed("backoff_s"):
                    await io.signal().wait(pause_s)

    async def _attempt(
        self, lease: Lease, sender: Sender[R], asked: Asked, ends_s: float, body: type[Body]
    ) -> _Attempt[R]:
        """Send once; the lease has ended, or is the body's."""
        record = current()
        try:
            check()  # who waited long may not be waited for any more
            if record is not None:
                record.sent()
            reply = await sender.send(max(_LEAST_S, ends_s - self.now()))
        except Unwanted:
            lease.cancel()
            raise
        except sender.unsent as error:
            if record is not None:
                record.unsent()
            lease.cancel()
            return _Attempt(error=error)
        except sender.failures as error:
            # A deadline of our own says nothing about the service.
            lease.failed(overloaded=self.now() < ends_s)
            return _Attempt(error=error)
        except BaseException:
            lease.failed()
            raise
        try:
            refusal = await self._refused(reply)
            if refusal is None:
                lease.look(read_headers(self.limiter.profile.dialect, reply.headers))
                made = body(self, lease, asked, reply.headers)
                made.ends_s = ends_s
                return _Attempt(reply, made)
        except sender.failures as error:
            lease.failed()
            return _Attempt(error=error)
        except BaseException:
            lease.failed()
            await reply.close()
            raise
        tell(lease, refusal)
        return _Attempt(reply, refusal=refusal)

    async def _refused(self, reply: Reply) -> Refusal | None:
        """Return what a reply that is no answer means, its body read; None: it is one."""
        if reply.status >= _FIRST_ERROR:
            return self.refusal(reply.status, reply.headers, await reply.read())
        error = await first_error(reply)
        if error is None:
            return None
        await reply.close()
        return self.refusal(error.status, reply.headers, error.body)

    def _pause_s(
        self, io: Io, lease: Lease, attempt: _Attempt[R], attempts: int, ends_s: float
    ) -> float | None:
        """Return the seconds until the next attempt; None: give up."""
        if not io.may_wait():
            return None
        refusal = attempt.refusal
        now_s = self.now()
        failed = Failed(
            kind="overloaded" if refusal is None else refusal.kind,
            attempts=attempts,
            started_s=lease.asked_s,
            now_s=now_s,
            retry_after_s=None if refusal is None else refusal.retry_after_s,
            ends_s=ends_s,
        )
        with self._lock:
            return next_attempt(failed, self._retries.policy, self._budget, self._chance())


def _fail(error: Exception | None) -> NoReturn:
    raise error if error is not None else AssertionError("an attempt without an outcome")
