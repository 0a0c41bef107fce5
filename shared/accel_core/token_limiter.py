"""Wait until a provider has room for a call, never longer: reserve → send → settle.

`reserve` takes what a call will be charged from every limit at once and returns a `Lease`; what the
call then used, and what the provider's headers or refusal say, is told to the lease. Callers wait
in order of deadline (`limit_queue`).

Invariants: a lease ends once; a caller that is cancelled, or fails, holds nothing. A call made by
blocking code on a running event loop never waits: it goes at once, and what it takes is a debt that
the next ones wait for.

The flow is written once, over `Io`; `reserve` and `areserve` are its two colours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accel_core import events
from accel_core.drive import blocking
from accel_core.errors import LimitExceededError, RequestTooLargeError
from accel_core.limit_queue import LimitQueue
from accel_core.policy.limits.account import Account, Limits
from accel_core.policy.limits.limiter_state import LimiterState
from accel_core.policy.limits.reservations import Place, State
from accel_core.policy.limits.tiers import BEST_EFFORT, PATIENCE_S, Tiers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from accel_core.policy.limits.account import Shown
    from accel_core.policy.limits.charge import Charge, Demand, Usage
    from accel_core.policy.limits.concurrency import Concurrency
    from accel_core.policy.limits.limit_store import LimitStore
    from accel_core.policy.limits.provider_profile import Profile
    from accel_core.ports import Io, Observer


class Lease(Place):
    """What one call holds of the limits. Ends with `settle`, `refused` or `cancel`, once."""

    __slots__ = ("_limiter", "demand", "first_token_s", "tier")

    def __init__(
        self, limiter: TokenLimiter, demand: Demand, tier: str, charge: Charge, asked_s: float
    ) -> None:
        super().__init__(charge, asked_s)
        self._limiter, self.demand, self.tier = limiter, demand, tier
        self.first_token_s: float | None = None

    @property
    def waited_s(self) -> float:
        """Seconds from asking to being let through."""
        return self.granted_s - self.asked_s

    def look(self, shown: Sequence[Shown]) -> None:
        """Tell what the response's headers show; its first token is there, its end not yet."""
        self._limiter.look(self, shown)

    def settle(self, usage: Usage | None = None, shown: Sequence[Shown] = ()) -> None:
        """End it: the call was answered. Without `usage` it is charged what was reserved."""
        self._limiter.settle(self, usage, shown)

    def refused(self, shown: Sequence[Shown] = (), retry_after_s: float | None = None) -> None:
        """End it: the call was refused for a limit."""
        self._limiter.refused(self, shown, retry_after_s)

    def rejected(self, shown: Sequence[Shown] = (), limits: Sequence[Shown] = ()) -> None:
        """End it: the call was refused for itself, and `limits` are what it can never fit."""
        self._limiter.rejected(self, shown, limits)

    def failed(self, shown: Sequence[Shown] = (), *, overloaded: bool = False) -> None:
        """End it: the service failed, or nobody waits any more; it may have been charged."""
        self._limiter.failed(self, shown, overloaded=overloaded)

    def cancel(self) -> None:
        """End it: the call was never sent."""
        self._limiter.cancel(self)


class TokenLimiter:
    """Keeps the calls of one key, from any thread and any event loop, within its limits.

    Args:
        limits: what is known of them; more is learned from headers.
        profile: what the provider charges and gives back.
        max_wait_s: how long a call without a tier's target may wait.
        tiers: targets by tier.
        concurrency: how many calls may be under way, found by how fast they are answered; None: as
            many as the limits state.
        colours: the blocking and the asyncio `Io`.
        emit: receives every event.
        mono_now: monotonic clock, seconds.
        lock: makes the lock around the state.
        shared: where the levels are shared with other processes; None: they are this one's.
    """

    def __init__(
        self,
        limits: Limits,
        profile: Profile,
        *,
        max_wait_s: float,
        tiers: Tiers,
        concurrency: Concurrency | None = None,
        colours: tuple[Io, Io],
        emit: Observer,
        mono_now: Callable[[], float],
        lock: Callable[[], AbstractContextManager[Any]],
        shared: LimitStore | None = None,
    ) -> None:
        self.profile, self.deadline_s, self.target_s = profile, tiers.deadline_s, tiers.target_s
        self._limits, self._max_wait_s, self._tiers = limits, max_wait_s, tiers
        self._concurrency = concurrency
        self._blocking, self._aio = colours
        self._emit, self._now, self._new_lock, self._shared = emit, mono_now, lock, shared
        self.after_fork()

    def after_fork(self) -> None:
        """Start anew, in a child process too: nobody there waits for its parent's leases."""
        self.lock = self._new_lock()
        self._account = Account(self._limits, self._now(), self._shared)
        if self._concurrency is not None:
            self._concurrency.forget_calls()
            self._account.reservations.limit_slots(self._concurrency.limit)
            self._account.reservations.on_grant = self._note_sent
        self._queue = LimitQueue(
            self._account.reservations,
            self.lock,
            self._shared,
            emit=self._emit,
            mono_now=self._now,
        )

    def reserve(
        self,
        demand: Demand,
        *,
        tier: str = BEST_EFFORT,
        timeout_s: float | None = None,
        again: Lease | None = None,
    ) -> Lease:
        """Return a lease as soon as `demand` fits every limit.

        Args:
            demand: what the call asks for.
            tier: whose target bounds the wait.
            timeout_s: bounds it further, from now; 0: now or not at all.
            again: the lease of the same call's attempt that was refused: it keeps its place.

        Raises:
            RequestTooLargeError: a limit can never take it.
            LimitExceededError: it cannot be let through in time; nothing was taken.
        """
        lease = self._enter(self._blocking, demand, tier, timeout_s, again)
        if lease.state is State.GRANTED:
            return lease
        return blocking.run(self._wait(self._blocking, lease))

    async def areserve(
        self,
        demand: Demand,
        *,
        tier: str = BEST_EFFORT,
        timeout_s: float | None = None,
        again: Lease | None = None,
    ) -> Lease:
        """Async form of `reserve`."""
        return await self.admit(self._aio, demand, tier=tier, timeout_s=timeout_s, again=again)

    async def admit(
        self,
        io: Io,
        demand: Demand,
        *,
        tier: str = BEST_EFFORT,
        timeout_s: float | None = None,
        again: Lease | None = None,
    ) -> Lease:
        """Do as `reserve`, for a flow that runs over `io`."""
        lease = self._enter(io, demand, tier, timeout_s, again)
        return lease if lease.state is State.GRANTED else await self._wait(io, lease)

    def eta_s(self, demand: Demand, *, tier: str = BEST_EFFORT) -> float:
        """Return how long a call would wait if it came now; without end where it never fits."""
        charge = self.profile.charge(demand)
        if self._account.too_large(charge) is not None:
            return float("inf")
        with self.lock:
            now_s = self._now()
            deadline_s = now_s + (self._tiers.may_wait_s(tier) or PATIENCE_S)
            return self._account.reservations.eta_s(charge, now_s, (deadline_s, float("inf")))

    def state(self) -> LimiterState:
        """Return a snapshot."""
        with self.lock:
            reservations = self._account.reservations
            return LimiterState(
                waiting=len(reservations.queue),
                under_way=reservations.in_use,
                slots=reservations.slots,
                share_of_others=self._account.share_of_others,
                hidden=self._account.hidden,
                attained=dict(self._tiers.attained),
            )

    def look(self, lease: Lease, shown: Sequence[Shown]) -> None:
        """See `Lease.look`."""
        with self.lock:
            now_s = self._now()
            if lease.first_token_s is None:
                lease.first_token_s = self._note_answer(lease, now_s)
            self._account.look(lease, shown, now_s)
            self._queue.advance(now_s)

    def settle(self, lease: Lease, usage: Usage | None, shown: Sequence[Shown]) -> None:
        """See `Lease.settle`."""
        charged = lease.charge if usage is None else self.profile.charged(lease.demand, usage)
        with self.lock:
            now_s, reservations = self._now(), self._account.reservations
            if lease.first_token_s is None:
                self._note_answer(lease, now_s)
            self._note_end(lease, now_s, 0.0 if usage is None else usage.output_tokens)
            if shown:
                self._account.look(lease, shown, now_s)
            reservations.settle(lease, charged, now_s)
            if reservations.queue:
                self._queue.advance(now_s)

    def refused(self, lease: Lease, shown: Sequence[Shown], retry_after_s: float | None) -> None:
        """See `Lease.refused`."""
        charged = self.profile.charged_when_refused
        with self.lock:
            now_s = self._now()
            known = self._account.hidden
            self._note_end(lease, now_s, overloaded=True)
            self._account.refused(lease, charged, shown, now_s, retry_after_s)
            found = self._account.hidden
            self._queue.advance(now_s)
        self._emit(events.LimitRefused(lease.tier, retry_after_s))
        if found is not None and found != known:
            self._emit(events.HiddenLimitFound(*found))

    def rejected(self, lease: Lease, shown: Sequence[Shown], limits: Sequence[Shown]) -> None:
        """See `Lease.rejected`."""
        with self.lock:
            self._account.take_over(limits)
        self._end(lease, self.profile.charged_when_refused, shown)

    def failed(self, lease: Lease, shown: Sequence[Shown], *, overloaded: bool) -> None:
        """See `Lease.failed`."""
        self._end(lease, lease.charge, shown, overloaded=overloaded)

    def hold_off(self, lease: Lease, wait_s: float) -> None:
        """Note that the provider takes no calls, for so long as it says; 0: it does not say."""
        with self.lock:
            now_s = self._now()
            self._note_end(lease, now_s, overloaded=True)
            self._account.close_for(wait_s, now_s)

    def _end(
        self, lease: Lease, charged: Charge, shown: Sequence[Shown], *, overloaded: bool = False
    ) -> None:
        """End a call that was not answered, for other reasons than a limit's room."""
        with self.lock:
            now_s = self._now()
            if shown:
                self._account.look(lease, shown, now_s)
            self._note_end(lease, now_s, overloaded=overloaded)
            self._account.reservations.settle(lease, charged, now_s)
            self._queue.advance(now_s)

    def cancel(self, lease: Lease) -> None:
        """See `Lease.cancel`."""
        with self.lock:
            self._note_end(lease, self._now())
        self._queue.leave(lease)

    def _enter(
        self, io: Io, demand: Demand, tier: str, timeout_s: float | None, again: Lease | None
    ) -> Lease:
        """Return a lease that is let through, or waits with a signal of the caller's colour."""
        charge = self.profile.charge(demand)
        too_large = self._account.too_large(charge)
        if too_large is not None:
            raise RequestTooLargeError(*too_large)
        target_s = self._tiers.may_wait_s(tier)
        with self.lock:
            now_s, reservations = self._now(), self._account.reservations
            lease = Lease(self, demand, tier, charge, now_s)
            if again is None:
                lease.order = (now_s + (PATIENCE_S if target_s is None else target_s), 0)
                may_wait_s = self._max_wait_s if target_s is None else target_s
                if timeout_s is not None and timeout_s < may_wait_s:
                    may_wait_s = timeout_s
                lease.expires_s = now_s + may_wait_s
            if reservations.ask(lease, now_s, again):
                return lease
            eta_s = self._queue.line_up(io, lease, now_s)
        if lease.state is State.LEFT:
            raise self._exceeded(tier, eta_s)
        return lease

    async def _wait(self, io: Io, lease: Lease) -> Lease:
        try:
            await self._queue.wait(io, lease)
        except BaseException:
            with self.lock:
                self._note_end(lease, self._now())
            raise
        if lease.state is State.EXPIRED:
            raise self._exceeded(lease.tier, self.eta_s(lease.demand, tier=lease.tier))
        self._emit(events.LimitWaited(lease.waited_s, lease.tier))
        return lease

    def _note_sent(self, lease: Any, now_s: float) -> None:
        assert self._concurrency is not None
        self._concurrency.sent(lease, lease.demand, now_s)

    def _note_answer(self, lease: Lease, now_s: float) -> float:
        """Note that an answer has begun; return how long it took to, since it was sent."""
        first_token_s = now_s - lease.granted_s
        self._tiers.first_token(lease.tier, lease.granted_s - lease.asked_s, first_token_s)
        if self._concurrency is not None:
            self._concurrency.first_token(lease, now_s)
        return first_token_s

    def _note_end(
        self, lease: Lease, now_s: float, tokens: float | None = None, *, overloaded: bool = False
    ) -> None:
        if self._concurrency is not None:
            if overloaded:
                self._concurrency.refused(lease, now_s)
            self._concurrency.ended(lease, now_s, tokens)
            self._account.reservations.limit_slots(self._concurrency.review(now_s))

    def _exceeded(self, tier: str, eta_s: float) -> LimitExceededError:
        with self.lock:
            self._tiers.rejected(tier)
        self._emit(events.LimitRejected(eta_s, tier))
        return LimitExceededError(eta_s)
